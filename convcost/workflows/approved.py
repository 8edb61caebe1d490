"""The costs that were approved: what an update writes and what a limit is held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from convcost.errors import ConvcostError
from convcost.report import Value, exact
from convcost.sources.baseline import Baseline, Values, load_baseline
from convcost.sources.check_fields import EXACT
from convcost.sources.checks import Checks
from convcost.workflows.judge import Sizes, chosen_layers, is_exact, is_relative, need_exact


def new_baseline(config: Checks, costs: Mapping[str, Sizes]) -> Baseline:
    """The exact costs of every check, and those of layers that a relative limit is of."""
    baseline: dict[str, dict[str, Values]] = {}
    for check in config.checks:
        found = costs[check.name]
        places = {"": _known(found.totals, EXACT)}
        for limit in check.limits:
            if limit.layer and is_relative(limit):
                for layer in chosen_layers(limit, found):
                    value = _known(found.layers[layer], [limit.metric])
                    places[layer] = {**places.get(layer, {}), **value}
        baseline[check.name] = places
    return baseline


def others_of(config: Checks, file: Path, command: str) -> Baseline:
    """What a baseline holds of other configurations' checks; nothing where it can't be read."""
    try:
        there = load_baseline(file, command) or {}
    except ConvcostError:  # an update is what its hint tells to do
        return {}
    known = {check.name for check in config.checks}
    return {name: places for name, places in there.items() if name not in known}


def _known(values: Mapping[str, Value], keys: Iterable[str]) -> Values:
    return {
        key: values[key].value  # type: ignore[misc]  # what is exact isn't None
        for key in keys
        if key in values and values[key].status == "exact"
    }


def approved(
    config: Checks, costs: Mapping[str, Sizes], new: Baseline | None, file: Path, command: str
) -> dict[str, Sizes]:
    """The approved costs of each check that has a relative limit on exact costs.

    ``costs`` are today's, ``new`` is what an update is about to write, ``command`` makes it.

    Raises:
        ConvcostError: there is no baseline, or what is needed is missing in it or isn't exact.
    """
    needed = {
        check.name: [limit for limit in check.limits if is_exact(limit) and is_relative(limit)]
        for check in config.checks
    }
    needed = {name: limits for name, limits in needed.items() if limits}
    if not needed:
        return {}
    baseline = load_baseline(file, command) if new is None else new
    if baseline is None:
        raise ConvcostError(f"{file}: there is no baseline yet", f"make it: {command}")
    known = {check.name for check in config.checks}
    missing = ", ".join(name for name in needed if name not in baseline)
    gone = ", ".join(name for name in baseline if name not in known)
    if missing:
        renamed = f"; renamed? it has {gone}, which the configuration hasn't" if gone else ""
        raise ConvcostError(f"{file}: has no {missing}{renamed}", f"make it: {command}")
    for name, limits in needed.items():
        for limit in limits:
            for layer in chosen_layers(limit, costs[name]):
                if limit.metric in baseline[name].get(layer, {}):
                    continue
                what = ": ".join(filter(None, (name, layer)))
                need_exact(costs[name], layer, limit.metric, f"{config.path}:{limit.line}: {what}")
                message = f"{file}: has no {limit.metric} of {what}"
                raise ConvcostError(message, f"make it: {command}")
    return {name: _sizes(baseline[name]) for name in needed}


def _sizes(places: Mapping[str, Values]) -> Sizes:
    values = {
        place: {key: exact(value) for key, value in found.items()}
        for place, found in places.items()
    }
    return Sizes(values.pop(""), values)
