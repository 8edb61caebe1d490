"""What one output sees, drawn with characters: a mark for each input position, or for several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from convcost.ops import format_shape
from convcost.picture import Layer, Picture, Raster, Step
from convcost.render.cells import format_value
from convcost.render.channel_matrix import channel_matrix
from convcost.render.marks import SEEN, SHADES, UNSEEN, Scale, fitting_scale, has_holes, mark_rows
from convcost.report import number

GAP = 3
"""Columns between two drawings side by side."""
LEAST_WIDTH = 24
"""Where fewer columns are left for each of two drawings, they stand one below the other."""


class PictureView:
    """A picture as rich shows it, in whatever width there is."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        picture, width = self._picture, options.max_width
        shape = format_shape(picture.input)
        yield Text(f"{picture.name}, input {shape}: what one output position sees", style="bold")
        scales = _scales(picture.layers, width)
        cells = []
        for layer, scale in zip(picture.layers, scales, strict=True):
            alike = [o for o, other in zip(picture.layers, scales, strict=True) if other == scale]
            cells.append(_cells(layer, _canvas(layer, alike, scale, width)))
        widest = max(_widest(drawn) for drawn in cells)
        for layer, drawn in zip(picture.layers, cells, strict=True):
            yield ""
            yield _beside(drawn, width, _width(layer, width), widest)
        yield ""
        yield from _legend(picture, scales)
        if picture.channels:
            heading = Text("Which input channels each output channel reads", style="bold")
            yield from ("", heading, "")
            matrices = [channel_matrix(one) for one in picture.channels]
            yield _beside(matrices, width, _share(len(matrices), width), _widest(matrices))


class _Canvas(NamedTuple):
    """Lines and columns, in positions, in whose middle each field of a layer is drawn."""

    scale: Scale
    height: int
    width: int


def _cells(layer: Layer, canvas: _Canvas) -> list[Text]:
    return [
        Text("\n").join([*_caption(layer, step, canvas.scale), *_drawing(step, canvas)])
        for step in layer.steps
    ]


def _canvas(layer: Layer, alike: Sequence[Layer], scale: Scale, width: int) -> _Canvas:
    """As wide as the widest layer of the same scale, so that one can see the field grow."""
    each = _width(layer, width)
    high = max((len(seen.rows) for seen in _fields(layer)), default=0)
    wide = max((seen.spans[-1] for other in alike for seen in _fields(other)), default=0)
    return _Canvas(scale, high if each < width else 0, min(wide, each // scale.pitch * scale.size))


def _fields(layer: Layer) -> list[Raster]:
    return [step.seen for step in layer.steps if isinstance(step.seen, Raster)]


def _width(layer: Layer, width: int) -> int:
    """Columns for each of a layer's drawings; those along one axis take whole lines."""
    wide = any(len(seen.spans) == 1 for seen in _fields(layer))
    return width if wide else _share(len(layer.steps), width)


def _share(count: int, width: int) -> int:
    beside = max(1, min(count, (width + GAP) // (LEAST_WIDTH + GAP)))
    return (width - GAP * (beside - 1)) // beside


def _beside(cells: Sequence[Text], width: int, each: int, widest: int) -> Table:
    """As many cells of ``each`` columns to a line as fit, none wider than the ``widest`` needs."""
    beside = max(1, min(len(cells), (width + GAP) // (each + GAP)))
    table = Table.grid(padding=(0, GAP, 0, 0))
    for _ in range(beside):
        table.add_column(width=min(each, widest), overflow="fold")
    for start in range(0, len(cells), beside):
        if start:
            table.add_row()
        table.add_row(*cells[start : start + beside])
    return table


def _widest(cells: Sequence[Text]) -> int:
    return max(LEAST_WIDTH, *(line.cell_len for cell in cells for line in cell.split("\n")))


def _scales(layers: Sequence[Layer], width: int) -> list[Scale]:
    """The best scale for each layer with holes; the coarsest of all, to compare, for the others."""
    best = [_scale(layer, width) for layer in layers]
    coarsest = max(best, key=lambda scale: scale.size)
    return [
        scale if any(map(has_holes, _fields(layer))) else coarsest
        for layer, scale in zip(layers, best, strict=True)
    ]


def _scale(layer: Layer, width: int) -> Scale:
    fields = _fields(layer)
    high = max((len(seen.rows) for seen in fields), default=1)
    wide = max((seen.spans[-1] for seen in fields), default=1)
    return fitting_scale(high, wide, _width(layer, width))


def _caption(layer: Layer, step: Step, scale: Scale) -> Iterator[Text]:
    yield Text.assemble((layer.name, "bold"), ": ", step.kernel)
    yield Text(", ".join(step.variants), style="dim")
    if not isinstance(step.seen, Raster):
        yield Text(step.seen)
        return
    words = [f"receptive field {format_shape(step.seen.spans)}: {_how_much(step)}"]
    if scale.size > 1:
        size = format_shape((scale.size,) * min(2, len(step.seen.spans)))
        words.append(f"a mark is about {size} positions")
    yield from map(Text, words)


def _how_much(step: Step) -> str:
    """How many positions of the span are seen."""
    assert isinstance(step.seen, Raster)  # noqa: S101  the caller's own condition
    positions = prod(step.seen.spans)
    seen = round(positions * number(step.values["receptive_field_density"]))
    if seen == positions:
        return f"all {positions:,} seen"
    words = f"{seen:,} of {positions:,} seen"
    hole = step.values["receptive_field_largest_hole"]
    if isinstance(hole.value, tuple) and any(hole.value):
        words += f", largest hole {format_value('receptive_field_largest_hole', hole)}"
    return words


def _drawing(step: Step, canvas: _Canvas) -> Iterator[Text]:
    """The field in the middle of its canvas."""
    if not isinstance(step.seen, Raster):
        return
    size, pitch = canvas.scale
    for _ in range(max(0, canvas.height - len(step.seen.rows)) // 2 // size):
        yield Text("")
    indent = " " * (max(0, canvas.width - step.seen.spans[-1]) // 2 // size * pitch)
    yield from (Text(indent) + line for line in mark_rows(step.seen, canvas.scale))


def _legend(picture: Picture, scales: Sequence[Scale]) -> Iterator[Text]:
    pairs = zip(picture.layers, scales, strict=True)
    sizes = {scale.size for layer, scale in pairs if _fields(layer)}
    words = []
    if 1 in sizes:
        words.append(f"{SEEN} a position that is seen, {UNSEEN} one that is not: a hole")
    if sizes - {1}:
        words.append(f"{SHADES[1:]} few, half, most, all of a mark's positions are seen")
    if len(picture.input) > 4:
        words.append("the first of the three axes is not drawn")
    if picture.left_out:
        more = f"{picture.left_out} more layers see more than their inputs"
        words.append(f"{more}: --layer GLOB shows them")
    yield from (Text(line, style="dim") for line in words)
