"""The nodes of one pass, and the stand-ins for the tensors between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from convcost.graph import Node, Parameter
from convcost.ops import Elementwise, Input, Op, Reshape, Shape
from convcost.sources.traced import META, Traced, node_of, results_in


class Recorder:
    """Records a node for each op.

    ``failed_at`` is the path of the module whose ``forward`` raised an error.
    """

    def __init__(
        self,
        parameters: Mapping[int, tuple[str, Tensor]],
        buffers: Iterable[int],
        device: torch.device,
    ) -> None:
        self.nodes: list[Node] = []
        self.returned: dict[tuple[str, int], int | None] = {}
        self.failed_at = ""
        self._parameters = parameters
        self._state = {*parameters, *buffers}
        self._device = device
        self._elsewhere = device.type != "cpu"
        self._twins: dict[int, Tensor] = {}
        self._made: dict[int, Parameter] = {}
        self._new_twins: dict[tuple[Shape, torch.dtype, bool], Tensor] = {}
        self.shadows: dict[int, Traced] = {}
        self.seen_layers: dict[tuple[Any, ...], Any] = {}
        self.constants: list[Tensor] = []
        self._stack: list[tuple[str, int]] = [("", 0)]
        self._calls = 0

    def watched(self, path: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        """``forward`` with its module's path on the stack while it runs."""
        return partial(self.called, path, forward)

    def called(self, path: str, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What ``forward`` gives in a call of the module at ``path``."""
        self._calls += 1
        self._stack.append((path, self._calls))
        try:
            result = forward(*args, **kwargs)
            node = result.node if type(result) is Traced else self.first_node(result)
            if node != len(self.nodes) - 1:
                self.returned[self._stack[-1]] = node
        except Exception:
            self.failed_at = self.failed_at or path
            raise
        else:
            return result
        finally:
            self._stack.pop()

    def first_node(self, result: Any) -> int | None:
        """The node of the first tensor in what a ``forward`` gave."""
        found = (node_of(self.shadows.get(id(tensor), tensor)) for tensor in results_in(result))
        return next((node for node in found if node is not None), None)

    def input(self, name: str, tensor: Tensor) -> Tensor:
        """The stand-in for one of the model's inputs."""
        shape = tuple(tensor.shape)
        self.nodes.append(Node(name, Input(shape), (), shape, (), tensor.dtype.itemsize))
        twin = torch.empty_strided(shape, tensor.stride(), dtype=tensor.dtype, device=META)
        return self._wrap(twin, len(self.nodes) - 1)

    def _wrap(self, twin: Tensor, node: int) -> Traced:
        traced: Traced = Tensor._make_subclass(Traced, twin)  # noqa: SLF001  cheaper than as_subclass
        traced.twin = twin
        traced.node = node
        if self._elsewhere:
            traced.real_device = self._device
        return traced

    def again(
        self,
        first: Node,
        twin: Tensor | None,
        x: Traced,
        parameters: tuple[Parameter, ...],
        path: str,
    ) -> Traced:
        """Records what ``first`` did on ``x``, in a call of the module at ``path``.

        ``twin`` is the output's, None where it is written into ``x``.
        """
        self._calls += 1
        shares = x.node if twin is None else None
        sides = (first.shape, parameters, first.itemsize, shares)
        index = self._add(first.op, (x.node,), *sides, (path, self._calls))
        if twin is not None:
            return self._wrap(twin, index)
        x.node = index
        return x

    def shape(self, tensor: Tensor) -> Shape:
        """A tensor's shape, from what is recorded of it where it is: torch takes longer."""
        if type(tensor) is Traced:
            return self.nodes[tensor.node].shape
        if id(tensor) in self._parameters:
            return self.parameter(tensor).shape
        return tuple(tensor.shape)

    def twin(self, tensor: Tensor) -> Tensor:
        """A tensor of the same shape and strides that has no data."""
        if type(tensor) is Traced:
            return tensor.twin
        found = self._twins.get(id(tensor))
        if found is None:
            shadow = self.shadows.get(id(tensor))
            if shadow is not None:
                return shadow.twin
            with torch.inference_mode(mode=False):
                found = _like(tensor)
            if id(tensor) in self._state:
                self._twins[id(tensor)] = found
        return found

    def is_traced(self, tensor: Tensor) -> bool:
        """Whether the tensor depends on the input, a parameter or a buffer, or was written to."""
        key = id(tensor)
        return node_of(tensor) is not None or key in self._state or key in self.shadows

    def emit(  # noqa: PLR0913  a node has as many sides
        self,
        op: Op,
        tensors: Iterable[Tensor | None],
        shape: Shape,
        *,
        like: Tensor | None = None,
        twin: Tensor | None = None,
        dtype: torch.dtype | None = None,
        view_of: Tensor | None = None,
    ) -> Traced:
        """Records ``op`` and gives its output, whose metadata is ``twin``'s or ``like``'s."""
        if view_of is not None:
            view_of = self.shadows.get(id(view_of), view_of)
        if twin is None:
            twin = self._new_twin(shape, like, dtype)
        index = self.record(op, tensors, shape, twin.dtype.itemsize, view_of)
        made = self._wrap(twin, index)
        if type(view_of) is Traced:
            self.show(view_of, made, op)
        elif view_of is not None:
            made.holder, made.shows = view_of, op
        return made

    def alias(self, x: Traced) -> Traced:
        """``x`` under another name, which is no node."""
        made = self._wrap(x.twin, x.node)
        self.show(x, made, Reshape("alias"))
        return made

    def show(self, base: Traced, view: Traced, op: Op) -> None:
        """Notes that ``view`` shows ``op`` of ``base``."""
        view.base, view.shows = base, op
        base.views = base.views or []
        base.views.append(ref(view))

    def forget(self) -> None:
        """Takes what was noted on the user's own tensors off them: without data, nothing was."""

    def record(  # noqa: PLR0913  a node has as many sides
        self,
        op: Op,
        tensors: Iterable[Tensor | None],
        shape: Shape,
        itemsize: int,
        view_of: Tensor | None,
        place: tuple[str, int] | None = None,
    ) -> int:
        """The index of a new node; ``place`` is a module's path and call, else what runs now."""
        inputs, parameters = self._sources(tensors)
        shares = None if view_of is None else node_of(view_of)
        place = place or self._stack[-1]
        return self._add(op, inputs, shape, parameters, itemsize, shares, place)

    def _add(  # noqa: PLR0913  a node has as many sides
        self,
        op: Op,
        inputs: tuple[int, ...],
        shape: Shape,
        parameters: tuple[Parameter, ...],
        itemsize: int,
        shares: int | None,
        place: tuple[str, int],
    ) -> int:
        name = f"{place[0]}.{op.kind}" if place[0] else op.kind
        self.nodes.append(Node(name, op, inputs, shape, parameters, itemsize, shares, *place))
        return len(self.nodes) - 1

    def _sources(
        self, tensors: Iterable[Tensor | None]
    ) -> tuple[tuple[int, ...], tuple[Parameter, ...]]:
        inputs: list[int] = []
        parameters: list[Parameter] = []
        for tensor in tensors:
            if type(tensor) is Traced:
                inputs.append(tensor.node)
            elif tensor is not None:
                self._add_source(tensor, inputs, parameters)
        return tuple(inputs), tuple(parameters)

    def _add_source(self, tensor: Tensor, inputs: list[int], parameters: list[Parameter]) -> None:
        key = id(tensor)
        if key in self.shadows:
            inputs.append(self.shadows[key].node)
        elif key in self._parameters:
            parameters.append(self.parameter(tensor))

    def parameter(self, tensor: Tensor) -> Parameter:
        """What is recorded of one of the model's parameters, which is used from here on.

        Raises:
            KeyError: it is none of them.
        """
        key = id(tensor)
        made = self._made.get(key)
        if made is None:
            name = self._parameters[key][0]
            made = Parameter(name, tuple(tensor.shape), tensor.dtype.itemsize)
            self._made[key] = made
        return made

    @property
    def used(self) -> Collection[int]:
        """The ids of the parameters that an op read."""
        return self._made.keys()

    def _new_twin(self, shape: Shape, like: Tensor | None, dtype: torch.dtype | None) -> Tensor:
        last = False
        if like is not None:
            source = self.twin(like)
            if self.shape(like) == shape and (dtype is None or dtype is source.dtype):
                return source
            dtype = dtype or source.dtype
            last = len(shape) > 3 and _is_channels_last(source, shape)
        key = (shape, dtype or torch.float32, last)
        twin = self._new_twins.get(key)
        if twin is None:
            twin = self._new_twins[key] = _twin(*key)
        return twin

    def as_node(self, x: Tensor) -> Tensor:
        """A parameter or constant that is used as an input is: a node, so that it has a shape."""
        if type(x) is Traced or node_of(x) is not None or id(x) in self.shadows:
            return x
        return self.emit(Elementwise("constant"), (x,), tuple(x.shape), like=x)


def _like(tensor: Tensor) -> Tensor:
    """A tensor of the same shape, strides and size that has no data."""
    dtype = _HELD_AS.get(tensor.dtype, tensor.dtype)
    if tensor.layout is not torch.strided:
        return torch.empty(tensor.shape, dtype=dtype, device=META)
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype, device=META)


_HELD_AS = {torch.quint8: torch.uint8, torch.qint8: torch.int8, torch.qint32: torch.int32}
"""What the dtypes of quantised tensors are held as, for which there is no meta device."""


def _is_channels_last(source: Tensor, shape: Shape) -> bool:
    """Whether what an op makes of ``source`` in ``shape`` has the channels last, as it has."""
    stride = source.stride()
    return len(stride) == len(shape) and stride[1] == 1 and shape[1] > 1


def _twin(shape: Shape, dtype: torch.dtype, last: bool) -> Tensor:  # noqa: FBT001
    if not last:
        return torch.empty(shape, dtype=dtype, device=META)
    layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    return torch.empty(shape, dtype=dtype, device=META, memory_format=layout)
