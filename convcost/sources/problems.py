"""From pydantic's errors to sentences that say what was found and what would be valid."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from convcost.sources.yaml_file import KeyPath, Problem


def problems_of(
    error: ValidationError, model: type[BaseModel], path: KeyPath
) -> Iterator[Problem]:
    """One problem for each of pydantic's, with ``path`` before the keys that it names."""
    for detail in error.errors(include_url=False):
        place = tuple(detail["loc"])
        yield Problem((*path, *place), _sentence(detail, _valid_keys(model, place)))


def _sentence(detail: Any, valid_keys: list[str]) -> str:
    kind, found = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        return f"unknown key; {_suggest(str(detail['loc'][-1]), valid_keys)}"
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        text = str(detail["ctx"]["error"])
        return text if isinstance(found, dict) else f"{text}, found {_show(found)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"expected a mapping of settings ({{}} for none), found {_show(found)}"
    if kind == "bool_type":
        return f"expected true or false, found {_show(found)}"
    text = detail["msg"].replace("Input should be", "expected").replace("List should", "should")
    return f"{text}, found {_show(found)}"


def _show(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 60 else text[:57] + "…"


def _suggest(key: str, valid_keys: list[str]) -> str:
    close = get_close_matches(key, valid_keys, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"valid keys: {', '.join(valid_keys)}"


def _valid_keys(model: type[BaseModel], place: KeyPath) -> list[str]:
    for key in place[:-1]:
        annotation = model.model_fields[str(key)].annotation if key in model.model_fields else None
        inner = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
        model = next((a for a in inner if issubclass(a, BaseModel)), model)
    return list(model.model_fields)
