"""Annotations of GitHub Actions: one workflow command a finding, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convcost.errors import printable
from convcost.render.limits import title
from convcost.report import Finding, Report

SHOWN = 10
"""Annotations of one kind that GitHub shows for one step; the last one tells of the rest."""
_COMMANDS = {"error": "error", "warn": "warning"}


def render(report: Report) -> str:
    """``report``'s findings as workflow commands, and a line that counts them."""
    return "".join(f"{line}\n" for line in _lines(report))


def render_stop(message: str, hint: str) -> str:
    """What stopped the work, which is of no limit's line."""
    lines = [*message.splitlines(), *filter(None, [hint])]
    text = "\n".join(map(printable, lines))
    return f"::error title=convcost::{escape_data(text)}\n"


def _lines(report: Report) -> Iterator[str]:
    for level, command in _COMMANDS.items():
        told = [finding for finding in report.findings if finding.level == level]
        first, rest = (told, []) if len(told) <= SHOWN else (told[: SHOWN - 1], told[SHOWN - 1 :])
        yield from (_annotation(command, finding) for finding in first)
        if rest:
            yield _rolled_up(command, rest)
    errors = sum(finding.level == "error" for finding in report.findings)
    yield f"convcost: {errors} of {len(report.limits)} limits broken"


def _annotation(command: str, finding: Finding) -> str:
    properties = {
        "file": finding.file,
        "line": str(finding.line),
        "title": title(finding),
    }
    text = "\n".join(filter(None, (finding.message, finding.note, finding.hint)))
    given = ",".join(f"{key}={escape_property(value)}" for key, value in properties.items())
    return f"::{command} {given}::{escape_data(text)}"


def _rolled_up(command: str, rest: Sequence[Finding]) -> str:
    title = f"and {len(rest)} more"
    text = "\n".join(finding.message for finding in rest)
    return f"::{command} title={escape_property(title)}::{escape_data(text)}"


def escape_data(text: str) -> str:
    """``text`` as the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """``text`` as the value of a workflow command's property."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")
