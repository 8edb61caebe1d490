"""A model and its rewrites, each with its graph, its costs and what proves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from convcost.analyses import Costs, analyse
from convcost.analyses.receptive_field.describe import KEYS
from convcost.errors import ConvcostError
from convcost.graph import Graph, Node
from convcost.ops import Conv, Pool
from convcost.report import Row, Value, exact, number, unavailable
from convcost.variants import STANDARD, Variant
from convcost.variants.dense import last_feature_map
from convcost.variants.mixed import Mixed, choices, is_separable
from convcost.variants.rewrite import Choice

if TYPE_CHECKING:
    from torch import nn

    from convcost.sources.model import LoadedModel
    from convcost.variants.modules import Rewritten


class Alternative(NamedTuple):
    """A model as it stands (``rewritten`` None) or as a variant."""

    name: str
    module: nn.Module
    graph: Graph
    costs: Costs
    feature_map: int
    rewritten: Rewritten | None = None


def as_it_stands(loaded: LoadedModel, graph: Graph) -> Alternative:
    """The reference of all comparisons."""
    costs = analyse(graph)
    return Alternative(str(STANDARD), loaded.module, graph, costs, last_feature_map(graph))


def alternative(
    loaded: LoadedModel,
    graph: Graph,
    variant: Variant | Mixed,
    choice: Choice,
    *,
    share: bool,
) -> Alternative:
    """The model, whose trace is ``graph``, as ``variant``; ``share`` gives it the same weights.

    What is mixed carries no proof of equality: new weights are in it.

    Raises:
        ConvcostError: the model can't be rewritten so, or doesn't run when it is.
    """
    rewritten, graph = rewritten_graph(loaded, graph, variant, choice, share=share)
    costs = analyse(graph)
    return Alternative(
        str(variant), rewritten.module, graph, costs, last_feature_map(graph), rewritten
    )


def rewritten_graph(
    loaded: LoadedModel, graph: Graph, variant: Variant | Mixed, choice: Choice, *, share: bool
) -> tuple[Rewritten, Graph]:
    """The model as ``variant``, and its trace.

    Raises:
        ConvcostError: the model can't be rewritten so, or doesn't run when it is.
    """
    parts: list[Rewritten] = []
    for step, chosen in choices(variant, choice):
        parts.append(rewrite_model(loaded.module, graph, step, chosen, share=share))
        loaded = loaded._replace(module=parts[-1].module)
        graph = _trace_again(loaded, parts[-1], variant)
    return parts[0] if len(parts) == 1 else _together(parts), graph


def _together(parts: Sequence[Rewritten]) -> Rewritten:
    """Several rewrites, one after the other, as one; a layer's parts count as the layer."""
    layers: dict[str, None] = {}
    for part in parts:
        layers |= dict.fromkeys([_layer(path, tuple(layers)) for path in part.layers])
    return parts[-1]._replace(
        layers=tuple(layers),
        convolutions=parts[0].convolutions,
        errors={path: error for part in parts for path, error in part.errors.items()},
        left=parts[0].left,
        plan=None,
    )


def rewrite_model(
    module: nn.Module,
    graph: Graph | None,
    variant: Variant,
    choice: Choice,
    *,
    share: bool = False,
) -> Rewritten:
    """A copy of a module as ``variant``; ``graph`` is its trace, which only ``dense`` needs.

    Raises:
        ConvcostError: it can't be rewritten so.
    """
    from convcost.variants.dense_modules import make_dense  # noqa: PLC0415  torch
    from convcost.variants.modules import rewrite_convolutions  # noqa: PLC0415  torch

    if choice.init != "fresh":
        _need_separable(variant)
    if variant.name != "dense":
        return rewrite_convolutions(module, variant, choice, share=share)
    if choice.only or choice.keep:
        raise ConvcostError(
            "dense changes everything after a stride: --only and --keep have no meaning for it"
        )
    assert graph is not None  # noqa: S101  who asks for dense has traced the model
    return make_dense(module, graph, variant, share=share)


def _need_separable(variant: Variant) -> None:
    if not is_separable(variant):
        raise ConvcostError(
            f"--init svd is for separable variants: {variant} keeps its weights as they are"
        )
    if variant.options.get("normalise"):
        raise ConvcostError(
            "--init svd has no meaning with normalise=true",
            "what lies between the two parts makes their product no convolution",
        )


def _trace_again(loaded: LoadedModel, rewritten: Rewritten, variant: Variant | Mixed) -> Graph:
    from convcost.sources.forward import (  # noqa: PLC0415  torch
        ForwardError,
        NeedsDataError,
        forward_error,
        run_forward,
    )

    try:
        graph, _ = run_forward(loaded, str(variant))
    except NeedsDataError as error:
        # the original ran without data: what its rewrite raises, it raises with data too
        if not isinstance(error.__cause__, ForwardError):
            raise ConvcostError(f"{variant}: its forward needs data: {error}") from error
        raise _not_running(forward_error(error.__cause__, str(variant))) from error
    except ConvcostError as error:
        raise _not_running(error) from error
    return pools_again(graph, rewritten.pools)


def _not_running(error: ConvcostError) -> ConvcostError:
    return ConvcostError(
        f"the model doesn't run as {error.message}",
        "leave the layer out with --keep, or the variant",
    )


def pools_again(graph: Graph, pools: frozenset[str]) -> Graph:
    """``graph`` with what runs in the modules ``pools`` as the average pools that they are."""
    if not pools:
        return graph
    nodes = (_pool(node) if node.module in pools else node for node in graph.nodes)
    return graph._replace(nodes=tuple(nodes))


def _pool(node: Node) -> Node:
    conv = node.op
    if not isinstance(conv, Conv):
        return node
    op = Pool("avg_pool", conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    return node._replace(op=op)


def output_shape(alternative: Alternative) -> tuple[int, ...]:
    """The shape of the (first) output."""
    return alternative.graph.nodes[alternative.graph.output].shape


def is_dense(alternative: Alternative) -> bool:
    """Whether strides were taken out of it."""
    return alternative.rewritten is not None and alternative.rewritten.plan is not None


def summaries(alternatives: Sequence[Alternative]) -> list[dict[str, Value]]:
    """What each variant costs beside the first, and where its last feature map is.

    Beside a dense one the receptive fields are those of what the final pooling reads, even where
    that is a pooling to a fixed size: it would see more of a denser map.
    """
    compared = any(map(is_dense, alternatives))
    return [_summary(side, alternatives[0], at_map=compared) for side in alternatives]


def _summary(alternative: Alternative, reference: Alternative, *, at_map: bool) -> dict[str, Value]:
    totals = dict(alternative.costs.totals)
    row = alternative.costs.rows[alternative.feature_map]
    if at_map:
        totals |= {key: row[key] for key in KEYS}
    mine, other = (
        number(costs.totals["multiplications"]) for costs in (alternative.costs, reference.costs)
    )
    stride = row["effective_stride"].value
    rewritten = alternative.rewritten
    return {
        **totals,
        "feature_map": exact(alternative.graph.nodes[alternative.feature_map].shape),
        **({"response_share": exact(_share(stride))} if _is_known(stride) else {}),
        "convolutions": exact(convolution_count(reference)),
        "rewritten": exact(len(rewritten.layers) if rewritten else 0),
        "multiplications_ratio": (
            exact(mine / other) if mine and other else unavailable("nothing is multiplied")
        ),
    }


def convolution_count(alternative: Alternative) -> int:
    """How many convolutions a model has, each counted once however often it is called."""
    nodes = (node for node in alternative.graph.nodes if isinstance(node.op, Conv))
    return len({node.parameters[:1] or node.name for node in nodes})


def _is_known(stride: object) -> bool:
    return isinstance(stride, tuple) and not any(isinstance(step, str) for step in stride)


def _share(stride: object) -> float:
    assert isinstance(stride, tuple)  # noqa: S101  see _is_known
    return 1 / prod(stride)


def changed_layers(alternative: Alternative, reference: Alternative) -> list[Row]:
    """A row for each layer that was rewritten or multiplies more or less, largest saving first."""
    from convcost.workflows.fold import Group, rows_of  # noqa: PLC0415  models only

    paths = alternative.rewritten.layers if alternative.rewritten else ()
    sides = []
    for side in (reference, alternative):
        members: dict[str, list[int]] = {}
        for index, node in enumerate(side.graph.nodes):
            members.setdefault(_layer(node.module, paths), []).append(index)
        groups = [Group(path, path, tuple(found), False) for path, found in members.items()]  # noqa: FBT003
        sides.append({row.name: row for row in rows_of(side.graph, side.costs, groups)})
    before, after = sides
    rows = [_changed(row, before.get(name), alternative.name) for name, row in after.items()]
    errors: Mapping[str, float] = alternative.rewritten.errors if alternative.rewritten else {}
    rows = [_with_error(row, errors.get(row.name)) for row in rows]
    kept = [r for r in rows if number(r.values["multiplications_saved"]) or r.name in paths]
    return sorted(kept, key=lambda row: -abs(number(row.values["multiplications_saved"])))


def _layer(module: str, paths: tuple[str, ...]) -> str:
    """The path of the layer that a module is part of, before it was rewritten."""
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts) + 1))
    known = frozenset(paths)
    return next((prefix for prefix in prefixes if prefix in known), module)


def _changed(row: Row, before: Row | None, variant: str) -> Row:
    old = number(before.values["multiplications"]) if before else 0
    saved = exact(int(old - number(row.values["multiplications"])))
    return _with(row, {"multiplications_saved": saved}, variant)


def _with_error(row: Row, error: float | None) -> Row:
    return row if error is None else _with(row, {"weight_error": exact(error)}, row.variant)


def _with(row: Row, more: Mapping[str, Value], variant: str) -> Row:
    values = {**row.values, **more}
    return Row(row.name, variant, row.op, row.module, row.output_shape, values)
