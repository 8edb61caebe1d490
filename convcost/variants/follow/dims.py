"""The dimensions of a tensor of a network whose late strides are taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from convcost.errors import ConvcostError
from convcost.graph import Node
from convcost.ops import Shape

if TYPE_CHECKING:
    from convcost.variants.follow import Follower


class Dim(NamedTuple):
    """A dimension that is ``rate`` times as large as it was.

    ``stride`` is the input positions between two neighbours in it (a fraction after upsampling);
    None where it doesn't hold the positions of a map.
    """

    rate: int = 1
    stride: Any = None


class Followed(NamedTuple):
    """A tensor; ``mixed`` names the layer that first mixed all positions of a denser map."""

    dims: tuple[Dim, ...]
    mixed: str = ""

    @property
    def is_denser(self) -> bool:
        """Whether it, or what it was made of, has more positions than it had."""
        return bool(self.mixed) or any(dim.rate > 1 for dim in self.dims)


Tensors = Sequence[Followed]
Shapes = Sequence[Shape]
Rule = Callable[["Follower", Node, Tensors, Shapes], Followed]
"""From the tensors that an op reads, and their shapes and its own, to what it gives."""


def place_of(node: Node) -> str:
    """Where in the network a node is, as a user knows it."""
    return node.module or node.name


def refusal(node: Node, why: str, hint: str = "") -> ConvcostError:
    """The error of a layer that can't be made dense."""
    return ConvcostError(
        f"dense: {place_of(node)} ({node.op.kind}) can't be made dense: {why}", hint
    )


def without(items: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    """All but the one at ``index``."""
    return (*items[:index], *items[index + 1 :])


def pooled(node: Node, tensor: Followed, dims: Sequence[int], new: tuple[Dim, ...]) -> Followed:
    """What is left once all positions along ``dims`` are mixed."""
    is_denser = any(tensor.dims[dim].rate > 1 for dim in dims)
    return Followed(new, f"{place_of(node)} ({node.op.kind})" if is_denser else "")
