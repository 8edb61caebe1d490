"""The one error that a user can cause, and how it shows what was found."""

from __future__ import annotations

from collections.abc import Iterable


class ConvcostError(Exception):
    """What stopped the work, where, and what to do about it.

    ``message`` says what was found and where; ``hint``, where there is one, what to do: a note of
    the exception, so that tracebacks show it too.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")


class MissingError(ConvcostError):
    """What a source names isn't there: no such file, module or attribute."""


class ShapeError(ValueError):
    """An op can't take the shapes that it was given; the text says what it wanted."""


def did_you_mean(wanted: str, there: Iterable[str]) -> str:
    """``did you mean parameters? `` for the one of ``there`` that is closest, '' where none is."""
    from difflib import get_close_matches  # noqa: PLC0415  costs time, and only mistakes need it

    close = get_close_matches(wanted, list(there), n=1)
    return f"did you mean {close[0]}? " if close else ""


_SHOWN = 60
_SHOWN_DEPTH = 3
_DECIMAL_BITS = 1024  # Python refuses to write very long integers in decimal


def show_value(found: object) -> str:
    """What was found as YAML says it, printable and short: ``null``, ``true``, ``'text'``."""
    return shortened(_as_yaml(found, _SHOWN_DEPTH))


def shortened(text: str) -> str:
    """``text``, or its first letters."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _as_yaml(found: object, depth: int) -> str:
    if isinstance(found, dict | list | tuple) and not depth:
        return "…"
    if isinstance(found, dict):
        pairs = (f"{_as_yaml(k, 0)}: {_as_yaml(v, depth - 1)}" for k, v in found.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(found, list | tuple):
        return f"[{', '.join(_as_yaml(item, depth - 1) for item in found)}]"
    if found is None or isinstance(found, bool):
        return "null" if found is None else str(found).lower()
    if isinstance(found, int) and found.bit_length() > _DECIMAL_BITS:
        return hex(found)
    return repr(found)


_LISTED = 12


def some_of(names: Iterable[str]) -> str:
    """The first of them, as an error lists them, and ``…`` where there are more."""
    listed = list(names)
    return ", ".join([*listed[:_LISTED], *(["…"] if len(listed) > _LISTED else [])])


def printable(text: str) -> str:
    """``text`` with escapes for what isn't printable, so that it steers no terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
