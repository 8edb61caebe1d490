"""The lines under a table: how the numbers came about, and why some differ or are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from convcost.render.cells import mark, row_label
from convcost.render.changes import unseen_changes
from convcost.report import METRICS, Report, Row, Value, number
from convcost.units import format_factor, format_several


def footnotes(report: Report) -> Iterator[str]:
    """How the numbers came about, in one line, and the meaning of the marks that are used."""
    env = report.environment
    if report.kind == "machine":
        yield from _machine_notes(report)
        return
    if "processor" in env:
        threads = format_several(env["threads"], "thread")
        yield (
            f"{env['processor']}, {env['device']}, {threads}, {env['dtype']}, "
            f"{env['memory_format']}, torch {env['torch']}{_rounds(report)}"
        )
    if "clock_mhz" in env:
        most = f" of at most {env['most_clock_mhz']}" if "most_clock_mhz" in env else ""
        slowed = f", held down by {env['slowed_by']}" if env.get("slowed_by") else ""
        yield f"clock {env['clock_mhz']}{most} MHz{slowed}"
    if any(map(_is_beyond_roofline, report.rows)):
        yield (
            "bound by: not known where a row is faster than the machine's ceilings, which were "
            "measured beside other work; 'convcost machine --refresh' measures them again"
        )
    if reasons := "; ".join(_beyond_roofline(report)):
        yield (
            f"over 100 % of the roofline: {reasons}; or the ceilings were measured beside other "
            "work: 'convcost machine --refresh' measures them again"
        )
    yield from _differences(report)
    if report.kind == "diff":
        yield from unseen_changes(report)
    marks = {mark(row) for row in report.rows}
    if report.kind == "profile":
        yield from _profile_notes(report)
    else:
        yield from _unknown(report.rows)
    if "✓" in marks:
        yield "✓ fvcore counts the same"
    yield from _second_counts(report.rows)


_COUNTED = ("receptive_field", "multiplications", "multiplications_ratio")
_WHY_BEYOND = {
    "memory": "its data came from the caches, and the bandwidth is that of memory",
    "compute": "its kernel multiplied less than is counted, as Winograd's algorithm does",
    "overhead": "its ops are called faster than the smallest convolution",
}
_SHOWN_BEYOND = 1.05
"""From here on a share is shown as more than 100 %."""


def _beyond_roofline(report: Report) -> Iterator[str]:
    """Why rows of each kind reach more than the roofline."""
    all_values = [*(row.values for row in report.rows), report.totals]
    beyond = {
        str(values["bound"].value)
        for values in all_values
        if "bound" in values and _share(values) >= _SHOWN_BEYOND
    }
    yield from (f"bound by {bound}, {why}" for bound, why in _WHY_BEYOND.items() if bound in beyond)


def _share(values: Mapping[str, Value]) -> float:
    share = values.get("roofline_share")
    return number(share) if share is not None and share.value is not None else 0


def _rounds(report: Report) -> str:
    env = report.environment
    if not env["rounds"]:
        return ""
    rounds = f"; {format_several(env['rounds'], 'round')} with {env.get('caches', 'warm')} caches"
    all_values = (*(row.values for row in report.rows), report.totals)
    known = {v.low is not None for values in all_values for v in values.values() if v.rounds}
    brackets = "" if known == {False} else ", 99 % intervals in brackets"
    if False not in known:
        return rounds + brackets
    few = "some" if brackets else "an interval"
    return f"{rounds}{brackets}: too few for {few}, give it more time with --seconds"


def _is_beyond_roofline(row: Row) -> bool:
    latency, best = (row.values.get(key) for key in ("latency", "attainable_latency"))
    if latency is None or latency.value is None or best is None or not best.value:
        return False
    return "bound" not in row.values


def _unknown(rows: Sequence[Row]) -> Iterator[str]:
    """Why a ``?`` of what is counted stands there."""
    for key in _COUNTED:
        unknown = [row for row in rows if key in row.values and row.values[key].value is None]
        for reason, same in _by_reason(unknown, key).items():
            yield f"? {METRICS[key].label}, {', '.join(map(row_label, same))}: {reason}"


def _second_counts(rows: Sequence[Row]) -> Iterator[str]:
    """Why fvcore's count isn't ours or isn't there."""
    for reason, same in _by_reason(rows, "fvcore_multiplications").items():
        variants = ", ".join(map(row_label, same))
        yield f"{mark(same[0])} {variants}: {reason}".lstrip()


def _by_reason(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    """The rows that have a value with a reason, together where it is the same: it is told once."""
    told: dict[str, list[Row]] = {}
    for row in rows:
        if key in row.values and (reason := row.values[key].reason):
            told.setdefault(reason, []).append(row)
    return told


def _machine_notes(report: Report) -> Iterator[str]:
    env = report.environment
    yield f"{format_several(env['threads'], 'thread')}, torch {env['torch']}"
    yield (
        "multiplications: a large matrix product; memory: a copy larger than the caches, bytes "
        "read and written; an op with fewer FLOP per byte than the last column is bound by memory"
    )


def _differences(report: Report) -> Iterator[str]:
    """Why the second counts differ from ours."""
    reasons = (
        f"{row.name}: {value.reason}"
        for row in report.verification[:-1]
        for value in row.values.values()
        if value.reason
    )
    yield from dict.fromkeys(reasons)


def _profile_notes(report: Report) -> Iterator[str]:
    """What a reader of the layers must know: unknown values, and what the clock itself costs."""
    for key in ("receptive_field", "multiplications"):
        total = report.totals.get(key)
        if total is not None and total.reason:
            yield f"{METRICS[key].label} of the whole: {total.reason}"
    latencies = (row.values.get("latency") for row in report.rows if row.op != "input")
    reasons = (value.reason for value in latencies if value is not None and value.value is None)
    yield from (f"no latency: {reason}" for reason in dict.fromkeys(filter(None, reasons)))
    if any("bound" in row.values for row in report.rows):
        yield "bound by: what limits a row, and the share of the machine's roofline that it reaches"
    cost = report.totals.get("instrument_ratio")
    if cost is not None and cost.value is not None:
        yield f"a pass with the layers' clocks takes {format_factor(number(cost))} of a plain pass"
