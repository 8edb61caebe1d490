"""Which of an input's dimensions are spatial: those that lie along the axes of a convolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from convcost.analyses.receptive_field.field import Field, alone_axis
from convcost.analyses.receptive_field.rules import POINTWISE
from convcost.graph import Graph, Node
from convcost.ops import Conv, Input

Follow = Callable[[Sequence[Node], Iterable[Field]], list[Field | str]]
"""From nodes and the fields of the inputs among them to the field of each."""

Dims = tuple[int, ...]


def spatial_dims(graph: Graph, follow: Follow) -> list[tuple[int, Dims]]:
    """The rank of each input, and its spatial dimensions in the order of a convolution's axes.

    They are the last ones, as many as the model's first convolution has, unless the first one
    that reads the input finds its axes along others.
    """
    nodes = graph.nodes
    inputs = [i for i, node in enumerate(nodes) if isinstance(node.op, Input)]
    ranks = [len(nodes[i].shape) for i in inputs]
    convolution = next((i for i, node in enumerate(nodes) if isinstance(node.op, Conv)), None)
    if convolution is None:
        return [(rank, _last(rank, max(0, max(ranks) - 2))) for rank in ranks]
    axes = len(nodes[convolution].op.kernel_size)  # type: ignore[union-attr]  # it is a Conv
    if len(inputs) == 1 and _reads_as_it_is(nodes, convolution):
        return [(ranks[0], _last(ranks[0], axes))]
    return [(rank, _found(nodes, k, ranks, axes, follow)) for k, rank in enumerate(ranks)]


def _last(rank: int, axes: int) -> Dims:
    return tuple(range(rank - axes, rank)) if axes < rank else ()


def _reads_as_it_is(nodes: Sequence[Node], index: int) -> bool:
    """Whether a convolution reads the input, or what was done to each position of it alone."""
    node = nodes[index]
    while node.inputs:
        node = nodes[node.inputs[0]]
        if type(node.op) not in POINTWISE:
            break
    return isinstance(node.op, Input)


def _found(nodes: Sequence[Node], k: int, ranks: Sequence[int], axes: int, follow: Follow) -> Dims:
    """The spatial dimensions of input ``k``: each of its dimensions is followed as an axis."""
    usual = _last(ranks[k], axes)
    index = _first_reader(nodes, k)
    if index is None:
        return usual
    alone = [Field.of_input(rank, range(rank) if i == k else ()) for i, rank in enumerate(ranks)]
    node = nodes[index]
    field = follow(nodes[:index], alone)[node.inputs[0]]
    if isinstance(field, str) or not isinstance(node.op, Conv):
        return usual
    along = [alone_axis(dim) for dim in field.dims[-len(node.op.kernel_size) :]]
    found = tuple(dim for dim in along if dim is not None)
    if len(found) < len(along):
        return usual
    return found if len(found) == axes else ()


def _first_reader(nodes: Sequence[Node], k: int) -> int | None:
    """The index of the first convolution of what depends on input ``k``."""
    inputs = [i for i, node in enumerate(nodes) if isinstance(node.op, Input)]
    reached = {inputs[k]}
    for index, node in enumerate(nodes):
        if isinstance(node.op, Conv) and node.inputs and node.inputs[0] in reached:
            return index
        if not reached.isdisjoint(node.inputs):
            reached.add(index)
    return None
