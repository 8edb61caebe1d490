"""The cheapest designs that meet a need: searched on paper, the few that are left measured."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from convcost.analyses import analyse
from convcost.errors import ConvcostError, printable
from convcost.measure.settings import ITEMSIZES, Settings
from convcost.ops import Shape
from convcost.report import METRICS, Finding, Report, Row, Value, exact, number
from convcost.search.candidates import Candidate
from convcost.search.front import is_dominated, spread
from convcost.search.suggest import Bounds, Found, Miss, search
from convcost.sources.spec import load_spec
from convcost.sources.spec_text import spec_text
from convcost.units import FORMATTERS, format_percent, format_seconds
from convcost.variants import STANDARD, parse_variant
from convcost.variants.rewrite import Choice
from convcost.variants.mixed import Mixed, rewrite_mixed, steps_of
from convcost.workflows.compare import (
    CompareRequest,
    compare_graphs,
    is_model,
    need_spec_request,
    spec_path,
)
from convcost.workflows.designs import Bases, Source, bases_of, model_source, spec_source
from convcost.workflows.environment import environment

if TYPE_CHECKING:
    from convcost.graph import Graph
    from convcost.workflows.alternatives import Alternative

Notify = Callable[[str, float | None], None]
MOST_MEASURED = 6
"""Designs that are measured beside the source as it stands."""


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


def suggest(request: SuggestRequest, notify: Notify = lambda *_: None) -> Report:
    """The designs that no other beats, cheapest first, after the source as it stands.

    Raises:
        ConvcostError: no bound is given, or the source can't be loaded or run.
    """
    if not any(bound is not None for bound in request.bounds):
        raise ConvcostError(
            "suggest needs a bound: what must the design keep?",
            "for example --min-receptive-field 300, --max-multiplications 1.5G, --min-density 1",
        )
    source = _source(request, notify)
    searched = _searched(request, source, notify)
    designs = spread(searched.found.front, MOST_MEASURED)
    if searched.found.nearest is not None:
        designs = [searched.found.nearest[0]]
    rows, outcome = _rows(request, source, designs, notify)
    return _report(request, searched, designs, rows, outcome)


def _source(request: SuggestRequest, notify: Notify) -> Source:
    compared = CompareRequest(
        request.source,
        only=request.only,
        keep=request.keep,
        settings=request.settings,
        arguments=request.arguments,
        inputs=request.inputs,
    )
    if is_model(request.source):
        from convcost.workflows.compare_model import load  # noqa: PLC0415  torch

        loaded, graph, notices = load(compared, notify, real=request.measure)
        return model_source(loaded, graph, Choice(request.only, request.keep), notices)
    need_spec_request(compared)
    itemsize = ITEMSIZES[request.settings.dtype]
    spec = load_spec(spec_path(request.source), 1, itemsize, parse_variant)
    return spec_source(spec.graph, request.only, request.keep)


def _searched(request: SuggestRequest, source: Source, notify: Notify) -> Searched:
    start = time.perf_counter()
    bounds = request.bounds
    if bounds.min_density is None:
        # nobody asks for holes: what is seen must be seen as fully as it is now
        density = source.costs.totals["receptive_field_density"].value
        bounds = bounds._replace(min_density=density if isinstance(density, float) else None)
    bases = bases_of(source, bounds, chosen=bool(request.only or request.keep))
    found = search(bases.bases, bounds, lambda share: notify("counting candidates", share))
    return Searched(source, bases, bounds, found, time.perf_counter() - start)


def _rows(
    request: SuggestRequest, source: Source, designs: Sequence[Candidate], notify: Notify
) -> tuple[tuple[Row, ...], object]:
    designs = [design for design in designs if design.text != str(STANDARD)]
    if source.loaded is None:
        graphs = {str(STANDARD): source.graph}
        graphs |= {design.text: spec_design(design) for design in designs}
        rows, outcome = compare_graphs(graphs, request.settings, notify, measure=request.measure)
    else:
        rows, outcome = _model_rows(request, source, designs, notify)
    by_text = {design.text: design for design in designs}
    return tuple(_with_making(row, by_text, request, source) for row in rows), outcome


def spec_design(design: Candidate) -> Graph:
    """The graph of a spec's design."""
    graph, mixed = design.base.graph, design.mixed
    if design.base.last is not None:
        # its base has that last step taken already
        mixed = Mixed(steps_of(mixed)[:-1])
    steps = [s for s in steps_of(mixed) if s.variant != STANDARD]
    return rewrite_mixed(graph, Mixed(tuple(steps)))


def _model_rows(
    request: SuggestRequest, source: Source, designs: Sequence[Candidate], notify: Notify
) -> tuple[tuple[Row, ...], object]:
    from convcost.workflows.alternatives import (  # noqa: PLC0415  torch
        alternative,
        as_it_stands,
        output_shape,
        summaries,
    )
    from convcost.workflows.compare_model import (  # noqa: PLC0415  torch
        measure_sides,
        measured_side,
    )

    loaded = source.loaded
    assert loaded is not None  # noqa: S101  the caller's own condition
    choice = Choice(request.only, request.keep)
    sides: list[Alternative] = [as_it_stands(loaded, source.graph)]
    for design in designs:
        notify(f"rewriting as {design.text}", None)
        sides.append(alternative(loaded, source.graph, design.mixed, choice, share=True))
    outcome = measure_sides(loaded, sides, request.settings, notify) if request.measure else None
    rows = []
    for side, values in zip(sides, summaries(sides), strict=True):
        more = measured_side(side, sides[0], outcome) if outcome else {}
        rows.append(Row(loaded.name, side.name, "network", "", output_shape(side), {**values, **more}))
    return tuple(rows), outcome


def _with_making(
    row: Row, designs: Mapping[str, Candidate], request: SuggestRequest, source: Source
) -> Row:
    """A row with what makes it: the command, and of a spec its text."""
    values = dict(row.values)
    design = designs.get(row.variant)
    if design is not None:
        if not design.base.text or design.base.last is not None:
            values["command"] = exact(_command(request, design))
        text = spec_text(spec_design(design)) if source.loaded is None else None
        if text is not None:
            values["spec"] = exact(text)
    return row._replace(values=values)


def _command(request: SuggestRequest, design: Candidate) -> str:
    words = ["convcost", "rewrite" if is_model(request.source) else "compare", request.source]
    words += ["--variant", design.text]
    for option, globs in (("--only", request.only), ("--keep", request.keep)):
        words += [word for glob in globs for word in (option, glob)]
    for shape in request.inputs:
        words += ["--input", "x".join(map(str, shape))]
    for key, value in request.arguments.items():
        words += ["--set", f"{key}={'null' if value is None else value}"]
    if is_model(request.source):
        words += ["--output", "design.pt2"]
    return shlex.join(words)


def _report(
    request: SuggestRequest,
    searched: Searched,
    designs: Sequence[Candidate],
    rows: tuple[Row, ...],
    outcome: object,
) -> Report:
    found = searched.found
    kept, beaten = _undominated(rows)
    measured = getattr(outcome, "environment", None)
    totals = {
        "candidates": exact(found.tried),
        "dominated": exact(found.dominated),
        "search_time": Value("measured", searched.seconds),
    }
    interrupted = bool(getattr(outcome, "interrupted", False))
    return Report(
        kind="suggest",
        source=printable(request.source),
        input=tuple(n.shape for n in searched.source.graph.nodes if not n.inputs and n.shape)[:1],
        environment={
            **environment(request.settings, measured),
            **{key: bound for key, bound in searched.bounds._asdict().items() if bound is not None},
        },
        rows=kept,
        totals=totals,
        findings=tuple(_findings(searched, kept, designs)),
        notices=(
            *searched.source.notices,
            *_notices(searched, designs, beaten),
            *(("interrupted: only what was measured before is shown",) if interrupted else ()),
        ),
        interrupted=interrupted,
    )


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
    return (number(values["multiplications"]), -_least(values["receptive_field"]),
            -_least(values["effective_stride"], -1))


def _least(value: Value, sign: int = 1) -> float:
    """The least size of all axes; with ``sign`` -1 the largest, negated."""
    if not isinstance(value.value, tuple):
        return float("inf") * sign
    return min((sign * size for size in value.value if not isinstance(size, str)), default=float("inf"))


def _is_faster(one: Row, other: Row) -> bool:
    mine, its = one.values.get("latency_ratio"), other.values["latency_ratio"]
    high = 1.0 if mine is None else mine.high
    return high is not None and its.low is not None and high < its.low


def _findings(searched: Searched, rows: Sequence[Row], designs: Sequence[Candidate]) -> Iterator[Finding]:
    """What says that a bound can't be met, and by how much the nearest design fails."""
    nearest = searched.found.nearest
    if nearest is not None:
        candidate, misses = nearest
        text = "; ".join(_missed(miss, searched.bounds) for miss in misses)
        yield Finding(
            searched.source.graph.name,
            candidate.text,
            misses[0].bound.partition("_")[2],
            f"no design of {searched.found.tried:,} keeps all bounds; this comes nearest: {text}",
        )
        return
    limit = searched.bounds.max_latency
    timed = [row for row in rows if "latency" in row.values and row.values["latency"].value is not None]
    if limit is None or not timed:
        return
    fastest = min(timed, key=lambda row: number(row.values["latency"]))
    latency = number(fastest.values["latency"])
    if latency > limit:
        yield Finding(
            fastest.name,
            fastest.variant,
            "latency",
            f"no design that was measured takes {format_seconds(limit)} or less; this comes "
            f"nearest: {format_seconds(latency)}, {format_percent(latency / limit - 1)} more",
        )


_METRIC_OF = {"min_density": "receptive_field_density"}


def _missed(miss: Miss, bounds: Bounds) -> str:
    limit = getattr(bounds, miss.bound)
    way, _, name = miss.bound.partition("_")
    key = _METRIC_OF.get(miss.bound, name)
    write = FORMATTERS[METRICS[key].unit]
    than = "more than at most" if way == "max" else "less than at least"
    return f"{METRICS[key].label} {write(miss.found)}, {format_percent(miss.share)} {than} {write(limit)}"


def _notices(
    searched: Searched, designs: Sequence[Candidate], beaten: Sequence[str]
) -> Iterator[str]:
    found = searched.found
    missed = ", ".join(f"{count:,} by {bound.replace('_', '-')}" for bound, count in found.missed.items())
    yield (
        f"{found.tried:,} designs counted in {format_seconds(searched.seconds)}"
        + (f"; left out: {missed}" if missed else "")
        + (f"; no better than another on paper: {found.dominated:,}" if found.dominated else "")
    )
    left = len(found.front) - len(designs)
    if left > 0:
        yield f"{left} more designs of the front on paper, between these, were not measured"
    if beaten:
        yield f"measured, and beaten by another in all: {', '.join(beaten)}"
    if searched.bases.not_tried:
        yield f"not tried: {'; '.join(searched.bases.not_tried)}"
    yield "costs say nothing of what a design learns: train it before you choose it"
