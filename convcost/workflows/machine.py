"""The ceilings of the machine that this runs on."""

from __future__ import annotations

import platform
from time import perf_counter
from typing import NamedTuple

from convcost._version import __version__
from convcost.measure.ceilings_cache import Ceilings
from convcost.measure.settings import Device
from convcost.measure.trust import waiting_doubt
from convcost.measure.waiting import processors, waited_seconds
from convcost.notify import Notify, silently
from convcost.report import Report, Row, Value, unavailable


class MachineRequest(NamedTuple):
    """What to measure; ``refresh`` also what is known from before."""

    device: Device = "cpu"
    dtypes: tuple[str, ...] = ("float32",)
    threads: int | None = None
    refresh: bool = False


def machine(request: MachineRequest, notify: Notify = silently) -> Report:
    """One row for each dtype; one that torch can't multiply here says so.

    Raises:
        ConvcostError: there is no such device.
    """
    notify("loading torch", None)
    from convcost.measure.machine import (  # noqa: PLC0415  torch, only where it is needed
        describe,
        find_device,
        settled,
    )
    from convcost.measure.roofline import ceilings_for  # noqa: PLC0415

    device = find_device(request.device)
    start, waited = perf_counter(), waited_seconds()
    rows = []
    with settled(request.threads) as threads:
        for number, dtype in enumerate(dict.fromkeys(request.dtypes)):
            notify(f"measuring {dtype}", number / len(request.dtypes))
            try:
                values = _values(ceilings_for(device, dtype, refresh=request.refresh))
            except (RuntimeError, TypeError) as error:
                values = _untold(str(error).strip().partition("\n")[0])
            rows.append(Row(dtype, "standard", "", "", (), values))
        found = describe(device, threads, 0)
        busy = threads if device.type == "cpu" else 1
    elapsed, waited = perf_counter() - start, waited_seconds() - waited
    doubt = waiting_doubt(waited, elapsed, busy, processors())
    del found["rounds"]
    return Report(
        kind="machine",
        source=str(found["processor"]),
        input=(),
        environment={
            "convcost": __version__,
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            **found,
        },
        rows=tuple(rows),
        notices=(f"these ceilings are too low, and aren't kept: {doubt}",) if doubt else (),
    )


def _values(ceilings: Ceilings) -> dict[str, Value]:
    """The ceilings; a FLOP is half a multiply-accumulate, so the ridge is twice their ratio."""
    rate, bandwidth, floor, _ = ceilings
    return {
        "multiplications_per_second": Value("measured", rate),
        "bytes_per_second": Value("measured", bandwidth),
        "smallest_latency": Value("measured", floor),
        "ridge_intensity": Value("measured", 2 * rate / bandwidth),
    }


def _untold(reason: str) -> dict[str, Value]:
    keys = ("multiplications_per_second", "bytes_per_second", "smallest_latency", "ridge_intensity")
    return dict.fromkeys(keys, unavailable(reason))
