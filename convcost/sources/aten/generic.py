"""Ops that make tensors, or tell about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convcost.ops import Elementwise
from convcost.sources.tracer import Tracer

_LIKE = """
zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones
new_empty new_full new_empty_strided bernoulli
""".split()


def _like(tracer: Tracer, func: Any, *args: Any, **kwargs: Any) -> Any:
    """A tensor of a known shape that depends on no data."""
    twin = func(*tracer.without_data(args), **tracer.without_data(kwargs))
    return tracer.emit(Elementwise("constant"), (), tuple(twin.shape), twin=twin)


def _tell(tracer: Tracer, func: Any, *args: Any, **kwargs: Any) -> Any:
    """An answer about shapes: no node."""
    return func(*tracer.without_data(args), **tracer.without_data(kwargs))


RULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(_LIKE, _like),
    **dict.fromkeys(("sym_size", "sym_numel", "is_same_size", "size", "numel"), _tell),
}
