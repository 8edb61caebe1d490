"""From validated layers to a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from typing import NamedTuple

from convcost.errors import ShapeError
from convcost.graph import GraphBuilder
from convcost.ops import Shape
from convcost.sources.kinds import KINDS, NoSettings
from convcost.sources.yaml_file import KeyPath, Problem

MAX_LAYERS = 100_000
INPUT = "input"


class Layer(NamedTuple):
    """One entry of ``layers``; without ``inputs`` it reads the layer before it."""

    name: str | None
    inputs: list[str] | None
    repeat: int
    kind: str
    settings: NoSettings


class Broken(NamedTuple):
    """An entry of ``layers`` that isn't valid; others may still read it by name."""

    name: str | None


class Assembler:
    """Adds layers to a graph; one that has a mistake silences those that read it."""

    def __init__(self, builder: GraphBuilder, shape: Shape | None, problems: list[Problem]) -> None:
        self.builder = builder
        self._problems = problems
        self._indexes: dict[str, int | None] = {INPUT: builder.add_input(shape) if shape else None}
        self._last: int | None = self._indexes[INPUT]

    def add_all(self, layers: Sequence[Layer | Broken]) -> None:
        """Adds every layer in turn."""
        if sum(layer.repeat for layer in layers if isinstance(layer, Layer)) > MAX_LAYERS:
            text = f"more than {MAX_LAYERS:,} layers, repeats counted"
            self._problems.append(Problem(("layers",), text))
            return
        names = _names(layers)
        for i, (layer, name) in enumerate(zip(layers, names, strict=True)):
            path: KeyPath = ("layers", i)
            if name in self._indexes:
                text = f"the name {name!r} is taken; names are unique and 'input' is the input's"
                self._problems.append(Problem((*path, "name"), text))
            self._last = (
                self._add(layer, name, path, names[i:]) if isinstance(layer, Layer) else None
            )
            self._indexes[name] = self._last

    def _add(self, layer: Layer, name: str, path: KeyPath, later: Sequence[str]) -> int | None:
        inputs = self._inputs(layer, path, later)
        try:
            for number in range(1, layer.repeat + 1):
                if any(index is None for index in inputs):
                    return None
                known = [index for index in inputs if index is not None]
                op = KINDS[layer.kind].op(layer.settings, layer.kind, self.builder.shape(known[0]))
                label = f"{name}.{number}" if layer.repeat > 1 else name
                inputs = [self.builder.add(label, op, *known)]
        except ShapeError as error:
            self._problems.append(Problem((*path, layer.kind), f"{name}: {error}"))
            return None
        return inputs[0]

    def _inputs(self, layer: Layer, path: KeyPath, later: Sequence[str]) -> list[int | None]:
        if layer.inputs is None:
            return [self._last]
        if not layer.inputs or (len(layer.inputs) > 1 and not KINDS[layer.kind].takes_many):
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


def _names(layers: Sequence[Layer | Broken]) -> list[str]:
    """Each layer's name; one without takes its kind and a running number: ``conv1``."""
    given = {layer.name for layer in layers}
    numbers: Counter[str] = Counter()
    return [
        layer.name or _fresh(layer.kind if isinstance(layer, Layer) else "layer", numbers, given)
        for layer in layers
    ]


def _fresh(kind: str, numbers: Counter[str], given: Container[str | None]) -> str:
    while True:
        numbers[kind] += 1
        name = f"{kind}{numbers[kind]}"
        if name not in given:
            return name
