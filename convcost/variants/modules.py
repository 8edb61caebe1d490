"""Variants of an ``nn.Module``: a copy in which some layers are others, by the rules of a spec.

The copy is made by ``copy.deepcopy`` with the new layers in its memo: they stand wherever the old
ones were reached from, be it an attribute, a list or several places.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from convcost.errors import ConvcostError, ShapeError
from convcost.graph import Graph
from convcost.ops import Conv, Elementwise, Norm, Padding, Sizes
from convcost.variants import Variant
from convcost.variants.block import Block
from convcost.variants.dense import Denser, DensePlan, dense
from convcost.variants.layers import (
    CROPPED,
    PADDED,
    DenseAvgPool,
    DenseMaxPool,
    DensePad,
    Fixed,
    Pads,
    Scaled,
)
from convcost.variants.rewrite import choose
from convcost.variants.weights import Factors, factorise

Init = Literal["fresh", "svd"]

_CONVS: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_ALL_CONVS = (*_CONVS, *_TRANSPOSED)
_MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_PADS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)
_NORMS: Any = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_HOOKS = tuple(key for key in vars(nn.Module()) if key.endswith(("_hooks", "_kwargs", "_called")))
"""What holds a module's hooks: they go on with the layer that takes its place."""


class Rewritten(NamedTuple):
    """A rewritten copy; ``layers`` are the paths of what was rewritten.

    ``errors`` are the relative errors of weights that were approximated, ``left`` the
    convolutions that can't be rewritten safely, each with its reason, ``convolutions`` all there
    are. ``plan`` is there where the copy is dense, ``pools`` are then the average pools that run
    as convolutions.
    """

    module: nn.Module
    variant: Variant
    layers: tuple[str, ...]
    convolutions: int
    errors: Mapping[str, float] = {}
    left: tuple[str, ...] = ()
    plan: DensePlan | None = None
    pools: frozenset[str] = frozenset()


def rewrite_convolutions(
    model: nn.Module,
    variant: Variant,
    only: Sequence[str] = (),
    keep: Sequence[str] = (),
    init: Init = "fresh",
    *,
    share: bool = False,
) -> Rewritten:
    """A copy of ``model`` with its eligible convolutions as ``variant``; see ``choose``.

    With ``share`` its weights are the original's own, in place of copies.

    Raises:
        ConvcostError: a glob matches nothing, the variant's options don't fit a convolution, or
            the model can't be copied.
    """
    all_of_them = {p: m for p, m in model.named_modules() if isinstance(m, _ALL_CONVS)}
    left = {path: why for path, conv in all_of_them.items() if (why := _why_left(conv))}
    modules = {path: conv for path, conv in all_of_them.items() if path not in left}
    convs = {path: _conv_op(conv) for path, conv in modules.items()}
    chosen = () if variant.name == "standard" else choose(convs, only, keep)
    memo = _memo(model, share=share)
    errors: dict[str, float] = {}
    for path in convs:
        if path in chosen:
            try:
                new, error = _replaced(modules[path], variant.block(convs[path]), memo, init)
            except (ShapeError, ValueError) as reason:
                raise ConvcostError(f"{variant} doesn't fit {path or 'the model'}: {reason}") from None
            memo[id(modules[path])] = new
            if error is not None:
                errors[path] = error
    return Rewritten(
        module=_copy(model, memo),
        variant=variant,
        layers=tuple(path for path in convs if path in chosen),
        convolutions=len(all_of_them),
        errors=errors,
        left=tuple(f"{path} ({why})" for path, why in left.items()),
    )


def _memo(model: nn.Module, *, share: bool) -> dict[int, Any]:
    """What ``copy.deepcopy`` starts from: tensors that aren't to be copied stand for themselves."""
    return {id(t): t for t in (*model.parameters(), *model.buffers())} if share else {}


def _copy(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    try:
        made: nn.Module = copy.deepcopy(model, memo)
    except Exception as error:  # whatever the model's own parts raise
        raise ConvcostError(
            f"{type(model).__name__} can't be copied: {type(error).__name__}: {error}",
            "a rewrite works on a copy: copy.deepcopy(model) must work",
        ) from error
    return made


def _why_left(conv: nn.Module) -> str:
    """Why a convolution must stay as it is, or ''."""
    kinds = (*_ALL_CONVS, *PADDED, *CROPPED)
    if type(conv).forward not in {kind.forward for kind in kinds}:
        return f"{type(conv).__name__} has a forward of its own"
    if isinstance(getattr(conv, "pads", None), Scaled):
        return "it is dense already"
    if "weight" not in conv._parameters or isinstance(  # noqa: SLF001  named_parameters hides ties
        conv.weight, nn.parameter.UninitializedParameter
    ):
        return "its weight isn't a plain parameter"
    return ""


def _conv_op(conv: Any) -> Conv:
    """What a convolution's module does."""
    pads = conv.pads.padding if isinstance(conv, PADDED) else _padding(conv)
    return Conv(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.crop if isinstance(conv, CROPPED) else pads,
        conv.dilation,
        conv.groups,
        conv.bias is not None,
        isinstance(conv, _TRANSPOSED),
        conv.output_padding if isinstance(conv, _TRANSPOSED) else (),
    )


def _padding(conv: Any) -> Padding:
    if conv.padding == "same":
        # torch's rule (Convolution.cpp): the odd one after
        spans = [d * (k - 1) for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
        return tuple((span // 2, span - span // 2) for span in spans)
    if conv.padding == "valid":
        return ((0, 0),) * len(conv.kernel_size)
    return tuple((pad, pad) for pad in conv.padding)


def _replaced(
    conv: Any, block: Block, memo: dict[int, Any], init: Init
) -> tuple[nn.Module, float | None]:
    """The layer in the place of ``conv``, and the error of its weights if they are approximated."""
    where = {"device": conv.weight.device, "dtype": conv.weight.dtype}
    error = None
    if len(block) == 1:
        new = _with_weights_of(conv, block[0][1], memo)
    else:
        parts = {part: _layer(op, conv, where) for part, op in block}
        new = nn.Sequential()
        for part, layer in parts.items():
            new.add_module(part, layer)
        if init == "svd":
            error = _approximate(conv, parts)
        for parameter in new.parameters():
            parameter.requires_grad_(conv.weight.requires_grad)
    return _in_place_of(conv, new, memo), error


def _in_place_of(old: nn.Module, new: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """``new`` with the mode and the hooks of ``old``."""
    for key in _HOOKS:
        new.__dict__[key] = copy.deepcopy(old.__dict__[key], memo)
    return new.train(old.training)


def _with_weights_of(conv: Any, op: Any, memo: dict[int, Any], pads: Pads | None = None) -> nn.Module:
    """A convolution that is ``op``, with a copy of the weights; what shares them goes on to."""
    new: Any = _layer(op, conv, {"device": "meta"}, pads)
    new.weight = copy.deepcopy(conv.weight, memo)
    new.bias = copy.deepcopy(conv.bias, memo)
    return new


def _approximate(conv: Any, parts: Mapping[str, Any]) -> float:
    depthwise, pointwise = parts["depthwise"], parts["pointwise"]
    rank = depthwise.out_channels // depthwise.in_channels
    found: Factors = factorise(
        conv.weight.detach(), conv.groups, rank, transposed=isinstance(conv, _TRANSPOSED)
    )
    with torch.no_grad():
        depthwise.weight.copy_(found.depthwise)
        pointwise.weight.copy_(found.pointwise)
        if conv.bias is not None:
            pointwise.bias.copy_(conv.bias)
    return found.relative_error


def _layer(
    op: Conv | Norm | Elementwise, like: Any, where: Mapping[str, Any], pads: Pads | None = None
) -> nn.Module:
    """A layer of torch's that is ``op``; it pads as ``like`` does where that isn't with zeros."""
    axes = len(like.kernel_size)
    if isinstance(op, Norm):
        made: nn.Module = _NORMS[axes - 1](op.channels, **where)
        return made
    if isinstance(op, Elementwise):
        return nn.ReLU()
    direct = pads is None and all(before == after for before, after in op.padding)
    plain = all(size == 1 for size in op.kernel_size)
    settings = {
        "kernel_size": op.kernel_size,
        "stride": op.stride,
        "padding": tuple(before for before, _ in op.padding) if direct else 0,
        "dilation": op.dilation,
        "groups": op.groups,
        "bias": op.bias,
        **where,
    }
    channels = (op.in_channels, op.out_channels)
    if op.transposed:
        made = (_TRANSPOSED if direct else CROPPED)[axes - 1](
            *channels, output_padding=op.output_padding, **settings
        )
        if not direct:
            made.crop = op.padding
        return made
    mode = _mode(like)
    if direct:
        settings["padding_mode"] = "zeros" if plain else mode
        made = _CONVS[axes - 1](*channels, **settings)
    else:
        made = PADDED[axes - 1](*channels, **settings)
        made.pads = pads or Fixed(op.padding)
        made.fill_mode = "constant" if mode == "zeros" else mode
    return made


def _mode(conv: Any) -> str:
    """How a convolution fills its padding."""
    if isinstance(conv, PADDED):
        return "zeros" if conv.fill_mode == "constant" else conv.fill_mode
    return str(getattr(conv, "padding_mode", "zeros"))


# dense


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
    memo = _memo(model, share=share)
    for path, denser in plan.changes.items():
        maker = next(make for kind, make in _MAKERS.items() if isinstance(windows[path], kind))
        new = maker(path, windows[path], denser, _like(model, channels[path]), memo)
        memo[id(windows[path])] = _in_place_of(windows[path], new, memo)
    pools = (path for path in plan.changes if isinstance(windows[path], _AVG_POOLS))
    return Rewritten(
        module=_copy(model, memo),
        variant=variant,
        layers=tuple(path for path in plan.changes if isinstance(windows[path], _ALL_CONVS)),
        convolutions=sum(isinstance(module, _ALL_CONVS) for module in model.modules()),
        plan=plan,
        pools=frozenset(pools),
    )


def _is_window(module: nn.Module) -> bool:
    """Whether a module is a window op of torch's, whose settings say all that it does."""
    kinds = (*_CONVS, *_MAX_POOLS, *_AVG_POOLS, *_PADS)
    return any(isinstance(module, k) and type(module).forward is k.forward for k in kinds)


def _channels(graph: Graph) -> dict[str, int]:
    """The channels of what each module reads first."""
    found: dict[str, int] = {}
    for node in graph.nodes:
        sizes = getattr(node.op, "kernel_size", ())
        if node.inputs and sizes:
            found.setdefault(node.module, graph.nodes[node.inputs[0]].shape[-len(sizes) - 1])
    return found


def _like(model: nn.Module, channels: int | None) -> Tensor:
    """A vector of so many channels of the model's own device and dtype."""
    floating = (p for p in model.parameters() if p.is_floating_point())
    return next(floating, torch.empty(0)).detach().new_empty(channels or 0)


def _dense_conv(
    path: str, conv: Any, denser: Denser, _: Tensor, memo: dict[int, Any]
) -> nn.Module:
    op: Any = denser.op
    if conv.padding_mode != "zeros" and any(map(any, _padding(conv))):
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
    return _with_weights_of(conv, wide, memo, Scaled(denser) if denser.is_strided_less else None)


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
    _CONVS: _dense_conv,
    _MAX_POOLS: _dense_max_pool,
    _AVG_POOLS: _dense_avg_pool,
    _PADS: _dense_pad,
}
