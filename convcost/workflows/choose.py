"""Which rows of a profile are shown, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from convcost.errors import ConvcostError, did_you_mean, some_of
from convcost.report import METRICS, Row, Selection, Value


def choose(rows: Sequence[Row], glob: str | None, sort: str | None, top: int | None) -> list[Row]:
    """The rows that were asked for, in the order that was asked for.

    Raises:
        ConvcostError: no row has the name, or there is no such metric.
    """
    chosen = list(rows)
    if glob is not None:
        chosen = [row for row in chosen if fnmatchcase(row.name, glob)]
        if not chosen:
            names = some_of(row.name for row in rows)
            raise ConvcostError(f"no row matches {glob!r}", f"the rows: {names}")
    if sort is not None:
        key = sort
        if not any(key in row.values for row in rows):
            raise _cant_sort(key, rows[0])
        chosen.sort(key=lambda row: _sort_key(row.values.get(key)), reverse=True)
    return chosen[:top]


def selection(
    rows: Sequence[Row], chosen: Sequence[Row], glob: str | None, sort: str | None, top: int | None
) -> Selection | None:
    """How ``chosen`` came about; None where it is all ``rows`` in their order."""
    return None if chosen == rows else Selection(len(rows), glob, sort, top)


def _cant_sort(key: str, row: Row) -> ConvcostError:
    if key in METRICS and "latency" in key:
        return ConvcostError(f"can't sort by {key}: it isn't measured", "leave out --no-measure")
    known = [metric for metric in METRICS if metric in row.values]
    named = [metric for metric in known if key and key in metric]
    guess = f"did you mean {named[0]}? " if named else did_you_mean(key, known)
    hint = f"{guess}sort by one of: {', '.join(known)}"
    return ConvcostError(f"can't sort by {key!r}", hint)


def _sort_key(value: Value | None) -> tuple[float, ...]:
    """Largest first, what isn't known last, ``global`` before any number."""
    if value is None or value.value is None:
        return (float("-inf"),)
    parts = value.value if isinstance(value.value, tuple) else (value.value,)
    return tuple(float("inf") if isinstance(part, str) else float(part) for part in parts)
