"""The graph of a spec with late strides taken out."""

from typing import Any

from convcost.errors import ConvcostError, ShapeError
from convcost.graph import Graph, GraphBuilder, Node
from convcost.ops import Conv, Pad, Pool
from convcost.variants.dense import Denser, dense


def dense_graph(graph: Graph, *, output_stride: int = 16) -> Graph:
    """``graph`` with its last feature map at ``output_stride``; see ``dense``.

    Raises:
        ConvcostError: that can't be reached, or a layer can't take the larger map.
    """
    windows = [node.name for node in graph.nodes if isinstance(node.op, Conv | Pool | Pad)]
    changes = dense(graph, windows, output_stride=output_stride).changes
    builder = GraphBuilder(graph.name, graph.nodes[0].itemsize)
    indexes: list[int] = []
    for node in graph.nodes:
        inputs = tuple(indexes[i] for i in node.inputs)
        op: Any = node.op
        if node.name in changes:
            op = _changed(changes[node.name], builder.shape(inputs[0])[2:])
        indexes.append(_added(builder, node, op, inputs))
    return builder.build()


def _changed(denser: Denser, sizes: tuple[int, ...]) -> Conv | Pool | Pad:
    if isinstance(denser.op, Pad):
        return denser.op._replace(padding=denser.padding(sizes))
    return denser.op._replace(
        stride=denser.stride, dilation=denser.dilation, padding=denser.padding(sizes)
    )


def _added(builder: GraphBuilder, node: Node, op: Any, inputs: tuple[int, ...]) -> int:
    try:
        return builder.add(node.name, op, *inputs)
    except ShapeError as error:
        raise ConvcostError(
            f"dense: {node.name} can't take the larger map: {error}",
            "put a global_avg_pool before it",
        ) from None
