"""The files that a command reads and writes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from convcost.errors import ConvcostError


class _Sources:
    """What is read."""

    names: Sequence[str] = ()


def protect(arguments: Mapping[str, object]) -> None:
    """From now on no file may be written that one of a command's arguments names.

    Raises:
        ConvcostError: one is empty.
    """
    names: list[str] = []
    for label, value in arguments.items():
        names += value if isinstance(value, list) else [value] if isinstance(value, str) else []
        if "" in names:
            raise ConvcostError(f"{label} is empty", "give the name of a file or a model")
    _Sources.names = names


def writable(file: str, text: str) -> Path:
    """A file that can be written, as ``--output`` names it in ``text``.

    Raises:
        ConvcostError: it can't.
    """
    path = Path(file)
    if not file:
        raise ConvcostError(f"--output {text}: names no file", "give [FORMAT:]FILE")
    need_place(path)
    # a device is written to, any other file replaced
    target = path if path.exists() and not path.is_file() else path.parent
    if path.is_dir() or not os.access(target, os.W_OK):
        raise ConvcostError(f"--output {text}: {file}: can't be written there")
    return path


def need_place(path: Path) -> None:
    """Refuses to write where no file can be, or where one is read.

    Raises:
        ConvcostError: it is so.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # a new file, or a folder that isn't there
    except OSError as error:
        raise ConvcostError(f"{path}: can't be written: {error.strerror}") from None
    if not path.parent.is_dir():
        raise ConvcostError(f"{path}: there is no folder {path.parent}", "make it first")
    if any(_is_in(path, source) for source in _Sources.names):
        raise ConvcostError(f"{path}: can't be written: it is what is read", "give another file")


def _is_in(path: Path, source: str) -> bool:
    """Whether a source, which may be ``model.py:attr``, is in this file."""
    for name in filter(None, (source, source.rpartition(":")[0])):
        with suppress(OSError):
            if path.samefile(name):
                return True
    return False


def write_whole(path: Path, content: bytes) -> None:
    """Writes the whole file or nothing.

    Raises:
        ConvcostError: it can't be written.
    """
    from convcost import whole_file

    try:
        whole_file.write_whole(path, content)
    except OSError as error:
        raise ConvcostError(f"{path}: can't be written: {error.strerror}") from None
