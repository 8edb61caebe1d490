"""What running a dense model proves: sampled at the old stride it gives the old output."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from convcost.report import Finding, Value, unavailable

if TYPE_CHECKING:
    from torch import Tensor

    from convcost.workflows.alternatives import Alternative


def prove(
    dense: Alternative, original: Alternative, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Value:
    """The largest relative difference between the last feature maps, on the same input.

    ``args`` and ``kwargs`` hold data. Where positions were mixed the maps can't be equal, and
    nothing is claimed.
    """
    from convcost.measure.equality import rounding, sampled_difference  # noqa: PLC0415  torch
    from convcost.measure.precision import in_full_precision  # noqa: PLC0415  the same

    plan = dense.rewritten.plan if dense.rewritten else None
    assert plan is not None  # noqa: S101  who asks for a proof has a dense model
    if plan.mixed:
        return unavailable(
            f"{plan.mixed} mixes all positions of a map that now has more, so the values differ"
        )
    with in_full_precision():
        old = _feature_map(original, args, kwargs)
        new = _feature_map(dense, args, kwargs)
    if old is None or new is None:
        return unavailable("a pass on data goes another way than one without")
    difference = sampled_difference(new, old, plan.rate)
    if difference == float("inf"):
        return unavailable("the outputs aren't finite or not of shapes that fit")
    limit, dtype = rounding(old), str(old.dtype).removeprefix("torch.")
    words = "within rounding" if difference <= limit else "beyond rounding"
    return Value("measured", difference, reason=f"{words} of {dtype}")


def _feature_map(
    side: Alternative, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Tensor | None:
    from convcost.sources.forward import ForwardError, forward_error  # noqa: PLC0415  torch
    from convcost.sources.trace import value_at  # noqa: PLC0415  torch

    node = side.graph.nodes[side.feature_map]
    with redirect_stdout(sys.stderr):
        try:
            return value_at(side.module, args, kwargs, node, side.feature_map)
        except ForwardError as error:
            raise forward_error(error, side.name) from error


def proof_findings(
    name: str, variant: str, values: Mapping[str, Value], before: Mapping[str, Value]
) -> list[Finding]:
    """What a rewrite should keep and doesn't, of a dense model."""
    found = []
    mine, old = values["receptive_field"], before["receptive_field"]
    if mine.value != old.value:
        text = f"the receptive field was {old.value}, and is {mine.value}"
        found.append(Finding(name, variant, "receptive_field", text))
    difference = values.get("largest_difference")
    if difference is not None and (difference.reason or "").startswith("beyond"):
        text = f"sampled at the old stride it differs by {difference.value}, {difference.reason}"
        found.append(Finding(name, variant, "largest_difference", text))
    return found
