"""Options that several commands share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from convcost.errors import ConvcostError
from convcost.measure import settings

if TYPE_CHECKING:
    from convcost.variants import Variant
    from convcost.variants.mixed import Mixed
    from convcost.workflows.crossover import Vary

Format = Annotated[
    Literal["table", "json", "csv", "markdown", "html", "svg"],
    typer.Option("--format", "-f", help="Format of standard output."),
]
CheckFormat = Annotated[
    Literal[
        "table", "json", "csv", "markdown", "html", "svg", "junit", "github", "gitlab", "sarif"
    ],
    typer.Option("--format", "-f", help="Format of standard output."),
]
SuggestFormat = Annotated[
    Literal["table", "json", "csv", "markdown", "html", "svg", "yaml"],
    typer.Option("--format", "-f", help="Format of standard output."),
]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="[FORMAT:]FILE",
        help="Also write this file; its suffix tells the format. Repeatable.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show data and errors only: no progress, no notes.")
]
WHERE = "Where and how to measure"

Measure = Annotated[
    bool,
    typer.Option("--measure/--no-measure", help="Execute and time.", rich_help_panel=WHERE),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, max=4096, help="Threads; without: torch's choice.", rich_help_panel=WHERE),
]


def seconds_option(text: str, panel: str = WHERE) -> Any:
    """An option for a time budget: up to a day."""
    return typer.Option(min=0.01, max=86_400, help=text, rich_help_panel=panel)


Seconds = Annotated[
    float | None, seconds_option("Time budget; 0.75 a candidate, more for slow ones.")
]
Delta = Annotated[
    float,
    typer.Option(min=0, max=1, help="Changes below this share are 'same'.", rich_help_panel=WHERE),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**63 - 1, help="Of weights and order.", rich_help_panel=WHERE),
]
Cold = Annotated[
    bool,
    typer.Option("--cold", help="Flush the caches before each timed call.", rich_help_panel=WHERE),
]
Device = Annotated[settings.Device, typer.Option(help="Where to run.", rich_help_panel=WHERE)]

_WHAT = "What to run"
Input = Annotated[
    list[str] | None,
    typer.Option(
        metavar="1x3x224x224",
        help="Shape of a model's input. Repeatable.",
        rich_help_panel=_WHAT,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Argument for a model's factory, as YAML. Repeatable.",
        rich_help_panel=_WHAT,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Rewrite only layers of these names. Repeatable.",
        rich_help_panel=_WHAT,
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB", help="Leave layers of these names. Repeatable.", rich_help_panel=_WHAT
    ),
]


def parse_arguments(texts: Sequence[str]) -> dict[str, object]:
    """The arguments of a factory from each ``--set KEY=VALUE``.

    Raises:
        ConvcostError: one isn't of that form, or a key comes twice.
    """
    arguments: dict[str, object] = {}
    for text in texts:
        key, value = _parse_argument(text)
        if key in arguments:
            raise ConvcostError(f"--set {text}: {key} is given twice", "give each once")
        arguments[key] = value
    return arguments


def _parse_argument(text: str) -> tuple[str, object]:
    """A key and its value from ``--set KEY=VALUE``.

    Raises:
        ConvcostError: it isn't one.
    """
    from convcost.sources.yaml_file import parse_value

    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise ConvcostError(f"--set {text}: not KEY=VALUE", "for example --set num_classes=10")
    return key, parse_value(f"--set {key}", value)


def parse_bound(bound: str, text: str | None) -> float | None:
    """The number from ``--max-latency 20ms`` and the like, in its unit; a count isn't a fraction.

    Raises:
        ConvcostError: it isn't one.
    """
    from convcost.report import METRICS
    from convcost.units import parse_quantity

    if text is None:
        return None
    try:
        return parse_quantity(text, METRICS[bound.partition("_")[2]].unit)
    except ValueError as error:
        raise ConvcostError(f"--{bound.replace('_', '-')} {text}: {error}") from None


def parse_vary(text: str) -> "Vary":
    """The number and its range from ``--vary out_channels=8:1024``.

    Raises:
        ConvcostError: it isn't one.
    """
    from convcost.workflows.crossover import NUMBERS, Vary

    key, _, ends = text.partition("=")
    first, _, last = ends.partition(":")
    if key not in NUMBERS:
        raise ConvcostError(
            f"--vary {text}: {key!r} can't be varied", f"one of {', '.join(NUMBERS)}"
        )
    is_whole = first.isdecimal() and last.isdecimal() and len(ends) < 16
    if not is_whole:
        raise ConvcostError(
            f"--vary {text}: not KEY=FIRST:LAST in whole numbers", "for example out_channels=8:1024"
        )
    if not 0 < int(first) < int(last):
        raise ConvcostError(
            f"--vary {text}: FIRST must be at least 1 and LAST larger", "put the smaller one first"
        )
    return Vary(key, int(first), int(last))


def parse_spec_variant(text: str) -> "Variant":
    """A variant of one layer from its text.

    Raises:
        BadParameter: it isn't one.
    """
    from convcost.variants import parse_variant

    try:
        return parse_variant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--variant") from None


def parse_shape(text: str) -> tuple[int, ...]:
    """The sizes from ``--input 1x3x224x224``.

    Raises:
        ConvcostError: it isn't a shape.
    """
    parts = text.lower().split("x")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise ConvcostError(f"--input {text}: not a shape", "for example --input 1x3x224x224")
    return tuple(map(int, parts))


def parse_model_variant(text: str) -> "Variant | Mixed":
    """A variant, or several mixed, from its text.

    Raises:
        BadParameter: it isn't one.
    """
    from convcost.variants import MODEL_VARIANTS
    from convcost.variants.mixed import parse_mixed

    try:
        return parse_mixed(text, MODEL_VARIANTS)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--variant") from None
