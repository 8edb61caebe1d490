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
    found = _rendered(report, format)
    if isinstance(found, bytes):
        raise ConvcostError(f"{format} is no text", f"write a file: --output report.{format}")
    return found


def _rendered(report: Report, format: str) -> str | bytes:  # noqa: A002  the option's own name
    formats = formats_of(report.kind)
    if format not in formats:
        what = f"a {report.kind}" if format in (*CHECK_FORMATS, *SUGGEST_FORMATS) else "a report"
        message = f"no format {format!r} of {what}"
        raise ConvcostError(message, f"formats: {', '.join(formats)}")
    module = _OF_CHECKS.get(format, format) if report.kind == "check" else format
    found: str | bytes = import_module(f"convcost.render.{module}").render(report)
    return found


def render_file(report: Report, format: str) -> bytes:  # noqa: A002  the option's own name
    """What a file of ``format`` holds.

    Raises:
        ConvcostError: there is no such format of this kind of report.
    """
    found: str | bytes = _rendered(report, format)
    return found if isinstance(found, bytes) else found.encode()


def formats_of(kind: str) -> tuple[str, ...]:
    """The formats of a kind of report."""
    return (*FORMATS, *_MORE.get(kind, ()))


def format_of(file: str, kind: str = "", others: Sequence[str] = ()) -> str:
    """The format that a file's suffix means; ``others`` are suffixes that a command takes besides.

    Raises:
        ConvcostError: the suffix means none; says which a ``kind`` of report has.
    """
    suffix = PurePath(file).suffix
    if suffix not in SUFFIXES:
        valid = [one for one, name in SUFFIXES.items() if name in formats_of(kind)]
        raise ConvcostError(
            f"{file}: the suffix {suffix!r} doesn't tell a format",
            f"use one of {', '.join((*others, *valid))}, or name it: FORMAT:{file}",
        )
    return SUFFIXES[suffix]
