"""The package's own functions: ``convcost.measure`` and its neighbours."""

import subprocess
import sys
import traceback
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


def test_compare_refuses_a_module_and_says_what_it_takes() -> None:
    model: Any = nn.Conv2d(3, 4, 3)
    with pytest.raises(convcost.ConvcostError, match="a SOURCE as text, not a Conv2d") as caught:
        convcost.compare(model)
    assert "model.py:attr" in caught.value.hint


def test_one_text_stands_for_a_sequence_of_one() -> None:
    one = convcost.compare(variants="separable", measure=False)
    assert one.rows == convcost.compare(variants=["separable"], measure=False).rows
    with pytest.raises(convcost.ConvcostError, match="'nowhere'"):
        convcost.compare(only="nowhere", measure=False)
    sizes: Any = (1, 3, 224, 224)
    with pytest.raises(convcost.ConvcostError, match="inputs is 1, 3, 224, 224, one shape"):
        convcost.compare("net.py", inputs=sizes)


def test_an_error_shows_its_hint_in_a_traceback() -> None:
    with pytest.raises(convcost.ConvcostError) as caught:
        convcost.compare("net.py:2x")
    assert "give model.py" in caught.value.hint
    assert traceback.format_exception(caught.value)[-1] == f"hint: {caught.value.hint}\n"
    assert not hasattr(convcost.ConvcostError("without one"), "__notes__")
