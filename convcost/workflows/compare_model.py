"""Variants of a model side by side."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from convcost.errors import ConvcostError, printable
from convcost.graph import Graph
from convcost.measure.settings import Settings
from convcost.notify import Notify
from convcost.ops import Input
from convcost.report import Finding, Report, Row, Value
from convcost.sources.source import ends_in
from convcost.variants import STANDARD, VARIANTS, Variant, parse_variant
from convcost.variants.dense import halved_stride
from convcost.variants.mixed import Mixed
from convcost.variants.rewrite import Choice
from convcost.workflows.alternatives import (
    Alternative,
    alternative,
    as_it_stands,
    changed_layers,
    is_dense,
    output_shape,
    summaries,
)
from convcost.workflows.axes import Side, layers_notice, requests, sides, varied
from convcost.workflows.environment import as_made, environment
from convcost.workflows.measured import (
    INTERRUPTED,
    need_memory,
    second_count_findings,
    timed_values,
)
from convcost.workflows.proof import proof_findings, prove
from convcost.workflows.roofline import became_memory_bound, on_roofline, works
from convcost.workflows.seen import seen_positions
from convcost.workflows.verify import second_count

if TYPE_CHECKING:
    from convcost.measure.execute import Outcome
    from convcost.sources.model import LoadedModel
    from convcost.workflows.compare import CompareRequest


class Compared(NamedTuple):
    """The model as it stands and as its variants at one point of the axes, and what to know."""

    loaded: LoadedModel
    sides: Sequence[Side]
    alternatives: Sequence[Alternative]
    notices: tuple[str, ...]


def compare_model(request: CompareRequest, notify: Notify) -> Report:
    """The costs of each variant of the model that ``request.source`` names.

    Raises:
        ConvcostError: it can't be loaded, rewritten or run as asked.
    """
    points = requests(request)
    if any(point.batch != 1 for point, _ in points):
        raise ConvcostError("--batch is for specs", "a model's input has its batch: use --input")
    found = [_compared(point, differs, notify) for point, differs in points]
    outcome = _measure(found, notify) if request.measure else None
    if _is_complete(outcome) and any(map(is_dense, found[0].alternatives)):
        notify("comparing outputs with the original", None)
    rows = tuple(row for compared in found for row in _rows(compared, outcome))
    first = found[0]
    settings = first.sides[0].settings
    reference, *others = first.alternatives
    return Report(
        kind="compare",
        source=printable(str(request.source)),
        input=input_shapes(reference.graph),
        environment={
            **environment(settings, outcome and outcome.environment),
            **varied(request),
        },
        rows=rows,
        layers=tuple(row for other in others for row in changed_layers(other, reference))
        if request.per_layer
        else (),
        seen=seen_positions({one.name: one.graph for one in first.alternatives})
        if request.pictures
        else (),
        findings=tuple(_findings(found, rows)),
        notices=(*_notices(first, outcome), *layers_notice(request)),
        interrupted=outcome is not None and outcome.interrupted,
    )


def _is_complete(outcome: Outcome | None) -> bool:
    """Whether all was measured: after Ctrl-C nothing more is begun."""
    return outcome is not None and not outcome.interrupted


def input_shapes(graph: Graph) -> tuple[tuple[int, ...], ...]:
    """The shapes of the tensors that a model was called with."""
    return tuple(node.shape for node in graph.nodes if isinstance(node.op, Input))


def load(
    request: Any, notify: Notify, *, real: bool, cast: bool = False
) -> tuple[LoadedModel, Graph, tuple[str, ...]]:
    """The model that ``request`` names, its trace and notices.

    It is in the dtype that is asked for; float32 leaves it as it was made, but with ``cast``.

    Raises:
        ConvcostError: it can't be loaded or run, or it has no modules.
    """
    notify("loading torch", None)
    from convcost.measure.machine import with_seed  # noqa: PLC0415  the same
    from convcost.sources.model import load_model  # noqa: PLC0415  the same
    from convcost.workflows.profile import traced  # noqa: PLC0415  the same

    source = str(request.source)
    if ends_in(source, ".pt2"):
        raise ConvcostError(
            f"{source}: an exported program has no modules left to rewrite: it is a list of ops",
            "rewrite the model that it was exported from, and export that",
        )

    def loaded(*, real: bool) -> LoadedModel:
        with with_seed(request.settings.seed):
            found = load_model(source, request.arguments, request.inputs, real=real)
        return _with_dtype(found, request.settings, cast=cast)

    notify(f"loading {source}", None)
    model = loaded(real=real)
    notify("tracing", None)
    model, graph, notices = traced(model, source, lambda: loaded(real=True))
    return model, graph, (*model.notices, *notices)


def _with_dtype(loaded: LoadedModel, settings: Settings, *, cast: bool) -> LoadedModel:
    if settings.dtype == Settings().dtype and not cast:
        # a model keeps the dtype that it was made with
        return loaded
    from convcost.measure.models import with_dtype  # noqa: PLC0415  torch

    placed = with_dtype(loaded.module, loaded.args, loaded.kwargs, settings)
    return loaded._replace(
        module=placed.module, args=tuple(placed.args), kwargs=dict(placed.kwargs)
    )


def _compared(request: CompareRequest, differs: Mapping[str, Any], notify: Notify) -> Compared:
    cast = "dtype" in varied(request)
    loaded, graph, notices = load(request, notify, real=request.measure, cast=cast)
    from convcost.measure.machine import with_seed  # noqa: PLC0415  torch
    from convcost.variants.modules import copied  # noqa: PLC0415  torch

    if request.measure and {"dtype", "memory_format"} & varied(request).keys():
        # each point places the weights its own way, and an import gives one module to all
        loaded = loaded._replace(module=copied(loaded.module, {}))
    choice = Choice(request.only, request.keep)
    found = [as_it_stands(loaded, graph)]
    variants = request.variants or _all_variants(request, graph)
    for variant in {str(v): v for v in variants if v != STANDARD}.values():
        notify(f"rewriting as {variant}", None)
        try:
            with with_seed(request.settings.seed):
                found.append(alternative(loaded, graph, variant, choice, share=True))
        except ConvcostError as error:
            if request.variants or str(variant).partition(":")[0] != "dense":
                raise
            notices = (*notices, f"{variant} is left out: {error.message}")
    names = [one.name for one in found]
    settings = as_made(request.settings, loaded.module)
    return Compared(loaded, list(sides(names, settings, differs)), found, notices)


def _all_variants(request: CompareRequest, graph: Graph) -> tuple[Variant | Mixed, ...]:
    """Everything that makes sense here; dense, which chooses its layers itself, at half stride."""
    variants = tuple(map(parse_variant, VARIANTS))
    half = halved_stride(graph)
    if not half or request.only or request.keep:
        return variants
    return (*variants, Variant("dense", {"output_stride": half}))


def measure_alternatives(
    loaded: LoadedModel, found: Sequence[Alternative], settings: Settings, notify: Notify
) -> Outcome:
    """Times a model and its alternatives; the first is the reference.

    Raises:
        ConvcostError: one doesn't run as asked.
    """
    settings = as_made(settings, loaded.module)
    compared = Compared(loaded, list(sides((one.name for one in found), settings)), found, ())
    return _measure([compared], notify)


def _measure(found: Sequence[Compared], notify: Notify) -> Outcome:
    from convcost.measure.execute import Runnable, execute_modules  # noqa: PLC0415  torch
    from convcost.measure.models import on_its_device  # noqa: PLC0415  torch
    from convcost.measure.place import torch_errors  # noqa: PLC0415  torch

    every = (one.costs for compared in found for one in compared.alternatives)
    need_memory(every, found[0].loaded.module, found[0].sides[0].settings)
    with redirect_stdout(sys.stderr):
        runnables = {}
        for loaded, found_sides, alternatives, _ in found:
            for side, one in zip(found_sides, alternatives, strict=True):
                with torch_errors(side.settings):
                    placed = on_its_device(one.module, loaded.args, loaded.kwargs, side.settings)
                runnables[side.name] = Runnable(*placed, side.settings, side.reference)
        return execute_modules(runnables, notify)


def _rows(compared: Compared, outcome: Outcome | None) -> Iterator[Row]:
    loaded, found, alternatives, _ = compared
    for side, one, values in zip(found, alternatives, summaries(alternatives), strict=True):
        measured = (
            {} if outcome is None else measured_values_of(side.name, one, alternatives[0], outcome)
        )
        if is_dense(one) and _is_complete(outcome):
            measured["largest_difference"] = on_data(one, compared, side.settings)
        every = {**values, **measured}
        yield Row(loaded.name, side.variant, "network", "", output_shape(one), every, side.differs)


def measured_values_of(
    name: str, one: Alternative, reference: Alternative, outcome: Outcome
) -> dict[str, Value]:
    """What measuring says of an alternative that ran under ``name``, and what bounds it."""
    pools = one.rewritten.pools if one.rewritten else ()
    again = second_count(one.graph, one.costs, outcome.second_counts[name], pools)
    values = {"fvcore_multiplications": again, **timed_values(name, outcome)}
    ceilings = outcome.ceilings.get(name)
    if ceilings is None:
        return values
    values |= on_roofline(works(one.graph, one.costs), ceilings, values["latency"])
    before = (reference.graph, reference.costs)
    lost = became_memory_bound(one.graph, one.costs, before, ceilings)
    if lost:
        values["memory_bound_layers"] = Value("measured", ", ".join(lost))
    return values


def on_data(side: Alternative, compared: Compared, settings: Settings) -> Value:
    """The proof of a dense model, on random data."""
    from convcost.measure.models import on_its_device  # noqa: PLC0415  torch

    reference, loaded = compared.alternatives[0], compared.loaded
    placed = on_its_device(reference.module, loaded.args, loaded.kwargs, settings)
    return prove(side, reference, placed.args, placed.kwargs)


def _findings(found: Sequence[Compared], rows: Sequence[Row]) -> Iterator[Finding]:
    yield from second_count_findings(rows)
    every = iter(rows)
    for compared in found:
        reference, *others = islice(every, len(compared.alternatives))
        for one, row in zip(compared.alternatives[1:], others, strict=True):
            if is_dense(one):
                yield from proof_findings(row.name, one.name, row.values, reference.values)


def _notices(compared: Compared, outcome: Outcome | None) -> Iterator[str]:
    yield from compared.notices
    yield from rewrite_notices(*compared.alternatives)
    if outcome and outcome.interrupted:
        yield INTERRUPTED


def rewrite_notices(*sides: Alternative) -> Iterator[str]:
    """What rewrites left as it is, where one would expect more; what several share is told once."""
    untouched, left = [], dict[str, list[str]]()
    for name, rewritten in ((side.name, side.rewritten) for side in sides if side.rewritten):
        if rewritten.plan is None and not rewritten.layers:
            untouched.append(name)
        for layer in rewritten.left:
            left.setdefault(layer, []).append(name)
    if untouched:
        yield (
            f"{', '.join(untouched)}: nothing is rewritten: every convolution is 1×1, depthwise, "
            "no module of torch's, or left out"
        )
    for names in dict.fromkeys(map(tuple, left.values())):
        layers = (layer for layer, owners in left.items() if tuple(owners) == names)
        yield f"{', '.join(names)}: left as they are: {', '.join(layers)}"
