"""What takes the place of one convolution."""

from __future__ import annotations

from convcost.ops import Conv, Elementwise, Norm

Block = tuple[tuple[str, Conv | Norm | Elementwise], ...]
"""A chain of ops, each with its part's name ('' for a lone one)."""
