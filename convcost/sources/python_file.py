"""A Python file or a named module -> its namespace, as ``python model.py`` would see it."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from convcost.errors import ConvcostError, MissingError
from convcost.sources.user_code import install_hint, user_code

_siblings: set[str] = set()
"""Modules that earlier loads imported from a model's own folder."""


@contextlib.contextmanager
def importable(folder: Path, program: str) -> Iterator[None]:
    """Makes a folder importable while the block runs, with the arguments of ``python program``.

    What the block imports stays loaded; a later file in another folder that has a module of the
    same name gets its own.
    """
    _forget_siblings(folder)
    with still_importable(folder, program):
        yield


@contextlib.contextmanager
def still_importable(folder: Path, program: str) -> Iterator[None]:
    """The same for a model that is loaded: what it imported is what it imports again."""
    before, arguments, entry = set(sys.modules), sys.argv, str(folder)
    sys.path.insert(0, entry)
    sys.argv = [program]
    try:
        yield
    finally:
        sys.argv = arguments
        with contextlib.suppress(ValueError):
            sys.path.remove(entry)
        new = set(sys.modules) - before
        _siblings.update(name for name in new if _is_in(sys.modules[name], folder))


def _forget_siblings(folder: Path) -> None:
    """Makes way for the folder's modules whose names an earlier load took."""
    importlib.invalidate_caches()
    for name in list(_siblings):
        top = folder / name.partition(".")[0]
        if top.is_dir() or top.with_suffix(".py").is_file():
            sys.modules.pop(name, None)
            _siblings.discard(name)


def _is_in(module: ModuleType, folder: Path) -> bool:
    origin = getattr(module, "__file__", None)
    return isinstance(origin, str) and Path(origin).is_relative_to(folder)


def run_file(path: Path, source: str) -> ModuleType:
    """Runs a Python file as a module; its ``if __name__ == "__main__"`` part stays out.

    It isn't named after the file, so that another file can import it, as with ``python``.

    Raises:
        ConvcostError: it can't be read, has a syntax error, or raises.
    """
    module = ModuleType("_convcost_" + re.sub(r"\W", "_", path.stem))
    module.__file__ = str(path)
    text = read_bytes(path, source)
    sys.modules[module.__name__] = module
    with user_code(source, "when the file was run"):
        code = compile(text, str(path), "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102  running the user's file is what was asked for
    return module


def read_bytes(path: Path, source: str) -> bytes:
    """A file's bytes.

    Raises:
        ConvcostError: there is no such file, or it can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingError(f"{source}: no such file") from None
    except IsADirectoryError:
        raise ConvcostError(f"{source}: is a directory, not a file") from None
    except OSError as error:
        raise ConvcostError(f"{source}: can't be read: {error.strerror}") from None


def import_named(name: str, source: str) -> ModuleType:
    """Imports ``package.module``.

    Raises:
        ConvcostError: there is no such module, or it raises.
    """
    with user_code(source, f"when {name} was imported"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and f"{name}.".startswith(f"{error.name}."):
                raise MissingError(
                    f"{source}: there is no module {error.name}", install_hint(error.name)
                ) from None
            raise
