"""What a report says of where its numbers come from."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from convcost._version import __version__
from convcost.measure.settings import Settings

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
