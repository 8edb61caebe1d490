"""Learnable scalars, each counted once however often it is used."""

from __future__ import annotations

from convcost.graph import Graph
from convcost.report import Value, exact


def count_parameters(graph: Graph) -> tuple[list[dict[str, Value]], dict[str, Value]]:
    """``parameters`` and ``parameter_bytes``; a shared one counts where it is used first."""
    seen: set[str] = set()
    rows = []
    total = total_bytes = 0
    for node in graph.nodes:
        if not node.parameters:
            rows.append(_NONE)
            continue
        size = size_bytes = 0
        for parameter in node.parameters:
            if parameter.name not in seen:
                seen.add(parameter.name)
                scalars = parameter.size
                size += scalars
                size_bytes += scalars * parameter.itemsize
        total += size
        total_bytes += size_bytes
        rows.append(_values(size, size_bytes))
    return rows, _values(total, total_bytes)


def _values(size: int, size_bytes: int) -> dict[str, Value]:
    return {"parameters": exact(size), "parameter_bytes": exact(size_bytes)}


_NONE = _values(0, 0)
