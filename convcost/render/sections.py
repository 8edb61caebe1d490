"""What a report shows, in order, for formats that are made of tables and lines."""

from collections.abc import Sequence
from typing import NamedTuple

from convcost.ops import format_shape
from convcost.render.cells import (
    Column,
    crossover_columns,
    design_columns,
    layer_columns,
    machine_columns,
    summary_columns,
    verification_columns,
)
from convcost.render.changes import change_columns, changed_rows, total_row
from convcost.report import METRICS, Report, Row
from convcost.units import format_several


class Section(NamedTuple):
    """A table with its heading; ``total`` stands below its rows; no ``columns``, no table."""

    heading: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    total: Row | None = None


def title(report: Report) -> str:
    """What it is about: ``primer: input 1×3×12×12, output 1×256×8×8``."""
    shapes = " and ".join(map(format_shape, report.input))
    if report.kind == "check":
        from convcost.render.check_cells import heading  # noqa: PLC0415  checks alone

        return heading(report)
    if report.kind == "profile":
        return f"{report.source}: input {shapes}{_chosen(report)}"
    if report.kind == "machine":
        return f"{report.source}: {report.environment['device']}, ceilings"
    if report.kind == "diff":
        return f"{report.source}: {_differing(report)}"
    if report.kind == "crossover":
        env = report.environment
        what = f"{env['layer']}: input {shapes}, {env['vary']} {env['first']} to {env['last']}"
        return f"{report.source}, {what}"
    output = format_shape(report.rows[0].output_shape)
    return f"{report.rows[0].name}: input {shapes}, output {output}"


def _differing(report: Report) -> str:
    """How many layers of a diff differ: ``1 layer differs``."""
    if not report.rows and not change_columns(report):
        return "nothing differs"
    count = len(report.rows)
    return f"{count or 'no'} {'layer differs' if count == 1 else 'layers differ'}"


def _chosen(report: Report) -> str:
    """Which of a profile's rows are shown: ``, the first 5 of 68 rows, sorted by parameters``."""
    asked, count = report.selection, len(report.rows)
    if asked is None:
        return ""
    shown = f"{'the first ' if asked.top == count else ''}{count} of"
    text = f", {'all' if count == asked.rows else shown} {format_several(asked.rows, 'row')}"
    text += f", filtered by {asked.filter!r}" if asked.filter is not None else ""
    return f"{text}, sorted by {METRICS[asked.sort].label}" if asked.sort is not None else text


def main_section(report: Report) -> Section:
    """The table that the report is for."""
    if report.kind == "profile":
        total = Row("total", "standard", "", "", (), report.totals)
        return Section("", layer_columns(report.rows), report.rows, total)
    if report.kind == "diff":
        return Section("", change_columns(report), changed_rows(report), total_row(report))
    if report.kind == "machine":
        return Section("", machine_columns(), report.rows)
    if report.kind == "crossover":
        return Section("", crossover_columns(report), report.rows)
    if report.kind == "suggest":
        return Section("", design_columns(report), report.rows)
    return Section("", summary_columns(report), report.rows)


def more_sections(report: Report) -> list[Section]:
    """The layers of each variant, and the second counts, where they were asked for."""
    found = []
    if report.verification:
        *rows, total = report.verification
        heading = "multiplications, counted again"
        found.append(Section(heading, verification_columns(), rows, total))
    for variant in dict.fromkeys(row.variant for row in report.rows):
        layers = [layer for layer in report.layers if layer.variant == variant]
        if layers:
            found.append(Section(variant, layer_columns(layers), layers))
    return found
