"""From a report to text: one module and one line in ``FORMATS`` for each format.

A format's module has ``render(report)``, which gives text, or bytes of a picture. It takes what the
report holds and computes nothing. Modules are loaded when their format is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import PurePath

from convcost.errors import ConvcostError
from convcost.report import Report

FORMATS = ("table", "json", "csv", "markdown", "html", "svg", "png")
PICTURES = ("html", "svg", "png")
"""What draws: with the extra ``report``."""
_NO_TEXT = ("png",)
CHECK_FORMATS = ("junit", "github", "gitlab", "sarif")
"""Of checks only."""
SUGGEST_FORMATS = ("yaml",)
"""Of suggestions only."""
_MORE = {"check": CHECK_FORMATS, "suggest": SUGGEST_FORMATS}
SUFFIXES = {
    ".txt": "table",
    ".json": "json",
    ".csv": "csv",
    ".md": "markdown",
    ".html": "html",
    ".svg": "svg",
    ".png": "png",
    ".xml": "junit",
    ".sarif": "sarif",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_OF_CHECKS = {"markdown": "check_markdown", "csv": "check_csv"}


def render(report: Report, format: str) -> str:  # noqa: A002  the option's own name
    """``report`` as text in one of its ``formats_of``.

    Raises:
        ConvcostError: there is no such format of this kind of report, or it is no text.
    """
    need_text(report.kind, format)
    return str(_rendered(report, format))


def need_text(kind: str, format: str) -> None:  # noqa: A002  the option's own name
    """Refuses what isn't a format of text of this ``kind`` of report.

    Raises:
        ConvcostError: it isn't.
    """
    if format in _NO_TEXT:
        raise ConvcostError(f"{format} is no text", f"write a file: --output report.{format}")
    _need(kind, format, [one for one in formats_of(kind) if one not in _NO_TEXT])


def _need(kind: str, format: str, formats: Sequence[str]) -> None:  # noqa: A002  the same
    if format not in formats:
        what = f"a {kind}" if format in (*CHECK_FORMATS, *SUGGEST_FORMATS) else "a report"
        message = f"no format {format!r} of {what}"
        raise ConvcostError(message, f"formats: {', '.join(formats)}")


def _rendered(report: Report, format: str) -> str | bytes:  # noqa: A002  the same
    module = _OF_CHECKS.get(format, format) if report.kind == "check" else format
    found: str | bytes = import_module(f"convcost.render.{module}").render(report)
    return found


def render_file(report: Report, format: str) -> bytes:  # noqa: A002  the option's own name
    """What a file of ``format`` holds.

    Raises:
        ConvcostError: there is no such format of this kind of report.
    """
    _need(report.kind, format, formats_of(report.kind))
    found = _rendered(report, format)
    return found if isinstance(found, bytes) else found.encode()


def formats_of(kind: str) -> tuple[str, ...]:
    """The formats of a kind of report."""
    return (*FORMATS, *_MORE.get(kind, ()))


def format_of(file: str, kind: str = "", others: Sequence[str] = ()) -> str:
    """The format that a file's suffix means; ``others`` are suffixes that a command takes besides.

    Raises:
        ConvcostError: the suffix means none; says which a ``kind`` of report has.
    """
    suffix = PurePath(file).suffix.lower()
    if suffix not in SUFFIXES:
        valid = [one for one, name in SUFFIXES.items() if name in formats_of(kind)]
        raise ConvcostError(
            f"{file}: the suffix {suffix!r} doesn't tell a format",
            f"use one of {', '.join((*others, *valid))}, or name it: FORMAT:{file}",
        )
    return SUFFIXES[suffix]
