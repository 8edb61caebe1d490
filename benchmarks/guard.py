"""``convcost check --against`` as CI drives it: how often it cries wolf, and what it sees.

    python benchmarks/guard.py RESULTS --unchanged 100 --slowed 30 --seconds 3
    python benchmarks/guard.py RESULTS --for 150   # goes on where RESULTS ends, for 150 seconds

Makes a small git repository with three models, and checks commits that change nothing and commits
that make every model slower by a known share, mixed, so that both see the same machine. Goal: of
100 unchanged commits at most one fails, of those that are 10 % slower at least 90 % do, and a run
takes at most 60 s.

A reference, seen elsewhere: asv within one GitHub job had 3.7 % false positives and was blind below
50 %; a gate of 2 % over separate runners failed 45 % of unchanged commits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

LIMIT = "5%"
BLOCKS = 20
"""Equal blocks of a model: a change of 5 % is one block more."""

MODEL = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, width, blocks, groups):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        convolutions = (nn.Conv2d(width, width, 3, padding=1, groups=groups) for _ in range(blocks))
        self.blocks = nn.Sequential(*(nn.Sequential(conv, nn.ReLU()) for conv in convolutions))

    def forward(self, x):
        return self.blocks(self.stem(x))


def narrow():
    return Net(16, BLOCKS, 1)


def wide():
    return Net(48, BLOCKS, 1)


def grouped():
    return Net(64, BLOCKS, 64)
"""
MODELS = ("narrow", "wide", "grouped")
CONFIG = "version: 1\nchecks:\n" + "".join(
    f"  - name: {name}\n    source: net.py:{name}\n    input: [1, 3, 56, 56]\n"
    f"    limits:\n      latency: {{max_increase: {LIMIT}, min_delta: 50 us}}\n"
    for name in MODELS
)


class Run(NamedTuple):
    """One check: how many blocks the change has, its exit code, each model's outcome, its time.

    ``budget`` is what it was given for each model, None for its own; ``ratios`` are the latencies
    over the base's.
    """

    blocks: int
    budget: float | None
    code: int
    outcomes: list[str]
    ratios: list[float]
    seconds: float
    ended: str


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=guard", "-c", "user.email=guard@example.org", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def commit(folder: Path, blocks: int, number: int) -> None:
    text = MODEL.replace("BLOCKS", str(blocks)) + f"\n# commit {number}\n"
    (folder / "net.py").write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", f"commit {number}")


def check(folder: Path, blocks: int, budget: float | None) -> Run:
    """What CI runs on a pull request."""
    options = ["--against", "main", "--format", "json"]
    options += ["--seconds", str(budget)] if budget else []
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "convcost", "check", *options],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    took = time.perf_counter() - start
    if done.returncode == 2:
        raise RuntimeError(done.stderr.decode())
    limits: Any = json.loads(done.stdout)["limits"]
    outcomes = [limit["outcome"] for limit in limits]
    ratios = [limit["ratio"]["value"] for limit in limits]
    ended = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    return Run(blocks, budget, done.returncode, outcomes, ratios, took, ended)


def runs_of(results: Path, budget: float | None) -> list[Run]:
    """The runs so far with this budget."""
    lines = results.read_text().splitlines() if results.exists() else []
    return [run for run in (Run(**json.loads(line)) for line in lines) if run.budget == budget]


def fill(results: Path, wanted: Mapping[int, int], budget: float | None, seconds: float) -> None:
    """Appends runs, of the kind that is furthest behind, until all are there or time is up."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git(folder, "init", "--quiet", "--initial-branch=main")
        (folder / "convcost.yaml").write_text(CONFIG)
        commit(folder, BLOCKS, 0)
        while time.perf_counter() - start < seconds:
            done = Counter(run.blocks for run in runs_of(results, budget))
            blocks = min(wanted, key=lambda blocks: done[blocks] / wanted[blocks])
            if done[blocks] >= wanted[blocks]:
                return
            git(folder, "switch", "--quiet", "--force-create", "change", "main")
            commit(folder, blocks, done.total() + 1)
            run = check(folder, blocks, budget)
            with results.open("a") as file:
                file.write(json.dumps(run._asdict()) + "\n")
            ratios = ", ".join(f"{ratio:.3f}" for ratio in run.ratios)
            print(
                f"  {blocks} blocks: exit {run.code}, {run.outcomes}, {ratios}, {run.seconds:.1f} s"
            )


def tell(runs: Sequence[Run]) -> None:
    """A line for each kind of change."""
    for blocks in sorted({run.blocks for run in runs}):
        mine = [run for run in runs if run.blocks == blocks]
        failed = sum(run.code == 1 for run in mine)
        outcomes = Counter(outcome for run in mine for outcome in run.outcomes)
        took = [run.seconds for run in mine]
        print(
            f"{blocks / BLOCKS - 1:+.0%} blocks: {failed} of {len(mine)} failed "
            f"({failed / len(mine):.1%}); of the models: {dict(outcomes)}; "
            f"{median(took):.1f} s a run, at most {max(took):.1f} s"
        )


def main() -> None:
    """Prints how many unchanged commits failed, how many slowed ones did, and how long it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path, help="a line of JSON for each run")
    parser.add_argument("--unchanged", type=int, default=100)
    parser.add_argument("--slowed", type=int, default=30)
    parser.add_argument("--share", type=float, default=0.10, help="how much slower")
    parser.add_argument("--seconds", type=float, help="the budget of a model; check's own")
    parser.add_argument("--for", type=float, default=inf, dest="time", help="seconds in all")
    given = parser.parse_args()
    wanted = {BLOCKS: given.unchanged, round(BLOCKS * (1 + given.share)): given.slowed}
    fill(given.results, {b: n for b, n in wanted.items() if n}, given.seconds, given.time)
    budget = given.seconds or "check's own"
    print(f"limit {LIMIT}, {len(MODELS)} models, seconds a model: {budget}")
    tell(runs_of(given.results, given.seconds))


if __name__ == "__main__":
    main()
