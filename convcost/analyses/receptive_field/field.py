"""The field of one tensor: a union of products of per-axis sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from convcost.analyses.receptive_field.axis import IDENTITY, POOLED, AxisField, covers, join

Box = tuple[AxisField, ...]


class Field(NamedTuple):
    """What each position of a tensor sees of the graph's input.

    ``dims`` names, for each dimension of the tensor, the input's spatial axes that lie along it
    (none for batch and channels, several after flattening). Each of the ``boxes`` holds one
    ``AxisField`` per spatial axis of the input; the field is the union of their products.
    """

    dims: tuple[tuple[int, ...], ...]
    boxes: tuple[Box, ...]

    @classmethod
    def of_input(cls, axes: int) -> Field:
        """The field of the input itself: each position sees itself."""
        dims = ((), (), *((axis,) for axis in range(axes)))
        return cls(dims, ((IDENTITY,) * axes,))

    @property
    def has_positions(self) -> bool:
        """Whether some axis has a dimension of its own, with a step between its positions."""
        alone = {axes[0] for axes in self.dims if len(axes) == 1}
        return any(box[axis].jump for box in self.boxes for axis in alone)

    def map_axes(self, changes: dict[int, Callable[[AxisField], AxisField]]) -> Field:
        """The field after one change per spatial axis; axes without one stay."""
        boxes = (
            tuple(changes[i](axis) if i in changes else axis for i, axis in enumerate(box))
            for box in self.boxes
        )
        return Field(self.dims, unite(boxes))

    def pool(self, axes: Iterable[int]) -> Field:
        """The field once each output sees every position along ``axes``."""
        return self.map_axes({axis: lambda _: POOLED for axis in axes})


def unite(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """The fewest boxes that make up the same union: contained ones drop, neighbours merge."""
    kept: list[Box] = []
    for box in boxes:
        _add(kept, box)
    return tuple(kept)


def _add(kept: list[Box], box: Box) -> None:
    for index, other in enumerate(kept):
        merged = _merge(other, box)
        if merged is not None:
            del kept[index]
            # the merged box may cover what its parts did not
            _add(kept, merged)
            return
    kept.append(box)


def _merge(first: Box, second: Box) -> Box | None:
    over = [covers(a, b) for a, b in zip(first, second, strict=True)]
    under = [covers(b, a) for a, b in zip(first, second, strict=True)]
    unlike = sum(not (a and b) for a, b in zip(over, under, strict=True))
    if unlike < 2 or all(over) or all(under):
        return tuple(map(join, first, second))
    return None
