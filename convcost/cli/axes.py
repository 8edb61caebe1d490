"""Options that take one value or several: rows for each combination."""

from typing import Annotated, get_args

import typer

from convcost.errors import ConvcostError
from convcost.measure.settings import Compile, Dtype, MemoryFormat

_WHERE = "Where and how to measure"
WORDS = {
    "dtype": get_args(Dtype),
    "memory_format": get_args(MemoryFormat),
    "compile": get_args(Compile),
}
MOST = {"batch": 1_000_000, "threads": 4096}

Batch = Annotated[
    str,
    typer.Option(metavar="N[,…]", help="Inputs at once.", rich_help_panel="What to compare"),
]
Dtypes = Annotated[
    str,
    typer.Option(
        "--dtype",
        metavar="TYPE[,…]",
        help=f"Type of weights and activations: {', '.join(WORDS['dtype'])}.",
        rich_help_panel=_WHERE,
    ),
]
MemoryFormats = Annotated[
    str,
    typer.Option(
        "--memory-format",
        metavar="contiguous|channels_last[,…]",
        help="Order in memory.",
        rich_help_panel=_WHERE,
    ),
]
ThreadCounts = Annotated[
    str | None,
    typer.Option(
        "--threads", metavar="N[,…]", help="Threads; torch's choice.", rich_help_panel=_WHERE
    ),
]
Compiles = Annotated[
    str,
    typer.Option(
        "--compile", metavar="off|on[,…]", help="Run through torch.compile.", rich_help_panel=_WHERE
    ),
]


def parse_axes(texts: dict[str, str | None]) -> dict[str, tuple[int | str, ...]]:
    """The values of each axis that is given, from ``contiguous,channels_last`` and the like.

    Raises:
        ConvcostError: an axis can't have such a value.
    """
    return {
        key: tuple(dict.fromkeys(_value(key, part.strip()) for part in text.split(",")))
        for key, text in texts.items()
        if text is not None
    }


def _value(key: str, text: str) -> int | str:
    option = f"--{key.replace('_', '-')}"
    if key in WORDS:
        if text not in WORDS[key]:
            raise ConvcostError(f"{option}: {text!r} isn't one", f"one of {', '.join(WORDS[key])}")
        return text
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    if not 1 <= number <= MOST[key]:
        raise ConvcostError(
            f"{option}: {text!r} isn't a whole number from 1 to {MOST[key]:,}",
            f"for example {option} 1 or {option} 1,2",
        )
    return number
