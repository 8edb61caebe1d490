"""The sentences of a search: designs by their numbers, and where a crossover lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convcost.render.cells import compared, design_label, format_value
from convcost.render.clauses import bound_by, doubts, here, paper, shared_doubts
from convcost.render.limits import size
from convcost.report import Report, Row, Value, number
from convcost.units import and_list, format_seconds


def designs(report: Report) -> Iterator[tuple[str, str]]:
    """Each design by its number, with what it is and what makes it."""
    reference, *others = report.rows
    if not others and not report.findings:
        yield design_label(0), "no design that was tried is cheaper."
    told = shared_doubts({design_label(place): row for place, row in enumerate(others, 1)})
    for place, row in enumerate(others, 1):
        clauses = [paper(row, reference), *_gains(row, reference)]
        if "latency_ratio" in row.values:
            clauses += [here(row, reference, report, told), _late(row, report), bound_by(row)]
        yield design_label(place), f"{row.variant}: {'; '.join(filter(None, clauses))}."
        if "command" in row.values:
            yield "", f"  {row.values['command'].value}"
        elif "spec" in row.values:
            where = "below" if _is_short(row) else "in --format json"
            yield "", f"  a layer spec of its own: {where}"
    yield from (("untrusted", text) for text in told.values())
    if best := "; ".join(_best_designs(others)):
        yield "choose", f"{best}."


_BEST = {
    "fewest multiplications": ("multiplications", "max", 1),
    "fewest bytes moved": ("bytes_moved", "max", 1),
    "widest field": ("receptive_field", "min", -1),
    "smallest stride": ("effective_stride", "max", 1),
}


def _best_designs(rows: Sequence[Row]) -> Iterator[str]:
    """What each design is the best in, where they differ; several where they are alike."""
    for what, (key, bound, sign) in _BEST.items():
        sizes = [sign * size(row.values[key], bound) for row in rows]
        if len(set(sizes)) > 1:
            best = (place for place, found in enumerate(sizes, 1) if found == min(sizes))
            yield f"{what}: {and_list(map(design_label, best))}"
    ratios = [row.values.get("latency_ratio") for row in rows]
    trusted = not any(map(doubts, rows))
    if trusted and len(rows) > 1 and (fastest := _fastest([ratio for ratio in ratios if ratio])):
        yield f"lowest latency: {fastest}"


def _fastest(ratios: Sequence[Value]) -> str:
    """The number of the least, and those whose intervals say that they may be as fast."""
    if any(ratio.low is None or ratio.high is None for ratio in ratios) or not ratios:
        return ""
    first = min(range(len(ratios)), key=lambda place: number(ratios[place]))
    most = ratios[first].high or 0.0
    others = [i for i, ratio in enumerate(ratios) if i != first and (ratio.low or 0.0) <= most]
    maybe = f", maybe {and_list(design_label(i + 1) for i in others)}" if others else ""
    return design_label(first + 1) + maybe


def crossover(report: Report) -> Iterator[tuple[str, str]]:
    """Where the verdict turns, and what the variant is worth at the end."""
    totals, last = report.totals, report.rows[-1]
    if "verdict_first" not in totals:
        return
    key, end = report.environment["vary"], report.environment["last"]
    before, after = (str(totals[k].value) for k in ("verdict_first", "verdict_last"))
    ends = [totals.get(k) for k in ("crossover_after", "crossover_until")]
    parts = [
        f"{before} up to {number(ends[0]):,}" if ends[0] else "undecided at first",
        f"{after} from {number(ends[1]):,} on" if ends[1] else "undecided at the end",
    ]
    if before == after == "undecided":
        text = "undecided at both ends: whether there is a crossover can't be said"
    elif before == after:
        text = f"no crossover: {after} at both ends"
    elif all(ends):
        text = f"here {', '.join(parts)}: the crossover lies between"
    else:
        text = f"here {', '.join(parts)}: a crossover isn't sure"
    counted = compared(last.values["multiplications_ratio"], "fewer", "more")
    standard = last._replace(variant="standard", settings={})
    timed = f"at {key}={end:,} {here(last, standard, report).removeprefix('here ')}"
    yield last.variant, f"{text}; {timed}; on paper {counted} multiplications there."


MOST_LINES = 24
"""A longer spec is only in the JSON."""


def specs(report: Report) -> Iterator[tuple[str, str]]:
    """The layer specs of suggested designs that are short enough to be read, each by its number."""
    for place, row in enumerate(report.rows):
        if "spec" in row.values and _is_short(row):
            yield design_label(place), str(row.values["spec"].value).rstrip()


def _is_short(row: Row) -> bool:
    return str(row.values["spec"].value).count("\n") <= MOST_LINES


def _gains(row: Row, reference: Row) -> Iterator[str]:
    """What a design sees better than the reference, or worse."""
    words = {"receptive_field_density": "of its field it sees", "effective_stride": "stride"}
    for key, what in words.items():
        values = [r.values[key] for r in (row, reference)]
        if None not in (mine := [value.value for value in values]) and mine[0] != mine[1]:
            new, old = (format_value(key, value) for value in values)
            yield f"{what} {new} in place of {old}"


def _late(row: Row, report: Report) -> str:
    """Where it isn't sure that a design takes no longer than it may."""
    limit, high = report.environment.get("max_latency"), row.values["latency"].high
    if limit is None or high is None or high <= float(limit) or report.findings:
        return ""
    return f"not surely within {format_seconds(float(limit))}: it may take {format_seconds(high)}"
