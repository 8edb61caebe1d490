"""The field types of YAML files: what is accepted, and the sentence when it isn't."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

MAX_SETTING = 65_536
MAX_SIZE = 2**31 - 1

PerAxis = int | tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def version(value: object) -> int:
    """``value`` as the one version of specs that there is."""
    if isinstance(value, bool) or value != 1:
        raise ValueError("expected 1")
    return 1


def whole(value: object, minimum: int, maximum: int) -> int:
    """``value`` as a whole number; ``1e6`` is one, ``true`` and ``"3"`` are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise ValueError(f"expected a whole number from {minimum:,} to {maximum:,}")
    return value


def per_axis(value: object, minimum: int, maximum: int) -> PerAxis:
    """``value`` as one whole number for all axes, or a list with one per axis."""
    try:
        if isinstance(value, list) and 1 <= len(value) <= 3:
            return tuple(whole(item, minimum, maximum) for item in value)
        return whole(value, minimum, maximum)
    except ValueError as error:
        raise ValueError(f"{error}, or a list with one per axis") from None


def padding(value: object, words: tuple[str, ...] = ()) -> str | PerAxis | Pairs:
    """``value`` as a number, one per axis, a pair per axis, or one of ``words``."""
    if isinstance(value, str) and value in words:
        return value
    try:
        if isinstance(value, list) and value and isinstance(value[0], list):
            return tuple(_pair(item) for item in value)
        return per_axis(value, 0, MAX_SETTING)
    except ValueError:
        *others, last = (
            f"a whole number from 0 to {MAX_SETTING:,}",
            "one per axis",
            "a [before, after] pair per axis",
            *words,
        )
        raise ValueError(f"expected {', '.join(others)} or {last}") from None


def _pair(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("expected a pair")
    return whole(value[0], 0, MAX_SETTING), whole(value[1], 0, MAX_SETTING)


def name(value: object) -> str:
    """``value`` as a layer's name: printable text."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("expected a name: printable text, not empty")
    return value


def lines(value: str) -> str:
    """``value`` as lines that steer no terminal."""
    if not value.replace("\n", "").isprintable():
        raise ValueError("expected printable text")
    return value


def _integer(minimum: int, maximum: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": 3}


def _one_or_each(minimum: int, maximum: int) -> dict[str, Any]:
    one = _integer(minimum, maximum)
    return {"anyOf": [one, _list_of(one)]}


def _padding_schema(*words: str) -> WithJsonSchema:
    one = _integer(0, MAX_SETTING)
    pair = {"type": "array", "items": one, "minItems": 2, "maxItems": 2}
    forms = [one, _list_of(one), _list_of(pair)]
    return WithJsonSchema({"anyOf": [{"enum": list(words)}, *forms] if words else forms})


Version = Annotated[int, BeforeValidator(version), WithJsonSchema({"const": 1})]
Name = Annotated[str, BeforeValidator(name), WithJsonSchema({"type": "string", "pattern": r"\S"})]
Lines = Annotated[str, Field(min_length=1), AfterValidator(lines)]
Count = Annotated[
    int,
    BeforeValidator(lambda value: whole(value, 1, MAX_SIZE)),
    WithJsonSchema(_integer(1, MAX_SIZE)),
]
Repeat = Annotated[
    int,
    BeforeValidator(lambda value: whole(value, 1, MAX_SETTING)),
    WithJsonSchema(_integer(1, MAX_SETTING)),
]
Positive = Annotated[
    PerAxis,
    BeforeValidator(lambda value: per_axis(value, 1, MAX_SETTING)),
    WithJsonSchema(_one_or_each(1, MAX_SETTING)),
]
Natural = Annotated[
    PerAxis,
    BeforeValidator(lambda value: per_axis(value, 0, MAX_SETTING)),
    WithJsonSchema(_one_or_each(0, MAX_SETTING)),
]
PaddingField = Annotated[
    str | PerAxis | Pairs,
    BeforeValidator(partial(padding, words=("valid", "same"))),
    _padding_schema("valid", "same"),
]
CropField = Annotated[
    str | PerAxis | Pairs,
    BeforeValidator(partial(padding, words=("valid",))),
    _padding_schema("valid"),
]
NumbersField = Annotated[PerAxis | Pairs, BeforeValidator(padding), _padding_schema()]
