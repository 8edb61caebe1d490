"""Bytes held and bytes moved."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod

from convcost.analyses.multiplications import node_multiplications
from convcost.graph import Graph, Node
from convcost.ops import (
    DROPOUTS,
    Expand,
    Flatten,
    Frames,
    Output,
    Permute,
    Reshape,
    Select,
    Slice,
    Unused,
)
from convcost.report import Value, exact

VIEWS = frozenset({Expand, Flatten, Frames, Output, Permute, Reshape, Select, Slice, Unused})
"""Ops that show what is there in another way, where they share its storage."""


def is_view(node: Node) -> bool:
    """Whether a node moves nothing: it shows storage that is there, or what the model holds."""
    if node.shares is None:
        return not node.inputs and type(node.op) in VIEWS and node.op.kind != "repeat"
    return type(node.op) in VIEWS or node.op.kind in DROPOUTS


def count_memory(graph: Graph) -> tuple[list[dict[str, Value]], dict[str, Value]]:
    """``activation_bytes``, ``peak_activation_bytes``, ``bytes_moved``, ``arithmetic_intensity``.

    Bytes moved are the reads and writes of one pass with cold caches; arithmetic intensity is
    2 * multiplications per byte moved (Williams et al., 'Roofline', CACM 2009).
    """
    nodes = graph.nodes
    views = [is_view(node) for node in nodes]
    sizes = [prod(node.shape) * node.itemsize for node in nodes]
    # what shows or overwrites another's storage has none of its own
    held = [
        0 if view or node.shares is not None else size
        for node, view, size in zip(nodes, views, sizes, strict=True)
    ]
    moved = [
        0 if view else _moved(node, size, sizes)
        for node, view, size in zip(nodes, views, sizes, strict=True)
    ]
    work = [node_multiplications(node, graph) for node in nodes]
    rows = list(map(cache(_values), held, moved, work))
    totals = _values(sum(held), sum(moved), sum(work))
    return rows, {**totals, "peak_activation_bytes": exact(_peak(graph, held))}


def _values(held: int, moved: int, multiplications: int) -> dict[str, Value]:
    return {
        "activation_bytes": exact(held),
        "bytes_moved": exact(moved),
        "arithmetic_intensity": intensity(multiplications, moved),
    }


def intensity(multiplications: float, moved: float) -> Value:
    """FLOP per byte that is moved: a multiply-accumulate is two."""
    return exact(2 * multiplications / moved if multiplications else 0)


def _moved(node: Node, written: int, sizes: Sequence[int]) -> int:
    if not (node.inputs or node.parameters):
        return 0
    moved = written
    for index in node.inputs:
        moved += sizes[index]
    for parameter in node.parameters:
        moved += parameter.size * parameter.itemsize
    return moved


def _peak(graph: Graph, held: list[int]) -> int:
    """The most bytes alive at once: an activation lives from its op until its last reader ends."""
    dies_at: dict[int, int] = {}
    owner: list[int] = []
    for index, node in enumerate(graph.nodes):
        owner.append(index if node.shares is None else owner[node.shares])
        for source in (index, *node.inputs):
            dies_at[owner[source]] = index
    freed = [0] * len(graph.nodes)
    for index, last in dies_at.items():
        freed[last] += held[index]
    alive = peak = 0
    for size, free in zip(held, freed, strict=True):
        alive += size
        peak = max(peak, alive)
        alive -= free
    return peak
