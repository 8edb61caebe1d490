"""What the positions of one axis see of the input, phase by phase."""

from collections.abc import Callable, Iterable
from math import gcd, lcm
from typing import NamedTuple

from convcost.analyses.receptive_field.positions import (
    ORIGIN,
    Positions,
    UnknownFieldError,
    UnlikeStepsError,
    contains,
    hull,
    shift,
    spread,
    union,
)

MAX_PHASES = 2048
"""More phases than this are not followed: no image has so many different output positions."""
MAX_READS = 2**18
"""Nor is an op whose phases have more taps than this together."""
MAX_JUMP = 2**63
"""Nor a step between outputs that no tensor has room for."""


class AxisField(NamedTuple):
    """Output position ``phase + m * period`` sees ``phases[phase]`` moved by ``m * jump``.

    ``phases`` is None where every position of the input is seen. ``jump`` is 0 where one output
    position has seen the whole axis, so that there is no stride between neighbours.
    """

    jump: int
    period: int
    phases: tuple[Positions, ...] | None


IDENTITY = AxisField(1, 1, (ORIGIN,))
POOLED = AxisField(0, 1, None)


def window(axis: AxisField, kernel_size: int, stride: int, before: int, dilation: int) -> AxisField:
    """A window op: output ``o`` sees inputs ``o * stride - before + t * dilation``."""
    if kernel_size == stride == 1 and not before:
        return axis
    jump, period, phases = axis
    if period == 1 and phases is not None:
        seen = spread(phases[0], dilation * jump, kernel_size)
        return _stepping(jump * stride, (shift(seen, -before * jump),))

    def taps(output: int) -> range:
        first = output * stride - before
        return range(first, first + kernel_size * dilation, dilation)

    return gather(axis, stride, 1, taps, kernel_size)


def transposed(
    axis: AxisField, kernel_size: int, stride: int, before: int, dilation: int
) -> AxisField:
    """A transposed window op: tap ``t`` of output ``o`` is input ``(o + before - t d) / stride``.

    Taps that fall between two inputs see nothing.
    """

    def taps(output: int) -> list[int]:
        offsets = (output + before - t * dilation for t in range(kernel_size))
        return [offset // stride for offset in offsets if offset % stride == 0]

    return gather(axis, 1, stride, taps, kernel_size)


def shift_axis(axis: AxisField, by: int) -> AxisField:
    """Output ``o`` sees input ``o + by``: padding before shifts by less than 0."""
    return window(axis, kernel_size=1, stride=1, before=-by, dilation=1)


def repeat(axis: AxisField, times: int) -> AxisField:
    """``times`` outputs for each input: pixel shuffle, nearest upsampling."""
    return gather(axis, 1, times, lambda output: range(output // times, output // times + 1), 1)


def adaptive(axis: AxisField, size: int, new_size: int) -> AxisField:
    """An adaptive pool: output ``o`` sees inputs ``floor(o n / m)`` to ``ceil((o + 1) n / m)``."""
    if new_size == 1:
        return POOLED
    common = gcd(size, new_size)

    def taps(output: int) -> range:
        return range(output * size // new_size, -(-(output + 1) * size // new_size))

    return gather(axis, size // common, new_size // common, taps, size // new_size + 2)


def at_position(axis: AxisField, position: int) -> AxisField:
    """What the one output at ``position`` sees; there is no stride any more."""
    if axis.phases is None:
        return POOLED
    times, phase = divmod(position, axis.period)
    return AxisField(0, 1, (shift(axis.phases[phase], times * axis.jump),))


def gather(
    axis: AxisField, step: int, per: int, taps: Callable[[int], Iterable[int]], reads: int
) -> AxisField:
    """Any op along one axis whose ``taps`` repeat: ``taps(o + per) = taps(o) + step``.

    ``reads`` is how many taps an output has at most.

    Raises:
        UnknownFieldError: the result has too many phases, taps, holes or too large a step.
    """
    jump, period, phases = axis
    repeats = period // gcd(period, step)
    new_jump, new_period = jump * (step * repeats // period), per * repeats
    if phases is None:
        return AxisField(new_jump, new_period, None)
    _need_few_phases(new_period)
    if new_period * reads > MAX_READS:
        raise UnknownFieldError(f"its phases have more than {MAX_READS:,} taps together")
    seen = (
        union(shift(phases[tap % period], tap // period * jump) for tap in taps(output))
        for output in range(new_period)
    )
    return _stepping(new_jump, tuple(seen))


def _need_few_phases(period: int) -> None:
    if period > MAX_PHASES:
        raise UnknownFieldError(f"it differs between more than {MAX_PHASES} output positions")


def _stepping(jump: int, phases: tuple[Positions, ...]) -> AxisField:
    if jump > MAX_JUMP:
        raise UnknownFieldError(f"its effective stride is more than {MAX_JUMP:,}")
    return AxisField(jump, len(phases), phases)


def covers(outer: AxisField, inner: AxisField) -> bool:
    """Whether each output position sees in ``outer`` all that it sees in ``inner``."""
    if outer is inner or outer.phases is None:
        return True
    if inner.phases is None:
        return False
    if outer.period == inner.period == 1 and outer.jump == inner.jump:
        return contains(outer.phases[0], inner.phases[0])
    first, second = aligned(outer, inner)
    return all(map(contains, first, second))


def join(first: AxisField, second: AxisField) -> AxisField:
    """What each output position sees in either."""
    if first.phases is None or second.phases is None:
        return _whole(first, second)
    for outer, inner in ((first, second), (second, first)):
        if covers(outer, inner):
            return outer if outer.jump else AxisField(inner.jump, inner.period, outer.phases)
    phases = tuple(union(pair) for pair in zip(*aligned(first, second), strict=True))
    return AxisField(first.jump * len(phases) // first.period, len(phases), phases)


def _whole(first: AxisField, second: AxisField) -> AxisField:
    """An axis that one or both see whole: its step is that of the side that follows positions."""
    outer, inner = (first, second) if first.phases is None else (second, first)
    if not inner.jump or outer.jump * inner.period == inner.jump * outer.period:
        return outer
    if outer.jump and inner.phases is None:
        return POOLED
    return AxisField(inner.jump, inner.period, None)


def aligned(*axes: AxisField) -> list[tuple[Positions, ...]]:
    """The phases of each, repeated to the same count.

    Raises:
        UnlikeStepsError: neighbouring outputs are a different step apart in one of them.
        UnknownFieldError: too many of them differ.
    """
    first = axes[0]
    if any(first.jump * axis.period != axis.jump * first.period for axis in axes):
        raise UnlikeStepsError
    common = lcm(*(axis.period for axis in axes))
    _need_few_phases(common)
    return [_repeated(axis, common) for axis in axes]


def at_step_of(axis: AxisField, like: AxisField, size: int) -> AxisField:
    """At the step of another: what any of ``size`` outputs sees, from where the other's lies."""
    jump, period, phases = axis
    if not (phases and jump) or jump * like.period == like.jump * period:
        return axis
    moved: list[list[Positions]] = [[] for _ in range(like.period)]
    for output in range(size):
        at = output // period * jump - output // like.period * like.jump
        moved[output % like.period].append(shift(phases[output % period], at))
    return AxisField(like.jump, like.period, tuple(map(hull, moved)))


def _repeated(axis: AxisField, period: int) -> tuple[Positions, ...]:
    phases = axis.phases or ()
    times = range(period // axis.period)
    return tuple(shift(phase, time * axis.jump) for time in times for phase in phases)
