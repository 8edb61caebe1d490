"""Weights of a separable convolution that come nearest to those of a full one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Factors(NamedTuple):
    """Weights in torch's layouts, and the error relative to the original, both as 2-norms."""

    depthwise: Tensor
    pointwise: Tensor
    relative_error: float


def factorise(weight: Tensor, groups: int, rank: int, *, transposed: bool) -> Factors:
    """The best rank-``rank`` approximation of each input channel's ``[out / groups, k * k]``.

    Eckart and Young, 'The approximation of one matrix by another of lower rank', 1936: the
    truncated SVD. ``weight`` is ``[out, in / groups, *kernel]``, transposed
    ``[in, out / groups, *kernel]``.

    Raises:
        ValueError: the weight holds no numbers (it is on the meta device), or not finite ones.
    """
    if weight.is_meta or not bool(weight.isfinite().all()):
        raise ValueError("its weights hold no finite numbers")
    kernel = weight.shape[2:]
    # [in, out / groups, k * k]
    per_input = (weight if transposed else _by_input(weight, groups)).flatten(2).double()
    u, s, v = torch.linalg.svd(per_input, full_matrices=False)
    kept = min(rank, s.shape[1])
    root = s[:, :kept].sqrt()
    # [in, out / groups, rank] and [in, rank, k * k]
    mix, filters = u[:, :, :kept] * root[:, None], v[:, :kept] * root[:, :, None]
    if kept < rank:
        # more filters than the kernel has dimensions: the rest does nothing
        mix = torch.nn.functional.pad(mix, (0, rank - kept))
        filters = torch.nn.functional.pad(filters, (0, 0, 0, rank - kept))
    lost, whole = s[:, kept:].square().sum().sqrt(), s.square().sum().sqrt()
    # a transposed depthwise weight is [in, rank, *kernel], another [in * rank, 1, *kernel]
    layout = (len(filters), rank) if transposed else (-1, 1)
    pointwise = _pointwise(mix, groups)
    return Factors(
        filters.reshape(*layout, *kernel).to(weight.dtype),
        pointwise.reshape(*pointwise.shape, *(1 for _ in kernel)).to(weight.dtype),
        float(lost / whole) if whole else 0.0,
    )


def _by_input(weight: Tensor, groups: int) -> Tensor:
    """``[out, in / groups, *kernel]`` as ``[in, out / groups, *kernel]``."""
    out, ins, *kernel = weight.shape
    return (
        weight.reshape(groups, out // groups, ins, *kernel)
        .transpose(1, 2)
        .reshape(groups * ins, out // groups, *kernel)
    )


def _pointwise(mix: Tensor, groups: int) -> Tensor:
    """``[in, out / groups, rank]`` as ``[out, in / groups * rank]``."""
    ins, outs, rank = mix.shape
    grouped = mix.reshape(groups, ins // groups, outs, rank).transpose(1, 2)
    return grouped.reshape(groups * outs, ins // groups * rank)
