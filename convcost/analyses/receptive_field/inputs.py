"""Which of an input's dimensions are spatial: those that lie along the axes of a convolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from convcost.analyses.receptive_field.field import Dim, Field, alone_axis, axes_of
from convcost.analyses.receptive_field.rules import POINTWISE
from convcost.graph import Graph, Node
from convcost.ops import Attention, Conv, Input, Linear, Matmul, Recurrence

Follow = Callable[[Sequence[Node], Iterable[Field]], list[Field | str]]
"""From nodes and the fields of the inputs among them to the field of each."""

Dims = tuple[int, ...]

_RANK_OF_TOKENS = 3


def spatial_dims(graph: Graph, follow: Follow) -> list[tuple[int, Dims]]:
    """The rank of each input, and its spatial dimensions in the order of a convolution's axes.

    They are the last ones, as many as the model's first convolution has, unless the first one
    that reads the input finds its axes along others. Without a convolution they are those of the
    tokens, where tokens are what is read.
    """
    nodes = graph.nodes
    inputs = [i for i, node in enumerate(nodes) if isinstance(node.op, Input)]
    ranks = [len(nodes[i].shape) for i in inputs]
    convolution = next((i for i, node in enumerate(nodes) if isinstance(node.op, Conv)), None)
    if convolution is None:
        found = [_of_tokens(nodes, k, ranks, follow) for k in range(len(ranks))]
        axes = max(map(len, found), default=0)
        dims = [each if len(each) == axes else () for each in found]
        return list(zip(ranks, dims, strict=True))
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
    index = _first_reader(nodes, k, (Conv,))
    if index is None:
        return usual
    node = nodes[index]
    field = follow(nodes[:index], _each_alone(ranks, k))[node.inputs[0]]
    if isinstance(field, str) or not isinstance(node.op, Conv):
        return usual
    along = _along(field, field.dims[-len(node.op.kernel_size) :], usual)
    found = tuple(dim for dim in along if dim is not None)
    if len(found) < len(along):
        return found if found and len(ranks) == 1 else usual
    return found if len(found) == axes else ()


def _along(field: Field, dims: Sequence[Dim], usual: Dims) -> list[int | None]:
    """For each of the ``dims`` the one axis in it, in whatever order, or that was summed over."""
    gone = set(usual).difference(*map(axes_of, field.dims))
    found = [set(axes_of(dim)) for dim in dims]
    if len(usual) == len(dims):
        found = [axes or gone & {place} for axes, place in zip(found, usual, strict=True)]
    return [min(axes) if len(axes) == 1 else None for axes in found]


def _of_tokens(nodes: Sequence[Node], k: int, ranks: Sequence[int], follow: Follow) -> Dims:
    """The dimensions of input ``k`` but its features, which a product sums over, and its batch.

    The batch is the first one that nothing mixes. Of an image, and where no product reads features
    of the input's, the positions are the last dimensions.
    """
    index = _first_reader(nodes, k, (Linear, Matmul, Attention, Recurrence))
    usual = _last(ranks[k], max(0, max(ranks) - 2))
    if index is None or max(ranks) > _RANK_OF_TOKENS:
        return usual
    fields = follow(nodes, _each_alone(ranks, k))
    read = fields[nodes[index].inputs[0]]
    if isinstance(read, str) or not read.dims or not read.boxes:
        return usual
    features = alone_axis(read.dims[-1])
    if features is None and read.dims[-1]:
        return usual
    mixed = _mixed(nodes, fields)
    others = [dim for dim in range(ranks[k]) if dim != features]
    batch = next((dim for dim in others if dim not in mixed), min(others, default=None))
    return tuple(dim for dim in others if dim != batch)


def _mixed(nodes: Sequence[Node], fields: Sequence[Field | str]) -> set[int]:
    """The axes whose positions some op mixes, or reads one after the other."""
    known = [field for field in fields if not isinstance(field, str) and field.boxes]
    mixed = {axis for field in known for axis in range(len(field.boxes[0])) if field.sees_all(axis)}
    read = [(fields[n.inputs[0]], n.op.time) for n in nodes if isinstance(n.op, Recurrence)]
    for field, time in read:
        if not isinstance(field, str):
            mixed.update(axes_of(field.dims[time]))
    return mixed


def _each_alone(ranks: Sequence[int], k: int) -> list[Field]:
    """Fields of the inputs where each dimension of input ``k`` is an axis, and others hold none."""
    return [Field.of_input(rank, range(rank) if i == k else ()) for i, rank in enumerate(ranks)]


def _first_reader(nodes: Sequence[Node], k: int, ops: tuple[type, ...]) -> int | None:
    """The index of the first of these ops of what depends on input ``k``."""
    inputs = [i for i, node in enumerate(nodes) if isinstance(node.op, Input)]
    reached = {inputs[k]}
    for index, node in enumerate(nodes):
        if isinstance(node.op, ops) and node.inputs and node.inputs[0] in reached:
            return index
        if not reached.isdisjoint(node.inputs):
            reached.add(index)
    return None
