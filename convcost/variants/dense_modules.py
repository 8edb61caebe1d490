"""A dense copy of an ``nn.Module``: what the graph says of its layers, done to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from convcost.errors import ConvcostError
from convcost.graph import Graph
from convcost.ops import Padding
from convcost.variants import Variant
from convcost.variants.dense import Denser, dense
from convcost.variants.layers import DenseAvgPool, DenseMaxPool, DensePad, Scaled
from convcost.variants.modules import (
    CONVS,
    PLAIN_CONVS,
    Rewritten,
    copied,
    in_place_of,
    padding_of,
    starting_memo,
    with_weights_of,
)

_MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_PADS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)


def make_dense(
    model: nn.Module, graph: Graph, variant: Variant, *, share: bool = False
) -> Rewritten:
    """A copy of ``model``, whose trace is ``graph``, with its late strides taken out.

    The weights are the original's, and so are the names in its ``state_dict``. Padding is worked
    out from the input's size in each pass, so the copy takes every size that the original takes.
    ``share`` as in ``rewrite_convolutions``.

    Raises:
        ConvcostError: the output stride can't be reached, a layer can't be made dense, or the
            model can't be copied.
    """
    windows = {path: module for path, module in model.named_modules() if _is_window(module)}
    plan = dense(graph, windows, **variant.options)  # type: ignore[arg-type]  # of its own kind
    channels = _channels(graph)
    memo = starting_memo(model, share=share)
    for path, denser in plan.changes.items():
        maker = next(make for kind, make in _MAKERS.items() if isinstance(windows[path], kind))
        new = maker(path, windows[path], denser, _like(model, channels.get(path, 0)), memo)
        memo[id(windows[path])] = in_place_of(windows[path], new, memo)
    pools = (path for path in plan.changes if isinstance(windows[path], _AVG_POOLS))
    return Rewritten(
        module=copied(model, memo),
        layers=tuple(path for path in plan.changes if isinstance(windows[path], CONVS)),
        convolutions=sum(isinstance(module, CONVS) for module in model.modules()),
        plan=plan,
        pools=frozenset(pools),
    )


def _is_window(module: nn.Module) -> bool:
    """Whether a module is a window op of torch's, whose settings say all that it does."""
    kinds = (*PLAIN_CONVS, *_MAX_POOLS, *_AVG_POOLS, *_PADS)
    return any(isinstance(module, k) and type(module).forward is k.forward for k in kinds)


def _channels(graph: Graph) -> dict[str, int]:
    """The channels of what each module reads first."""
    found: dict[str, int] = {}
    for node in graph.nodes:
        sizes = getattr(node.op, "kernel_size", ())
        if node.inputs and sizes:
            found.setdefault(node.module, graph.nodes[node.inputs[0]].shape[-len(sizes) - 1])
    return found


def _like(model: nn.Module, channels: int) -> Tensor:
    """A vector of so many channels of the model's own device and dtype."""
    floating = (p for p in model.parameters() if p.is_floating_point())
    return next(floating, torch.empty(0)).detach().new_empty(channels)


def _dense_conv(path: str, conv: Any, denser: Denser, _: Tensor, memo: dict[int, Any]) -> nn.Module:
    op: Any = denser.op
    if conv.padding_mode != "zeros" and any(map(any, padding_of(conv))):
        raise ConvcostError(
            f"dense: {path} pads in mode {conv.padding_mode!r}: of a denser map that would be "
            "other values"
        )
    if "weight" not in conv._parameters:  # noqa: SLF001  named_parameters hides ties
        raise ConvcostError(f"dense: the weight of {path} isn't a plain parameter")
    pads: Padding = tuple(
        (before * r, after * r) for (before, after), r in zip(op.padding, denser.rate, strict=True)
    )
    wide = op._replace(stride=denser.stride, dilation=denser.dilation, padding=pads)
    return with_weights_of(conv, wide, memo, Scaled(denser) if denser.is_strided_less else None)


def _dense_max_pool(
    path: str, pool: Any, denser: Denser, _: Tensor, __: dict[int, Any]
) -> nn.Module:
    if pool.return_indices:
        raise ConvcostError(f"dense: {path} returns the indices of its maxima, which would change")
    return DenseMaxPool(denser)


def _dense_avg_pool(
    _: str, pool: Any, denser: Denser, like: Tensor, __: dict[int, Any]
) -> nn.Module:
    divisor = getattr(pool, "divisor_override", None)
    return DenseAvgPool(denser, like, divisor, counts_padding=pool.count_include_pad)


def _dense_pad(_: str, pad: Any, denser: Denser, __: Tensor, ___: dict[int, Any]) -> nn.Module:
    return DensePad(denser, pad.value)


_MAKERS: dict[tuple[type[nn.Module], ...], Callable[..., nn.Module]] = {
    PLAIN_CONVS: _dense_conv,
    _MAX_POOLS: _dense_max_pool,
    _AVG_POOLS: _dense_avg_pool,
    _PADS: _dense_pad,
}
