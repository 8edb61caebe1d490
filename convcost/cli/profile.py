"""``convcost profile``."""

from __future__ import annotations

from typing import Annotated

import typer

from convcost.cli.options import (
    Cold,
    Delta,
    Device,
    Format,
    Measure,
    Output,
    Seconds,
    Seed,
    Threads,
    parse_arguments,
    parse_shape,
)
from convcost.measure.settings import Settings

_WHAT = "What to profile"
_ROWS = "Which rows"


def command(  # noqa: PLR0913  one parameter for each option
    *,
    source: Annotated[
        str,
        typer.Argument(help="model.py, model.py:attr, package.module:attr or a .pt2 program."),
    ],
    input: Annotated[  # noqa: A002  the option's name
        list[str] | None,
        typer.Option(
            metavar="1x3x224x224", help="Shape of an input. Repeatable.", rich_help_panel=_WHAT
        ),
    ] = None,
    set: Annotated[  # noqa: A002  the option's name
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Argument for a factory, as YAML. Repeatable.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    expand: Annotated[
        bool, typer.Option("--expand", help="Show every op.", rich_help_panel=_ROWS)
    ] = False,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Fold modules below.", rich_help_panel=_ROWS)
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="METRIC", help="Largest first.", rich_help_panel=_ROWS),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="So many rows.", rich_help_panel=_ROWS)
    ] = None,
    filter: Annotated[  # noqa: A002  the option's name
        str | None,
        typer.Option(metavar="GLOB", help="Rows of these names.", rich_help_panel=_ROWS),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Count with fvcore and FlopCounterMode too.", rich_help_panel=_WHAT
        ),
    ] = False,
    effective_field: Annotated[
        bool,
        typer.Option(
            "--effective-field",
            help="Follow gradients: what of the field matters (in html, svg, png).",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    measure: Measure = True,
    device: Device = "cpu",
    threads: Threads = None,
    seconds: Seconds = None,
    delta: Delta = 0.03,
    seed: Seed = 0,
    cold: Cold = False,
    format: Format = "table",  # noqa: A002  the option's name
    output: Output = None,
) -> int:
    """A model's layers, one row each, in the order in which they run, and totals.

    $ convcost profile examples/resnet.py

    $ convcost profile examples/resnet.py --set depth=18 --sort latency --top 10

    $ convcost profile examples/resnet.py --output report.html
    """
    from convcost.cli.streams import draws, parse_copies, progress, show
    from convcost.workflows.profile import ProfileRequest, profile

    copies = parse_copies(output or ())
    request = ProfileRequest(
        source=source,
        arguments=parse_arguments(set or ()),
        inputs=tuple(map(parse_shape, input or ())),
        expand=expand,
        depth=depth,
        sort=sort,
        top=top,
        glob=filter,
        verify=verify,
        measure=measure,
        settings=Settings(
            device=device, threads=threads, seconds=seconds, delta=delta, seed=seed, cold=cold
        ),
        pictures=draws(format, copies),
        effective_field=effective_field,
    )
    with progress() as notify:
        report = profile(request, notify)
    show(report, format, copies)
    return 2 if report.interrupted else 0
