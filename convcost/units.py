"""The only parser and formatter of counts, bytes, seconds and ratios."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

_DECIMAL = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))
_BINARY = ((2.0**40, " TiB"), (2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"))
_TIME = ((1.0, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns"))

_BYTES = {
    "B": "1",
    "kB": "1e3",
    "MB": "1e6",
    "GB": "1e9",
    "TB": "1e12",
    "KiB": "1024",
    "MiB": "1048576",
    "GiB": "1073741824",
    "TiB": "1099511627776",
}
SUFFIXES: dict[str, dict[str, str]] = {
    "count": {"": "1", "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12"},
    "bytes": {
        "": "1",
        **_BYTES,
        # Mb are bits, but nobody means them by MB or mb
        **{case(key): _BYTES[key] for case in (str.upper, str.lower) for key in _BYTES if key[1:]},
    },
    "seconds": {"s": "1", "ms": "1e-3", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ns": "1e-9"},
    "share": {"": "1", "%": "0.01"},
    "factor": {"": "1", "×": "1", "x": "1"},
    "positions": {"": "1"},
    "intensity": {"": "1"},
}
"""What may stand behind a number of each unit, and what it is worth."""
_NUMBER = r"([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?"
_EXAMPLES = {
    "count": "3.5 M",
    "bytes": "20 MB",
    "seconds": "50 us",
    "share": "5%",
    "factor": "0.8",
    "positions": "400",
    "intensity": "20",
}


def quantity_pattern(unit: str) -> str:
    """The regular expression of a quantity of ``unit`` as text."""
    return rf"^{_NUMBER} ?({'|'.join(filter(None, SUFFIXES[unit]))}){_optional(unit)}$"


def _optional(unit: str) -> str:
    return "?" if "" in SUFFIXES[unit] else ""


def parse_quantity(text: str, unit: str) -> int | float:
    """What ``3.5 M``, ``20 MB``, ``50 us``, ``1%`` or ``1,228,800`` say, in the unit itself.

    Raises:
        ValueError: it is none of ``unit``; says what would be.
    """
    from decimal import Decimal  # noqa: PLC0415  only configurations need it

    text = text.strip()
    if not re.fullmatch(quantity_pattern(unit)[1:-1], text):
        raise ValueError(expected_quantity(unit))
    digits = re.match(_NUMBER, text)
    assert digits is not None  # noqa: S101  the whole pattern begins with it
    size = SUFFIXES[unit][text[digits.end() :].strip()]
    exactly = Decimal(digits[0].replace(",", "")) * Decimal(size)
    return int(exactly) if exactly == exactly.to_integral_value() else float(exactly)


def expected_quantity(unit: str) -> str:
    """What a quantity of ``unit`` looks like, for an error."""
    suffixes = ", ".join(filter(None, _BYTES if unit == "bytes" else SUFFIXES[unit]))
    forms = f" ({suffixes})" if suffixes else ""
    return f"expected a number such as {_EXAMPLES[unit]}{forms}"


def format_digits(value: float, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits and no exponent: 0.0345, 3.45, 345, 3,450."""
    if value == 0:
        return "0"
    rounded, magnitude = f"{value:.{digits - 1}e}".split("e")
    decimals = max(0, digits - 1 - int(magnitude))
    return f"{float(rounded) * 10 ** int(magnitude):,.{decimals}f}"


def format_count(count: float, digits: int = 3) -> str:
    """A count with an SI prefix from 10,000 on: ``9,728``, ``1.23 M``."""
    if abs(count) < 10_000 and float(count).is_integer():
        return f"{int(count):,}"
    return _scaled(count, _DECIMAL, digits)


def format_bytes(size: float, digits: int = 3) -> str:
    """A size with a binary prefix: ``512 B``, ``1.50 MiB``."""
    if abs(size) >= 1024:
        return _scaled(size, _BINARY, digits)
    return f"{int(size)} B" if float(size).is_integer() else f"{format_digits(size, digits)} B"


def format_seconds(seconds: float, digits: int = 3) -> str:
    """A duration with its natural unit: ``41.2 µs``, ``1.50 s``."""
    return _scaled(seconds, _TIME, digits) if seconds else "0 s"


def format_seconds_range(low: float, high: float, middle: float) -> str:
    """Both ends of an interval, as plain numbers in the unit that ``middle`` is shown in."""
    unit = next(size for size, suffix in _TIME if format_seconds(middle).endswith(suffix))
    return f"{format_digits(low / unit)}–{format_digits(high / unit)}"


def format_factor(factor: float, digits: int = 3) -> str:
    """A factor: ``22.8×``, ``1.02×``."""
    return f"{format_digits(factor, digits)}×"


def format_percent(share: float, digits: int = 2) -> str:
    """A share as a percentage of two digits: ``31 %``, ``0.47 %``."""
    return f"{format_digits(share * 100, digits)} %"


def format_several(count: object, noun: str) -> str:
    """A count with its noun: ``1 round``, ``1,017 designs``, ``12 to 80 rounds``."""
    number = f"{count:,}" if isinstance(count, int) else str(count)
    return f"{number} {noun}{'' if count == 1 else 's'}"


def and_list(words: Iterable[str]) -> str:
    """Words as a reader says them: ``1``, ``1 and 2``, ``1, 2 and 3``."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def format_settings(settings: Mapping[str, object]) -> Iterator[str]:
    """Settings as a reader says them: ``batch 8``, ``channels_last``, ``1 thread``."""
    for key, value in settings.items():
        if key in ("dtype", "memory_format"):
            yield str(value)
        elif key == "threads":
            yield format_several(value, "thread")
        elif key == "compile":
            yield "compiled" if value == "on" else "not compiled"
        else:
            yield f"{key} {value}"


def format_too_few(rounds: int | None) -> str:
    """Why there is no interval: ``5 rounds are too few for an interval``."""
    verb = "is" if rounds == 1 else "are"
    return f"{format_several(rounds, 'round')} {verb} too few for an interval"


def format_positions(positions: float, digits: int = 3) -> str:
    """A span or a stride: ``427``, ``0.5``."""
    if float(positions).is_integer():
        return f"{int(positions):,}"
    return format_digits(positions, digits)


FORMATTERS: dict[str, Callable[..., str]] = {
    "count": format_count,
    "bytes": format_bytes,
    "seconds": format_seconds,
    "share": format_percent,
    "factor": format_factor,
    "intensity": format_digits,
    "positions": format_positions,
    "rate": lambda rate: f"{format_count(rate)}/s",
    "bandwidth": lambda rate: f"{format_count(rate)}B/s",
}
_MOST_DIGITS = 17


def format_apart(unit: str, *values: float) -> list[str]:
    """``values`` with as many digits as it takes to see that they differ."""
    texts = [FORMATTERS[unit](value) for value in values]
    digits = 4
    while len(set(texts)) < len(set(values)) and digits <= _MOST_DIGITS:
        texts = [FORMATTERS[unit](value, digits) for value in values]
        digits += 1
    return texts


def _scaled(value: float, steps: tuple[tuple[float, str], ...], digits: int) -> str:
    for size, suffix in steps:
        # 999.95 k would print as 1000 k: what rounds up to a step belongs to it
        if abs(value) >= size * 0.9995:
            return format_digits(value / size, digits) + suffix
    size, suffix = steps[-1] if steps is _TIME else (1.0, "")
    return format_digits(value / size, digits) + suffix
