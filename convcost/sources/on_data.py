"""A pass on data: each op runs, and its rule works on stand-ins of its tensors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from convcost.ops import Opaque
from convcost.sources.traced import Traced, tensors_in
from convcost.sources.tracer import Tracer, base_name


class DataTracer(Tracer):  # type: ignore[no-untyped-call]  # torch's own
    """A tracer whose tensors have data: each that depends on the input has a ``stand_in``.

    ``kept`` is a copy of what the node of the index ``wanted`` gave.
    """

    wanted: int | None = None
    kept: Tensor | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._given: Any = None
        self._marked: list[ref[Tensor]] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """What torch calls for every op."""
        kwargs = kwargs or {}
        if not self.any_traced(args, kwargs):
            return self.for_real(func, args, kwargs)
        if self.rule_of(func) is None:
            result = self.taken_apart(func, args, kwargs)
            if result is not NotImplemented:
                return result
        self.keep_written(func, args, kwargs)
        result = func(*args, **kwargs)
        if func._schema.is_mutable or any(True for _ in tensors_in(result)):  # noqa: SLF001  the op's own word
            self._given = result
            told = self._told(func, types, *tree_map_only(Tensor, _stand_in, (args, kwargs)))
            for tensor, stand_in in zip(tensors_in(result), tensors_in(told), strict=False):
                if type(stand_in) is Traced:
                    self._mark(tensor, stand_in)
        return result

    def _told(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the op's rule gives for the stand-ins; what it can't tell is an unknown op's."""
        before, mutable = len(self.nodes), func._schema.is_mutable  # noqa: SLF001  the op's own word
        # the op has run: whatever its rule trips over, the pass goes on
        with suppress(Exception):
            told = super().__torch_dispatch__(func, types, args, kwargs)
            if mutable or _shapes(told) == _shapes(self._given):
                return told
        if not mutable:
            # what was written is of a node that stays
            del self.nodes[before:]
        return self.run_on_twins(func, args, kwargs, Opaque(base_name(func)))

    def twins_of(self, *_: Any) -> Any:
        """Twins of what the op gave on data."""
        return self.without_data(self._given)

    def input(self, name: str, tensor: Tensor) -> Tensor:
        """A copy of one of the model's inputs, random where it has no data."""
        stand_in = super().input(name, tensor)
        if tensor.is_meta:
            copy = torch.rand(tensor.shape).to(self._device, tensor.dtype)
        else:
            copy = tensor.clone()
        assert isinstance(stand_in, Traced)  # noqa: S101  what an input's stand-in is
        self._mark(copy, stand_in)
        return copy

    def watched_module(self, path: str, module: nn.Module) -> Callable[..., Any]:
        """What a call of ``module`` runs: its ``forward``, on data."""
        return self.watched(path, module.forward)

    def is_traced(self, tensor: Tensor) -> bool:
        """Whether the tensor depends on the input, a parameter or a buffer, or was written to."""
        return hasattr(tensor, "stand_in") or super().is_traced(tensor)

    def _mark(self, tensor: Tensor, stand_in: Traced) -> None:
        """Notes on a tensor what stands in for it; it may be the user's own, and shared."""
        tensor.stand_in = stand_in  # type: ignore[attr-defined]
        self._marked.append(ref(tensor))
        if stand_in.node == self.wanted:
            self.kept = tensor.clone()

    def forget(self) -> None:
        """Takes the notes off all tensors that are still there."""
        for marked in self._marked:
            tensor = marked()
            if tensor is not None:
                tensor.__dict__.pop("stand_in", None)


def _shapes(value: Any) -> list[torch.Size]:
    return [tensor.shape for tensor in tensors_in(value)]


def _stand_in(tensor: Tensor) -> Tensor:
    """What stands in for a tensor, or itself."""
    found: Tensor = getattr(tensor, "stand_in", tensor)
    return found
