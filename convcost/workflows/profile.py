"""One row per layer of a model, and totals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from convcost.analyses import Costs, analyse
from convcost.errors import ConvcostError, printable
from convcost.graph import Graph
from convcost.measure.settings import Device, Settings, need_plain_calls
from convcost.notify import Notify, silently
from convcost.ops import Input
from convcost.report import EffectiveField, Report, Row
from convcost.uncollected import uncollected
from convcost.workflows.advice import OF_CODE, advising, with_notices
from convcost.workflows.choose import choose, selection
from convcost.workflows.effective import effective_field_of
from convcost.workflows.environment import as_made, environment
from convcost.workflows.fold import Group, layer_groups, module_groups, op_groups, rows_of
from convcost.workflows.in_place import total_latency, with_latency
from convcost.workflows.measured import INTERRUPTED, need_memory
from convcost.workflows.roofline import on_roofline, works
from convcost.workflows.seen import seen_positions
from convcost.workflows.verify import verification, verification_findings

if TYPE_CHECKING:
    from torch import nn

    from convcost.measure.in_place import InPlace
    from convcost.sources.model import LoadedModel


class ProfileRequest(NamedTuple):
    """What to profile: ``arguments`` go to a factory; ``inputs`` are as in ``convcost.profile``.

    ``expand`` shows ops, ``depth`` folds modules; ``sort`` is a metric, ``top`` a number of rows,
    ``glob`` chooses rows by name; ``pictures`` keeps what only pictures
    show. The totals are always those of the whole model.
    """

    source: str
    arguments: Mapping[str, object] = {}
    inputs: object = None
    expand: bool = False
    depth: int | None = None
    sort: str | None = None
    top: int | None = None
    glob: str | None = None
    verify: bool = False
    measure: bool = True
    settings: Settings = Settings()
    pictures: bool = False
    effective_field: bool = False


def profile(request: ProfileRequest, notify: Notify = silently) -> Report:
    """The costs of a model that ``request.source`` names.

    Raises:
        ConvcostError: it can't be loaded or run.
    """
    loaded = _loaded(request, notify, real=_runs(request))
    reload = partial(_loaded, request, notify, real=True)
    return profile_loaded(loaded, request, notify, reload=reload)


def profile_given(
    model: nn.Module | str,
    input: object,  # noqa: A002  the option's name
    request: ProfileRequest,
) -> Report:
    """The costs of a module, or of what a SOURCE names, for an ``input`` of any form.

    Raises:
        ConvcostError: it can't be loaded or run so.
    """
    from convcost.sources.model import from_module  # noqa: PLC0415

    with advising(OF_CODE):
        if isinstance(model, str):
            return with_notices(profile(request._replace(inputs=input)), OF_CODE)
        if request.arguments:
            raise ConvcostError(
                "arguments are for a factory, and a module is already built",
                "give none, or name the factory: 'model.py:attr'",
            )
        loaded = from_module(model, input)
        return profile_loaded(loaded, _where_it_is(request, loaded))


def _where_it_is(request: ProfileRequest, loaded: LoadedModel) -> ProfileRequest:
    """A user's own module is measured on its own device: it must not be moved.

    Raises:
        ConvcostError: another is asked for.
    """
    device = next((p.device.type for p in loaded.module.parameters()), request.settings.device)
    made = request.settings._replace(device=cast("Device", device))
    return request._replace(settings=_unless_asked(request.settings, made))


def _as_made(request: ProfileRequest, loaded: LoadedModel) -> ProfileRequest:
    """A model runs in the dtype and the memory format that it was made with.

    Raises:
        ConvcostError: others are asked for.
    """
    made = as_made(request.settings, loaded.module)
    if request.measure:
        from convcost.measure.place import format_of  # noqa: PLC0415  torch

        made = made._replace(memory_format=format_of(loaded.module))
    return request._replace(settings=_unless_asked(request.settings, made))


def _unless_asked(asked: Settings, made: Settings) -> Settings:
    """``made``, where nothing else is asked for than it says.

    Raises:
        ConvcostError: something is.
    """
    for key, wanted in asked._asdict().items():
        there = getattr(made, key)
        if wanted not in (there, Settings._field_defaults[key]):
            raise ConvcostError(
                f"settings: {key} is {wanted}, and the model is made as {there}",
                "profile takes a model as it is: change the model with its own .to()",
            )
    return made


def _runs(request: ProfileRequest) -> bool:
    """Whether the model is run, so that its parameters must have data."""
    return request.measure or request.verify or request.effective_field


def _loaded(request: ProfileRequest, notify: Notify = silently, *, real: bool) -> LoadedModel:
    """The model that ``request.source`` names; ``real`` with data in its parameters."""
    notify("loading torch", None)
    from convcost.measure.machine import with_seed  # noqa: PLC0415  torch
    from convcost.sources.model import load_model  # noqa: PLC0415  torch

    notify(f"loading {request.source}", None)
    with with_seed(request.settings.seed):
        return load_model(request.source, request.arguments, request.inputs, real=real)


def _effective(
    loaded: LoadedModel, graph: Graph, costs: Costs, request: ProfileRequest, notify: Notify
) -> tuple[EffectiveField | None, tuple[str, ...]]:
    """The field, where it is asked for and known, and a notice where it isn't known."""
    if not request.effective_field:
        return None, ()
    found = effective_field_of(
        loaded,
        graph,
        costs,
        request.settings,
        lambda share: notify("following gradients", share),
    )
    if isinstance(found, str):
        return None, (f"the effective receptive field can't be shown: {found}",)
    return found, ()


def profile_loaded(
    loaded: LoadedModel,
    request: ProfileRequest,
    notify: Notify = silently,
    *,
    reload: Callable[[], LoadedModel] | None = None,
) -> Report:
    """The costs of a model that is there; ``reload`` gives it with data, where it has none.

    Raises:
        ConvcostError: it can't be run so.
    """
    if request.measure:
        need_plain_calls(request.settings, "profile")
    if request.expand and request.depth is not None:
        raise ConvcostError("--expand shows ops, --depth folds modules", "give one of them")
    notify("tracing", None)
    with uncollected():
        loaded, graph, notices = traced(loaded, request.source, reload)
        request = _as_made(request, loaded)
        costs = analyse(graph)
        groups = _groups(graph, request)
        rows = list(rows_of(graph, costs, groups))
    effective, unseen = _effective(loaded, graph, costs, request, notify)
    totals = dict(costs.totals)
    measured, counts = _run(loaded, graph, costs, request, notify)
    if measured is not None:
        work = partial(works, graph, costs)
        rows = with_latency(rows, groups, _layers(graph), measured, work)
        totals |= total_latency(measured)
        totals |= on_roofline(work(), measured.ceilings, totals["latency"])
        notices += (*measured.notices, *_doubts(measured), *_stopped(measured))
    asked = request.glob, request.sort, request.top
    chosen = choose(rows, *asked)
    return Report(
        kind="profile",
        source=printable(request.source),
        input=tuple(node.shape for node in graph.nodes if isinstance(node.op, Input)),
        environment=environment(request.settings, measured and measured.environment),
        rows=tuple(chosen),
        totals=totals,
        seen=seen_positions({"standard": graph}) if request.pictures else (),
        effective_field=effective,
        verification=counts,
        findings=tuple(verification_findings(counts)),
        notices=(*loaded.notices, *notices, *unseen),
        interrupted=measured is not None and measured.interrupted,
        selection=selection(rows, chosen, *asked),
    )


def _doubts(measured: InPlace) -> tuple[str, ...]:
    if not measured.doubts:
        return ()
    return (f"these latencies are not to be trusted: {'; '.join(measured.doubts)}",)


def _stopped(measured: InPlace) -> tuple[str, ...]:
    return (INTERRUPTED,) if measured.interrupted else ()


def traced(
    loaded: LoadedModel, source: str, reload: Callable[[], LoadedModel] | None
) -> tuple[LoadedModel, Graph, tuple[str, ...]]:
    """The model's graph; one on the meta device is loaded again where the pass needs data.

    Raises:
        ConvcostError: the pass fails.
    """
    from convcost.sources.forward import NeedsDataError, run_forward  # noqa: PLC0415

    try:
        try:
            return loaded, *run_forward(loaded, source)
        except NeedsDataError:
            if reload is None:
                raise
        # the inputs stay: they may have been given by hand
        again = reload()._replace(args=loaded.args, kwargs=loaded.kwargs)
        return again, *run_forward(again, source)
    except NeedsDataError as error:
        raise ConvcostError(
            f"{source}: the model is on the meta device, and its forward needs data: {error}",
            "give it with real parameters",
        ) from error


def _groups(graph: Graph, request: ProfileRequest) -> list[Group]:
    if request.expand:
        return op_groups(graph)
    if request.depth is not None:
        return module_groups(graph, request.depth)
    return layer_groups(graph)


def _layers(graph: Graph) -> list[Group]:
    """What takes time: every layer but the inputs."""
    groups = layer_groups(graph)
    return [group for group in groups if not isinstance(graph.nodes[group.nodes[0]].op, Input)]


def _run(
    loaded: LoadedModel, graph: Graph, costs: Costs, request: ProfileRequest, notify: Notify
) -> tuple[InPlace | None, tuple[Row, ...]]:
    """What only running the model tells: its latency and the second counts, where asked for."""
    if not request.measure and not request.verify:
        return None, ()
    if request.measure:
        need_memory([costs], loaded.module, request.settings)
    from convcost.measure.machine import with_seed  # noqa: PLC0415  torch
    from convcost.sources.module_state import ModuleState  # noqa: PLC0415

    seed = request.settings.seed
    with ModuleState(loaded.module).kept_with_data(), redirect_stdout(sys.stderr), with_seed(seed):
        if request.verify:
            notify("counting with fvcore and FlopCounterMode", None)
        counts = verification(loaded, graph, costs) if request.verify else ()
        measured = _measure(loaded, graph, request.settings, notify) if request.measure else None
    return measured, counts


def _measure(loaded: LoadedModel, graph: Graph, settings: Settings, notify: Notify) -> InPlace:
    from convcost.measure.in_place import measure_in_place  # noqa: PLC0415

    calls = [group.module for group in _layers(graph) if group.is_call]
    return measure_in_place(loaded.module, loaded.args, loaded.kwargs, calls, settings, notify)
