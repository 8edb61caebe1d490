"""Runs variants of a graph on a sample tensor, counts them again and times them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from convcost.errors import ConvcostError
from convcost.graph import Graph
from convcost.measure.clocks import Call, clock_for
from convcost.measure.intervals import Estimate, Verdict, estimate, judge, smallest_change
from convcost.measure.machine import describe, find_device, need_bytes, settled
from convcost.measure.modules import build_module, check_output, has_string_padding
from convcost.measure.rounds import Plan, Samples, run_rounds
from convcost.measure.second_count import count_with_fvcore
from convcost.measure.settings import CONFIDENCE, SECONDS_PER_CANDIDATE, Settings

Notify = Callable[[str, float | None], None]
"""Told what is being done, and the share that is done where it is known."""


class Comparison(NamedTuple):
    """One candidate against the reference."""

    ratio: Estimate
    verdict: Verdict
    smallest_change: float


class Outcome(NamedTuple):
    """What running the variants gave; without a complete round ``latencies`` is empty.

    ``comparisons`` holds every candidate but the first, which is the reference;
    ``string_padded`` the layers that ran with torch's string padding.
    """

    fvcore_multiplications: Mapping[str, int]
    string_padded: Mapping[str, tuple[str, ...]]
    latencies: Mapping[str, Estimate]
    comparisons: Mapping[str, Comparison]
    environment: Mapping[str, str | int | float]
    interrupted: bool


def execute(
    graphs: Mapping[str, Graph], needed_bytes: int, settings: Settings, notify: Notify
) -> Outcome:
    """Builds, checks, counts and times ``graphs``; the first is the reference.

    Raises:
        ConvcostError: no such device, too little memory, or torch refuses the settings.
    """
    device = find_device(settings.device)
    need_bytes(needed_bytes, device)
    with settled(settings.threads) as threads, torch.random.fork_rng(), torch_errors(settings):
        torch.manual_seed(settings.seed)
        sample = _sample(next(iter(graphs.values())), settings, device)
        modules: dict[str, nn.Module] = {}
        counts: dict[str, int] = {}
        for name, graph in graphs.items():
            notify(f"building and counting {name}", None)
            modules[name] = place(build_module(graph), settings, device)
            check_output(graph, modules[name](sample))
            counts[name] = count_with_fvcore(modules[name], sample)
        calls = {name: partial(module, sample) for name, module in modules.items()}
        samples = _time(calls, device, settings, notify)
    padded = {name: _string_padded(graph) for name, graph in graphs.items()}
    return _outcome(samples, device, threads, settings)._replace(
        fvcore_multiplications=counts, string_padded=padded
    )


def execute_modules(
    modules: Mapping[str, nn.Module],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    settings: Settings,
    notify: Notify,
) -> Outcome:
    """Times modules that are ready on the device, all called alike; the first is the reference.

    Raises:
        ConvcostError: torch refuses to run one.
    """
    device = find_device(settings.device)
    with settled(settings.threads) as threads, torch_errors(settings):
        calls = {name: partial(module, *args, **kwargs) for name, module in modules.items()}
        samples = _time(calls, device, settings, notify)
    return _outcome(samples, device, threads, settings)


def _outcome(samples: Samples, device: torch.device, threads: int, settings: Settings) -> Outcome:
    rounds = len(next(iter(samples.seconds.values())))
    environment = {**describe(device, threads, rounds), "cuda_graph": settings.cuda_graph}
    latencies, comparisons = _latencies(samples), _comparisons(samples, settings.delta)
    return Outcome({}, {}, latencies, comparisons, environment, samples.interrupted)


def _string_padded(graph: Graph) -> tuple[str, ...]:
    return tuple(node.name for node in graph.nodes if has_string_padding(node.op))


def _sample(graph: Graph, settings: Settings, device: torch.device) -> Tensor:
    shape = graph.nodes[0].shape
    sample = torch.randn(shape, dtype=getattr(torch, settings.dtype)).to(device)
    return sample.to(memory_format=memory_format(settings, len(shape)))


def place(module: nn.Module, settings: Settings, device: torch.device) -> nn.Module:
    """``module`` on the device, in the dtype and the memory format of the settings."""
    module = module.to(device, getattr(torch, settings.dtype))
    for parameter in module.parameters():
        if parameter.dim() > 3:
            layout = memory_format(settings, parameter.dim())
            parameter.data = parameter.data.contiguous(memory_format=layout)
    return module


def memory_format(settings: Settings, dims: int) -> torch.memory_format:
    """Torch's own name of the format that is asked for, for a tensor of ``dims`` dimensions.

    Raises:
        ConvcostError: there is none for so few.
    """
    if settings.memory_format == "contiguous":
        return torch.contiguous_format
    if dims < 4:
        raise ConvcostError(
            "channels_last needs two or three spatial axes, the input has one",
            "use --memory-format contiguous",
        )
    return torch.channels_last if dims == 4 else torch.channels_last_3d


@contextmanager
def torch_errors(settings: Settings) -> Iterator[None]:
    """Torch's refusals as errors of ours: out of memory, an op without a kernel for the dtype."""
    try:
        yield
    except (RuntimeError, TypeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConvcostError(
            f"torch can't run this on {settings.device} as {settings.dtype} "
            f"({settings.memory_format}): {reason}",
            "try another --dtype, --memory-format or --device, or a smaller --batch",
        ) from error


def _time(
    calls: Mapping[str, Call], device: torch.device, settings: Settings, notify: Notify
) -> Samples:
    calls = {name: _call(call, device, settings) for name, call in calls.items()}
    plan = Plan(
        seconds=settings.seconds,
        default_seconds=SECONDS_PER_CANDIDATE * len(calls),
        half_width=settings.delta / 3,
        confidence=_confidence(len(calls) - 1),
    )

    def progress(rounds: int, share: float) -> None:
        notify(f"measuring, round {rounds}", share)

    clock = clock_for(device)
    return run_rounds(calls, plan, clock, Random(settings.seed), progress)  # noqa: S311  an order, no secret


def _call(call: Call, device: torch.device, settings: Settings) -> Call:
    if not settings.cuda_graph:
        return call
    if device.type != "cuda":
        raise ConvcostError("--cuda-graph needs --device cuda")
    call()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def _confidence(comparisons: int) -> float:
    """Of each comparison, so that all of them together keep ``CONFIDENCE`` (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / max(1, comparisons)


def _latencies(samples: Samples) -> dict[str, Estimate]:
    return {name: estimate(times, CONFIDENCE) for name, times in samples.seconds.items() if times}


def _comparisons(samples: Samples, delta: float) -> dict[str, Comparison]:
    reference, *others = samples.seconds
    confidence = _confidence(len(others))
    comparisons = {}
    for name in others if samples.seconds[reference] else ():
        ratio = estimate(samples.ratios(name, reference), confidence)
        comparisons[name] = Comparison(ratio, judge(ratio, delta), smallest_change(ratio, delta))
    return comparisons
