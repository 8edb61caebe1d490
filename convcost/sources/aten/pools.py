"""Pooling, interpolation and padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from convcost.errors import ShapeError
from convcost.ops import AdaptivePool, Op, Pad, PixelShuffle, Pool, Resize, Unfold
from convcost.sources.aten.settings import IntOrInts, batched, both_sides, each
from convcost.sources.tracer import Tracer


def _pool(kind: str, axes: int, *, indices: bool = False) -> Callable[..., Any]:
    def rule(
        tracer: Tracer,
        func: Any,
        x: Tensor,
        kernel_size: IntOrInts,
        stride: IntOrInts = (),
        padding: IntOrInts = 0,
        fourth: Any = 1,
        fifth: Any = False,  # noqa: FBT002
        *_: Any,
        **kwargs: Any,
    ) -> Any:
        # max pools: dilation, ceil_mode; average pools: ceil_mode, count_include_pad
        dilation, ceil_mode = (fourth, fifth) if kind == "max_pool" else (1, fourth is True)
        kernel = each(kernel_size, axes)
        op = Pool(
            kind,
            kernel,
            each(stride, axes) if isinstance(stride, int) or len(stride) else kernel,
            both_sides(padding, axes),
            each(kwargs.get("dilation", dilation), axes),
            bool(kwargs.get("ceil_mode", ceil_mode)),
        )
        if any(2 * pad[0] > size for pad, size in zip(op.padding, kernel, strict=True)):
            raise ShapeError("the padding is more than half the kernel")
        if indices:
            return tracer.run_on_twins(func, (x, kernel, op.stride, *_pool_rest(op)), {}, op)
        return tracer.emit(op, (x,), batched(op.output_shape, tracer.shape(x), axes), like=x)

    return rule


def _pool_rest(op: Pool) -> tuple[Any, ...]:
    return tuple(before for before, _ in op.padding), op.dilation, op.ceil_mode


def _adaptive(kind: str, axes: int, *, indices: bool = False) -> Callable[..., Any]:
    def rule(tracer: Tracer, func: Any, x: Tensor, output_size: IntOrInts) -> Any:
        if x.dim() < axes + 1:
            raise ShapeError(f"needs {axes} spatial axes, found {list(x.shape)}")
        pairs = zip(each(output_size, axes), tracer.shape(x)[-axes:], strict=True)
        op = AdaptivePool(tuple([before if size is None else size for size, before in pairs]), kind)
        if indices:
            return tracer.run_on_twins(func, (x, output_size), {}, op)
        return tracer.emit(op, (x,), (*x.shape[:-axes], *op.size), like=x)

    return rule


def _upsample(mode: str, *, has_corners: bool) -> Callable[..., Any]:
    def rule(
        tracer: Tracer,
        _: Any,
        x: Tensor,
        size: Sequence[int] | None = None,
        *rest: Any,
        **kwargs: Any,
    ) -> Tensor:
        corners = bool(kwargs.get("align_corners", rest[0] if rest and has_corners else False))
        last = kwargs.get("scale_factors", rest[-1] if rest else None)
        # torch samples by the factor itself where there is one, not by the ratio of the sizes
        factors = tuple(last) if isinstance(last, list | tuple) else None
        if size is None:
            pairs = zip(x.shape[2:], factors or (), strict=True)
            size = [int(n * factor) for n, factor in pairs]
        op = Resize(tuple(size), mode, corners, factors)
        return tracer.emit(op, (x,), (*x.shape[:2], *size), like=x)

    return rule


def _pad(
    tracer: Tracer,
    _: Any,
    x: Tensor,
    pad: Sequence[int],
    mode: Any = "constant",
    *__: Any,
    **___: Any,
) -> Tensor:
    sides = tuple((pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2))
    op = Pad(sides, mode if isinstance(mode, str) else "constant")
    kept = x.dim() - len(sides)
    if op.mode != "constant" or kept < 0:
        batched(op.output_shape, tracer.shape(x), len(sides))
    sizes = (n + sum(side) for n, side in zip(x.shape[kept:], sides, strict=True))
    return tracer.emit(op, (x,), (*x.shape[:kept], *sizes), like=x)


def _pixel_shuffle(tracer: Tracer, _: Any, x: Tensor, factor: int) -> Tensor:
    # [*, c, h r, w r] = pixel_shuffle([*, c r², h, w])
    *batch, channels, height, width = x.shape
    if channels % factor**2:
        raise ShapeError(f"needs a multiple of {factor**2} channels, found {channels}")
    shape = (*batch, channels // factor**2, height * factor, width * factor)
    return tracer.emit(PixelShuffle(factor, upscale=True), (x,), shape, like=x)


def _pixel_unshuffle(tracer: Tracer, _: Any, x: Tensor, factor: int) -> Tensor:
    # [*, c r², h, w] = pixel_unshuffle([*, c, h r, w r])
    *batch, channels, height, width = x.shape
    if height % factor or width % factor:
        raise ShapeError(f"needs multiples of {factor}, found {height}×{width}")
    shape = (*batch, channels * factor**2, height // factor, width // factor)
    op = PixelShuffle(factor, upscale=False, kind="pixel_unshuffle")
    return tracer.emit(op, (x,), shape, like=x)


def _im2col(
    tracer: Tracer,
    func: Any,
    x: Tensor,
    kernel_size: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Any:
    kernel, rates = tuple(kernel_size), tuple(dilation)
    windows = Pool("unfold", kernel, tuple(stride), both_sides(padding, 2), rates)
    output = batched(windows.output_shape, tracer.shape(x), 2)[-2:]
    op: Op = Unfold(kernel, tuple(stride), windows.padding, rates, output)
    return tracer.run_on_twins(func, (x, kernel_size, dilation, padding, stride), {}, op)


_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}

RULES: dict[str, Callable[..., Any]] = {
    **{f"max_pool{n}d": _pool("max_pool", n) for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": _pool("max_pool", n, indices=True) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": _pool("avg_pool", n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": _adaptive("adaptive_avg_pool", n) for n in (1, 2, 3)},
    **{f"_adaptive_avg_pool{n}d": _adaptive("adaptive_avg_pool", n) for n in (2, 3)},
    **{
        f"adaptive_max_pool{n}d": _adaptive("adaptive_max_pool", n, indices=True) for n in (1, 2, 3)
    },
    **{f"upsample_nearest{n}d": _upsample("nearest", has_corners=False) for n in (1, 2, 3)},
    **{
        f"_upsample_nearest_exact{n}d": _upsample("nearest_exact", has_corners=False)
        for n in (1, 2, 3)
    },
    **{f"upsample_{m}{n}d": _upsample(m, has_corners=True) for n, m in _LINEAR.items()},
    "upsample_bicubic2d": _upsample("bicubic", has_corners=True),
    "_upsample_bilinear2d_aa": _upsample("antialiased", has_corners=True),
    "_upsample_bicubic2d_aa": _upsample("antialiased_bicubic", has_corners=True),
    "pad": _pad,
    "constant_pad_nd": _pad,
    **{f"reflection_pad{n}d": _pad for n in (1, 2, 3)},
    **{f"replication_pad{n}d": _pad for n in (1, 2, 3)},
    "_pad_circular": _pad,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "im2col": _im2col,
}
