"""CUDA graphs: calls that are recorded once, and launched together."""

from __future__ import annotations

import torch

from convcost.measure.clocks import Call


def captured(call: Call, times: int = 1) -> Call:
    """A replay of ``times`` calls, one after the other, without launching each of their kernels.

    Raises:
        RuntimeError: they can't be recorded.
    """
    # what a library chooses at its first call can't be recorded
    call()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            call()
    return graph.replay
