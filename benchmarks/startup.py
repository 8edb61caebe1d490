"""Start-up: how long the commands that need no torch take, beside a bare import of what they need.

    pip install -c constraints.txt . && python -P benchmarks/startup.py

Goal: 0.25 s where the bare import takes 0.12 s, a ratio of 2.08. What is timed is the installed
package, from a folder of its own: an import from a checkout looks in more places.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROUNDS = 15
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
CONVCOST = [sys.executable, "-m", "convcost"]
COMMANDS = {
    "bare import": [sys.executable, "-c", "import typer, rich, pydantic"],
    "--help": [*CONVCOST, "--help"],
    "compare --no-measure": [*CONVCOST, "compare", "--no-measure"],
    **{
        f"compare {name} --no-measure": [*CONVCOST, "compare", CONFIGS / name, "--no-measure"]
        for name in ("aspp.yaml", "vgg16.yaml", "mobilenet_v1.yaml")
    },
}


def seconds(command: list[str | Path], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd=folder)
    return time.perf_counter() - start


def main() -> None:
    """Prints the median of each command, all in turn, and its ratio to the bare import."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for name, command in COMMANDS.items():
                times[name].append(seconds(command, folder))
    bare = median(times["bare import"])
    for name, found in times.items():
        print(f"{name:38} {median(found):.3f} s  {median(found) / bare:.2f}x")


if __name__ == "__main__":
    main()
