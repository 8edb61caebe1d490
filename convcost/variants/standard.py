"""The convolution as it stands."""

from __future__ import annotations

from convcost.ops import Conv


def standard(conv: Conv) -> tuple[tuple[str, Conv], ...]:
    """``conv`` itself."""
    return (("", conv),)
