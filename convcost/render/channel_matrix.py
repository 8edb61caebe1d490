"""Which input channels each output channel of a convolution reads, as a matrix of marks."""

from __future__ import annotations

from rich.text import Text

from convcost.picture import Channels
from convcost.render.marks import SEEN, SEEN_STYLE, UNSEEN, UNSEEN_STYLE

MOST_CHANNELS = 8
_READS = {
    "standard": "mixes all inputs",
    "grouped": "mixes the inputs of a group",
    "depthwise": "mixes none: one input each",
    "pointwise": "mixes all inputs, at one position",
}


def channel_matrix(one: Channels) -> Text:
    """Rows are output channels, columns input channels."""
    columns, rows = _shown(one.in_channels), _shown(one.out_channels)
    digits = len(str(one.out_channels - 1))
    lines = [
        Text.assemble((one.name, "bold"), f": {one.kind}"),
        Text(f"{one.in_channels} in, {one.out_channels} out"),
        Text(_READS[one.kind], style="dim"),
    ]
    for row in rows:
        line = Text(("⋮" if row is None else str(row)).rjust(digits) + " ", style="dim")
        for column in columns:
            line.append(*_read(one, row, column))
        line.rstrip()
        lines.append(line)
    return Text("\n").join(lines)


def _shown(count: int) -> list[int | None]:
    """The channels that are drawn: all, or the first, a gap and the last."""
    if count <= MOST_CHANNELS:
        return list(range(count))
    return [*range(MOST_CHANNELS - 2), None, count - 1]


def _read(one: Channels, row: int | None, column: int | None) -> tuple[str, str]:
    if row is None or column is None:
        return ("⋮ " if row is None and column is not None else "… "), UNSEEN_STYLE
    group = row // (one.out_channels // one.groups)
    reads = column // (one.in_channels // one.groups) == group
    return (f"{SEEN} ", SEEN_STYLE) if reads else (f"{UNSEEN} ", UNSEEN_STYLE)
