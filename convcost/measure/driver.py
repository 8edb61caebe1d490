"""What an NVIDIA driver tells of the clocks that a measurement ran at (the extra ``nvidia``)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch

_SLOWED_BY = {
    "SwPowerCap": "power cap",
    "HwPowerBrakeSlowdown": "power brake",
    "SwThermalSlowdown": "heat",
    "HwThermalSlowdown": "heat",
    "HwSlowdown": "hardware",
}
"""NVML's reasons for lower clocks (nvml.h, 'nvmlClocksEventReasons') that no user asked for."""


def clocks(device: torch.device) -> dict[str, str | int]:
    """The multiprocessors' clock, its limit in MHz, and what holds it down, right now.

    Empty without an NVIDIA GPU, its driver or ``nvidia-ml-py``.
    """
    if device.type != "cuda":
        return {}
    try:
        import pynvml  # noqa: PLC0415  an extra
    except ImportError:
        return {}
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(device).uuid
        return _clocks(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
    return {}


def _clocks(nvml: Any, handle: Any) -> dict[str, str | int]:
    reasons = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    slowed = (
        word
        for name, word in _SLOWED_BY.items()
        if reasons & getattr(nvml, f"nvmlClocksEventReason{name}")
    )
    return {
        "clock_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "most_clock_mhz": nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
        "slowed_by": ", ".join(dict.fromkeys(slowed)),
    }
