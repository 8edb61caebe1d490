"""The cells of a diff: ``+Δ (old → new, %)``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convcost.render.cells import BOUND_SIGNS, Cell, Column, format_value
from convcost.report import METRICS, Report, Row, Value, number
from convcost.units import FORMATTERS, and_list, format_apart, format_percent

_SHOWN = (
    "parameters",
    "multiplications",
    "activation_bytes",
    "peak_activation_bytes",
    "receptive_field",
    "receptive_field_density",
    "latency",
)
ADDED, REMOVED = "added", "removed"


def change_columns(report: Report) -> Sequence[Column]:
    """A column for each metric that changed anywhere; none where nothing did."""
    rows = [*report.rows, total_row(report)]
    keys = [key for key in _SHOWN if any(_differs(key, row) for row in rows)]
    if not keys:
        return []
    return [
        Column("layer", lambda row: Cell(row.name), right=False),
        Column("", lambda row: Cell(_state(row)), right=False),
        *(_column(key) for key in keys),
    ]


def changed_rows(report: Report) -> Sequence[Row]:
    """The rows in which a column has something to show."""
    return [row for row in report.rows if any(_differs(key, row) for key in _SHOWN)]


def unseen_changes(report: Report) -> Iterator[str]:
    """How many of the layers that differ have no line, and in what they differ."""
    unseen: dict[tuple[str, ...], int] = {}
    for row in report.rows:
        if not any(_differs(key, row) for key in _SHOWN):
            keys = tuple(key for key in METRICS if _differs(key, row))
            unseen[keys] = unseen.get(keys, 0) + 1
    unseen.pop((), None)
    for keys, count in unseen.items():
        labels = and_list(METRICS[key].label for key in keys)
        differ = "differs" if count == 1 else "differ"
        yield f"{count} of them {differ} only in {labels}, and so not in the table"


def total_row(report: Report) -> Row:
    """The whole, before and after."""
    return Row("total", "standard", "", "", (), report.totals, base=report.base_totals)


def _column(key: str) -> Column:
    return Column(METRICS[key].label, lambda row: Cell(*_cell(key, row)))


def _cell(key: str, row: Row) -> tuple[str, str]:
    """The change, and in brackets what it was and is."""
    old, new = row.base.get(key), row.values.get(key)
    if row.name != "total" and not (row.base and row.values):
        return format_value(key, new or old), ""
    if old is None or new is None or not _differs(key, row):
        return "", ""
    if not _is_number(old) or not _is_number(new):
        return f"{format_value(key, old)} → {format_value(key, new)}", ""
    before, after = number(old), number(new)
    texts = format_apart(METRICS[key].unit, before, after)
    if _bound(old) or _bound(new):  # how far apart two bounds are says nothing
        return f"{_bound(old)}{texts[0]} → {_bound(new)}{texts[1]}", ""
    sign = "+" if after > before else "−"
    share = f", {sign}{format_percent(abs(after / before - 1))}" if before else ""
    delta = FORMATTERS[METRICS[key].unit](abs(after - before))
    return f"{sign}{delta}", f"({texts[0]} → {texts[1]}{share})"


def _is_number(value: Value) -> bool:
    return isinstance(value.value, int | float)


def _state(row: Row) -> str:
    if row.base and row.values:
        return ""
    return ADDED if row.values else REMOVED


def _differs(key: str, row: Row) -> bool:
    """Whether a value changed; one that only one side of a row has is no change."""
    old, new = row.base.get(key), row.values.get(key)
    if old is None or new is None:
        return old is not new and not (row.base and row.values)
    return (old.value, _bound(old)) != (new.value, _bound(new))


def _bound(value: Value) -> str:
    """The sign of what is only a bound."""
    return BOUND_SIGNS.get(value.status, "")
