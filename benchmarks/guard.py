"""``convcost check --against`` as CI drives it: how often it cries wolf, and what it sees.

    python benchmarks/guard.py --unchanged 100 --slowed 20 --seconds 4

Makes a small git repository with three models, and checks commits that change nothing and commits
that make every model slower by a known share. Goal: of 100 unchanged commits at most one fails, of
those that are 10 % slower at least 90 % do, and a run takes at most 60 s.

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
    """One check: its exit code, how each model came out, and its seconds."""

    code: int
    outcomes: tuple[str, ...]
    seconds: float


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=guard", "-c", "user.email=guard@example.org", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def commit(folder: Path, blocks: int, number: int) -> None:
    text = MODEL.replace("BLOCKS", str(blocks)) + f"\n# commit {number}\n"
    (folder / "net.py").write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", f"commit {number}")


def check(folder: Path, seconds: float | None) -> Run:
    """What CI runs on a pull request."""
    budget = ["--seconds", str(seconds)] if seconds else []
    options = ["--against", "main", "--format", "json", *budget]
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
    report: Any = json.loads(done.stdout)
    return Run(done.returncode, tuple(limit["outcome"] for limit in report["limits"]), took)


def series(folder: Path, commits: int, blocks: int, seconds: float | None) -> list[Run]:
    """So many pull requests, each a branch of one commit."""
    runs = []
    for number in range(commits):
        git(folder, "switch", "--quiet", "--force-create", "change", "main")
        commit(folder, blocks, number + 1)
        runs.append(check(folder, seconds))
        print(
            f"  {number + 1}: exit {runs[-1].code}, {runs[-1].outcomes}, {runs[-1].seconds:.1f} s"
        )
    return runs


def tell(name: str, runs: list[Run]) -> None:
    failed = sum(run.code == 1 for run in runs)
    outcomes = Counter(outcome for run in runs for outcome in run.outcomes)
    took = [run.seconds for run in runs]
    print(
        f"{name}: {failed} of {len(runs)} failed ({failed / len(runs):.1%}); of the models: "
        f"{dict(outcomes)}; {median(took):.1f} s a run, at most {max(took):.1f} s"
    )


def main() -> None:
    """Prints how many unchanged commits failed, how many slowed ones did, and how long it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--unchanged", type=int, default=100)
    parser.add_argument("--slowed", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.10, help="how much slower")
    parser.add_argument("--seconds", type=float, help="the budget of a model; check's own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git(folder, "init", "--quiet", "--initial-branch=main")
        (folder / "convcost.yaml").write_text(CONFIG)
        commit(folder, BLOCKS, 0)
        budget = given.seconds or "the default"
        print(f"limit {LIMIT}, {len(MODELS)} models, seconds a model: {budget}")
        if given.unchanged:
            tell("unchanged", series(folder, given.unchanged, BLOCKS, given.seconds))
        if given.slowed:
            blocks = round(BLOCKS * (1 + given.share))
            slower = series(folder, given.slowed, blocks, given.seconds)
            tell(f"{given.share:.0%} more blocks", slower)


if __name__ == "__main__":
    main()
