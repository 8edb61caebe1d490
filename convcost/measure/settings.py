"""What a measurement may be asked for. No torch here."""

from typing import Literal, NamedTuple

from convcost.errors import ConvcostError

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
