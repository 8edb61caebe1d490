"""What ``show`` draws: the positions and the channels that one output sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from convcost.report import Value

Kind = Literal["standard", "grouped", "depthwise", "pointwise"]


class Raster(NamedTuple):
    """The input positions that one output position sees, inside the span of them all.

    ``spans`` has one entry per spatial axis. ``rows`` holds an integer for each position along the
    last but one axis (one alone where there is one axis), with bit ``i`` for position ``i`` along
    the last. Of three axes the first is projected away.
    """

    spans: tuple[int, ...]
    rows: tuple[int, ...]


class Step(NamedTuple):
    """A layer as variants have it that see the same through it; a text in place of ``seen`` is why.

    ``kernel`` is what the layer does along the axes, as text; ``values`` are its field's.
    """

    variants: tuple[str, ...]
    kernel: str
    seen: Raster | str
    values: Mapping[str, Value]


class Layer(NamedTuple):
    """A layer that sees more than its inputs, beside itself as other variants."""

    name: str
    steps: tuple[Step, ...]


class Channels(NamedTuple):
    """Which input channels each output channel of a convolution reads: those of its group."""

    name: str
    kind: Kind
    in_channels: int
    out_channels: int
    groups: int


class Picture(NamedTuple):
    """What one output sees, layer by layer; ``left_out`` is how many layers aren't drawn."""

    name: str
    input: tuple[int, ...]
    layers: tuple[Layer, ...]
    channels: tuple[Channels, ...]
    left_out: int = 0
    notices: tuple[str, ...] = ()
