"""PyYAML, imported without a table that only its reader in Python asks for.

That reader compiles a pattern over all characters, a thirtieth of the start of a short command;
libyaml reads for us. Here the pattern is compiled when it is first used, if ever.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_BEYOND = "\ufffd"
"""A character of that pattern and of no other."""


class _Late:
    """A pattern that is compiled when something is asked of it."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def __getattr__(self, name: str) -> Any:
        return getattr(re.compile(self._pattern), name)


@contextmanager
def _compiled_late() -> Iterator[None]:
    compiled = re.compile

    def compile_(pattern: Any, flags: int = 0) -> Any:
        late = isinstance(pattern, str) and _BEYOND in pattern and not flags
        return _Late(pattern) if late else compiled(pattern, flags)

    re.compile = compile_  # a class body calls it: there is no other way in
    try:
        yield
    finally:
        re.compile = compiled


with _compiled_late():
    import yaml
    from yaml.composer import Composer
    from yaml.resolver import BaseResolver

__all__ = ["BaseResolver", "Composer", "yaml"]
