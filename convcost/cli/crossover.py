"""``convcost crossover``."""

from __future__ import annotations

from typing import Annotated

import typer

from convcost.cli.options import (
    Delta,
    Device,
    Format,
    Input,
    Output,
    Seed,
    Set,
    Threads,
    parse_arguments,
    parse_shape,
    parse_spec_variant,
    parse_vary,
    seconds_option,
)
from convcost.measure.settings import Dtype, MemoryFormat, Settings


def command(  # noqa: PLR0913  one parameter for each option
    *,
    source: Annotated[
        str | None,
        typer.Argument(help="A layer spec (.yaml) or a model. Without one: the primer's layer."),
    ] = None,
    vary: Annotated[
        str,
        typer.Option(
            metavar="KEY=FIRST:LAST",
            help="in_channels, out_channels, kernel_size, stride, dilation, size or batch.",
        ),
    ],
    variant: Annotated[
        str, typer.Option(metavar="NAME[:KEY=VALUE,…]", help="What is held against standard.")
    ] = "separable",
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which convolution, where there are several.")
    ] = None,
    input: Input = None,  # noqa: A002  the option's name
    set: Set = None,  # noqa: A002  the option's name
    device: Device = "cpu",
    dtype: Annotated[Dtype, typer.Option(help="Type of weights and activations.")] = "float32",
    memory_format: Annotated[MemoryFormat, typer.Option(help="Order in memory.")] = "contiguous",
    threads: Threads = None,
    seconds: Annotated[
        float | None, seconds_option("Of each number; without: 1.5. Slow layers need more.")
    ] = None,
    delta: Delta = 0.03,
    seed: Seed = 0,
    format: Format = "table",  # noqa: A002  the option's name
    output: Output = None,
) -> int:
    """Where a variant of one layer begins to be faster here, as one of its numbers grows.

    Found by bisection with verdicts, 1.5 seconds for each number that is measured.

    $ convcost crossover --vary out_channels=8:1024

    $ convcost crossover configs/vgg16.yaml --layer conv3_1 --vary size=7:112
    """
    from convcost.cli.streams import parse_copies, progress, show
    from convcost.workflows.crossover import CrossoverRequest, crossover

    copies = parse_copies(output or ())
    settings = Settings(device, dtype, memory_format, threads, seconds, delta, seed)
    request = CrossoverRequest(
        vary=parse_vary(vary),
        source=source,
        layer=layer,
        variant=parse_spec_variant(variant),
        arguments=parse_arguments(set or ()),
        inputs=tuple(map(parse_shape, input or ())),
        settings=settings,
    )
    with progress() as notify:
        report = crossover(request, notify)
    show(report, format, copies)
    return 2 if report.interrupted else 0
