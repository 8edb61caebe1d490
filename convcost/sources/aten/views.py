"""Ops that show the same scalars under another shape or order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from convcost.ops import Expand, Op, Permute, Rearrange, Reshape, Select, Slice
from convcost.sources.aten.settings import named, positive
from convcost.sources.traced import Traced, share_storage
from convcost.sources.tracer import Tracer

_RESHAPES = """
view reshape flatten unflatten _unsafe_view squeeze unsqueeze view_as reshape_as _reshape_alias
view_as_real view_as_complex ravel atleast_1d atleast_2d atleast_3d
""".split()


def _as_made(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A view of what was made outside inference mode must be made there too: torch checks it."""

    def outside(tracer: Tracer, func: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(x, list | tuple):
            return [outside(tracer, func.overloadpacket.default, each) for each in x]
        if x.is_inference():
            return rule(tracer, func, x, *args, **kwargs)
        with torch.inference_mode(mode=False), torch.no_grad():
            return rule(tracer, func, x, *args, **kwargs)

    return outside


def _on_twin(tracer: Tracer, func: Any, op: Op, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """A view, by torch's own kernel for the shape and the strides."""
    twin = tracer.twin(x)
    result = tracer.view(func, twin, args, kwargs)
    # a reshape copies what no strides can show
    view_of = x if not isinstance(op, Reshape) or share_storage(result, twin) else None
    return tracer.emit(op, (x,), tuple(result.shape), twin=result, view_of=view_of)


def _same(tracer: Tracer, _: Any, x: Tensor, *__: Any, **___: Any) -> Any:
    """The same tensor under another name."""
    if type(x) is Traced:
        return tracer.alias(x)
    return tracer.emit(Reshape("alias"), (x,), tuple(x.shape), like=x, view_of=x)


def _reshape(kind: str) -> Callable[..., Any]:
    def rule(tracer: Tracer, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return _on_twin(tracer, func, Reshape(kind.strip("_")), x, *args, **kwargs)

    return rule


def _permute(tracer: Tracer, func: Any, x: Tensor, dims: Sequence[int]) -> Tensor:
    order = tuple(positive(dim, x.dim()) for dim in dims)
    return _on_twin(tracer, func, Permute(order), x, dims)


def _transpose(tracer: Tracer, func: Any, x: Tensor, first: int = -2, second: int = -1) -> Tensor:
    order = list(range(x.dim()))
    if order:
        a, b = positive(first, len(order)), positive(second, len(order))
        order[a], order[b] = order[b], order[a]
    arguments = (first, second) if len(func._schema.arguments) > 1 else ()  # noqa: SLF001
    return _on_twin(tracer, func, Permute(tuple(order), "transpose"), x, *arguments)


def _matrix_transpose(tracer: Tracer, func: Any, x: Tensor) -> Tensor:
    rank = x.dim()
    order = (*range(rank - 2), *reversed(range(max(0, rank - 2), rank)))
    return _on_twin(tracer, func, Permute(order, "transpose"), x)


def _movedim(tracer: Tracer, func: Any, x: Tensor, source: Any, target: Any) -> Tensor:
    rank = x.dim()
    sources, targets = (
        [positive(d, rank) for d in ([dims] if isinstance(dims, int) else dims)]
        for dims in (source, target)
    )
    rest = iter(dim for dim in range(rank) if dim not in sources)
    placed = dict(zip(targets, sources, strict=True))
    order = tuple(placed[i] if i in placed else next(rest) for i in range(rank))
    return _on_twin(tracer, func, Permute(order, "movedim"), x, source, target)


def _expand(tracer: Tracer, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return _on_twin(tracer, func, Expand(), x, *args, **kwargs)


def _repeat(tracer: Tracer, func: Any, x: Tensor, repeats: Sequence[int]) -> Any:
    rank = len(repeats)
    grown = tuple(i for i, times in enumerate(repeats) if times > 1)
    positions = [i for i in grown if i >= rank - x.dim() and x.shape[i - rank + x.dim()] > 1]
    op: Op = Rearrange(tuple(positions), "repeat") if positions else Expand("repeat")
    return tracer.run_on_twins(func, (x, repeats), {}, op)


def _slice(
    tracer: Tracer,
    func: Any,
    x: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    dim = positive(dim, x.dim())
    size = x.shape[dim]
    first = 0 if start is None else min(max(start + size if start < 0 else start, 0), size)
    op = Slice(dim, first, step)
    return _on_twin(tracer, func, op, x, dim, start, end, step)


def _narrow(tracer: Tracer, func: Any, x: Tensor, dim: int, start: int, length: int) -> Tensor:
    op = Slice(positive(dim, x.dim()), positive(start, x.shape[dim]))
    return _on_twin(tracer, func, op, x, dim, start, length)


def _select(tracer: Tracer, func: Any, x: Tensor, dim: int, index: int) -> Tensor:
    op = Select(positive(dim, x.dim()), positive(index, x.shape[dim]))
    return _on_twin(tracer, func, op, x, dim, index)


def _split(tracer: Tracer, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    dim = positive(named(func, args, kwargs).get("dim", 0), x.dim())
    twins = func(tracer.twin(x), *args, **kwargs)
    parts, start = [], 0
    for twin in twins:
        op = Slice(dim, start, kind="split")
        parts.append(tracer.emit(op, (x,), tuple(twin.shape), twin=twin, view_of=x))
        start += twin.shape[dim]
    return parts


def _unbind(tracer: Tracer, func: Any, x: Tensor, dim: int = 0) -> Any:
    dim = positive(dim, x.dim())
    twins = func(tracer.twin(x), dim)
    return [
        tracer.emit(Select(dim, i, "unbind"), (x,), tuple(twin.shape), twin=twin, view_of=x)
        for i, twin in enumerate(twins)
    ]


def _in_place(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A view that the tensor itself becomes: ``squeeze_``, ``transpose_``."""

    def become(tracer: Tracer, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if type(x) is not Traced:
            return rule(tracer, func, x, *args, **kwargs)  # type: ignore[no-any-return]
        alias = x.twin.view_as(x.twin)
        view = rule(tracer, _Applied(func, alias), x, *args, **kwargs)
        func(x, *args, **kwargs)
        x.twin, x.node = view.twin, view.node
        return x

    return become


class _Applied:
    """An in-place view op that leaves the shared twin alone and works on an alias of it."""

    def __init__(self, func: Any, alias: Tensor) -> None:
        self._func, self._alias = func, alias
        self._schema = func._schema  # noqa: SLF001  the op's own word

    def __call__(self, _: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self._func(self._alias, *args, **kwargs)


_SPLITS = (
    "split",
    "split_with_sizes",
    "chunk",
    "tensor_split",
    "unsafe_split",
    "unsafe_chunk",
    "unsafe_split_with_sizes",
)

_VIEWS: dict[str, Callable[..., Any]] = {
    **{kind: _reshape(kind) for kind in _RESHAPES},
    "permute": _permute,
    "transpose": _transpose,
    "swapaxes": _transpose,
    "swapdims": _transpose,
    "t": _matrix_transpose,
    "numpy_T": _matrix_transpose,
    "mT": _matrix_transpose,
    "matrix_H": _matrix_transpose,
    "movedim": _movedim,
    "expand": _expand,
    "expand_as": _expand,
    "broadcast_to": _expand,
    "slice": _slice,
    "narrow": _narrow,
    "select": _select,
    **dict.fromkeys(_SPLITS, _split),
    "unbind": _unbind,
    "detach": _same,
    "alias": _same,
}

_BECOMING = ("squeeze", "unsqueeze", "transpose", "t", "swapaxes", "swapdims")

RULES: dict[str, Callable[..., Any]] = {
    **{kind: _as_made(rule) for kind, rule in _VIEWS.items()},
    **{f"{kind}_": _in_place(_VIEWS[kind]) for kind in _BECOMING},
    "repeat": _repeat,
}
