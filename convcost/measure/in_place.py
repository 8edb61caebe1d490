"""A model's layers timed where they run, in one instrumented pass against plain ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from convcost.measure.ceilings_cache import Ceilings
from convcost.measure.clocks import MarkingClock, clock_for
from convcost.measure.comparison import measure_calls
from convcost.measure.driver import ClockWatch
from convcost.measure.execute import protocol
from convcost.measure.intervals import Estimate
from convcost.measure.machine import describe, find_device, home_of, settled, with_seed
from convcost.measure.place import torch_errors
from convcost.measure.roofline import ceilings_for
from convcost.measure.settings import Settings
from convcost.measure.trust import instrument_doubt
from convcost.notify import Notify

_PLAIN, _INSTRUMENTED = "plain", "instrumented"
_DIFFERING = (
    "only the whole is timed: its layers are called otherwise than in the pass without data, as by "
    "torch's fast path for attention, or not alike in all passes"
)


class InPlace(NamedTuple):
    """Seconds of one pass, round by round.

    ``segments`` are, in order of time, the gap before the first call, the first call, the gap
    after it, and so on; empty where the calls weren't those of the trace. ``cost`` is the
    instrumented pass over the plain one. ``doubts`` say why the run can't be trusted.
    """

    segments: Sequence[Sequence[float]]
    total: Estimate | None
    cost: Estimate | None
    ceilings: Ceilings
    doubts: tuple[str, ...]
    environment: Mapping[str, str | int | float]
    notices: tuple[str, ...]
    interrupted: bool


def measure_in_place(  # noqa: PLR0913
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    calls: Sequence[str],
    settings: Settings,
    notify: Notify,
) -> InPlace:
    """Times the modules at the paths ``calls``, called in that order, within whole passes.

    Raises:
        ConvcostError: no such device, or torch refuses to run the model there.
    """
    device = home_of(module, find_device(settings.device))
    with settled(settings.threads) as threads, torch_errors(settings), _current(device):
        module = module.to(device)
        with with_seed(settings.seed):
            inputs, named = on_device(args, kwargs, device)
        watch = _Stopwatch(module, calls, clock_for(device))
        notify("measuring the machine's ceilings", None)
        ceilings = ceilings_for(device, settings.dtype)

        driver = ClockWatch(device)

        def progress(rounds: int, share: float) -> None:
            watch.end_round()
            driver.look()
            notify(f"measuring, round {rounds}", share)

        found = measure_calls(
            {
                _PLAIN: lambda: module(*inputs, **named),
                _INSTRUMENTED: lambda: watch.run(inputs, named),
            },
            protocol(device, threads, settings)._replace(judges=False),
            progress,
        )
        segments = watch.segments(found.times.get(_INSTRUMENTED, 1))
    cost = found.comparisons.get(_INSTRUMENTED)
    differing = "" if segments or not found.rounds else _DIFFERING
    return InPlace(
        segments,
        found.latencies.get(_PLAIN),
        cost and cost.ratio,
        ceilings,
        cost.doubts if cost else (),
        {**describe(device, threads, found.rounds), **driver.told()},
        tuple(filter(None, (differing, cost and instrument_doubt(cost.ratio)))),
        found.interrupted,
    )


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Of several GPUs, the one whose stream events are recorded on."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def on_device(
    args: Sequence[Any], kwargs: Mapping[str, Any], device: torch.device
) -> tuple[list[Any], dict[str, Any]]:
    """A model's arguments on the device, with random data where they are only shapes."""

    def with_data(value: Tensor) -> Tensor:
        data = torch.rand(value.shape, device="cpu").to(value.dtype) if value.is_meta else value
        return data.to(device)

    inputs, named = tree_map_only(Tensor, with_data, (list(args), dict(kwargs)))
    return inputs, named


class _Stopwatch:
    """Marks the clock at the start and the end of each call of some modules."""

    def __init__(self, module: nn.Module, calls: Sequence[str], clock: MarkingClock) -> None:
        self._module = module
        self._expected = list(calls)
        self._modules = {path: module.get_submodule(path) for path in calls}
        self._clock = clock
        self._passes: list[tuple[list[str], list[Any]]] = []
        self._first: list[tuple[list[str], list[Any]]] = []
        self._rounds: list[list[float]] = []

    def run(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """One instrumented pass."""
        called: list[str] = []
        marks: list[Any] = []
        with self._marking(called, marks):
            marks.append(self._clock.mark())
            self._module(*args, **kwargs)
            marks.append(self._clock.mark())
        self._passes.append((called, marks))

    @contextmanager
    def _marking(self, called: list[str], marks: list[Any]) -> Iterator[None]:
        """Each watched module runs its ``forward`` between two marks: cheaper than hooks."""
        mark = self._clock.mark

        def watched(path: str, forward: Callable[..., Any]) -> Callable[..., Any]:
            def run(*args: Any, **kwargs: Any) -> Any:
                called.append(path)
                marks.append(mark())
                result = forward(*args, **kwargs)
                marks.append(mark())
                return result

            return run

        before = [(module, module.__dict__.get("forward")) for module in self._modules.values()]
        for path, module in self._modules.items():
            module.__dict__["forward"] = watched(path, module.forward)
        try:
            yield
        finally:
            for module, forward in before:
                if forward is None:
                    module.__dict__.pop("forward", None)
                else:
                    module.__dict__["forward"] = forward

    def end_round(self) -> None:
        """Keeps what the round's passes took on average in place of their marks.

        Those before the first round are told from its own only at the end.
        """
        if self._first:
            self._rounds.append(self._means(self._passes))
        else:
            self._first = self._passes
        self._passes = []

    def segments(self, times: int) -> list[list[float]]:
        """Seconds of each gap and call, one entry a round; a round had ``times`` passes.

        Empty where a pass made other calls than were expected.
        """
        rounds = [self._means(self._first[-times:]), *self._rounds]
        return [list(series) for series in zip(*rounds, strict=True)] if all(rounds) else []

    def _means(self, passes: Sequence[tuple[list[str], list[Any]]]) -> list[float]:
        if not passes or any(called != self._expected for called, _ in passes):
            return []
        spans = [self._clock.spans(marks) for _, marks in passes]
        return [sum(column) / len(spans) for column in zip(*spans, strict=True)]
