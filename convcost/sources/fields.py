"""The field types of YAML files: what is accepted, and the sentence when it isn't."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

MAX_SETTING = 65_536
MAX_SIZE = 2**31 - 1

PerAxis = int | tuple[int, ...]


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


def padding(value: object) -> str | PerAxis | tuple[tuple[int, int], ...]:
    """``value`` as ``valid``, ``same``, a number, one per axis, or a pair per axis."""
    if value in ("valid", "same"):
        return str(value)
    try:
        if isinstance(value, list) and value and isinstance(value[0], list):
            return tuple(_pair(item) for item in value)
        return per_axis(value, 0, MAX_SETTING)
    except ValueError:
        raise ValueError(
            "expected a whole number, one per axis, a [before, after] pair per axis, valid or same"
        ) from None


def _pair(value: object) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("expected a pair")
    return whole(value[0], 0, MAX_SETTING), whole(value[1], 0, MAX_SETTING)


def name(value: object) -> str:
    """``value`` as a layer's name: printable text."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("expected a name: printable text, not empty")
    return value


def _integer(minimum: int, maximum: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": 3}


def _one_or_each(minimum: int, maximum: int) -> dict[str, Any]:
    one = _integer(minimum, maximum)
    return {"anyOf": [one, _list_of(one)]}


Name = Annotated[str, BeforeValidator(name), WithJsonSchema({"type": "string", "pattern": r"\S"})]
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
    str | PerAxis | tuple[tuple[int, int], ...],
    BeforeValidator(padding),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["valid", "same"]},
                _integer(0, MAX_SETTING),
                _list_of(_integer(0, MAX_SETTING)),
                _list_of(
                    {
                        "type": "array",
                        "items": _integer(0, MAX_SETTING),
                        "minItems": 2,
                        "maxItems": 2,
                    }
                ),
            ]
        }
    ),
]
