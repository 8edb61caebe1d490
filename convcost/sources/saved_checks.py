"""What a saved report must hold beyond its types, so that every format can show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from convcost.report import GLOBAL, METRICS, Limit, Report, Row, Value
from convcost.sources.baseline import LARGEST
from convcost.sources.check_fields import LIMITED, SMALLEST

_OF_VARIANTS = (
    "convolutions",
    "rewritten",
    "receptive_field",
    "receptive_field_density",
    "multiplications",
    "multiplications_ratio",
)
_NEEDED_IN_ROWS: Mapping[str, Sequence[str]] = {
    "compare": _OF_VARIANTS,
    "suggest": (*_OF_VARIANTS, "effective_stride", "bytes_moved"),
    "crossover": ("multiplications", "multiplications_ratio", "latency_ratio"),
    "machine": (),
    "profile": (),
    "check": (),
    "diff": (),
}
_NEEDED_IN_VERIFICATION = (
    "multiplications",
    "fvcore_multiplications",
    "flop_counter_multiplications",
)
_ON_ROOFLINE = (
    "multiplications",
    "bytes_moved",
    "arithmetic_intensity",
    "compute_latency",
    "memory_latency",
)
_NEEDED_WITH: Mapping[str, Sequence[str]] = {
    "latency_ratio": ("latency", "verdict"),
    "fvcore_multiplications": ("multiplications",),
    "bound": (
        *_ON_ROOFLINE,
        "latency",
        "ops",
        "overhead_latency",
        "attainable_latency",
        "roofline_share",
    ),
}
_BOUNDS = ("compute", "memory", "overhead")
_LEVELS = ("error", "warn")
_KNOWN = ("multiplications", "latency_ratio", "verdict")
"""In a comparison these aren't unavailable."""
_ENVIRONMENT_OF_A_MACHINE = ("device", "threads", "torch")
_ENVIRONMENT_OF_A_RUN = (*_ENVIRONMENT_OF_A_MACHINE, "dtype", "memory_format", "rounds")
_ENVIRONMENT_OF_A_CROSSOVER = ("layer", "vary", "first", "last")
_WORDS = ("word", "positions")
_OF_SEVERAL_LINES = ("message", "note", "hint", "reason", "notices")
_A_SPEC = ".spec.value"


def data_mistakes(data: object, place: str = "", key: str = "") -> Iterator[str]:
    """Texts that would steer a terminal and numbers that nothing has, anywhere in the JSON."""
    if isinstance(data, dict):
        for name, entry in data.items():
            yield from data_mistakes(name, place)
            yield from data_mistakes(entry, f"{place}.{name}".lstrip("."), name)
    elif isinstance(data, list):
        for index, entry in enumerate(data):
            yield from data_mistakes(entry, f"{place}.{index}", key)
    elif isinstance(data, str):
        has_lines = key in _OF_SEVERAL_LINES or place.endswith(_A_SPEC)
        text = data.replace("\n", "") if has_lines else data
        if not text.isprintable():
            yield f"{place}: not printable"
    elif isinstance(data, int | float) and data and not SMALLEST <= abs(data) <= LARGEST:
        yield f"{place}: a number beyond all measure"


def report_mistakes(report: Report) -> Iterator[str]:
    """What is missing, and values that are none of their metric."""
    if not report.rows and report.kind != "diff":
        yield "rows: none"
    tables = {"rows": report.rows, "layers": report.layers, "verification": report.verification}
    needed = {
        "rows": _NEEDED_IN_ROWS[report.kind],
        "verification": _NEEDED_IN_VERIFICATION,
    }
    for table, rows in tables.items():
        for index, row in enumerate(rows):
            mistakes = chain(
                _missing(row, needed.get(table, ())),
                _misfits(row.values),
                _roofline_mistakes(row.values),
            )
            yield from (f"{table}.{index}.values.{text}" for text in mistakes)
            yield from (f"{table}.{index}.base.{text}" for text in _misfits(row.base))
    totals = chain(_misfits(report.totals), _roofline_mistakes(report.totals))
    yield from (f"totals.{text}" for text in totals)
    yield from (f"base_totals.{text}" for text in _misfits(report.base_totals))
    for index, limit in enumerate(report.limits):
        yield from (f"limits.{index}.{text}" for text in _limit_mistakes(limit))
    if report.kind == "check":
        yield from _finding_mistakes(report)
    if report.selection is not None and report.selection.sort not in (None, *METRICS):
        yield "selection.sort: unknown"
    yield from _environment_mistakes(report)
    yield from _field_mistakes(report)
    if report.kind == "crossover":
        yield from _crossover_mistakes(report)
    if report.kind in ("compare", "suggest"):
        yield from _comparison_mistakes(report.rows)


def _missing(row: Row, needed: Sequence[str]) -> Iterator[str]:
    with_others = (keys for key, keys in _NEEDED_WITH.items() if key in row.values)
    for key in (*needed, *chain.from_iterable(with_others)):
        if key not in row.values:
            yield f"{key}: missing"


def _misfits(values: Mapping[str, Value]) -> Iterator[str]:
    for key, value in values.items():
        unit = METRICS[key].unit if key in METRICS else "word"
        if (value.value is None) is not (value.status == "unavailable"):
            yield f"{key}: {value.status}, but its value is {value.value}"
        elif unit == "positions" and not _are_positions(value.value):
            yield f"{key}: not positions"
        elif unit not in _WORDS and isinstance(value.value, str | tuple):
            yield f"{key}: not a number"
        elif key in METRICS and unit == "word" and isinstance(value.value, int | float | tuple):
            yield f"{key}: not a word"
        elif unit == "factor" and isinstance(value.value, int | float) and value.value <= 0:
            yield f"{key}: not above 0"


def _are_positions(found: object) -> bool:
    """A number or ``global``, or one of them for each axis."""
    axes = found if isinstance(found, tuple) else (found,)
    return bool(axes) and all(
        axis in (None, GLOBAL) or isinstance(axis, int | float) for axis in axes
    )


def _roofline_mistakes(values: Mapping[str, Value]) -> Iterator[str]:
    """What a row that is bound by something can't have."""
    if "bound" not in values:
        return
    if values["bound"].value not in _BOUNDS:
        yield f"bound: none of {', '.join(_BOUNDS)}"
    sizes = {key: values[key].value for key in _ON_ROOFLINE if key in values}
    for key, size in sizes.items():
        if not isinstance(size, int | float) or size < 0:
            yield f"{key}: not a number from 0 on"
        elif not size and sizes["multiplications"]:
            yield f"{key}: 0 of a row that multiplies"


def _limit_mistakes(limit: Limit) -> Iterator[str]:
    if limit.metric not in LIMITED:
        yield "metric: none that can be limited"
        return
    sides = {"found": limit.found, "base": limit.base}
    there = {side: value for side, value in sides.items() if value is not None}
    for side, value in there.items():
        yield from (f"{side}.{text}" for text in _misfits({limit.metric: value}))
        parts = value.value if isinstance(value.value, tuple) else (value.value or 0,)
        if not parts or not all(part == GLOBAL or not isinstance(part, str) for part in parts):
            yield f"{side}.value: no size"
    if limit.ratio is not None:
        yield from (f"ratio.{text}" for text in _misfits({"latency_ratio": limit.ratio}))
        if limit.ratio.value is None:
            yield "ratio.value: missing"


def _finding_mistakes(report: Report) -> Iterator[str]:
    for index, finding in enumerate(report.findings):
        if finding.metric not in METRICS:
            yield f"findings.{index}.metric: unknown"
        if finding.level not in _LEVELS:
            yield f"findings.{index}.level: none of {', '.join(_LEVELS)}"
        if finding.line is None:
            yield f"findings.{index}.line: missing"


def _environment_mistakes(report: Report) -> Iterator[str]:
    environment, needed = report.environment, list[str]()
    if "processor" in environment:
        needed += _ENVIRONMENT_OF_A_RUN
    if report.kind == "machine":
        needed = [*_ENVIRONMENT_OF_A_MACHINE]
    if report.kind == "crossover":
        needed += _ENVIRONMENT_OF_A_CROSSOVER
    yield from (f"environment.{key}: missing" for key in needed if key not in environment)
    if not isinstance(environment.get("delta"), int | float | None):
        yield "environment.delta: not a number"


def _field_mistakes(report: Report) -> Iterator[str]:
    for index, seen in enumerate(report.seen):
        axes = {len(box) for box in seen.boxes}
        lengths = (length for box in seen.boxes for runs in box for _, length in runs)
        if len(axes) != 1 or 0 in axes or not all(runs for box in seen.boxes for runs in box):
            yield f"seen.{index}.boxes: not of the same axes"
        elif min(lengths) < 1:
            yield f"seen.{index}.boxes: a run of no positions"
    field = report.effective_field
    if field is None:
        return
    if len({len(row) for row in field.shares}) != 1 or not field.shares[0]:
        yield "effective_field.shares: not a rectangle"
    elif min(map(min, field.shares)) < 0 or min(*field.cell, field.samples) < 1:
        yield "effective_field: a share, a size or a number of samples that nothing has"


def _crossover_mistakes(report: Report) -> Iterator[str]:
    varied = str(report.environment.get("vary"))
    if not isinstance(report.environment.get("last"), int):
        yield "environment.last: not a whole number"
    for index, row in enumerate(report.rows):
        if not isinstance(row.settings.get(varied), int):
            yield f"rows.{index}.settings.{varied}: not a whole number"
        ratio = row.values.get("latency_ratio")
        if ratio is not None and ratio.value is None:
            yield f"rows.{index}.values.latency_ratio: unavailable"
    if len({"verdict_first" in report.totals, "verdict_last" in report.totals}) > 1:
        yield "totals: verdict_first and verdict_last belong together"


def _comparison_mistakes(rows: Sequence[Row]) -> Iterator[str]:
    for index, row in enumerate(rows):
        for key in _KNOWN:
            if key in row.values and row.values[key].value is None:
                yield f"rows.{index}.values.{key}: unavailable"
    if len({"latency" in row.values for row in rows}) > 1:
        yield "rows: only some have a latency"
