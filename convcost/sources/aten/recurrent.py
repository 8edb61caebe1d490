"""Recurrent layers, each as one op: torch takes them apart in another way on each device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

from torch import Tensor

from convcost.errors import ShapeError
from convcost.ops import Rearrange, Recurrence
from convcost.sources.tracer import Tracer


def _recurrent(kind: str, tracer: Tracer, func: Any, x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    # input: states, weights, …, batch_first; data, of packed sequences: batch_sizes before them
    packed = func._overloadname == "data"  # noqa: SLF001  the op's own word
    states, weights, _, layers, _, _, both_ways, *first = args[packed:]
    states = [states] if isinstance(states, Tensor) else states
    matrices = [weight for weight in weights if weight.dim() == 2]
    if x.shape[-1] != matrices[0].shape[1]:
        needed = f"needs {matrices[0].shape[1]} features"
        raise ShapeError(f"{needed}, the input has {x.shape[-1]}")
    # per step, layer and direction: [n, g h] = [n, i] [i, g h] + [n, h] [h, g h]
    work = prod(x.shape[:-1]) * sum(matrix.numel() for matrix in matrices)
    (batch_first,) = first or (False,)
    op = Recurrence(work, kind, int(batch_first), both_ways, layers > 1 or not both_ways)
    features = states[0].shape[-1] * (1 + both_ways)
    x = tracer.as_node(x)
    y = tracer.emit(op, (x, *states, *weights), (*x.shape[:-1], features), like=x)
    return y, *_last_states(tracer, y, states)


def _last_states(tracer: Tracer, y: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
    op = Rearrange((), "state")
    return [tracer.emit(op, (y,), tuple(state.shape), like=y) for state in states]


_KINDS = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn", "rnn_relu": "rnn"}
RULES: dict[str, Callable[..., Any]] = {
    op: partial(_recurrent, kind) for op, kind in _KINDS.items()
}
