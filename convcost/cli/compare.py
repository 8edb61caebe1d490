"""``convcost compare``."""

from typing import Annotated

import typer

from convcost.cli.options import (
    Delta,
    Device,
    Format,
    Input,
    Keep,
    Measure,
    Only,
    Output,
    Seconds,
    Seed,
    Set,
    Threads,
    parse_argument,
    parse_model_variant,
    parse_shape,
)
from convcost.measure.settings import Dtype, MemoryFormat, Settings

_WHAT = "What to compare"
_WHERE = "Where and how to measure"


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
    only: Only = None,
    keep: Keep = None,
    input: Input = None,  # noqa: A002  the option's name
    set: Set = None,  # noqa: A002  the option's name
    per_layer: Annotated[
        bool, typer.Option("--per-layer", help="Show the layers too.", rich_help_panel=_WHAT)
    ] = False,
    batch: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Inputs at once.", rich_help_panel=_WHAT)
    ] = 1,
    measure: Measure = True,
    device: Device = "cpu",
    dtype: Annotated[
        Dtype, typer.Option(help="Type of weights and activations.", rich_help_panel=_WHERE)
    ] = "float32",
    memory_format: Annotated[
        MemoryFormat, typer.Option(help="Order in memory.", rich_help_panel=_WHERE)
    ] = "contiguous",
    threads: Threads = None,
    seconds: Seconds = None,
    delta: Delta = 0.03,
    seed: Seed = 0,
    cuda_graph: Annotated[
        bool,
        typer.Option("--cuda-graph", help="Replay a CUDA graph.", rich_help_panel=_WHERE),
    ] = False,
    format: Format = "table",  # noqa: A002  the option's name
    output: Output = None,
) -> int:
    """Variants side by side: what each costs, what it saves on paper and what it saves here.

    $ convcost compare

    $ convcost compare configs/aspp.yaml --variant separable --per-layer

    $ convcost compare examples/resnet.py --variant dense:output_stride=8
    """
    from convcost.cli.streams import draws, parse_copies, progress, show
    from convcost.workflows.compare import CompareRequest, compare

    copies = parse_copies(output or ())
    settings = Settings(device, dtype, memory_format, threads, seconds, delta, seed, cuda_graph)
    request = CompareRequest(
        source=source,
        variants=tuple(map(parse_model_variant, variant or ())),
        only=tuple(only or ()),
        keep=tuple(keep or ()),
        batch=batch,
        per_layer=per_layer,
        measure=measure,
        settings=settings,
        arguments=dict(map(parse_argument, set or ())),
        inputs=tuple(map(parse_shape, input or ())),
        pictures=draws(format, copies),
    )
    with progress() as notify:
        report = compare(request, notify)
    show(report, format, copies)
    return 2 if report.interrupted else 0
