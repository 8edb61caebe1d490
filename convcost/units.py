"""The only formatter of counts, bytes, seconds and ratios."""

from __future__ import annotations

_DECIMAL = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))
_BINARY = ((2.0**40, " TiB"), (2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"))
_TIME = ((1.0, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns"))


def format_digits(value: float, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits and no exponent: 0.0345, 3.45, 345, 3,450."""
    if value == 0:
        return "0"
    rounded, magnitude = f"{value:.{digits - 1}e}".split("e")
    decimals = max(0, digits - 1 - int(magnitude))
    return f"{float(rounded) * 10 ** int(magnitude):,.{decimals}f}"


def format_count(count: float) -> str:
    """A count with an SI prefix from 10,000 on: ``9,728``, ``1.23 M``."""
    if abs(count) < 10_000 and float(count).is_integer():
        return f"{int(count):,}"
    return _scaled(count, _DECIMAL)


def format_bytes(size: float) -> str:
    """A size with a binary prefix: ``512 B``, ``1.50 MiB``."""
    return _scaled(size, _BINARY) if abs(size) >= 1024 else f"{size:g} B"


def format_seconds(seconds: float) -> str:
    """A duration with its natural unit: ``41.2 µs``, ``1.50 s``."""
    return _scaled(seconds, _TIME) if seconds else "0 s"


def format_seconds_range(low: float, high: float, middle: float) -> str:
    """Both ends of an interval, as plain numbers in the unit that ``middle`` is shown in."""
    unit = next(size for size, suffix in _TIME if format_seconds(middle).endswith(suffix))
    return f"{format_digits(low / unit)}–{format_digits(high / unit)}"


def format_factor(factor: float) -> str:
    """A factor: ``22.8×``, ``1.02×``."""
    return f"{format_digits(factor)}×"


def format_percent(share: float) -> str:
    """A share as a percentage of two digits: ``31 %``, ``0.47 %``."""
    return f"{format_digits(share * 100, 2)} %"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    for size, suffix in steps:
        # 999.95 k would print as 1000 k: what rounds up to a step belongs to it
        if abs(value) >= size * 0.9995:
            return format_digits(value / size) + suffix
    size, suffix = steps[-1] if steps is _TIME else (1.0, "")
    return format_digits(value / size) + suffix
