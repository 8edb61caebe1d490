"""One sentence a variant: what it saves on paper, what it saves here, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from convcost.render.cells import row_label
from convcost.render.clauses import (
    bound_by,
    fastest,
    here,
    lesson,
    lost,
    paper,
    proof,
    shared_doubts,
)
from convcost.render.designs import crossover, designs
from convcost.report import Finding, Report, Row


def sentences(report: Report) -> Iterator[tuple[str, str]]:
    """Each variant with its sentence; the reference has one only where it was measured."""
    if report.kind == "suggest":
        yield from designs(report)
    if report.kind == "crossover":
        yield from crossover(report)
    if report.kind != "compare":
        return
    first, *others = report.rows
    if reason := bound_by(first):
        yield row_label(first), f"{reason}."
    told = shared_doubts({row_label(row): row for row in others})
    for row in others:
        reference = _reference(row, report)
        clauses = [paper(row, reference), *proof(row, reference)]
        if "latency_ratio" in row.values:
            clauses.append(here(row, reference, report, told))
            clauses.append(lesson(row))
            clauses.append(bound_by(row))
            clauses.append(lost(row))
        yield row_label(row), "; ".join(filter(None, clauses)) + "."
    yield from (("untrusted", text) for text in told.values())
    differs = {key for row in others for key in row.settings}
    if differs and "batch" not in differs:
        yield from fastest(report.rows)


def whose(finding: Finding, report: Report) -> str:
    """What a finding is of: a row, and which variant where the report has several."""
    return finding.name if report.kind == "profile" else f"{finding.name}, {finding.variant}"


def _reference(row: Row, report: Report) -> Row:
    """What a row is compared with: standard with the same settings, the first row for that."""
    first = report.rows[0]
    if row.variant == first.variant:
        return first
    same = (r for r in report.rows if r.variant == first.variant and r.settings == row.settings)
    return next(same, first)
