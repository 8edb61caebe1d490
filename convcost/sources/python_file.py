"""A Python file or a named module -> its namespace, as ``python model.py`` would see it."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from convcost.errors import ConvcostError, MissingError, printable
from convcost.sources.revisions import code_folders, tree_of
from convcost.sources.user_code import install_hint, user_code

_INSTALLED = {"site-packages", "dist-packages"}
_OURS = __name__.partition(".")[0]

_siblings: set[str] = set()
"""Modules that earlier loads imported from their models' own folders."""


def folders_of_file(path: Path) -> list[Path]:
    """What a file imports from: its own folder, that of its package, and its user's tree."""
    own = [path.parent, package_of(path)[0]]
    return list(dict.fromkeys([*own, *folders_of_module()]))


def folders_of_module() -> list[Path]:
    """What a module that is named is imported from, before what is installed."""
    here = Path.cwd()
    return list(dict.fromkeys(code_folders(here, tree_of(here))))


def package_of(path: Path) -> tuple[Path, str]:
    """The folder that holds a file's top-level package, and the dotted name, '' without one."""
    folder, names = path.parent, list[str]()
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


@contextlib.contextmanager
def importable(folders: Sequence[Path], program: str) -> Iterator[None]:
    """Makes folders importable while the block runs, with the arguments of ``python program``.

    What the block imports stays loaded until a later model is in folders that have a module of the
    same name: it gets its own, and what was edited is read anew.
    """
    _forget_siblings(folders)
    with still_importable(folders, program):
        yield


@contextlib.contextmanager
def still_importable(folders: Sequence[Path], program: str) -> Iterator[None]:
    """The same for a model that is loaded: what it imported is what it imports again."""
    before, arguments, entries = set(sys.modules), sys.argv, list(map(str, folders))
    sys.path[:0] = entries
    sys.argv = [program]
    try:
        yield
    finally:
        sys.argv = arguments
        for entry in entries:
            with contextlib.suppress(ValueError):
                sys.path.remove(entry)
        new = set(sys.modules) - before
        _siblings.update(name for name in new if _is_own(name, folders))


def _forget_siblings(folders: Sequence[Path]) -> None:
    """Makes way for the folders' modules whose names an earlier load took."""
    importlib.invalidate_caches()
    for name in list(_siblings):
        tops = [folder / name.partition(".")[0] for folder in folders]
        if any(top.is_dir() or top.with_suffix(".py").is_file() for top in tops):
            sys.modules.pop(name, None)
            _siblings.discard(name)


def _is_own(name: str, folders: Sequence[Path]) -> bool:
    """Whether a loaded module is of these folders' own code, not of an environment inside one."""
    origin = getattr(sys.modules[name], "__file__", None)
    if not isinstance(origin, str) or name.partition(".")[0] == _OURS:
        return False
    path = Path(origin)
    return not _INSTALLED & set(path.parts) and any(map(path.is_relative_to, folders))


def run_file(path: Path, source: str) -> ModuleType:
    """Runs a Python file as a module; its ``if __name__ == "__main__"`` part stays out.

    It isn't named after the file, so that another file can import it, as with ``python``; in a
    package its relative imports work, as with ``python -m``.

    Raises:
        ConvcostError: it can't be read, has a syntax error, or raises.
    """
    module = ModuleType("_convcost_" + re.sub(r"\W", "_", path.stem))
    module.__file__ = str(path)
    module.__package__ = package_of(path)[1]
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
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConvcostError(f"{printable(source)}: can't be read: {reason}") from None


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
