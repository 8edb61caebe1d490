"""``convcost suggest``."""

from __future__ import annotations

from typing import Annotated

import typer

from convcost.cli.options import (
    Delta,
    Device,
    Input,
    Keep,
    Measure,
    Only,
    Output,
    Seconds,
    Seed,
    Set,
    SuggestFormat,
    Threads,
    parse_arguments,
    parse_bound,
    parse_shape,
)
from convcost.measure.settings import Settings

_BOUNDS = "What a design must keep"


def command(  # noqa: PLR0913  one parameter for each option
    *,
    source: Annotated[
        str,
        typer.Argument(
            help="A layer spec (.yaml), model.py, model.py:attr or package.module:attr."
        ),
    ],
    min_receptive_field: Annotated[
        int | None,
        typer.Option(min=1, max=2**31, help="Positions per axis.", rich_help_panel=_BOUNDS),
    ] = None,
    min_density: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Least share of the field that is seen; without: as now. 1: no holes.",
            rich_help_panel=_BOUNDS,
        ),
    ] = None,
    max_multiplications: Annotated[
        str | None, typer.Option(metavar="1.5G", help="Per pass.", rich_help_panel=_BOUNDS)
    ] = None,
    max_parameters: Annotated[
        str | None, typer.Option(metavar="4M", help="In all.", rich_help_panel=_BOUNDS)
    ] = None,
    max_latency: Annotated[
        str | None, typer.Option(metavar="20ms", help="Of a pass, here.", rich_help_panel=_BOUNDS)
    ] = None,
    only: Only = None,
    keep: Keep = None,
    input: Input = None,  # noqa: A002  the option's name
    set: Set = None,  # noqa: A002  the option's name
    measure: Measure = True,
    device: Device = "cpu",
    threads: Threads = None,
    seconds: Seconds = None,
    delta: Delta = 0.03,
    seed: Seed = 0,
    format: SuggestFormat = "table",  # noqa: A002  the option's name
    output: Output = None,
) -> int:
    """The cheapest designs that meet a need: separable or not, rates, output stride, by stage.

    Candidates are counted exactly, the few that none beats on paper are measured side by side. With
    --format yaml: the first of them as a layer spec. Exit code 1: no design meets the need.

    $ convcost suggest configs/vgg16.yaml --max-multiplications 4G

    $ convcost suggest configs/gridding.yaml --min-receptive-field 27 --min-density 1
    """
    from convcost.cli.streams import parse_copies, progress, show
    from convcost.search.suggest import Bounds
    from convcost.workflows.suggest import suggest
    from convcost.workflows.suggested import SuggestRequest

    copies = parse_copies(output or (), "suggest")
    bounds = Bounds(
        min_receptive_field,
        min_density,
        parse_bound("max_multiplications", max_multiplications),
        parse_bound("max_parameters", max_parameters),
        parse_bound("max_latency", max_latency),
    )
    request = SuggestRequest(
        source=source,
        bounds=bounds,
        only=tuple(only or ()),
        keep=tuple(keep or ()),
        arguments=parse_arguments(set or ()),
        inputs=tuple(map(parse_shape, input or ())),
        measure=measure,
        settings=Settings(device, threads=threads, seconds=seconds, delta=delta, seed=seed),
    )
    with progress() as notify:
        report = suggest(request, notify)
    show(report, format, copies)
    return 2 if report.interrupted else int(bool(report.findings))
