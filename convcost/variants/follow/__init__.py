"""How large each tensor of a network becomes when late strides are taken out."""

from __future__ import annotations

from typing import Any

from convcost.errors import ConvcostError
from convcost.graph import Graph, Node
from convcost.ops import Conv, Input, Pool, Sizes
from convcost.variants.follow import joins, shapes, windows
from convcost.variants.follow.dims import Dim, Followed, place_of

__all__ = ["Followed", "Follower"]

RULES = {**windows.RULES, **joins.RULES, **shapes.RULES}
"""What each op does: a rule in the module of its kind."""


class Follower:
    """Follows every tensor of a graph, with all strides beyond ``output_stride`` taken out.

    ``windows`` are the convolutions, pools and pads, each with its rate and its new stride.

    Raises:
        ConvcostError: a layer can't be made dense.
    """

    def __init__(self, graph: Graph, output_stride: int | None) -> None:
        self._graph = graph
        self._wanted = output_stride
        self._axes = _input_axes(graph)
        self.windows: list[tuple[Node, tuple[Sizes, Sizes]]] = []
        self.tensors: list[Followed] = []
        for node in graph.nodes:
            self.tensors.append(self._follow(node))

    def last_feature_map(self) -> int:
        """The index of what the final pooling or flattening reads, else of the output."""
        needed = {self._graph.output}
        for index in range(self._graph.output, -1, -1):
            if index in needed:
                if any(dim.stride is not None for dim in self.tensors[index].dims):
                    return index
                needed.update(self._graph.nodes[index].inputs)
        return self._graph.output

    def _follow(self, node: Node) -> Followed:
        if isinstance(node.op, Input):
            positions = min(self._axes, max(0, len(node.shape) - 1))
            rest = (Dim(),) * (len(node.shape) - positions)
            return Followed((*rest, *(Dim(1, 1),) * positions))
        inputs = [self.tensors[i] for i in node.inputs]
        if not inputs:
            return Followed((Dim(),) * len(node.shape))
        shapes = [self._graph.nodes[i].shape for i in node.inputs]
        followed = RULES[type(node.op)](self, node, inputs, [*shapes, node.shape])
        mixed = next((tensor.mixed for tensor in inputs if tensor.mixed), "")
        return followed._replace(mixed=mixed or followed.mixed)

    def window(self, node: Node, rate: Sizes, stride: Sizes) -> None:
        """Notes the settings that a window op needs."""
        self.windows.append((node, (rate, stride)))

    def kept_stride(self, node: Node, dim: Dim, stride: int) -> int:
        """The part of a stride that stays: up to the wanted output stride.

        Raises:
            ConvcostError: the wanted one isn't between the strides before and after.
        """
        if self._wanted is None or dim.stride is None or dim.stride * stride <= self._wanted:
            return stride
        kept = max(1, self._wanted // dim.stride)
        if stride % kept or (kept > 1 and self._wanted % dim.stride):
            raise ConvcostError(
                f"output stride {self._wanted} can't be reached: at {place_of(node)} the stride "
                f"goes from {dim.stride} to {dim.stride * stride}"
            )
        return int(kept)

    def is_beyond(self, stride: Any) -> bool:
        """Whether a stride is more than is wanted."""
        return self._wanted is not None and stride is not None and stride > self._wanted


def _input_axes(graph: Graph) -> int:
    """How many of the input's last dimensions are positions: what its first window says."""
    for node in graph.nodes:
        if isinstance(node.op, Conv | Pool):
            return len(node.op.kernel_size)
    return 0
