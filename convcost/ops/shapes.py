"""Shapes, and how they are written."""

from __future__ import annotations

Shape = tuple[int, ...]
Sizes = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]

MAX_SCALARS = 2**63
"""No tensor is larger: its bytes couldn't be numbered."""


def format_shape(sizes: Sizes) -> str:
    """Sizes as the field writes them: ``3×224×224``."""
    return "×".join(map(str, sizes))
