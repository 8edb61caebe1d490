"""Small networks as modules: random ones, and what any function of modules does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor, nn

_CONVS: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS: Any = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_MAX: Any = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_AVG: Any = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_PAD: Any = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)


class Does(nn.Module):
    """Calls a function with ``parts`` before the input."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._function = function

    def forward(self, x: Tensor) -> Any:
        return self._function(*self.parts, x)


class Residual(nn.Module):
    """A block beside a shortcut."""

    def __init__(self, block: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.block(x) + self.shortcut(x))


class Join(nn.Module):
    """Branches side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Network(NamedTuple):
    """A network in double precision and eval mode, an input, and the stride after each stage."""

    module: nn.Module
    x: Tensor
    strides: tuple[int, ...]

    def __repr__(self) -> str:
        return f"{self.module} on {tuple(self.x.shape)}"


class _Built(NamedTuple):
    layers: list[nn.Module]
    channels: int
    stride: int


def _conv(draw: DrawFn, axes: int, channels: int, out: int, stride: int) -> nn.Module:
    """A convolution with 'same' padding, so that it stands beside others of its stride."""
    kernel = draw(st.sampled_from((1, 3, 5)))
    dilation = draw(st.integers(1, 2))
    groups = draw(st.sampled_from([g for g in (1, 2) if channels % g == 0 and out % g == 0]))
    settings = {"stride": stride, "padding": dilation * (kernel // 2), "dilation": dilation}
    bias = draw(st.booleans())
    conv: nn.Module = _CONVS[axes - 1](channels, out, kernel, groups=groups, bias=bias, **settings)
    return conv


def _free_conv(draw: DrawFn, axes: int, channels: int) -> _Built:
    out, stride = draw(st.sampled_from((2, 4))), draw(st.integers(1, 3))
    kernel, padding = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    conv = _CONVS[axes - 1](channels, out, kernel, stride=stride, padding=padding)
    return _Built([conv, _NORMS[axes - 1](out), nn.ReLU()], out, stride)


def _max_pool(draw: DrawFn, axes: int, channels: int) -> _Built:
    kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, kernel // 2))
    ceil_mode = draw(st.booleans())
    pool = _MAX[axes - 1](kernel, stride, padding, ceil_mode=ceil_mode)
    return _Built([pool], channels, stride)


def _avg_pool(draw: DrawFn, axes: int, channels: int) -> _Built:
    kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, kernel // 2))
    pool = _AVG[axes - 1](
        kernel,
        stride,
        padding,
        ceil_mode=draw(st.booleans()),
        count_include_pad=draw(st.booleans()),
    )
    if axes > 1 and draw(st.booleans()):
        pool.divisor_override = 3
    return _Built([pool], channels, stride)


def _pad(draw: DrawFn, axes: int, channels: int) -> _Built:
    sizes = tuple(draw(st.integers(0, 2)) for _ in range(2 * axes))
    return _Built([_PAD[axes - 1](sizes, float(draw(st.integers(0, 1))))], channels, 1)


def _residual(draw: DrawFn, axes: int, channels: int) -> _Built:
    stride = draw(st.integers(1, 2))
    out = channels if stride == 1 else 4
    first = _conv(draw, axes, channels, out, stride)
    second = _conv(draw, axes, out, out, 1)
    shortcut: nn.Module = nn.Identity()
    if stride > 1:
        shortcut = _CONVS[axes - 1](channels, out, 1, stride=stride)
    return _Built([Residual(nn.Sequential(first, nn.ReLU(), second), shortcut)], out, stride)


def _join(draw: DrawFn, axes: int, channels: int) -> _Built:
    stride = draw(st.integers(1, 2))
    branches: list[nn.Module] = [_conv(draw, axes, channels, 2, stride) for _ in range(2)]
    branches.append(_MAX[axes - 1](3, stride, 1))
    branches.append(_AVG[axes - 1](3, stride, 1, count_include_pad=draw(st.booleans())))
    return _Built([Join(*branches)], 4 + 2 * channels, stride)


Part = Callable[[DrawFn, int, int], _Built]
PARTS: tuple[Part, ...] = (_free_conv, _max_pool, _avg_pool, _pad, _residual, _join)
SPREADABLE: tuple[Part, ...] = (_free_conv, _residual)


@st.composite
def networks(
    draw: DrawFn,
    axes: int,
    size: st.SearchStrategy[int],
    parts: tuple[Part, ...] = PARTS,
    most: int = 4,
) -> Network:
    """A network of two to ``most`` parts, whose every output holds positions."""
    torch.manual_seed(draw(st.integers(0, 1000)))
    channels, stride = 6, 1
    layers: list[nn.Module] = []
    strides = [1]
    for _ in range(draw(st.integers(2, most))):
        built = draw(st.sampled_from(parts))(draw, axes, channels)
        layers += built.layers
        channels, stride = built.channels, stride * built.stride
        strides.append(stride)
    x = torch.randn(2, 6, *(draw(size) for _ in range(axes)), dtype=torch.float64)
    return Network(nn.Sequential(*layers).double().eval(), x, tuple(strides))


def runs(network: Network) -> bool:
    """Whether the input is large enough for every window."""
    try:
        with torch.inference_mode():
            # in ceil mode torch also takes an input that is smaller than the window
            inner = network.module
            assert isinstance(inner, nn.Sequential)
            x = network.x
            for layer in inner:
                if isinstance(layer, (*_MAX, *_AVG)) and _is_small(x, layer):
                    return False
                x = layer(x)
        return min(x.shape) > 0
    except RuntimeError:
        return False


def _is_small(x: Tensor, pool: Any) -> bool:
    axes = x.dim() - 2
    kernel, padding = (
        (value,) * axes if isinstance(value, int) else value * (axes // len(value))
        for value in (pool.kernel_size, pool.padding)
    )
    return any(n + 2 * p < k for n, k, p in zip(x.shape[2:], kernel, padding, strict=True))
