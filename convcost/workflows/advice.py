"""What sources advise, for commands that have no options for a model's input and arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from convcost.errors import ConvcostError

OF_CHECKS = {
    "use --input": "say input: in the configuration",
    "give it with --input": "say it with input: in the configuration",
    "--batch or input": "input",
    "--no-measure": "--exact",
    "fewer --threads": "fewer threads",
}
OF_CONFIGS = {"--input": "example_inputs in the file"}
OF_WRITTEN = {"use --input": "change input: in the configuration"}
OF_DIFFS = {
    "--input": "example_inputs in the file",
    "give it more --time-limit": "save reports with convcost profile, and diff these",
}
OF_CODE = {"--input": "input=", ": level: off leaves it out": ""}
_ARGUMENTS = re.compile(r"give --set \S+=…(?: --set \S+=…)*")


def reworded(advice: str, words: Mapping[str, str]) -> str:
    """``advice`` in the ``words`` of a command."""
    advice = _ARGUMENTS.sub("name a function without arguments that builds it", advice)
    for option, instead in words.items():
        advice = advice.replace(option, instead)
    return advice


@contextmanager
def advising(words: Mapping[str, str]) -> Iterator[None]:
    """Rewords the hints of errors.

    Raises:
        ConvcostError: what was raised, with its hint in these words.
    """
    try:
        yield
    except ConvcostError as error:
        raise ConvcostError(error.message, reworded(error.hint, words)) from None
