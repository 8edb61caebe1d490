"""Layer specs: YAML to a graph."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from convcost.errors import printable, show_value
from convcost.graph import Graph, GraphBuilder
from convcost.sources.assemble import Assembler, Broken, Layer
from convcost.sources.fields import Count, Name, Repeat, Version
from convcost.sources.kinds import KINDS
from convcost.sources.reader import Reader
from convcost.sources.yaml_file import KeyPath, load_yaml

ParseVariant = Callable[[object], Any]
"""From an entry of ``variants`` to a variant; raises ValueError with what would be valid."""


class Spec(NamedTuple):
    """A loaded spec; ``variants`` is None where the file doesn't list any."""

    graph: Graph
    variants: tuple[Any, ...] | None


class LayerHead(BaseModel):
    """What a layer says besides its kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name | None = None
    inputs: Annotated[list[Name], Field(min_length=1)] | None = None
    repeat: Repeat = 1


class Head(BaseModel):
    """What a spec says besides its layers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Version
    name: Name | None = None
    input: Annotated[list[Count], Field(min_length=2, max_length=4)]
    variants: Annotated[list[Any], Field(min_length=1)] = []


def load_spec(path: str, batch: int, itemsize: int, parse_variant: ParseVariant) -> Spec:
    """Reads a spec; ``batch`` is put before its input, ``itemsize`` is the bytes of a scalar.

    Raises:
        ConvcostError: with every mistake of the file, each with its line and key.
    """
    file = load_yaml(path)
    reader = _Reader(file.mapping("version, input and layers"), parse_variant)
    spec = reader.spec(printable(Path(path).stem), batch, itemsize)
    if spec is None:
        raise file.error(reader.problems)
    return spec


class _Reader(Reader):
    """Reads a spec's parts."""

    def __init__(self, data: Mapping[str, object], parse_variant: ParseVariant) -> None:
        super().__init__()
        self._data = data
        self._parse_variant = parse_variant

    def spec(self, name: str, batch: int, itemsize: int) -> Spec | None:
        rest = {key: value for key, value in self._data.items() if key != "layers"}
        head = self.validate(Head, rest, (), ["layers"])
        layers = self._layers(self._data.get("layers"))
        variants = self._variants(self._data.get("variants"))
        builder = GraphBuilder((head and head.name) or name, itemsize)
        shape = (batch, *head.input) if head else None
        Assembler(builder, shape, self.problems).add_all(layers)
        return None if self.problems else Spec(builder.build(), variants)

    def _layers(self, found: object) -> list[Layer | Broken]:
        if not isinstance(found, list) or not found:
            self.problem(("layers",), "expected a list of at least one layer")
            return []
        return [self._layer(layer, ("layers", i)) for i, layer in enumerate(found)]

    def _layer(self, found: object, path: KeyPath) -> Layer | Broken:
        if not isinstance(found, dict):
            text = f"expected a mapping such as {{relu: {{}}}}, found {show_value(found)}"
            self.problem(path, text)
            return Broken(None)
        kinds = [key for key in found if key in KINDS]
        rest = {key: value for key, value in found.items() if key not in KINDS}
        head = self.validate(LayerHead, rest, path, KINDS)
        settings = [self.validate(KINDS[k].settings, found[k], (*path, k)) for k in kinds]
        if head is not None and len(kinds) != 1:
            what = " and ".join(kinds) or "none"
            self.problem(path, f"a layer has exactly one kind, found {what}: {', '.join(KINDS)}")
        if head is None or len(kinds) != 1 or settings[0] is None:
            name = found.get("name")
            return Broken(name if isinstance(name, str) else None)
        return Layer(head.name, head.inputs, head.repeat, kinds[0], settings[0])

    def _variants(self, found: object) -> tuple[Any, ...] | None:
        if not isinstance(found, list):
            return None
        variants = []
        for i, entry in enumerate(found):
            try:
                variants.append(self._parse_variant(entry))
            except ValueError as error:
                self.problem(("variants", i), str(error))
        return tuple(variants)
