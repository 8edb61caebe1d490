"""Arguments of ATen ops in the forms that ops have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from convcost.ops import Padding, Shape, Sizes

IntOrInts = int | Sequence[int]


def each(value: IntOrInts, axes: int) -> Sizes:
    """One number per axis, of a number, a list of one, or a list."""
    if isinstance(value, int):
        return (value,) * axes
    sizes = tuple(value)
    return sizes * axes if len(sizes) == 1 else sizes


def both_sides(value: IntOrInts, axes: int) -> Padding:
    """(before, after) per axis of a symmetric padding."""
    return tuple([(size, size) for size in each(value, axes)])


def batched(output_shape: Callable[[Shape], Shape], shape: Shape, axes: int) -> Shape:
    """The output's shape, whether the input has a batch or not."""
    return output_shape(shape) if len(shape) == axes + 2 else output_shape((1, *shape))[1:]


def positive(dim: int, rank: int) -> int:
    """A dimension counted from 0."""
    return dim + rank if dim < 0 else dim


def all_positive(dims: IntOrInts | None, rank: int) -> Sizes:
    """Dimensions counted from 0; all of them for none."""
    if dims is None or (not isinstance(dims, int) and not len(dims)):
        return tuple(range(rank))
    return tuple(positive(dim, rank) for dim in ([dims] if isinstance(dims, int) else dims))


def named(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments after the first tensor, by the names that the op's schema gives them."""
    names = [argument.name for argument in func._schema.arguments[1:]]  # noqa: SLF001
    return {**dict(zip(names, args, strict=False)), **kwargs}
