"""Options that take one value or several: rows for each combination."""

from typing import Annotated

import typer

from convcost.cli.options import WHERE
from convcost.measure.settings import ITEMSIZES

Batch = Annotated[
    str,
    typer.Option(metavar="N[,…]", help="Inputs at once.", rich_help_panel="What to compare"),
]
Dtypes = Annotated[
    str,
    typer.Option(
        "--dtype",
        metavar="TYPE[,…]",
        help=f"Type of weights and activations: {', '.join(ITEMSIZES)}.",
        rich_help_panel=WHERE,
    ),
]
MemoryFormats = Annotated[
    str,
    typer.Option(
        "--memory-format",
        metavar="contiguous|channels_last[,…]",
        help="Order in memory.",
        rich_help_panel=WHERE,
    ),
]
ThreadCounts = Annotated[
    str | None,
    typer.Option(
        "--threads",
        metavar="N[,…]",
        help="Threads. Without: torch's own choice.",
        rich_help_panel=WHERE,
    ),
]
Compiles = Annotated[
    str,
    typer.Option(
        "--compile", metavar="off|on[,…]", help="Run through torch.compile.", rich_help_panel=WHERE
    ),
]


def parse_axes(texts: dict[str, str | None]) -> dict[str, tuple[int | str, ...]]:
    """The values of each axis that is given, from ``contiguous,channels_last`` and the like."""
    return {
        key: tuple(dict.fromkeys(map(_value, text.split(","))))
        for key, text in texts.items()
        if text is not None
    }


def _value(text: str) -> int | str:
    text = text.strip()
    is_number = text.isascii() and text.isdecimal() and len(text) < 9
    return int(text) if is_number else text
