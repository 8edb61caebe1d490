"""One sentence a variant: what it saves on paper, what it saves here, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from convcost.ops import format_shape
from convcost.render.cells import compared, design_label, format_value
from convcost.render.limits import size
from convcost.report import Report, Row, Value, number
from convcost.units import format_count, format_factor, format_percent, format_seconds


def sentences(report: Report) -> Iterator[tuple[str, str]]:
    """Each variant with its sentence; the reference has one only where it was measured."""
    if report.kind == "suggest":
        yield from _designs(report)
    if report.kind == "crossover":
        yield from _crossover(report)
    if report.kind != "compare":
        return
    reference, *others = report.rows
    if reason := _bound(reference):
        yield reference.variant, f"{reason}."
    for row in others:
        clauses = [_paper(row, reference), *_proof(row, reference)]
        if "latency_ratio" in row.values:
            clauses.append(_here(row, report))
            clauses.append(_lesson(row))
            clauses.append(_bound(row))
            clauses.append(_lost(row))
        yield row.variant, "; ".join(filter(None, clauses)) + "."


def _designs(report: Report) -> Iterator[tuple[str, str]]:
    """Each design by its number, with what it is and what makes it."""
    reference, *others = report.rows
    if not others and not report.findings:
        yield design_label(0), "no design that was tried is cheaper."
    for place, row in enumerate(others, 1):
        clauses = [_paper(row, reference), *_gains(row, reference)]
        if "latency_ratio" in row.values:
            clauses += [_here(row, report), _late(row, report), _bound(row)]
        yield design_label(place), f"{row.variant}: {'; '.join(filter(None, clauses))}."
        if "command" in row.values:
            yield "", f"  {row.values['command'].value}"
        elif "spec" in row.values:
            where = "below" if _is_short(row) else "in --format json"
            yield "", f"  a layer spec of its own: {where}"
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
            yield f"{what}: {_and(map(design_label, best))}"
    ratios = [row.values.get("latency_ratio") for row in rows]
    if len(rows) > 1 and (fastest := _fastest([ratio for ratio in ratios if ratio])):
        yield f"lowest latency: {fastest}"


def _fastest(ratios: Sequence[Value]) -> str:
    """The number of the least, and those whose intervals say that they may be as fast."""
    if any(ratio.low is None or ratio.high is None for ratio in ratios) or not ratios:
        return ""
    first = min(range(len(ratios)), key=lambda place: number(ratios[place]))
    most = ratios[first].high or 0.0
    others = [i for i, ratio in enumerate(ratios) if i != first and (ratio.low or 0.0) <= most]
    maybe = f", maybe {_and(design_label(i + 1) for i in others)}" if others else ""
    return design_label(first + 1) + maybe


def _and(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def _crossover(report: Report) -> Iterator[tuple[str, str]]:
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
    paper = compared(last.values["multiplications_ratio"], "fewer", "more")
    here = f"at {key}={end:,} {_here(last, report).removeprefix('here ')}"
    yield last.variant, f"{text}; {here}; on paper {paper} multiplications there."


MOST_LINES = 24
"""A longer spec is only in the JSON."""


def specs(report: Report) -> Iterator[tuple[str, str]]:
    """The layer specs of suggested designs that are short enough to be read, each by its number."""
    for place, row in enumerate(report.rows):
        if "spec" in row.values and _is_short(row):
            yield design_label(place), str(row.values["spec"].value).rstrip()


def _is_short(row: Row) -> bool:
    return str(row.values["spec"].value).count("\n") <= MOST_LINES


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


def _proof(row: Row, reference: Row) -> Iterator[str]:
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


def _here(row: Row, report: Report) -> str:
    ratio, verdict = row.values["latency_ratio"], row.values["verdict"].value
    if verdict in ("faster", "slower"):
        return f"here {compared(ratio, 'faster', 'slower')} {_interval(row)}"
    if verdict == "same":
        delta = format_percent(float(report.environment.get("delta") or 0))
        return f"here the same time within {delta} {_interval(row)}"
    if verdict == "untrusted":
        return f"here not to be trusted: {row.values['verdict'].reason}"
    change = row.values.get("smallest_change")
    if change is None:
        rounds = "1 round is" if ratio.rounds == 1 else f"{ratio.rounds} rounds are"
        return f"here inconclusive: {rounds} too few for an interval"
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
    if paper.value is None or verdict in ("inconclusive", "untrusted"):
        return ""
    share, time = number(paper), number(row.values["latency_ratio"])
    if share < 1 and verdict in ("same", "slower"):
        return "the saving on paper does not arrive"
    if share < time < 1:
        return f"of {format_factor(1 / share)} on paper, {format_factor(1 / time)} arrives"
    if share == 1 and verdict == "slower":
        return "equal multiplications, more time"
    return ""


def _bound(row: Row) -> str:
    """What bounds its time, by the machine's ceilings: the why of a saving that doesn't arrive."""
    bound, verdict = row.values.get("bound"), row.values.get("verdict")
    if bound is None or (verdict is not None and verdict.value == "untrusted"):
        return ""
    share = number(row.values["roofline_share"])
    because = {
        "compute": f"its arithmetic takes {_best(row, 'compute')} at best",
        "memory": f"moving its bytes takes {_best(row, 'memory')} at best, its arithmetic "
        f"{_best(row, 'compute')}",
        "overhead": f"calling {_ops(row)} takes {_best(row, 'overhead')} at best, all arithmetic "
        f"{_best(row, 'compute')}",
    }[str(bound.value)]
    if bound.value == "overhead" and share < 1 / 3:
        because = f"calls, arithmetic and memory would take {_best(row, 'attainable')} at best"
    return f"bound by {bound.value}: {because} ({format_percent(share)} of the roofline)"


def _best(row: Row, what: str) -> str:
    return format_seconds(number(row.values[f"{what}_latency"]))


def _ops(row: Row) -> str:
    ops = int(number(row.values["ops"]))
    return "its one op" if ops == 1 else f"its {ops} ops"


def _lost(row: Row) -> str:
    """Which layers no longer have enough arithmetic for the bytes that they move."""
    value = row.values.get("memory_bound_layers")
    if value is None:
        return ""
    first, *others = str(value.value).split(", ")
    layers = ", ".join([first, *others[:2]])
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    return f"became bound by memory: {layers}{more}"
