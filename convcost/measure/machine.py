"""The machine that runs a measurement: its settings, its memory, its name."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import psutil
import torch
from torch import nn

from convcost.errors import ConvcostError
from convcost.units import format_bytes


def find_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ConvcostError: this machine or this torch hasn't got one.
    """
    if name == "meta":
        raise ConvcostError(
            "the model's weights are on the meta device: without data it can't run",
            "build it on a real device, or leave the measurement out with --no-measure",
        )
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(name):
        have = ", ".join(device for device, there in available.items() if there)
        raise ConvcostError(
            f"no {name} device: torch {torch.__version__} finds none here",
            f"choose another --device; available: {have}",
        )
    return torch.device(name)


def home_of(module: nn.Module, device: torch.device) -> torch.device:
    """Where a module is, if that is a device of the kind that is asked for: it isn't moved."""
    found = device_of(module, device)
    return found if found.type == device.type else device


def device_of(module: nn.Module, otherwise: torch.device) -> torch.device:
    """Where a module's first tensor is; ``otherwise`` where it has none."""
    first = next(chain(module.parameters(), module.buffers()), None)
    return otherwise if first is None else first.device


@contextmanager
def settled(threads: int | None) -> Iterator[int]:
    """Torch with ``threads`` (None: its own choice), no gradients, and denormals flushed, in quiet.

    Gives the number of threads; everything is put back afterwards.
    """
    before, flushed = torch.get_num_threads(), _flushes_denormals()
    torch.set_num_threads(threads or before)
    torch.set_flush_denormal(True)
    try:
        with torch.inference_mode(), without_padding_warning():
            yield torch.get_num_threads()
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(before)


@contextmanager
def without_padding_warning() -> Iterator[None]:
    """Without torch's warning that padding 'same' may copy the input: what is timed has it in."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel.*")
        yield


def _flushes_denormals() -> bool:
    """Whether torch does so now: it can be set, but not asked."""
    return not (torch.tensor(5e-324, dtype=torch.float64, device="cpu") * 1).item()


@contextmanager
def with_seed(seed: int) -> Iterator[None]:
    """The random numbers that ``seed`` fixes; afterwards they go on as if none had been drawn."""
    there = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    used = range(torch.cuda.device_count()) if there else ()
    before = torch.initial_seed()
    on_mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        with torch.random.fork_rng(used):
            torch.manual_seed(seed)
            yield
    finally:
        if not there:
            # a GPU that starts later takes the seed that was set last
            torch.cuda.manual_seed_all(before)
        if on_mps is not None:
            torch.mps.set_rng_state(on_mps)


def free_bytes(device: torch.device) -> int:
    """The memory that is free for tensors."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    return psutil.virtual_memory().available


def need_bytes(needed: int, device: torch.device) -> None:
    """Refuses work that can't fit.

    Raises:
        ConvcostError: with what is needed and what is free.
    """
    free = free_bytes(device)
    if needed > free:
        raise ConvcostError(
            f"needs about {format_bytes(needed)} of memory, {format_bytes(free)} are free",
            "use a smaller --batch or input, fewer variants, or --no-measure for the counts alone",
        )


def describe(device: torch.device, threads: int, rounds: int) -> dict[str, str | int | float]:
    """What a report says of the machine that a measurement ran on."""
    return {
        "torch": torch.__version__,
        "device": device.type,
        "processor": processor_name(device),
        "threads": threads,
        "rounds": rounds,
    }


def processor_name(device: torch.device) -> str:
    """The name of the chip that does the work."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line)
    return next(names, platform.machine())
