"""The public way in: any callables, compared as convcost compares its own candidates."""

from __future__ import annotations

from collections.abc import Mapping

from convcost.errors import ConvcostError
from convcost.measure.clocks import Call
from convcost.measure.comparison import Measurement, measure_calls
from convcost.measure.execute import protocol
from convcost.measure.machine import find_device, settled
from convcost.measure.settings import Settings, need_plain_calls


def measure_callables(candidates: Mapping[str, Call], settings: Settings) -> Measurement:
    """Times ``candidates`` against the first of them.

    Raises:
        ConvcostError: no candidates, no such device, or settings that are for models.
    """
    need_plain_calls(settings, "measure()")
    for key in ("dtype", "memory_format"):
        if getattr(settings, key) != Settings._field_defaults[key]:
            raise ConvcostError(
                f"settings: {key} is for models: measure() calls what it is given", "leave it out"
            )
    if not candidates:
        raise ConvcostError(
            "measure() needs named candidates", 'for example {"before": f, "after": g}'
        )
    device = find_device(settings.device)
    with settled(settings.threads) as threads:
        return measure_calls(candidates, protocol(device, threads, settings), lambda *_: None)
