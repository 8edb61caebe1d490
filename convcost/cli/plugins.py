"""pydantic without plugins: convcost has none, and looking for others takes a tenth of a start."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pydantic

_LOADER = "pydantic.plugin._loader"
_KNOWN = ("2.12.", "2.13.", "2.14.")
"""Versions whose loader has one function, for it is private."""


class _NoPlugins(ModuleType):
    """Stands for pydantic's loader, which imports ``importlib.metadata`` also where it is off."""

    get_plugins = staticmethod(tuple)


def leave_plugins_out() -> None:
    """Turns pydantic's plugins off in this process and those that it starts."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    if pydantic.VERSION.startswith(_KNOWN):
        sys.modules.setdefault(_LOADER, _NoPlugins(_LOADER))
