"""The field of one tensor: a union of products of per-axis sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import is_
from typing import NamedTuple

from convcost.analyses.receptive_field.axis import IDENTITY, POOLED, AxisField, repeat
from convcost.analyses.receptive_field.boxes import Box, unite
from convcost.ops import Shape

NO_AXIS = -1


class Part(NamedTuple):
    """What lies along (a part of) a dimension: positions of a spatial axis, or ``NO_AXIS``.

    ``size`` matters where several parts are folded into one dimension. Positions whose order is
    lost are not ``regular``. ``window_of`` is the axis that a part without one was split from.
    Entries without positions that don't see alike are not ``regular`` either; ``full`` has a 1 for
    each that sees all that the field says.
    """

    axis: int
    size: int = 0
    regular: bool = True
    window_of: int = NO_AXIS
    full: bytes = b""


Dim = tuple[Part, ...]


class Field(NamedTuple):
    """What each position of a tensor sees of the graph's input.

    ``dims`` tells, for each dimension of the tensor, which of the input's spatial axes lie along
    it: none for batch and channels, several after flattening. Each of the ``boxes`` holds one
    ``AxisField`` per spatial axis of the input; the field is the union of their products (no boxes:
    nothing of the input is seen). ``bounds`` gives the reason for each axis that is only bounded.
    """

    dims: tuple[Dim, ...]
    boxes: tuple[Box, ...]
    bounds: Mapping[int, str] = {}

    @classmethod
    def of_input(cls, rank: int, spatial: Sequence[int]) -> Field:
        """The field of the input itself: each position along its ``spatial`` dims sees itself."""
        if not spatial:
            return cls.of_nothing(rank)
        place = {dim: (Part(axis),) for axis, dim in enumerate(spatial)}
        return cls(tuple([place.get(dim, ()) for dim in range(rank)]), ((IDENTITY,) * len(place),))

    @classmethod
    def of_nothing(cls, rank: int) -> Field:
        """The field of a tensor that doesn't depend on the input."""
        return cls(((),) * rank, ())

    def has_positions(self, shape: Shape) -> bool:
        """Whether some dimension holds positions and no channels: several, or one of several."""
        placed = [
            (size, axes_of(dim))
            for dim, size in zip(self.dims, shape, strict=True)
            if _is_multiplied(dim) or all(p.axis >= 0 for p in dim)
        ]
        if any(size > 1 and axes for size, axes in placed):
            return True
        axes = {axis for _, axes in placed for axis in axes}
        return any(box[axis].jump or axis in self.bounds for box in self.boxes for axis in axes)

    def map_axes(self, changes: Mapping[int, Callable[[AxisField], AxisField]]) -> Field:
        """The field after one change per spatial axis; axes without one stay."""
        boxes = tuple([_changed(box, changes) for box in self.boxes])
        if all(map(is_, boxes, self.boxes)):
            return self
        return Field(self.dims, boxes if len(boxes) == 1 else unite(boxes), self.bounds)

    def pool(self, axes: Iterable[int]) -> Field:
        """The field once each output sees every position along ``axes``."""
        axes = list(axes)
        if not axes:
            return self
        return self.without_step(axes)._replace(bounds=_without(self.bounds, axes))

    def without_step(self, axes: Iterable[int]) -> Field:
        """The field where no step between neighbours along ``axes`` is known; bounds stay."""
        return self.map_axes(dict.fromkeys(axes, _pooled))

    def mix(self, axes: Iterable[int]) -> Field:
        """The same where the axes keep their positions."""
        axes = list(axes)
        mixed = self.map_axes(dict.fromkeys(axes, _seeing_all))
        return mixed._replace(bounds=_without(self.bounds, axes))

    def lose(self, axes: Iterable[int], reason: str) -> Field:
        """The field once it isn't known which positions along ``axes`` are seen."""
        lost = dict.fromkeys((axis for axis in axes if not self.sees_all(axis)), reason)
        return self.mix(lost)._replace(bounds={**self.bounds, **lost})

    def bound(self, axes: Iterable[int], reason: str) -> Field:
        """The field where not all that it says of ``axes`` may be seen."""
        bounds = {axis: reason for axis in axes if not self.sees_all(axis)}
        return self._replace(bounds={**self.bounds, **bounds}) if bounds else self

    def at(self, dim: int, new: Dim) -> Field:
        """The field with another description of one dimension."""
        if self.dims[dim] == new:
            return self
        return self._replace(dims=(*self.dims[:dim], new, *self.dims[dim + 1 :]))

    def alone(self, dim: int) -> Field:
        """The field with its dimension ``dim`` following one axis, or none."""
        parts = self.dims[dim]
        if not parts or (len(parts) == 1 and parts[0].regular):
            return self
        first, *_ = parts
        if is_repeated(parts):
            wide = self.map_axes({first.axis: partial(repeat, times=parts[1].size)})
            return wide.at(dim, (Part(first.axis),))
        # what is done to them gives positions, of which it isn't known what they see
        why = "folded together" if len(parts) > 1 else "in an order that isn't followed"
        lost = self.lose(axes_of(parts), f"positions are {why}")
        return lost.at(dim, irregular(axes_of(parts)))

    def unrepeated(self) -> Field:
        """The field with an axis of its own in the place of each whose positions are repeated."""
        field = self
        for dim, parts in enumerate(self.dims):
            if is_repeated(parts):
                field = field.alone(dim)
        return field

    def unwindow(self, axis: int, size: int) -> Field:
        """The field once each position of ``axis`` is the ``size`` positions of its window."""
        wide = self.map_axes({axis: partial(repeat, times=size)})
        return wide.bound([axis], "a window's positions are one")

    def sees_all(self, axis: int) -> bool:
        """Whether every position along ``axis`` is known to be seen."""
        return any(box[axis].phases is None for box in self.boxes) and axis not in self.bounds


def alone_axis(dim: Dim) -> int | None:
    """The one axis that a dimension follows, or None."""
    return dim[0].axis if len(dim) == 1 and dim[0].regular and dim[0].axis >= 0 else None


def is_repeated(dim: Dim) -> bool:
    """Whether each position of one axis lies there several times in a row."""
    return _is_multiplied(dim) and dim[1].regular


def _is_multiplied(dim: Dim) -> bool:
    """The same, or several that don't see alike in the place of each position."""
    if len(dim) != 2:
        return False
    first, second = dim
    return first.regular and first.axis >= 0 and second.axis == second.window_of == NO_AXIS


def axes_of(dim: Dim) -> list[int]:
    """The spatial axes that have a part in a dimension."""
    return [part.axis for part in dim if part.axis >= 0]


def irregular(axes: Sequence[int]) -> Dim:
    """A dimension along which positions of these axes lie in no order that is known."""
    return tuple([Part(axis, 0, regular=False) for axis in dict.fromkeys(axes)])


def _pooled(_: AxisField) -> AxisField:
    return POOLED


def _seeing_all(axis: AxisField) -> AxisField:
    return axis._replace(phases=None)


def _without(bounds: Mapping[int, str], axes: Iterable[int]) -> Mapping[int, str]:
    gone = set(axes)
    return {axis: reason for axis, reason in bounds.items() if axis not in gone}


def _changed(box: Box, changes: Mapping[int, Callable[[AxisField], AxisField]]) -> Box:
    """Axes that are one object and change alike stay one object, which most images' axes are."""
    made: dict[tuple[int, int], AxisField] = {}
    axes = list(box)
    for i, change in changes.items():
        key = (id(change), id(box[i]))
        if key not in made:
            made[key] = change(box[i])
        axes[i] = made[key]
    return box if all(map(is_, axes, box)) else tuple(axes)
