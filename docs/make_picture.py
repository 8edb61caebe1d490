"""Makes docs/compare.svg: what ``convcost compare`` shows in a terminal, from a real run's report.

convcost compare --output docs/compare.json && python docs/make_picture.py
"""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

import convcost
from convcost.render.table import TableView

COLUMNS = 118
PICTURE = Path(__file__).with_name("compare.svg")
REPORT = PICTURE.with_suffix(".json")


def drawn() -> str:
    """The report of the README's first command as a terminal shows it."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(TableView(convcost.load(REPORT)))
    return console.export_svg(title="convcost compare")


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
