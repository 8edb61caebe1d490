"""Start-up: how long the commands that need no torch take, beside a bare import of what they need.

    python benchmarks/startup.py

Goal: 0.25 s where the bare import takes 0.12 s, a ratio of 2.1.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

ROUNDS = 15
BARE = [sys.executable, "-c", "import typer, rich, pydantic"]
COMMANDS = {
    "bare import": BARE,
    "convcost --help": [sys.executable, "-m", "convcost", "--help"],
    "convcost compare --no-measure": [sys.executable, "-m", "convcost", "compare", "--no-measure"],
}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Prints the median of each command, all in turn, and its ratio to the bare import."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    bare = median(times["bare import"])
    for name, found in times.items():
        print(f"{name:30} {median(found):.3f} s  {median(found) / bare:.2f}x")


if __name__ == "__main__":
    main()
