"""From pydantic's errors to sentences that say what was found and what would be valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from convcost.errors import did_you_mean, show_value

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
        return f"unknown key{_guess(str(detail['loc'][-1]), valid_keys)}"
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


def _guess(key: str, valid_keys: Sequence[str]) -> str:
    if not valid_keys:
        return ""
    guess = did_you_mean(key, valid_keys).rstrip()
    return f"; {guess or 'valid keys: ' + ', '.join(valid_keys)}"
