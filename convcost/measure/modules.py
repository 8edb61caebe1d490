"""From a graph to the ``nn.Module`` that runs it."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from convcost import ops
from convcost.errors import ConvcostError
from convcost.graph import Graph

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_POOLS = {
    "max_pool": (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    "avg_pool": (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
}
_GLOBAL_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def build_module(graph: Graph) -> nn.Module:
    """A module that runs ``graph`` on one tensor of its input's shape, in eval mode."""
    root, program = nn.Module(), torch.fx.Graph()
    values: list[torch.fx.Node] = []
    for index, node in enumerate(graph.nodes):
        if isinstance(node.op, ops.Input):
            values.append(program.placeholder(node.name))
            continue
        shapes = [graph.nodes[i].shape for i in node.inputs]
        root.add_module(f"node{index}", MODULES[type(node.op)](node.op, shapes[0]))
        inputs = tuple(values[i] for i in node.inputs)
        values.append(program.call_module(f"node{index}", inputs))
    program.output(values[-1])
    return torch.fx.GraphModule(root, program).eval()


def check_output(graph: Graph, output: Tensor) -> None:
    """Holds the executed shape against the computed one.

    Raises:
        ConvcostError: they differ, which is a bug of ours.
    """
    computed, executed = graph.nodes[-1].shape, tuple(output.shape)
    if executed != computed:
        raise ConvcostError(
            f"internal error: {graph.name} gave {executed}, computed was {computed}",
            "please report this with the spec: its counts can't be trusted",
        )


def has_string_padding(op: ops.Op) -> bool:
    """Whether ``op`` runs with torch's ``padding="same"``, which fvcore counts as 0."""
    if not isinstance(op, ops.Conv) or op.transposed or set(op.stride) != {1}:
        return False
    same = ops.same_padding(op.kernel_size, op.dilation)
    return op.padding == same and not _is_symmetric(op.padding)


def _is_symmetric(padding: ops.Padding) -> bool:
    return all(before == after for before, after in padding)


def _conv(op: ops.Conv, _: ops.Shape) -> nn.Module:
    if op.transposed:
        return _conv_transpose(op)
    direct = has_string_padding(op) or _is_symmetric(op.padding)
    before = tuple(before for before, _ in op.padding)
    padding = before if direct else (0,) * len(before)
    module = _CONVS[len(before) - 1](
        op.in_channels,
        op.out_channels,
        op.kernel_size,  # type: ignore[arg-type]  # as long as the class has axes
        stride=op.stride,  # type: ignore[arg-type]
        padding="same" if has_string_padding(op) else padding,  # type: ignore[arg-type]
        dilation=op.dilation,  # type: ignore[arg-type]
        groups=op.groups,
        bias=op.bias,
    )
    return module if direct else nn.Sequential(_Pad(op.padding), module)


def _conv_transpose(op: ops.Conv) -> nn.Module:
    direct = _is_symmetric(op.padding)
    before = tuple(before for before, _ in op.padding)
    module = _TRANSPOSED[len(before) - 1](
        op.in_channels,
        op.out_channels,
        op.kernel_size,  # type: ignore[arg-type]  # as long as the class has axes
        stride=op.stride,  # type: ignore[arg-type]
        padding=before if direct else (0,) * len(before),  # type: ignore[arg-type]
        output_padding=op.output_padding,  # type: ignore[arg-type]
        dilation=op.dilation,  # type: ignore[arg-type]
        groups=op.groups,
        bias=op.bias,
    )
    crop = tuple((-before, -after) for before, after in op.padding)
    return module if direct else nn.Sequential(module, _Pad(crop))


def _pool(op: ops.Pool, shape: ops.Shape) -> nn.Module:
    if op.is_dilated_average:
        return nn.Sequential(_Pad(_exact_pads(op, shape)), _depthwise_average(op, shape[1]))
    before = tuple(before for before, _ in op.padding)
    # torch pads both sides alike, at most half a kernel, and AvgPool3d needs a whole window without
    direct = _is_symmetric(op.padding) and all(
        2 * pad <= kernel and (kernel <= size or len(before) < 3)
        for pad, kernel, size in zip(before, op.kernel_size, shape[2:], strict=True)
    )
    settings: dict[str, Any] = {"kernel_size": op.kernel_size, "stride": op.stride}
    if op.kind == "max_pool":
        settings["dilation"] = op.dilation
    if direct:
        settings |= {"padding": before, "ceil_mode": op.ceil_mode}
    module = _POOLS[op.kind][len(before) - 1](**settings)
    # a max pool must not see padded zeros
    fill = float("-inf") if op.kind == "max_pool" else 0.0
    return module if direct else nn.Sequential(_Pad(_exact_pads(op, shape), value=fill), module)


def _depthwise_average(op: ops.Pool, channels: int) -> nn.Module:
    """A convolution of equal weights, since torch can't dilate an average pool."""
    conv = _CONVS[len(op.kernel_size) - 1](
        channels,
        channels,
        op.kernel_size,  # type: ignore[arg-type]  # as long as the class has axes
        stride=op.stride,  # type: ignore[arg-type]
        dilation=op.dilation,  # type: ignore[arg-type]
        groups=channels,
        bias=False,
    )
    nn.init.constant_(conv.weight, 1 / prod(op.kernel_size))
    return conv


def _exact_pads(op: ops.Pool, shape: ops.Shape) -> ops.Padding:
    """The padding with which floor mode gives the output that ``op`` has."""
    sizes = zip(op.output_shape(shape)[2:], op.stride, op.effective_kernel_size, strict=True)
    needed = [(out - 1) * stride + window for out, stride, window in sizes]
    pads = zip(op.padding, shape[2:], needed, strict=True)
    return tuple((before, need - size - before) for (before, _), size, need in pads)


class _Pad(nn.Module):
    """``padding`` as (before, after) per axis; negative ones crop."""

    def __init__(self, padding: ops.Padding, mode: str = "constant", value: float = 0.0) -> None:
        super().__init__()
        self._pads = [size for pair in reversed(padding) for size in pair]
        self._mode = mode
        self._value = value if mode == "constant" else None

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, self._pads, self._mode, self._value)


class _Add(nn.Module):
    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = first + other
        return first


class _Concat(nn.Module):
    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, 1)


class _Resize(nn.Module):
    def __init__(self, op: ops.Resize) -> None:
        super().__init__()
        self._size, self._mode = op.size, op.mode
        self._align_corners = None if op.mode == "nearest" else op.align_corners

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(
            x, self._size, mode=self._mode, align_corners=self._align_corners
        )


def _norm(op: ops.Norm, shape: ops.Shape) -> nn.Module:
    return _NORMS[max(1, len(shape) - 2) - 1](op.channels, affine=op.affine)


_ELEMENTWISE: dict[str, Callable[[], nn.Module]] = {
    "add": _Add,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "sigmoid": nn.Sigmoid,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}

MODULES: dict[type, Callable[[Any, ops.Shape], nn.Module]] = {
    ops.Conv: _conv,
    ops.Pool: _pool,
    ops.Norm: _norm,
    ops.Linear: lambda op, _: nn.Linear(op.in_features, op.out_features, op.bias),
    ops.Elementwise: lambda op, _: _ELEMENTWISE[op.kind](),
    ops.Resize: lambda op, _: _Resize(op),
    ops.Pad: lambda op, _: _Pad(op.padding, op.mode),
    ops.Concat: lambda _, __: _Concat(),
    ops.Flatten: lambda _, __: nn.Flatten(),
    ops.GlobalPool: lambda _, shape: _GLOBAL_POOLS[len(shape) - 3](1),
}
