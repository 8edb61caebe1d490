"""The precision of float32 products: cuDNN takes TF32 by default, cuBLAS doesn't."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_CONVOLUTIONS = {"cpu": torch.backends.mkldnn.conv, "cuda": torch.backends.cudnn.conv}  # type: ignore[attr-defined]
_PRODUCTS = {"cpu": torch.backends.mkldnn.matmul, "cuda": torch.backends.cuda.matmul}  # type: ignore[attr-defined]


def precision_of(device: torch.device) -> str:
    """Torch's names of how float32 is multiplied there, in convolutions and matrix products."""
    settings = (_CONVOLUTIONS.get(device.type), _PRODUCTS.get(device.type))
    return " ".join(str(each.fp32_precision) for each in settings if each)


@contextmanager
def as_convolutions(device: torch.device) -> Iterator[None]:
    """Matrix products in the precision of convolutions."""
    product = _PRODUCTS.get(device.type)
    if product is None:
        yield
        return
    before = product.fp32_precision
    product.fp32_precision = _CONVOLUTIONS[device.type].fp32_precision
    try:
        yield
    finally:
        _put_back(product, before)


@contextmanager
def in_full_precision() -> Iterator[None]:
    """All of float32's digits, on every device: what is left is the order of sums."""
    settings = (*_CONVOLUTIONS.values(), *_PRODUCTS.values())
    before = [each.fp32_precision for each in settings]
    for each in settings:
        each.fp32_precision = "ieee"
    try:
        yield
    finally:
        for each, precision in zip(settings, before, strict=True):
            _put_back(each, precision)


def _put_back(setting: Any, precision: str) -> None:
    """A precision as it was: its own only where it isn't that of all."""
    setting.fp32_precision = "none"
    if setting.fp32_precision != precision:
        setting.fp32_precision = precision
