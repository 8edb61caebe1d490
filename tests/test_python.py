"""The package's own functions: ``convcost.measure`` and its neighbours."""

import subprocess
import sys

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
