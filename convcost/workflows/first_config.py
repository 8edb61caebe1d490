"""A first configuration: what sources cost today, as limits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from convcost.errors import ConvcostError
from convcost.measure.settings import TIME_LIMIT
from convcost.measure.workers import Side
from convcost.notify import Notify, silently
from convcost.report import METRICS, Report, Value
from convcost.sources.checks import BASELINE
from convcost.sources.revisions import tree_of
from convcost.sources.source import FILES, ends_in, is_guess, is_spec
from convcost.workflows.advice import OF_CONFIGS, OF_WRITTEN, advising, reworded
from convcost.workflows.sides import opened

_HEAD = f"""\
# Limits of convcost check, from what the sources cost when this file was written.
# max_increase compares with {BASELINE} (convcost check --update writes it)
# or with a git revision (convcost check --against origin/main).
version: 1
checks:
"""
_ABSOLUTE = ("parameters", "multiplications", "receptive_field", "peak_activation_bytes")
_LATENCY = "      latency: {max_increase: 5%, min_delta: 50 us}"


class FirstConfig(NamedTuple):
    """The text of a configuration, and what the user must know about it."""

    text: str
    notices: tuple[str, ...]


def first_config(sources: Sequence[str], path: Path, notify: Notify = silently) -> FirstConfig:
    """A configuration at ``path`` with a check for each source.

    Raises:
        ConvcostError: a source can't be counted, or two are the same.
    """
    if len(set(sources)) < len(sources):
        raise ConvcostError("a source is given twice", "give each once")
    here = Path.cwd()
    checks: list[str] = []
    notices: list[str] = []
    with advising(OF_CONFIGS), opened(Side("", here, tree_of(here)), None, TIME_LIMIT) as sides:
        for source in sources:
            notify(f"counting, {source}", len(checks) / len(sources))
            report, _ = sides.count(source, ())
            name = _name(source, sources)
            checks.append("\n".join(_check(name, _relative(source, path), report)))
            notices += (f"{name}: {notice}" for notice in _notices(report))
    return FirstConfig(_HEAD + "\n".join(checks) + "\n", tuple(notices))


def _notices(report: Report) -> Iterator[str]:
    """What a source's count says, and why it has no limit of a metric that others have."""
    yield from (reworded(notice, OF_WRITTEN) for notice in report.notices)
    for key in _ABSOLUTE:
        value = report.totals.get(key)
        if value is not None and not _numbers(value):
            yield f"no limit of {METRICS[key].label}: {value.reason or 'it is global'}"


def _name(source: str, sources: Sequence[str]) -> str:
    """A short name where it is the only one of its kind, else the source itself."""

    def short(text: str) -> str:
        path, _, attr = text.partition(":")
        stem = Path(path).stem if ends_in(path, FILES) else attr
        return stem or text

    return source if [*map(short, sources)].count(short(source)) > 1 else short(source)


def _relative(source: str, path: Path) -> str:
    """A source as seen from the configuration's folder."""
    file, colon, attr = source.partition(":")
    if not ends_in(file, FILES):
        return source
    inside = os.path.relpath(file, path.absolute().parent)
    return Path(inside).as_posix() + colon + attr


def _check(name: str, source: str, report: Report) -> Iterator[str]:
    yield f"  - name: {json.dumps(name, ensure_ascii=False)}"
    yield f"    source: {json.dumps(source, ensure_ascii=False)}"
    # what has inputs of its own says them itself: shapes alone may not be what it takes
    if not is_spec(source) and any(map(is_guess, report.notices)):
        shapes = [list(shape) for shape in report.input]
        yield f"    input: {shapes[0] if len(shapes) == 1 else shapes}"
    yield "    limits:"
    yield from _limits(report.totals)
    yield _LATENCY


def _limits(totals: Mapping[str, Value]) -> Iterator[str]:
    for key in _ABSOLUTE:
        value = totals.get(key)
        if value is not None and (numbers := _numbers(value)):
            bound = "max" if METRICS[key].lower_is_better else "min"
            size = max(numbers) if bound == "max" else min(numbers)
            yield f"      {key}: {{{bound}: {size}}}"


def _numbers(value: Value) -> list[int | float]:
    """The sizes of a value that is known exactly and finite, else none."""
    sizes = value.value if value.status == "exact" else None
    parts = sizes if isinstance(sizes, tuple) else (sizes,)
    numbers = [part for part in parts if isinstance(part, int | float)]
    return numbers if len(numbers) == len(parts) else []
