"""Runs variants of a graph on a sample tensor, counts them again and times them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, NamedTuple

import torch
from torch import nn

from convcost.errors import ConvcostError
from convcost.graph import Graph
from convcost.measure.ceilings_cache import Ceilings
from convcost.measure.clocks import Call, clock_for
from convcost.measure.comparison import Comparison, Measurement, Protocol
from convcost.measure.driver import ClockWatch
from convcost.measure.graphs import captured
from convcost.measure.intervals import Estimate
from convcost.measure.machine import describe, find_device, need_bytes, settled, with_seed
from convcost.measure.modules import build_module, check_output, has_string_padding
from convcost.measure.place import Inputs, place, torch_errors
from convcost.measure.roofline import ceilings_for
from convcost.measure.second_count import count_with_fvcore
from convcost.measure.settings import Settings
from convcost.measure.threads import measure_threaded
from convcost.measure.verify import SecondCount, fvcore_count
from convcost.measure.waiting import processors, waited_seconds
from convcost.notify import Notify

_MOST_COMPILED = 1000


class Candidate(NamedTuple):
    """A variant of a spec and how it runs; ``reference`` names what it is compared with, if any."""

    graph: Graph
    settings: Settings
    reference: str | None


class Runnable(NamedTuple):
    """A model, the arguments of one pass, and how it runs; ``reference`` as of a candidate."""

    module: nn.Module
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    settings: Settings
    reference: str | None


class Outcome(NamedTuple):
    """What running the variants gave; without a complete round ``latencies`` is empty.

    ``comparisons`` holds every candidate that has a reference; ``string_padded`` the layers that
    ran with torch's string padding. ``ceilings`` holds what ran op by op: a compiler joins ops, and
    what each of them takes at least says nothing of the whole. Models have ``second_counts`` in
    place of both counts of a spec.
    """

    fvcore_multiplications: Mapping[str, int]
    string_padded: Mapping[str, tuple[str, ...]]
    latencies: Mapping[str, Estimate]
    comparisons: Mapping[str, Comparison]
    ceilings: Mapping[str, Ceilings]
    environment: Mapping[str, str | int | float]
    interrupted: bool
    second_counts: Mapping[str, SecondCount] = {}


def execute(candidates: Mapping[str, Candidate], needed_bytes: int, notify: Notify) -> Outcome:
    """Builds, checks, counts and times ``candidates``.

    Raises:
        ConvcostError: no such device, too little memory, or torch refuses the settings.
    """
    first = next(iter(candidates.values())).settings
    device = find_device(first.device)
    with torch_errors(first):
        need_bytes(needed_bytes, device)
    inputs = Inputs(device)
    runnables: dict[str, Runnable] = {}
    counts: dict[str, int] = {}
    for name, (graph, settings, reference) in candidates.items():
        notify(f"building and counting {name}", None)
        with settled(settings.threads), torch_errors(settings), with_seed(settings.seed):
            sample = inputs.like(graph.nodes[0].shape, settings)
            module = place(build_module(graph), settings, device)
            check_output(graph, module(sample))
            counts[name] = count_with_fvcore(module, sample)
        runnables[name] = Runnable(module, (sample,), {}, settings, reference)
    outcome = _outcome(runnables, device, notify)
    padded = {name: _string_padded(graph) for name, (graph, *_) in candidates.items()}
    return outcome._replace(fvcore_multiplications=counts, string_padded=padded)


def execute_modules(runnables: Mapping[str, Runnable], notify: Notify) -> Outcome:
    """Counts and times modules on the device.

    Raises:
        ConvcostError: torch refuses to run one.
    """
    device = find_device(next(iter(runnables.values())).settings.device)
    counts: dict[str, SecondCount] = {}
    for name, (module, args, kwargs, settings, _) in runnables.items():
        notify(f"counting {name}", None)
        with settled(settings.threads), torch_errors(settings):
            # what torch refuses is told with the settings that it was refused with
            module(*args, **kwargs)
            counts[name] = fvcore_count(module, args, kwargs)
    return _outcome(runnables, device, notify)._replace(second_counts=counts)


def _outcome(runnables: Mapping[str, Runnable], device: torch.device, notify: Notify) -> Outcome:
    calls: dict[str, Call] = {}
    threads: dict[str, int] = {}
    ceilings: dict[tuple[str, int], Ceilings] = {}
    for name, runnable in runnables.items():
        settings = runnable.settings
        with settled(settings.threads) as threads[name], torch_errors(settings):
            calls[name] = _call(name, runnable, device, notify)
            if settings.compile == "on":
                continue
            notify("measuring the machine's ceilings", None)
            key = settings.dtype, threads[name]
            ceilings[key] = ceilings.get(key) or ceilings_for(device, settings.dtype)
    found, clocks = _measured(runnables, calls, threads, device, notify)
    first, settings = next((name, runnable.settings) for name, runnable in runnables.items())
    return Outcome(
        {},
        {},
        found.latencies,
        found.comparisons,
        {
            name: ceilings[r.settings.dtype, threads[name]]
            for name, r in runnables.items()
            if r.settings.compile == "off"
        },
        {
            **describe(device, threads[first], found.rounds),
            **clocks,
            "cuda_graph": settings.cuda_graph,
        },
        found.interrupted,
    )


def _measured(
    runnables: Mapping[str, Runnable],
    calls: Mapping[str, Call],
    threads: Mapping[str, int],
    device: torch.device,
    notify: Notify,
) -> tuple[Measurement, Mapping[str, str | int]]:
    """All in one run, and what the driver told of the device's clocks meanwhile."""
    references = {name: r.reference for name, r in runnables.items() if r.reference}
    first, settings = next((name, runnable.settings) for name, runnable in runnables.items())
    watch = ClockWatch(device)

    def progress(rounds: int, share: float) -> None:
        watch.look()
        notify(f"measuring, round {rounds}", share)

    with settled(settings.threads), torch_errors(settings):
        plan = protocol(device, threads[first], settings)
        found = measure_threaded(calls, threads, plan, progress, references)
    return found, watch.told()


def protocol(device: torch.device, threads: int, settings: Settings) -> Protocol:
    """How this machine is measured as ``settings`` say."""
    return Protocol(
        settings.seconds,
        settings.delta,
        clock_for(device, cold=settings.cold),
        Random(settings.seed),  # noqa: S311  an order, no secret
        waited_seconds,
        # an accelerator waits for the one thread that calls it
        threads if device.type == "cpu" else 1,
        processors(),
    )


def _string_padded(graph: Graph) -> tuple[str, ...]:
    return tuple(node.name for node in graph.nodes if has_string_padding(node.op))


def _call(name: str, runnable: Runnable, device: torch.device, notify: Notify) -> Call:
    module, args, kwargs, settings, _ = runnable
    call: Call = partial(module, *args, **kwargs)
    if settings.compile == "on":
        notify(f"compiling {name}", None)
        call = partial(torch.compile(module, dynamic=False), *args, **kwargs)
        # all candidates of a class share its forward, and torch stops compiling it after 8 of them
        with torch._dynamo.config.patch(recompile_limit=_MOST_COMPILED):  # noqa: SLF001
            call()
    if not settings.cuda_graph:
        return call
    if device.type != "cuda":
        raise ConvcostError("--cuda-graph needs --device cuda")
    return captured(call)
