"""Options that several commands share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from convcost.errors import ConvcostError, shortened
from convcost.measure import settings

if TYPE_CHECKING:
    from convcost.variants import Variant
    from convcost.variants.mixed import Mixed
    from convcost.workflows.crossover import Vary

_OfAll = Literal["table", "json", "csv", "markdown", "html", "svg"]
_OfChecks = Literal["junit", "github", "gitlab", "sarif"]
_OfSuggestions = Literal["yaml"]
_FORMAT = typer.Option("--format", "-f", help="Format of standard output.")
Format = Annotated[_OfAll, _FORMAT]
CheckFormat = Annotated[Literal[_OfAll, _OfChecks], _FORMAT]
SuggestFormat = Annotated[Literal[_OfAll, _OfSuggestions], _FORMAT]
AnyFormat = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        metavar="|".join(get_args(Literal[_OfAll, _OfChecks, _OfSuggestions])),
        help="Format of standard output, one that its command has.",
    ),
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


def _number(setting: str, text: str, panel: str = WHERE) -> Any:
    """An option for a setting, in its range."""
    low, high = settings.RANGES[setting]
    return typer.Option(min=low, max=high, help=text, rich_help_panel=panel)


Measure = Annotated[
    bool,
    typer.Option("--measure/--no-measure", help="Execute and time.", rich_help_panel=WHERE),
]
Threads = Annotated[
    int | None,
    _number("threads", "Threads; without: torch's choice."),
]


def seconds_option(text: str, panel: str = WHERE) -> Any:
    """An option for a time budget: up to a day."""
    return _number("seconds", text, panel)


Seconds = Annotated[
    float | None, seconds_option("Time budget; 0.75 a candidate, more for slow ones.")
]
Delta = Annotated[
    float,
    _number("delta", "Changes below this share are 'same'."),
]
Seed = Annotated[
    int,
    _number("seed", "Of weights and order."),
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
    option = f"--{bound.replace('_', '-')} {text}"
    try:
        number = parse_quantity(text, METRICS[bound.partition("_")[2]].unit)
    except ValueError as error:
        raise ConvcostError(f"{option}: {error}") from None
    if not number:
        raise ConvcostError(f"{option}: nothing that is designed costs 0", "give more than 0")
    return number


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


_DIGITS = 20


def parse_shape(text: str) -> tuple[int, ...]:
    """The sizes from ``--input 1x3x224x224``.

    Raises:
        ConvcostError: it isn't a shape.
    """
    parts = text.lower().split("x")
    # what is longer is no size, and more digits than Python turns into a number
    if not all(part.isdecimal() and len(part) < _DIGITS and int(part) for part in parts):
        message = f"--input {shortened(text)}: not a shape"
        raise ConvcostError(message, "for example --input 1x3x224x224")
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
