"""``convcost rewrite``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from convcost.cli.options import (
    Format,
    Input,
    Keep,
    Only,
    Seed,
    Set,
    parse_arguments,
    parse_model_variant,
    parse_shape,
)
from convcost.measure.settings import Settings

_PROGRAM = ".pt2"


def command(  # noqa: PLR0913  one parameter for each option
    *,
    source: Annotated[str, typer.Argument(help="model.py, model.py:attr or package.module:attr.")],
    variant: Annotated[
        str,
        typer.Option(
            metavar="NAME[:KEY=VALUE,…]", help="What to rewrite it as, such as separable."
        ),
    ],
    init: Annotated[
        Literal["fresh", "svd"],
        typer.Option(help="Weights of separable layers: new, or those nearest to the old ones."),
    ] = "fresh",
    only: Only = None,
    keep: Keep = None,
    input: Input = None,  # noqa: A002  the option's name
    set: Set = None,  # noqa: A002  the option's name
    seed: Seed = 0,
    format: Format = "table",  # noqa: A002  the option's name
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="[FORMAT:]FILE",
            help="Also write this file: the rewritten model (.pt2), or the report. Repeatable.",
        ),
    ] = None,
) -> int:
    """A model rewritten as a variant, with the proof of what stays the same.

    A .pt2 file holds the program of torch.export for inference, with weights and a free batch.

    $ convcost rewrite examples/resnet.py --variant dense:output_stride=8

    $ convcost rewrite examples/resnet.py --variant separable --init svd -o separable.pt2
    """
    from convcost.cli.files import writable, write_whole
    from convcost.cli.streams import parse_copies, progress, show
    from convcost.sources.source import ends_in
    from convcost.variants.rewrite import Choice
    from convcost.workflows.rewrite import RewriteRequest, rewrite

    programs = [writable(file, file) for file in output or () if ends_in(file, _PROGRAM)]
    reports = [file for file in output or () if not ends_in(file, _PROGRAM)]
    copies = parse_copies(reports, others=(_PROGRAM,))
    request = RewriteRequest(
        source=source,
        variant=parse_model_variant(variant),
        arguments=parse_arguments(set or ()),
        inputs=tuple(map(parse_shape, input or ())),
        choice=Choice(tuple(only or ()), tuple(keep or ()), init),
        export=bool(programs),
        settings=Settings(seed=seed),
    )
    with progress() as notify:
        report, program = rewrite(request, notify)
    for path in programs:
        write_whole(path, program or b"")
    show(report, format, copies)
    return 0
