"""The clauses of a sentence: what a row saves on paper, what is proven, what it saves here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from convcost.ops import format_shape
from convcost.render.cells import compared, format_value, row_label
from convcost.report import MOST_OVERHEAD, Report, Row, Value, number
from convcost.units import (
    and_list,
    format_apart,
    format_factor,
    format_percent,
    format_seconds,
)

_MOST_NAMED = 2
"""More rows than this are only counted."""


def paper(row: Row, reference: Row) -> str:
    """What it saves by the count of multiplications, and what it sees for that."""
    ratio = row.values["multiplications_ratio"]
    if ratio.value is None:
        return "on paper: nothing to compare"
    counts = [number(r.values["multiplications"]) for r in (row, reference)]
    if counts[0] == counts[1]:
        return f"on paper as many multiplications{_field_change(row, reference)}"
    words = compared(ratio, "fewer", "more")
    mine, other = format_apart("count", *counts)
    return f"on paper {words} multiplications ({mine} for {other}){_field_change(row, reference)}"


def _field_change(row: Row, reference: Row) -> str:
    mine, other = (r.values["receptive_field"] for r in (row, reference))
    if mine.value == other.value:
        return ""
    return (
        f" over a field of {format_value('receptive_field', mine)} "
        f"in place of {format_value('receptive_field', other)}"
    )


def proof(row: Row, reference: Row) -> Iterator[str]:
    """What holds of a model that was rewritten, and of one that was made dense."""
    old, new = (r.values.get("feature_map") for r in (reference, row))
    if old is None or new is None:
        return
    yield from _output(row, reference)
    if old.value == new.value:
        return
    shapes = [format_value("feature_map", value) for value in (new, old)]
    yield f"last feature map {shapes[0]} in place of {shapes[1]}"
    field = row.values["receptive_field"]
    if field.value == reference.values["receptive_field"].value:
        yield f"receptive field {format_value('receptive_field', field)} as before"
    shares = [r.values.get("response_share") for r in (row, reference)]
    if all(shares):
        texts = [_of_positions(value) for value in shares if value]
        yield f"a response at {texts[0]} of the input's positions, before at {texts[1]}"
    difference = row.values.get("largest_difference")
    if difference is None:
        yield "equality with the original was not run"
    elif difference.value is None:
        yield f"equality with the original is not claimed: {difference.reason}"
    elif not number(difference):
        yield "sampled at the old stride it equals the original, bit for bit"
    else:
        yield (
            "sampled at the old stride it differs from the original by "
            f"{number(difference):.1e} of its largest value, {difference.reason}"
        )


def _output(row: Row, reference: Row) -> Iterator[str]:
    """Its output's shape, where that isn't the last feature map itself."""
    mine, other = (r.output_shape for r in (row, reference))
    if mine == other:
        yield f"output {format_shape(mine)} as before"
    elif mine != row.values["feature_map"].value:
        yield f"output {format_shape(mine)} in place of {format_shape(other)}"


def _of_positions(share: Value) -> str:
    """A share of positions: ``all``, ``1/256``."""
    if number(share) == 1:
        return "all"
    parts = 1 / number(share)
    return f"1/{parts:,.0f}" if parts == round(parts) else format_percent(number(share))


def here(row: Row, reference: Row, report: Report, told: Collection[str] = ()) -> str:
    """What it saves by the measured latency, and how sure that is.

    The doubts in ``told`` stand elsewhere.
    """
    ratio, verdict = row.values["latency_ratio"], row.values["verdict"].value
    if verdict in ("faster", "slower"):
        return f"here {compared(ratio, 'faster', 'slower')} {_interval(row, reference)}"
    if verdict == "same":
        delta = format_percent(float(report.environment.get("delta") or 0))
        return f"here the same time within {delta} {_interval(row, reference)}"
    if verdict == "untrusted":
        own = "; ".join(doubt for doubt in doubts(row) if doubt not in told)
        return f"here not to be trusted{': ' if own else ''}{own}"
    change = row.values.get("smallest_change")
    if change is None:
        why = ("here inconclusive: too few rounds", row.values["verdict"].reason)
        return "; ".join(filter(None, why))
    return (
        f"here inconclusive {_interval(row, reference)}: "
        f"this run could only have seen a change of {format_percent(number(change))} or more"
    )


def doubts(row: Row) -> list[str]:
    """Why the latency of a row isn't to be trusted; empty where it is."""
    verdict = row.values.get("verdict")
    if verdict is None or verdict.value != "untrusted" or not verdict.reason:
        return []
    return verdict.reason.split("; ")


def shared_doubts(rows: Mapping[str, Row]) -> dict[str, str]:
    """The doubts that several of some rows have, each with the words that tell it of them all.

    Rows are by the names that they are called by.
    """
    owners: dict[str, list[str]] = {}
    for name, row in rows.items():
        for doubt in doubts(row):
            owners.setdefault(doubt, []).append(name)
    doubted = sum(bool(doubts(row)) for row in rows.values())
    return {
        doubt: f"{doubt}." if len(names) == doubted else f"{_listed(names)}: {doubt}."
        for doubt, names in owners.items()
        if len(names) > 1
    }


def _listed(names: Sequence[str]) -> str:
    """Names one after the other; those of rows with settings have commas of their own."""
    return "; ".join(names) if any(", " in name for name in names) else and_list(names)


def _interval(row: Row, reference: Row) -> str:
    ratio = row.values["latency_ratio"]
    low, high = ratio.low or 0.0, ratio.high or 0.0
    label = row_label(reference)
    whose = f"the time of {label}" if reference.settings else f"{label}'s time"
    return f"({format_factor(low)} to {format_factor(high)} of {whose})"


def lesson(row: Row) -> str:
    """What of the saving on paper arrives."""
    counted, verdict = row.values["multiplications_ratio"], row.values["verdict"].value
    if counted.value is None or verdict in ("inconclusive", "untrusted"):
        return ""
    share, time = number(counted), number(row.values["latency_ratio"])
    if share < 1 and verdict in ("same", "slower"):
        return "the saving on paper does not arrive"
    if share < time < 1:
        return f"of {format_factor(1 / share)} on paper, {format_factor(1 / time)} arrives"
    if share == 1 and verdict == "slower":
        return "equal multiplications, more time"
    return ""


def bound_by(row: Row) -> str:
    """What bounds its time, by the machine's ceilings: the why of a saving that doesn't arrive."""
    bound, verdict = row.values.get("bound"), row.values.get("verdict")
    if bound is None or (verdict is not None and verdict.value == "untrusted"):
        return ""
    latency = row.values.get("latency")
    if latency is not None and latency.low is None:
        # of too few rounds to say how far it is from its roofline
        return ""
    share = number(row.values["roofline_share"])
    reached = f"({format_percent(share)} of the roofline)"
    if bound.value == "overhead" and share < 1 / MOST_OVERHEAD:
        best = f"calls, arithmetic and memory would take {_best(row, 'attainable')} at best"
        return f"slower than three times its roofline: {best} {reached}"
    because = {
        "compute": f"its arithmetic takes {_best(row, 'compute')} at best",
        "memory": f"moving its bytes takes {_best(row, 'memory')} at best, its arithmetic "
        f"{_best(row, 'compute')}",
        "overhead": f"calling {_ops(row)} takes {_best(row, 'overhead')} at best, all arithmetic "
        f"{_best(row, 'compute')}",
    }[str(bound.value)]
    return f"bound by {bound.value}: {because} {reached}"


def _best(row: Row, what: str) -> str:
    return format_seconds(number(row.values[f"{what}_latency"]))


def _ops(row: Row) -> str:
    ops = int(number(row.values["ops"]))
    return "its one op" if ops == 1 else f"its {ops} ops"


def lost(row: Row) -> str:
    """Which layers no longer have enough arithmetic for the bytes that they move."""
    value = row.values.get("memory_bound_layers")
    if value is None:
        return ""
    first, *others = str(value.value).split(", ")
    layers = ", ".join([first, *others[:2]])
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return f"became bound by memory: {layers}{more}"


def fastest(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Which of rows with different settings takes least time, and which may be as fast."""
    timed = [row for row in rows if _is_judged(row)]
    if len(timed) < 2:
        return
    first, *others = sorted(timed, key=lambda row: number(row.values["latency"]))
    best = first.values["latency"]
    near = [row for row in others if (row.values["latency"].low or 0) <= (best.high or 0)]
    tied = f"; its interval meets {_and_others(near)}" if near else ""
    yield "fastest", f"{row_label(first)}, with {format_value('latency', best)}{tied}."


def _is_judged(row: Row) -> bool:
    latency, verdict = row.values.get("latency"), row.values.get("verdict")
    trusted = verdict is None or verdict.value != "untrusted"
    return trusted and latency is not None and latency.low is not None


def _and_others(rows: Sequence[Row]) -> str:
    """The intervals of a few rows by name, of many by their number."""
    if len(rows) > _MOST_NAMED:
        return f"those of {len(rows)} others"
    return f"that of {' and that of '.join(map(row_label, rows))}"
