"""What a search found, as a report: what beats what, what was left out, what makes each design."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from convcost.errors import printable
from convcost.graph import Graph
from convcost.measure.settings import Settings
from convcost.ops import Shape
from convcost.report import METRICS, Finding, Report, Row, Value, exact, number
from convcost.search.candidates import Candidate
from convcost.search.front import is_dominated
from convcost.search.suggest import Bounds, Found, Miss
from convcost.sources.source import is_model
from convcost.sources.spec_text import spec_text
from convcost.sources.yaml_text import flow_text
from convcost.units import FORMATTERS, format_percent, format_seconds, format_several
from convcost.variants import STANDARD
from convcost.variants.mixed import Mixed, rewrite_mixed, steps_of
from convcost.workflows.compare_model import input_shapes
from convcost.workflows.designs import Bases, Source
from convcost.workflows.environment import environment
from convcost.workflows.measured import INTERRUPTED

if TYPE_CHECKING:
    from convcost.measure.execute import Outcome


class SuggestRequest(NamedTuple):
    """What to search, what it must keep, and how to measure."""

    source: str
    bounds: Bounds = Bounds()
    only: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    arguments: Mapping[str, object] = {}
    inputs: tuple[Shape, ...] = ()
    measure: bool = True
    settings: Settings = Settings()


class Searched(NamedTuple):
    """A search that is over, and how long it took."""

    source: Source
    bases: Bases
    bounds: Bounds
    found: Found
    seconds: float


def suggested(
    request: SuggestRequest,
    searched: Searched,
    designs: Sequence[Candidate],
    rows: tuple[Row, ...],
    outcome: Outcome | None,
) -> Report:
    """The report of a search whose ``designs`` were measured, or only counted, in ``rows``."""
    found = searched.found
    within, late = in_time(rows, request.bounds.max_latency)
    kept, beaten = _undominated(within)
    totals = {
        "candidates": exact(found.tried),
        "dominated": exact(found.dominated),
        "search_time": Value("measured", searched.seconds),
    }
    interrupted = outcome is not None and outcome.interrupted
    return Report(
        kind="suggest",
        source=printable(request.source),
        input=input_shapes(searched.source.graph),
        environment={
            **environment(request.settings, outcome and outcome.environment),
            **{key: bound for key, bound in searched.bounds._asdict().items() if bound is not None},
        },
        rows=kept,
        totals=totals,
        findings=tuple(_findings(searched, kept)),
        notices=(
            *searched.source.notices,
            *_notices(searched, designs, late, beaten),
            *((INTERRUPTED,) if interrupted else ()),
        ),
        interrupted=interrupted,
    )


def in_time(rows: tuple[Row, ...], limit: float | None) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The source's row and those that keep a latency, and those that don't; all where none does."""
    late = tuple(row for row in rows[1:] if limit is not None and (_latency(row) or 0) > limit)
    if limit is None or all((_latency(row) or inf) > limit for row in rows):
        return rows, ()
    return tuple(row for row in rows if row not in late), late


def _latency(row: Row) -> float | None:
    value = row.values.get("latency")
    return None if value is None or value.value is None else number(value)


def with_making(
    row: Row, designs: Mapping[str, Candidate], request: SuggestRequest, source: Source
) -> Row:
    """A row with what makes it: the command, and of a spec its text."""
    values = dict(row.values)
    design = designs.get(row.variant)
    if design is not None:
        if not design.base.text or design.base.last is not None:
            values["command"] = exact(_command(request, design))
        elif design is next(iter(designs.values())) and any(_paper_bounds(request)):
            values["command"] = exact(_search_command(request))
        text = (
            spec_text(spec_design(design, request.only, request.keep))
            if source.loaded is None
            else None
        )
        if text is not None:
            values["spec"] = exact(text)
    return row._replace(values=values)


def _paper_bounds(request: SuggestRequest) -> Iterator[tuple[str, float]]:
    for key, bound in request.bounds._asdict().items():
        if bound is not None and key != "max_latency":
            yield f"--{key.replace('_', '-')}", bound


def _search_command(request: SuggestRequest) -> str:
    """The search again, which gives the first of its designs as a layer spec."""
    words = ["convcost", "suggest", request.source]
    words += [word for key, bound in _paper_bounds(request) for word in (key, f"{bound:.15g}")]
    return shlex.join([*words, "--no-measure", "--format", "yaml"])


def _command(request: SuggestRequest, design: Candidate) -> str:
    words = ["convcost", "rewrite" if is_model(request.source) else "compare", request.source]
    words += ["--variant", design.text]
    for option, globs in (("--only", request.only), ("--keep", request.keep)):
        words += [word for glob in globs for word in (option, glob)]
    for shape in request.inputs:
        words += ["--input", "x".join(map(str, shape))]
    for key, value in request.arguments.items():
        words += ["--set", f"{key}={flow_text(value)}"]
    if is_model(request.source):
        words += ["--output", "design.pt2"]
    return shlex.join(words)


def spec_design(design: Candidate, only: tuple[str, ...] = (), keep: tuple[str, ...] = ()) -> Graph:
    """The graph of a spec's design; ``only`` and ``keep`` are those of the search."""
    graph, mixed = design.base.graph, design.mixed
    if design.base.last is not None:
        # its base has that last step taken already
        mixed = Mixed(steps_of(mixed)[:-1])
    steps = [s for s in steps_of(mixed) if s.variant != STANDARD]
    return rewrite_mixed(graph, Mixed(tuple(steps)), only, keep)


def _undominated(rows: tuple[Row, ...]) -> tuple[tuple[Row, ...], list[str]]:
    """The source's row and those of the front, and what others surely beat here.

    A row is beaten by one that sees as much, multiplies as little, has as small a stride, and whose
    latency's interval ends before its own begins.
    """
    if not all("latency_ratio" in row.values for row in rows[1:]):
        return rows, []
    beaten = {
        row.variant
        for row in rows[1:]
        for other in rows
        if other is not row and is_dominated(_paper(row), _paper(other)) and _is_faster(other, row)
    }
    return tuple(row for row in rows if row.variant not in beaten), sorted(beaten)


def _paper(row: Row) -> tuple[float, ...]:
    values = row.values
    return (
        number(values["multiplications"]),
        -min(_sizes(values["receptive_field"]), default=float("inf")),
        max(_sizes(values["effective_stride"]), default=float("inf")),
    )


def _sizes(value: Value) -> list[float]:
    """The sizes along the axes, of those that have one."""
    axes = value.value if isinstance(value.value, tuple) else ()
    return [size for size in axes if not isinstance(size, str)]


def _is_faster(one: Row, other: Row) -> bool:
    mine, its = one.values.get("latency_ratio"), other.values["latency_ratio"]
    high = 1.0 if mine is None else mine.high
    return high is not None and its.low is not None and high < its.low


def _findings(searched: Searched, rows: Sequence[Row]) -> Iterator[Finding]:
    """What says that a bound can't be met, and by how much the nearest design fails."""
    nearest = searched.found.nearest
    if nearest is not None:
        candidate, misses = nearest
        text = "; ".join(_missed(miss, getattr(searched.bounds, miss.bound)) for miss in misses)
        yield Finding(
            searched.source.graph.name,
            candidate.text,
            misses[0].bound.partition("_")[2],
            f"no design of {searched.found.tried:,} keeps all bounds; this comes nearest: {text}",
        )
        return
    limit = searched.bounds.max_latency
    timed = [(latency, row) for row in rows if (latency := _latency(row)) is not None]
    if limit is None or not timed:
        return
    latency, fastest = min(timed, key=lambda pair: pair[0])
    if latency > limit:
        yield Finding(
            fastest.name,
            fastest.variant,
            "latency",
            f"no design that was measured takes {format_seconds(limit)} or less; this comes "
            f"nearest: {_missed(Miss('max_latency', latency, latency / limit - 1), limit)}",
        )


_METRIC_OF = {"min_density": "receptive_field_density"}


def _missed(miss: Miss, limit: float) -> str:
    way, _, name = miss.bound.partition("_")
    metric = METRICS[_METRIC_OF.get(miss.bound, name)]
    write = FORMATTERS[metric.unit]
    if not miss.found:
        return f"{metric.label} isn't known exactly, at least {write(limit)} is asked for"
    side = "over the most, " if way == "max" else "short of the least, "
    return f"{metric.label} {write(miss.found)}, {format_percent(miss.share)} {side}{write(limit)}"


def _notices(
    searched: Searched, designs: Sequence[Candidate], late: Sequence[Row], beaten: Sequence[str]
) -> Iterator[str]:
    found = searched.found
    missed = ", ".join(
        f"{count:,} by {bound.replace('_', '-')}" for bound, count in found.missed.items()
    )
    yield (
        f"{format_several(found.tried, 'design')} counted in {format_seconds(searched.seconds)}"
        + (f"; left out: {missed}" if missed else "")
        + (f"; no better than another on paper: {found.dominated:,}" if found.dominated else "")
    )
    left = len(found.front) - len(designs)
    if left > 0:
        yield f"{left} more designs of the front on paper, between these, are left out"
    if late:
        times = ", ".join(f"{row.variant} ({format_seconds(_latency(row) or 0)})" for row in late)
        yield f"measured, and left out by max-latency: {times}"
    if beaten:
        yield f"measured, and beaten by another in all: {', '.join(beaten)}"
    if searched.bases.not_tried:
        yield f"not tried: {'; '.join(searched.bases.not_tried)}"
    yield "costs say nothing of what a design learns: train it before you choose it"
