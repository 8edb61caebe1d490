"""The receptive field of each node, as an exact set of input positions.

A window op is a Minkowski sum: with S the set that its input sees and j its effective stride, the
output sees ``∪ₜ (S + (t * dilation - padding) * j)`` at stride ``j * stride``; branches join by
union. (Araujo et al., 'Computing Receptive Fields of Convolutional Neural Networks', Distill 2019,
has the spans of single paths; the sets give branches, holes and density as well.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING

from convcost.analyses.receptive_field.describe import describe, is_plain
from convcost.analyses.receptive_field.field import Field
from convcost.analyses.receptive_field.inputs import spatial_dims
from convcost.analyses.receptive_field.joins import Fields, Shapes, in_step
from convcost.analyses.receptive_field.positions import UnknownFieldError, UnlikeStepsError
from convcost.analyses.receptive_field.rules import POINTWISE, RULES
from convcost.analyses.receptive_field.seen import seen_by
from convcost.graph import Graph, Node
from convcost.ops import Conv, Input, Op, Pool, Resize, Shape
from convcost.report import Runs, Value

if TYPE_CHECKING:
    from convcost.picture import Raster


def find_receptive_fields(graph: Graph) -> tuple[list[dict[str, Value]], dict[str, Value]]:
    """The field's values for each node, and for the graph those of its last feature map."""
    fields = _propagate(graph)
    rows = _described(fields)
    return rows, rows[_last_feature_map(graph, fields)]


def _described(fields: Sequence[Field | str]) -> list[dict[str, Value]]:
    """The values of each; what sees the same boxes and has no bounds is described once."""
    described: dict[int, dict[str, Value]] = {}
    for field in fields:
        if id(field) not in described:
            key = id(field if isinstance(field, str) or not is_plain(field) else field.boxes)
            if key not in described:
                described[key] = describe(field)
            described[id(field)] = described[key]
    return [described[id(field)] for field in fields]


def find_seen_positions(graph: Graph) -> tuple[tuple[Runs, ...], ...]:
    """What one output of the last feature map sees, as boxes; none where it isn't finite."""
    fields = _propagate(graph)
    return seen_by(fields[_last_feature_map(graph, fields)])


def find_network_field(graph: Graph) -> dict[str, Value]:
    """The field's values for the last feature map alone."""
    fields = _propagate(graph)
    return describe(fields[_last_feature_map(graph, fields)])


def _last_feature_map(graph: Graph, fields: Sequence[Field | str]) -> int:
    """The index of what the final global pooling or flattening reads, else of the output.

    Everything after it has no positions left, or has them folded into one dimension. What lays out
    positions again, as a decoder does, is a feature map of its own.
    """
    needed = {graph.output}
    for index in range(graph.output, -1, -1):
        field, node = fields[index], graph.nodes[index]
        if index in needed:
            if isinstance(field, str) or field.has_positions(node.shape) or _is_map(node):
                return index
            needed.update(node.inputs)
    return graph.output


def _is_map(node: Node) -> bool:
    """Whether an op that works along positions gives several of them."""
    if isinstance(node.op, Conv | Pool):
        axes = len(node.op.kernel_size)
    elif isinstance(node.op, Resize):
        axes = len(node.op.size)
    else:
        return False
    return prod(node.shape[-axes:]) > 1


def _propagate(graph: Graph) -> list[Field | str]:
    """One field per node, or the reason why it isn't known."""
    places = spatial_dims(graph, _fields)
    return _fields(graph.nodes, [Field.of_input(rank, dims) for rank, dims in places])


def _fields(nodes: Sequence[Node], inputs: Iterable[Field]) -> list[Field | str]:
    """One field per node, from those of the inputs in their order."""
    given = iter(inputs)
    fields: list[Field | str] = []
    for node in nodes:
        fields.append(next(given) if isinstance(node.op, Input) else _field(node, fields, nodes))
    return fields


def _field(node: Node, fields: Sequence[Field | str], nodes: Sequence[Node]) -> Field | str:
    op, inputs = node.op, node.inputs
    if len(inputs) == 1 and type(op) in POINTWISE and nodes[inputs[0]].shape == node.shape:
        return fields[inputs[0]]
    known: list[Field] = []
    shapes: list[Shape] = []
    sees = False
    for index in inputs:
        field = fields[index]
        if isinstance(field, str):
            return field
        known.append(field)
        shapes.append(nodes[index].shape)
        sees = sees or bool(field.boxes)
    if not sees:
        return Field.of_nothing(len(node.shape))
    shapes.append(node.shape)
    try:
        return _ruled(op, known, shapes)
    except UnknownFieldError as error:
        return f"at {node.name}: {error}"


def _ruled(op: Op, fields: Fields, shapes: Shapes) -> Field:
    rule = RULES[type(op)]
    try:
        return rule(op, fields, shapes)
    except UnlikeStepsError:
        return rule(op, in_step(fields, shapes), shapes)


def find_rasters(graph: Graph) -> list[Raster | str]:
    """The positions of the input that one output position of each node sees, or why not."""
    from convcost.analyses.receptive_field.raster import rasterise  # noqa: PLC0415  pictures only

    return [rasterise(field) for field in _propagate(graph)]
