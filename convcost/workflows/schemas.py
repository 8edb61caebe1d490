"""The published JSON Schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convcost.sources import check_schema as checks
from convcost.sources import spec_schema as layers
from convcost.sources.saved import report_form
from convcost.variants import (
    MAX_AXES,
    MAX_OPTION,
    VARIANTS,
    is_per_axis,
    is_switch,
    option_defaults,
)

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_schema() -> dict[str, Any]:
    """The JSON Schema of layer specs."""
    schema = layers.spec_schema()
    schema["properties"]["variants"] = {
        "type": "array",
        "minItems": 1,
        "items": _variant(),
    }
    return {"$schema": _DIALECT, **schema, "title": "convcost layer spec"}


def check_schema() -> dict[str, Any]:
    """The JSON Schema of a check's configuration."""
    return {
        "$schema": _DIALECT,
        **checks.check_schema(_variant()),
        "title": "convcost check configuration",
    }


def _variant() -> dict[str, Any]:
    return {"anyOf": [*map(_text, VARIANTS), *map(_mapping, VARIANTS)]}


def report_schema() -> dict[str, Any]:
    """The JSON Schema of reports."""
    schema = report_form().model_json_schema()
    # Python may leave it to its default, a file may not
    schema["required"].append("schema_version")
    return {"$schema": _DIALECT, **schema, "title": "convcost report"}


def _text(name: str) -> dict[str, Any]:
    """A variant as text: ``atrous:rate=2x3``."""
    number = f"(?=[0-9]*[1-9])[0-9]{{1,{len(str(MAX_OPTION))}}}"
    each = f"(x{number}){{0,{MAX_AXES - 1}}}"
    keys = option_defaults(name)
    values = {
        key: "(true|false)"
        if is_switch(name, key)
        else f"{number}{each if is_per_axis(name, key) else ''}"
        for key in keys
    }
    option = "|".join(f"{key}={value}" for key, value in values.items())
    options = f"(:({option})(,({option}))*)?" if keys else ""
    return {"type": "string", "pattern": f"^{name}{options}$"}


def _mapping(name: str) -> dict[str, Any]:
    """A variant as a mapping: ``{atrous: {rate: [2, 3]}}``."""
    one = {"type": "integer", "minimum": 1, "maximum": MAX_OPTION}
    each = {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_AXES}
    options = {
        "type": "object",
        "properties": {
            key: {"type": "boolean"}
            if is_switch(name, key)
            else {"anyOf": [one, each]}
            if is_per_axis(name, key)
            else one
            for key in option_defaults(name)
        },
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {name: options},
        "required": [name],
        "additionalProperties": False,
    }


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "spec": spec_schema,
    "report": report_schema,
    "check": check_schema,
}
