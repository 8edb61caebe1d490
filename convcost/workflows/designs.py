"""What a search starts from: a source's graph, and the bases whose stages are varied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from convcost.analyses import Costs, analyse
from convcost.errors import ConvcostError
from convcost.graph import Graph, Node
from convcost.ops import Conv
from convcost.report import number
from convcost.search.candidates import MOST_STAGES, Base, network_field, rates_for
from convcost.search.rates import fewest_rates
from convcost.search.stacks import Stack, find_stack, restack, stack_rates, taps_of
from convcost.search.stages import Stage, find_stages
from convcost.search.suggest import Bounds
from convcost.variants import Variant, parse_variant
from convcost.variants.dense import halved_stride
from convcost.variants.dense_graph import dense_graph
from convcost.variants.rewrite import Choice, eligible

if TYPE_CHECKING:
    from convcost.sources.model import LoadedModel

LEAST_OUTPUT_STRIDE = 8
"""Smaller ones are not tried: their maps are 16 times and more those of the usual networks."""


class Source(NamedTuple):
    """A spec's graph, or that of the model ``loaded``; ``rewritable`` may be given variants."""

    graph: Graph
    costs: Costs
    rewritable: Collection[str]
    loaded: LoadedModel | None
    notices: tuple[str, ...]


def spec_source(graph: Graph, only: tuple[str, ...], keep: tuple[str, ...]) -> Source:
    """What may be varied of a spec."""
    return Source(graph, analyse(graph), eligible(graph, only, keep), None, ())


def model_source(
    loaded: LoadedModel, graph: Graph, choice: Choice, notices: tuple[str, ...]
) -> Source:
    """What may be varied of a model: what a rewrite would change, and what runs."""
    from convcost.workflows.alternatives import rewrite_model  # noqa: PLC0415  torch

    separable = parse_variant("separable")
    changed = rewrite_model(loaded.module, None, separable, choice, share=True).layers
    graph = _by_module(graph)
    names = {node.name for node in graph.nodes}
    return Source(graph, analyse(graph), names.intersection(changed), loaded, notices)


def _by_module(graph: Graph) -> Graph:
    """``graph`` with each convolution called as its module is, however often that runs.

    Not where a module has several weights, or several modules have one.
    """
    convs = [node for node in graph.nodes if isinstance(node.op, Conv) and node.parameters]
    pairs = {(node.module, node.parameters[0].name) for node in convs}
    weights = Counter(module for module, _ in pairs)
    owners = Counter(weight for _, weight in pairs)

    def named(node: Node) -> Node:
        if not isinstance(node.op, Conv) or not node.parameters or not node.module:
            return node
        alone = weights[node.module] == owners[node.parameters[0].name] == 1
        return node._replace(name=node.module) if alone else node

    return graph._replace(nodes=tuple(map(named, graph.nodes)))


class Bases(NamedTuple):
    """What a search goes through, and in words what it leaves out."""

    bases: tuple[Base, ...]
    not_tried: tuple[str, ...]


def bases_of(source: Source, bounds: Bounds, *, chosen: bool) -> Bases:
    """The source as it is, with smaller output strides, and with another stack.

    ``chosen``: only some layers may change, so that nothing after a stride may.
    """
    stages = find_stages(source.graph, source.costs, source.rewritable)
    varied, not_tried = _varied(source, stages)
    rates = rates_for(len(varied)) if bounds.min_receptive_field else (1,)
    found = [Base("", source.graph, varied, rates)]
    if not varied:
        not_tried.append("any variant (no convolution here can be rewritten)")
    elif not bounds.min_receptive_field:
        not_tried.append("rates (they only matter for --min-receptive-field)")
    else:
        not_tried.append(_other_rates(rates, len(varied)))
    if any(len(stage.names) > 1 for stage in varied):
        not_tried.append("layers of one stage apart")
    if chosen:
        not_tried.append("output strides and other stacks (for only some layers may change)")
    else:
        found += _dense_bases(source, varied, not_tried)
        found += _stack_bases(source, bounds, not_tried)
    return Bases(tuple(found), tuple(not_tried))


def _other_rates(rates: tuple[int, ...], stages: int) -> str:
    return f"rates other than {', '.join(map(str, rates))}" + (
        f" ({stages} stages)" if rates != rates_for(1) else ""
    )


def _varied(source: Source, stages: list[Stage]) -> tuple[tuple[Stage, ...], list[str]]:
    """The stages that matter most, and what is said of the others."""
    if len(stages) <= MOST_STAGES:
        return tuple(stages), []
    rows = zip(source.graph.nodes, source.costs.rows, strict=True)
    weight = Counter[str]()
    for node, values in rows:
        weight[node.name] += int(number(values["multiplications"]))
    heaviest = sorted(stages, key=lambda stage: -sum(weight[name] for name in stage.names))
    kept = tuple(stage for stage in stages if stage in heaviest[:MOST_STAGES])
    return kept, [f"changes of {len(stages) - MOST_STAGES} small stages of {len(stages)}"]


def _dense_bases(source: Source, stages: tuple[Stage, ...], not_tried: list[str]) -> Iterator[Base]:
    stride = halved_stride(source.graph)
    while stride >= LEAST_OUTPUT_STRIDE:
        variant = Variant("dense", {"output_stride": stride})
        try:
            graph = _dense(source, variant, stride)
        except ConvcostError as error:
            not_tried.append(f"output stride {stride} ({error.message})")
            return
        yield Base(str(variant), graph, stages, (1,), variant)
        stride //= 2
    if stride:
        not_tried.append(f"output strides below {LEAST_OUTPUT_STRIDE}")


def _dense(source: Source, variant: Variant, stride: int) -> Graph:
    if source.loaded is None:
        return dense_graph(source.graph, output_stride=stride)
    from convcost.workflows.alternatives import rewritten_graph  # noqa: PLC0415  torch

    _, made = rewritten_graph(source.loaded, source.graph, variant, Choice(), share=True)
    return _by_module(made)


def _stack_bases(source: Source, bounds: Bounds, not_tried: list[str]) -> Iterator[Base]:
    """A spec's stack with the fewest rates that see as much as is asked for, without holes.

    Only of atrous convolutions, or where the stack is all that could be rewritten: elsewhere fewer
    layers are another network.
    """
    stack = find_stack(source.graph)
    if stack is None:
        return
    now = stack_rates(source.graph, stack)
    inside = {node.name for node in source.graph.nodes[stack.first : stack.end]}
    if max(now) == 1 and not inside.issuperset(source.rewritable):
        return
    if source.loaded is not None:
        not_tried.append("other stacks (they are only built of layer specs)")
        return
    rates = _rates(source, stack, bounds)
    if list(rates) == now or not rates:
        return
    graph = restack(source.graph, stack, rates)
    stages = find_stages(graph, analyse(graph), eligible(graph, (), ()))[:MOST_STAGES]
    yield Base(f"rates={','.join(map(str, rates))}", graph, tuple(stages), (1,))


def _rates(source: Source, stack: Stack, bounds: Bounds) -> tuple[int, ...]:
    """Each unit of a rate widens the field by ``taps - 1`` steps of the stack's stride."""
    before = source.costs.rows[stack.first - 1]
    stride, span = before["effective_stride"].value, before["receptive_field"].value
    if not (_is_whole(stride) and _is_whole(span)):
        return ()
    step, seen = int(max(stride)), int(min(span))  # type: ignore[arg-type]  # whole numbers
    now = network_field(source.graph).span
    wanted = bounds.min_receptive_field or now
    if wanted == float("inf") or not now:
        return ()
    taps = taps_of(source.graph, stack)
    missing = -(-(wanted - now) // (step * (taps - 1)))
    total = max(1, int(sum(stack_rates(source.graph, stack)) + missing))
    start = max(1, seen // step)
    return fewest_rates(taps, start + (taps - 1) * total, start)


def _is_whole(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(size, int) for size in value)
