"""Ops that only traced models have: how they move, mix and multiply, said without torch.

``dims`` count from 0; the shapes belong to the nodes.
"""

from typing import NamedTuple

from convcost.ops.shapes import Padding, Sizes

DROPOUTS = ("dropout", "alpha_dropout", "feature_dropout")
"""Elementwise ops that give the input itself in eval mode."""


class Matmul(NamedTuple):
    """A matrix product of the last dimensions; ``contracted`` terms make one output."""

    contracted: int
    kind: str = "matmul"


class Attention(NamedTuple):
    """Scaled dot-product attention of query, key and value; ``masked`` where keys may be hidden."""

    multiplications: int
    kind: str = "attention"
    masked: bool = False


class Recurrence(NamedTuple):
    """Layers that read a sequence along the dimension ``time``, in one or both directions.

    Each step depends on those before it; ``alike`` is whether all features of a step do so.
    """

    multiplications: int
    kind: str
    time: int
    both_ways: bool = False
    alike: bool = True


class AdaptivePool(NamedTuple):
    """A pool to a fixed number of outputs per spatial axis; one output sees all."""

    size: Sizes
    kind: str = "adaptive_avg_pool"


class Reduce(NamedTuple):
    """``dims`` reduced to one position each, or removed."""

    dims: Sizes
    keepdim: bool
    kind: str


_RUNNING = ("cumsum", "cumprod", "logcumsumexp")


class Mix(NamedTuple):
    """Each output position sees every position along ``dims``: softmax, norms over positions.

    Of a running sum or product it sees those before it.
    """

    dims: Sizes
    kind: str

    @property
    def is_running(self) -> bool:
        """Whether each position sees no later one."""
        return self.kind in _RUNNING


class Permute(NamedTuple):
    """Output dimension ``i`` is input dimension ``order[i]``: a view."""

    order: Sizes
    kind: str = "permute"


class Reshape(NamedTuple):
    """The same scalars in the same order under another shape."""

    kind: str = "reshape"


class Expand(NamedTuple):
    """Dimensions added in front, or of size 1 repeated: broadcasting."""

    kind: str = "expand"


class Slice(NamedTuple):
    """Every ``step``-th position from ``start`` along one dimension."""

    dim: int
    start: int
    step: int = 1
    kind: str = "slice"


class Select(NamedTuple):
    """One position along a dimension, which goes away."""

    dim: int
    position: int
    kind: str = "select"


class Stack(NamedTuple):
    """Inputs laid along a new dimension."""

    dim: int
    kind: str = "stack"


class Shift(NamedTuple):
    """Positions moved by ``offsets`` along ``dims``, around the end."""

    dims: Sizes
    offsets: Sizes
    kind: str = "roll"


class PixelShuffle(NamedTuple):
    """Channels moved into space by ``factor``, or space into channels."""

    factor: int
    upscale: bool
    kind: str = "pixel_shuffle"


class Unfold(NamedTuple):
    """Windows laid out as columns (im2col)."""

    kernel_size: Sizes
    stride: Sizes
    padding: Padding
    dilation: Sizes
    output: Sizes
    kind: str = "unfold"


class Frames(NamedTuple):
    """Windows of ``size`` along one dimension, ``step`` apart, each in a new last dimension."""

    dim: int
    size: int
    step: int
    kind: str = "unfold"


class Rearrange(NamedTuple):
    """Positions along ``dims`` moved in a way that isn't followed: indexing, sorting, flipping."""

    dims: Sizes
    kind: str


class Write(NamedTuple):
    """The second input in the place of some positions of the first along ``dim``.

    They are ``start``, ``start + step`` and so on, or ``start`` alone where it is ``selected``: the
    second input then lacks that dimension.
    """

    dim: int
    start: int
    step: int = 1
    selected: bool = False
    kind: str = "write"

    @property
    def in_place(self) -> bool:
        """Whether each position is where it was in what was written."""
        return not self.selected and (self.start, self.step) == (0, 1)


class Output(NamedTuple):
    """A further output of the node that it reads."""

    kind: str = "output"


class Unused(NamedTuple):
    """Parameters that the pass didn't use."""

    kind: str = "unused"


class Opaque(NamedTuple):
    """An op that convcost doesn't know: what it costs is not known."""

    kind: str


Dataflow = (
    Matmul
    | Attention
    | Recurrence
    | AdaptivePool
    | Reduce
    | Mix
    | Permute
    | Reshape
    | Expand
    | Slice
    | Select
    | Shift
    | Stack
    | PixelShuffle
    | Unfold
    | Frames
    | Rearrange
    | Write
    | Output
    | Unused
    | Opaque
)
