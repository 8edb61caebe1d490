"""Where a variant of one layer begins to be faster than the layer, as one of its numbers grows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from convcost.errors import ConvcostError, ShapeError, printable, show_value, some_of
from convcost.graph import Graph, GraphBuilder
from convcost.measure.settings import ITEMSIZES, Settings
from convcost.notify import Notify, silently
from convcost.ops import Conv, Shape, same_padding
from convcost.report import Report, Row, Value, exact
from convcost.search.crossover import Crossover, Side, find_crossover
from convcost.sources.source import is_model
from convcost.sources.spec import load_spec
from convcost.units import format_seconds
from convcost.variants import STANDARD, Variant, parse_variant
from convcost.variants.rewrite import rewrite
from convcost.workflows.compare import (
    SHIPPED_SPEC,
    CompareRequest,
    compare_graphs,
    need_spec_request,
    spec_path,
)
from convcost.workflows.environment import environment
from convcost.workflows.measured import INTERRUPTED

NUMBERS = ("in_channels", "out_channels", "kernel_size", "stride", "dilation", "size", "batch")
"""What can be varied: settings of the convolution, the input's size per axis, the batch."""
SECONDS = 1.5
"""Of one number, unless told otherwise."""
TRIES = 2
"""A run that can't be trusted says nothing, and would leave its side of the answer open."""


class Vary(NamedTuple):
    """One of ``NUMBERS`` and its range."""

    key: str
    first: int
    last: int


class CrossoverRequest(NamedTuple):
    """Which layer of what to vary, how, and against which variant."""

    vary: Vary
    source: str | None = None
    layer: str | None = None
    variant: Variant = Variant("separable", {"depth_multiplier": 1, "normalise": False})
    arguments: Mapping[str, object] = {}
    inputs: tuple[Shape, ...] = ()
    settings: Settings = Settings()


class _InterruptedError(Exception):
    """Ctrl-C while a number was measured."""


def crossover(request: CrossoverRequest, notify: Notify = silently) -> Report:
    """A row for each number that was measured, smallest first, and where the verdict turns.

    Raises:
        ConvcostError: there is no such layer, or it can't be varied or run so.
    """
    settings = request.settings
    if settings.seconds is None:
        settings = settings._replace(seconds=SECONDS)
    request = request._replace(settings=settings)
    conv, shape, name = _layer(request, notify)
    _need_fitting(conv, shape, name, request)
    start = time.perf_counter()
    sides = _Sides(request, (conv, shape, name), notify)
    vary, step, found = request.vary, _step(conv, request), None
    try:
        found = find_crossover(sides.at, vary.first, vary.last, step)
    except (_InterruptedError, KeyboardInterrupt):
        if not sides.rows:
            raise ConvcostError("interrupted before anything was measured") from None
    spent = time.perf_counter() - start
    return Report(
        kind="crossover",
        source=printable(request.source or SHIPPED_SPEC),
        input=(shape,),
        environment={
            **environment(settings, sides.environment),
            **_rounds(sides.rows.values()),
            "layer": name,
            "vary": vary.key,
            "first": vary.first,
            "last": vary.last,
        },
        rows=tuple(sides.rows[number] for number in sorted(sides.rows)),
        totals=_totals(found),
        notices=tuple(_notices(request, sides.rows, spent, found, step)),
        interrupted=found is None,
    )


class _Sides:
    """The verdict at each number that is asked for; ``rows`` are those that were measured."""

    def __init__(
        self, request: CrossoverRequest, layer: tuple[Conv, Shape, str], notify: Notify
    ) -> None:
        self.rows: dict[int, Row] = {}
        self.environment: dict[str, str | int | float] = {}
        self._request, self._layer, self._notify = request, layer, notify

    def at(self, number: int) -> Side:
        """Which side a number is on: measured up to ``TRIES`` times where it isn't trusted.

        Raises:
            _InterruptedError: Ctrl-C came before there was a verdict.
        """
        key = self._request.vary.key
        self._notify(f"measuring {key}={number} ({len(self.rows) + 1} so far)", None)
        graph = _graph(*self._layer, self._request, number)
        graphs = {
            str(STANDARD): graph,
            str(self._request.variant): _variant(graph, self._request),
        }
        for _ in range(TRIES):
            row = self._measured(graphs)
            self.rows[number] = row._replace(name=f"{key}={number}", settings={key: number})
            verdict = row.values["verdict"].value
            if verdict != "untrusted":
                break
        return {"faster": 1, "slower": -1}.get(str(verdict), 0)

    def _measured(self, graphs: Mapping[str, Graph]) -> Row:
        settings = self._request.settings
        (standard, row), outcome = compare_graphs(graphs, settings, self._notify, measure=True)
        if outcome is None or outcome.interrupted or "verdict" not in row.values:
            raise _InterruptedError
        self.environment.update(outcome.environment)
        return row._replace(base=standard.values)


def _step(conv: Conv, request: CrossoverRequest) -> int:
    """Groups divide every number of channels that there can be."""
    return conv.groups if request.vary.key in ("in_channels", "out_channels") else 1


def _rounds(rows: Iterable[Row]) -> dict[str, str]:
    """How many rounds the numbers had, from least to most."""
    rounds = sorted({row.values["latency_ratio"].rounds or 0 for row in rows})
    return {"rounds": str(rounds[0]) if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"}


def _totals(found: Crossover | None) -> dict[str, Value]:
    if found is None:
        return {}
    words = {1: "faster", -1: "slower", 0: "undecided"}
    values = {
        "verdict_first": exact(words[found.before]),
        "verdict_last": exact(words[found.after]),
    }
    ends = {"crossover_after": found.low, "crossover_until": found.high}
    return {**values, **{key: exact(end) for key, end in ends.items() if end is not None}}


def _layer(request: CrossoverRequest, notify: Notify) -> tuple[Conv, Shape, str]:
    """The convolution, the shape of its input, and its name."""
    graph = _source_graph(request, notify)
    convs = [node for node in graph.nodes if isinstance(node.op, Conv)]
    names = [node.module or node.name for node in convs]
    if not convs:
        raise ConvcostError(
            f"{printable(graph.name)} has no convolution", "crossover varies one: give another"
        )
    wanted = request.layer if request.layer is not None else (names[0] if len(names) == 1 else None)
    if wanted is None or wanted not in names:
        problem = f"no convolution is called {show_value(wanted)}" if wanted else "which layer?"
        raise ConvcostError(problem, f"choose one with --layer: {some_of(names)}")
    node = convs[names.index(wanted)]
    assert isinstance(node.op, Conv)  # noqa: S101  chosen so
    return node.op, graph.nodes[node.inputs[0]].shape, wanted


def _source_graph(request: CrossoverRequest, notify: Notify) -> Graph:
    compared = CompareRequest(request.source, arguments=request.arguments, inputs=request.inputs)
    if is_model(request.source):
        from convcost.workflows.compare_model import load  # noqa: PLC0415  torch

        return load(compared, notify, real=False)[1]
    need_spec_request(compared)
    itemsize = ITEMSIZES[request.settings.dtype]
    return load_spec(spec_path(request.source), 1, itemsize, parse_variant).graph


def _need_fitting(conv: Conv, shape: Shape, name: str, request: CrossoverRequest) -> None:
    """Refuses a range whose ends make no layer, before anything runs.

    Raises:
        ConvcostError: one doesn't.
    """
    key, *ends = request.vary
    if request.variant == STANDARD:
        raise ConvcostError(
            "standard is what a variant is held against: there is nothing to turn",
            "give another --variant, such as separable",
        )
    if conv.has_one_tap or conv.is_depthwise:
        kind = "1×1" if conv.has_one_tap else "depthwise"
        raise ConvcostError(f"{name} is {kind}: there is no other form of it", "choose another")
    for number in ends:
        try:
            _variant(_graph(conv, shape, name, request, int(number)), request)
        except (ShapeError, ConvcostError) as error:
            raise ConvcostError(
                f"{name} can't have {key}={number}: {error}", "choose another range for --vary"
            ) from None


def _variant(graph: Graph, request: CrossoverRequest) -> Graph:
    return rewrite(graph, request.variant, [graph.nodes[-1].name])


def _graph(conv: Conv, shape: Shape, name: str, request: CrossoverRequest, number: int) -> Graph:
    """The layer alone, with one number changed; padding that keeps the size goes on to keep it."""
    key, axes = request.vary.key, len(conv.kernel_size)
    keeps = all(
        sum(pads) == span - 1
        for pads, span in zip(conv.padding, conv.effective_kernel_size, strict=True)
    )
    if key == "batch":
        shape = (number, *shape[1:])
    elif key == "size":
        shape = (*shape[:2], *(number,) * axes)
    elif key in ("in_channels", "out_channels"):
        if number % conv.groups:
            raise ConvcostError(f"groups ({conv.groups}) don't divide it")
        changed: Any = {key: number}
        conv = conv._replace(**changed)
        shape = (shape[0], conv.in_channels, *shape[2:])
    else:
        changed = {key: (number,) * axes}
        conv = conv._replace(**changed)
        if keeps and not conv.transposed:
            conv = conv._replace(padding=same_padding(conv.kernel_size, conv.dilation))
    builder = GraphBuilder(name, ITEMSIZES[request.settings.dtype])
    builder.add(name, conv, builder.add_input(shape))
    return builder.build()


def _notices(
    request: CrossoverRequest,
    rows: Mapping[int, Row],
    seconds: float,
    found: Crossover | None,
    step: int,
) -> Iterator[str]:
    key, first, last = request.vary
    every = (last - first) // step + 1
    yield f"{len(rows)} of {every:,} numbers measured in {format_seconds(seconds)}" + (
        "; the others were not tried: a second crossover between them would not be seen"
        if len(rows) < every
        else ""
    )
    if found is None:
        yield INTERRUPTED
        return
    for end, side in ((first, found.before), (last, found.after)):
        if not side:
            yield f"at {key}={end} {_why_undecided(rows[end])}"


def _why_undecided(row: Row) -> str:
    verdict = row.values["verdict"]
    if verdict.value == "untrusted":
        return f"the run couldn't be trusted, twice: {verdict.reason}"
    if verdict.value == "same":
        return "they take the same: there is no side to turn from"
    return "it was neither surely faster nor slower: give it more --seconds"
