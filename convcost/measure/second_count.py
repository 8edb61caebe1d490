"""The independent second count: what runs is also counted by fvcore."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

MATRIX_OPS = ("conv", "linear", "addmm", "matmul", "bmm", "baddbmm", "einsum")
"""fvcore's names of the ops that carry multiplications; its 'flops' are multiply-accumulates."""


def count_with_fvcore(module: nn.Module, sample: Tensor) -> int:
    """The multiplications of one forward pass as fvcore counts them."""
    with quiet_fvcore():
        analysis = (
            FlopCountAnalysis(module, sample)
            .unsupported_ops_warnings(enabled=False)
            .uncalled_modules_warnings(enabled=False)
        )
        by_operator = analysis.by_operator()
    return sum(int(by_operator[name]) for name in MATRIX_OPS)


@contextmanager
def quiet_fvcore() -> Iterator[None]:
    """Silences the warnings that fvcore's tracing is known for, and no others."""
    with warnings.catch_warnings():
        # fvcore traces with torch.jit, which warns that it is old and torch of padding 'same'
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel.*")
        yield
