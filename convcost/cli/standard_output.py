"""Standard output as a stream whose failures are told as a user's errors."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from convcost.errors import ConvcostError

if TYPE_CHECKING:
    from typing_extensions import Buffer


LOOK_ALIKES = "convcost_look_alikes"
"""What a stream does about a character that its encoding lacks."""


class _Told(io.RawIOBase):
    """Writes through to a raw stream; what stops that becomes a clear error."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def write(self, data: Buffer) -> int | None:
        try:
            return self._raw.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            message = f"standard output can't be written: {error.strerror}"
            raise ConvcostError(message) from None


def open_streams() -> None:
    """Makes standard output and error fit for any text, and for a failure to be told.

    Raises:
        ConvcostError: standard output is closed.
    """
    codecs.register_error(LOOK_ALIKES, _look_alike)
    if sys.stderr is None:
        sys.stderr = _nowhere()
    sys.stderr.reconfigure(errors=LOOK_ALIKES)  # type: ignore[union-attr]
    if sys.stdout is None:
        sys.stdout = _nowhere()
        raise ConvcostError("standard output can't be written: it is closed")
    buffer: Any = sys.stdout.buffer
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Told(getattr(buffer, "raw", buffer))),
        encoding=sys.stdout.encoding,
        errors=LOOK_ALIKES,
        line_buffering=sys.stdout.isatty(),
    )


def _look_alike(error: UnicodeError) -> tuple[str, int]:
    from convcost.cli.look_alikes import replace  # no stream of UTF-8 needs them

    return replace(error)


def abandon_output() -> None:
    """Leaves nothing for the interpreter to flush: whoever read it may be gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
