"""The machine's own ceilings: its multiply rate, its memory's bandwidth, the smallest call.

The roofline model (Williams, Waterman and Patterson, CACM 2009) with a floor: no op is called
faster than the smallest convolution.
"""

from __future__ import annotations

import torch
from torch import nn

from convcost.measure.caches import flushing_bytes
from convcost.measure.ceilings_cache import Ceilings, load_ceilings, save_ceilings
from convcost.measure.clocks import Call, Clock, clock_for
from convcost.measure.graphs import captured
from convcost.measure.machine import processor_name, with_seed
from convcost.measure.precision import as_convolutions, precision_of
from convcost.measure.trust import MOST_WAITED
from convcost.measure.waiting import waited_seconds

_SHARE = 0.08
"""Seconds for each of the three; with buffers and warm-up all are known within half a second."""
_LEVELS = 4
"""A GPU's second level so many times: what is copied must come from its memory."""
_LEAST_MATRIX, _MOST_MATRIX = 256, 8192
_IN_A_ROW = 100
"""The smallest calls that are timed together."""


def ceilings_for(device: torch.device, dtype: str, *, refresh: bool = False) -> Ceilings:
    """The ceilings of ``device`` with the threads that torch is set to, kept from run to run.

    Raises:
        RuntimeError: torch has no matrix product or convolution of this dtype here.
    """
    threads = torch.get_num_threads()
    precision = precision_of(device)
    key = (device.type, processor_name(device), dtype, str(threads), torch.__version__, precision)
    known = None if refresh else load_ceilings(key)
    if known is not None:
        return known
    clock = clock_for(device)
    start, waited = clock.now(), waited_seconds()
    ceilings = measure_ceilings(device, getattr(torch, dtype), clock)
    elapsed, waited = clock.now() - start, waited_seconds() - waited
    if waited <= MOST_WAITED * elapsed * (threads if device.type == "cpu" else 1):
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
        copy = _least(lambda: target.copy_(source), clock, times=1 if device.type == "cpu" else 20)
        # a call costs no more in half precision, where a processor converts before it convolves
        kinds = dict.fromkeys((dtype, torch.float32))
        floor = min(_floor(device, kind, clock) for kind in kinds)
        with as_convolutions(device):
            rate = products = _multiply_rate(device, dtype, clock)
        if device.type == "cuda" and dtype == torch.float32:
            products = _multiply_rate(device, dtype, clock)
        return Ceilings(rate, buffer.numel() / copy, floor, products)


def _floor(device: torch.device, dtype: torch.dtype, clock: Clock) -> float:
    """The seconds of the smallest convolution: behind others, where calls only queue kernels."""
    smallest = nn.Conv2d(1, 1, 1).eval().to(device, dtype)
    point = torch.zeros(1, 1, 1, 1, device=device, dtype=dtype)

    def call() -> object:
        return smallest(point)

    if device.type != "cuda":
        return _least(call, clock, times=_IN_A_ROW)
    # launches would hide how short a kernel is
    return _least(captured(call, _IN_A_ROW), clock) / _IN_A_ROW


def _multiply_rate(device: torch.device, dtype: torch.dtype, clock: Clock) -> float:
    """Multiplications per second of the largest square matrix product that the time allows."""
    tile = torch.randn(_LEAST_MATRIX, _LEAST_MATRIX).to(device, dtype)
    # the first one starts the library
    clock.block(_product(tile, torch.empty_like(tile)), 1)
    start, size, rate = clock.now(), _LEAST_MATRIX, 0.0
    while clock.now() - start < _SHARE and size <= _MOST_MATRIX:
        matrix = tile.repeat(size // _LEAST_MATRIX, size // _LEAST_MATRIX)
        call = _product(matrix, torch.empty_like(matrix))
        clock.block(call, 1)
        spent = clock.block(call, 3).fastest
        rate = max(rate, size**3 / spent)
        size *= 2 if 8 * 4 * spent < _SHARE else 1
    return rate


def _product(matrix: torch.Tensor, result: torch.Tensor) -> Call:
    return lambda: torch.mm(matrix, matrix, out=result)


def _least(call: Call, clock: Clock, times: int = 1) -> float:
    """The least seconds of a call within ``_SHARE``: noise makes none faster."""
    # the first one starts the library
    clock.block(call, 1)
    start = clock.now()
    least = clock.block(call, times).fastest
    while clock.now() - start < _SHARE:
        least = min(least, clock.block(call, times).fastest)
    return least
