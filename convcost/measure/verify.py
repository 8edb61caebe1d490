"""Second counts of a whole model, by fvcore and by torch's FlopCounterMode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from convcost.measure.machine import without_padding_warning
from convcost.measure.second_count import MATRIX_OPS, count_operators

CONVOLUTIONS, PRODUCTS, ATTENTION, OTHER = "convolutions", "matrix products", "attention", "other"
FAMILIES = (CONVOLUTIONS, PRODUCTS, ATTENTION, OTHER)

_FVCORE = {**dict.fromkeys(MATRIX_OPS, PRODUCTS), "conv": CONVOLUTIONS}


_UNCOUNTED_BY_FVCORE = ("gru", "lstm", "rnn_tanh", "rnn_relu", "mv", "dot", "vdot")
"""Ops that multiply and have no handle in its table; it leaves recurrent layers whole."""
_UNCOUNTED_BY_TORCH = ("mkldnn_rnn_layer", "_cudnn_rnn", "mv", "dot", "vdot")
"""Ops that multiply and have no formula in FlopCounterMode's registry."""


class SecondCount(NamedTuple):
    """What a tool counts per family, and why that may differ; ``failed`` where it can't count."""

    families: Mapping[str, int]
    reasons: Mapping[str, str]
    failed: str = ""


def second_counts(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, SecondCount]:
    """The counts of both tools for one pass on data; a tool that fails says why."""
    with torch.no_grad(), _slow_attention():
        return {
            "fvcore_multiplications": _try(lambda: _fvcore(module, args, kwargs)),
            "flop_counter_multiplications": _try(lambda: _flop_counter(module, args, kwargs)),
        }


def fvcore_count(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> SecondCount:
    """What fvcore counts for one pass on data; why not, where it fails."""
    with torch.no_grad(), _slow_attention():
        return _try(lambda: _fvcore(module, args, kwargs))


def _try(count: Callable[[], SecondCount]) -> SecondCount:
    try:
        return count()
    except Exception as error:  # noqa: BLE001  the tools fail in many ways, which is their answer
        first = str(error).strip().splitlines()[:1]
        return SecondCount({}, {}, f"{type(error).__name__}: {''.join(first)}")


def _fvcore(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> SecondCount:
    if kwargs:
        raise ValueError("fvcore takes no keyword arguments")
    by_operator, skipped = count_operators(module, tuple(args))
    families = dict.fromkeys(FAMILIES, 0)
    others = []
    for name, count in by_operator.items():
        families[_FVCORE.get(name, OTHER)] += int(count)
        if name not in _FVCORE:
            others.append(f"{name} {int(count):,}")
    reasons: dict[str, str] = {}
    if others:
        reasons[OTHER] = f"fvcore also counts element-wise work: {', '.join(sorted(others))}"
    if uncounted := [name for name in _UNCOUNTED_BY_FVCORE if skipped[f"aten::{name}"]]:
        reasons[PRODUCTS] = f"fvcore counts 0 for {', '.join(uncounted)}"
    if skipped["aten::_convolution_mode"]:
        reasons[CONVOLUTIONS] = "fvcore counts 0 for string padding"
    if skipped["aten::scaled_dot_product_attention"]:
        reasons[ATTENTION] = "fvcore counts 0 for scaled_dot_product_attention"
    return SecondCount(families, reasons)


def _flop_counter(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> SecondCount:
    counter, seen = FlopCounterMode(display=False), _Seen()
    with seen, counter:
        module(*args, **kwargs)
    families = dict.fromkeys(FAMILIES, 0)
    for packet, flops in counter.get_flop_counts().get("Global", {}).items():
        # its flops are 2 per multiply-accumulate
        families[_torch_family(str(packet))] += flops // 2
    reasons = {}
    if not families[ATTENTION]:
        reasons[ATTENTION] = (
            "FlopCounterMode has no formula for a processor's fused attention, "
            "and sees any other taken apart into matrix products"
        )
    if uncounted := [name for name in _UNCOUNTED_BY_TORCH if name in seen.names]:
        reasons[PRODUCTS] = f"FlopCounterMode counts 0 for {', '.join(uncounted)}"
    return SecondCount(families, reasons)


class _Seen(TorchDispatchMode):
    """Notes the name of each op that runs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.names: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """What torch calls for every op."""
        del types
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def _torch_family(name: str) -> str:
    if "conv" in name:
        return CONVOLUTIONS
    return ATTENTION if "attention" in name else PRODUCTS


@contextmanager
def _slow_attention() -> Iterator[None]:
    """FlopCounterMode counts attention's fast path as 0."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with without_padding_warning():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fast)
