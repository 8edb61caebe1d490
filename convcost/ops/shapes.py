"""Shapes, and how they are written."""

from __future__ import annotations

Shape = tuple[int, ...]
Sizes = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]


def format_shape(sizes: Sizes) -> str:
    """Sizes as the field writes them: ``3×224×224``."""
    return "×".join(map(str, sizes))
