"""The summary of a GitHub job: markdown that is appended to a file which the runner names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from convcost.cli.streams import remark
from convcost.errors import ConvcostError, printable
from convcost.render import render
from convcost.report import Report

LIMIT = 1024 * 1024
"""Bytes of one step's summary: GitHub drops a longer one whole."""
_CUT = "\n… cut: a summary has at most 1 MiB\n"


def append_summary(report: Report) -> None:
    """Appends ``report`` where ``GITHUB_STEP_SUMMARY`` says; what can't be is a notice."""
    _append(lambda: render(report, "markdown"))


def append_stop(error: ConvcostError) -> None:
    """Appends there what stopped the work."""
    text = "\n".join(filter(None, (error.message, error.hint and f"hint: {error.hint}")))
    # a block of code shows a message as it is
    quoted = "".join(f"    {line}\n" for line in map(printable, text.splitlines()))
    _append(lambda: f"**convcost: nothing was judged**\n\n{quoted}")


def _append(text: Callable[[], str]) -> None:
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    try:
        path = Path(name)
        there = path.stat().st_size if path.exists() else 0
        with path.open("a", encoding="utf-8") as file:
            file.write(fitting(text(), LIMIT - 1 - there))
    except OSError as error:
        remark(f"note: {name}: the summary can't be written: {error.strerror}")


def fitting(text: str, room: int) -> str:
    """``text`` in at most ``room`` bytes: whole lines, and a word on what is missing."""
    data = text.encode()
    if len(data) <= room:
        return text
    left = room - len(_CUT.encode())
    lines = data[: max(0, left)].rpartition(b"\n")[0].decode()
    return lines + _CUT if left > 0 else ""
