"""Whether two tensors are the same but for rounding."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor


def sampled_difference(dense: Tensor, original: Tensor, rate: Sequence[int]) -> float:
    """The largest difference from ``original`` of ``dense`` at every ``rate``-th position.

    Relative to the largest value of the original; infinite where the shapes don't fit or a value
    isn't finite.
    """
    sampled = dense[tuple(slice(None, None, step) for step in rate)]
    if sampled.shape != original.shape:
        return float("inf")
    # MPS has no float64
    sampled, original = sampled.cpu(), original.cpu()
    largest = original.double().abs().max().item()
    worst = (sampled.double() - original.double()).abs().max().item()
    if not isfinite(worst):
        return float("inf")
    return worst / largest if largest else worst


def rounding(tensor: Tensor) -> float:
    """The relative difference that sums in another order explain: 1,000 units in the last place."""
    return min(0.1, 1000 * torch.finfo(tensor.dtype).eps)
