"""What one output of each variant sees of the input."""

from __future__ import annotations

from collections.abc import Mapping

from convcost.analyses.receptive_field import find_seen_positions
from convcost.graph import Graph
from convcost.report import Seen


def seen_positions(graphs: Mapping[str, Graph]) -> tuple[Seen, ...]:
    """The exact fields of those variants whose field is finite and known."""
    found = (Seen(variant, find_seen_positions(graph)) for variant, graph in graphs.items())
    return tuple(seen for seen in found if seen.boxes)
