"""``convcost compare``."""

from typing import Annotated

import typer

from convcost.cli.axes import Batch, Compiles, Dtypes, MemoryFormats, ThreadCounts, parse_axes
from convcost.cli.options import (
    WHERE,
    Cold,
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
    parse_arguments,
    parse_model_variant,
    parse_shape,
)
from convcost.measure.settings import Settings

_WHAT = "What to compare"


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
    batch: Batch = "1",
    measure: Measure = True,
    device: Device = "cpu",
    dtype: Dtypes = "float32",
    memory_format: MemoryFormats = "contiguous",
    threads: ThreadCounts = None,
    compile: Compiles = "off",  # noqa: A002  the option's name
    seconds: Seconds = None,
    delta: Delta = 0.03,
    seed: Seed = 0,
    cuda_graph: Annotated[
        bool,
        typer.Option("--cuda-graph", help="Replay a CUDA graph.", rich_help_panel=WHERE),
    ] = False,
    cold: Cold = False,
    format: Format = "table",  # noqa: A002  the option's name
    output: Output = None,
) -> int:
    """Variants side by side: what each costs, what it saves on paper and what it saves here.

    $ convcost compare

    $ convcost compare configs/aspp.yaml --variant separable --per-layer

    $ convcost compare examples/resnet.py --variant dense:output_stride=8

    $ convcost compare --memory-format contiguous,channels_last --threads 1,2
    """
    from convcost.cli.streams import draws, parse_copies, progress, show
    from convcost.workflows.compare import CompareRequest, compare

    copies = parse_copies(output or ())
    axes = parse_axes(
        {
            "batch": batch,
            "dtype": dtype,
            "memory_format": memory_format,
            "threads": threads,
            "compile": compile,
        }
    )
    request = CompareRequest(
        source=source,
        variants=tuple(map(parse_model_variant, variant or ())),
        only=tuple(only or ()),
        keep=tuple(keep or ()),
        per_layer=per_layer,
        measure=measure,
        settings=Settings(
            device, seconds=seconds, delta=delta, seed=seed, cuda_graph=cuda_graph, cold=cold
        ),
        axes=axes,
        arguments=parse_arguments(set or ()),
        inputs=tuple(map(parse_shape, input or ())),
        pictures=draws(format, copies),
    )
    with progress() as notify:
        report = compare(request, notify)
    show(report, format, copies)
    return 2 if report.interrupted else 0
