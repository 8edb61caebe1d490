"""Stacks: a block that is repeated, with one atrous convolution in it, and its rates."""

from __future__ import annotations

from typing import Any, NamedTuple

from convcost.graph import Graph, GraphBuilder, Node
from convcost.ops import Conv, Padding

MOST_NODES = 16
"""Nodes of a block that is looked for."""


class Stack(NamedTuple):
    """So many ``blocks`` of ``period`` nodes from index ``first`` on.

    ``conv`` is the place in each of its convolution with more than one tap.
    """

    first: int
    period: int
    blocks: int
    conv: int

    @property
    def end(self) -> int:
        """The index after its last node."""
        return self.first + self.period * self.blocks


def find_stack(graph: Graph) -> Stack | None:
    """The stack with the most nodes: chained blocks that keep their input's shape."""
    marks = [_mark(node, index) for index, node in enumerate(graph.nodes)]
    found = [
        stack
        for period in range(1, min(MOST_NODES, len(marks) // 2) + 1)
        for start, end in _runs(marks, period)
        for stack in _aligned(graph, start, end, period)
    ]
    return max(found, key=lambda stack: (stack.blocks * stack.period, -stack.period), default=None)


def stack_rates(graph: Graph, stack: Stack) -> list[int]:
    """The rates as they are, first to last."""
    return [_conv(graph, stack, block).dilation[0] for block in range(stack.blocks)]


def taps_of(graph: Graph, stack: Stack) -> int:
    """The taps per axis of its convolutions."""
    return _conv(graph, stack, 0).kernel_size[0]


def restack(graph: Graph, stack: Stack, rates: tuple[int, ...]) -> Graph:
    """``graph`` with a block for each of ``rates`` in place of its stack."""
    builder = GraphBuilder(graph.name, graph.nodes[0].itemsize)
    taken = {node.name for node in graph.nodes}
    for node in graph.nodes[: stack.first]:
        builder.copy(node, *node.inputs)
    for block, rate in enumerate(rates):
        source = stack.first + min(block, stack.blocks - 1) * stack.period
        moved = (block - min(block, stack.blocks - 1)) * stack.period
        for place in range(stack.period):
            node = graph.nodes[source + place]
            op: Any = _with_rate(node.op, rate) if place == stack.conv else node.op
            name = node.name if not moved else _free(f"{node.name}.{block + 1}", taken)
            builder.add(name, op, *(index + moved for index in node.inputs))
    moved = (len(rates) - stack.blocks) * stack.period
    for node in graph.nodes[stack.end :]:
        builder.copy(node, *(i if i < stack.first else i + moved for i in node.inputs))
    return builder.build()


def _mark(node: Node, index: int) -> object:
    """What is alike in all blocks: everything but names, rates and the padding that goes along."""
    op = node.op
    if isinstance(op, Conv) and _has_rate(node):
        op = op._replace(dilation=(), padding=())
    return op, tuple(index - i for i in node.inputs), node.shape


def _has_rate(node: Node) -> bool:
    """Whether it is a convolution that keeps its map's size, with the same taps on all axes."""
    op = node.op
    return (
        isinstance(op, Conv)
        and not op.transposed
        and not op.has_one_tap
        and set(op.stride) == {1}
        and len(set(op.kernel_size)) == len(set(op.dilation)) == 1
        and all(
            sum(pads) == span - 1
            for pads, span in zip(op.padding, op.effective_kernel_size, strict=True)
        )
    )


def _runs(marks: list[object], period: int) -> list[tuple[int, int]]:
    """Where nodes are as those ``period`` before them, at least for one block."""
    runs, start = [], 1
    for index in range(1 + period, len(marks) + 1):
        if index < len(marks) and marks[index] == marks[index - period]:
            continue
        if index - start >= 2 * period:
            runs.append((start, index))
        start = index - period + 1
    return runs


def _aligned(graph: Graph, start: int, end: int, period: int) -> list[Stack]:
    found = []
    for first in range(start, start + period):
        count = (end - first) // period
        convs = [i for i in range(period) if _has_rate(graph.nodes[first + i])]
        stack = Stack(first, period, count, convs[0] if convs else 0)
        if count > 1 and len(convs) == 1 and _is_chained(graph, stack):
            found.append(stack)
    return found


def _is_chained(graph: Graph, stack: Stack) -> bool:
    """Whether each block reads only itself and the end of the one before, and so does the rest."""
    before, end = graph.nodes[stack.first - 1], graph.nodes[stack.end - 1]
    inside = range(stack.first, stack.end - 1)
    first_block = range(stack.first, stack.first + stack.period)
    reads = (i for index in first_block for i in graph.nodes[index].inputs)
    return (
        before.shape == end.shape
        and all(i >= stack.first - 1 for i in reads)
        and not any(i in inside for node in graph.nodes[stack.end :] for i in node.inputs)
    )


def _conv(graph: Graph, stack: Stack, block: int) -> Conv:
    op = graph.nodes[stack.first + block * stack.period + stack.conv].op
    assert isinstance(op, Conv)  # noqa: S101  what makes a stack
    return op


def _with_rate(op: Any, rate: int) -> Conv:
    padding: Padding = tuple(
        _scaled(pads, rate * (taps - 1), rate, old)
        for pads, taps, old in zip(op.padding, op.kernel_size, op.dilation, strict=True)
    )
    return Conv(*op)._replace(dilation=(rate,) * len(op.dilation), padding=padding)


def _scaled(pads: tuple[int, int], total: int, rate: int, old: int) -> tuple[int, int]:
    """Padding that keeps the size, and its side: half before, or as causal layers have it."""
    before = total // 2 if pads[0] == sum(pads) // 2 else pads[0] * rate // old
    return before, total - before


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
