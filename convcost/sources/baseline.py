"""Baselines: the exact costs that were approved, as a file that is reviewed with the code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from convcost.errors import ConvcostError, MissingError, show_value
from convcost.report import GLOBAL, METRICS, Scalar
from convcost.sources.json_file import load_json

VERSION = 1
LARGEST = 1e60
"""Beyond it there is no cost; nor is there one that is not a number."""
Values = Mapping[str, Scalar | tuple[Scalar, ...]]
Baseline = Mapping[str, Mapping[str, Values]]
"""Of each check: its values of the whole under '', and those of layers under their names."""

_TOTALS, _LAYERS = "totals", "layers"


def load_baseline(path: Path, command: str) -> Baseline | None:
    """A baseline; None where there is no such file. ``command`` writes a new one.

    Raises:
        ConvcostError: it can't be read, or isn't a baseline of this version.
    """
    hint = f"{command} writes a new one"
    try:
        data = load_json(path, hint)
    except MissingError:
        return None
    version = data.get("version") if isinstance(data, dict) else None
    if version != VERSION or isinstance(version, bool):
        raise ConvcostError(
            f"{path}: version {show_value(version)}, this convcost reads {VERSION}",
            f"use the convcost that wrote it, or a newer one; or {hint}",
        )
    for mistake in _mistakes(data):
        raise ConvcostError(f"{path}: not a baseline: {mistake}", hint)
    return {name: _values(entry) for name, entry in data["checks"].items()}


def _mistakes(data: Mapping[str, Any]) -> Iterator[str]:
    checks = data.get("checks")
    if not isinstance(checks, dict):
        yield f"checks: expected a mapping, found {show_value(checks)}"
        return
    for name, entry in checks.items():
        if not isinstance(entry, dict) or not isinstance(entry.get(_TOTALS), dict):
            yield f"checks.{name}: expected a mapping with totals, found {show_value(entry)}"
            continue
        layers = entry.get(_LAYERS, {})
        if not isinstance(layers, dict):
            yield f"checks.{name}.layers: expected a mapping, found {show_value(layers)}"
            continue
        for place, values in (("totals", entry[_TOTALS]), *layers.items()):
            if not isinstance(values, dict):
                yield f"checks.{name}.{place}: expected a mapping, found {show_value(values)}"
                continue
            wrong = ((k, v) for k, v in values.items() if k not in METRICS or not _is_value(k, v))
            yield from (f"checks.{name}.{place}.{key}: {show_value(value)}" for key, value in wrong)


def _is_value(metric: str, found: object) -> bool:
    """Whether a metric can be so: positions are a number, ``global``, or one for each axis."""
    if METRICS[metric].unit != "positions":
        return _is_number(found)
    axes = found if isinstance(found, list) else [found]
    return bool(axes) and all(axis == GLOBAL or _is_number(axis) for axis in axes)


def _is_number(found: object) -> bool:
    return type(found) in (int, float) and 0 <= found <= LARGEST  # type: ignore[operator]


def _values(entry: Mapping[str, Any]) -> dict[str, Values]:
    places = {"": entry[_TOTALS], **entry.get(_LAYERS, {})}
    return {
        place: {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        for place, values in places.items()
    }


def format_baseline(baseline: Baseline) -> str:
    """The file's text: sorted, one value a line, so that its changes are easy to review."""
    checks = {}
    for name, places in baseline.items():
        layers = {place: values for place, values in places.items() if place}
        checks[name] = {_TOTALS: places[""], **({_LAYERS: layers} if layers else {})}
    data = {"version": VERSION, "checks": checks}
    text = json.dumps(data, indent=2, sort_keys=True, allow_nan=False)
    return _lists_on_one_line(text) + "\n"


def _lists_on_one_line(text: str) -> str:
    import re  # noqa: PLC0415  only an update needs it

    def one_line(found: re.Match[str]) -> str:
        return f"[{' '.join(found[1].split())}]"

    return re.sub(r"\[\n([^\[\]{}]*)\]", one_line, text)
