"""Layer specs: YAML to a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from convcost.errors import ShapeError
from convcost.graph import Graph, GraphBuilder
from convcost.ops import Shape
from convcost.sources.fields import Count, Name, Repeat
from convcost.sources.kinds import KINDS, Kind
from convcost.sources.problems import problems_of
from convcost.sources.yaml_file import KeyPath, Problem, load_yaml

MAX_LAYERS = 100_000
INPUT = "input"

Model = TypeVar("Model", bound=BaseModel)

ParseVariant = Callable[[object], Any]
"""From an entry of ``variants`` to a variant; raises ValueError with what would be valid."""


class Spec(NamedTuple):
    """A loaded spec; ``variants`` is None where the file doesn't list any."""

    graph: Graph
    variants: tuple[Any, ...] | None


class _Layer(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"oneOf": [{"required": [kind]} for kind in KINDS]},
    )
    name: Name | None = None
    inputs: list[Name] | None = None
    repeat: Repeat = 1

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        found = [kind for kind in KINDS if kind in self.model_fields_set]
        if len(found) != 1:
            what = f"found {' and '.join(found)}" if found else "found none"
            raise ValueError(f"a layer has exactly one kind ({', '.join(KINDS)}); {what}")
        return self

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if kind in self.model_fields_set)

    @property
    def settings(self) -> Kind:
        settings: Kind = getattr(self, self.kind)
        return settings


_kinds: dict[str, Any] = {kind: (settings, None) for kind, settings in KINDS.items()}
Layer: type[_Layer] = create_model("Layer", __base__=_Layer, **_kinds)


class Head(BaseModel):
    """What a spec says besides its layers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    name: Name | None = None
    input: Annotated[list[Count], Field(min_length=2, max_length=4)]
    variants: Annotated[list[Any], Field(min_length=1)] | None = None


def load_spec(path: str, batch: int, itemsize: int, parse_variant: ParseVariant) -> Spec:
    """Reads a spec; ``batch`` is put before its input, ``itemsize`` is the bytes of a scalar.

    Raises:
        ConvcostError: with every mistake of the file, each with its line and key.
    """
    file = load_yaml(path)
    if not isinstance(file.data, dict):
        found = "the file is empty" if file.data is None else "found no mapping at the top"
        raise file.error([Problem((), f"{found}; expected version, input and layers")])
    reader = _Reader(file.data, parse_variant)
    spec = reader.spec(Path(path).stem, batch, itemsize)
    if reader.problems or spec is None:
        raise file.error(reader.problems)
    return spec


class _Reader:
    """Validates part by part, so that one run tells every mistake."""

    def __init__(self, data: Mapping[str, object], parse_variant: ParseVariant) -> None:
        self._data = data
        self._parse_variant = parse_variant
        self.problems: list[Problem] = []

    def spec(self, name: str, batch: int, itemsize: int) -> Spec | None:
        rest = {key: value for key, value in self._data.items() if key != "layers"}
        head = self._validate(Head, rest, ())
        layers = self._layers(self._data.get("layers"))
        variants = self._variants(self._data.get("variants"))
        if head is None:
            return None
        assembler = _Assembler(
            GraphBuilder(head.name or name, itemsize), (batch, *head.input), self.problems
        )
        assembler.add_all(layers)
        return Spec(assembler.builder.build(), variants)

    def _layers(self, found: object) -> list[_Layer | None]:
        if not isinstance(found, list) or not found:
            self.problems.append(Problem(("layers",), "expected a list of at least one layer"))
            return []
        return [self._validate(Layer, layer, ("layers", i)) for i, layer in enumerate(found)]

    def _variants(self, found: object) -> tuple[Any, ...] | None:
        if not isinstance(found, list):
            return None
        variants = []
        for i, entry in enumerate(found):
            try:
                variants.append(self._parse_variant(entry))
            except ValueError as error:
                self.problems.append(Problem(("variants", i), str(error)))
        return tuple(variants)

    def _validate(self, model: type[Model], data: object, path: KeyPath) -> Model | None:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            self.problems += problems_of(error, model, path)
            return None


class _Assembler:
    """Adds layers to a graph; one that has a mistake silences those that read it."""

    def __init__(self, builder: GraphBuilder, shape: Shape, problems: list[Problem]) -> None:
        self.builder = builder
        self._problems = problems
        self._indexes: dict[str, int | None] = {INPUT: builder.add_input(shape)}
        self._last: int | None = self._indexes[INPUT]

    def add_all(self, layers: Sequence[_Layer | None]) -> None:
        if sum(layer.repeat for layer in layers if layer) > MAX_LAYERS:
            text = f"more than {MAX_LAYERS:,} layers, repeats counted"
            self._problems.append(Problem(("layers",), text))
            return
        names = _names(layers)
        for i, (layer, name) in enumerate(zip(layers, names, strict=True)):
            path: KeyPath = ("layers", i)
            if name in self._indexes:
                text = f"the name {name!r} is taken; names are unique and 'input' is the input's"
                self._problems.append(Problem((*path, "name"), text))
            self._last = self._add(layer, name, path, names[i:]) if layer else None
            self._indexes[name] = self._last

    def _add(self, layer: _Layer, name: str, path: KeyPath, later: Sequence[str]) -> int | None:
        inputs = self._inputs(layer, path, later)
        try:
            for number in range(1, layer.repeat + 1):
                if any(index is None for index in inputs):
                    return None
                known = [index for index in inputs if index is not None]
                op = layer.settings.op(*(self.builder.shape(index) for index in known))
                label = f"{name}.{number}" if layer.repeat > 1 else name
                inputs = [self.builder.add(label, op, *known)]
        except ShapeError as error:
            self._problems.append(Problem((*path, layer.kind), f"{name}: {error}"))
            return None
        return inputs[0]

    def _inputs(self, layer: _Layer, path: KeyPath, later: Sequence[str]) -> list[int | None]:
        if layer.inputs is None:
            return [self._last]
        if not layer.inputs or (len(layer.inputs) > 1 and not layer.settings.takes_many()):
            text = f"{layer.kind} takes one input, found {len(layer.inputs)}"
            self._problems.append(Problem((*path, "inputs"), text))
            return [None]
        return [
            self._input(name, (*path, "inputs", i), later) for i, name in enumerate(layer.inputs)
        ]

    def _input(self, name: str, path: KeyPath, later: Sequence[str]) -> int | None:
        if name in self._indexes:
            return self._indexes[name]
        reason = (
            f"{name!r} comes later or is this layer itself: a layer reads only layers above it, "
            "so there are no cycles"
            if name in later
            else f"no layer is called {name!r}; known here: {', '.join(self._indexes)}"
        )
        self._problems.append(Problem(path, reason))
        return None


def _names(layers: Iterable[_Layer | None]) -> list[str]:
    """Each layer's name; one without takes its kind and a running number: ``conv1``."""
    given = {layer.name for layer in layers if layer}
    numbers: Counter[str] = Counter()
    return [layer.name or _fresh(layer.kind, numbers, given) if layer else "" for layer in layers]


def _fresh(kind: str, numbers: Counter[str], given: Container[str | None]) -> str:
    while True:
        numbers[kind] += 1
        name = f"{kind}{numbers[kind]}"
        if name not in given:
            return name
