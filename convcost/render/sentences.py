"""One sentence a variant: what it saves on paper, what it saves here, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from convcost.render.cells import compared, format_value
from convcost.report import Report, Row, number
from convcost.units import format_count, format_factor, format_percent


def sentences(report: Report) -> Iterator[tuple[str, str]]:
    """Each variant but the reference, with its sentence."""
    if report.kind != "compare":
        return
    reference, *others = report.rows
    for row in others:
        clauses = [_paper(row, reference)]
        if "latency_ratio" in row.values:
            clauses.append(_here(row, report))
            clauses.append(_lesson(row))
        yield row.variant, "; ".join(filter(None, clauses)) + "."


def _paper(row: Row, reference: Row) -> str:
    ratio = row.values["multiplications_ratio"]
    if ratio.value is None:
        return "on paper: nothing to compare"
    counts = [number(r.values["multiplications"]) for r in (row, reference)]
    if counts[0] == counts[1]:
        return f"on paper as many multiplications{_field_change(row, reference)}"
    words = compared(ratio, "fewer", "more")
    return (
        f"on paper {words} multiplications ({format_count(counts[0])} for "
        f"{format_count(counts[1])}){_field_change(row, reference)}"
    )


def _field_change(row: Row, reference: Row) -> str:
    mine, other = (r.values["receptive_field"] for r in (row, reference))
    if mine.value == other.value:
        return ""
    return (
        f" over a field of {format_value('receptive_field', mine)} "
        f"in place of {format_value('receptive_field', other)}"
    )


def _here(row: Row, report: Report) -> str:
    ratio, verdict = row.values["latency_ratio"], row.values["verdict"].value
    if verdict in ("faster", "slower"):
        return f"here {compared(ratio, 'faster', 'slower')} {_interval(row)}"
    if verdict == "same":
        delta = format_percent(float(report.environment.get("delta") or 0))
        return f"here the same time within {delta} {_interval(row)}"
    change = row.values.get("smallest_change")
    if change is None:
        return f"here inconclusive: {ratio.rounds} rounds are too few for an interval"
    return (
        f"here inconclusive {_interval(row)}: "
        f"this run could only have seen a change of {format_percent(number(change))} or more"
    )


def _interval(row: Row) -> str:
    ratio = row.values["latency_ratio"]
    low, high = ratio.low or 0.0, ratio.high or 0.0
    return f"({format_factor(low)} to {format_factor(high)} of standard's time)"


def _lesson(row: Row) -> str:
    paper, verdict = row.values["multiplications_ratio"], row.values["verdict"].value
    if paper.value is None or verdict == "inconclusive":
        return ""
    share, time = number(paper), number(row.values["latency_ratio"])
    if share < 1 and verdict in ("same", "slower"):
        return "the saving on paper does not arrive"
    if share < time < 1:
        return f"of {format_factor(1 / share)} on paper, {format_factor(1 / time)} arrives"
    if share == 1 and verdict == "slower":
        return "equal multiplications, more time"
    return ""
