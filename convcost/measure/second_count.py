"""The independent second count: what runs is also counted by fvcore."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

MATRIX_OPS = ("conv", "linear", "addmm", "matmul", "bmm", "baddbmm", "einsum")
"""fvcore's names of the ops that carry multiplications; its 'flops' are multiply-accumulates."""


def count_with_fvcore(module: nn.Module, sample: Tensor) -> int:
    """The multiplications of one forward pass as fvcore counts them."""
    with fvcore_analysis(module, (sample,)) as analysis:
        by_operator = analysis.by_operator()
    return sum(int(by_operator[name]) for name in MATRIX_OPS)


@contextmanager
def fvcore_analysis(module: nn.Module, args: Sequence[Any]) -> Iterator[Any]:
    """An analysis by fvcore, without the warnings that it is known for and no others."""
    with warnings.catch_warnings():
        # fvcore traces with torch.jit, which warns that it is old and torch of padding 'same'
        warnings.filterwarnings("ignore", message=".*torch.jit.*")
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel.*")
        from fvcore.nn import FlopCountAnalysis  # noqa: PLC0415  its import warns, too

        analysis = FlopCountAnalysis(module, tuple(args))
        analysis.unsupported_ops_warnings(enabled=False).uncalled_modules_warnings(enabled=False)
        yield analysis
