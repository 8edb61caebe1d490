"""Matrix products and attention."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from convcost.errors import ShapeError
from convcost.ops import Attention, Elementwise, Linear, Matmul, Op, Shape
from convcost.sources.traced import node_of
from convcost.sources.tracer import Tracer


def _linear(
    tracer: Tracer, _: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    # [*, o] = linear([*, i], [o, i])
    shape, features = tuple(x.shape), weight.shape
    if x.dtype is not weight.dtype:
        raise ShapeError(f"the input is {x.dtype}, the weights are {weight.dtype}")
    if shape[-1] != features[-1]:
        raise ShapeError(f"needs {features[-1]} features, the input has {shape[-1]}")
    outputs = features[:-1] if len(features) > 1 else ()
    if bias is not None and bias.numel() not in (1, prod(outputs)):
        raise ShapeError(f"needs {prod(outputs)} biases, found {bias.numel()}")
    op = Linear(features[-1], prod(outputs), bias is not None)
    if any(node_of(part) is not None for part in (weight, bias) if part is not None):
        # what is computed mustn't be taken for the input
        x = tracer.as_node(x)
    return tracer.emit(op, (x, weight, bias), (*shape[:-1], *outputs), dtype=x.dtype)


def _matmul(tracer: Tracer, _: Any, first: Tensor, second: Tensor, *__: Any) -> Tensor:
    # [*, n, m] = matmul([*, n, k], [*, k, m])
    a, b = tuple(first.shape), tuple(second.shape)
    contracted = b[-2] if len(b) > 1 else b[0]
    if a[-1] != contracted or first.dtype is not second.dtype:
        raise _cant_multiply(first, second)
    rows = a[-2:-1] if len(a) > 1 else ()
    columns = b[-1:] if len(b) > 1 else ()
    shape = (*_broadcast(a[:-2], b[:-2]), *rows, *columns)
    if len(a) < len(b):
        # weights that add dimensions are none of a linear layer
        second = tracer.as_node(second)
    return tracer.emit(_product(second, contracted), (first, second), shape, dtype=first.dtype)


def _addmm(
    tracer: Tracer, func: Any, bias: Tensor, first: Tensor, second: Tensor, **_: Any
) -> Tensor:
    # [*, n, m] = bias + matmul([*, n, k], [*, k, m])
    del func
    shape = (*first.shape[:-1], second.shape[-1])
    fits = len(bias.shape) <= len(shape) and all(
        size in (1, wanted)
        for size, wanted in zip(reversed(bias.shape), reversed(shape), strict=False)
    )
    if first.shape[-1] != second.shape[-2] or not fits:
        raise _cant_multiply(first, second)
    op = _product(second, first.shape[-1])
    if node_of(bias) is None:
        return tracer.emit(op, (first, second, bias), shape, dtype=first.dtype)
    product = tracer.emit(op, (first, second), shape, dtype=first.dtype)
    add = Elementwise("add")
    return tracer.emit(add, (product, bias), shape, like=product, view_of=product)


def _strict(rank: int) -> Callable[..., Any]:
    """A product of tensors of just this rank, with the same batch."""

    def rule(tracer: Tracer, func: Any, first: Tensor, second: Tensor) -> Tensor:
        if first.dim() != rank or second.dim() != rank or first.shape[:-2] != second.shape[:-2]:
            raise _cant_multiply(first, second)
        return _matmul(tracer, func, first, second)

    return rule


def _cant_multiply(first: Tensor, second: Tensor) -> ShapeError:
    sides = (f"{list(side.shape)} ({side.dtype})" for side in (first, second))
    return ShapeError(f"can't multiply {' by '.join(sides)}")


def _product(second: Tensor, contracted: int) -> Op:
    """A product with weights on the right is what a linear layer does."""
    if node_of(second) is None:
        return Linear(contracted, second.shape[-1], bias=False)
    return Matmul(contracted)


def _broadcast(first: Shape, second: Shape) -> Shape:
    length = max(len(first), len(second))
    padded = [(1,) * (length - len(s)) + s for s in (first, second)]
    if any(a != b and 1 not in (a, b) for a, b in zip(*padded, strict=True)):
        raise ShapeError(f"can't multiply batches of {list(first)} and {list(second)}")
    return tuple(b if a == 1 else a for a, b in zip(*padded, strict=True))


def _attention(
    tracer: Tracer,
    _: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout_p: float = 0,
    is_causal: bool = False,  # noqa: FBT001, FBT002
    **kwargs: Any,
) -> Tensor:
    # [*, l, v] = attention([*, l, e], [*, s, e], [*, s, v])
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        shapes = [list(tensor.shape) for tensor in (query, key, value)]
        raise ShapeError(f"query, key and value don't fit: {shapes}")
    # heads of queries may share those of keys and values
    batches = [query] if kwargs.get("enable_gqa") else [query, key, value]
    batch: Shape = ()
    for each in batches:
        batch = _broadcast(batch, tuple(each.shape[:-2]))
    rows, columns = query.shape[-2], key.shape[-2]
    del dropout_p
    # a bias that is learned hides nothing
    masked = mask is not None and (mask.dtype is torch.bool or not tracer.is_traced(mask))
    work = prod(batch) * rows * columns * (query.shape[-1] + value.shape[-1])
    op = Attention(work, masked=is_causal or masked)
    query, key, value = map(tracer.as_node, (query, key, value))
    shape = (*batch, rows, value.shape[-1])
    return tracer.emit(op, (query, key, value, mask), shape, like=query)


RULES: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "matmul": _matmul,
    "mm": _strict(2),
    "bmm": _strict(3),
    "mv": _matmul,
    "dot": _matmul,
    "vdot": _matmul,
    "addmm": _addmm,
    "baddbmm": _addmm,
    "scaled_dot_product_attention": _attention,
}
