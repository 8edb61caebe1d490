"""From validated layers to a graph."""

from collections import Counter
from collections.abc import Collection, Container, Iterator, Sequence
from math import prod
from typing import NamedTuple

from convcost.errors import ShapeError, show_value, some_of
from convcost.graph import GraphBuilder
from convcost.ops import MAX_SCALARS, Shape
from convcost.sources.kind_settings import NoSettings
from convcost.sources.kinds import KINDS
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
        self._labels: set[str] = set()

    def add_all(self, layers: Sequence[Layer | Broken]) -> None:
        """Adds every layer in turn."""
        if sum(layer.repeat for layer in layers if isinstance(layer, Layer)) > MAX_LAYERS:
            text = f"more than {MAX_LAYERS:,} layers, repeats counted"
            self._problems.append(Problem(("layers",), text))
            return
        names = _names(layers)
        every = frozenset(names)
        for i, (layer, name) in enumerate(zip(layers, names, strict=True)):
            path: KeyPath = ("layers", i)
            self._take(name, layer, path)
            self._last = self._add(layer, name, path, every) if isinstance(layer, Layer) else None
            self._indexes[name] = self._last

    def _take(self, name: str, layer: Layer | Broken, path: KeyPath) -> None:
        """Notes the name of the layer, and of each of its nodes, where none of them is taken."""
        labels = [name, *_labels(name, layer)]
        taken = next((x for x in labels if x in self._indexes or x in self._labels), None)
        if taken is not None:
            shown = show_value(taken)
            text = f"the name {shown} is taken; names are unique and 'input' is the input's"
            self._problems.append(Problem((*path, "name"), text))
        self._labels.update(labels)

    def _add(self, layer: Layer, name: str, path: KeyPath, every: Collection[str]) -> int | None:
        inputs = self._inputs(layer, path, every)
        labels = list(_labels(name, layer))
        self._indexes.update(dict.fromkeys(labels))
        try:
            for label in labels:
                if any(index is None for index in inputs):
                    return None
                inputs = [self._add_one(label, layer, [i for i in inputs if i is not None])]
                self._indexes[label] = inputs[0]
        except ShapeError as error:
            self._problems.append(Problem((*path, layer.kind), f"{name}: {error}"))
            return None
        return inputs[0]

    def _add_one(self, label: str, layer: Layer, inputs: Sequence[int]) -> int:
        op = KINDS[layer.kind].op(layer.settings, layer.kind, self.builder.shape(inputs[0]))
        index = self.builder.add(label, op, *inputs)
        if prod(self.builder.shape(index)) > MAX_SCALARS:
            raise ShapeError(f"its output has more than {MAX_SCALARS:,} scalars")
        return index

    def _inputs(self, layer: Layer, path: KeyPath, every: Collection[str]) -> list[int | None]:
        if layer.inputs is None:
            return [self._last]
        if len(layer.inputs) > 1 and not KINDS[layer.kind].takes_many:
            text = f"{layer.kind} takes one input, found {len(layer.inputs)}"
            self._problems.append(Problem((*path, "inputs"), text))
            return [None]
        return [
            self._input(name, (*path, "inputs", i), every) for i, name in enumerate(layer.inputs)
        ]

    def _input(self, name: str, path: KeyPath, every: Collection[str]) -> int | None:
        if name in self._indexes:
            return self._indexes[name]
        reason = (
            f"{show_value(name)} comes later or is this layer itself: a layer reads only layers "
            "above it, so there are no cycles"
            if name in every
            else f"no layer is called {show_value(name)}; known here: {some_of(self._indexes)}"
        )
        self._problems.append(Problem(path, reason))
        return None


def _labels(name: str, layer: Layer | Broken) -> Iterator[str]:
    """The names of a layer's nodes: each repetition has its number."""
    if isinstance(layer, Broken) or layer.repeat == 1:
        return iter((name,))
    return (f"{name}.{number}" for number in range(1, layer.repeat + 1))


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
