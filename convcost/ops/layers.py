"""Layers: the ops that a spec can say and convcost can build.

Shapes are ``(batch, channels, *spatial)``; per-axis settings hold one entry per spatial axis,
``padding`` one ``(before, after)`` pair. Each layer tells its output shape and the shapes of its
parameters.
"""

from collections.abc import Callable
from itertools import starmap
from math import prod
from typing import NamedTuple

from convcost.errors import ShapeError
from convcost.ops.shapes import Padding, Shape, Sizes, format_shape


class Input(NamedTuple):
    """A tensor that the user hands in."""

    shape: Shape
    kind: str = "input"

    def output_shape(self, *_: Shape) -> Shape:
        return self.shape


class Conv(NamedTuple):
    """A convolution, or a transposed one, with torch's meaning of every setting.

    Transposed: ``padding`` crops the output, as in ``torch.nn.ConvTranspose2d``.
    """

    in_channels: int
    out_channels: int
    kernel_size: Sizes
    stride: Sizes
    padding: Padding
    dilation: Sizes
    groups: int = 1
    bias: bool = True
    transposed: bool = False
    output_padding: Sizes = ()

    @property
    def kind(self) -> str:
        return "conv_transpose" if self.transposed else "conv"

    @property
    def effective_kernel_size(self) -> Sizes:
        """Positions from the first tap to the last: ``dilation * (kernel_size - 1) + 1``."""
        return _spans(self.kernel_size, self.dilation)

    @property
    def has_one_tap(self) -> bool:
        """Whether every axis has one tap."""
        return all(k == 1 for k in self.kernel_size)

    @property
    def is_depthwise(self) -> bool:
        """Whether each input channel is filtered on its own."""
        return self.groups == self.in_channels > 1

    @property
    def weight_shape(self) -> Shape:
        """Torch's layout: ``(out, in / groups, *kernel)``, transposed ``(in, out / groups, …)``."""
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        return (first, second // self.groups, *self.kernel_size)

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        _need_channels(shape, self.in_channels, len(self.kernel_size))
        size = _transposed_size if self.transposed else _conv_size
        return (shape[0], self.out_channels, *size(self, shape[2:]))

    def parameter_shapes(self) -> dict[str, Shape]:
        weight = {"weight": self.weight_shape}
        return {**weight, "bias": (self.out_channels,)} if self.bias else weight


def _spans(kernel_size: Sizes, dilation: Sizes) -> Sizes:
    return tuple([d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)])


def same_padding(kernel_size: Sizes, dilation: Sizes) -> Padding:
    """Torch's padding 'same': the odd one after (aten/src/ATen/native/Convolution.cpp)."""
    spans = [span - 1 for span in _spans(kernel_size, dilation)]
    return tuple([(span // 2, span - span // 2) for span in spans])


def _conv_size(conv: Conv, spatial: Sizes) -> Sizes:
    return _window_size(conv, spatial, _floor_size)


def _transposed_size(conv: Conv, spatial: Sizes) -> Sizes:
    limits = zip(conv.output_padding, conv.stride, conv.dilation, strict=True)
    if any(extra >= max(stride, dilation) for extra, stride, dilation in limits):
        raise ShapeError("output_padding must be smaller than the stride or the dilation")
    # torch.nn.ConvTranspose2d, 'Shape': (n - 1) s - 2 p + d (k - 1) + output_padding + 1
    settings = zip(
        spatial,
        conv.stride,
        conv.padding,
        conv.effective_kernel_size,
        conv.output_padding,
        strict=True,
    )
    sizes = tuple((n - 1) * s - sum(p) + k + extra for n, s, p, k, extra in settings)
    if min(sizes) < 1:
        raise ShapeError(f"the padding crops the whole output: it would be {format_shape(sizes)}")
    return sizes


class Pool(NamedTuple):
    """A max or average pool over a window (``kind``: ``max_pool`` or ``avg_pool``)."""

    kind: str
    kernel_size: Sizes
    stride: Sizes
    padding: Padding
    dilation: Sizes
    ceil_mode: bool = False

    @property
    def effective_kernel_size(self) -> Sizes:
        """Positions from the first tap to the last: ``dilation * (kernel_size - 1) + 1``."""
        return _spans(self.kernel_size, self.dilation)

    @property
    def is_dilated_average(self) -> bool:
        """Whether it averages over positions that lie apart, as no pool of torch's or a spec's."""
        return self.kind == "avg_pool" and set(self.dilation) != {1}

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        _need_spatial(shape, len(self.kernel_size))
        size = _ceil_size if self.ceil_mode else _floor_size
        return (*shape[:2], *_window_size(self, shape[2:], size))


def _window_size(op: Conv | Pool, spatial: Sizes, size: Callable[..., int]) -> Sizes:
    axes = zip(spatial, op.kernel_size, op.dilation, op.stride, op.padding, strict=True)
    sizes = tuple(starmap(size, axes))
    if min(sizes) < 1:
        padded = tuple(n + sum(sides) for n, sides in zip(spatial, op.padding, strict=True))
        raise ShapeError(
            f"the kernel spans {format_shape(op.effective_kernel_size)} positions, "
            f"the padded input has only {format_shape(padded)}"
        )
    return sizes


def _floor_size(size: int, kernel: int, dilation: int, stride: int, sides: tuple[int, int]) -> int:
    return (size + sides[0] + sides[1] - dilation * (kernel - 1) - 1) // stride + 1


def _ceil_size(size: int, kernel: int, dilation: int, stride: int, sides: tuple[int, int]) -> int:
    # torch.nn.MaxPool2d, ceil_mode: a window that would start in the padding after is left out
    last = -(-(size + sum(sides) - dilation * (kernel - 1) - 1) // stride)
    return last + (last * stride < size + sides[0])


class Linear(NamedTuple):
    """A fully connected layer over the last dimension."""

    in_features: int
    out_features: int
    bias: bool = True
    kind: str = "linear"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if shape[-1] != self.in_features:
            raise ShapeError(f"needs {self.in_features} features, the input has {shape[-1]}")
        return (*shape[:-1], self.out_features)

    def parameter_shapes(self) -> dict[str, Shape]:
        weight: dict[str, Shape] = {"weight": (self.out_features, self.in_features)}
        return {**weight, "bias": (self.out_features,)} if self.bias else weight


class Norm(NamedTuple):
    """A normalisation whose statistics are known beforehand (batch norm in eval mode)."""

    channels: int
    affine: bool = True
    kind: str = "batch_norm"

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"weight": (self.channels,), "bias": (self.channels,)} if self.affine else {}


class Elementwise(NamedTuple):
    """An op that treats every position alike: activations (``kind`` names them) and ``add``."""

    kind: str

    def output_shape(self, *shapes: Shape) -> Shape:
        if any(shape != shapes[0] for shape in shapes):
            found = " and ".join(format_shape(shape[1:]) for shape in shapes)
            raise ShapeError(f"needs inputs of one shape, found {found}")
        return shapes[0]


class Resize(NamedTuple):
    """An interpolation to ``size`` (``mode``: nearest, linear, bilinear, trilinear).

    Traced models also have nearest_exact, bicubic, antialiased and antialiased_bicubic.

    ``factors``, where given, are what is sampled by, in place of the ratio of the sizes.
    """

    size: Sizes
    mode: str
    align_corners: bool = False
    factors: tuple[float, ...] | None = None
    kind: str = "upsample"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        _need_spatial(shape, len(self.size))
        return (*shape[:2], *self.size)


class Pad(NamedTuple):
    """Padding as a step of its own (``mode``: constant, reflect, replicate, circular)."""

    padding: Padding
    mode: str = "constant"
    kind: str = "pad"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        _need_spatial(shape, len(self.padding))
        sizes = tuple(n + sum(p) for n, p in zip(shape[2:], self.padding, strict=True))
        widest = tuple(max(p) for p in self.padding)
        # torch: a reflection needs a position beyond what it mirrors, a wrap at most one turn
        limits = {"reflect": -1, "circular": 0}
        if self.mode in limits and any(
            w > n + limits[self.mode] for w, n in zip(widest, shape[2:], strict=True)
        ):
            raise ShapeError(
                f"{self.mode} padding of {format_shape(widest)} is too wide "
                f"for an input of {format_shape(shape[2:])}"
            )
        return (*shape[:2], *sizes)


class Concat(NamedTuple):
    """Inputs joined along one dimension: the channels unless told otherwise."""

    dim: int = 1
    kind: str = "concat"

    def output_shape(self, *shapes: Shape) -> Shape:
        rest = {(shape[: self.dim], shape[self.dim + 1 :]) for shape in shapes}
        if len(rest) > 1:
            found = " and ".join(format_shape(shape[2:]) or "none" for shape in shapes)
            raise ShapeError(f"needs inputs of one spatial shape, found {found}")
        joined = sum(shape[self.dim] for shape in shapes)
        return (*shapes[0][: self.dim], joined, *shapes[0][self.dim + 1 :])


class Flatten(NamedTuple):
    """Channels and spatial axes folded into one dimension: a view."""

    kind: str = "flatten"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return (shape[0], prod(shape[1:]))


class GlobalPool(NamedTuple):
    """The spatial axes reduced to one position each."""

    kind: str = "global_avg_pool"

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(shape) < 3:
            raise ShapeError("needs spatial axes, the input has none")
        return (*shape[:2], *(1 for _ in shape[2:]))


Layer = (
    Input | Conv | Pool | Linear | Norm | Elementwise | Resize | Pad | Concat | Flatten | GlobalPool
)


def parameter_shapes(op: Layer) -> dict[str, Shape]:
    """The shapes of an op's learnable tensors, by torch's names."""
    return op.parameter_shapes() if isinstance(op, Conv | Linear | Norm) else {}


def _need_channels(shape: Shape, channels: int, axes: int) -> None:
    _need_spatial(shape, axes)
    if shape[1] != channels:
        raise ShapeError(f"needs {channels} input channels, found {shape[1]}")


def _need_spatial(shape: Shape, axes: int) -> None:
    if len(shape) != axes + 2:
        raise ShapeError(f"needs channels and {axes} spatial axes, found {format_shape(shape[1:])}")
