"""Runs the ``console`` blocks of the README and the docs and puts what they print below them.

python docs/make_examples.py

A test holds the pages against it. A block's lines after ``$`` are commands, ``>`` continues one;
all of a page run in one folder, which has the repository's ``configs`` and ``examples``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MADE = "<!-- made by docs/make_reference.py -->"
SHELL = f'convcost() {{ "{sys.executable}" -m convcost "$@"; }}'
COLUMNS = "100"
_VARYING = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_ACTIONS")


def pages() -> list[Path]:
    """The README and the pages that are written by hand."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [page for page in found if not page.read_text(encoding="utf-8").startswith(MADE)]


def filled(text: str) -> str:
    """A page with the outputs of its commands as they are today."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("configs", "examples"):
            (Path(folder) / name).symlink_to(ROOT / name)
        return re.sub(
            r"(?<=```console\n).*?(?=^```$)",
            lambda block: "".join(_ran(block[0], folder)),
            text,
            flags=re.DOTALL | re.MULTILINE,
        )


def _ran(block: str, folder: str) -> Iterator[str]:
    for command in commands(block):
        yield f"$ {command}".replace("\n", "\n> ") + "\n"
        kept = {key: value for key, value in os.environ.items() if key not in _VARYING}
        ran = subprocess.run(  # noqa: S603  the docs' own lines
            ["bash", "-c", f"{SHELL}\n{command}"],  # noqa: S607  the shell of the path, as for a reader
            cwd=folder,
            env={**kept, "COLUMNS": COLUMNS, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        yield "".join(f"{line.rstrip()}\n" for line in ran.stdout.splitlines())


def commands(block: str) -> list[str]:
    """The commands of a block, each perhaps of several lines."""
    found: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif line.startswith("> ") and found:
            found[-1] += f"\n{line[2:]}"
    return found


def main() -> None:
    """Fills every page."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        new = filled(text)
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(f"filled {page.relative_to(ROOT)}")  # noqa: T201  it tells what it did


if __name__ == "__main__":
    main()
