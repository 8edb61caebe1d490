"""One sentence a variant: what it saves on paper, what it saves here, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from convcost.render.clauses import bound_by, here, lesson, lost, paper, proof
from convcost.render.designs import crossover, designs
from convcost.report import Report


def sentences(report: Report) -> Iterator[tuple[str, str]]:
    """Each variant with its sentence; the reference has one only where it was measured."""
    if report.kind == "suggest":
        yield from designs(report)
    if report.kind == "crossover":
        yield from crossover(report)
    if report.kind != "compare":
        return
    reference, *others = report.rows
    if reason := bound_by(reference):
        yield reference.variant, f"{reason}."
    for row in others:
        clauses = [paper(row, reference), *proof(row, reference)]
        if "latency_ratio" in row.values:
            clauses.append(here(row, report))
            clauses.append(lesson(row))
            clauses.append(bound_by(row))
            clauses.append(lost(row))
        yield row.variant, "; ".join(filter(None, clauses)) + "."
