"""What makes a start quick: imported before anything else."""

import gc
import os
import sys
from types import ModuleType

_SWITCH = "PYDANTIC_DISABLE_PLUGINS"


def _without_collecting() -> None:
    """A start makes some 100,000 objects that stay: collecting among them finds nothing."""
    gc.set_threshold(100_000, 50, 100)


def _without_plugins() -> None:
    """No plugin of pydantic's is ours, and looking for others costs a tenth of a start.

    Half of that is what its loader imports, before it asks whether to look: one that finds none
    stands in its place. Where pydantic has no such module, it is never asked for.
    """
    if os.environ.setdefault(_SWITCH, "1") == "1":
        loader = ModuleType("pydantic.plugin._loader")
        vars(loader)["get_plugins"] = tuple
        sys.modules.setdefault(loader.__name__, loader)


_without_collecting()
_without_plugins()
