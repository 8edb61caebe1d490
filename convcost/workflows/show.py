"""What one output of each layer sees, for the variants of a source side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from convcost.analyses.receptive_field import find_rasters, find_receptive_fields
from convcost.errors import ConvcostError, show_value, some_of
from convcost.graph import Graph, Node
from convcost.notify import Notify, silently
from convcost.ops import Conv, Input, Pool, Sizes, format_shape
from convcost.picture import Channels, Kind, Layer, Picture, Raster, Step
from convcost.report import Value
from convcost.sources.source import is_model
from convcost.sources.spec import load_spec
from convcost.variants import STANDARD, VARIANTS, Variant, parse_variant
from convcost.variants.mixed import rewrite_mixed
from convcost.variants.rewrite import Choice, matches
from convcost.workflows.compare import CompareRequest, need_spec_request, spec_path
from convcost.workflows.fold import layer_groups, told_apart

MOST_LAYERS = 6
"""A picture of more is longer than anyone reads; ``layers`` asks for them by name."""
_OF_MODELS = (Variant("atrous", {"rate": 2}),)
"""Each variant of a model is traced again, and most of them see the same."""


class _Side(NamedTuple):
    """A variant's graph with what each node sees."""

    graph: Graph
    seen: Sequence[Raster | str]
    values: Sequence[Mapping[str, Value]]
    indexes: Mapping[str, int]

    def find(self, name: str) -> int | None:
        """The node of a layer, or the last part of what has taken its place."""
        if name in self.indexes:
            return self.indexes[name]
        parts = [index for other, index in self.indexes.items() if other.startswith(f"{name}.")]
        return max(parts, default=None)


def show(request: CompareRequest, layers: Sequence[str], notify: Notify = silently) -> Picture:
    """The receptive fields of ``request``'s source and variants, as pictures.

    ``layers`` are globs; without any, the layers that widen the field are chosen, at most
    ``MOST_LAYERS`` of them.

    Raises:
        ConvcostError: the source has mistakes, can't run, or has no such layer.
    """
    graphs, notices = _graphs(request, notify)
    sides = {name: _side(graph) for name, graph in graphs.items()}
    standard = sides[str(STANDARD)]
    names = _named(standard, layers) if layers else _widening(sides.values(), standard)
    drawn = names if layers else _some(names, sides.values())
    told = _layer_names(standard.graph)
    return Picture(
        name=standard.graph.name,
        input=standard.graph.nodes[0].shape,
        layers=tuple(Layer(told.get(n, n), tuple(_steps(n, sides))) for n in drawn),
        channels=tuple(_channels([side.graph for side in sides.values()], layers)),
        left_out=len(names) - len(drawn),
        notices=notices,
    )


def _graphs(request: CompareRequest, notify: Notify) -> tuple[dict[str, Graph], tuple[str, ...]]:
    if is_model(request.source):
        return _model_graphs(request, notify)
    need_spec_request(request)
    spec = load_spec(spec_path(request.source), request.batch, 4, parse_variant)
    variants = request.variants or spec.variants or tuple(map(parse_variant, VARIANTS))
    rewritten = {
        str(variant): rewrite_mixed(spec.graph, variant, request.only, request.keep)
        for variant in variants
    }
    return {str(STANDARD): spec.graph, **rewritten}, ()


def _model_graphs(
    request: CompareRequest, notify: Notify
) -> tuple[dict[str, Graph], tuple[str, ...]]:
    from convcost.workflows.alternatives import alternative  # noqa: PLC0415  torch
    from convcost.workflows.compare_model import load  # noqa: PLC0415  torch

    loaded, graph, notices = load(request, notify, real=False)
    graphs = {str(STANDARD): graph._replace(name=loaded.name)}
    for variant in request.variants or _OF_MODELS:
        notify(f"rewriting as {variant}", None)
        choice = Choice(request.only, request.keep)
        if variant != STANDARD:
            side = alternative(loaded, graph, variant, choice, share=True)
            graphs[str(variant)] = side.graph
    return graphs, notices


def _side(graph: Graph) -> _Side:
    # modules that are called again have a name of their own for each call
    names = told_apart(node.name for node in graph.nodes)
    nodes = [node._replace(name=name) for node, name in zip(graph.nodes, names, strict=True)]
    graph = graph._replace(nodes=tuple(nodes))
    values, _ = find_receptive_fields(graph)
    indexes = {node.name: index for index, node in enumerate(graph.nodes)}
    return _Side(graph, find_rasters(graph), values, indexes)


def _named(side: _Side, globs: Sequence[str]) -> list[str]:
    """The nodes that globs match, by their own names or by those of the layers that end in them."""
    layers = _layer_names(side.graph)
    nodes = [node.name for node in side.graph.nodes if not isinstance(node.op, Input)]
    names = {name: [name, layers.get(name, name)] for name in nodes}
    for glob in globs:
        if not any(fnmatchcase(name, glob) for found in names.values() for name in found):
            hint = f"layers here: {some_of(layers.values())}"
            raise ConvcostError(f"no layer matches {show_value(glob)}", hint)
    return [node for node, found in names.items() if any(matches(name, globs) for name in found)]


def _layer_names(graph: Graph) -> dict[str, str]:
    """The name of the layer that ends in a node, as ``profile`` shows it, by the node's name."""
    groups = layer_groups(graph)
    ends = (group.nodes[-1] if group.returned is None else group.returned for group in groups)
    pairs = zip(ends, groups, strict=True)
    return {graph.nodes[end].name: group.name for end, group in pairs}


def _widening(sides: Iterable[_Side], standard: _Side) -> list[str]:
    """The layers that see more than each of their inputs, in some variant."""
    nodes, sides = standard.graph.nodes, list(sides)
    names = [
        node.name
        for node in nodes
        if node.inputs
        and any(_widens(side, node.name, [nodes[i].name for i in node.inputs]) for side in sides)
    ]
    return names or [nodes[standard.graph.output].name]


def _widens(side: _Side, name: str, inputs: Iterable[str]) -> bool:
    index = side.find(name)
    before = [side.find(other) for other in inputs]
    return index is not None and all(i is None or side.seen[i] != side.seen[index] for i in before)


def _some(names: Sequence[str], sides: Iterable[_Side]) -> list[str]:
    """Of those that can be drawn ``MOST_LAYERS`` evenly, with the first and the last; one more."""
    drawable = {n for side in sides for n, i in side.indexes.items() if _is_drawable(side.seen[i])}
    found = [name for name in names if name in drawable]
    others = [name for name in names if name not in drawable]
    last = len(found) - 1
    steps = min(MOST_LAYERS, len(found)) - 1
    chosen = {found[round(i * last / steps) if steps else 0] for i in range(steps + 1)}
    return [name for name in names if name in {*chosen, *others[:1]}]


def _is_drawable(seen: Raster | str) -> bool:
    return isinstance(seen, Raster)


def _steps(name: str, sides: Mapping[str, _Side]) -> Iterator[Step]:
    """The layer in each variant; those that see the same are one."""
    merged: dict[Raster | str, Step] = {}
    for variant, side in sides.items():
        index = side.find(name)
        if index is None:
            continue
        seen = side.seen[index]
        if seen in merged:
            step = merged[seen]
            merged[seen] = step._replace(variants=(*step.variants, variant))
        else:
            kernel = _kernel(_working(side, name, index))
            merged[seen] = Step((variant,), kernel, seen, side.values[index])
    yield from merged.values()


def _working(side: _Side, name: str, index: int) -> Node:
    """The node that moves the window: of a block the first part, which isn't pointwise."""
    parts = (node for node in side.graph.nodes if node.name.startswith(f"{name}."))
    return side.graph.nodes[index] if name in side.indexes else next(parts)


def _kernel(node: Node) -> str:
    """What a layer does along the axes: ``max_pool 2×2, stride 2``, ``kernel 3×3, rate 2``."""
    op = node.op
    if not isinstance(op, Conv | Pool):
        return op.kind
    kind = "kernel" if op.kind == "conv" else op.kind
    words = [f"{kind} {format_shape(op.kernel_size)}"]
    settings = {"stride": op.stride, "rate": op.dilation}
    words += [f"{key} {_per_axis(sizes)}" for key, sizes in settings.items() if set(sizes) != {1}]
    return ", ".join(words)


def _per_axis(sizes: Sizes) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else format_shape(sizes)


def _channels(graphs: Iterable[Graph], layers: Sequence[str]) -> Iterator[Channels]:
    """The first convolution of each kind, of those that ``layers`` name if any do."""
    found: dict[Kind, Channels] = {}
    for graph in graphs:
        names = _layer_names(graph)
        for node in graph.nodes:
            told = names.get(node.name, node.name)
            wanted = not layers or matches(node.name, layers) or matches(told, layers)
            if isinstance(node.op, Conv) and wanted:
                one = _channels_of(told, node.op)
                found.setdefault(one.kind, one)
    yield from found.values()


def _channels_of(name: str, conv: Conv) -> Channels:
    kind: Kind = "standard"
    if conv.is_depthwise:
        kind = "depthwise"
    elif conv.groups > 1:
        kind = "grouped"
    elif conv.has_one_tap:
        kind = "pointwise"
    return Channels(name, kind, conv.in_channels, conv.out_channels, conv.groups)
