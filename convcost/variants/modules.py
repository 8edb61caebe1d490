"""Variants of an ``nn.Module``: a copy in which some layers are others, by the rules of a spec.

The copy is made by ``copy.deepcopy`` with the new layers in its memo: they stand wherever the old
ones were reached from, be it an attribute, a list or several places.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from convcost.errors import ConvcostError, ShapeError
from convcost.ops import Conv, Elementwise, Norm, Padding, same_padding
from convcost.variants import Variant
from convcost.variants.block import Block
from convcost.variants.dense import DensePlan
from convcost.variants.layers import (
    CROPPED,
    PADDED,
    Fixed,
    Pads,
    Scaled,
)
from convcost.variants.rewrite import Choice, choose
from convcost.variants.weights import Factors, factorise

PLAIN_CONVS: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVS = (*PLAIN_CONVS, *_TRANSPOSED)
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
    layers: tuple[str, ...]
    convolutions: int
    errors: Mapping[str, float] = {}
    left: tuple[str, ...] = ()
    plan: DensePlan | None = None
    pools: frozenset[str] = frozenset()


def rewrite_convolutions(
    model: nn.Module,
    variant: Variant,
    choice: Choice = Choice(),  # noqa: B008  it is frozen
    *,
    share: bool = False,
) -> Rewritten:
    """A copy of ``model`` with its eligible convolutions as ``variant``; see ``choose``.

    With ``share`` its weights are the original's own, in place of copies.

    Raises:
        ConvcostError: a glob matches nothing, the variant's options don't fit a convolution, or
            the model can't be copied.
    """
    all_of_them = {p: m for p, m in model.named_modules() if isinstance(m, CONVS)}
    left = {path: why for path, conv in all_of_them.items() if (why := _why_left(conv))}
    modules = {path: conv for path, conv in all_of_them.items() if path not in left}
    convs = {path: _conv_op(conv) for path, conv in modules.items()}
    chosen = () if variant.name == "standard" else choose(convs, choice)
    memo = starting_memo(model, share=share)
    errors: dict[str, float] = {}
    first: dict[tuple[int, bool], tuple[nn.Module, nn.Module]] = {}
    for path, conv in convs.items():
        if path not in chosen:
            continue
        try:
            new, error = _replaced(modules[path], variant.block(conv), memo, choice)
        except (ShapeError, ValueError) as reason:
            place = path or "the model"
            raise ConvcostError(f"{variant} doesn't fit {place}: {reason}") from None
        memo[id(modules[path])] = new
        key = (id(modules[path].weight), conv.transposed)
        _tie(modules[path], new, *first.setdefault(key, (modules[path], new)))
        if error is not None:
            errors[path] = error
    return Rewritten(
        module=copied(model, memo),
        layers=tuple(path for path in convs if path in chosen),
        convolutions=len(all_of_them),
        errors=errors,
        left=tuple(f"{path} ({why})" for path, why in left.items()),
    )


_DICTS = (dict, OrderedDict)


def starting_memo(model: nn.Module, *, share: bool) -> dict[int, Any]:
    """What ``copy.deepcopy`` starts from: tensors that aren't to be copied stand for themselves.

    Modules' empty dictionaries (most of their hooks) are made here: that halves its time.
    """
    attributes = (value for module in model.modules() for value in vars(module).values())
    memo: dict[int, Any] = {id(d): type(d)() for d in attributes if type(d) in _DICTS and not d}
    tensors = (*model.parameters(), *model.buffers()) if share else ()
    return memo | {id(t): t for t in tensors}


def copied(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A deep copy of ``model`` with what ``memo`` has for the parts that are in it, by their ids.

    Raises:
        ConvcostError: a part of it can't be copied.
    """
    made: nn.Module = _copied(model, memo, type(model).__name__)
    return made


def _copied(part: Any, memo: dict[int, Any], name: str) -> Any:
    try:
        return copy.deepcopy(part, memo)
    except Exception as error:  # whatever the model's own parts raise
        raise ConvcostError(
            f"{name} can't be copied: {type(error).__name__}: {error}",
            "a rewrite works on a copy: copy.deepcopy(model) must work",
        ) from error


def _why_left(conv: nn.Module) -> str:
    """Why a convolution must stay as it is, or ''."""
    kinds = (*CONVS, *PADDED, *CROPPED)
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
    return Conv(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        _own_padding(conv),
        conv.dilation,
        conv.groups,
        conv.bias is not None,
        isinstance(conv, _TRANSPOSED),
        conv.output_padding if isinstance(conv, _TRANSPOSED) else (),
    )


def _own_padding(conv: Any) -> Padding:
    if isinstance(conv, CROPPED):
        return conv.crop
    pads = getattr(conv, "pads", None)
    return pads.padding if isinstance(pads, Fixed) else padding_of(conv)


def padding_of(conv: Any) -> Padding:
    """The padding of a convolution of torch's, as (before, after) per axis."""
    if conv.padding == "same":
        return same_padding(conv.kernel_size, conv.dilation)
    if conv.padding == "valid":
        return ((0, 0),) * len(conv.kernel_size)
    return tuple((pad, pad) for pad in conv.padding)


def _replaced(
    conv: Any, block: Block, memo: dict[int, Any], choice: Choice
) -> tuple[nn.Module, float | None]:
    """The layer in the place of ``conv``, and the error of its weights if they are approximated."""
    where = {"device": conv.weight.device, "dtype": conv.weight.dtype}
    error = None
    if len(block) == 1:
        new = with_weights_of(conv, block[0][1], memo)
    else:
        parts = {part: _layer(op, conv, where) for part, op in block}
        new = nn.Sequential()
        for part, layer in parts.items():
            new.add_module(part, layer)
        if choice.init == "svd":
            error = _approximate(conv, parts)
        for parameter in new.parameters():
            parameter.requires_grad_(conv.weight.requires_grad)
        if conv.bias is not None:
            parts["pointwise"].bias.requires_grad_(conv.bias.requires_grad)
    return in_place_of(conv, new, memo), error


def _tie(conv: Any, new: Any, first: Any, made: Any) -> None:
    """Gives the parts of ``new`` those weights of ``made`` that ``conv`` shares with ``first``."""
    for part, layer in new.named_children():
        other = made.get_submodule(part)
        if isinstance(layer, CONVS) and layer.weight.shape == other.weight.shape:
            layer.weight = other.weight
            if layer.bias is not None and conv.bias is first.bias:
                layer.bias = other.bias


def in_place_of(old: nn.Module, new: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """``new`` with the mode and the hooks of ``old``."""
    for key in _HOOKS:
        name = f"a hook of a {type(old).__name__}"
        new.__dict__[key] = _copied(old.__dict__[key], memo, name)
    return new.train(old.training)


def with_weights_of(
    conv: Any, op: Any, memo: dict[int, Any], pads: Pads | None = None
) -> nn.Module:
    """A convolution that is ``op``, with a copy of the weights; what shares them goes on to."""
    new: Any = _layer(op, conv, {"device": "meta"}, pads)
    new.weight = copy.deepcopy(conv.weight, memo)
    new.bias = copy.deepcopy(conv.bias, memo)
    return new  # type: ignore[no-any-return]  # a module that has got other weights


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
        norm: nn.Module = _NORMS[axes - 1](op.channels, **where)
        return norm
    if isinstance(op, Elementwise):
        return nn.ReLU()
    direct = pads is None and all(before == after for before, after in op.padding)
    settings = {
        "in_channels": op.in_channels,
        "out_channels": op.out_channels,
        "kernel_size": op.kernel_size,
        "stride": op.stride,
        "padding": tuple(before for before, _ in op.padding) if direct else 0,
        "dilation": op.dilation,
        "groups": op.groups,
        "bias": op.bias,
        **where,
    }
    make = _transposed if op.transposed else _plain
    return make(op, like, settings, None if direct else pads or Fixed(op.padding))


def _plain(op: Conv, like: Any, settings: dict[str, Any], pads: Pads | None) -> nn.Module:
    mode = _mode(like)
    axes = len(op.kernel_size)
    if pads is None:
        mode = "zeros" if op.has_one_tap else mode
        conv: nn.Module = PLAIN_CONVS[axes - 1](padding_mode=mode, **settings)
        return conv
    padded: Any = PADDED[axes - 1](**settings)
    padded.pads = pads
    padded.fill_mode = "constant" if mode == "zeros" else mode
    return padded  # type: ignore[no-any-return]  # a module that has got attributes


def _transposed(op: Conv, _: Any, settings: dict[str, Any], pads: Pads | None) -> nn.Module:
    kinds: Any = _TRANSPOSED if pads is None else CROPPED
    conv = kinds[len(op.kernel_size) - 1](output_padding=op.output_padding, **settings)
    if pads is not None:
        conv.crop = op.padding
    return conv  # type: ignore[no-any-return]  # as above


def _mode(conv: Any) -> str:
    """How a convolution fills its padding."""
    if isinstance(conv, PADDED):
        return "zeros" if conv.fill_mode == "constant" else conv.fill_mode
    return str(getattr(conv, "padding_mode", "zeros"))
