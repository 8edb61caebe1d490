"""SOURCE -> a PyTorch model and what to call it with."""

from __future__ import annotations

import copy
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from convcost.errors import ConvcostError, MissingError
from convcost.ops import format_shape
from convcost.sources.build_model import Factory, build_model, missing_arguments
from convcost.sources.example_inputs import (
    ModelInputs,
    given_inputs,
    guessed_inputs,
)
from convcost.sources.find_model import named_model, only_model
from convcost.sources.python_file import (
    folders_of_file,
    folders_of_module,
    import_named,
    importable,
    run_file,
)
from convcost.sources.source import ends_in
from convcost.sources.user_code import user_code

if TYPE_CHECKING:
    from convcost.sources.exported import Example

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_VALID = "give model.py, model.py:attr, package.module:attr, or a .pt2 file of torch.export.save"


class LoadedModel(NamedTuple):
    """A model, the arguments of one forward pass, and what the user must know about them.

    ``folders`` are where its own code may import from, none where that is no matter of ours.
    """

    name: str
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    notices: tuple[str, ...]
    folders: Sequence[Path] = ()


def load_model(
    source: str,
    settings: Mapping[str, object],
    inputs: object,
    *,
    real: bool = False,
) -> LoadedModel:
    """Loads the model that SOURCE names, in eval mode.

    It is built on the meta device where that works, unless ``real``. ``inputs`` are as in
    ``convcost.profile``, none to choose some; those made from shapes are on the meta device.

    Raises:
        ConvcostError: there is no such model, its code raises, or its input can't be known.
    """
    path, attr = _split(source)
    if ends_in(path, ".pt2"):
        return _load_program(source, settings, inputs)
    file = Path(path).absolute() if ends_in(path, ".py") else None
    folders = folders_of_file(file) if file else folders_of_module()
    with importable(folders, path):
        place = run_file(file, path) if file else import_named(path, source)
        found = named_model(place, attr, source) if attr else only_model(place, settings, source)
        module = unwrap(_instance(found, settings, source, real=real))
        if file is None and isinstance(found, nn.Module):
            module = _apart(module)
        with user_code(source, "in eval()"):
            module.eval()
        called_with = _choose_inputs(place, module, inputs, source)
    return LoadedModel(attr or Path(path).stem, module, *called_with, folders)


def from_module(module: nn.Module, input: object = None) -> LoadedModel:  # noqa: A002
    """A user's own module, untouched; ``input`` as in ``convcost.profile``.

    Raises:
        ConvcostError: it isn't a module, or its input can't be known.
    """
    inner = unwrap(module)
    name = type(inner).__name__
    if input is None:
        return LoadedModel(name, inner, *guessed_inputs(inner, name, "input="))
    return LoadedModel(name, inner, *given_inputs(input, inner, name))


def unwrap(module: nn.Module) -> nn.Module:
    """The module that torch.compile and the data-parallel wrappers hold.

    Raises:
        ConvcostError: it isn't a module.
    """
    if not isinstance(module, nn.Module):
        raise ConvcostError(
            f"the model is of type {type(module).__name__}, not an nn.Module", "give an instance"
        )
    # Only what is loaded can have made the module, and loading it takes a second.
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    compiled = (dynamo.OptimizedModule,) if dynamo else ()
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while isinstance(module, (*compiled, *parallel)):
        held = "module" if isinstance(module, parallel) else "_orig_mod"
        module = cast("nn.Module", getattr(module, held))
    return module


def _split(source: str) -> tuple[str, str]:
    """The file or module of SOURCE, and the attribute after the colon or ''.

    Raises:
        ConvcostError: it is none of the valid forms.
    """
    if ends_in(source, (".py", ".pt2")):
        return source, ""
    path, colon, attr = source.rpartition(":")
    if not colon:
        raise _not_a_source(source)
    if ends_in(path, ".pt2"):
        raise ConvcostError(f"{source}: a .pt2 program has no attributes", f"give {path}")
    if not _DOTTED.fullmatch(attr):
        raise ConvcostError(f"{source}: {attr!r} after the colon is not a name", _VALID)
    if not ends_in(path, ".py") and not _DOTTED.fullmatch(path):
        raise ConvcostError(f"{source}: {path} is neither a Python file nor a module", _VALID)
    return path, attr


def _not_a_source(source: str) -> ConvcostError:
    # pathlib's raise where a name is too long
    if os.path.isdir(source):  # noqa: PTH112
        return ConvcostError(f"{source}: is a directory, not a file", _VALID)
    if os.path.exists(source):  # noqa: PTH110
        return ConvcostError(f"{source}: is neither a .py nor a .pt2 file", _VALID)
    if _DOTTED.fullmatch(source):
        return ConvcostError(f"{source}: no such file; a module needs :attr", _VALID)
    return MissingError(f"{source}: no such file", _VALID)


def _instance(
    found: nn.Module | Factory, settings: Mapping[str, object], source: str, *, real: bool
) -> nn.Module:
    """A module given as it is, or built; one that was built in the file keeps its device."""
    if not isinstance(found, nn.Module):
        return build_model(found, settings, source, real=real)
    if settings:
        raise ConvcostError(
            f"{source}: --set {next(iter(settings))} can't change a module that is already built",
            "--set gives arguments to a class or a factory: name one",
        )
    return found


def _apart(module: nn.Module) -> nn.Module:
    """A copy, for whoever else imports the module; where that can't be, the module itself."""
    try:
        return copy.deepcopy(module)
    except Exception:  # noqa: BLE001  whatever the user's own parts raise
        return module


def _choose_inputs(
    place: ModuleType, module: nn.Module, inputs: object, source: str
) -> ModelInputs:
    """What is asked for wins over the file's ``example_inputs``, these over a guess."""
    if _are_given(inputs):
        return given_inputs(inputs, module, source)
    example = vars(place).get("example_inputs")
    if example is None:
        return guessed_inputs(module, source, "--input")
    if callable(example):
        if missing := missing_arguments(example, {}):
            raise ConvcostError(
                f"{source}: example_inputs needs arguments: {', '.join(missing)}",
                "it is called without any",
            )
        with user_code(source, "in example_inputs()"):
            example = example()
    return given_inputs(example, module, source)


def _are_given(inputs: object) -> bool:
    return inputs is not None and not (isinstance(inputs, tuple | list | dict) and not inputs)


def _load_program(source: str, settings: Mapping[str, object], inputs: object) -> LoadedModel:
    if settings:
        raise ConvcostError(f"{source}: --set has no meaning for an exported program")
    from convcost.sources.exported import load_exported  # noqa: PLC0415  torch.export takes seconds

    module, example, free = load_exported(source)
    if _are_given(inputs):
        called_with = given_inputs(inputs, module, source)
    elif example is not None:
        called_with = ModelInputs(*example, (_of_the_example(example, free),) if free else ())
    else:
        raise ConvcostError(f"{source}: holds no example inputs", "use --input")
    return LoadedModel(Path(source).stem, module, *called_with)


def _of_the_example(example: Example, free: str) -> str:
    """What the user must know where a program's batch, or another size, is free."""
    tensors = (value for value in tree_leaves(example) if isinstance(value, Tensor))
    shapes = ", ".join(format_shape(tuple(tensor.shape)) for tensor in tensors)
    if free == "batch":
        return f"the program takes any batch: {shapes} is assumed; use --input"
    return (
        f"the program takes inputs of several sizes: {shapes} of its export is assumed; use --input"
    )
