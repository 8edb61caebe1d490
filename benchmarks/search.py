"""The time of a search per hundred designs, on a ResNet-50 that is only counted.

    python benchmarks/search.py

Goal: under 200 ms per hundred designs after torch is imported.
"""

from __future__ import annotations

from pathlib import Path

from convcost.report import number
from convcost.search.suggest import Bounds
from convcost.workflows.suggest import suggest
from convcost.workflows.suggested import SuggestRequest

MODEL = str(Path(__file__).parents[1] / "examples" / "resnet.py")
NEEDS = {
    "at most 3 G multiplications": Bounds(max_multiplications=3e9),
    "and a field of 600": Bounds(min_receptive_field=600, max_multiplications=3e9),
}


def main() -> None:
    """Runs each search twice and prints the second."""
    print("| need | designs | ms per hundred |\n| --- | ---: | ---: |")
    for need, bounds in NEEDS.items():
        request = SuggestRequest(MODEL, bounds, measure=False)
        totals = [suggest(request).totals for _ in range(2)][1]
        designs = number(totals["candidates"])
        spent = number(totals["search_time"])
        print(f"| {need} | {designs:,} | {spent / designs * 1e5:.0f} |")


if __name__ == "__main__":
    main()
