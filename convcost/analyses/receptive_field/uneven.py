"""Dimensions without positions whose entries don't see alike: channels laid side by side."""

from __future__ import annotations

from collections.abc import Sequence

from convcost.analyses.receptive_field.field import NO_AXIS, Dim, Field, Part, axes_of
from convcost.ops import Shape

_REASON = "one of several is taken that don't see alike"


def dim_of(full: bytes) -> Dim:
    """A dimension whose entries see all that the field says where ``full`` is 1."""
    return (Part(NO_AXIS, len(full), regular=False, full=full),) if 0 in full else ()


def is_uneven(dim: Dim) -> bool:
    """Whether there are no positions, and some of what lies there may see less than the rest."""
    return not (axes_of(dim) or all(part.regular for part in dim))


def sees_less(dim: Dim) -> bool:
    """The same, or whether what lies there are the positions of a window."""
    return is_uneven(dim) or any(part.window_of >= 0 for part in dim)


def full_of(dim: Dim, size: int) -> bytes:
    """For each of the ``size`` entries of a dimension 1 where it sees all that the field says."""
    if not sees_less(dim):
        return b"\1" * size
    *outer, full = map(_each, dim)
    for each in reversed(outer):
        # an entry is full where all its parts are
        full = b"".join(full if one else bytes(len(full)) for one in each)
    return full


def _each(part: Part) -> bytes:
    if part.window_of >= 0:
        # each has one position of a window
        return bytes(part.size)
    return b"\1" * part.size if part.regular else part.full


def full_in(joined: Field, field: Field, dim: int, size: int) -> bytes:
    """For each of a field's entries 1 where it sees all that the ``joined`` one says."""
    return full_of(field.dims[dim], size) if field.boxes == joined.boxes else bytes(size)


def laid(joined: Field, fields: Sequence[Field], shapes: Sequence[Shape], dim: int) -> Field:
    """``joined`` where the ``fields`` it joins lie one behind the other along ``dim``."""
    sides = zip(fields, shapes, strict=False)
    full = [full_in(joined, field, dim, shape[dim]) for field, shape in sides]
    return joined.at(dim, dim_of(b"".join(full)))


def take(field: Field, dim: int, size: int, taken: slice) -> Field:
    """``field`` with some entries of a dimension of ``size`` that has no positions."""
    windows = [part.window_of for part in field.dims[dim] if part.window_of >= 0]
    field = field.bound(windows, "a window's positions are one")
    if not is_uneven(field.dims[dim]):
        return field
    full = full_of(field.dims[dim], size)[taken]
    return field.at(dim, dim_of(full)) if 1 in full else one_of_several(field, dim)


def one_of_several(field: Field, dim: int) -> Field:
    """``field`` where what is taken along an uneven dimension may see less than it says."""
    bounds = dict.fromkeys(range(len(field.boxes[0])), _REASON)
    return field._replace(bounds={**field.bounds, **bounds}).at(dim, ())


def reorder(field: Field, dim: int, size: int) -> Field:
    """``field`` where the entries of an uneven dimension are in another order."""
    return field.at(dim, dim_of(bytes(size))) if is_uneven(field.dims[dim]) else field


def grouped(dim: Dim, in_channels: int, out_channels: int, groups: int) -> Dim:
    """The channels of a convolution whose outputs each read one group of the inputs."""
    if groups == 1 or not sees_less(dim):
        return ()
    full, size, outputs = full_of(dim, in_channels), in_channels // groups, out_channels // groups
    if size > 1:
        full = bytes(1 in full[first : first + size] for first in range(0, in_channels, size))
    return dim_of(full if outputs == 1 else b"".join(bytes([one]) * outputs for one in full))


def cut(part: Part, outer: int) -> tuple[Part, Part]:
    """A part without positions as ``outer`` runs, and what each holds."""
    inner = part.size // outer
    if part.regular:
        return part._replace(size=outer), part._replace(size=inner)
    full = bytes(0 not in part.full[i * inner : (i + 1) * inner] for i in range(outer))
    # what is in the runs that aren't full needn't be known where some are
    even = Part(NO_AXIS, inner)
    uneven = Part(NO_AXIS, inner, regular=False, full=bytes(inner))
    return part._replace(size=outer, full=full), even if 1 in full else uneven


def meeting(column: Sequence[Dim]) -> Dim:
    """The dimension where uneven ones meet: full is what is full in all of them."""
    uneven = list(dict.fromkeys(dim for dim in column if is_uneven(dim)))
    if len(uneven) == 1:
        return uneven[0]
    fulls = [full_of(dim, 0) for dim in uneven]
    if len({len(full) for full in fulls}) > 1:
        return dim_of(bytes(max(map(len, fulls))))
    return dim_of(bytes(min(each) for each in zip(*fulls, strict=True)))
