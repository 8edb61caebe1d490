"""Tables of many rows with fewer columns, for terminals that have no room for all."""

from __future__ import annotations

from collections.abc import Iterator

from convcost.render.sections import Section
from convcost.report import METRICS

_DISPENSABLE = (
    METRICS["peak_activation_bytes"].label,
    METRICS["activation_bytes"].label,
    "activation",
    METRICS["arithmetic_intensity"].label,
    "stride",
    "output",
    "op",
    METRICS["parameters"].label,
    METRICS["receptive_field"].label,
)
"""Headers of a layer's columns, in the order in which they are left out."""
MOST_BLOCKS = 4
"""More rows than this are easier to read with fewer columns than as blocks of lines."""


def narrowed(section: Section) -> Iterator[tuple[Section, tuple[str, ...]]]:
    """The section with fewer and fewer columns, and which are left out."""
    present = {column.header for column in section.columns}
    out: tuple[str, ...] = ()
    for header in _DISPENSABLE if len(section.rows) > MOST_BLOCKS else ():
        if header in present:
            out = (*out, header)
            kept = [column for column in section.columns if column.header not in out]
            yield section._replace(columns=kept), out
