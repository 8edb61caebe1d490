"""The package's own functions: ``convcost.measure`` and its neighbours."""

import subprocess
import sys
from typing import Any

import pytest
from torch import nn

import convcost
from convcost.measure.settings import Settings

FROM_A_ROOM = """
import convcost.measure.settings
import convcost.render.json
print(callable(convcost.measure), callable(convcost.render))
"""


def test_functions_keep_their_names_when_rooms_of_the_same_name_are_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FROM_A_ROOM], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True True\n"


def test_callables_are_compared_with_the_first() -> None:
    called: set[str] = set()
    done = convcost.measure(
        {"first": lambda: called.add("first"), "second": lambda: called.add("second")},
        settings=Settings(seconds=0.5),
    )
    assert called == set(done.latencies) == {"first", "second"}
    assert set(done.comparisons) == {"second"}
    assert done.comparisons["second"].ratio.median > 0


def test_compare_takes_a_source_and_one_text_or_several() -> None:
    model: Any = nn.Conv2d(3, 8, 3)
    with pytest.raises(convcost.ConvcostError, match="a SOURCE as text, not a Conv2d"):
        convcost.compare(model)
    one, several = (
        convcost.compare(variants=variants, measure=False)
        for variants in ("separable", ["separable"])
    )
    assert one == several


def test_a_traceback_has_the_hint() -> None:
    error = convcost.ConvcostError("what", "do that")
    assert error.__notes__ == ["hint: do that"]
    assert not hasattr(convcost.ConvcostError("what"), "__notes__")
