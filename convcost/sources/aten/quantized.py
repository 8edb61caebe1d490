"""Quantised convolutions and linear layers, whose weights are packed away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from convcost.ops import Conv, Linear
from convcost.sources.aten.elementwise import by_kernel
from convcost.sources.aten.settings import both_sides
from convcost.sources.tracer import Tracer


def _conv(tracer: Tracer, func: Any, x: Tensor, packed: Any, *args: Any) -> Any:
    weight, bias = torch.ops.quantized.conv2d_unpack(packed)
    shape = tuple(weight.shape)
    groups = packed.groups()
    op = Conv(
        shape[1] * groups,
        shape[0],
        shape[2:],
        tuple(packed.stride()),
        both_sides(tuple(packed.padding()), 2),
        tuple(packed.dilation()),
        groups,
        bias is not None,
    )
    return tracer.run_on_twins(func, (x, packed, *args), {}, op)


def _linear(tracer: Tracer, func: Any, x: Tensor, packed: Any, *args: Any) -> Any:
    weight, bias = torch.ops.quantized.linear_unpack(packed)
    op = Linear(weight.shape[1], weight.shape[0], bias is not None)
    return tracer.run_on_twins(func, (x, packed, *args), {}, op)


_ELEMENTWISE = ("add", "add_relu", "mul", "mul_scalar", "hardswish", "batch_norm2d", "cat")
_CASTS = ("quantize_per_tensor", "dequantize")

RULES: dict[str, Callable[..., Any]] = {
    "quantized::conv2d": _conv,
    "quantized::conv2d_relu": _conv,
    "quantized::linear": _linear,
    "quantized::linear_relu": _linear,
    **{f"quantized::{kind}": by_kernel(kind) for kind in _ELEMENTWISE},
    **{kind: by_kernel(kind) for kind in _CASTS},
}
