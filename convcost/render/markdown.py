"""A table for a forge: a pull request, an issue, a README."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from convcost.render.designs import specs
from convcost.render.notes import footnotes
from convcost.render.sections import Section, main_section, more_sections, title
from convcost.render.sentences import sentences, whose
from convcost.report import Report


def render(report: Report) -> str:
    """``report`` as GitHub-flavoured markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from (f"**{escape(title(report))}**", "")
    yield from _table(main_section(report))
    yield ""
    for variant, sentence in sentences(report):
        yield (
            f"- **{escape(variant)}**: {escape(sentence)}" if variant else f"  `{sentence.strip()}`"
        )
    for finding in report.findings:
        yield f"- **finding**: {escape(f'{whose(finding, report)}: {finding.message}')}"
    for label, spec in specs(report):
        yield from ("", f"**{label} as a layer spec**", "", "```yaml", *spec.splitlines(), "```")
    for note in footnotes(report):
        yield from ("", escape(note))
    for section in more_sections(report):
        yield from ("", f"**{escape(section.heading)}**", "")
        yield from _table(section)


def _table(section: Section) -> Iterator[str]:
    columns = section.columns
    if not columns:
        return
    yield line(column.header for column in columns)
    yield line("---:" if column.right else "---" for column in columns)
    for row in section.rows:
        yield line(escape(str(column.cell(row))) for column in columns)
    if section.total is not None:
        cells = (escape(str(column.cell(section.total))) for column in columns)
        yield line(f"**{cell}**" if cell else "" for cell in cells)


def line(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """``text`` as it is, whatever markdown or HTML it looks like, on one line."""
    marked = re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text.replace("&", "&amp;"))
    return " ".join(marked.splitlines())
