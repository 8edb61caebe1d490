"""Reports to standard output and files, progress and errors to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from convcost.cli.files import writable, write_whole
from convcost.cli.interrupts import answer, raise_again
from convcost.errors import ConvcostError, did_you_mean, printable
from convcost.render import (
    CHECK_FORMATS,
    FORMATS,
    PICTURES,
    SUGGEST_FORMATS,
    format_of,
    formats_of,
    render,
    render_file,
)
from convcost.report import Report

if TYPE_CHECKING:
    from rich.console import RenderableType

PIPE_WIDTH = 120
_KNOWN = (*FORMATS, *CHECK_FORMATS, *SUGGEST_FORMATS)


class Copy(NamedTuple):
    """A file that the report is also written to."""

    format: str
    file: Path


def parse_copies(texts: Sequence[str], kind: str = "", others: Sequence[str] = ()) -> list[Copy]:
    """The copies that ``--output [FORMAT:]FILE`` asks for, checked before any work is done.

    ``others`` are suffixes of files that the command writes besides.

    Raises:
        ConvcostError: no such format of this kind of report, or the file can't be written there.
    """
    return [_parse_copy(text, kind, others) for text in texts]


def _parse_copy(text: str, kind: str, others: Sequence[str]) -> Copy:
    if not text:
        raise ConvcostError("--output is empty", "give [FORMAT:]FILE")
    head, colon, rest = text.partition(":")
    is_named = colon and head in _KNOWN
    if colon and not is_named and head.isalpha() and len(head) > 1:  # one letter is a drive
        raise ConvcostError(
            f"--output {text}: there is no format {head!r}",
            f"{did_you_mean(head, formats_of(kind))}formats: {', '.join(formats_of(kind))}; "
            f"./{text} is a file of that name",
        )
    name, file = (head, rest) if is_named else (format_of(text, kind, others), text)
    if name not in formats_of(kind):
        owner = "suggest" if name in SUGGEST_FORMATS else "check"
        raise ConvcostError(f"--output {text}: {name} is a format of convcost {owner} only")
    return Copy(name, writable(file, text))


def draws(format: str, copies: Sequence[Copy]) -> bool:  # noqa: A002
    """Whether any of what is asked for shows pictures, or is what they are drawn from later."""
    return not {format, *(copy.format for copy in copies)}.isdisjoint((*PICTURES, "json"))


def show(report: Report, format: str, copies: Sequence[Copy]) -> None:  # noqa: A002
    """Writes a report to standard output and its copies, and its notices to standard error."""
    if report.interrupted:
        answer()
    text = _rendered(report, format, copies) if copies or format != "table" else ""
    for notice in report.notices:
        remark(f"note: {notice}")
    if format == "table":
        from convcost.render.table import TableView

        print_view(TableView(report))
    else:
        sys.stdout.write(text)


def _rendered(report: Report, format: str, copies: Sequence[Copy]) -> str:  # noqa: A002
    """What goes to standard output, after the copies are written: drawing takes seconds."""
    with progress() as notify:
        for copy in copies:
            notify(f"writing {copy.file}", None)
            write_whole(copy.file, render_file(report, copy.format))
        notify(f"writing {format}", None)
        return "" if format == "table" else render(report, format)


def print_view(view: RenderableType) -> None:
    """Prints what rich can show on standard output, as wide as the terminal or 120 columns."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    Console(width=width, highlight=False, emoji=False).print(view, crop=False)


def print_error(message: str, hint: str) -> None:
    """Tells on standard error what stopped the work and what to do, in a terminal in a box."""
    if sys.stderr is not None and sys.stderr.isatty():
        with suppress(OSError):
            _print_boxed(message, hint)
        return
    first, *rest = message.splitlines() or [""]
    lines = [f"error: {first}", *(f"       {line}" for line in rest)]
    if hint:
        lines.append(f"  hint: {hint}")
    tell("\n".join(lines))


def _print_boxed(message: str, hint: str) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    text = Text("\n".join(map(printable, message.splitlines())))
    if hint:
        text.append("\n").append("hint: ", "bold").append(printable(hint))
    box = Panel(text, title="error", title_align="left", border_style="red")
    Console(stderr=True, highlight=False, emoji=False).print(box)


def tell(text: str) -> None:
    """Prints to standard error, if anyone still reads it."""
    with suppress(OSError):
        print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)  # noqa: T201


class _Quiet:
    """Whether ``--quiet`` was given."""

    asked = False


def be_quiet() -> None:
    """From now on only data and errors are shown."""
    _Quiet.asked = True


def remark(text: str) -> None:
    """Tells what is no error, unless ``--quiet`` was given."""
    if not _Quiet.asked:
        tell(text)


@contextmanager
def progress() -> Iterator[Callable[[str, float | None], None]]:
    """A function that shows on a terminal's standard error what is done and how far it is.

    It also raises an interrupt that was put off or lost before it.
    """
    if _Quiet.asked or not sys.stderr.isatty():
        yield lambda *_: raise_again()
        return
    from convcost.cli.waiting import bars

    with bars() as notify:
        yield notify
