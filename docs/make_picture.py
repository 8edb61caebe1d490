"""Makes docs/compare.svg: what ``convcost compare`` shows in a terminal, from a real run.

python docs/make_picture.py
"""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

import convcost
from convcost.render.table import TableView

COLUMNS = 118


def main() -> None:
    """Runs the comparison of the README's first command and draws it."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(TableView(convcost.compare()))
    svg = console.export_svg(title="convcost compare")
    Path(__file__).with_name("compare.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
