"""The JSON Schema of configurations, made from what the loader validates with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convcost.sources.check_fields import BOUNDS, LIMITED, OF_LAYERS, settings_of
from convcost.sources.checks import LAYERS, CheckHead, ConfigHead


def check_schema(variant: dict[str, Any]) -> dict[str, Any]:
    """The schema of a whole file; ``variant`` is that of a limit's variant."""
    schema = ConfigHead.model_json_schema()
    check = CheckHead.model_json_schema()
    layers = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": _limits(OF_LAYERS, variant),
    }
    limits = _limits(LIMITED, variant)
    limits["properties"][LAYERS] = layers
    check["properties"] |= {"limits": limits, LAYERS: layers}
    check["anyOf"] = [{"required": ["limits"]}, {"required": [LAYERS]}]
    schema["properties"]["checks"] = {"type": "array", "minItems": 1, "items": check}
    schema["required"].append("checks")
    return schema


def _limits(metrics: Sequence[str], variant: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {metric: _limit(metric, variant) for metric in metrics},
        "additionalProperties": False,
        "minProperties": 1,
    }


def _limit(metric: str, variant: dict[str, Any]) -> dict[str, Any]:
    schema = settings_of(metric).model_json_schema()
    properties = schema["properties"]
    for field in properties.values():
        field.pop("default", None)
    if "variant" in properties:
        properties["variant"] = variant
    schema["anyOf"] = [{"required": [bound]} for bound in BOUNDS if bound in properties]
    if "min_delta" in properties:
        schema["dependentRequired"] = {"min_delta": ["max_increase"]}
    return schema
