"""``convcost render``."""

from __future__ import annotations

from typing import Annotated

import typer

from convcost.cli.options import AnyFormat, Output


def command(
    *,
    saved: Annotated[
        str, typer.Argument(metavar="REPORT.json", help="A report saved with --output FILE.json.")
    ],
    format: AnyFormat = "table",  # noqa: A002  the option's name
    output: Output = None,
) -> None:
    """A saved report in any format; nothing is run.

    $ convcost render saved.json

    $ convcost render saved.json --format markdown --output saved.csv
    """
    from convcost.cli.streams import parse_copies, show
    from convcost.render import need_text
    from convcost.sources.saved import load_report

    report = load_report(saved)
    need_text(report.kind, format)
    show(report, format, parse_copies(output or (), report.kind))
