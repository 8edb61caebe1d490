"""What interpolation does to an axis: which positions each output is sampled from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import gcd

from convcost.analyses.receptive_field.axis import AxisField, gather


def resize(  # noqa: PLR0913  what interpolate asks for
    axis: AxisField,
    size: int,
    new_size: int,
    factor: float | None,
    *,
    mode: str,
    align_corners: bool,
) -> AxisField:
    """An interpolation along one axis, as ``torch.nn.functional.interpolate`` samples it."""
    if size == new_size and factor in (None, 1):
        return axis
    if align_corners and mode in _CORNERED:
        step, per = (size - 1, new_size - 1) if new_size > 1 else (1, 1)
    else:
        step, per = _ratio(factor) if factor else (size, new_size)
    taps = partial(_TAPS.get(mode, _linear_taps), step, per, align_corners)
    common = gcd(step, per)
    reads = 2 if mode not in _WIDE else 2 * _WIDE[mode] * -(-max(step, per) // per) + 1
    return gather(axis, step // common, per // common, taps, reads)


def _ratio(factor: float) -> tuple[int, int]:
    """Input positions for output positions at a scale factor: 2 for 3 at 1.5."""
    from fractions import Fraction  # noqa: PLC0415  only traced models have factors

    exact = Fraction(factor).limit_denominator(1000)
    return exact.denominator, exact.numerator


def _source(step: int, per: int, corners: bool, output: int) -> tuple[int, int]:  # noqa: FBT001
    """The input position at or before an output's point, and how far the point is beyond it."""
    if corners:
        return divmod(output * step, per)
    # (output + 1/2) step / per - 1/2
    return divmod((2 * output + 1) * step - per, 2 * per)


def _nearest_tap(step: int, per: int, _: bool, output: int) -> range:  # noqa: FBT001
    source = output * step // per
    return range(source, source + 1)


def _nearest_exact_tap(step: int, per: int, _: bool, output: int) -> range:  # noqa: FBT001
    source = (2 * output + 1) * step // (2 * per)
    return range(source, source + 1)


def _linear_taps(step: int, per: int, corners: bool, output: int) -> range:  # noqa: FBT001
    source, fraction = _source(step, per, corners, output)
    return range(source, source + 1 + (fraction > 0))


def _cubic_taps(step: int, per: int, corners: bool, output: int) -> range:  # noqa: FBT001
    source, fraction = _source(step, per, corners, output)
    return range(source - 1, source + 3) if fraction else range(source, source + 1)


def _filtered_taps(radius: int, step: int, per: int, _: bool, output: int) -> range:  # noqa: FBT001
    """An antialiasing filter: as wide as ``radius`` input or output positions, the wider ones.

    ``_compute_indices_weights_aa`` of aten/src/ATen/native/cpu/UpSampleKernel.cpp.
    """
    # twice the centre's and the support's numerators over ``per``
    centre, support = (2 * output + 1) * step, 2 * radius * max(step, per)
    first = (centre - support + per) // (2 * per)
    return range(first, -(-(centre + support - per) // (2 * per)))


def _cubic_filtered_taps(step: int, per: int, corners: bool, output: int) -> list[int]:  # noqa: FBT001
    """The same without the taps at distance 1, where the cubic's weight is 0."""
    return [
        tap
        for tap in _filtered_taps(2, step, per, corners, output)
        if abs((2 * tap + 1) * per - (2 * output + 1) * step) != 2 * max(step, per)
    ]


_WIDE = {"bicubic": 2, "antialiased": 1, "antialiased_bicubic": 2}
"""Modes that read more than two positions, and on how many sides of the point."""
_CORNERED = ("linear", "bilinear", "trilinear", *_WIDE)
_TAPS: dict[str, Callable[[int, int, bool, int], Iterable[int]]] = {
    "nearest": _nearest_tap,
    "nearest_exact": _nearest_exact_tap,
    "bicubic": _cubic_taps,
    "antialiased": partial(_filtered_taps, 1),
    "antialiased_bicubic": _cubic_filtered_taps,
}
