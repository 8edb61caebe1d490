"""Variants of a source side by side."""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from convcost.analyses import Costs, analyse
from convcost.errors import ConvcostError, printable
from convcost.graph import Graph
from convcost.measure.settings import ITEMSIZES, Settings
from convcost.ops import Conv, Shape
from convcost.report import Report, Row, Value, exact, number, unavailable
from convcost.sources.spec import load_spec
from convcost.variants import STANDARD, VARIANTS, Variant, parse_variant
from convcost.variants.mixed import Mixed, rewrite_mixed
from convcost.variants.rewrite import convolutions, eligible
from convcost.workflows.environment import environment
from convcost.workflows.measured import measured_values, second_count_findings
from convcost.workflows.seen import seen_positions

if TYPE_CHECKING:
    from convcost.measure.execute import Outcome

Notify = Callable[[str, float | None], None]
"""Told what is being done, and the share that is done where it is known."""

SHIPPED_SPEC = "primer.yaml"


class CompareRequest(NamedTuple):
    """What to compare: ``source`` None is the shipped spec, no ``variants`` the spec's own or all.

    ``pictures`` keeps what only pictures show. ``arguments`` (of a factory) and ``inputs`` (shapes)
    are of models.
    """

    source: str | None = None
    variants: tuple[Variant | Mixed, ...] = ()
    only: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    batch: int = 1
    per_layer: bool = False
    measure: bool = True
    settings: Settings = Settings()
    arguments: Mapping[str, object] = {}
    inputs: tuple[Shape, ...] = ()
    pictures: bool = False


def compare(request: CompareRequest, notify: Notify = lambda *_: None) -> Report:
    """The costs of each variant of a spec or a model, counted, and measured where asked.

    Raises:
        ConvcostError: the source has mistakes, or it can't run as asked.
    """
    if is_model(request.source):
        from convcost.workflows.compare_model import compare_model  # noqa: PLC0415  models only

        return compare_model(request, notify)
    need_spec_request(request)
    itemsize = ITEMSIZES[request.settings.dtype]
    spec = load_spec(spec_path(request.source), request.batch, itemsize, parse_variant)
    variants = request.variants or spec.variants or tuple(map(parse_variant, VARIANTS))
    chosen = eligible(spec.graph, request.only, request.keep)
    graphs = {str(STANDARD): spec.graph}
    for variant in variants:
        graphs[str(variant)] = rewrite_mixed(spec.graph, variant, request.only, request.keep)
    rows, outcome = compare_graphs(graphs, request.settings, notify, measure=request.measure)
    costs = {name: analyse(graph) for name, graph in graphs.items()} if request.per_layer else {}
    return Report(
        kind="compare",
        source=printable(request.source or SHIPPED_SPEC),
        input=(spec.graph.nodes[0].shape,),
        environment={
            **environment(request.settings, outcome and outcome.environment),
            "batch": request.batch,
        },
        rows=rows,
        layers=tuple(_layers(graphs, costs)),
        seen=seen_positions(graphs) if request.pictures else (),
        findings=tuple(second_count_findings(rows)),
        notices=tuple(_notices(spec.graph, chosen, outcome)),
        interrupted=outcome is not None and outcome.interrupted,
    )


def compare_graphs(
    graphs: Mapping[str, Graph], settings: Settings, notify: Notify, *, measure: bool
) -> "tuple[tuple[Row, ...], Outcome | None]":
    """A row for each of ``graphs``, the first being the reference, and what running them gave.

    Raises:
        ConvcostError: they can't run as asked.
    """
    costs = {name: analyse(graph) for name, graph in graphs.items()}
    outcome = _measure(graphs, costs, settings, notify) if measure else None
    return tuple(_rows(graphs, costs, outcome)), outcome


def is_model(source: str | None) -> bool:
    """Whether a source is a model, else a layer spec."""
    return source is not None and (source.endswith((".py", ".pt2")) or ":" in source)


def need_spec_request(request: CompareRequest) -> None:
    """Refuses what only a model can have.

    Raises:
        ConvcostError: ``request`` asks for it.
    """
    if request.arguments or request.inputs:
        raise ConvcostError(
            "--set and --input are for models", "a spec says its input itself, and has no arguments"
        )


def spec_path(source: str | None) -> str:
    """The file of a layer spec; that of the shipped one for None.

    Raises:
        ConvcostError: it isn't a spec's name.
    """
    if source is None:
        return str(Path(__file__).parents[1] / SHIPPED_SPEC)
    if not source.endswith((".yaml", ".yml")):
        raise ConvcostError(
            f"{source}: not a layer spec, nor a model",
            "give a .yaml file, model.py, model.py:attr or package.module:attr",
        )
    return source


def _measure(
    graphs: Mapping[str, Graph], costs: Mapping[str, Costs], settings: Settings, notify: Notify
) -> "Outcome":
    notify("loading torch", None)
    from convcost.measure.execute import execute  # noqa: PLC0415  torch, only where it is needed

    parameters = sum(number(cost.totals["parameter_bytes"]) for cost in costs.values())
    peak = max(number(cost.totals["peak_activation_bytes"]) for cost in costs.values())
    return execute(graphs, int(parameters + peak), settings, notify)


def _rows(
    graphs: Mapping[str, Graph],
    costs: Mapping[str, Costs],
    outcome: "Outcome | None",
) -> Iterator[Row]:
    reference = number(costs[str(STANDARD)].totals["multiplications"])
    for variant, graph in graphs.items():
        totals = costs[variant].totals
        layers = graph.nodes[1:]
        values = {
            **totals,
            "convolutions": exact(len(convolutions(graphs[str(STANDARD)]))),
            "rewritten": exact(_rewritten(graphs[str(STANDARD)], graph)),
            "multiplications_ratio": _ratio(number(totals["multiplications"]), reference),
            **(_measured(variant, costs[variant], graph, outcome) if outcome else {}),
        }
        op = layers[0].op.kind if len(graphs[str(STANDARD)].nodes) == 2 else "network"
        yield Row(graph.name, variant, op, "", graph.nodes[-1].shape, values)


def _rewritten(before: Graph, after: Graph) -> int:
    """How many convolutions are no longer what they were."""
    left = {node.name: node.op for node in after.nodes}
    return sum(left.get(n.name) != n.op for n in before.nodes if isinstance(n.op, Conv))


def _measured(variant: str, cost: Costs, graph: Graph, outcome: "Outcome") -> dict[str, Value]:
    from convcost.workflows.roofline import on_roofline, works  # noqa: PLC0415  as torch

    values = measured_values(variant, cost, graph, outcome)
    return {**values, **on_roofline(works(graph, cost), outcome.ceilings, values["latency"])}


def _ratio(count: float, reference: float) -> Value:
    return exact(count / reference) if reference else unavailable("standard multiplies nothing")


def _layers(graphs: Mapping[str, Graph], costs: Mapping[str, Costs]) -> Iterator[Row]:
    for variant in costs:
        graph = graphs[variant]
        for node, values in zip(graph.nodes[1:], costs[variant].rows[1:], strict=True):
            yield Row(node.name, variant, node.op.kind, node.name, node.shape, values)


def _notices(graph: Graph, chosen: Collection[str], outcome: "Outcome | None") -> Iterator[str]:
    if not chosen:
        yield (
            "nothing is rewritten: every convolution here is 1×1, depthwise or left out"
            if convolutions(graph)
            else "nothing is rewritten: there is no convolution here"
        )
    if outcome and outcome.interrupted:
        yield "interrupted: only what was measured before is shown"
