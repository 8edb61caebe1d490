"""The published JSON Schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convcost.sources import spec_schema as layers
from convcost.sources.saved import report_adapter
from convcost.variants import MAX_OPTION, VARIANTS, option_defaults

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_schema() -> dict[str, Any]:
    """The JSON Schema of layer specs."""
    schema = layers.spec_schema()
    schema["properties"]["variants"] = {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [{"type": "string"}, *map(_variant, VARIANTS)]},
    }
    return {"$schema": _DIALECT, **schema, "title": "convcost layer spec"}


def report_schema() -> dict[str, Any]:
    """The JSON Schema of reports."""
    return {"$schema": _DIALECT, **report_adapter().json_schema(), "title": "convcost report"}


def _variant(name: str) -> dict[str, Any]:
    one = {"type": "integer", "minimum": 1, "maximum": MAX_OPTION}
    option = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": 3}]}
    options = {
        "type": "object",
        "properties": dict.fromkeys(option_defaults(name), option),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {name: options},
        "required": [name],
        "additionalProperties": False,
    }


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {"spec": spec_schema, "report": report_schema}
