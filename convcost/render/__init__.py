"""From a report to text: one module and one line in ``FORMATS`` for each format.

A format's module has ``render(report) -> str``. It takes what the report holds and computes
nothing. Modules are loaded when their format is asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePath

from convcost.errors import ConvcostError
from convcost.report import Report

FORMATS = ("table", "json", "csv", "markdown")
SUFFIXES = {".txt": "table", ".json": "json", ".csv": "csv", ".md": "markdown"}


def render(report: Report, format: str) -> str:  # noqa: A002  the option's own name
    """``report`` as text in one of ``FORMATS``.

    Raises:
        ConvcostError: there is no such format.
    """
    if format not in FORMATS:
        raise ConvcostError(f"no format {format!r}", f"formats: {', '.join(FORMATS)}")
    text: str = import_module(f"convcost.render.{format}").render(report)
    return text


def format_of(file: str) -> str:
    """The format that a file's suffix means.

    Raises:
        ConvcostError: the suffix means none.
    """
    suffix = PurePath(file).suffix
    if suffix not in SUFFIXES:
        raise ConvcostError(
            f"{file}: the suffix {suffix!r} doesn't tell a format",
            f"use one of {', '.join(SUFFIXES)}, or name it: FORMAT:{file}",
        )
    return SUFFIXES[suffix]
