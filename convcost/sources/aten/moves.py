"""Ops that join positions or move them about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from convcost.ops import Concat, Frames, Op, Rearrange, Shift, Stack
from convcost.sources.aten.settings import all_positive, named, positive
from convcost.sources.traced import Traced
from convcost.sources.tracer import Tracer

# which dimension they act along, where they name one; else along all
_ALONG = """
gather index_select index_copy index_add index_fill scatter scatter_add sort topk flip
take_along_dim rot90 argsort kthvalue unique_dim scatter_reduce
""".split()
_ANYWHERE = """
index index_put masked_select grid_sampler grid_sampler_2d grid_sampler_3d col2im tril triu diagonal
affine_grid_generator as_strided masked_scatter take put meshgrid cartesian_prod diag_embed
select_scatter slice_scatter bincount one_hot searchsorted bucketize nonzero cdist
torchvision::roi_align torchvision::roi_pool torchvision::ps_roi_align torchvision::ps_roi_pool
torchvision::nms max_unpool2d max_unpool3d _embedding_bag embedding_bag fractional_max_pool2d
fractional_max_pool3d _pack_padded_sequence _pad_packed_sequence
""".split()


def _concat(tracer: Tracer, func: Any, tensors: Sequence[Tensor], dim: int = 0) -> Any:
    # torch leaves out empty vectors, unless there is nothing else
    parts = [t for t in tensors if t.dim() > 1 or t.numel()] or list(tensors)
    if len({part.dtype for part in parts}) > 1:
        place = positive(dim, parts[0].dim())
        return tracer.run_on_twins(func, (tensors, dim), {}, Concat(place))
    # constants have no node, but they move what follows them along
    parts = [
        part if type(part) is Traced or tracer.is_traced(part) else tracer.as_node(part)
        for part in parts
    ]
    shapes = list(map(tracer.shape, parts))
    op = Concat(positive(dim, len(shapes[0])))
    return tracer.emit(op, parts, op.output_shape(*shapes), like=parts[0])


def _stack(tracer: Tracer, func: Any, tensors: Sequence[Tensor], dim: int = 0) -> Any:
    place = positive(dim, tensors[0].dim() + 1)
    return tracer.run_on_twins(func, (tensors, dim), {}, Stack(place))


def _along(kind: str) -> Callable[..., Any]:
    def rule(tracer: Tracer, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        given = named(func, args, kwargs)
        dims = given.get("dim", given.get("dims", given.get("dimension")))
        op = Rearrange(all_positive(dims, x.dim()), kind)
        return tracer.run_on_twins(func, (x, *args), kwargs, op)

    return rule


def _anywhere(kind: str) -> Callable[..., Any]:
    op = Rearrange((), kind.rpartition(":")[2])

    def rule(tracer: Tracer, func: Any, *args: Any, **kwargs: Any) -> Any:
        return tracer.run_on_twins(func, args, kwargs, op)

    return rule


def _index(tracer: Tracer, func: Any, x: Tensor, indices: Sequence[Tensor | None]) -> Any:
    # [*, i, *] = index([*, d, *], [i])
    given = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    dims: tuple[int, ...] = ()
    if len(given) == 1 and given[0][1].dim() == 1 and not tracer.is_traced(given[0][1]):
        dims = (given[0][0],)
    return tracer.run_on_twins(func, (x, indices), {}, Rearrange(dims, "index"))


def _unfold(tracer: Tracer, func: Any, x: Tensor, dimension: int, size: int, step: int) -> Any:
    # Tensor.unfold, which torch.stft calls; nn.Unfold is im2col
    op = Frames(positive(dimension, x.dim()), size, step)
    return tracer.run_on_twins(func, (x, dimension, size, step), {}, op)


def _roll(
    tracer: Tracer, func: Any, x: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()
) -> Any:
    op: Op = Shift(all_positive(dims, x.dim()), tuple(shifts)) if dims else Rearrange((), "roll")
    return tracer.run_on_twins(func, (x, shifts, dims), {}, op)


def _channel_shuffle(tracer: Tracer, _: Any, x: Tensor, groups: int) -> Tensor:
    # [n, c, *] = channel_shuffle([n, c, *])
    del groups
    op = Rearrange((1,), "channel_shuffle")
    return tracer.emit(op, (x,), tracer.shape(x), like=x)


RULES: dict[str, Callable[..., Any]] = {
    "cat": _concat,
    "concat": _concat,
    "concatenate": _concat,
    **{kind: _along(kind) for kind in _ALONG},
    **{f"{kind}_": _along(kind) for kind in _ALONG},
    **{kind: _anywhere(kind) for kind in _ANYWHERE},
    **{f"{kind}_": _anywhere(kind) for kind in _ANYWHERE},
    "index": _index,
    "stack": _stack,
    "roll": _roll,
    "unfold": _unfold,
    "channel_shuffle": _channel_shuffle,
    "native_channel_shuffle": _channel_shuffle,
}
