"""Where a row stands under the machine's ceilings, and which of them bounds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from convcost.analyses import Costs
from convcost.analyses.memory import is_view
from convcost.graph import Graph, Node
from convcost.ops import Conv, Input
from convcost.report import MOST_OVERHEAD, Value, number

if TYPE_CHECKING:
    from convcost.measure.ceilings_cache import Ceilings

MOST_SAVED = 4
"""No algorithm does a convolution with less than a quarter of its multiplications (Winograd's
F(4×4, 3×3): Lavin and Gray, 'Fast Algorithms for Convolutional Neural Networks', CVPR 2016)."""


class Work(NamedTuple):
    """What one op multiplies and moves; ``is_product`` where it is no convolution."""

    multiplications: float
    bytes_moved: float
    is_product: bool = False


def works(graph: Graph, costs: Costs, indexes: Iterable[int] | None = None) -> list[Work]:
    """The work of the ops that run, of all nodes or of those at ``indexes``."""
    chosen = range(len(graph.nodes)) if indexes is None else indexes
    return [
        Work(
            number(costs.rows[i]["multiplications"]),
            number(costs.rows[i]["bytes_moved"]),
            not isinstance(graph.nodes[i].op, Conv),
        )
        for i in chosen
        if _runs(graph.nodes[i])
    ]


def _runs(node: Node) -> bool:
    """Not an input, and no view of storage that is there."""
    return not isinstance(node.op, Input) and not is_view(node)


def on_roofline(ops: Sequence[Work], ceilings: Ceilings, latency: Value) -> dict[str, Value]:
    """``roofline`` of a row whose ``latency`` may not be known."""
    return roofline(ops, ceilings, None if latency.value is None else number(latency))


def became_memory_bound(
    graph: Graph, costs: Costs, reference: tuple[Graph, Costs], ceilings: Ceilings
) -> list[str]:
    """The convolutions of ``reference`` bound by compute whose parts in ``graph`` are by memory.

    By path, the one that spends most time on memory first.
    """
    before = {
        node.module
        for node, work in _convolutions(*reference)
        if bound_of(work, ceilings) == "compute"
    }
    lost: dict[str, float] = {}
    for node, work in _convolutions(graph, costs):
        owner = next((path for path in _owners(node.module) if path in before), None)
        if owner is not None and bound_of(work, ceilings) == "memory":
            lost[owner] = lost.get(owner, 0.0) + work.bytes_moved
    return sorted(lost, key=lambda path: -lost[path])


def _convolutions(graph: Graph, costs: Costs) -> Iterator[tuple[Node, Work]]:
    for index, node in enumerate(graph.nodes):
        if isinstance(node.op, Conv):
            yield node, works(graph, costs, (index,))[0]


def _owners(path: str) -> Iterator[str]:
    """A module's path and those of the modules that it is in."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def bound_of(work: Work, ceilings: Ceilings) -> str:
    """What bounds one op at best: ``compute``, ``memory`` or ``overhead``."""
    times = _times(work, ceilings)
    return max(times, key=times.__getitem__)


def _times(work: Work, ceilings: Ceilings) -> dict[str, float]:
    rate = ceilings.products_per_second if work.is_product else ceilings.multiplications_per_second
    return {
        "compute": work.multiplications / rate,
        "memory": work.bytes_moved / ceilings.bytes_per_second,
        "overhead": ceilings.floor,
    }


def roofline(ops: Sequence[Work], ceilings: Ceilings, latency: float | None) -> dict[str, Value]:
    """The values of a row whose ops are ``ops`` and whose measured time is ``latency``.

    Each op takes at least the longest of three times: its multiplications at the machine's rate,
    its bytes at the memory's bandwidth, and the smallest convolution's call (Williams et al.,
    'Roofline', CACM 2009, with a floor). They run one after the other, so ``attainable_latency``
    is the sum over the ops. The kind that makes up most of the sum bounds the row, a call's floor
    being ``overhead``; so is whatever is slower than three times the sum. Nothing bounds a row that
    is faster than any arithmetic could be: the ceilings were measured beside other work.
    """
    parts = {"compute": 0.0, "memory": 0.0, "overhead": 0.0}
    compute = memory = 0.0
    for op in ops:
        times = _times(op, ceilings)
        compute += times["compute"]
        memory += times["memory"]
        bound = bound_of(op, ceilings)
        parts[bound] += times[bound]
    attainable = sum(parts.values())
    values = {
        "ops": Value("exact", len(ops)),
        "compute_latency": Value("measured", compute),
        "memory_latency": Value("measured", memory),
        "overhead_latency": Value("measured", len(ops) * ceilings.floor),
        "attainable_latency": Value("measured", attainable),
    }
    if not latency or not attainable or latency * MOST_SAVED < compute:
        return values
    slow = latency > MOST_OVERHEAD * attainable
    return {
        **values,
        "roofline_share": Value("measured", attainable / latency),
        "bound": Value("measured", "overhead" if slow else max(parts, key=parts.__getitem__)),
    }
