"""The cheapest designs that meet a need: searched on paper, the few that are left measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from convcost.analyses.receptive_field import find_network_field
from convcost.errors import ConvcostError
from convcost.measure.settings import ITEMSIZES
from convcost.notify import Notify, silently
from convcost.report import Report, Row
from convcost.search.candidates import Candidate
from convcost.search.front import spread
from convcost.search.suggest import search
from convcost.sources.source import is_model
from convcost.sources.spec import load_spec
from convcost.uncollected import uncollected
from convcost.variants import STANDARD, parse_variant
from convcost.variants.rewrite import Choice
from convcost.workflows.compare import (
    CompareRequest,
    compare_graphs,
    need_spec_request,
    spec_path,
)
from convcost.workflows.designs import Source, bases_of, model_source, spec_source
from convcost.workflows.environment import as_made
from convcost.workflows.suggested import (
    Searched,
    SuggestRequest,
    spec_design,
    suggested,
    with_making,
)

if TYPE_CHECKING:
    from convcost.measure.execute import Outcome
    from convcost.workflows.alternatives import Alternative

MOST_MEASURED = 6
"""Designs that are measured beside the source as it stands."""


def suggest(request: SuggestRequest, notify: Notify = silently) -> Report:
    """The designs that no other beats, cheapest first, after the source as it stands.

    Raises:
        ConvcostError: no bound is given, or the source can't be loaded or run.
    """
    if not any(bound is not None for bound in request.bounds):
        raise ConvcostError(
            "suggest needs a bound: what must the design keep?",
            "for example --min-receptive-field 300, --max-multiplications 1.5G, --min-density 1",
        )
    if request.bounds.max_latency is not None and not request.measure:
        raise ConvcostError(
            "--max-latency is a bound on what is measured", "leave out --no-measure or the bound"
        )
    source = _source(request, notify)
    _need_known_field(request, source)
    if source.loaded is not None:
        request = request._replace(settings=as_made(request.settings, source.loaded.module))
    searched = _searched(request, source, notify)
    designs = spread(searched.found.front, MOST_MEASURED)
    if searched.found.nearest is not None:
        designs = [searched.found.nearest[0]]
    rows, outcome = _rows(request, source, designs, notify)
    return suggested(request, searched, designs, rows, outcome)


def _need_known_field(request: SuggestRequest, source: Source) -> None:
    """Does nothing where the bounds on the receptive field can be judged.

    Raises:
        ConvcostError: they can't, for the source's own isn't known exactly.
    """
    bounds = request.bounds
    if bounds.min_receptive_field is None and bounds.min_density is None:
        return
    field = find_network_field(source.graph)["receptive_field"]
    if field.status != "exact":
        raise ConvcostError(
            f"{request.source}: the receptive field isn't known exactly: {field.reason}",
            "no design can be held to what isn't known: leave the bound on the field out",
        )


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


@uncollected()
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
) -> tuple[tuple[Row, ...], Outcome | None]:
    designs = [design for design in designs if design.text != str(STANDARD)]
    if source.loaded is None:
        graphs = {str(STANDARD): source.graph}
        graphs |= {d.text: spec_design(d, request.only, request.keep) for d in designs}
        rows, outcome = compare_graphs(graphs, request.settings, notify, measure=request.measure)
    else:
        rows, outcome = _model_rows(request, source, designs, notify)
    by_text = {design.text: design for design in designs}
    return tuple(with_making(row, by_text, request, source) for row in rows), outcome


def _model_rows(
    request: SuggestRequest, source: Source, designs: Sequence[Candidate], notify: Notify
) -> tuple[tuple[Row, ...], Outcome | None]:
    from convcost.workflows.alternatives import (  # noqa: PLC0415  torch
        alternative,
        as_it_stands,
        output_shape,
        summaries,
    )
    from convcost.workflows.compare_model import (  # noqa: PLC0415  torch
        measure_alternatives,
        measured_values_of,
    )

    loaded = source.loaded
    assert loaded is not None  # noqa: S101  the caller's own condition
    choice = Choice(request.only, request.keep)
    sides: list[Alternative] = [as_it_stands(loaded, source.graph)]
    for design in designs:
        notify(f"rewriting as {design.text}", None)
        sides.append(alternative(loaded, source.graph, design.mixed, choice, share=True))
    outcome = (
        measure_alternatives(loaded, sides, request.settings, notify) if request.measure else None
    )
    rows = []
    for side, values in zip(sides, summaries(sides), strict=True):
        more = measured_values_of(side.name, side, sides[0], outcome) if outcome else {}
        rows.append(
            Row(loaded.name, side.name, "network", "", output_shape(side), {**values, **more})
        )
    return tuple(rows), outcome
