"""What an NVIDIA driver tells of the clocks that a measurement ran at (the extra ``nvidia``)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import reduce
from operator import or_
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

    It knows nothing without an NVIDIA GPU, its driver or ``nvidia-ml-py``; without the reasons for
    a low clock, where the driver keeps them to itself.
    """

    def __init__(self, device: torch.device) -> None:
        self._nvml: Any = _library() if device.type == "cuda" else None
        self._clocks: list[int] = []
        self._reasons: list[int] = []
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
            self._reasons.append(nvml.nvmlDeviceGetCurrentClocksEventReasons(self._gpu))

    def told(self) -> dict[str, str | int]:
        """The lowest clock that was seen, its limit in MHz, and what held it down."""
        nvml = self._nvml
        if not self._clocks:
            return {}
        told: dict[str, str | int] = {"clock_mhz": min(self._clocks)}
        if self._reasons:
            told["slowed_by"] = ", ".join(self._slowed_by())
        with suppress(nvml.NVMLError):
            most = nvml.nvmlDeviceGetMaxClockInfo(self._gpu, nvml.NVML_CLOCK_SM)
            told["most_clock_mhz"] = most
        return told

    def _slowed_by(self) -> Iterable[str]:
        """What held the clock down at any look."""
        every = reduce(or_, self._reasons)
        return dict.fromkeys(
            word
            for name, word in _SLOWED_BY.items()
            if every & getattr(self._nvml, f"nvmlClocksEventReason{name}")
        )


def _library() -> Any:
    try:
        import pynvml  # noqa: PLC0415  an extra
    except ImportError:
        return None
    # older packages of this name know other words
    return pynvml if hasattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons") else None
