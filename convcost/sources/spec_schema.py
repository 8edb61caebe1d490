"""The JSON Schema of layer specs, made from what the loader validates with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, create_model

from convcost.sources.kinds import KINDS
from convcost.sources.spec import Head, LayerHead


def spec_schema() -> dict[str, Any]:
    """The schema of a whole file; ``variants`` is for the variants' room to fill in."""
    kinds: dict[str, Any] = {
        key: (kind.settings, Field(default_factory=kind.settings)) for key, kind in KINDS.items()
    }

    class _Layer(LayerHead):
        model_config = ConfigDict(
            json_schema_extra={"oneOf": [{"required": [kind]} for kind in KINDS]}
        )

    layer = create_model("Layer", __base__=_Layer, **kinds)
    layers: Any = (Annotated[list[layer], Field(min_length=1)], ...)  # type: ignore[valid-type]
    file = create_model("Spec", __base__=Head, layers=layers)
    return file.model_json_schema()
