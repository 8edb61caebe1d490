"""Scale: time per op from 1,000 to 100,000 ops, and memory for a model of 10 billion parameters.

python benchmarks/scale.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

import convcost

FACTORY = """
from torch import nn

def build():
    layers = [nn.Conv2d(4096, 4096, 3, padding=1) for _ in range(67)]
    return nn.Sequential(nn.Conv2d(3, 4096, 3, padding=1), *layers)
"""
HUGE = """
import resource, sys
import torch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import convcost
report = convcost.profile(sys.argv[1], input=(1, 3, 224, 224), measure=False)
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
    parameters, mebibytes = huge()
    print(f"{parameters:,} parameters: {mebibytes} MiB above import torch (goal 300)")


def huge() -> tuple[int, int]:
    """The parameters of the huge model, and the MiB that its analysis takes beside torch."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "huge.py"
        file.write_text(FACTORY, encoding="utf-8")
        command = [sys.executable, "-c", HUGE, f"{file}:build"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    parameters, mebibytes = map(int, done.stdout.split())
    return parameters, mebibytes


if __name__ == "__main__":
    main()
