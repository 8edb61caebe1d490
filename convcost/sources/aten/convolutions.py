"""Convolutions, plain and transposed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from convcost.errors import ShapeError
from convcost.ops import Conv, Padding, Shape, same_padding
from convcost.sources.aten.settings import IntOrInts, batched, both_sides, each
from convcost.sources.tracer import Tracer


def _conv(
    tracer: Tracer,
    _: Any,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrInts = 1,
    padding: IntOrInts | str = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
) -> Tensor:
    # [n, o, *spatial] = conv([n, i, *spatial], [o, i / groups, *kernel])
    shape = tracer.shape(weight)
    kernel = shape[2:]
    axes = len(kernel)
    steps, rates = each(stride, axes), each(dilation, axes)
    pads = _pads(padding, kernel, rates, steps)
    op = Conv(shape[1] * groups, shape[0], kernel, steps, pads, rates, groups, bias is not None)
    return _emit(tracer, op, x, weight, bias)


def _pads(padding: IntOrInts | str, kernel: Shape, dilation: Shape, stride: Shape) -> Padding:
    if not isinstance(padding, str):
        return both_sides(padding, len(kernel))
    if padding != "same":
        return ((0, 0),) * len(kernel)
    if any(step != 1 for step in stride):
        raise ShapeError("padding='same' is not for strided convolutions")
    return same_padding(kernel, dilation)


def _conv_transpose(
    tracer: Tracer,
    _: Any,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrInts = 1,
    padding: IntOrInts = 0,
    output_padding: IntOrInts = 0,
    groups: int = 1,
    dilation: IntOrInts = 1,
) -> Tensor:
    # [n, o, *spatial] = conv_transpose([n, i, *spatial], [i, o / groups, *kernel])
    shape = tracer.shape(weight)
    axes = len(shape) - 2
    op = Conv(
        shape[0],
        shape[1] * groups,
        shape[2:],
        each(stride, axes),
        both_sides(padding, axes),
        each(dilation, axes),
        groups,
        bias is not None,
        transposed=True,
        output_padding=each(output_padding, axes),
    )
    return _emit(tracer, op, x, weight, bias)


def _convolution(
    tracer: Tracer,
    func: Any,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,  # noqa: FBT001
    output_padding: Sequence[int],
    groups: int,
    *_: Any,
) -> Tensor:
    if transposed:
        return _conv_transpose(
            tracer, func, x, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return _conv(tracer, func, x, weight, bias, stride, padding, dilation, groups)


def _deform_conv(
    tracer: Tracer,
    func: Any,
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    bias: Tensor,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    *_: Any,
) -> Tensor:
    # the taps move with the data; the multiplications are those of a convolution
    del offset, mask
    rates = (dilation_h, dilation_w)
    return _conv(tracer, func, x, weight, bias, (stride_h, stride_w), (pad_h, pad_w), rates, groups)


def _emit(tracer: Tracer, op: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if x.dtype is not weight.dtype:
        raise ShapeError(f"the input is {x.dtype}, the weights are {weight.dtype}")
    if bias is not None and bias.numel() != op.out_channels:
        raise ShapeError(f"needs {op.out_channels} biases, found {bias.numel()}")
    if op.out_channels % op.groups:
        raise ShapeError(f"groups ({op.groups}) don't divide out_channels ({op.out_channels})")
    shape = batched(op.output_shape, tracer.shape(x), len(op.kernel_size))
    return tracer.emit(op, (tracer.as_node(x), weight, bias), shape, like=x)


RULES: dict[str, Callable[..., Any]] = {
    **{f"conv{n}d": _conv for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _conv_transpose for n in (1, 2, 3)},
    "convolution": _convolution,
    "_convolution": _convolution,
    "torchvision::deform_conv2d": _deform_conv,
}
