"""``convcost diff``."""

from __future__ import annotations

from typing import Annotated

import typer

from convcost.cli.options import Format, Output


def command(
    *,
    base: Annotated[str, typer.Argument(help="A saved report, a source, or REV:SOURCE.")],
    head: Annotated[str, typer.Argument(help="The same, to compare with it.")],
    format: Format = "table",  # noqa: A002  the option's name
    output: Output = None,
) -> None:
    """What changed from one state to another, for each layer and in total.

    $ convcost diff before.json after.json

    $ convcost diff main:models/mobile.py models/mobile.py
    """
    from convcost.cli.interrupts import end_as_interrupted
    from convcost.cli.streams import parse_copies, progress, show
    from convcost.workflows.diff import diff

    copies = parse_copies(output or (), "diff")
    with end_as_interrupted(), progress() as notify:
        report = diff(base, head, notify)
    show(report, format, copies)
