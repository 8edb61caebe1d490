"""What a measurement may be asked for. No torch here."""

from typing import Literal, NamedTuple, get_args

from convcost.errors import ConvcostError, show_value

Device = Literal["cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16", "float64"]
MemoryFormat = Literal["contiguous", "channels_last"]
Compile = Literal["off", "on"]

ITEMSIZES: dict[Dtype, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
"""Bytes of one scalar."""

CONFIDENCE = 0.99
"""Of all statements of one table together."""

SECONDS_PER_CANDIDATE = 0.75
"""The default budget: 3 s for four variants."""

TIME_LIMIT = 600.0
"""Seconds that a side of a check may take in all, where nothing else is said."""


class Settings(NamedTuple):
    """Where and how to measure; ``seconds`` and ``threads`` None leave the choice to convcost.

    ``compile`` is ``torch.compile``; ``cold`` flushes the caches before each call.
    """

    device: Device = "cpu"
    dtype: Dtype = "float32"
    memory_format: MemoryFormat = "contiguous"
    threads: int | None = None
    seconds: float | None = None
    delta: float = 0.03
    seed: int = 0
    cuda_graph: bool = False
    compile: Compile = "off"
    cold: bool = False


WORDS = {
    "device": get_args(Device),
    "dtype": get_args(Dtype),
    "memory_format": get_args(MemoryFormat),
    "compile": get_args(Compile),
}
RANGES: dict[str, tuple[float, float]] = {
    "threads": (1, 4096),
    "seconds": (0.01, 86_400),
    "delta": (0, 1),
    "seed": (0, 2**63 - 1),
}
"""What a setting may be; None where there is a choice to leave."""


def checked(settings: Settings) -> Settings:
    """The same, whose values are what settings can have: Python asks nobody.

    Raises:
        ConvcostError: one can't be so.
    """
    if not isinstance(settings, Settings):
        message = f"settings can't be {show_value(settings)}"
        raise ConvcostError(message, "such as convcost.Settings(seconds=1)")
    given = settings._asdict()
    for key, words in WORDS.items():
        if given[key] not in words:
            raise _unfit(key, given[key], f"one of {', '.join(words)}")
    for key, (low, high) in RANGES.items():
        value, free = given[key], Settings._field_defaults[key] is None
        is_whole = key in ("threads", "seed")
        is_number = type(value) is int or (type(value) is float and not is_whole)
        if not (free and value is None) and not (is_number and low <= value <= high):
            what = "a whole number" if is_whole else "a number"
            raise _unfit(key, value, f"{what} from {low:,} to {high:,}")
    for key in ("cuda_graph", "cold"):
        if not isinstance(given[key], bool):
            raise _unfit(key, given[key], "true or false")
    return settings


def _unfit(key: str, value: object, valid: str) -> ConvcostError:
    return ConvcostError(f"settings: {key} can't be {show_value(value)}", valid)


def need_plain_calls(settings: Settings, what: str) -> None:
    """Refuses settings that make other calls of a model's, where ``what`` times its own.

    Raises:
        ConvcostError: there are such.
    """
    if settings.compile == "on" or settings.cuda_graph:
        raise ConvcostError(
            f"{what} times calls as they are, neither compiled nor in a CUDA graph",
            "leave compile and cuda_graph out of its settings; compare has both",
        )
