"""Scale: time per op from 1,000 to 100,000 ops, and memory for a model of 10 billion parameters.

python benchmarks/scale.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import torch
from torch import nn

import convcost

HUGE = """
import resource, sys
import torch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import convcost
from torch import nn
with torch.device("meta"):
    layers = [nn.Conv2d(4096, 4096, 3, padding=1) for _ in range(67)]
    model = nn.Sequential(nn.Conv2d(3, 4096, 3, padding=1), *layers)
report = convcost.profile(model, input=(1, 3, 224, 224), measure=False)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(report.totals["parameters"].value, (after - before) // 1024)
"""


def microseconds_per_op(ops: int) -> float:
    """The time of an analysis of a chain of so many convolutions and activations, per op."""
    with torch.device("meta"):
        pairs = (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()) for _ in range(ops // 2))
        model = nn.Sequential(*pairs)
    start = time.perf_counter()
    convcost.profile(model, input=(1, 4, 32, 32), measure=False)
    return (time.perf_counter() - start) / ops * 1e6


def main() -> None:
    """Prints both."""
    microseconds_per_op(100)
    times = {ops: microseconds_per_op(ops) for ops in (1_000, 10_000, 100_000)}
    for ops, spent in times.items():
        print(f"{ops:>7,} ops: {spent:.1f} µs per op")
    print(f"ratio {times[100_000] / times[1_000]:.2f} (goal 1.3)")
    huge = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, check=True)
    parameters, mebibytes = huge.stdout.split()
    print(f"{int(parameters):,} parameters: {mebibytes} MiB above import torch (goal 300)")
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
