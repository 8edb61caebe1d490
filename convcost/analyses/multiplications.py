"""Scalar multiplications of convolutions and matrix products, one per multiply-accumulate."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from convcost.graph import Graph, Node
from convcost.ops import Attention, Conv, Linear, Matmul, Opaque, Recurrence, Shape
from convcost.report import Value, exact


def count_multiplications(graph: Graph) -> tuple[list[dict[str, Value]], dict[str, Value]]:
    """``multiplications`` of one forward pass of the whole batch.

    Bias additions and element-wise work are left out, taps over zero padding are counted
    (Howard et al. 2017, section 3.1, counts mult-adds so). An op that isn't known makes the total
    a lower bound, which names it.
    """
    counts = [node_multiplications(node, graph) for node in graph.nodes]
    unknown = sorted({node.op.kind for node in graph.nodes if isinstance(node.op, Opaque)})
    rows = [
        {"multiplications": _bound([node.op.kind]) if isinstance(node.op, Opaque) else exact(count)}
        for node, count in zip(graph.nodes, counts, strict=True)
    ]
    total = _bound(unknown, sum(counts)) if unknown else exact(sum(counts))
    return rows, {"multiplications": total}


def _bound(kinds: list[str], count: int = 0) -> Value:
    return Value("lower_bound", count, reason=f"not known of {', '.join(kinds)}")


def node_multiplications(node: Node, graph: Graph) -> int:
    """The multiplications of one node; 0 where its op does none, or isn't known."""
    rule = WORK.get(type(node.op))
    if rule is None:
        return 0
    before = graph.nodes[node.inputs[0]].shape if node.inputs else node.shape
    return rule(node.op, before, node.shape)


def _conv(conv: Conv, before: Shape, after: Shape) -> int:
    # each weight multiplies once per output position; transposed: once per input position
    positions = before if conv.transposed else after
    axes = len(conv.kernel_size)
    return prod(positions[: -axes - 1]) * prod(positions[-axes:]) * prod(conv.weight_shape)


WORK: dict[type, Callable[[Any, Shape, Shape], int]] = {
    Conv: _conv,
    Linear: lambda op, _, after: prod(after) * op.in_features,
    Matmul: lambda op, _, after: prod(after) * op.contracted,
    Attention: lambda op, _, __: op.multiplications,
    Recurrence: lambda op, _, __: op.multiplications,
}
