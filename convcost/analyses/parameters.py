"""Learnable scalars, each counted once however often it is used."""

from __future__ import annotations

from convcost.graph import Graph
from convcost.report import Value, exact


def count_parameters(graph: Graph) -> tuple[list[dict[str, Value]], dict[str, Value]]:
    """``parameters`` and ``parameter_bytes``; a shared one counts where it is used first."""
    seen: set[str] = set()
    sizes = []
    for node in graph.nodes:
        new = [p for p in node.parameters if p.name not in seen]
        seen.update(p.name for p in new)
        sizes.append(sum(p.size for p in new))
    return [_values(size, graph) for size in sizes], _values(sum(sizes), graph)


def _values(size: int, graph: Graph) -> dict[str, Value]:
    return {"parameters": exact(size), "parameter_bytes": exact(size * graph.itemsize)}
