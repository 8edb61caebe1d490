"""What fvcore is known to leave out of a model's multiplications."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from convcost.analyses import Costs
from convcost.graph import Graph, Node
from convcost.ops import Matmul
from convcost.report import number

UNREAD = "fvcore leaves out what nothing reads"

Families = Callable[[Node], str]
LeftOut = dict[str, dict[str, int]]
"""Multiplications by the family of their op, for each reason."""


def left_out_by_fvcore(graph: Graph, costs: Costs, family_of: Families) -> LeftOut:
    """What it doesn't count: what tracing drops, and the batch over which a side is broadcast."""
    counts = [int(number(values["multiplications"])) for values in costs.rows]
    dropped = ((i, counts[i]) for i in unread(graph))
    broadcast = ((i, counts[i] - _of_first(graph, i)) for i in _products(graph))
    found: LeftOut = {}
    for reason, missing in {
        UNREAD: dropped,
        "fvcore counts a product once for all that its first side is broadcast over": broadcast,
    }.items():
        for index, count in missing:
            families = found.setdefault(reason, {})
            family = family_of(graph.nodes[index])
            families[family] = families.get(family, 0) + count
    return found


def reason_of(missing: int, family: str, left_out: LeftOut) -> str | None:
    """The reason, or all of them, that make up just what is ``missing``."""
    amounts = {reason: families.get(family, 0) for reason, families in left_out.items()}
    amounts = {reason: amount for reason, amount in amounts.items() if amount}
    if amounts and sum(amounts.values()) == missing:
        return "; ".join(amounts)
    return next((reason for reason, amount in amounts.items() if amount == missing), None)


def unread(graph: Graph) -> Iterator[int]:
    """Nodes of which neither an output nor another node needs anything."""
    read = {graph.output}
    for index in range(len(graph.nodes) - 1, -1, -1):
        if index in read:
            read.update(graph.nodes[index].inputs)
        else:
            yield index


def _products(graph: Graph) -> Iterator[int]:
    """Products of matrices whose both sides are nodes or parameters."""
    for index, node in enumerate(graph.nodes):
        sides = len(node.inputs) + len(node.parameters)
        if isinstance(node.op, Matmul) and sides > 1 < len(node.shape):
            yield index


def _of_first(graph: Graph, index: int) -> int:
    """The multiplications of a product over the batch of its first side alone."""
    node = graph.nodes[index]
    two = len(node.inputs) > 1
    first = graph.nodes[node.inputs[0]].shape if two else node.parameters[0].shape
    return prod(first) * node.shape[-1]
