"""``convcost show``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from convcost.cli.options import (
    Input,
    Keep,
    Only,
    Set,
    parse_arguments,
    parse_model_variant,
    parse_shape,
)
from convcost.errors import ConvcostError

_WHAT = "What to show"


def command(  # noqa: PLR0913  one parameter for each option
    *,
    source: Annotated[
        str | None,
        typer.Argument(
            help="A layer spec (.yaml), model.py, model.py:attr or package.module:attr. "
            "Without one: the primer's layer."
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:KEY=VALUE,…]",
            help="A variant beside standard, such as atrous:rate=4. Repeatable.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB", help="Show layers of these names. Repeatable.", rich_help_panel=_WHAT
        ),
    ] = None,
    only: Only = None,
    keep: Keep = None,
    input: Input = None,  # noqa: A002  the option's name
    set: Set = None,  # noqa: A002  the option's name
    format: Annotated[  # noqa: A002  the option's name
        Literal["picture", "json"],
        typer.Option("--format", "-f", help="A picture, or the report of compare --per-layer."),
    ] = "picture",
) -> None:
    """Draws what one output sees of the input, layer by layer, and which channels it mixes.

    $ convcost show

    $ convcost show configs/resnet18_stage.yaml --variant atrous:rate=2 --layer 'block*conv*'
    """
    from convcost.cli import streams
    from convcost.render.picture import PictureView
    from convcost.report import Report
    from convcost.workflows.compare import CompareRequest, compare
    from convcost.workflows.show import show

    if layer and format == "json":
        raise ConvcostError("--layer chooses what is drawn: --format json has all", "leave it out")
    request = CompareRequest(
        source=source,
        variants=tuple(map(parse_model_variant, variant or ())),
        only=tuple(only or ()),
        keep=tuple(keep or ()),
        per_layer=True,
        measure=False,
        pictures=format == "json",
        arguments=parse_arguments(set or ()),
        inputs=tuple(map(parse_shape, input or ())),
    )
    with streams.progress() as notify:
        found = compare(request, notify) if format == "json" else show(request, layer or (), notify)
    if isinstance(found, Report):
        streams.show(found, format, ())
        return
    for notice in found.notices:
        streams.remark(f"note: {notice}")
    streams.print_view(PictureView(found))
