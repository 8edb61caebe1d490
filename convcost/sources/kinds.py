"""The layer kinds of a spec: one function and one line in ``KINDS`` for each.

A kind has a model of its settings, as the YAML has them, and a function that turns them, with
the shapes of the layer's inputs, into an op.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from convcost import ops
from convcost.errors import ShapeError
from convcost.ops import Shape, Sizes
from convcost.sources.fields import Pairs, PerAxis
from convcost.sources.kind_settings import (
    AvgPoolSettings,
    ConvSettings,
    ConvTransposeSettings,
    LinearSettings,
    MaxPoolSettings,
    NoSettings,
    PadSettings,
    UpsampleSettings,
)


def _conv(settings: ConvSettings, _: str, shape: Shape) -> ops.Conv:
    spatial = _spatial(shape)
    axes = len(spatial)
    if shape[1] % settings.groups or settings.out_channels % settings.groups:
        raise ShapeError(
            f"groups ({settings.groups}) must divide both in_channels ({shape[1]}) "
            f"and out_channels ({settings.out_channels})"
        )
    kernel, stride = _each(settings.kernel_size, axes), _each(settings.stride, axes, "stride")
    dilation = _each(settings.dilation or settings.rate or 1, axes, "dilation")
    return ops.Conv(
        in_channels=shape[1],
        out_channels=settings.out_channels,
        kernel_size=kernel,
        stride=stride,
        padding=_padding(settings.padding, spatial, _window(kernel, dilation), stride),
        dilation=dilation,
        groups=settings.groups,
        bias=settings.bias,
    )


def _conv_transpose(settings: ConvTransposeSettings, kind: str, shape: Shape) -> ops.Conv:
    conv = _conv(settings, kind, shape)
    extra = _each(settings.output_padding, len(conv.stride), "output_padding")
    return conv._replace(transposed=True, output_padding=extra)


def _pool(settings: AvgPoolSettings, kind: str, shape: Shape) -> ops.Pool:
    spatial = _spatial(shape)
    axes = len(spatial)
    kernel = _each(settings.kernel_size, axes)
    stride = _each(settings.stride or settings.kernel_size, axes, "stride")
    rate = settings.dilation if isinstance(settings, MaxPoolSettings) else 1
    dilation = _each(rate, axes, "dilation")
    padding = _padding(settings.padding, spatial, _window(kernel, dilation), stride)
    return ops.Pool(kind, kernel, stride, padding, dilation, settings.ceil_mode)


def _upsample(settings: UpsampleSettings, _: str, shape: Shape) -> ops.Resize:
    spatial = _spatial(shape)
    axes = len(spatial)
    linear = ("linear", "bilinear", "trilinear")[axes - 1]
    if settings.mode not in ("nearest", "linear", linear):
        raise ShapeError(f"mode {settings.mode} doesn't fit {axes} spatial axes: use {linear}")
    if settings.size is not None:
        size = _each(settings.size, axes, "size")
    else:
        factors = _each(settings.scale or 1, axes, "scale")
        size = tuple(n * factor for n, factor in zip(spatial, factors, strict=True))
    mode = "nearest" if settings.mode == "nearest" else linear
    return ops.Resize(size, mode, settings.align_corners)


def _pad(settings: PadSettings, _: str, shape: Shape) -> ops.Pad:
    spatial = _spatial(shape)
    return ops.Pad(_padding(settings.padding, spatial, spatial, spatial), settings.mode)


def _linear(settings: LinearSettings, _: str, shape: Shape) -> ops.Linear:
    if len(shape) > 2:
        found = ops.format_shape(shape[1:])
        raise ShapeError(f"the input has spatial axes ({found}): flatten it first")
    return ops.Linear(shape[1], settings.out_features, settings.bias)


class LayerKind(NamedTuple):
    """What the YAML may say of a kind, and the op it makes of the first input's shape."""

    settings: type[NoSettings]
    op: Callable[[Any, str, Shape], ops.Layer]
    takes_many: bool = False


_ACTIVATIONS = (
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "sigmoid",
    "hardsigmoid",
    "hardswish",
    "tanh",
    "softplus",
)

KINDS: dict[str, LayerKind] = {
    "conv": LayerKind(ConvSettings, _conv),
    "conv_transpose": LayerKind(ConvTransposeSettings, _conv_transpose),
    "max_pool": LayerKind(MaxPoolSettings, _pool),
    "avg_pool": LayerKind(AvgPoolSettings, _pool),
    "global_avg_pool": LayerKind(NoSettings, lambda *_: ops.GlobalPool()),
    "upsample": LayerKind(UpsampleSettings, _upsample),
    "batch_norm": LayerKind(NoSettings, lambda _, __, shape: ops.Norm(shape[1])),
    "add": LayerKind(NoSettings, lambda *_: ops.Elementwise("add"), takes_many=True),
    "concat": LayerKind(NoSettings, lambda *_: ops.Concat(), takes_many=True),
    "flatten": LayerKind(NoSettings, lambda *_: ops.Flatten()),
    "linear": LayerKind(LinearSettings, _linear),
    "pad": LayerKind(PadSettings, _pad),
    **{
        kind: LayerKind(NoSettings, lambda _, kind, __: ops.Elementwise(kind))
        for kind in _ACTIVATIONS
    },
}


def _window(kernel: Sizes, dilation: Sizes) -> Sizes:
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))


def _spatial(shape: Shape) -> Sizes:
    if len(shape) < 3:
        raise ShapeError("needs spatial axes, the input has none (it was flattened)")
    return shape[2:]


def _each(value: PerAxis, axes: int, key: str = "kernel_size") -> Sizes:
    sizes = (value,) * axes if isinstance(value, int) else value
    if len(sizes) != axes:
        raise ShapeError(f"{key} has {len(sizes)} entries, the input has {axes} spatial axes")
    return sizes


def _padding(
    value: str | PerAxis | Pairs,
    spatial: Sizes,
    window: Sizes,
    stride: Sizes,
) -> ops.Padding:
    if value == "same":
        return tuple(map(_same, spatial, window, stride))
    if isinstance(value, str):
        return ((0, 0),) * len(spatial)
    each = (value,) * len(spatial) if isinstance(value, int) else value
    if len(each) != len(spatial):
        raise ShapeError(
            f"padding has {len(each)} entries, the input has {len(spatial)} spatial axes "
            "(different padding before and after is a pair per axis: [[before, after]])"
        )
    return tuple((pad, pad) if isinstance(pad, int) else pad for pad in each)


def _same(size: int, window: int, stride: int) -> tuple[int, int]:
    # output ceil(n / stride); the odd extra one after, as in TensorFlow and torch
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2
