"""What a model is called with: given shapes or tensors, or else a guess with a notice."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter
from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from convcost.errors import ConvcostError, show_value
from convcost.given import is_shape
from convcost.ops import MAX_SCALARS, Shape, format_shape
from convcost.sources.build_model import parameters_of
from convcost.sources.source import NO_INPUT


class ModelInputs(NamedTuple):
    """The arguments of one forward pass, and what the user must know about them."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    notices: tuple[str, ...] = ()


_SPATIAL: dict[type[nn.Module], Shape] = {
    nn.Conv1d: (16000,),
    nn.ConvTranspose1d: (16000,),
    nn.Conv2d: (224, 224),
    nn.ConvTranspose2d: (224, 224),
    nn.Conv3d: (16, 112, 112),
    nn.ConvTranspose3d: (16, 112, 112),
}


_ANY_NUMBER = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_TOKENS = (nn.Embedding, nn.EmbeddingBag)


def given_inputs(value: object, module: nn.Module, source: str) -> ModelInputs:
    """A tensor or a shape, or tuples, lists and dicts of either as ``forward`` takes them.

    Raises:
        ConvcostError: it is none of these.
    """
    if isinstance(value, torch.Tensor):
        return ModelInputs((value,), {})
    if not isinstance(value, (dict, tuple, list)):
        raise ConvcostError(
            f"{source}: the example input is of type {type(value).__name__}",
            "give a tensor, a tuple or list of arguments, a dict of keyword arguments, or a shape",
        )
    if value and is_shape(value):
        return shaped_inputs([tuple(value)], module, source)
    if not isinstance(value, dict):
        _need_no_shape(value, source)
    leaves, structure = tree_flatten(value, is_leaf=is_shape)
    if not leaves or not all(is_shape(leaf) and leaf for leaf in leaves):
        return _as_arguments(value, module)
    made = shaped_inputs([tuple(leaf) for leaf in leaves], module, source)
    arguments = _as_arguments(tree_unflatten(made.args, structure), module)
    return arguments._replace(notices=made.notices)


def _as_arguments(value: dict[Any, Any] | Sequence[Any], module: nn.Module) -> ModelInputs:
    """What is given as the arguments that it lists or names; a dict may be the one there is."""
    if not isinstance(value, dict):
        return ModelInputs(tuple(value), {})
    only = _only_argument(module)
    if value and only and only not in value:
        return ModelInputs((value,), {})
    return ModelInputs((), {str(key): item for key, item in value.items()})


def _only_argument(module: nn.Module) -> str:
    """The name of the one argument that ``forward`` takes; '' where it may take others."""
    parameters = list(parameters_of(module.forward).values())
    alone = len(parameters) == 1 and parameters[0].kind not in _ANY_NUMBER
    return parameters[0].name if alone else ""


def _need_no_shape(value: Sequence[object], source: str) -> None:
    """Does nothing where ``value`` may be arguments of a forward.

    Raises:
        ConvcostError: it was meant as a shape, which it is not.
    """
    wrong = [size for size in value if type(size) is not int]
    if len(wrong) < len(value) and all(isinstance(size, (float, str)) for size in wrong):
        shown = show_value(wrong[0])
        raise ConvcostError(
            f"{source}: the input {show_value(value)} is no shape: {shown} isn't a whole number",
            "give whole numbers, or tensors",
        )


def shaped_inputs(shapes: Sequence[Shape], module: nn.Module, source: str) -> ModelInputs:
    """Tensors without data, of the given shapes and the model's own dtype.

    Raises:
        ConvcostError: a size isn't positive, or they are too large.
    """
    for shape in shapes:
        if min(shape, default=1) < 1:
            raise ConvcostError(
                f"{source}: the input {format_shape(shape)} is empty", "each size is 1 or more"
            )
        if prod(shape) > MAX_SCALARS:
            raise ConvcostError(
                f"{source}: the input {format_shape(shape)} has more than {MAX_SCALARS:,} scalars",
                "give smaller sizes",
            )
    dtypes = [_dtype(module, shape) for shape in shapes]
    args = tuple(
        torch.empty(shape, dtype=dtype, device="meta")
        for shape, dtype in zip(shapes, dtypes, strict=True)
    )
    tokens = "the input is of int64: the model begins with an nn.Embedding"
    return ModelInputs(args, {}, (tokens,) if torch.int64 in dtypes else ())


def _dtype(module: nn.Module, shape: Shape) -> torch.dtype:
    takes_images = _first_convolution(module) is not None and len(shape) > 2
    if not takes_images and isinstance(_first_leaf(module), _TOKENS):
        return torch.int64
    floating = (p.dtype for p in module.parameters() if p.dtype.is_floating_point)
    return next(floating, torch.float32)


def guessed_inputs(module: nn.Module, source: str, option: str) -> ModelInputs:
    """The field's usual input for the model's first layer, with a notice that says so.

    Raises:
        ConvcostError: the model begins with an embedding, so no size is usual.
    """
    shape = _usual_shape(module, source, option)
    notice = f"{NO_INPUT}: {format_shape(shape)} is assumed; use {option}"
    return shaped_inputs([shape], module, source)._replace(notices=(notice,))


def _usual_shape(module: nn.Module, source: str, option: str) -> Shape:
    convolution = _first_convolution(module)
    if own := _own_shape(module):
        return own
    if convolution is not None:
        channels, spatial = convolution
        return (1, channels, *spatial)
    first = _first_leaf(module)
    if isinstance(first, nn.Linear):
        return (1, first.in_features)
    if isinstance(first, _TOKENS):
        raise ConvcostError(
            f"{source}: no input given, and the model begins with an nn.Embedding: it takes "
            "integer tokens, and nothing says how many",
            f"use {option}, as in 1×128, or example_inputs = torch.zeros(1, 128, dtype=torch.long)",
        )
    return (1, 3, 224, 224)


def _own_shape(module: nn.Module) -> Shape | None:
    """The input size that a timm model was configured for."""
    configuration = getattr(module, "pretrained_cfg", None)
    size = configuration.get("input_size") if isinstance(configuration, dict) else None
    return (1, *size) if isinstance(size, (tuple, list)) and size and is_shape(size) else None


def _first_convolution(module: nn.Module) -> tuple[int, Shape] | None:
    """Channels and usual spatial sizes of the first convolution; a lazy one is said to have 3."""
    for part in module.modules():
        for kind, spatial in _SPATIAL.items():
            if isinstance(part, kind):
                channels = part.in_channels
                return (channels if isinstance(channels, int) and channels else 3), spatial
    return None


def _first_leaf(module: nn.Module) -> nn.Module | None:
    """The first part that has parameters and no parts of its own."""
    leaves = (part for part in module.modules() if not any(part.children()))
    return next((leaf for leaf in leaves if any(True for _ in leaf.parameters())), None)
