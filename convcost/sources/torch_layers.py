"""Torch's own layers whose ``forward`` is one op of their settings and the input, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn


class OneOp(NamedTuple):
    """The op that a layer's ``forward`` is, and its arguments after the input.

    ``parameters``, ``buffers`` and ``settings`` name attributes, and arguments of the op's rule.
    The forward is that op only where the input has one of the ``ranks`` (empty: any) and each of
    the attributes in ``plain`` this value. ``reads`` are all attributes that matter but tensors.
    """

    op: str
    parameters: tuple[str, ...]
    buffers: tuple[str, ...]
    settings: tuple[str, ...]
    plain: Mapping[str, Any]
    ranks: tuple[int, ...]
    reads: tuple[str, ...]


def _one_op(  # noqa: PLR0913  a layer has as many sides
    op: str,
    parameters: tuple[str, ...] = (),
    settings: tuple[str, ...] = (),
    *,
    buffers: tuple[str, ...] = (),
    plain: Mapping[str, Any] = {},
    ranks: tuple[int, ...] = (),
) -> OneOp:
    return OneOp(op, parameters, buffers, settings, plain, ranks, (*settings, *plain))


def _either(op: str, settings: tuple[str, ...] = ()) -> dict[bool, OneOp]:
    """An op that also works in place, by whether it does."""
    return {
        False: _one_op(op, settings=settings, plain={"inplace": False}),
        True: _one_op(f"{op}_", settings=settings, plain={"inplace": True}),
    }


def _conv(axes: int) -> OneOp:
    settings = ("stride", "padding", "dilation", "groups")
    return _one_op(f"conv{axes}d", _AFFINE, settings, plain={"padding_mode": "zeros"})


def _batch_norm(*ranks: int) -> OneOp:
    return _one_op(
        "batch_norm",
        _AFFINE,
        ("training",),
        buffers=("running_mean", "running_var"),
        plain={"training": False},
        ranks=ranks,
    )


_AFFINE = ("weight", "bias")
_WINDOW = ("kernel_size", "stride", "padding")
LAYERS: dict[type[nn.Module], OneOp | dict[bool, OneOp]] = {
    nn.Conv1d: _conv(1),
    nn.Conv2d: _conv(2),
    nn.Conv3d: _conv(3),
    nn.BatchNorm1d: _batch_norm(2, 3),
    nn.BatchNorm2d: _batch_norm(4),
    nn.BatchNorm3d: _batch_norm(5),
    nn.Linear: _one_op("linear", _AFFINE),
    nn.LayerNorm: _one_op("layer_norm", _AFFINE, ("normalized_shape",)),
    nn.MaxPool2d: _one_op(
        "max_pool2d",
        settings=(*_WINDOW, "dilation", "ceil_mode"),
        plain={"return_indices": False},
    ),
    nn.AvgPool2d: _one_op("avg_pool2d", settings=(*_WINDOW, "ceil_mode")),
    nn.AdaptiveAvgPool2d: _one_op("adaptive_avg_pool2d", settings=("output_size",)),
    nn.Dropout: _either("dropout", ("p", "training")),
    nn.ReLU: _either("relu"),
    nn.ReLU6: _either("hardtanh"),
    nn.SiLU: _either("silu"),
    nn.Hardswish: _either("hardswish"),
    nn.Hardsigmoid: _either("hardsigmoid"),
    nn.Sigmoid: _one_op("sigmoid"),
    nn.Tanh: _one_op("tanh"),
    nn.GELU: _one_op("gelu"),
}

ATTRIBUTES: dict[type[nn.Module], int] = {
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), 11),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), 5),
    **dict.fromkeys((nn.MaxPool2d, nn.AvgPool2d), 6),
    **dict.fromkeys((nn.LayerNorm, nn.ReLU6), 3),
    **dict.fromkeys((nn.Linear, nn.Dropout), 2),
    **dict.fromkeys((nn.ReLU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.GELU), 1),
    nn.AdaptiveAvgPool2d: 1,
}
"""How many attributes an instance has that a bare module hasn't, none of which a call changes."""


def _is_torchs(forward: Callable[..., Any]) -> bool:
    """Whether nobody has put another in its place."""
    names: Mapping[str, Any] = getattr(forward, "__globals__", {})
    return str(names.get("__name__")).startswith("torch.nn.modules.")


_FORWARDS = {kind: kind.forward for kind in LAYERS if _is_torchs(kind.forward)}


def one_op(kind: type[nn.Module], in_place: object) -> OneOp | None:
    """What the ``forward`` of a class is, where that is one op: of a layer that works in place."""
    found = LAYERS.get(kind)
    if found is None or _FORWARDS.get(kind) is not kind.forward:
        return None
    return found if isinstance(found, OneOp) else found[bool(in_place)]
