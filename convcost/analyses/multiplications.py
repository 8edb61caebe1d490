"""Scalar multiplications of convolutions and matrix products, one per multiply-accumulate."""

from __future__ import annotations

from math import prod

from convcost.graph import Graph, Node
from convcost.ops import Conv, Linear, Shape
from convcost.report import Value, exact


def count_multiplications(graph: Graph) -> tuple[list[dict[str, Value]], dict[str, Value]]:
    """``multiplications`` of one forward pass of the whole batch.

    Bias additions and element-wise work are left out, taps over zero padding are counted
    (Howard et al. 2017, section 3.1, counts mult-adds so).
    """
    counts = [node_multiplications(node, graph) for node in graph.nodes]
    return (
        [{"multiplications": exact(count)} for count in counts],
        {"multiplications": exact(sum(counts))},
    )


def node_multiplications(node: Node, graph: Graph) -> int:
    """The multiplications of one node."""
    if isinstance(node.op, Conv):
        return _conv(node.op, graph.nodes[node.inputs[0]].shape, node.shape)
    if isinstance(node.op, Linear):
        return prod(node.shape) * node.op.in_features
    return 0


def _conv(conv: Conv, before: Shape, after: Shape) -> int:
    # each weight multiplies once per output position; transposed: once per input position
    positions = before if conv.transposed else after
    return positions[0] * prod(positions[2:]) * prod(conv.weight_shape)
