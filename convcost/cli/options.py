"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Format = Annotated[
    Literal["table", "json", "csv", "markdown"],
    typer.Option("--format", "-f", help="Format of standard output."),
]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="[FORMAT:]FILE",
        help="Also write this file; its suffix tells the format. Repeatable.",
    ),
]
