"""The machine's own ceilings: its multiply rate, its memory's bandwidth, the smallest call.

The roofline model (Williams, Waterman and Patterson, CACM 2009) with a floor: no op is called
faster than the smallest convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from convcost.measure.caches import flushing_bytes
from convcost.measure.ceilings_cache import Ceilings, load_ceilings, save_ceilings
from convcost.measure.clocks import Call, Clock, clock_for
from convcost.measure.machine import processor_name, with_seed
from convcost.measure.trust import MOST_WAITED
from convcost.measure.waiting import waited_seconds

_SHARE = 0.08
"""Seconds for each of the three; with buffers and warm-up all are known within half a second."""
_LEVELS = 4
"""A GPU's second level so many times: what is copied must come from its memory."""
_LEAST_MATRIX, _MOST_MATRIX = 256, 8192


def ceilings_for(device: torch.device, dtype: str, *, refresh: bool = False) -> Ceilings:
    """The ceilings of ``device`` with the threads that torch is set to, kept from run to run.

    Raises:
        RuntimeError: torch has no matrix product or convolution of this dtype here.
    """
    threads = torch.get_num_threads()
    key = (device.type, processor_name(device), dtype, str(threads), torch.__version__)
    known = None if refresh else load_ceilings(key)
    if known is not None:
        return known
    clock = clock_for(device)
    start, waited = clock.now(), waited_seconds()
    ceilings = measure_ceilings(device, getattr(torch, dtype), clock)
    elapsed, waited = clock.now() - start, waited_seconds() - waited
    if waited <= MOST_WAITED * elapsed * threads:
        # what a busy machine reaches is not its ceiling
        save_ceilings(key, ceilings)
    return ceilings


def measure_ceilings(device: torch.device, dtype: torch.dtype, clock: Clock) -> Ceilings:
    """What ``device`` reaches at best, with the threads that torch is set to.

    Raises:
        RuntimeError: torch has no matrix product or convolution of this dtype here.
    """
    with torch.inference_mode(), with_seed(0):
        # two halves, so that what is read and what is written overflow the caches together
        size = flushing_bytes(device) * (_LEVELS if device.type == "cuda" else 1)
        buffer = torch.ones(2, size // 2, dtype=torch.uint8, device=device)
        source, target = buffer
        copy = _least(lambda: target.copy_(source), clock)
        # a call costs no more in half precision, where a processor converts before it convolves
        kinds = dict.fromkeys((dtype, torch.float32))
        floor = min(_least(_smallest(device, kind), clock, times=100) for kind in kinds)
        with _as_convolutions(device):
            rate = _multiply_rate(device, dtype, clock)
        return Ceilings(rate, buffer.numel() / copy, floor)


def _smallest(device: torch.device, dtype: torch.dtype) -> Call:
    smallest = nn.Conv2d(1, 1, 1).eval().to(device, dtype)
    point = torch.zeros(1, 1, 1, 1, device=device, dtype=dtype)
    return lambda: smallest(point)


@contextmanager
def _as_convolutions(device: torch.device) -> Iterator[None]:
    """Matrix products in the precision of convolutions: cuDNN takes TF32 where cuBLAS doesn't."""
    if device.type != "cuda":
        yield
        return
    product = torch.backends.cuda.matmul
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = product.fp32_precision
    product.fp32_precision = convolution.fp32_precision
    try:
        yield
    finally:
        product.fp32_precision = before


def _multiply_rate(device: torch.device, dtype: torch.dtype, clock: Clock) -> float:
    """Multiplications per second of the largest square matrix product that the time allows."""
    start, size, rate = clock.now(), _LEAST_MATRIX, 0.0
    while clock.now() - start < _SHARE and size <= _MOST_MATRIX:
        matrix = torch.randn(size, size).to(device, dtype)
        result = torch.empty_like(matrix)
        call = _product(matrix, result)
        clock.block(call, 1)
        spent = clock.block(call, 3).fastest
        rate = max(rate, size**3 / spent)
        size *= 2 if 8 * 4 * spent < _SHARE else 1
    return rate


def _product(matrix: torch.Tensor, result: torch.Tensor) -> Call:
    return lambda: torch.mm(matrix, matrix, out=result)


def _least(call: Call, clock: Clock, times: int = 1) -> float:
    """The least seconds of a call within ``_SHARE``: noise makes none faster."""
    start = clock.now()
    clock.block(call, 1)
    least = clock.block(call, times).fastest
    while clock.now() - start < _SHARE:
        least = min(least, clock.block(call, times).fastest)
    return least
