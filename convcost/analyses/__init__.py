"""From a graph to values: one function and one line in ``ANALYSES`` for each analysis."""

from collections.abc import Callable
from typing import NamedTuple

from convcost.analyses.memory import count_memory
from convcost.analyses.multiplications import count_multiplications
from convcost.analyses.parameters import count_parameters
from convcost.analyses.receptive_field import find_receptive_fields
from convcost.graph import Graph
from convcost.report import Value
from convcost.uncollected import uncollected

Analysis = Callable[[Graph], tuple[list[dict[str, Value]], dict[str, Value]]]
"""From a graph to the values of each node, in order, and those of the whole."""

ANALYSES: tuple[Analysis, ...] = (
    find_receptive_fields,
    count_parameters,
    count_multiplications,
    count_memory,
)


class Costs(NamedTuple):
    """The exact values of each node of a graph, in its order, and of the whole."""

    rows: list[dict[str, Value]]
    totals: dict[str, Value]


@uncollected()
def analyse(graph: Graph) -> Costs:
    """Everything that is exact about ``graph``."""
    found = [analysis(graph) for analysis in ANALYSES]
    first, *others = (rows for rows, _ in found)
    rows = list(map(_joined, first, *others))
    return Costs(rows, _joined(*(totals for _, totals in found)))


def _joined(first: dict[str, Value], *others: dict[str, Value]) -> dict[str, Value]:
    joined = first.copy()
    for other in others:
        joined.update(other)
    return joined
