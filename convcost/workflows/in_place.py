"""The time of each row of a model, from the segments that were measured in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from convcost.measure.intervals import estimate
from convcost.measure.settings import CONFIDENCE
from convcost.report import Row, Value, exact, unavailable
from convcost.workflows.fold import Group
from convcost.workflows.measured import NO_ROUND, estimated
from convcost.workflows.roofline import Work, on_roofline

if TYPE_CHECKING:
    from convcost.measure.in_place import InPlace

BETWEEN = "between layers"


class _Segment(NamedTuple):
    """A gap or a call, with the nodes that ran in it."""

    nodes: frozenset[int]
    seconds: Sequence[float]


def with_latency(
    rows: Sequence[Row],
    groups: Sequence[Group],
    layers: Sequence[Group],
    measured: InPlace,
    work: Callable[[Iterable[int]], Sequence[Work]],
) -> list[Row]:
    """``rows`` with latency, share and roofline; time in which no row ran is a row of its own.

    ``work`` gives that of the nodes at some indexes.

    Every segment goes to one row, so that shares add up to 1.
    """
    segments = _segments(layers, measured.segments)
    if not segments:
        differing = "the calls differ from those of the pass without data"
        untold = {"latency": unavailable(NO_ROUND if measured.total is None else differing)}
        return [row._replace(values={**row.values, **untold}) for row in rows]
    whole = sum(sum(segment.seconds) for segment in segments)
    timed = []
    for row, group in zip(rows, groups, strict=True):
        nodes = frozenset(group.nodes)
        mine = [s for s in segments if s.nodes and min(s.nodes) in nodes]
        values = _latency(mine, nodes, whole) if row.op != "input" else {"latency": _AN_INPUT}
        # the time of other rows must not count against this one's ceilings
        alone = values["latency"].reason is None
        if alone and (ops := work(group.nodes)):
            values |= on_roofline(ops, measured.ceilings, values["latency"])
        timed.append(row._replace(values={**row.values, **values}))
    rest = [segment for segment in segments if not segment.nodes]
    values = _latency(rest, frozenset(), whole)
    return [*timed, Row(BETWEEN, "standard", "overhead", "", (), {**_nothing(rows[0]), **values})]


_AN_INPUT = unavailable("an input takes no time")


def total_latency(measured: InPlace) -> dict[str, Value]:
    """The time of a plain pass, why it can't be trusted, if so, and what the instrument adds."""
    if measured.total is None or measured.cost is None:
        return {"latency": unavailable(NO_ROUND)}
    cost = estimated(measured.cost)
    doubts = "; ".join(measured.doubts) or None
    latency = estimated(measured.total)._replace(reason=doubts)
    return {"latency": latency, "instrument_ratio": cost}


def _segments(layers: Sequence[Group], seconds: Sequence[Sequence[float]]) -> list[_Segment]:
    """Gap, call, gap, …: calls have their layer's nodes, gaps those of the ops between."""
    nodes: list[set[int]] = [set()]
    for layer in layers:
        if layer.is_call:
            nodes += [set(layer.nodes), set()]
        else:
            nodes[-1].update(layer.nodes)
    if len(nodes) != len(seconds):
        return []
    pairs = zip(nodes, seconds, strict=True)
    return [_Segment(frozenset(members), series) for members, series in pairs]


def _latency(segments: Sequence[_Segment], nodes: frozenset[int], whole: float) -> dict[str, Value]:
    if not segments:
        return {"latency": unavailable("in the time of a row before it")}
    series = [sum(parts) for parts in zip(*(s.seconds for s in segments), strict=True)]
    value = estimated(estimate(series, CONFIDENCE))
    if any(segment.nodes - nodes for segment in segments):
        value = value._replace(reason="with the rows after it that have none")
    return {"latency": value, "latency_share": Value("measured", sum(series) / whole)}


def _nothing(row: Row) -> dict[str, Value]:
    return {key: exact(0) for key, value in row.values.items() if isinstance(value.value, int)}
