"""What errors advise, where it isn't options of the command line that a user can give."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from convcost.errors import ConvcostError
from convcost.report import Report

Words = Mapping[str, str | Callable[[re.Match[str]], str]]
"""What stands for each pattern."""

_KEYWORDS = "; keywords, several inputs, .+ are said by example_inputs in the file"
_MISSING = r"--set \S+=…(?: --set \S+=…)*"
_BY_FACTORY = {f"give {_MISSING}": "name a function without arguments that builds it"}
OF_CHECKS: Words = {
    **_BY_FACTORY,
    "use --input": "say input: in the configuration",
    "give it with --input": "say it with input: in the configuration",
    "--batch or input": "input",
    "--no-measure": "--exact",
    "fewer --threads": "fewer threads",
}
OF_CONFIGS: Words = {**_BY_FACTORY, "--input": "example_inputs in the file"}
OF_WRITTEN: Words = {**_BY_FACTORY, "use --input": "change input: in the configuration"}
OF_DIFFS: Words = {
    **_BY_FACTORY,
    "--input": "example_inputs in the file",
    "give it more --time-limit": "save reports with convcost profile, and diff these",
}


def _arguments(options: re.Match[str]) -> str:
    keys = re.findall(r"--set (\S+)=", options[0])
    return f"arguments={{{', '.join(f'{key!r}: …' for key in keys)}}}"


def _parameter(option: re.Match[str]) -> str:
    return option[1].replace("-", "_")


OF_CODE: Words = {
    ": level: off leaves it out": "",
    r" \(--set \S+=null gives None\)": "",
    _KEYWORDS: "; an input that is a list or a dict is given as [[…]] or [{…}]",
    "--no-measure": "measure=False",
    "--input": "input=",
    _MISSING: _arguments,
    "--set": "arguments",
    "--([a-z]+(?:-[a-z]+)*)": _parameter,
}
OF_COMPARE: Words = {**OF_CODE, _KEYWORDS: "", "--input": "inputs="}
"""Python's ``compare``, which takes several inputs."""


def with_notices(report: Report, words: Words) -> Report:
    """``report`` with its notices in these words."""
    return report._replace(notices=tuple(reworded(notice, words) for notice in report.notices))


def reworded(advice: str, words: Words) -> str:
    """``advice`` in the ``words`` of a command or of Python."""
    for pattern, instead in words.items():
        advice = re.sub(pattern, instead, advice)
    return advice


@contextmanager
def advising(words: Words) -> Iterator[None]:
    """Rewords errors.

    Raises:
        ConvcostError: what was raised, in these words.
    """
    try:
        yield
    except ConvcostError as error:
        told = (reworded(text, words) for text in (error.message, error.hint))
        raise ConvcostError(*told) from None
