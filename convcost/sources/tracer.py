"""One pass of a model under a dispatch mode, with shapes in place of data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convcost.graph import Node, Parameter
from convcost.ops import Elementwise, Input, Op, Opaque, Output, Rearrange, Shape

META = torch.device("meta")
SMALL = 4096
"""Constants of at most so many scalars are computed for real, so that Python can read them."""


class NeedsDataError(Exception):
    """The model asks for a value, which a pass without data hasn't got."""


class Traced(Tensor):
    """A tensor without data: ``twin`` has its shape and strides, ``node`` says what made it."""

    # torch's own way to leave a subclass alone
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # noqa: SLF001
    twin: Tensor
    node: int
    base: Traced | None
    real_device: torch.device

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # answered for the real device
        return self.real_device

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return self.real_device.type == "meta"

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]
        return self.real_device.type == "cpu"


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Records a node for each op; ``real`` runs every op on data as well."""

    def __init__(
        self,
        rules: Mapping[str, Callable[..., Any]],
        parameters: Mapping[int, tuple[str, Tensor]],
        buffers: Iterable[int],
        device: torch.device,
        *,
        real: bool,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[Node] = []
        self.used: set[int] = set()
        self.failed_at = ""
        self.real = real
        self._rules = rules
        self._resolved: dict[Any, Callable[..., Any] | None] = {}
        self._parameters = parameters
        self._state = {*parameters, *buffers}
        self._device = device
        self._twins: dict[int, Tensor] = {}
        self._made: dict[int, Parameter] = {}
        self._shadows: dict[int, Traced] = {}
        self._results: Iterator[Tensor] = iter(())
        self.overwritten: list[tuple[Tensor, Tensor]] = []
        self._constants: list[Tensor] = []
        self._stack: list[tuple[str, int]] = [("", 0)]
        self._calls = 0

    # modules

    def watched(self, path: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        """``forward`` with its module's path on the stack while it runs."""

        def run(*args: Any, **kwargs: Any) -> Any:
            self._calls += 1
            self._stack.append((path, self._calls))
            try:
                return forward(*args, **kwargs)
            except Exception:
                self.failed_at = self.failed_at or path
                raise
            finally:
                self._stack.pop()

        return run

    # tensors

    def input(self, name: str, tensor: Tensor) -> Tensor:
        """The stand-in for one of the model's inputs."""
        shape = tuple(tensor.shape)
        self.nodes.append(Node(name, Input(shape), (), shape, (), tensor.dtype.itemsize))
        if self.real:
            copy = tensor.clone()
            copy.node = len(self.nodes) - 1  # type: ignore[attr-defined]
            return copy
        twin = torch.empty_strided(shape, tensor.stride(), dtype=tensor.dtype, device=META)
        return self._wrap(twin, len(self.nodes) - 1)

    def _wrap(self, twin: Tensor, node: int, base: Traced | None = None) -> Traced:
        traced: Traced = Tensor._make_subclass(Traced, twin)  # noqa: SLF001  cheaper than as_subclass
        traced.twin = twin
        traced.node = node
        traced.base = base
        traced.real_device = self._device
        return traced

    def twin(self, tensor: Tensor) -> Tensor:
        """A tensor of the same shape and strides that has no data."""
        if type(tensor) is Traced:
            return tensor.twin
        found = self._twins.get(id(tensor))
        if found is None:
            shadow = self._shadows.get(id(tensor))
            if shadow is not None:
                return shadow.twin
            with torch.inference_mode(mode=False):
                found = torch.empty_strided(
                    tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META
                )
            if id(tensor) in self._state:
                self._twins[id(tensor)] = found
        return found

    def is_traced(self, tensor: Tensor) -> bool:
        """Whether the tensor depends on the input, a parameter or a buffer."""
        return node_of(tensor) is not None or id(tensor) in self._state

    # nodes

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
    ) -> Tensor:
        """Records ``op`` and gives its output, whose metadata is ``twin``'s or ``like``'s."""
        inputs, parameters = self._sources(tensors)
        result = next(self._results) if self.real else None
        if result is not None:
            twin, shape = result, tuple(result.shape)
        elif twin is None:
            twin = self._new_twin(shape, like, dtype)
        shares = None if view_of is None else node_of(view_of)
        path, call = self._stack[-1]
        index = len(self.nodes)
        name = f"{path}.{op.kind}" if path else op.kind
        self.nodes.append(
            Node(name, op, inputs, shape, parameters, twin.dtype.itemsize, shares, path, call)
        )
        if result is not None:
            result.node = index  # type: ignore[attr-defined]
            return result
        base = view_of if type(view_of) is Traced else None
        return self._wrap(twin, index, base)

    def _sources(
        self, tensors: Iterable[Tensor | None]
    ) -> tuple[tuple[int, ...], tuple[Parameter, ...]]:
        inputs: list[int] = []
        parameters: list[Parameter] = []
        for tensor in tensors:
            if tensor is None:
                continue
            node = node_of(tensor)
            if node is not None:
                inputs.append(node)
            elif id(tensor) in self._shadows:
                inputs.append(self._shadows[id(tensor)].node)
            elif id(tensor) in self._parameters:
                parameters.append(self._parameter(tensor))
        return tuple(inputs), tuple(parameters)

    def _parameter(self, tensor: Tensor) -> Parameter:
        key = id(tensor)
        made = self._made.get(key)
        if made is None:
            name = self._parameters[key][0]
            made = Parameter(name, tuple(tensor.shape), tensor.dtype.itemsize)
            self._made[key] = made
            self.used.add(key)
        return made

    def _new_twin(self, shape: Shape, like: Tensor | None, dtype: torch.dtype | None) -> Tensor:
        if like is None:
            return torch.empty(shape, dtype=dtype or torch.float32, device=META)
        source = self.twin(like)
        wanted = dtype or source.dtype
        if wanted is source.dtype and source.shape == shape:
            return source
        stride = source.stride()
        last = len(shape) > 3 and len(stride) == len(shape) and stride[1] == 1 and shape[1] > 1
        if not last:
            return torch.empty(shape, dtype=wanted, device=META)
        layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
        return torch.empty(shape, dtype=wanted, device=META, memory_format=layout)

    def write(self, op: Op, target: Tensor, tensors: Sequence[Tensor | None]) -> Tensor:
        """Records an in-place op: ``target`` now holds its result."""
        new = self.emit(op, tensors, tuple(target.shape), like=target, view_of=target)
        if self.real:
            return target
        assert isinstance(new, Traced)  # noqa: S101  what emit gives without data
        if type(target) is not Traced:
            # a buffer or a parameter: it keeps its value, what was written is read from here on
            self._shadows[id(target)] = new
            return target
        target.node = new.node
        self._write_through(target)
        return target

    def _write_through(self, view: Traced) -> None:
        """What was written into a view is in its base as well."""
        base = view.base
        while base is not None:
            same = (
                all(
                    a == b
                    for i, (a, b) in enumerate(zip(view.shape, base.shape, strict=False))
                    if i != 1
                )
                and view.dim() == base.dim()
            )
            op = Elementwise("write") if same else Rearrange(tuple(range(base.dim())), "write")
            new = self.emit(op, (base, view), tuple(base.shape), like=base, view_of=base)
            assert isinstance(new, Traced)  # noqa: S101  what emit gives without data
            base.node = new.node
            view, base = base, base.base

    # dispatch

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing here is compiled: torch needn't guard each op against it."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """What torch calls for every op."""
        del types
        kwargs = kwargs or {}
        try:
            rule = self._resolved[func]
        except KeyError:
            rule = self._resolved[func] = self._rules.get(_base_name(func))
        if rule is None:
            return self._unknown(func, args, kwargs)
        if not (args and type(args[0]) is Traced) and not self._any_traced(args, kwargs):
            return self._constant(func, args, kwargs)
        if self.real:
            return self._run(rule, func, args, kwargs)
        return rule(self, func, *args, **kwargs)

    def _run(
        self, rule: Callable[..., Any], func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = func(*args, **kwargs)
        self._results = iter(list(tensors_in((result,))))
        rule(self, func, *args, **kwargs)
        return result

    def _any_traced(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return any(map(self.is_traced, tensors_in((args, kwargs))))

    def _constant(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An op on no tensor of the model: computed for real where small."""
        found = list(tensors_in((args, kwargs)))
        if self.real or (found and sum(map(Tensor.numel, found)) <= SMALL):
            return self._for_real(func, args, kwargs)
        twins, twin_kwargs = self.without_data(args), self.without_data(kwargs)
        if not found and "device" in _argument_names(func):
            twin_kwargs["device"] = META
        result = func(*twins, **twin_kwargs)
        if not isinstance(result, Tensor) or (not found and result.numel() <= SMALL):
            return self._for_real(func, args, kwargs)
        return self.emit(Elementwise("constant"), (), tuple(result.shape), twin=result)

    def _for_real(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A constant computed; one of the user's own that is written to is put back afterwards."""
        if func._schema.is_mutable and args:  # noqa: SLF001  the op's own word
            target = args[0]
            known = (*self._constants, *(tensor for tensor, _ in self.overwritten))
            if isinstance(target, Tensor) and not any(target is other for other in known):
                self.overwritten.append((target, target.detach().clone()))
        result = func(*args, **kwargs)
        self._constants += tensors_in(result)
        return result

    def as_node(self, x: Tensor) -> Tensor:
        """A parameter or constant that is used as an input is: a node, so that it has a shape."""
        if node_of(x) is not None or id(x) in self._shadows:
            return x
        if not self.real:
            return self.emit(Elementwise("constant"), (x,), tuple(x.shape), like=x)
        self._results = iter((x.detach(), *self._results))
        return self.emit(Elementwise("constant"), (x,), tuple(x.shape))

    def without_data(self, value: Any) -> Any:
        """``value`` with each tensor's twin in its place, and each device the twins'."""
        if isinstance(value, Tensor):
            return self.twin(value)
        if isinstance(value, torch.device):
            return META
        if isinstance(value, list | tuple):
            return type(value)(map(self.without_data, value))
        if isinstance(value, dict):
            return {key: self.without_data(item) for key, item in value.items()}
        return value

    def _unknown(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An op that no rule names: taken apart, run on the twins, or told to be unknown."""
        if not self._any_traced(args, kwargs):
            return self._constant(func, args, kwargs)
        if torch.Tag.pointwise in func.tags:
            return self._generic(func, args, kwargs, Elementwise(_base_name(func)))
        if func._can_decompose():  # noqa: SLF001  the dispatch mode's own protocol
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        return self._generic(func, args, kwargs, Opaque(_base_name(func)))

    def _generic(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], op: Op) -> Any:
        if self.real:
            return self._run(
                lambda tracer, *_, **__: tracer.outputs(op, args, kwargs), func, args, kwargs
            )
        return self.run_on_twins(func, args, kwargs, op)

    def outputs(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Records one node for each tensor that a real run gave."""
        results = list(self._results)
        sources: Sequence[Tensor] = list(tensors_in((args, kwargs)))
        for i, result in enumerate(results):
            self._results = iter((result,))
            self.emit(
                op if i == 0 else Output(), sources if i == 0 else results[:1], tuple(result.shape)
            )

    def run_on_twins(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], op: Op) -> Any:
        """The op's own meta kernel, and ``op`` recorded for what it gives.

        Raises:
            NeedsDataError: it has none, or none without data.
        """
        if self.real:
            return self.outputs(op, args, kwargs)
        try:
            result = func(*self.without_data(args), **self.without_data(kwargs))
        except (NotImplementedError, RuntimeError, TypeError) as error:
            raise NeedsDataError(f"{func}: {error}") from error
        if func._schema.is_mutable and args:  # noqa: SLF001  the op's own word
            return self.write(op, args[0], list(tensors_in((args, kwargs))))
        sources = list(tensors_in((args, kwargs)))
        return self._wrap_results(op, sources, result, first=None)

    def _wrap_results(
        self, op: Op, sources: Sequence[Tensor], result: Any, first: Tensor | None
    ) -> Any:
        if isinstance(result, Tensor):
            return self.emit(op, sources, tuple(result.shape), twin=result)
        if isinstance(result, list | tuple):
            made = []
            for item in result:
                out = self._wrap_results(
                    op if first is None else Output(),
                    sources if first is None else (first,),
                    item,
                    first,
                )
                first = out if first is None and isinstance(out, Tensor) else first
                made.append(out)
            return type(result)(made) if type(result) in (list, tuple) else tuple(made)
        if result is None:
            return None
        raise NeedsDataError(f"{op.kind} gives a value")


def node_of(tensor: Tensor) -> int | None:
    """The index of the node that made a tensor, or None."""
    return getattr(tensor, "node", None)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def _base_name(func: Any) -> str:
    """``conv2d`` of ``aten::conv2d.default``; other namespaces keep theirs."""
    name: str = func._schema.name  # noqa: SLF001  the op's own name
    return name.removeprefix("aten::")


def _argument_names(func: Any) -> set[str]:
    return {argument.name for argument in func._schema.arguments}  # noqa: SLF001
