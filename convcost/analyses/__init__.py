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
    costs = Costs([{} for _ in graph.nodes], {})
    for analysis in ANALYSES:
        rows, totals = analysis(graph)
        for row, values in zip(costs.rows, rows, strict=True):
            row.update(values)
        costs.totals.update(totals)
    return costs
