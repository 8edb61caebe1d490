"""A whole graph rewritten as a variant."""

from collections.abc import Collection, Container, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from convcost.errors import ConvcostError, ShapeError, show_value, some_of
from convcost.graph import Graph, GraphBuilder, Node
from convcost.ops import Conv
from convcost.variants import Variant

Init = Literal["fresh", "svd"]
"""The weights that separable layers start from."""

STEM_CHANNELS = 4
"""A convolution with at most so many input channels reads the image: it is a stem."""


class Choice(NamedTuple):
    """Which layers are rewritten, by globs over their names or paths, and with what weights.

    ``names`` are those of one step of a mix. For a ``later`` step a layer that ``only`` or ``keep``
    names may have become another.
    """

    only: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    init: Init = "fresh"
    names: tuple[str, ...] = ()
    later: bool = False


def convolutions(graph: Graph) -> list[str]:
    """The names of all convolutions."""
    return [node.name for node in graph.nodes if isinstance(node.op, Conv)]


def eligible(graph: Graph, only: Sequence[str], keep: Sequence[str]) -> frozenset[str]:
    """The names of the convolutions of a graph that a variant rewrites; see ``choose``."""
    return chosen_of(graph, Choice(tuple(only), tuple(keep)))


def chosen_of(graph: Graph, choice: Choice) -> frozenset[str]:
    """The names of the convolutions of a graph that a step rewrites; see ``choose``."""
    convs = {node.name: node.op for node in graph.nodes if isinstance(node.op, Conv)}
    return choose(convs, choice)


def choose(convs: Mapping[str, Conv], choice: Choice) -> frozenset[str]:
    """The names of the convolutions that a variant rewrites.

    1×1 and depthwise ones can't be rewritten; a stem is left out where others remain.

    Raises:
        ConvcostError: a glob matches no convolution.
    """
    for glob in choice.names if choice.later else (*choice.only, *choice.keep, *choice.names):
        if not any(fnmatchcase(name, glob) for name in convs):
            raise ConvcostError(
                f"no convolution matches {show_value(glob)}",
                f"convolutions here: {some_of(convs) or 'none'}",
            )
    chosen = {name: conv for name, conv in convs.items() if _is_rewritable(conv)}
    chosen = {name: conv for name, conv in chosen.items() if _is_wanted(name, choice)}
    inner = {name for name, conv in chosen.items() if conv.in_channels > STEM_CHANNELS}
    return frozenset(inner or chosen)


def _is_rewritable(conv: Conv) -> bool:
    return not conv.has_one_tap and not conv.is_depthwise


def _is_wanted(name: str, choice: Choice) -> bool:
    wanted = all(matches(name, globs) for globs in (choice.only, choice.names) if globs)
    return wanted and not matches(name, choice.keep)


def matches(name: str, globs: Sequence[str]) -> bool:
    """Whether one of the globs is of a name."""
    return any(fnmatchcase(name, glob) for glob in globs)


def rewrite(graph: Graph, variant: Variant, names: Collection[str]) -> Graph:
    """``graph`` with the convolutions of these ``names`` as ``variant``.

    Raises:
        ConvcostError: the variant's options don't fit one of them.
    """
    builder = GraphBuilder(graph.name, graph.nodes[0].itemsize)
    taken = {node.name for node in graph.nodes}
    indexes: list[int] = []
    for node in graph.nodes:
        inputs = tuple(indexes[i] for i in node.inputs)
        if isinstance(node.op, Conv) and node.name in names:
            indexes.append(_add_block(builder, node, node.op, variant, inputs, taken))
        else:
            indexes.append(builder.copy(node, *inputs))
    return builder.build()


def _add_block(  # noqa: PLR0913  what a node's rewrite needs
    builder: GraphBuilder,
    node: Node,
    conv: Conv,
    variant: Variant,
    inputs: tuple[int, ...],
    taken: Container[str],
) -> int:
    try:
        for part, op in variant.block(conv):
            name = _free(f"{node.name}.{part}", taken) if part else node.name
            inputs = (builder.add(name, op, *inputs),)
    except ShapeError as error:
        raise ConvcostError(f"{variant} doesn't fit {node.name}: {error}") from None
    return inputs[0]


def _free(name: str, taken: Container[str]) -> str:
    """``name``, with underscores where another node has it."""
    while name in taken:
        name += "_"
    return name
