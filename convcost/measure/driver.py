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


class ClockWatch:
    """The multiprocessors' clock during a run.

    It knows nothing without an NVIDIA GPU, its driver or ``nvidia-ml-py``.
    """

    def __init__(self, device: torch.device) -> None:
        self._nvml: Any = _library() if device.type == "cuda" else None
        self._clocks: list[int] = []
        self._reasons = 0
        self._gpu: Any = None
        if self._nvml is not None:
            with suppress(self._nvml.NVMLError):
                uuid = torch.cuda.get_device_properties(device).uuid
                self._nvml.nvmlInit()
                self._gpu = self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")

    def look(self) -> None:
        """Reads the clock as it is now."""
        nvml = self._nvml
        if self._gpu is None:
            return
        with suppress(nvml.NVMLError):
            self._clocks.append(nvml.nvmlDeviceGetClockInfo(self._gpu, nvml.NVML_CLOCK_SM))
            self._reasons |= nvml.nvmlDeviceGetCurrentClocksEventReasons(self._gpu)

    def told(self) -> dict[str, str | int]:
        """The lowest clock that was seen, its limit in MHz, and what held it down."""
        nvml = self._nvml
        if not self._clocks:
            return {}
        slowed = (
            word
            for name, word in _SLOWED_BY.items()
            if self._reasons & getattr(nvml, f"nvmlClocksEventReason{name}")
        )
        return {
            "clock_mhz": min(self._clocks),
            "most_clock_mhz": nvml.nvmlDeviceGetMaxClockInfo(self._gpu, nvml.NVML_CLOCK_SM),
            "slowed_by": ", ".join(dict.fromkeys(slowed)),
        }


def _library() -> Any:
    try:
        import pynvml  # noqa: PLC0415  an extra
    except ImportError:
        return None
    return pynvml
