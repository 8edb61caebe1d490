"""The limits of a configuration: one model of settings for each kind of metric."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model
from pydantic import model_validator as _model_validator

from convcost.report import METRICS
from convcost.sources.fields import MAX_SIZE, whole
from convcost.units import SUFFIXES, expected_quantity, parse_quantity, quantity_pattern

Level = Literal["error", "warn", "off"]
BOUNDS = ("max", "min", "max_increase")

EXACT = (
    "parameters",
    "multiplications",
    "receptive_field",
    "receptive_field_density",
    "receptive_field_largest_hole",
    "effective_stride",
    "parameter_bytes",
    "activation_bytes",
    "peak_activation_bytes",
    "bytes_moved",
    "arithmetic_intensity",
)
"""The metrics that need no clock; all but the peak are also those of a layer."""
OF_LAYERS = tuple(key for key in EXACT if key != "peak_activation_bytes")
TIMED = ("latency", "latency_ratio")
RATIOS = ("multiplications_ratio", "latency_ratio")
"""Of a variant over the standard network."""
LIMITED = (*EXACT, "latency", *RATIOS)
SMALLEST, LARGEST = 1e-30, 1e30
"""Of a bound that isn't 0."""


class _Settings(BaseModel):
    """What every limit may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Level = "error"

    @_model_validator(mode="after")
    def _says_something(self) -> _Settings:
        given = [bound for bound in BOUNDS if getattr(self, bound, None) is not None]
        bounds = [bound for bound in BOUNDS if bound in type(self).model_fields]
        if not given:
            raise ValueError(f"a limit needs {' or '.join(bounds)}")
        if getattr(self, "min_delta", None) is not None and "max_increase" not in given:
            raise ValueError("min_delta is the smallest change that max_increase looks at: give it")
        low, high = getattr(self, "min", None), getattr(self, "max", None)
        if low is not None and high is not None and low > high:
            raise ValueError("min is above max")
        return self


def quantity(value: object, unit: str) -> int | float:
    """``value`` as a number of ``unit``, from text such as ``3.5 M`` or a plain number."""
    if isinstance(value, str):
        number = parse_quantity(value, unit)
    elif isinstance(value, int | float) and not isinstance(value, bool) and "" in SUFFIXES[unit]:
        number = value
    else:
        raise ValueError(expected_quantity(unit))
    if number < 0:
        raise ValueError("expected 0 or more")
    if number and not SMALLEST <= number <= LARGEST:
        raise ValueError(f"expected 0, or from {SMALLEST:g} to {LARGEST:g}")
    return number


_PART = r"^(0(\.[0-9]+)?|1(\.0+)?|([0-9]{1,2}(\.[0-9]+)?|100(\.0+)?) ?%)$"
"""A share of a whole as text."""
_EXPECTED_PART = "expected 0 to 1, or 90%"


def _part(value: object) -> int | float:
    """A share of a whole, which is no more than all of it."""
    if isinstance(value, str) and not re.fullmatch(_PART, value):
        raise ValueError(_EXPECTED_PART)
    number = quantity(value, "share")
    if number > 1:
        raise ValueError(_EXPECTED_PART)
    return number


def _increase(value: object) -> int | float:
    """A share; a plain number above 1 is taken for a slip, since ``5`` rarely means 500 %."""
    number = quantity(value, "share")
    if number > 1 and not isinstance(value, str):
        raise ValueError(f'expected a share such as "{value}%"')
    return number


def _shape(value: object) -> tuple[tuple[int, ...], ...]:
    """``value`` as one shape, or a list of shapes for a model of several inputs."""
    if not isinstance(value, list) or not value:
        raise ValueError("expected a shape such as [1, 3, 224, 224], or a list of shapes")
    shapes = value if all(isinstance(item, list) for item in value) else [value]
    return tuple(tuple(whole(size, 1, MAX_SIZE) for size in shape) for shape in shapes)


_SIZES = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": MAX_SIZE},
    "minItems": 1,
}
Inputs = Annotated[
    tuple[tuple[int, ...], ...],
    BeforeValidator(_shape),
    WithJsonSchema({"anyOf": [_SIZES, {"type": "array", "items": _SIZES, "minItems": 1}]}),
]


def _quantity_schema(
    unit: str, largest: float = LARGEST, pattern: str | None = None
) -> WithJsonSchema:
    text = {"type": "string", "pattern": pattern or quantity_pattern(unit)}
    number = {"type": "number", "minimum": 0, "maximum": largest}
    return WithJsonSchema({"anyOf": [number, text]} if "" in SUFFIXES[unit] else text)


def _field(unit: str) -> Any:
    if unit == "share":
        return Annotated[int | float, BeforeValidator(_part), _quantity_schema(unit, 1, _PART)]
    checked = BeforeValidator(partial(quantity, unit=unit))
    return Annotated[int | float, checked, _quantity_schema(unit)]


_Increase = Annotated[int | float, BeforeValidator(_increase), _quantity_schema("share", 1)]


@cache
def settings_of(metric: str) -> type[BaseModel]:
    """The model of what a limit of ``metric`` may say."""
    unit = METRICS[metric].unit
    bound: Any = (_field(unit), None)
    fields: dict[str, Any] = {"max": bound, "min": bound}
    if metric == "latency":
        del fields["min"]
    if metric in RATIOS:
        fields["variant"] = (Annotated[Any, Field(description="as in a spec's variants")], ...)
    else:
        fields |= {"max_increase": (_Increase, None), "min_delta": bound}
    return create_model(metric, __base__=_Settings, **fields)
