"""Configurations of ``convcost check``: YAML to checks and their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from convcost.errors import ConvcostError, did_you_mean, show_value
from convcost.sources.check_fields import (
    BOUNDS,
    LIMITED,
    OF_LAYERS,
    Inputs,
    Level,
    settings_of,
)
from convcost.sources.fields import Lines, Name, Version
from convcost.sources.reader import Reader
from convcost.sources.source import is_spec
from convcost.sources.yaml_file import KeyPath, YamlFile, load_yaml

FILE = "convcost.yaml"
BASELINE = "convcost-baseline.json"
LAYERS = "layers"

ParseVariant = Callable[[object], Any]
"""From what a limit names to a variant; raises ValueError with what would be valid."""


class Limit(NamedTuple):
    """One bound of one metric: of the whole, or of each layer that the glob ``layer`` matches.

    ``bound`` is ``max``, ``min`` or ``max_increase``; ``line`` is where it stands.
    """

    metric: str
    bound: str
    expected: int | float
    level: Level
    line: int
    layer: str = ""
    variant: str = "standard"
    min_delta: int | float = 0


class Check(NamedTuple):
    """A source and its limits; no ``inputs``: what the source itself says."""

    name: str
    source: str
    inputs: tuple[tuple[int, ...], ...]
    message: str
    limits: tuple[Limit, ...]
    line: int = 0


class Checks(NamedTuple):
    """A configuration: where it is, and what it asks for."""

    path: Path
    checks: tuple[Check, ...]

    @property
    def folder(self) -> Path:
        """The absolute folder that the sources' paths start from."""
        return self.path.absolute().parent


class CheckHead(BaseModel):
    """What a check says besides its limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    source: Name
    input: Inputs = ()
    message: Lines | None = None


class ConfigHead(BaseModel):
    """What a configuration says besides its checks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Version


def find_config(folder: Path) -> Path:
    """The nearest configuration, in ``folder`` or above it.

    Raises:
        ConvcostError: there is none.
    """
    for place in (folder, *folder.parents):
        if (place / FILE).is_file():
            return place / FILE
    raise ConvcostError(
        f"there is no {FILE} in {folder} or above it", "convcost init SOURCE writes a first one"
    )


def load_checks(path: Path, parse_variant: ParseVariant) -> Checks:
    """Reads a configuration.

    Raises:
        ConvcostError: with every mistake of the file, each with its line and key.
    """
    file = load_yaml(str(path))
    reader = _Reader(file, parse_variant)
    checks = reader.checks(file.mapping("version and checks"))
    if reader.problems:
        raise file.error(reader.problems)
    return Checks(path, checks)


class _Reader(Reader):
    """Reads a configuration's parts."""

    def __init__(self, file: YamlFile, parse_variant: ParseVariant) -> None:
        super().__init__()
        self._file = file
        self._parse_variant = parse_variant

    def checks(self, data: Mapping[str, object]) -> tuple[Check, ...]:
        head = {key: value for key, value in data.items() if key != "checks"}
        self.validate(ConfigHead, head, (), ["checks"])
        found = data.get("checks")
        if not isinstance(found, list) or not found:
            self.problem(("checks",), "expected a list of at least one check")
            return ()
        checks = [self._check(entry, ("checks", i)) for i, entry in enumerate(found)]
        self._tell_names_apart(found)
        return tuple(check for check in checks if check)

    def _tell_names_apart(self, found: list[Any]) -> None:
        seen: dict[object, int] = {}
        for index, entry in enumerate(found):
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str) and seen.setdefault(name, index) != index:
                first = self._file.line(("checks", seen[name], "name"))
                self.problem(
                    ("checks", index, "name"), f"{show_value(name)} is also that of line {first}"
                )

    def _check(self, found: object, path: KeyPath) -> Check | None:
        if not isinstance(found, dict):
            text = f"expected a mapping with name, source and limits, found {show_value(found)}"
            self.problem(path, text)
            return None
        rest = {key: value for key, value in found.items() if key not in ("limits", LAYERS)}
        head = self.validate(CheckHead, rest, path, ["limits", LAYERS])
        limits = tuple(self._all_limits(found, path))
        if "limits" not in found and LAYERS not in found:
            self.problem(path, "a check needs limits or layers")
        if head is None:
            return None
        if head.input and is_spec(head.source):
            self.problem((*path, "input"), "a layer spec says its own input")
        line = self._file.line((*path, "source"))
        return Check(head.name, head.source, head.input, head.message or "", limits, line)

    def _all_limits(self, found: Mapping[str, object], path: KeyPath) -> Iterator[Limit]:
        if "limits" in found:
            limits = self._mapping(found["limits"], (*path, "limits"), "metrics to their limits")
            whole = {metric: given for metric, given in limits.items() if metric != LAYERS}
            yield from self._limits(whole, (*path, "limits"), LIMITED, "")
            if LAYERS in limits:
                yield from self._layers(limits[LAYERS], (*path, "limits", LAYERS))
        if LAYERS in found:
            yield from self._layers(found[LAYERS], (*path, LAYERS))

    def _layers(self, found: object, path: KeyPath) -> Iterator[Limit]:
        globs = self._mapping(found, path, "globs of layers' names to limits")
        for glob, limits in globs.items():
            place = (*path, glob)
            given = self._mapping(limits, place, "metrics to their limits")
            yield from self._limits(given, place, OF_LAYERS, glob)

    def _mapping(self, found: object, path: KeyPath, what: str) -> dict[str, Any]:
        if isinstance(found, dict) and found:
            return dict(found)
        self.problem(path, f"expected a mapping of {what}, found {show_value(found)}")
        return {}

    def _limits(
        self, found: Mapping[str, Any], path: KeyPath, metrics: tuple[str, ...], layer: str
    ) -> Iterator[Limit]:
        for metric, settings in found.items():
            place = (*path, metric)
            if metric not in metrics:
                what = "a layer" if layer else "the whole"
                meant = did_you_mean(metric, metrics)
                self.problem(place, f"no metric of {what}; {meant}valid: {', '.join(metrics)}")
                continue
            given = self.validate(settings_of(metric), settings, place)
            if given is not None:
                yield from self._bounds(given, metric, place, layer)

    def _bounds(self, given: BaseModel, metric: str, path: KeyPath, layer: str) -> Iterator[Limit]:
        settings = given.model_dump(exclude_unset=True)
        variant = self._variant(settings, path)
        for bound in BOUNDS:
            if bound in settings:
                yield Limit(
                    metric,
                    bound,
                    settings[bound],
                    settings.get("level", "error"),
                    self._file.line((*path, bound)),
                    layer,
                    variant,
                    settings.get("min_delta", 0),
                )

    def _variant(self, settings: Mapping[str, Any], path: KeyPath) -> str:
        if "variant" not in settings:
            return "standard"
        try:
            variant = str(self._parse_variant(settings["variant"]))
        except ValueError as error:
            self.problem((*path, "variant"), str(error))
            return "standard"
        if variant == "standard":
            self.problem((*path, "variant"), "standard is what a variant is held against")
        return variant
