"""The table for a terminal, by rich."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from convcost.render.cells import Column
from convcost.render.designs import specs
from convcost.render.notes import footnotes
from convcost.render.sections import Section, main_section, more_sections, title
from convcost.render.sentences import sentences, whose
from convcost.report import METRICS, Report, Row

WIDTH = 120
_JOINTS = re.compile(r"(?<=[@|+])")
"""Where the name of a mixed variant may be broken."""
_VERDICT_STYLES = {
    "faster": "green",
    "slower": "red",
    "inconclusive": "yellow",
    "untrusted": "yellow",
}


def render(report: Report) -> str:
    """``report`` as plain text, 120 columns wide."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, emoji=False)
    with console.capture() as captured:
        console.print(TableView(report), crop=False)
    return captured.get()


class TableView:
    """A report as rich shows it, in whatever width there is."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        report = self._report
        if report.kind == "check":
            from convcost.render.check_table import check_view  # noqa: PLC0415  only here

            yield from check_view(report)
            return
        yield from (Text(title(report), style="bold"), "")
        main = main_section(report)
        if main.columns:
            yield from (_fitting(main, options.max_width), "")
        if report.kind == "crossover":
            from convcost.render.intervals import intervals_plot  # noqa: PLC0415  only here

            yield from intervals_plot(report, options.max_width)
            yield ""
        for variant, sentence in sentences(report):
            if variant:
                yield _sentence(variant, sentence, options.max_width)
            else:
                yield unbroken(sentence)
        for finding in report.findings:
            yield Text(f"finding: {whose(finding, report)}: {finding.message}", style="red")
        notes = [Text(note, style="dim") for note in footnotes(report)]
        yield from notes
        for label, spec in specs(report):
            yield from ("", Text(f"{label} as a layer spec", style="bold"), unbroken(spec))
        if report.kind == "profile":
            yield from [""] if notes else []
            yield from _plots(report, options.max_width)
        for section in more_sections(report):
            yield from ("", Text(section.heading, style="bold"), "")
            yield _fitting(section, options.max_width)


def _sentence(name: str, sentence: str, width: int) -> Text:
    """A sentence after the name of what it is about."""
    room = width - cell_len(name) - len(": ")
    return Text.assemble((_folded(name, width), "bold"), ": ", _folded(sentence, room))


def _folded(text: str, width: int) -> str:
    """``text`` with line breaks between the globs and the steps of a name wider than ``width``."""
    return " ".join(
        word if cell_len(word) <= width else _lines(_JOINTS.split(word), width)
        for word in text.split(" ")
    )


def _lines(parts: Sequence[str], width: int) -> str:
    """The parts one after the other, in lines that hold as many as have room."""
    lines = [""]
    for part in parts:
        if lines[-1] and cell_len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def unbroken(text: str) -> Text:
    """What is copied, a command or a file: where it is too long the terminal itself breaks it."""
    return Text(text, no_wrap=True, overflow="ignore")


def _plots(report: Report, width: int) -> Iterator[RenderableType]:
    """Where a profile's time goes, and how near to the machine's ceilings it comes."""
    from convcost.render.roofline import roofline_of, roofline_plot  # noqa: PLC0415  profiles only
    from convcost.render.shares import shares, shares_view  # noqa: PLC0415  the same

    if found := shares(report):
        yield from shares_view(found, width)
    if roofline := roofline_of(report):
        yield ""
        yield from roofline_plot(*roofline, width)


def _fitting(section: Section, width: int) -> RenderableType:
    """One line per row, or details below, fewer columns, or one block per row: the first to fit."""
    if table := _one_table(section, width):
        return table
    from convcost.render.narrow import narrowed  # noqa: PLC0415  where there is no room

    for fewer, left_out in narrowed(section):
        if table := _one_table(fewer, width):
            note = f"left out, for there is no room: {', '.join(left_out)}"
            return Group(table, Text(note, style="dim"))
    return _blocks(section)


def _one_table(section: Section, width: int) -> Table | None:
    for gap, between in ((2, " "), (1, "\n")):
        table = _table(section, gap, between)
        if _width(table, gap) <= width:
            return table
    return None


def _width(table: Table, gap: int) -> int:
    """As rich's own measure of a table of texts, in a tenth of its time."""
    texts = ("\n".join(map(str, (column.header, *column.cells))) for column in table.columns)
    widths = (max(map(cell_len, text.split("\n"))) for text in texts)
    return sum(widths) + gap * (len(table.columns) - 1)


def _table(section: Section, gap: int, between: str) -> Table:
    """A table with a blank or a line break ``between`` the parts of headers and cells."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, gap, 0, 0))
    for column in section.columns:
        header = column.header.replace(" ", between)
        if between == "\n":
            header = header.replace("multipl", "multi-\npl")
        table.add_column(Text(header), justify="right" if column.right else "left", no_wrap=True)
    for row in section.rows:
        table.add_row(*(_text(column, row, between) for column in section.columns))
    if section.total is not None:
        cells = (_text(column, section.total, between) for column in section.columns)
        table.add_row(*cells, style="bold")
    return table


def _blocks(section: Section) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", overflow="fold")
    table.add_column(overflow="fold")
    rows = [*section.rows, section.total] if section.total else section.rows
    for number, row in enumerate(rows):
        if number:
            table.add_row()
        for column in section.columns:
            table.add_row(Text(column.header), _text(column, row, " "))
    return table


def _text(column: Column, row: Row, between: str) -> Text:
    cell = column.cell(row)
    glue = between if between == "\n" else cell.glue
    text = Text.assemble(cell.main, (glue + cell.detail if cell.detail else "", "dim"))
    if column.header == METRICS["latency_ratio"].label and "verdict" in row.values:
        text.stylize(_VERDICT_STYLES.get(str(row.values["verdict"].value), ""))
    return text
