"""What ops that move or cut dimensions do to a denser map."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from convcost.graph import Node
from convcost.ops import Flatten, Frames, Permute, Rearrange, Reshape, Select, Shape, Shift, Slice
from convcost.variants.follow.dims import Dim, Followed, Rule, Shapes, Tensors, refusal, without

if TYPE_CHECKING:
    from convcost.variants.follow import Follower


def _permute(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    return Followed(tuple(tensors[0].dims[dim] for dim in op.order))


def _slice(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    dim = tensors[0].dims[op.dim]
    if shapes[0] == shapes[-1]:
        return tensors[0]
    stride = None if dim.stride is None else dim.stride * op.step
    if dim.rate > 1 or (op.step > 1 and follower.is_beyond(stride)):
        raise refusal(node, "it takes positions by their numbers")
    dims = tensors[0].dims
    return Followed((*dims[: op.dim], Dim(1, stride), *dims[op.dim + 1 :]))


def _select(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    if tensors[0].dims[op.dim].rate > 1:
        raise refusal(node, "it takes a position by its number")
    return Followed(without(tensors[0].dims, op.dim))


def _moved(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    tensor = tensors[0]
    if any(
        other.dims[dim].rate > 1 for other in tensors for dim in op.dims if dim < len(other.dims)
    ):
        raise refusal(node, "it moves positions by their numbers")
    same = len(tensor.dims) == len(shapes[-1])
    return Followed(tensor.dims if same else (Dim(),) * len(shapes[-1]))


def _framed(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    if tensors[0].dims[op.dim].rate > 1:
        raise refusal(node, "its windows have a fixed size")
    return Followed((*tensors[0].dims, Dim()))


def _reshape(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    dims = list(tensors[0].dims)
    found: list[Dim] = []
    for old, new in _groups(shapes[0], shapes[-1]):
        parts, dims = dims[: len(old)], dims[len(old) :]
        rate = prod(part.rate for part in parts)
        if not new and found:
            # dimensions of size 1 that go away: what they grew by goes to their neighbour
            found[-1] = found[-1]._replace(rate=found[-1].rate * rate)
            continue
        wide = [i for i, size in enumerate(new) if size > 1]
        if rate > 1 and len(wide) > 1:
            raise refusal(node, "it cuts positions into pieces of a fixed size")
        real = [part for size, part in zip(old, parts, strict=True) if size > 1 or part.rate > 1]
        merged = real[0] if len(real) == 1 and len(wide) <= 1 else Dim(rate)
        at = wide[0] if wide else 0
        found += [merged if i == at else Dim() for i in range(len(new))]
    return Followed(tuple(found))


def _groups(old: Shape, new: Shape) -> Iterator[tuple[Shape, Shape]]:
    """The shortest runs of dimensions that hold as many scalars in both shapes."""
    i = j = 0
    while i < len(old) or j < len(new):
        first_i, first_j = i, j
        while True:
            left, right = prod(old[first_i:i]), prod(new[first_j:j])
            if left == right and i > first_i and j > first_j:
                break
            if i < len(old) and (i == first_i or left < right or j == len(new)):
                i += 1
            elif j < len(new):
                j += 1
            else:
                break
        yield old[first_i:i], new[first_j:j]


RULES: dict[type, Rule] = {
    Permute: _permute,
    Slice: _slice,
    Select: _select,
    Shift: _moved,
    Rearrange: _moved,
    Frames: _framed,
    Reshape: _reshape,
    Flatten: _reshape,
}
