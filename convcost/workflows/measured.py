"""From what running gave to the values and findings of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from convcost.analyses import Costs
from convcost.graph import Graph
from convcost.measure.settings import Settings
from convcost.ops import Pool
from convcost.report import Finding, Row, Value, exact, number, unavailable
from convcost.workflows.left_out import UNREAD, unread
from convcost.workflows.verify import POOLS_COUNTED, as_convolutions

if TYPE_CHECKING:
    from torch import nn

    from convcost.measure.execute import Outcome
    from convcost.measure.intervals import Estimate


INTERRUPTED = "interrupted: only what was measured before is shown"
"""What Ctrl-C does to a report."""
NO_ROUND = "interrupted before the first round was complete"
"""Why a value that is measured isn't there."""


def need_memory(costs: Iterable[Costs], module: nn.Module, settings: Settings) -> None:
    """Refuses to run forms of ``module`` one after the other where one doesn't fit.

    Raises:
        ConvcostError: with what is needed and what is free, or there is no such device.
    """
    from convcost.measure.machine import find_device, home_of, need_bytes  # noqa: PLC0415  torch
    from convcost.measure.place import torch_errors  # noqa: PLC0415  the same

    place = home_of(module, find_device(settings.device))
    there = all(parameter.device.type == place.type for parameter in module.parameters())
    keys = ("peak_activation_bytes", *(() if there else ("parameter_bytes",)))
    needed = max(sum(number(cost.totals[key]) for key in keys) for cost in costs)
    with torch_errors(settings):
        need_bytes(int(needed), place)


def measured_values(variant: str, cost: Costs, graph: Graph, outcome: Outcome) -> dict[str, Value]:
    """The values of one variant that only running it gives."""
    second = _second_count(variant, cost, graph, outcome)
    return {"fvcore_multiplications": second, **timed_values(variant, outcome)}


def timed_values(variant: str, outcome: Outcome) -> dict[str, Value]:
    """The latency of one variant, and how it compares."""
    if variant not in outcome.latencies:
        return {"latency": unavailable(NO_ROUND)}
    values = {"latency": estimated(outcome.latencies[variant])}
    comparison = outcome.comparisons.get(variant)
    if comparison:
        values["latency_ratio"] = estimated(comparison.ratio)
        doubts = "; ".join(comparison.doubts) or None
        values["verdict"] = Value("measured", comparison.verdict, reason=doubts)
        if comparison.ratio.low is not None:
            values["smallest_change"] = Value("measured", comparison.smallest_change)
    return values


def estimated(estimate: Estimate) -> Value:
    """A measured value with its interval."""
    return Value(
        "measured",
        estimate.median,
        estimate.low,
        estimate.high,
        estimate.confidence,
        estimate.rounds,
        estimate.minimum,
    )


def _second_count(variant: str, cost: Costs, graph: Graph, outcome: Outcome) -> Value:
    """Fvcore's count, with the reason of its difference where that is known."""
    counted = outcome.fvcore_multiplications[variant]
    missing = _missing(cost, graph, outcome.string_padded[variant])
    known = {reason: count for reason, count in missing if count}
    if counted + sum(known.values()) != number(cost.totals["multiplications"]):
        return exact(counted)
    return Value("exact", counted, reason="; ".join(known) or None)


def _missing(
    cost: Costs, graph: Graph, string_padded: Iterable[str]
) -> Iterator[tuple[str, float]]:
    """What fvcore is known to leave out, each with its reason; negative where it counts more."""
    multiplied = {
        node.name: number(values["multiplications"])
        for node, values in zip(graph.nodes, cost.rows, strict=True)
    }
    dropped = {graph.nodes[index].name for index in unread(graph)}
    padded = [name for name in string_padded if name not in dropped]
    averages = {n.name for n in graph.nodes if isinstance(n.op, Pool) and n.op.is_dilated_average}
    yield UNREAD, sum(multiplied[name] for name in dropped)
    yield (
        f"fvcore counts 0 for string padding, which {', '.join(padded)} ran with",
        sum(multiplied[name] for name in padded),
    )
    yield POOLS_COUNTED, -as_convolutions(graph, averages - dropped)


def second_count_findings(rows: Iterable[Row]) -> Iterator[Finding]:
    """One finding for each row whose second count differs without a known reason."""
    for row in rows:
        second = row.values.get("fvcore_multiplications")
        if second is None or second.reason:
            continue
        counted, ours = number(second), number(row.values["multiplications"])
        if counted != ours:
            message = f"fvcore counts {counted:,} multiplications where convcost counts {ours:,}"
            yield Finding(row.name, row.variant, "multiplications", message)
