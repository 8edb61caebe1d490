"""How large the machine's caches are, and what empties them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_LEAST, _MOST = 64 << 20, 1 << 30
"""Where the system doesn't tell its caches' size, and at most."""


def cache_bytes(device: torch.device, caches: Path = _CACHES) -> int:
    """The size of the largest cache; 0 where the system doesn't tell."""
    if device.type == "cuda":
        size: int = torch.cuda.get_device_properties(device).L2_cache_size
        return size
    return max((_kibibytes(path) << 10 for path in caches.glob("index*/size")), default=0)


def _kibibytes(path: Path) -> int:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii").strip().removesuffix("K"))
    return 0


def flushing_bytes(device: torch.device) -> int:
    """What to stream so that nothing else is left in the caches: a quarter more than they hold.

    On CUDA the size of the second level, which is what its kernels share.
    """
    size = cache_bytes(device)
    if device.type == "cuda":
        return size
    return min(max(size + size // 4, _LEAST), _MOST)


def flushed(device: torch.device) -> Callable[[], object]:
    """What leaves nothing of use in the caches: it streams a buffer larger than they are."""
    buffer = torch.zeros(flushing_bytes(device), dtype=torch.uint8, device=device)
    # a memset is enough for a GPU's second level; a processor's reads come from its caches too
    return buffer.zero_ if device.type == "cuda" else lambda: buffer.add_(1)
