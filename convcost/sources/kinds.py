"""The layer kinds of a spec: one class and one line in ``KINDS`` for each.

Each class holds what the YAML may say and turns it, with the shapes of its inputs, into an op.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, StrictBool, model_validator

from convcost import ops
from convcost.errors import ShapeError
from convcost.ops import Shape, Sizes
from convcost.sources.fields import Count, Natural, PaddingField, PerAxis, Positive


class Kind(BaseModel):
    """Settings of one layer; ``inputs`` says how many inputs it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def takes_many(cls) -> bool:
        """Whether it joins several inputs."""
        return False

    def op(self, *shapes: Shape) -> ops.Op:
        """The op for inputs of these shapes.

        Raises:
            ShapeError: the settings don't fit the shapes.
        """
        raise NotImplementedError


class _Convolution(Kind):
    out_channels: Count
    kernel_size: Positive
    stride: Positive = 1
    padding: PaddingField = 0
    dilation: Positive | None = None
    rate: Positive | None = None
    groups: Count = 1
    bias: StrictBool = True

    @model_validator(mode="after")
    def _one_dilation(self) -> Self:
        if self.dilation is not None and self.rate is not None:
            raise ValueError("dilation and rate are two words for one thing: give one of them")
        return self

    def _rate(self, axes: int) -> Sizes:
        return _each(self.dilation or self.rate or 1, axes, "dilation")

    def _in_channels(self, shape: Shape) -> int:
        if shape[1] % self.groups or self.out_channels % self.groups:
            raise ShapeError(
                f"groups ({self.groups}) must divide both "
                f"in_channels ({shape[1]}) and out_channels ({self.out_channels})"
            )
        return shape[1]


class ConvKind(_Convolution):
    """A convolution; ``in_channels`` is inferred, ``rate`` is another name of ``dilation``."""

    def op(self, *shapes: Shape) -> ops.Conv:
        spatial = _spatial(shapes[0])
        axes = len(spatial)
        kernel, stride = _each(self.kernel_size, axes), _each(self.stride, axes, "stride")
        dilation = self._rate(axes)
        window = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        return ops.Conv(
            in_channels=self._in_channels(shapes[0]),
            out_channels=self.out_channels,
            kernel_size=kernel,
            stride=stride,
            padding=_padding(self.padding, spatial, window, stride),
            dilation=dilation,
            groups=self.groups,
            bias=self.bias,
        )


class ConvTransposeKind(_Convolution):
    """A transposed convolution; ``padding`` crops its output."""

    output_padding: Natural = 0

    def op(self, *shapes: Shape) -> ops.Conv:
        spatial = _spatial(shapes[0])
        axes = len(spatial)
        if self.padding == "same":
            raise ShapeError("padding: same is not defined for a transposed convolution")
        kernel, stride = _each(self.kernel_size, axes), _each(self.stride, axes, "stride")
        dilation, extra = self._rate(axes), _each(self.output_padding, axes, "output_padding")
        if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
            raise ShapeError("output_padding must be smaller than the stride or the dilation")
        return ops.Conv(
            in_channels=self._in_channels(shapes[0]),
            out_channels=self.out_channels,
            kernel_size=kernel,
            stride=stride,
            padding=_padding(self.padding, spatial, kernel, stride),
            dilation=dilation,
            groups=self.groups,
            bias=self.bias,
            transposed=True,
            output_padding=extra,
        )


class _Pooling(Kind):
    kernel_size: Positive
    stride: Positive | None = None
    padding: PaddingField = 0
    ceil_mode: StrictBool = False

    def _pool(self, kind: str, shape: Shape, dilation: PerAxis = 1) -> ops.Pool:
        spatial = _spatial(shape)
        axes = len(spatial)
        kernel, dilations = _each(self.kernel_size, axes), _each(dilation, axes, "dilation")
        stride = _each(self.stride or self.kernel_size, axes, "stride")
        window = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
        pads = _padding(self.padding, spatial, window, stride)
        return ops.Pool(kind, kernel, stride, pads, dilations, self.ceil_mode)


class MaxPoolKind(_Pooling):
    """A max pool; ``stride`` is the kernel size unless given."""

    dilation: Positive = 1

    def op(self, *shapes: Shape) -> ops.Pool:
        return self._pool("max_pool", shapes[0], self.dilation)


class AvgPoolKind(_Pooling):
    """An average pool; ``stride`` is the kernel size unless given."""

    def op(self, *shapes: Shape) -> ops.Pool:
        return self._pool("avg_pool", shapes[0])


class GlobalAvgPoolKind(Kind):
    """The mean over all positions: one position per channel is left."""

    def op(self, *_: Shape) -> ops.Reduce:
        return ops.Reduce()


class UpsampleKind(Kind):
    """An interpolation to ``size``, or by the whole factor ``scale``."""

    scale: Positive | None = None
    size: Positive | None = None
    mode: Literal["nearest", "linear", "bilinear", "trilinear"] = "nearest"
    align_corners: StrictBool = False

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.scale is None) == (self.size is None):
            raise ValueError("give either scale or size")
        return self

    def op(self, *shapes: Shape) -> ops.Resize:
        spatial = _spatial(shapes[0])
        axes = len(spatial)
        linear = ("linear", "bilinear", "trilinear")[axes - 1]
        if self.mode not in ("nearest", "linear", linear):
            raise ShapeError(f"mode {self.mode} doesn't fit {axes} spatial axes: use {linear}")
        if self.size is not None:
            size = _each(self.size, axes, "size")
        else:
            factors = _each(self.scale or 1, axes, "scale")
            size = tuple(n * factor for n, factor in zip(spatial, factors, strict=True))
        return ops.Resize(
            size, "nearest" if self.mode == "nearest" else linear, self.align_corners
        )


class BatchNormKind(Kind):
    """Batch norm with its learned scale and shift, in eval mode."""

    def op(self, *shapes: Shape) -> ops.Norm:
        return ops.Norm(shapes[0][1])


class PadKind(Kind):
    """Padding as a step of its own."""

    padding: PaddingField
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"

    def op(self, *shapes: Shape) -> ops.Pad:
        if isinstance(self.padding, str):
            raise ShapeError(f"padding: {self.padding} needs a kernel: give numbers")
        spatial = _spatial(shapes[0])
        return ops.Pad(_padding(self.padding, spatial, spatial, spatial), self.mode)


class ConcatKind(Kind):
    """Its inputs joined along the channels."""

    @classmethod
    def takes_many(cls) -> bool:
        return True

    def op(self, *_: Shape) -> ops.Concat:
        return ops.Concat()


class AddKind(Kind):
    """The sum of its inputs."""

    @classmethod
    def takes_many(cls) -> bool:
        return True

    def op(self, *_: Shape) -> ops.Elementwise:
        return ops.Elementwise("add")


class FlattenKind(Kind):
    """Channels and spatial axes folded into one dimension."""

    def op(self, *_: Shape) -> ops.Flatten:
        return ops.Flatten()


class LinearKind(Kind):
    """A fully connected layer; ``in_features`` is inferred."""

    out_features: Count
    bias: StrictBool = True

    def op(self, *shapes: Shape) -> ops.Linear:
        (shape,) = shapes
        if len(shape) > 2:
            raise ShapeError(
                f"the input has spatial axes ({ops.format_shape(shape[1:])}): flatten it first"
            )
        return ops.Linear(shape[1], self.out_features, self.bias)


def _activation(kind: str) -> type[Kind]:
    def op(_: Kind, *__: Shape) -> ops.Elementwise:
        return ops.Elementwise(kind)

    members = {"op": op, "__doc__": "An activation.", "__module__": __name__}
    return type("".join(map(str.title, kind.split("_"))) + "Kind", (Kind,), members)


ACTIVATIONS = (
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

KINDS: dict[str, type[Kind]] = {
    "conv": ConvKind,
    "conv_transpose": ConvTransposeKind,
    "max_pool": MaxPoolKind,
    "avg_pool": AvgPoolKind,
    "global_avg_pool": GlobalAvgPoolKind,
    "upsample": UpsampleKind,
    "batch_norm": BatchNormKind,
    "add": AddKind,
    "concat": ConcatKind,
    "flatten": FlattenKind,
    "linear": LinearKind,
    "pad": PadKind,
    **{kind: _activation(kind) for kind in ACTIVATIONS},
}


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
    value: str | PerAxis | tuple[tuple[int, int], ...],
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
