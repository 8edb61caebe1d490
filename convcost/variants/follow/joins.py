"""What joins, products and pointwise ops do to denser maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from convcost.graph import Node
from convcost.ops import (
    Attention,
    Concat,
    Elementwise,
    Expand,
    Linear,
    Matmul,
    Mix,
    Norm,
    Opaque,
    Output,
    Recurrence,
    Stack,
    Unused,
    Write,
)
from convcost.variants.follow.dims import (
    Dim,
    Followed,
    Rule,
    Shapes,
    Tensors,
    pooled,
    refusal,
    without,
)

if TYPE_CHECKING:
    from convcost.variants.follow import Follower


def _join(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    rank = len(shapes[-1])
    columns = zip_longest(
        *(
            list(zip(shape, tensor.dims, strict=True))[::-1]
            for shape, tensor in zip(shapes, tensors, strict=False)
        ),
        fillvalue=(1, Dim()),
    )
    dims = [_joined(node, column) for column in columns][:rank]
    return Followed((*(Dim(),) * (rank - len(dims)), *reversed(dims)))


def _joined(node: Node, column: Sequence[tuple[int, Dim]]) -> Dim:
    """One dimension of inputs that broadcast."""
    wide = [dim for size, dim in column if size > 1 or dim.rate > 1] or [dim for _, dim in column]
    if len({dim.rate for dim in wide}) > 1:
        raise refusal(node, "a map that has lost its stride meets one that has not")
    return next((dim for dim in wide if dim.stride is not None), wide[0])


def _mix(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    joined = _join(follower, node, tensors, shapes)
    return pooled(node, joined, op.dims, joined.dims)


def _concat(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    along = op.dim
    if any(len(tensor.dims) != len(shapes[-1]) for tensor in tensors):
        # torch leaves out empty vectors
        rank = len(shapes[-1])
        tensors = [tensor for tensor in tensors if len(tensor.dims) == rank]
    if any(tensor.dims[along].rate > 1 for tensor in tensors):
        raise refusal(node, "it joins positions end to end")
    pairs = list(zip(tensors, [s for s in shapes[:-1] if len(s) == len(shapes[-1])], strict=True))
    others = [tensor._replace(dims=without(tensor.dims, along)) for tensor, _ in pairs]
    sizes = [without(shape, along) for _, shape in pairs]
    rest = _join(follower, node, others, [*sizes, without(shapes[-1], along)]).dims
    return Followed((*rest[:along], tensors[0].dims[along], *rest[along:]))


def _stack(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    dims = _join(follower, node, tensors, [*shapes[:-1], shapes[0]]).dims
    return Followed((*dims[: op.dim], Dim(), *dims[op.dim :]))


def _linear(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    dims = tensors[0].dims
    if dims[-1].rate > 1:
        raise refusal(
            node,
            "it is fully connected to a feature map of a fixed size",
            "give a larger output stride, or put a pooling layer before it",
        )
    return Followed((*dims[:-1], Dim())[: len(shapes[-1])])


def _product(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    if any(dim.rate > 1 for tensor in tensors for dim in tensor.dims):
        raise refusal(node, "it mixes all positions, as attention does")
    return Followed((Dim(),) * len(shapes[-1]))


def _same(_: Follower, __: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    same = len(tensors[0].dims) == len(shapes[-1])
    return tensors[0] if same else Followed((Dim(),) * len(shapes[-1]))


def _opaque(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    if any(tensor.is_denser for tensor in tensors):
        raise refusal(node, "what it does with positions isn't known")
    return Followed((Dim(),) * len(shapes[-1]))


RULES: dict[type, Rule] = {
    Elementwise: _join,
    Norm: _join,
    Expand: _join,
    Mix: _mix,
    Concat: _concat,
    Stack: _stack,
    Linear: _linear,
    Matmul: _product,
    Attention: _product,
    Recurrence: _product,
    Output: _same,
    Unused: _same,
    Opaque: _opaque,
    Write: _opaque,
}
