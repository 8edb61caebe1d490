"""What a report says of where its numbers come from."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING

from convcost._version import __version__
from convcost.measure.settings import ITEMSIZES, Settings

if TYPE_CHECKING:
    from torch import nn

Environment = dict[str, str | int | float | bool | None]


def environment(
    settings: Settings, measured: Mapping[str, str | int | float] | None
) -> Environment:
    """convcost, Python and the dtype; with a measurement also how and on what it ran."""
    fixed: Environment = {
        "convcost": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "dtype": settings.dtype,
    }
    if measured is None:
        return fixed
    asked: Environment = {
        "memory_format": settings.memory_format,
        "compile": settings.compile,
        "caches": "cold" if settings.cold else "warm",
        "seconds": settings.seconds,
        "delta": settings.delta,
        "seed": settings.seed,
    }
    return {**fixed, **asked, **measured}


def as_made(settings: Settings, module: nn.Module) -> Settings:
    """The settings with the dtype of a model's own weights, where it is one that settings have."""
    names = (str(parameter.dtype).removeprefix("torch.") for parameter in module.parameters())
    found = next((name for name in names if name in ITEMSIZES), settings.dtype)
    return settings._replace(dtype=found)
