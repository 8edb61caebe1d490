"""From a module and its inputs to a graph."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convcost.graph import Graph, Node, Parameter
from convcost.ops import Unused
from convcost.sources.aten import RULES
from convcost.sources.escaped import forget_escaped
from convcost.sources.module_state import ModuleState
from convcost.sources.on_data import DataTracer
from convcost.sources.traced import Traced
from convcost.sources.tracer import NEEDS_VALUES, NeedsDataError, Tracer
from convcost.uncollected import uncollected

_ESCAPED = (
    "forward keeps tensors outside the model; those of this pass have no data, and the model can't "
    "run again before they are gone"
)


_NO_DATA = ("meta device type tensor", "unallocated storage")
"""What torch says where values are taken out of a tensor without an op."""
_ONE_WAY = (
    "these are the costs of one way through it, with these weights and this input; another input, "
    "or a variant, may go another way"
)


class Trace(NamedTuple):
    """What one pass gave; ``notices`` say what was out of the ordinary."""

    graph: Graph
    notices: tuple[str, ...]


_Tracer = TypeVar("_Tracer", bound=Tracer)


class ForwardError(Exception):
    """The model's ``forward`` raised ``cause``, in the module at ``path``."""

    def __init__(self, path: str, cause: Exception) -> None:
        super().__init__(str(cause))
        self.path = path
        self.cause = cause


def trace(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], name: str) -> Trace:
    """One pass of ``module``, without data where that works, else for real on its device.

    The module is as before afterwards, also after an error.

    Raises:
        ForwardError: the model's own code raised an error.
        NeedsDataError: the pass needs data, and the module has none (it is on the meta device).
    """
    # each stand-in holds its class
    alive = sys.getrefcount(Traced)
    state = ModuleState(module)
    with uncollected(), _apart(state):
        found = _without_data(state, module, args, kwargs, name)
        # the pass on data must not find what the other left
        escaped = sys.getrefcount(Traced) > alive and forget_escaped()
        notices = (_ESCAPED,) if escaped else ()
        if isinstance(found, Graph):
            return Trace(found, notices)
        with state.kept_with_data():
            # what a pass on random data counts is the same each time; other devices' stay
            torch.default_generator.manual_seed(0)
            graph = _run(state, module, args, kwargs, name, _tracer(state, DataTracer))
    return Trace(graph, (f"run on data, because {_why(found)}", *notices))


def _why(found: str) -> str:
    """What the user must know of a pass that needed data, from what one without it gave."""
    op, needs, _ = found.rpartition(NEEDS_VALUES)
    if needs:
        return f"forward asks for values ({op}): {_ONE_WAY}"
    if any(words in found for words in _NO_DATA):
        return f"forward asks for values: {_ONE_WAY}"
    return f"a pass without it can't tell: {found}"


def _without_data(
    state: ModuleState,
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    name: str,
) -> Graph | str:
    """What a pass without data gives, or why it can't tell.

    Raises:
        ForwardError: the model has lazy parameters, and its own code raised an error.
        NeedsDataError: the pass needs data, and the module has none.
    """
    try:
        with state.kept():
            return _run(state, module, args, kwargs, name, _tracer(state, Tracer))
    except (NeedsDataError, ForwardError) as error:
        # what only fails without data runs with it, and what fails is told in torch's words
        if any(is_lazy(tensor) for tensor in state.tensors()):
            raise
        reason = str(error)
        if any(tensor.is_meta for tensor in state.tensors()):
            raise NeedsDataError(reason) from error
        return reason


def value_at(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], node: Node, index: int
) -> Tensor | None:
    """What ``node``, the one at ``index`` of the module's graph, gives in a pass on data.

    The module is as before afterwards. None where a pass on data goes another way.

    Raises:
        ForwardError: the model's own code raised an error.
    """
    state = ModuleState(module)
    tracer = _tracer(state, DataTracer)
    tracer.wanted = index
    with _apart(state), state.kept_with_data():
        _run(state, module, args, kwargs, "", tracer)
    found = tracer.nodes[index] if index < len(tracer.nodes) else None
    same = found is not None and (found.name, found.shape) == (node.name, node.shape)
    return tracer.kept if same else None


def _run(  # noqa: PLR0913
    state: ModuleState,
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    name: str,
    tracer: Tracer,
) -> Graph:
    inputs = [_given(tracer, value, f"input{i or ''}") for i, value in enumerate(args)]
    named = {key: _given(tracer, value, f"input.{key}") for key, value in kwargs.items()}
    state.wrap_forward(tracer.watched_module)
    try:
        with tracer:
            result = module(*inputs, **named)
        output = tracer.first_node(result)
    except NeedsDataError:
        raise
    except Exception as error:
        raise ForwardError(tracer.failed_at, error) from error
    finally:
        tracer.forget()
        for tensor, value in reversed(tracer.overwritten):
            tensor.copy_(value)
    last = len(tracer.nodes) - 1 if output is None else output
    unused = _unused(state, tracer.used)
    return Graph(name, (*tracer.nodes, *unused), last, tracer.returned)


def _tracer(state: ModuleState, kind: type[_Tracer]) -> _Tracer:
    return kind(RULES, state.parameters, state.buffers, _device(state))


def _device(state: ModuleState) -> torch.device:
    """The device of the model's first real tensor: what a question about the device is told."""
    devices = (tensor.device for tensor in state.tensors() if not tensor.is_meta)
    return next(devices, torch.device("cpu"))


def _given(tracer: Tracer, value: Any, name: str) -> Any:
    """``value`` with what the model is given in the place of each tensor."""
    if isinstance(value, Tensor):
        return tracer.input(name, value)
    if isinstance(value, list | tuple):
        parts = [_given(tracer, v, f"{name}[{i}]") for i, v in enumerate(value)]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {k: _given(tracer, v, f"{name}[{k}]") for k, v in value.items()}
    return value


def _unused(state: ModuleState, used: Collection[int]) -> Iterator[Node]:
    """One node for each module with parameters that no op read."""
    groups: dict[str, list[Parameter]] = {}
    for key, (name, tensor) in state.parameters.items():
        if key not in used:
            owner = name.rpartition(".")[0]
            made = Parameter(name, tuple(tensor.shape), tensor.dtype.itemsize)
            groups.setdefault(owner, []).append(made)
    for owner, parameters in groups.items():
        name = f"{owner}.unused" if owner else "unused"
        yield Node(name, Unused(), (), (0,), tuple(parameters), module=owner)


@contextmanager
def _apart(state: ModuleState) -> Iterator[None]:
    """No gradients, each op by itself, and random numbers that go on as if none had been drawn."""
    device = _device(state)
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        _plain_paths(),
        torch.inference_mode(),
    ):
        yield


@contextmanager
def _plain_paths() -> Iterator[None]:
    """No fused fast path for attention, nothing compiled: each op is seen by itself."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        if "torch._dynamo" in sys.modules:
            with torch.compiler.set_stance("force_eager"):
                yield
        else:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fast)
