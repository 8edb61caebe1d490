"""Which dimensions of a reshaped tensor hold which positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from convcost.analyses.receptive_field.axis import at_position, window
from convcost.analyses.receptive_field.field import (
    NO_AXIS,
    Dim,
    Field,
    Part,
    alone_axis,
    axes_of,
    irregular,
)
from convcost.analyses.receptive_field.uneven import cut
from convcost.ops import Shape

_FOLDED = "positions are folded in a way that isn't followed"


def reshape(field: Field, before: Shape, after: Shape) -> Field:
    """The field of the same scalars, in the same order, under another shape."""
    dims: list[Dim] = []
    for old, new in _groups(before, after):
        if len(old) == len(new) == 1:
            dims.append(field.dims[old[0]])
            continue
        sizes = [after[dim] for dim in new]
        short = [part for dim in old if before[dim] == 1 for part in field.dims[dim]]
        field = _settled(field, short)
        longer = [dim for dim in old if before[dim] > 1]
        if len(longer) == 1 and before[longer[0]] in sizes and not _lost(short):
            # the others have one entry each
            dims += [field.dims[longer[0]] if size > 1 else () for size in sizes]
            continue
        parts = [part for dim in old for part in _parts(field.dims[dim], before[dim])]
        placed = _place(parts, sizes)
        if placed is None:
            field, placed = _split(field, parts, sizes)
        for dim in placed:
            field, tidy = _reversed(field, dim)
            if not all(part.regular for part in tidy if part.axis == NO_AXIS):
                field = field.bound(axes_of(tidy), "what doesn't see alike is laid side by side")
            dims.append(tidy)
    return field._replace(dims=tuple(dims))


def _settled(field: Field, single: Sequence[Part]) -> Field:
    """``field`` where ``single`` positions, which lose their dimension, move with no others.

    Axes whose windows lie elsewhere come back with them.
    """
    windows = {part.window_of for dim in field.dims for part in dim}
    axes = [part.axis for part in single if part.regular and part.axis not in (NO_AXIS, *windows)]
    return field.map_axes(dict.fromkeys(axes, _ONLY))


_ONLY = partial(at_position, position=0)


def _lost(parts: Sequence[Part]) -> bool:
    """Whether some hold positions in no order that is known."""
    return any(part.axis >= 0 and not part.regular for part in parts)


def _reversed(field: Field, dim: Dim) -> tuple[Field, Dim]:
    """Windows and the positions within them, laid end to end, are one axis again."""
    parts: list[Part] = []
    for part in dim:
        if parts and part.window_of >= 0 and parts[-1].axis == part.window_of:
            field = field.unwindow(parts[-1].axis, part.size)
            parts[-1] = parts[-1]._replace(size=parts[-1].size * part.size)
        else:
            parts.append(part)
    return field, tuple(parts)


def _parts(dim: Dim, size: int) -> list[Part]:
    """What is folded into a dimension, sizes filled in; nothing for a size of 1."""
    if len(dim) > 1 or (dim and not dim[0].regular):
        return list(dim)
    return [(dim[0] if dim else Part(NO_AXIS))._replace(size=size)] if size > 1 else []


def _groups(before: Shape, after: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """The smallest runs of dimensions of both shapes that hold equally many scalars."""
    old, new = 0, 0
    while old < len(before) or new < len(after):
        olds: list[int] = []
        news: list[int] = []
        left = right = 1
        while True:
            if left <= right and old < len(before) and not (left == right and olds):
                left *= before[old]
                olds.append(old)
                old += 1
            elif new < len(after) and (left != right or not news):
                right *= after[new]
                news.append(new)
                new += 1
            else:
                break
        yield olds, news


def _place(parts: Sequence[Part], sizes: Sequence[int]) -> list[Dim] | None:
    """The parts laid into dimensions of these sizes, or None where one would be cut."""
    left = list(parts)
    if not all(part.size for part in parts):
        return None
    dims: list[Dim] = []
    for size in sizes:
        dim: list[Part] = []
        filled = 1
        while left and filled * left[0].size <= size and size % (filled * left[0].size) == 0:
            filled *= left[0].size
            dim.append(left.pop(0))
        if filled < size:
            if not left or left[0].axis >= 0 or left[0].size % (size // filled):
                return None
            # a part without positions may be cut anywhere
            first, left[0] = cut(left[0], size // filled)
            dim.append(first)
        dims.append(_tidy(dim))
    return dims if not left else None


def _tidy(dim: Sequence[Part]) -> Dim:
    """Parts without positions mean nothing where there are no others, and are one side by side."""
    parts: list[Part] = []
    for part in dim:
        if parts and _is_plain(part) and _is_plain(parts[-1]):
            parts[-1] = part._replace(size=parts[-1].size * part.size)
        else:
            parts.append(part)
    return () if all(map(_is_plain, parts)) else tuple(parts)


def _is_plain(part: Part) -> bool:
    """Whether it holds no positions, and entries that see alike."""
    return part.axis == NO_AXIS and part.window_of == NO_AXIS and part.regular


def _split(field: Field, parts: Sequence[Part], sizes: Sequence[int]) -> tuple[Field, list[Dim]]:
    """One axis cut into windows: the outer dimension follows it, at the windows' stride."""
    axis = alone_axis(tuple(parts))
    if axis is None or len(sizes) != 2 or parts[0].size != sizes[0] * sizes[1]:
        lost = field.lose(axes_of(tuple(parts)), _FOLDED)
        return lost, [irregular(axes_of(tuple(parts))), *[() for _ in sizes[1:]]] if sizes else []
    inner = sizes[1]
    cut = field.map_axes(
        {axis: partial(window, kernel_size=inner, stride=inner, before=0, dilation=1)}
    )
    return cut, [(Part(axis),), (Part(NO_AXIS, inner, window_of=axis),)]
