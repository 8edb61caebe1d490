"""What windows, resizing and pooling do to a denser map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convcost.graph import Node
from convcost.ops import (
    AdaptivePool,
    Conv,
    GlobalPool,
    Pad,
    PixelShuffle,
    Pool,
    Reduce,
    Resize,
    Unfold,
)
from convcost.variants.follow.dims import Dim, Followed, Rule, Shapes, Tensors, pooled, refusal

if TYPE_CHECKING:
    from convcost.variants.follow import Follower

_CUT = "give a larger output stride, or the part of the model before it"


def _window(follower: Follower, node: Node, tensors: Tensors, _: Shapes) -> Followed:
    op: Any = node.op
    dims = tensors[0].dims
    axes = len(op.kernel_size)
    lead, last = dims[:-axes], dims[-axes:]
    if isinstance(op, Conv):
        lead = (*lead[:-1], Dim())
        if op.transposed:
            return Followed((*lead, *_enlarged(node, last, op.stride)))
    strides = tuple(
        follower.kept_stride(node, dim, s) for dim, s in zip(last, op.stride, strict=True)
    )
    follower.window(node, tuple(dim.rate for dim in last), strides)
    settings = zip(last, op.stride, strides, strict=True)
    return Followed((*lead, *(_strided(dim, old, new) for dim, old, new in settings)))


def _strided(dim: Dim, old: int, new: int) -> Dim:
    return Dim(dim.rate * (old // new), None if dim.stride is None else dim.stride * new)


def _enlarged(node: Node, dims: Sequence[Dim], factors: Sequence[float]) -> list[Dim]:
    from fractions import Fraction  # noqa: PLC0415  few networks upsample, and a start is fast

    if any(dim.rate > 1 for dim in dims):
        raise refusal(node, "it upsamples a map that has lost its stride", _CUT)
    return [
        Dim(1, None if dim.stride is None else Fraction(dim.stride) / Fraction(factor))
        for dim, factor in zip(dims, factors, strict=True)
    ]


def _pad(follower: Follower, node: Node, tensors: Tensors, _: Shapes) -> Followed:
    op: Any = node.op
    dims = tensors[0].dims
    last = dims[-len(op.padding) :]
    padded = [dim for dim, pads in zip(last, op.padding, strict=True) if any(pads)]
    if any(dim.rate > 1 for dim in padded):
        if op.mode != "constant":
            raise refusal(node, f"{op.mode} padding of a denser map isn't that of the old one")
        follower.window(node, tuple(dim.rate for dim in last), (1,) * len(last))
    return tensors[0]


def _resize(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    if tensors[0].is_denser:
        raise refusal(node, "it upsamples what comes after a stride that was taken out", _CUT)
    axes = len(op.size)
    factors = [new / old for old, new in zip(shapes[0][-axes:], op.size, strict=True)]
    return Followed((*tensors[0].dims[:-axes], *_enlarged(node, tensors[0].dims[-axes:], factors)))


def _pixel_shuffle(follower: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    *lead, height, width = tensors[0].dims
    if op.upscale:
        return Followed((*lead, *_enlarged(node, (height, width), (op.factor,) * 2)))
    dims = [_strided(dim, op.factor, op.factor) for dim in (height, width)]
    if any(dim.rate > 1 or follower.is_beyond(dim.stride) for dim in dims):
        raise refusal(node, "it is a strided call that isn't a convolution or a pool")
    return Followed((*lead, *dims))


def _unfold(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    last = zip(tensors[0].dims[-len(op.stride) :], op.stride, strict=True)
    beyond = any(follower.is_beyond(d.stride and d.stride * s) for d, s in last)
    if tensors[0].is_denser or beyond:
        raise refusal(node, "it is a strided call that isn't a convolution or a pool")
    return Followed((Dim(),) * len(shapes[-1]))


def _global_pool(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    dims = tensors[0].dims
    closed = (*dims[:2], *(Dim(),) * (len(dims) - 2))
    return pooled(node, tensors[0], range(2, len(dims)), closed)


def _adaptive_pool(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    dims, axes = tensors[0].dims, len(op.size)
    positions = range(len(dims) - axes, len(dims))
    return pooled(node, tensors[0], positions, (*dims[:-axes], *(Dim(),) * axes))


def _reduce(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    dims = enumerate(tensors[0].dims)
    kept = tuple(
        Dim() if i in op.dims else dim for i, dim in dims if op.keepdim or i not in op.dims
    )
    return pooled(node, tensors[0], op.dims, kept)


RULES: dict[type, Rule] = {
    Conv: _window,
    Pool: _window,
    Pad: _pad,
    Resize: _resize,
    PixelShuffle: _pixel_shuffle,
    Unfold: _unfold,
    GlobalPool: _global_pool,
    AdaptivePool: _adaptive_pool,
    Reduce: _reduce,
}
