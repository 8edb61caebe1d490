"""What became of a limit, in words: what was expected, what was found and by how much."""

from __future__ import annotations

from math import inf

from convcost.report import GLOBAL, METRICS, Finding, Limit, Value, number
from convcost.units import FORMATTERS, format_apart, format_percent


def size(value: Value, bound: str) -> float:
    """The one number that a bound is held against: the worst axis, ``global`` beyond all."""
    sizes = _sizes(value)
    return min(sizes) if bound == "min" else max(sizes)


def _sizes(value: Value) -> list[float]:
    parts = value.value if isinstance(value.value, tuple) else (value.value,)
    return [inf if part == GLOBAL else float(part or 0) for part in parts]


def before_and_after(base: Value, found: Value) -> list[tuple[float, float]]:
    """What an increase is held against, axis by axis, the one that grew most first."""
    befores, afters = _sizes(base), _sizes(found)
    if len(befores) != len(afters):
        befores, afters = [max(befores)], [max(afters)]
    return sorted(zip(befores, afters, strict=True), key=_growth, reverse=True)


def _growth(pair: tuple[float, float]) -> float:
    before, after = pair
    if after == before:
        return 1
    return after / before if before else inf


def title(limit: Limit | Finding) -> str:
    """Which limit it is, or which a finding is of: ``mobile: stem.0: multiplications``."""
    variant = "" if limit.variant == "standard" else f" of {limit.variant}"
    label = METRICS[limit.metric].label if not variant else limit.metric.replace("_", " ")
    return ": ".join(filter(None, (limit.name, limit.layer, f"{label}{variant}")))


def expected(limit: Limit) -> str:
    """The bound as it was set: ``at most 3.50 M``, ``at most +1 %``."""
    unit = METRICS[limit.metric].unit
    if limit.bound == "max_increase":
        return f"at most +{100 * limit.expected:g} %"
    word = "most" if limit.bound == "max" else "least"
    return f"at {word} {_apart(limit, unit)[0]}"


def found(limit: Limit) -> str:
    """What was found, with the base where that is what it is held against."""
    if limit.found is None:
        return ""
    unit = METRICS[limit.metric].unit
    if limit.bound != "max_increase":
        return _apart(limit, unit)[-1]
    if limit.base is None:
        return _text(size(limit.found, limit.bound), unit)
    before, mine = before_and_after(limit.base, limit.found)[0]
    if inf in (mine, before):
        return f"{_text(before, unit)} → {_text(mine, unit)}"
    old, new = format_apart(unit, before, mine)
    interval = _interval(limit.ratio) if limit.ratio is not None else ""
    return f"{old} → {new} {interval}".rstrip()


def change(limit: Limit) -> float | None:
    """Found less expected, or with ``max_increase`` the increase as a share; None: beyond all."""
    if limit.found is None:
        return None
    if limit.bound != "max_increase":
        difference = size(limit.found, limit.bound) - limit.expected
    elif limit.ratio is not None:
        difference = number(limit.ratio) - 1
    elif limit.base is None:
        return None
    else:
        difference = _growth(before_and_after(limit.base, limit.found)[0]) - 1
    return difference if abs(difference) < inf else None


def by_how_much(limit: Limit) -> str:
    """The change in words: ``120 k (3.4 %) too much``, ``+5.2 %``."""
    difference = change(limit)
    if difference is None:
        return "every position" if limit.metric == "receptive_field" else ""
    if limit.bound == "max_increase":
        return f"{'+' if difference >= 0 else '−'}{_share(abs(difference), limit.expected)}"
    text = FORMATTERS[METRICS[limit.metric].unit](abs(difference))
    share = f" ({_share(abs(difference) / limit.expected)})" if limit.expected else ""
    return f"{text}{share} too {'much' if difference > 0 else 'little'}"


def sentence(limit: Limit) -> str:
    """All of it: ``found 3.62 M, expected at most 3.50 M: 120 k (3.4 %) too much``."""
    told = f"found {found(limit)}, expected {expected(limit)}"
    more = by_how_much(limit) if limit.outcome == "broken" else limit.reason
    return f"{told}: {more}" if more else told


def hint(limit: Limit, update: str) -> str:
    """What to do about it, the command that approves an increase, if any, in a line of its own.

    ``update`` is that command, '' where none does.
    """
    place = f"{limit.file}:{limit.line}"
    if limit.outcome != "broken":
        return "give it more time with --seconds, or a quieter machine"
    if limit.bound == "min":
        return f"increase it, or lower the limit at {place}"
    approve = f", or approve the new costs:\n{update}"
    is_approved = update and limit.bound == "max_increase"
    return f"reduce it, or raise the limit at {place}{approve if is_approved else ''}"


def _apart(limit: Limit, unit: str) -> list[str]:
    """The bound and what was found, told apart where they differ."""
    if limit.found is None or limit.found.value is None:
        return [FORMATTERS[unit](limit.expected)]
    mine = size(limit.found, limit.bound)
    if mine == inf:
        return [FORMATTERS[unit](limit.expected), GLOBAL]
    return format_apart(unit, limit.expected, mine)


def _text(value: float, unit: str) -> str:
    return GLOBAL if value == inf else FORMATTERS[unit](value)


def _share(share: float, *others: float) -> str:
    """A percentage, with more digits where it would look like one of ``others``."""
    return format_apart("share", share, *others)[0] if others else format_percent(share)


def _interval(ratio: Value) -> str:
    if ratio.low is None or ratio.high is None:
        return ""
    low, high = (f"{100 * (end - 1):+.1f}" for end in (ratio.low, ratio.high))
    return f"[{low} … {high} %]"
