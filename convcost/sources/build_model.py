"""Builds a model from a class or a factory, on the meta device where that works."""

from __future__ import annotations

import contextlib
import inspect
import io
import sys
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import nn

from convcost.errors import ConvcostError, did_you_mean
from convcost.sources.user_code import user_code

_Kind = inspect.Parameter

Factory = Callable[..., object]
"""A class of ``nn.Module``, or a function that returns one."""


def build_model(
    make: Factory, settings: Mapping[str, object], source: str, *, real: bool
) -> nn.Module:
    """Calls a class or factory; on the meta device first, unless ``real``.

    Raises:
        ConvcostError: an argument is missing or unknown, the code raises, or gives no module.
    """
    _check_settings(make, settings, source)
    name = getattr(make, "__name__", "the factory")
    model = None if real else _build_on_meta(make, settings)
    if model is None:
        with user_code(source, f"in {name}(…){_texts_for_none(settings)}"):
            model = make(**settings)
    if not isinstance(model, nn.Module):
        raise ConvcostError(
            f"{source}: {name} returned {type(model).__name__}, not an nn.Module",
            "give a class of nn.Module, or a function that returns a module",
        )
    return model


def _texts_for_none(settings: Mapping[str, object]) -> str:
    """What to say of arguments that are text where None may be meant."""
    return "".join(
        f"; {key} is the text {value!r} (--set {key}=null gives None)"
        for key, value in settings.items()
        if isinstance(value, str) and value.lower() == "none"
    )


def _build_on_meta(make: Factory, settings: Mapping[str, object]) -> object:
    """What the call gives without memory or values; None where it needs them.

    An error of the user's own comes again when the model is built for real. What is printed is
    shown only if the model isn't built again.
    """
    printed = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(printed),
            torch.inference_mode(mode=False),
            torch.device("meta"),
            warnings.catch_warnings(),
        ):
            # A checkpoint's values are dropped on purpose here.
            warnings.filterwarnings("ignore", message=".*from a non-meta parameter")
            model = make(**settings)
    except (Exception, SystemExit):  # noqa: BLE001  the real build says what is wrong
        return None
    sys.stderr.write(printed.getvalue())
    return model


def missing_arguments(make: Factory, settings: Mapping[str, object]) -> list[str]:
    """The required arguments of a class or factory that the settings don't give."""
    return [
        name
        for name, parameter in parameters_of(make).items()
        if parameter.kind not in (_Kind.VAR_POSITIONAL, _Kind.VAR_KEYWORD)
        and parameter.default is _Kind.empty
        and (name not in settings or parameter.kind is _Kind.POSITIONAL_ONLY)
    ]


def parameters_of(make: Factory) -> Mapping[str, inspect.Parameter]:
    """What a callable takes; any keywords where it doesn't say."""
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError):  # a callable from C says nothing: the call itself will
        return {"settings": _Kind("settings", _Kind.VAR_KEYWORD)}


def _check_settings(make: Factory, settings: Mapping[str, object], source: str) -> None:
    name = getattr(make, "__name__", "the factory")
    parameters = parameters_of(make)
    valid = [
        n
        for n, p in parameters.items()
        if p.kind in (_Kind.POSITIONAL_OR_KEYWORD, _Kind.KEYWORD_ONLY)
    ]
    takes_any = any(p.kind is _Kind.VAR_KEYWORD for p in parameters.values())
    for key in settings:
        if key not in valid and not takes_any:
            raise ConvcostError(
                f"{source}: {name} has no argument {key!r}",
                f"{did_you_mean(key, valid)}it takes {', '.join(valid) or 'none'}",
            )
    if missing := missing_arguments(make, settings):
        raise ConvcostError(
            f"{source}: {name} needs {'an argument' if len(missing) == 1 else 'arguments'}: "
            + ", ".join(missing),
            "give " + " ".join(f"--set {key}=…" for key in missing),
        )
