"""What Python's callers give: no command line has parsed it before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, TypeVar

from convcost.errors import ConvcostError, printable, shortened
from convcost.report import Report

if TYPE_CHECKING:
    from convcost.ops import Shape


_Given = TypeVar("_Given")


def need_flags(**given: object) -> None:
    """Does nothing where each is true or false.

    Raises:
        ConvcostError: one is neither.
    """
    for name, value in given.items():
        if not isinstance(value, bool):
            raise _unfit(name, value, "True or False")


def need_depth(depth: object) -> None:
    """Does nothing where it is None or a whole number of 1 or more.

    Raises:
        ConvcostError: it is neither.
    """
    if depth is not None and (type(depth) is not int or depth < 1):
        raise _unfit("depth", depth, "a whole number of 1 or more")


def mapping(name: str, value: Mapping[str, _Given] | None) -> Mapping[str, _Given]:
    """The mapping that ``value`` is; an empty one for None.

    Raises:
        ConvcostError: it is none, or a key isn't a text.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _unfit(name, value, "a mapping of names to values")
    return value


def need_calls(candidates: Mapping[str, object]) -> None:
    """Does nothing where it names callables.

    Raises:
        ConvcostError: it doesn't.
    """
    for name, call in mapping("candidates", candidates).items():
        if not callable(call):
            raise _unfit(f"the candidate {name}", call, "a callable that takes nothing")


def text(name: str, value: object) -> str:
    """The text that ``value`` is.

    Raises:
        ConvcostError: it is none.
    """
    if not isinstance(value, str):
        raise _unfit(name, value, "a text")
    return value


def path(value: object) -> str:
    """The path that ``value`` is, as text.

    Raises:
        ConvcostError: it is none.
    """
    return text("path", fspath(value) if isinstance(value, PathLike) else value)


def texts(name: str, value: object) -> tuple[str, ...]:
    """Several texts; one text is a sequence of one, not of its letters.

    Raises:
        ConvcostError: one isn't a text.
    """
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence) or not all(isinstance(text, str) for text in value):
        raise _unfit(name, value, "a text or a list of texts")
    return tuple(value)


def shapes(name: str, value: object) -> tuple[Shape, ...]:
    """Several shapes.

    Raises:
        ConvcostError: ``value`` is one, or none.
    """
    if is_shape(value) and value:
        raise _unfit(name, value, f"a list of shapes: [{value!r}]")
    if not isinstance(value, Sequence) or not all(map(is_shape, value)):
        raise _unfit(name, value, "a list of shapes: [(1, 3, 224, 224)]")
    return tuple(map(tuple, value))


def need_report(value: object) -> None:
    """Does nothing where it is a report.

    Raises:
        ConvcostError: it is none.
    """
    if not isinstance(value, Report):
        raise _unfit("report", value, "what compare, profile or load gave")


def is_shape(value: object) -> bool:
    """Whether a value is a tuple or list of whole numbers only."""
    return isinstance(value, (tuple, list)) and all(type(size) is int for size in value)


def _unfit(name: str, value: object, valid: str) -> ConvcostError:
    shown = printable(shortened(repr(value)))
    return ConvcostError(f"{name} can't be {shown}", f"give {valid}")
