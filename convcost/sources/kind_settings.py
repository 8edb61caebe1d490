"""What the YAML may say of each layer kind."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, StrictBool, model_validator

from convcost.sources.fields import Count, CropField, Natural, NumbersField, PaddingField, Positive


def _given(key: str) -> dict[str, Any]:
    """The JSON Schema of settings in which ``key`` stands and isn't null."""
    return {"required": [key], "properties": {key: {"type": ["integer", "array"]}}}


class NoSettings(BaseModel):
    """The settings of a kind that has none."""

    # a model is built when it is first used: most specs need few of them
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ConvSettings(NoSettings):
    """A convolution; ``in_channels`` is inferred, ``rate`` is another name of ``dilation``."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"allOf": [_given("dilation"), _given("rate")]}}
    )

    out_channels: Count
    kernel_size: Positive
    stride: Positive = 1
    padding: PaddingField = 0
    dilation: Positive | None = None
    rate: Positive | None = None
    groups: Count = 1
    bias: StrictBool = True

    @model_validator(mode="after")
    def _one_dilation(self) -> Self:
        if self.dilation is not None and self.rate is not None:
            raise ValueError("dilation and rate are two words for one thing: give one of them")
        return self


class ConvTransposeSettings(ConvSettings):
    """A transposed convolution; ``padding`` crops its output."""

    padding: CropField = 0
    output_padding: Natural = 0


class AvgPoolSettings(NoSettings):
    """An average pool; ``stride`` is the kernel size unless given."""

    kernel_size: Positive
    stride: Positive | None = None
    padding: PaddingField = 0
    ceil_mode: StrictBool = False


class MaxPoolSettings(AvgPoolSettings):
    """A max pool; ``stride`` is the kernel size unless given."""

    dilation: Positive = 1


class UpsampleSettings(NoSettings):
    """An interpolation to ``size``, or by the whole factor ``scale``."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_given("scale"), _given("size")]})

    scale: Positive | None = None
    size: Positive | None = None
    mode: Literal["nearest", "linear", "bilinear", "trilinear"] = "nearest"
    align_corners: StrictBool = False

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.scale is None) == (self.size is None):
            raise ValueError("give either scale or size")
        return self


class PadSettings(NoSettings):
    """Padding as a step of its own."""

    padding: NumbersField
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"


class LinearSettings(NoSettings):
    """A fully connected layer; ``in_features`` is inferred."""

    out_features: Count
    bias: StrictBool = True
