"""From pydantic's errors to sentences that say what was found and what would be valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from convcost.errors import show_value

Place = tuple[str | int, ...]


def sentences(error: ValidationError, valid_keys: Sequence[str]) -> Iterator[tuple[Place, str]]:
    """Where each mistake is, from the model on, and what is wrong.

    ``valid_keys`` are those of the model itself, for keys that it doesn't know; none: no guess.
    """
    for detail in error.errors(include_url=False):
        yield tuple(detail["loc"]), _sentence(detail, valid_keys)


def _sentence(detail: Any, valid_keys: Sequence[str]) -> str:
    kind, found = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        guess = _suggest(str(detail["loc"][-1]), valid_keys) if valid_keys else ""
        return f"unknown key{guess}"
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        text = str(detail["ctx"]["error"])
        return text if isinstance(found, dict) else f"{text}, found {show_value(found)}"
    if kind in ("model_type", "dict_type"):
        return f"expected a mapping of settings ({{}} for none), found {show_value(found)}"
    if kind == "bool_type":
        return f"expected true or false, found {show_value(found)}"
    text = detail["msg"].replace("Input should be", "expected").replace("List should", "should")
    return f"{text}, found {show_value(found)}"


def _suggest(key: str, valid_keys: Sequence[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  costs time, and only mistakes need it

    close = get_close_matches(key, valid_keys, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; valid keys: {', '.join(valid_keys)}"
