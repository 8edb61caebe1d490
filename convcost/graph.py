"""The frozen graph that every analysis reads and every variant rewrites."""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from convcost.ops import Flatten, Input, Layer, Op, Shape, parameter_shapes


class Parameter(NamedTuple):
    """A learnable tensor; one that several nodes share has one name."""

    name: str
    shape: Shape
    itemsize: int = 4

    @property
    def size(self) -> int:
        """The number of scalars in it."""
        return prod(self.shape)


class Node(NamedTuple):
    """One op at work: ``inputs`` are indexes of earlier nodes, ``shape`` is the output's.

    ``itemsize`` is the bytes of one scalar of the output; ``shares`` the index of the node whose
    storage it is a view of, or is written into. ``module`` is the path of the module that ran it,
    ``call`` the number of that module's call.
    """

    name: str
    op: Op
    inputs: tuple[int, ...]
    shape: Shape
    parameters: tuple[Parameter, ...] = ()
    itemsize: int = 4
    shares: int | None = None
    module: str = ""
    call: int = 0


class Graph(NamedTuple):
    """Nodes in topological order; ``output`` is the index of the (first) output.

    ``returned`` has, for calls of modules whose last op isn't what made their (first) output, the
    node that did (None: they gave no tensor), by the module's path and the number of the call.
    """

    name: str
    nodes: tuple[Node, ...]
    output: int
    returned: Mapping[tuple[str, int], int | None] = {}


class GraphBuilder:
    """Collects layers and works out their shapes, parameters and storage."""

    def __init__(self, name: str, itemsize: int = 4) -> None:
        self._name = name
        self._itemsize = itemsize
        self._nodes: list[Node] = []

    def add_input(self, shape: Shape) -> int:
        """Adds the input and returns its index."""
        return self.add("input", Input(shape))

    def add(self, name: str, op: Layer, *inputs: int) -> int:
        """Adds a layer and returns its index.

        Raises:
            ShapeError: the layer can't take the shapes of its inputs.
        """
        shape = op.output_shape(*(self._nodes[i].shape for i in inputs))
        parameters = tuple(
            Parameter(f"{name}.{key}", size, self._itemsize)
            for key, size in parameter_shapes(op).items()
        )
        shares = inputs[0] if isinstance(op, Flatten) else None
        self._nodes.append(Node(name, op, inputs, shape, parameters, self._itemsize, shares, name))
        return len(self._nodes) - 1

    def copy(self, node: Node, *inputs: int) -> int:
        """Adds a node of another graph, whose inputs are now at these indexes."""
        shares = node.shares if node.shares is None else inputs[0]
        self._nodes.append(node._replace(inputs=inputs, shares=shares))
        return len(self._nodes) - 1

    def shape(self, index: int) -> Shape:
        """The output shape of a node that was added."""
        return self._nodes[index].shape

    def build(self) -> Graph:
        """The graph of all nodes added so far; the last one is the output."""
        return Graph(self._name, tuple(self._nodes), len(self._nodes) - 1)
