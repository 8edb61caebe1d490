"""How large each tensor of a network becomes when late strides are taken out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from math import prod
from typing import Any, NamedTuple

from convcost.errors import ConvcostError
from convcost.graph import Graph, Node
from convcost.ops import (
    AdaptivePool,
    Attention,
    Concat,
    Conv,
    Elementwise,
    Expand,
    Flatten,
    GlobalPool,
    Input,
    Linear,
    Matmul,
    Mix,
    Norm,
    Opaque,
    Output,
    Pad,
    Permute,
    PixelShuffle,
    Pool,
    Rearrange,
    Recurrence,
    Reduce,
    Reshape,
    Resize,
    Select,
    Shape,
    Shift,
    Sizes,
    Slice,
    Stack,
    Unfold,
    Unused,
)


class Dim(NamedTuple):
    """A dimension that is ``rate`` times as large as it was.

    ``stride`` is the input positions between two neighbours in it (a fraction after upsampling);
    None where it doesn't hold the positions of a map.
    """

    rate: int = 1
    stride: Any = None


class Followed(NamedTuple):
    """A tensor; ``mixed`` names the layer that first mixed all positions of a denser map."""

    dims: tuple[Dim, ...]
    mixed: str = ""

    @property
    def is_denser(self) -> bool:
        """Whether it, or what it was made of, has more positions than it had."""
        return bool(self.mixed) or any(dim.rate > 1 for dim in self.dims)


Tensors = Sequence[Followed]
Shapes = Sequence[Shape]


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
                f"output stride {self._wanted} can't be reached: at {_place(node)} the stride goes "
                f"from {dim.stride} to {dim.stride * stride}"
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


def _place(node: Node) -> str:
    return node.module or node.name


def _refuse(node: Node, why: str, hint: str = "") -> ConvcostError:
    return ConvcostError(f"dense: {_place(node)} ({node.op.kind}) can't be made dense: {why}", hint)


def _window(follower: Follower, node: Node, tensors: Tensors, _: Shapes) -> Followed:
    op: Any = node.op
    dims = tensors[0].dims
    axes = len(op.kernel_size)
    lead, last = dims[:-axes], dims[-axes:]
    if isinstance(op, Conv):
        lead = (*lead[:-1], Dim())
        if op.transposed:
            return Followed((*lead, *_enlarged(node, last, op.stride)))
    strides = tuple(
        follower.kept_stride(node, dim, s) for dim, s in zip(last, op.stride, strict=True)
    )
    follower.window(node, tuple(dim.rate for dim in last), strides)
    settings = zip(last, op.stride, strides, strict=True)
    return Followed((*lead, *(_strided(dim, old, new) for dim, old, new in settings)))


def _strided(dim: Dim, old: int, new: int) -> Dim:
    return Dim(dim.rate * (old // new), None if dim.stride is None else dim.stride * new)


def _enlarged(node: Node, dims: Sequence[Dim], factors: Sequence[float]) -> list[Dim]:
    from fractions import Fraction  # noqa: PLC0415  few networks upsample, and a start is fast

    if any(dim.rate > 1 for dim in dims):
        raise _refuse(node, "it upsamples a map that has lost its stride", _CUT)
    return [
        Dim(1, None if dim.stride is None else Fraction(dim.stride) / Fraction(factor))
        for dim, factor in zip(dims, factors, strict=True)
    ]


_CUT = "give a larger output stride, or the part of the model before it"


def _pad(follower: Follower, node: Node, tensors: Tensors, _: Shapes) -> Followed:
    op: Any = node.op
    dims = tensors[0].dims
    last = dims[-len(op.padding) :]
    padded = [dim for dim, pads in zip(last, op.padding, strict=True) if any(pads)]
    if any(dim.rate > 1 for dim in padded):
        if op.mode != "constant":
            raise _refuse(node, f"{op.mode} padding of a denser map isn't that of the old one")
        follower.window(node, tuple(dim.rate for dim in last), (1,) * len(last))
    return tensors[0]


def _resize(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    if tensors[0].is_denser:
        raise _refuse(node, "it upsamples what comes after a stride that was taken out", _CUT)
    axes = len(op.size)
    factors = [new / old for old, new in zip(shapes[0][-axes:], op.size, strict=True)]
    return Followed((*tensors[0].dims[:-axes], *_enlarged(node, tensors[0].dims[-axes:], factors)))


def _pooled(node: Node, tensor: Followed, dims: Sequence[int], new: tuple[Dim, ...]) -> Followed:
    """What is left once all positions along ``dims`` are mixed."""
    is_denser = any(tensor.dims[dim].rate > 1 for dim in dims)
    return Followed(new, f"{_place(node)} ({node.op.kind})" if is_denser else "")


def _global_pool(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    dims = tensors[0].dims
    closed = (*dims[:2], *(Dim(),) * (len(dims) - 2))
    return _pooled(node, tensors[0], range(2, len(dims)), closed)


def _adaptive_pool(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    dims, axes = tensors[0].dims, len(op.size)
    positions = range(len(dims) - axes, len(dims))
    return _pooled(node, tensors[0], positions, (*dims[:-axes], *(Dim(),) * axes))


def _reduce(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    dims = enumerate(tensors[0].dims)
    kept = tuple(
        Dim() if i in op.dims else dim for i, dim in dims if op.keepdim or i not in op.dims
    )
    return _pooled(node, tensors[0], op.dims, kept)


def _mix(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    joined = _join(follower, node, tensors, shapes)
    return _pooled(node, joined, op.dims, joined.dims)


def _join(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    rank = len(shapes[-1])
    columns = zip_longest(
        *(
            list(zip(shape, tensor.dims, strict=True))[::-1]
            for shape, tensor in zip(shapes, tensors, strict=False)
        ),
        fillvalue=(1, Dim()),
    )
    dims = [_joined(node, column) for column in columns][:rank]
    return Followed((*(Dim(),) * (rank - len(dims)), *reversed(dims)))


def _joined(node: Node, column: Sequence[tuple[int, Dim]]) -> Dim:
    """One dimension of inputs that broadcast."""
    wide = [dim for size, dim in column if size > 1 or dim.rate > 1] or [dim for _, dim in column]
    if len({dim.rate for dim in wide}) > 1:
        raise _refuse(node, "a map that has lost its stride meets one that has not")
    return next((dim for dim in wide if dim.stride is not None), wide[0])


def _concat(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    along = op.dim
    if any(len(tensor.dims) != len(shapes[-1]) for tensor in tensors):
        # torch leaves out empty vectors
        rank = len(shapes[-1])
        tensors = [tensor for tensor in tensors if len(tensor.dims) == rank]
    if any(tensor.dims[along].rate > 1 for tensor in tensors):
        raise _refuse(node, "it joins positions end to end")
    pairs = list(zip(tensors, [s for s in shapes[:-1] if len(s) == len(shapes[-1])], strict=True))
    others = [tensor._replace(dims=_without(tensor.dims, along)) for tensor, _ in pairs]
    sizes = [_without(shape, along) for _, shape in pairs]
    rest = _join(follower, node, others, [*sizes, _without(shapes[-1], along)]).dims
    return Followed((*rest[:along], tensors[0].dims[along], *rest[along:]))


def _without(items: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    return (*items[:index], *items[index + 1 :])


def _stack(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    dims = _join(follower, node, tensors, [*shapes[:-1], shapes[0]]).dims
    return Followed((*dims[: op.dim], Dim(), *dims[op.dim :]))


def _permute(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    return Followed(tuple(tensors[0].dims[dim] for dim in op.order))


def _slice(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    dim = tensors[0].dims[op.dim]
    if shapes[0] == shapes[-1]:
        return tensors[0]
    stride = None if dim.stride is None else dim.stride * op.step
    if dim.rate > 1 or (op.step > 1 and follower.is_beyond(stride)):
        raise _refuse(node, "it takes positions by their numbers")
    dims = tensors[0].dims
    return Followed((*dims[: op.dim], Dim(1, stride), *dims[op.dim + 1 :]))


def _select(_: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    if tensors[0].dims[op.dim].rate > 1:
        raise _refuse(node, "it takes a position by its number")
    return Followed(_without(tensors[0].dims, op.dim))


def _moved(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    tensor = tensors[0]
    if any(
        other.dims[dim].rate > 1 for other in tensors for dim in op.dims if dim < len(other.dims)
    ):
        raise _refuse(node, "it moves positions by their numbers")
    same = len(tensor.dims) == len(shapes[-1])
    return Followed(tensor.dims if same else (Dim(),) * len(shapes[-1]))


def _pixel_shuffle(follower: Follower, node: Node, tensors: Tensors, __: Shapes) -> Followed:
    op: Any = node.op
    *lead, height, width = tensors[0].dims
    if op.upscale:
        return Followed((*lead, *_enlarged(node, (height, width), (op.factor,) * 2)))
    dims = [_strided(dim, op.factor, op.factor) for dim in (height, width)]
    if any(dim.rate > 1 or follower.is_beyond(dim.stride) for dim in dims):
        raise _refuse(node, "it is a strided call that isn't a convolution or a pool")
    return Followed((*lead, *dims))


def _unfold(follower: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    op: Any = node.op
    last = zip(tensors[0].dims[-len(op.stride) :], op.stride, strict=True)
    beyond = any(follower.is_beyond(d.stride and d.stride * s) for d, s in last)
    if tensors[0].is_denser or beyond:
        raise _refuse(node, "it is a strided call that isn't a convolution or a pool")
    return Followed((Dim(),) * len(shapes[-1]))


def _linear(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    dims = tensors[0].dims
    if dims[-1].rate > 1:
        raise _refuse(
            node,
            "it is fully connected to a feature map of a fixed size",
            "give a larger output stride, or put a pooling layer before it",
        )
    return Followed((*dims[:-1], Dim())[: len(shapes[-1])])


def _product(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    if any(dim.rate > 1 for tensor in tensors for dim in tensor.dims):
        raise _refuse(node, "it mixes all positions, as attention does")
    return Followed((Dim(),) * len(shapes[-1]))


def _reshape(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    dims = list(tensors[0].dims)
    found: list[Dim] = []
    for old, new in _groups(shapes[0], shapes[-1]):
        parts, dims = dims[: len(old)], dims[len(old) :]
        rate = prod(part.rate for part in parts)
        if not new and found:
            # dimensions of size 1 that go away: what they grew by goes to their neighbour
            found[-1] = found[-1]._replace(rate=found[-1].rate * rate)
            continue
        wide = [i for i, size in enumerate(new) if size > 1]
        if rate > 1 and len(wide) > 1:
            raise _refuse(node, "it cuts positions into pieces of a fixed size")
        real = [part for size, part in zip(old, parts, strict=True) if size > 1 or part.rate > 1]
        merged = real[0] if len(real) == 1 and len(wide) <= 1 else Dim(rate)
        at = wide[0] if wide else 0
        found += [merged if i == at else Dim() for i in range(len(new))]
    return Followed(tuple(found))


def _groups(old: Shape, new: Shape) -> Iterator[tuple[Shape, Shape]]:
    """The shortest runs of dimensions that hold as many scalars in both shapes."""
    i = j = 0
    while i < len(old) or j < len(new):
        first_i, first_j = i, j
        while True:
            left, right = prod(old[first_i:i]), prod(new[first_j:j])
            if left == right and i > first_i and j > first_j:
                break
            if i < len(old) and (i == first_i or left < right or j == len(new)):
                i += 1
            elif j < len(new):
                j += 1
            else:
                break
        yield old[first_i:i], new[first_j:j]


def _same(_: Follower, __: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    same = len(tensors[0].dims) == len(shapes[-1])
    return tensors[0] if same else Followed((Dim(),) * len(shapes[-1]))


def _opaque(_: Follower, node: Node, tensors: Tensors, shapes: Shapes) -> Followed:
    if any(tensor.is_denser for tensor in tensors):
        raise _refuse(node, "what it does with positions isn't known")
    return Followed((Dim(),) * len(shapes[-1]))


RULES: dict[type, Callable[[Follower, Node, Tensors, Shapes], Followed]] = {
    Conv: _window,
    Pool: _window,
    Pad: _pad,
    Resize: _resize,
    GlobalPool: _global_pool,
    AdaptivePool: _adaptive_pool,
    Reduce: _reduce,
    Mix: _mix,
    Elementwise: _join,
    Norm: _join,
    Expand: _join,
    Concat: _concat,
    Stack: _stack,
    Permute: _permute,
    Slice: _slice,
    Select: _select,
    Shift: _moved,
    Rearrange: _moved,
    PixelShuffle: _pixel_shuffle,
    Unfold: _unfold,
    Linear: _linear,
    Matmul: _product,
    Attention: _product,
    Recurrence: _product,
    Reshape: _reshape,
    Flatten: _reshape,
    Output: _same,
    Unused: _same,
    Opaque: _opaque,
}
