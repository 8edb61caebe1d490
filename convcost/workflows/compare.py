"""Variants of a source side by side."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from convcost.analyses import Costs, analyse
from convcost.errors import ConvcostError, printable
from convcost.graph import Graph
from convcost.measure.settings import ITEMSIZES, Settings
from convcost.notify import Notify, silently
from convcost.ops import Conv, Shape
from convcost.report import Report, Row, Value, exact, number, unavailable
from convcost.sources.source import ends_in, is_model, is_spec
from convcost.sources.spec import load_spec
from convcost.variants import STANDARD, VARIANTS, Variant, parse_variant
from convcost.variants.mixed import Mixed, rewrite_mixed
from convcost.variants.rewrite import convolutions, eligible
from convcost.workflows.axes import Side, layers_notice, requests, sides, varied
from convcost.workflows.environment import environment
from convcost.workflows.measured import INTERRUPTED, measured_values, second_count_findings
from convcost.workflows.seen import seen_positions

if TYPE_CHECKING:
    from convcost.measure.execute import Outcome


SHIPPED_SPEC = "primer.yaml"


class CompareRequest(NamedTuple):
    """What to compare: ``source`` None is the shipped spec, no ``variants`` the spec's own or all.

    ``axes`` have several values each, of which every combination is compared. ``pictures`` keeps
    what only pictures show. ``arguments`` (of a factory) and ``inputs`` (shapes) are of models.
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
    axes: Mapping[str, Sequence[Any]] = {}


class Compared(NamedTuple):
    """A variant at a point of the axes, and what it costs."""

    side: Side
    graph: Graph
    costs: Costs


_MOST_COLOURS = 4
"""Channels of an image with transparency."""
Costed = Mapping[str, tuple[Graph, Costs]]
"""Variants by name, each with what it costs."""


def compare(request: CompareRequest, notify: Notify = silently) -> Report:
    """The costs of each variant of a spec or a model, counted, and measured where asked.

    Raises:
        ConvcostError: the source has mistakes, or it can't run as asked.
    """
    if is_model(request.source):
        from convcost.workflows.compare_model import compare_model  # noqa: PLC0415  models only

        return compare_model(request, notify)
    need_spec_request(request)
    found = {compared.side.name: compared for compared in _compared(request)}
    rows, outcome = _compare(found, notify, measure=request.measure)
    here = [compared for compared in found.values() if not compared.side.differs]
    graph = here[0].graph
    return Report(
        kind="compare",
        source=printable(request.source or SHIPPED_SPEC),
        input=(graph.nodes[0].shape,),
        environment={
            **environment(here[0].side.settings, outcome and outcome.environment),
            "batch": graph.nodes[0].shape[0],
            **varied(request),
        },
        rows=rows,
        layers=tuple(_layers(here)) if request.per_layer else (),
        seen=seen_positions({c.side.variant: c.graph for c in here}) if request.pictures else (),
        findings=tuple(second_count_findings(rows)),
        notices=(
            *_notices(graph, eligible(graph, request.only, request.keep), outcome),
            *layers_notice(request),
        ),
        interrupted=outcome is not None and outcome.interrupted,
    )


def _costs(request: CompareRequest) -> Costed:
    """The variants of a spec in one batch and dtype."""
    itemsize = ITEMSIZES[request.settings.dtype]
    spec = load_spec(spec_path(request.source), request.batch, itemsize, parse_variant)
    variants = request.variants or spec.variants or tuple(map(parse_variant, VARIANTS))
    graphs = {str(STANDARD): spec.graph}
    for variant in variants:
        graphs[str(variant)] = rewrite_mixed(spec.graph, variant, request.only, request.keep)
    return {name: (graph, analyse(graph)) for name, graph in graphs.items()}


def _compared(request: CompareRequest) -> Iterator[Compared]:
    """The variants at every point of the axes, of which only batch and dtype change the costs."""
    known: dict[tuple[int, str], Costed] = {}
    for point, differs in requests(request):
        key = point.batch, point.settings.dtype
        known[key] = costed = known.get(key) or _costs(point)
        for side in sides(costed, point.settings, differs):
            yield Compared(side, *costed[side.variant])


def compare_graphs(
    graphs: Mapping[str, Graph], settings: Settings, notify: Notify, *, measure: bool
) -> "tuple[tuple[Row, ...], Outcome | None]":
    """A row for each of ``graphs``, the first being the reference, and what running them gave.

    Raises:
        ConvcostError: they can't run as asked.
    """
    found = {
        side.variant: Compared(side, graphs[side.variant], analyse(graphs[side.variant]))
        for side in sides(graphs, settings)
    }
    return _compare(found, notify, measure=measure)


def _compare(
    found: Mapping[str, Compared], notify: Notify, *, measure: bool
) -> "tuple[tuple[Row, ...], Outcome | None]":
    outcome = _measure(found, notify) if measure else None
    return tuple(_rows(found, outcome)), outcome


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
    if not is_spec(source):
        hint = "give a .yaml file, model.py, model.py:attr or package.module:attr"
        if ends_in(source, ".json"):
            hint = f"convcost render {source} shows a saved report, convcost diff compares two"
        raise ConvcostError(f"{source}: not a layer spec, nor a model", hint)
    return source


def _measure(found: Mapping[str, Compared], notify: Notify) -> "Outcome":
    notify("loading torch", None)
    from convcost.measure.execute import Candidate, execute  # noqa: PLC0415  torch, where needed

    totals = [compared.costs.totals for compared in found.values()]
    parameters = sum(number(total["parameter_bytes"]) for total in totals)
    peak = max(number(total["peak_activation_bytes"]) for total in totals)
    # candidates share an input where they can, and a peak has its own
    inputs = {
        (graph.nodes[0].shape, side.settings.dtype, side.settings.memory_format): number(
            costs.rows[0]["activation_bytes"]
        )
        for side, graph, costs in found.values()
    }
    others = sum(inputs.values()) - max(inputs.values())
    candidates = {
        name: Candidate(graph, side.settings, side.reference)
        for name, (side, graph, _) in found.items()
    }
    return execute(candidates, int(parameters + peak + others), notify)


def _rows(found: Mapping[str, Compared], outcome: "Outcome | None") -> Iterator[Row]:
    for name, compared in found.items():
        side, graph, costs = compared
        reference = found[side.reference or name]
        standard = convolutions(reference.graph)
        values = {
            **costs.totals,
            "convolutions": exact(len(standard)),
            "rewritten": exact(_rewritten(reference.graph, graph)),
            "multiplications_ratio": _ratio(
                number(costs.totals["multiplications"]),
                number(reference.costs.totals["multiplications"]),
            ),
            **(_measured(compared, outcome) if outcome else {}),
        }
        op = graph.nodes[1].op.kind if len(reference.graph.nodes) == 2 else "network"
        shape = graph.nodes[-1].shape
        yield Row(graph.name, side.variant, op, "", shape, values, side.differs)


def _rewritten(before: Graph, after: Graph) -> int:
    """How many convolutions are no longer what they were."""
    left = {node.name: node.op for node in after.nodes}
    return sum(left.get(n.name) != n.op for n in before.nodes if isinstance(n.op, Conv))


def _measured(compared: Compared, outcome: "Outcome") -> dict[str, Value]:
    from convcost.workflows.roofline import on_roofline, works  # noqa: PLC0415  as torch

    side, graph, costs = compared
    values = measured_values(side.name, costs, graph, outcome)
    ceilings = outcome.ceilings.get(side.name)
    if ceilings is None:
        return values
    return {**values, **on_roofline(works(graph, costs), ceilings, values["latency"])}


def _ratio(count: float, reference: float) -> Value:
    return exact(count / reference) if reference else unavailable("standard multiplies nothing")


def _layers(found: Iterable[Compared]) -> Iterator[Row]:
    for side, graph, costs in found:
        for node, values in zip(graph.nodes[1:], costs.rows[1:], strict=True):
            yield Row(node.name, side.variant, node.op.kind, node.name, node.shape, values)


def _notices(graph: Graph, chosen: Collection[str], outcome: "Outcome | None") -> Iterator[str]:
    _, channels, *axes = graph.nodes[0].shape
    # a volume of one channel is deeper than an image has channels
    if channels == 1 and len(axes) == 3 and axes[0] <= _MOST_COLOURS:
        yield "the input has three spatial axes: a spec's input has no batch (--batch says it)"
    if not chosen:
        yield (
            "nothing is rewritten: every convolution here is 1×1, depthwise or left out"
            if convolutions(graph)
            else "nothing is rewritten: there is no convolution here"
        )
    if outcome and outcome.interrupted:
        yield INTERRUPTED
