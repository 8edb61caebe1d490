"""A program saved by ``torch.export.save`` -> a module, without running code from the file."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.pt2_archive._package import load_pt2
from torch.utils._pytree import tree_flatten, tree_unflatten

from convcost.errors import ConvcostError
from convcost.sources.exported_check import check_archive
from convcost.sources.python_file import read_bytes

Example = tuple[tuple[Any, ...], dict[str, Any]]

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_FORBID = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


class Exported(NamedTuple):
    """A program's module, and the inputs that it was exported with, or a batch of one of them.

    ``free`` is what of their sizes is free: ``""``, ``"batch"`` or ``"sizes"``.
    """

    module: nn.Module
    example: Example | None
    free: Literal["", "batch", "sizes"]


def load_exported(source: str) -> Exported:
    """The program that a file holds.

    ``torch.export.load`` isn't used: it falls back to an older format that isn't checked.

    Raises:
        ConvcostError: it can't be read, isn't such a program, or holds what could run code.
    """
    if not os.path.isfile(source):  # noqa: PTH113  pathlib's raises where a name is too long
        read_bytes(Path(source), source)
    try:
        check_archive(source)
        # by its name torch takes only what ends in .pt2
        with weights_only(), Path(source).open("rb") as file:
            program = _the_program(load_pt2(file).exported_programs, source)
        return Exported(_module(program), *_example(program))
    except ConvcostError:
        raise
    except pickle.UnpicklingError as error:
        raise ConvcostError(
            f"{source}: not loaded: it holds pickled objects other than tensors, "
            "which could run code",
            "export with example inputs that are tensors, numbers, tuples and dicts",
        ) from error
    except Exception as error:  # torch raises anything for a broken file
        raise ConvcostError(
            f"{source}: can't be loaded as a program of torch.export.save: {_reason(error)}",
            "save it again with this version of torch",
        ) from error


def _the_program(programs: dict[str, ExportedProgram], source: str) -> ExportedProgram:
    if len(programs) != 1 and "model" not in programs:
        raise ConvcostError(f"{source}: holds {len(programs)} programs, none named 'model'")
    return programs["model"] if "model" in programs else next(iter(programs.values()))


def _example(program: ExportedProgram) -> tuple[Example | None, Literal["", "batch", "sizes"]]:
    """The inputs of the export, with one of each where only their batch is free, and what is."""
    example, values = program.example_inputs, list(_user_values(program))
    free = [axis for value in values for axis in _free_axes(value)]
    if not free or example is None:
        return example, "sizes" if free else ""
    leaves, structure = tree_flatten(example)
    if any(free) or len(leaves) != len(values) or not _takes_one(program):
        return example, "sizes"
    pairs = zip(leaves, values, strict=True)
    ones = [leaf[:1] if _free_axes(value) else leaf for leaf, value in pairs]
    return tree_unflatten(ones, structure), "batch"


def _user_values(program: ExportedProgram) -> Iterator[object]:
    """What stands for each input of the user's in the program."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    return (values.get(name) for name in program.graph_signature.user_inputs)


def _free_axes(value: object) -> list[int]:
    sizes = value.shape if isinstance(value, torch.Tensor) else ()
    return [axis for axis, size in enumerate(sizes) if isinstance(size, torch.SymInt)]


def _takes_one(program: ExportedProgram) -> bool:
    """Whether free sizes may be 1: where nothing was asked for torch writes 2, and takes 1."""
    return all(sizes.lower <= 2 for sizes in program.range_constraints.values())


def _module(program: ExportedProgram) -> nn.Module:
    """The module in eval mode; its guards, which are code in the file, aren't made."""
    module = program.module(check_guards=False)
    for refused in ("train", "eval"):  # an exported graph has one mode: these only raise
        vars(module).pop(refused, None)
    return module.eval()


@contextlib.contextmanager
def weights_only() -> Iterator[None]:
    """Makes every ``torch.load`` refuse a pickle that isn't plain tensors, whatever it's told."""
    before = {name: os.environ.pop(name, None) for name in (_FORCE, _FORBID)}
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        del os.environ[_FORCE]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _reason(error: BaseException) -> str:
    """The first line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
