"""The independent second count: what runs is also counted by fvcore."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

MATRIX_OPS = ("conv", "linear", "addmm", "matmul", "bmm", "baddbmm", "einsum")
"""fvcore's names of the ops that carry multiplications; its 'flops' are multiply-accumulates."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the warnings that fvcore is known for, and no others."""
    with warnings.catch_warnings():
        # fvcore scripts and traces with torch.jit, which warns that it is old, in some versions as
        # a FutureWarning
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=category)
        yield


with _quiet():
    from fvcore.nn import FlopCountAnalysis


def count_with_fvcore(module: nn.Module, sample: Tensor) -> int:
    """The multiplications of one forward pass as fvcore counts them."""
    by_operator, _ = count_operators(module, (sample,))
    return sum(int(by_operator[name]) for name in MATRIX_OPS)


def count_operators(
    module: nn.Module, inputs: tuple[object, ...]
) -> tuple[Counter[str], Counter[str]]:
    """The count of each op of one forward pass, and the calls of ops that fvcore doesn't know."""
    with _quiet():
        analysis = FlopCountAnalysis(module, inputs)
        analysis.unsupported_ops_warnings(enabled=False).uncalled_modules_warnings(enabled=False)
        return analysis.by_operator(), analysis.unsupported_ops()
