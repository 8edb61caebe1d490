"""``convcost check``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from convcost.cli.options import CheckFormat, Output, seconds_option
from convcost.errors import ConvcostError
from convcost.measure.settings import TIME_LIMIT

if TYPE_CHECKING:
    from convcost.report import Report

_AGAINST = "What to hold it against"
_HOW = "How to measure"
BROKEN = 1
"""The exit code of a broken limit."""


def command(  # noqa: PLR0913  one parameter for each option
    *,
    config: Annotated[
        str | None,
        typer.Argument(help="A configuration. Without one: the nearest convcost.yaml."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="REV",
            help="A git revision to compare with, on this machine.",
            rich_help_panel=_AGAINST,
        ),
    ] = None,
    update: Annotated[
        bool,
        typer.Option("--update", help="Approve today's exact costs.", rich_help_panel=_AGAINST),
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Leave out what is timed.", rich_help_panel=_HOW)
    ] = False,
    seconds: Annotated[
        float | None,
        seconds_option("Time budget of a timed limit; 8, more for slow models.", _HOW),
    ] = None,
    time_limit: Annotated[
        float,
        typer.Option(
            min=0.1, max=86_400, help="Seconds that a side may take.", rich_help_panel=_HOW
        ),
    ] = TIME_LIMIT,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 also where a limit is broken.")
    ] = False,
    format: CheckFormat = "table",  # noqa: A002  the option's name
    output: Output = None,
) -> int:
    """Holds the limits of a configuration against what its sources cost.

    Exit codes: 0 all limits are kept, 1 one of level error is broken, 2 something kept a limit
    from being judged.

    $ convcost check --exact

    $ convcost check --against origin/main --format github --output report.json
    """
    from convcost.cli.files import protect, write_whole
    from convcost.cli.interrupts import end_as_interrupted
    from convcost.cli.step_summary import append_summary
    from convcost.cli.streams import parse_copies, progress, remark, show
    from convcost.sources.baseline import format_baseline
    from convcost.sources.checks import FILE
    from convcost.workflows.check import CheckRequest, check

    protect({"CONFIG": config or FILE})
    copies = parse_copies(output or (), "check")
    request = CheckRequest(config, against, exact, update, seconds, time_limit)
    try:
        with end_as_interrupted(), progress() as notify:
            checked = check(request, notify)
    except ConvcostError as error:
        _tell_ci(error, format)
        raise
    if checked.baseline is not None:
        write_whole(checked.baseline_file, format_baseline(checked.baseline).encode())
        remark(f"wrote {checked.baseline_file}")
    show(checked.report, format, copies)
    append_summary(checked.report)
    return BROKEN if _is_broken(checked.report) and not exit_zero else 0


def _tell_ci(error: ConvcostError, format: str) -> None:  # noqa: A002
    """Shows what stopped the work where a CI shows results: it hides standard error in a log."""
    from convcost.cli.step_summary import append_stop

    append_stop(error)
    if format == "github":
        from convcost.render.github import render_stop

        sys.stdout.write(render_stop(error.message, error.hint))
        sys.stdout.flush()


def _is_broken(report: Report) -> bool:
    return any(finding.level == "error" for finding in report.findings)
