"""What each op of a pass means: the dispatch mode that asks the rules and records nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from convcost.ops import Elementwise, Op, Opaque, Output
from convcost.sources.at_once import at_once
from convcost.sources.torch_layers import one_op
from convcost.sources.traced import META, Traced, node_of, share_storage, tensors_in
from convcost.sources.writer import Writer

SMALL = 4096
"""Constants of at most so many scalars are computed for real, so that Python can read them."""

NEEDS_VALUES = " needs values"
"""What is said of an op that can't tell without them what it gives."""


class NeedsDataError(Exception):
    """The model asks for a value, which a pass without data hasn't got."""


class Tracer(Writer, TorchDispatchMode):
    """Asks the rule of each op; ``overwritten`` holds constants of the user's as they were."""

    def __init__(
        self,
        rules: Mapping[str, Callable[..., Any]],
        parameters: Mapping[int, tuple[str, Tensor]],
        buffers: Iterable[int],
        device: torch.device,
    ) -> None:
        Writer.__init__(self, parameters, buffers, device)
        TorchDispatchMode.__init__(self)  # type: ignore[no-untyped-call]
        self._rules = rules
        self._layers: dict[tuple[type, Any], Callable[..., Any] | None] = {}
        self._views: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = {}
        self._resolved: dict[int, Callable[..., Any] | None] = {}
        self.overwritten: list[tuple[Tensor, Tensor]] = []
        self._users: list[Tensor] = []

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
        if kwargs and func._schema.is_mutable and _outs(func):  # noqa: SLF001  the op's own word
            return self._into(func, types, args, kwargs)
        kwargs = kwargs or {}
        try:
            # an op hashes slowly, and lives as long as torch does
            rule = self._resolved[id(func)]
        except KeyError:
            rule = self._resolved[id(func)] = self.rule_of(func)
        if rule is None:
            return self._unknown(func, args, kwargs)
        if not (args and type(args[0]) is Traced) and not self.any_traced(args, kwargs):
            return self._constant(func, args, kwargs)
        return rule(self, func, *args, **kwargs)

    def _into(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An op that writes what it gives into the tensors of ``out=``."""
        outs = _outs(func)
        given = {key: value for key, value in kwargs.items() if key not in outs}
        if not self.any_traced(args, given):
            return self.for_real(func, args, kwargs)
        result = Tracer.__torch_dispatch__(self, _without_out(func), types, args, given)
        made = zip([kwargs[key] for key in outs], tensors_in(result), strict=True)
        targets = [self.replace(target, new) for target, new in made if type(new) is Traced]
        return targets[0] if len(targets) == 1 else tuple(targets)

    def watched_module(self, path: str, module: nn.Module) -> Callable[..., Any]:
        """What a call of ``module`` runs: its ``forward``, or at once the rule of its one op."""
        attributes = module.__dict__
        kind = (type(module), attributes.get("inplace"))
        if kind not in self._layers:
            layer = one_op(*kind)
            self._layers[kind] = layer and at_once(layer, self._rules[layer.op])
        run = self._layers[kind]
        if run is None or "forward" in attributes:
            return self.watched(path, module.forward)
        return partial(run, self, path, module)

    def rule_of(self, func: Any) -> Callable[..., Any] | None:
        """The rule of an op, None where there is none."""
        return self._rules.get(base_name(func))

    def any_traced(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether one of the tensors depends on the model or its input."""
        return any(map(self.is_traced, tensors_in((args, kwargs))))

    def _constant(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An op on no tensor of the model: computed for real where small."""
        found = list(tensors_in((args, kwargs)))
        if found and sum(map(Tensor.numel, found)) <= SMALL:
            return self.for_real(func, args, kwargs)
        twins, twin_kwargs = self.without_data(args), self.without_data(kwargs)
        if not found and "device" in _argument_names(func):
            twin_kwargs["device"] = META
        result = func(*twins, **twin_kwargs)
        if not isinstance(result, Tensor) or (not found and result.numel() <= SMALL):
            return self.for_real(func, args, kwargs)
        return self.emit(Elementwise("constant"), (), tuple(result.shape), twin=result)

    def for_real(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A constant computed; one of the user's own that is written to is put back afterwards."""
        self.keep_written(func, args, kwargs)
        # a cache of the user's may keep it for a pass of training
        bound = any(map(Tensor.is_inference, tensors_in((args, kwargs))))
        with torch.inference_mode(mode=bound), torch.no_grad():
            result = func(*args, **kwargs)
        made = list(tensors_in(result))
        for source in tensors_in((args, kwargs)):
            shown = [tensor for tensor in made if share_storage(tensor, source)]
            if shown and not self._is_made_here(source):
                self._users += [source, *shown]
                self.constants.append(source)
        self.constants += made
        return result

    def keep_written(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Notes what an op writes into of the user's own, as it is before."""
        if not func._schema.is_mutable:  # noqa: SLF001  the op's own word
            return
        written = [kwargs[name] for name in _outs(func) if name in kwargs] or args[:1]
        for target in tensors_in(written):
            if node_of(target) is None and not self._is_made_here(target):
                self.overwritten.append((target, target.detach().clone()))

    def _is_made_here(self, tensor: Tensor) -> bool:
        """Whether a constant was made in this pass, and shows nothing of the user's."""
        if any(tensor is other for other in self._users):
            return False
        return id(tensor) in self._state or any(tensor is other for other in self.constants)

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

    def view(
        self,
        func: Callable[..., Tensor],
        twin: Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        """What an op that shows ``twin`` in another way gives: the same twin if it did before."""
        others = any(isinstance(arg, Tensor) for arg in args)
        if kwargs or others or not isinstance(func, OpOverload):
            return func(twin, *self.without_data(args), **self.without_data(kwargs))
        # an op hashes slowly, and lives as long as torch does
        key = (id(func), id(twin), *[tuple(arg) if type(arg) is list else arg for arg in args])
        if key not in self._views:
            # the twin is held, so that no other gets its id
            self._views[key] = (func(twin, *self.without_data(args)), twin)
        return self._views[key][0]

    def _unknown(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An op that no rule names: taken apart, run on the twins, or told to be unknown."""
        if not self.any_traced(args, kwargs):
            return self._constant(func, args, kwargs)
        result = self.taken_apart(func, args, kwargs)
        if result is not NotImplemented:
            return result
        known = torch.Tag.pointwise in func.tags
        name = base_name(func)
        return self.run_on_twins(func, args, kwargs, Elementwise(name) if known else Opaque(name))

    def taken_apart(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the ops give that ``func`` is made of; ``NotImplemented`` where it is left whole."""
        if torch.Tag.pointwise in func.tags or not func._can_decompose():  # noqa: SLF001  the dispatch mode's own protocol
            return NotImplemented
        with self:
            return func.decompose(*args, **kwargs)

    def run_on_twins(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], op: Op) -> Any:
        """The op's own meta kernel, and ``op`` recorded for what it gives.

        Raises:
            NeedsDataError: it has none, or none without data.
        """
        result = self.twins_of(func, args, kwargs)
        sources = list(tensors_in((args, kwargs)))
        if func._schema.is_mutable and args:  # noqa: SLF001  the op's own word
            for target in tensors_in(args[:1]):
                self.write(op, target, sources)
            return None if result is None else args[0]
        if func.is_view and isinstance(result, Tensor):
            return self.emit(op, sources, tuple(result.shape), twin=result, view_of=args[0])
        return self._wrap_results(op, sources, result, first=None)

    def twins_of(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the op's meta kernel gives.

        Raises:
            NeedsDataError: it has none, or none without data.
        """
        try:
            return func(*self.without_data(args), **self.without_data(kwargs))
        except (NotImplementedError, RuntimeError, TypeError) as error:
            raise NeedsDataError(_reason(func, error)) from error

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


def _reason(func: Any, error: Exception) -> str:
    """Why a meta kernel gave nothing; what torch says of such kernels is no advice for users."""
    name = base_name(func)
    if "meta" not in str(error).lower():
        return f"{name}: {error}"
    return ("item" if name == "_local_scalar_dense" else name) + NEEDS_VALUES


def base_name(func: Any) -> str:
    """``conv2d`` of ``aten::conv2d.default``; other namespaces keep theirs."""
    name: str = func._schema.name  # noqa: SLF001  the op's own name
    return name.removeprefix("aten::")


def _outs(func: Any) -> list[str]:
    """The names of the arguments that an op writes into, as ``out=``."""
    return [argument.name for argument in func._schema.arguments if argument.is_out]  # noqa: SLF001


def _without_out(func: Any) -> Any:
    """The overload that gives what ``func`` writes."""
    packet, outs = func.overloadpacket, _outs(func)
    signature = [(n, t) for n, t in _signature(func) if n not in outs]
    return next(o for n in packet.overloads() if _signature(o := getattr(packet, n)) == signature)


def _signature(func: Any) -> list[tuple[str, str]]:
    return [(argument.name, str(argument.type)) for argument in func._schema.arguments]  # noqa: SLF001


def _argument_names(func: Any) -> set[str]:
    return {argument.name for argument in func._schema.arguments}  # noqa: SLF001
