"""Ops that leave one position of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from convcost.ops import Elementwise, Op, Reduce
from convcost.sources.aten.settings import all_positive, named
from convcost.sources.tracer import Tracer

_KINDS = """
sum amax amin prod var std logsumexp all any argmax argmin max min norm linalg_vector_norm
std_mean var_mean nansum median mode count_nonzero nanmean
""".split()

_LOSSES = """
mse_loss huber_loss smooth_l1_loss soft_margin_loss binary_cross_entropy
binary_cross_entropy_with_logits
""".split()
_OF_CLASSES = ("nll_loss_forward", "nll_loss2d_forward")


def _mean(
    tracer: Tracer,
    func: Any,
    x: Tensor,
    dim: Any = None,
    keepdim: bool = False,  # noqa: FBT001, FBT002  the op's own argument
    **kwargs: Any,
) -> Any:
    dims = all_positive(dim, x.dim())
    op = Reduce(dims, keepdim, "mean")
    if kwargs or not x.dtype.is_floating_point:
        arguments = () if dim is None else (dim, keepdim)
        return tracer.run_on_twins(func, (x, *arguments), kwargs, op)
    sizes = enumerate(x.shape)
    shape = tuple(1 if i in dims else n for i, n in sizes if keepdim or i not in dims)
    return tracer.emit(op, (x,), shape, dtype=x.dtype)


def _reduce(kind: str) -> Callable[..., Any]:
    def rule(tracer: Tracer, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if "other" in named(func, args, kwargs):
            # torch.max(a, b): the larger one, position by position
            return tracer.run_on_twins(func, (x, *args), kwargs, Elementwise(f"{kind}imum"))
        op = Reduce(*_dims(func, x, args, kwargs), kind.removeprefix("linalg_"))
        return tracer.run_on_twins(func, (x, *args), kwargs, op)

    return rule


def _loss(kind: str, *, of_classes: bool) -> Callable[..., Any]:
    """What is lost at each position, or all of it in one number."""

    def rule(tracer: Tracer, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        op: Op = Reduce(all_positive(None, x.dim()), keepdim=False, kind=kind)
        if not named(func, args, kwargs).get("reduction", 1):
            classes = min(1, x.dim() - 1)
            op = Reduce((classes,), keepdim=False, kind=kind) if of_classes else Elementwise(kind)
        return tracer.run_on_twins(func, (tracer.as_node(x), *args), kwargs, op)

    return rule


def _dims(
    func: Any, x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[int, ...], bool]:
    """The dimensions that a reduction takes, and whether it keeps them, by the op's own names."""
    given = named(func, args, kwargs)
    return all_positive(given.get("dim"), x.dim()), bool(given.get("keepdim", False))


RULES: dict[str, Callable[..., Any]] = {
    **{kind: _reduce(kind) for kind in _KINDS},
    **{kind: _loss(kind, of_classes=False) for kind in _LOSSES},
    **{kind: _loss(kind, of_classes=True) for kind in _OF_CLASSES},
    "mean": _mean,
}
