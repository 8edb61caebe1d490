"""Where the code of a model came from: each side of a comparison must run its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from convcost.errors import ConvcostError
from convcost.sources.revisions import code_folders
from convcost.sources.source import FILES, ends_in

_INSTALLED = {"site-packages", "dist-packages"}


class Tree(NamedTuple):
    """A side's own tree, the other side's, and the top-level packages that its own has."""

    root: Path
    folder: Path
    other: Path | None
    packages: Collection[str]


def put_first(tree: Tree) -> None:
    """Puts a tree and its ``src`` first on the path.

    An entry of the other tree, as an editable install leaves it, becomes its counterpart here.
    """
    own = code_folders(tree.folder, tree.root)
    rest = [_counterpart(entry, tree) for entry in sys.path]
    sys.path[:] = dict.fromkeys([*map(str, own), *rest])


@contextmanager
def installed_only(tree: Tree) -> Iterator[None]:
    """Imports in the block look into none of a tree's own folders."""
    own, kept = set(map(str, code_folders(tree.folder, tree.root))), sys.path[:]
    sys.path[:] = [entry for entry in kept if entry not in own]
    try:
        yield
    finally:
        sys.path[:] = kept


def _counterpart(entry: str, tree: Tree) -> str:
    path = Path(entry)
    if tree.other is None or not _is_code_of(path, tree.other):
        return entry
    return str(tree.root / path.resolve().relative_to(tree.other))


def _is_code_of(path: Path, root: Path) -> bool:
    """Whether a file or folder is of a tree's own code, not of an environment inside it."""
    resolved = path.resolve()
    return resolved.is_relative_to(root) and not _INSTALLED & set(resolved.parts)


def own_source(source: str, tree: Tree) -> str:
    """A source as this side names it: a file of the other tree becomes its counterpart here.

    Raises:
        ConvcostError: it is a file outside the repository, of which no revision has its own.
    """
    file = source if ends_in(source, FILES) else source.rpartition(":")[0]
    is_file = ends_in(file, FILES)
    if tree.other is None or not is_file or _is_code_of(Path(file), tree.root):
        return source
    if _is_code_of(Path(file), tree.other):
        return _counterpart(source, tree)
    # a link to where large files are kept is a revision's own, wherever it leads
    if Path(os.path.abspath(file)).is_relative_to(tree.root):  # noqa: PTH100  links are kept
        return source
    raise ConvcostError(
        f"{source}: is outside the repository, so a revision has none of its own",
        "copy it into the repository, or leave the revision out",
    )


def check_source(module: str, source: str, tree: Tree) -> None:
    """Holds a model that is named by its import path to its own tree.

    Raises:
        ConvcostError: it was imported from anywhere else.
    """
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not _is_code_of(Path(file), tree.root):
        raise _foreign(source, module, file or "no file")


def check_imports(source: str, tree: Tree) -> None:
    """Holds all that a model imported to its own tree, as far as the tree has it.

    Raises:
        ConvcostError: a module came from the other tree, or from an installed copy.
    """
    for name, file in _loaded():
        if _is_code_of(file, tree.root):
            continue
        is_others = tree.other is not None and _is_code_of(file, tree.other)
        if is_others or name.partition(".")[0] in tree.packages:
            raise _foreign(source, name, str(file))


def _loaded() -> Iterator[tuple[str, Path]]:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        # ours is the one that runs, on both sides
        if isinstance(file, str) and name.partition(".")[0] != "convcost":
            yield name, Path(file)


def _foreign(source: str, module: str, file: str) -> ConvcostError:
    return ConvcostError(
        f"{source}: {module} was imported from {file}, not from this side's own tree",
        "an installed package can't stand in for both sides: uninstall it, or name a file",
    )
