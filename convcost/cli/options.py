"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from convcost.measure import settings

Format = Annotated[
    Literal["table", "json", "csv", "markdown"],
    typer.Option("--format", "-f", help="Format of standard output."),
]
CheckFormat = Annotated[
    Literal["table", "json", "csv", "markdown", "junit", "github", "gitlab", "sarif"],
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
_WHERE = "Where and how to measure"

Measure = Annotated[
    bool,
    typer.Option("--measure/--no-measure", help="Execute and time.", rich_help_panel=_WHERE),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, max=4096, help="Threads; torch's choice.", rich_help_panel=_WHERE),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=86_400,
        help="Time budget; 0.75 a candidate, more for slow ones.",
        rich_help_panel=_WHERE,
    ),
]
Delta = Annotated[
    float,
    typer.Option(min=0, max=1, help="Changes below this share are 'same'.", rich_help_panel=_WHERE),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**63 - 1, help="Of weights and order.", rich_help_panel=_WHERE),
]
Device = Annotated[settings.Device, typer.Option(help="Where to run.", rich_help_panel=_WHERE)]
