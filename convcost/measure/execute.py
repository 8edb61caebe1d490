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
from convcost.measure.ceilings_cache import Ceilings
from convcost.measure.clocks import Call, clock_for
from convcost.measure.comparison import Comparison, Protocol, measure_calls
from convcost.measure.intervals import Estimate
from convcost.measure.machine import describe, find_device, need_bytes, settled
from convcost.measure.modules import build_module, check_output, has_string_padding
from convcost.measure.roofline import ceilings_for
from convcost.measure.second_count import count_with_fvcore
from convcost.measure.settings import Settings
from convcost.measure.verify import SecondCount, fvcore_count
from convcost.measure.waiting import processors, waited_seconds

Notify = Callable[[str, float | None], None]
"""Told what is being done, and the share that is done where it is known."""


class Outcome(NamedTuple):
    """What running the variants gave; without a complete round ``latencies`` is empty.

    ``comparisons`` holds every candidate but the first, which is the reference;
    ``string_padded`` the layers that ran with torch's string padding. Models have
    ``second_counts`` in place of both counts of a spec.
    """

    fvcore_multiplications: Mapping[str, int]
    string_padded: Mapping[str, tuple[str, ...]]
    latencies: Mapping[str, Estimate]
    comparisons: Mapping[str, Comparison]
    ceilings: Ceilings
    environment: Mapping[str, str | int | float]
    interrupted: bool
    second_counts: Mapping[str, SecondCount] = {}


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
        outcome = _outcome(calls, device, threads, settings, notify)
    padded = {name: _string_padded(graph) for name, graph in graphs.items()}
    return outcome._replace(fvcore_multiplications=counts, string_padded=padded)


def execute_modules(
    modules: Mapping[str, nn.Module],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    settings: Settings,
    notify: Notify,
) -> Outcome:
    """Counts and times modules on the device, all called alike; the first is the reference.

    Raises:
        ConvcostError: torch refuses to run one.
    """
    device = find_device(settings.device)
    counts: dict[str, SecondCount] = {}
    with settled(settings.threads) as threads, torch_errors(settings):
        for name, module in modules.items():
            notify(f"counting {name}", None)
            counts[name] = fvcore_count(module, args, kwargs)
        calls = {name: partial(module, *args, **kwargs) for name, module in modules.items()}
        outcome = _outcome(calls, device, threads, settings, notify)
    return outcome._replace(second_counts=counts)


def _outcome(
    calls: Mapping[str, Call],
    device: torch.device,
    threads: int,
    settings: Settings,
    notify: Notify,
) -> Outcome:
    calls = {name: _call(call, device, settings) for name, call in calls.items()}
    notify("measuring the machine's ceilings", None)
    ceilings = ceilings_for(device, settings.dtype)

    def progress(rounds: int, share: float) -> None:
        notify(f"measuring, round {rounds}", share)

    found = measure_calls(calls, protocol(device, threads, settings), progress)
    environment = {**describe(device, threads, found.rounds), "cuda_graph": settings.cuda_graph}
    return Outcome(
        {}, {}, found.latencies, found.comparisons, ceilings, environment, found.interrupted
    )


def protocol(device: torch.device, threads: int, settings: Settings) -> Protocol:
    """How this machine is measured as ``settings`` say."""
    return Protocol(
        settings.seconds,
        settings.delta,
        clock_for(device),
        Random(settings.seed),  # noqa: S311  an order, no secret
        waited_seconds,
        threads,
        processors(),
    )


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
