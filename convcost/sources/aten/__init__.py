"""What each ATen op means: one function and one line in a module's ``RULES`` for each.

A rule is called as the op is, with the tracer and the op before its arguments. It works out the
output's shape, so that no kernel runs, and records what the op does. Names are those of ATen
without ``aten::``; ``op`` and ``op_`` are two names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convcost.sources.aten import (
    convolutions,
    elementwise,
    generic,
    matrices,
    moves,
    pools,
    quantized,
    recurrent,
    reductions,
    views,
)

RULES: dict[str, Callable[..., Any]] = {
    **generic.RULES,
    **elementwise.RULES,
    **reductions.RULES,
    **moves.RULES,
    **views.RULES,
    **pools.RULES,
    **matrices.RULES,
    **convolutions.RULES,
    **quantized.RULES,
    **recurrent.RULES,
}
