"""The frozen graph that every analysis reads and every variant rewrites."""

from __future__ import annotations

from math import prod
from typing import NamedTuple, Self

from convcost.ops import Input, Op, Shape, parameter_shapes


class Parameter(NamedTuple):
    """A learnable tensor; one that several nodes share has one name."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """The number of scalars in it."""
        return prod(self.shape)


class Node(NamedTuple):
    """One op at work: ``inputs`` are indexes of earlier nodes, ``shape`` is the output's.

    ``shares`` is the index of the node whose storage the output is a view of.
    """

    name: str
    op: Op
    inputs: tuple[int, ...]
    shape: Shape
    parameters: tuple[Parameter, ...] = ()
    shares: int | None = None


class Graph(NamedTuple):
    """Nodes in topological order; the last one is the output.

    ``itemsize`` is the bytes of one scalar, activations and parameters alike.
    """

    name: str
    nodes: tuple[Node, ...]
    itemsize: int = 4


class GraphBuilder:
    """Collects nodes and works out their shapes, parameters and storage."""

    def __init__(self, name: str, itemsize: int = 4) -> None:
        self._name = name
        self._itemsize = itemsize
        self._nodes: list[Node] = []

    @classmethod
    def like(cls, graph: Graph) -> Self:
        """An empty builder for a rewrite of ``graph``."""
        return cls(graph.name, graph.itemsize)

    def add_input(self, shape: Shape) -> int:
        """Adds the input and returns its index."""
        return self.add("input", Input(shape))

    def add(self, name: str, op: Op, *inputs: int) -> int:
        """Adds a node and returns its index.

        Raises:
            ShapeError: the op can't take the shapes of its inputs.
        """
        shape = op.output_shape(*(self._nodes[i].shape for i in inputs))
        parameters = tuple(
            Parameter(f"{name}.{key}", size) for key, size in parameter_shapes(op).items()
        )
        shares = inputs[0] if op.kind == "flatten" else None
        self._nodes.append(Node(name, op, inputs, shape, parameters, shares))
        return len(self._nodes) - 1

    def shape(self, index: int) -> Shape:
        """The output shape of a node that was added."""
        return self._nodes[index].shape

    def build(self) -> Graph:
        """The graph of all nodes added so far."""
        return Graph(self._name, tuple(self._nodes), self._itemsize)
