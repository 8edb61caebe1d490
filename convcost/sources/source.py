"""What SOURCE names: a layer spec or a model."""

from __future__ import annotations

_SPECS = (".yaml", ".yml")
_MODELS = (".py", ".pt2")
FILES = (*_MODELS, *_SPECS)
"""What the files of sources end in."""
NO_INPUT = "no input given"
"""How the notice of a guessed input begins."""


def is_guess(notice: str) -> bool:
    """Whether a notice says that an input was guessed."""
    return notice.startswith(NO_INPUT)


def ends_in(name: str, suffixes: str | tuple[str, ...]) -> bool:
    """Whether a file's name has one of these suffixes, in capitals too."""
    return name.lower().endswith(suffixes)


def is_spec(source: str) -> bool:
    """Whether a source is a layer spec."""
    return ends_in(source, _SPECS)


def is_model(source: str | None) -> bool:
    """Whether a source names a model, as a file or with ``:attr``."""
    if source is None or is_spec(source):
        return False
    return ends_in(source, _MODELS) or ":" in source
