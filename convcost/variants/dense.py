"""Features at more positions: late strides become dilation, the weights stay (à trous)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from convcost.errors import ConvcostError
from convcost.graph import Graph
from convcost.ops import Conv, Pad, Padding, Pool, Sizes
from convcost.units import format_digits

if TYPE_CHECKING:
    from convcost.variants.follow import Followed, Follower


class Denser(NamedTuple):
    """A window op that reads a map ``rate`` times as large, and its new stride, per axis."""

    op: Conv | Pool | Pad
    rate: Sizes
    stride: Sizes

    @property
    def dilation(self) -> Sizes:
        """What keeps the taps where they were."""
        assert not isinstance(self.op, Pad)  # noqa: S101  padding has no taps
        return tuple(d * r for d, r in zip(self.op.dilation, self.rate, strict=True))

    @property
    def is_strided_less(self) -> bool:
        """Whether it lost its stride, or a part of it."""
        return not isinstance(self.op, Pad) and self.stride != self.op.stride

    def padding(self, sizes: Sizes) -> Padding:
        """(before, after) for an input of these spatial ``sizes``; a negative one crops.

        Before, it scales with the dilation. After, it makes the output exactly (removed stride)
        times the size that the original has.
        """
        if isinstance(self.op, Pad):
            pads = zip(self.op.padding, self.rate, strict=True)
            return tuple((before * r, after * r) for (before, after), r in pads)
        channels = self.op.in_channels if isinstance(self.op, Conv) else 1
        old = tuple(-(-n // r) for n, r in zip(sizes, self.rate, strict=True))
        wanted = self.op.output_shape((1, channels, *old))[2:]
        axes = zip(
            sizes,
            wanted,
            self.rate,
            self.op.kernel_size,
            self.dilation,
            self.op.padding,
            self.op.stride,
            self.stride,
            strict=True,
        )
        return tuple(_padding(*axis) for axis in axes)


def _padding(  # noqa: PLR0913  one axis of a window op
    size: int,
    old_output: int,
    rate: int,
    kernel_size: int,
    dilation: int,
    padding: tuple[int, int],
    old_stride: int,
    stride: int,
) -> tuple[int, int]:
    before = padding[0] * rate
    output = old_output * rate * (old_stride // stride)
    needed = (output - 1) * stride + dilation * (kernel_size - 1) + 1
    return before, needed - size - before


class DensePlan(NamedTuple):
    """What makes a network dense: the new settings of modules, by path.

    ``feature_map`` is the index of the last feature map, which is ``rate`` times as large per
    dimension; ``mixed`` names the layer because of which its values can't stay the same.
    """

    changes: Mapping[str, Denser]
    feature_map: int
    rate: Sizes
    mixed: str


def dense(graph: Graph, windows: Collection[str], *, output_stride: int = 16) -> DensePlan:
    """The changes that bring the last feature map of ``graph`` to ``output_stride``.

    Strides after the wanted one become 1, and everything downstream gets the dilation that keeps
    its taps where they were; the layer that lost its stride isn't dilated itself (Chen et al.,
    'DeepLab', TPAMI 2018, section 3.1; Holschneider et al., 'à trous', 1989). ``windows`` are the
    paths of the modules that can be given other settings.

    Raises:
        ConvcostError: the output stride can't be reached, or a layer can't be made dense.
    """
    from convcost.variants.follow import Follower  # noqa: PLC0415  a start needn't load the rules

    before = Follower(graph, None)
    last = before.last_feature_map()
    _need_reachable(before, last, output_stride)
    follower = Follower(graph, output_stride)
    changes = _changes(follower, windows)
    after = follower.tensors[last]
    return DensePlan(changes, last, tuple(dim.rate for dim in after.dims), after.mixed)


def halved_stride(graph: Graph) -> int:
    """Half the output stride of the last feature map; 0 where that is no whole number."""
    from convcost.variants.follow import Follower  # noqa: PLC0415  as above

    follower = Follower(graph, None)
    strides = _strides(follower.tensors[follower.last_feature_map()])
    half, rest = divmod(max(strides, default=1), 2)
    return 0 if rest else int(half)


def last_feature_map(graph: Graph) -> int:
    """The index of what the final pooling or flattening reads, else of the output."""
    from convcost.variants.follow import Follower  # noqa: PLC0415  as above

    return Follower(graph, None).last_feature_map()


def _need_reachable(follower: Follower, last: int, wanted: int) -> None:
    strides = {stride for tensor in follower.tensors[: last + 1] for stride in _strides(tensor)}
    found = max(_strides(follower.tensors[last]), default=1)
    told = format_digits(float(found))
    reachable = sorted(int(s) for s in strides if s < found and s == int(s))
    hint = f"reachable: {', '.join(map(str, reachable))}" if reachable else "it has no strides"
    if max(strides, default=1) > found:
        hint = "the model upsamples its maps again: give the part of it before that"
    if found <= wanted:
        raise ConvcostError(
            f"dense can't give output stride {wanted}: the last feature map's is {told}", hint
        )
    if found % wanted:
        raise ConvcostError(
            f"output stride {wanted} can't be reached: the last feature map's is {told}", hint
        )


def _strides(tensor: Followed) -> list[float]:
    return [dim.stride for dim in tensor.dims if dim.stride is not None]


def _changes(follower: Follower, windows: Collection[str]) -> dict[str, Denser]:
    """The new settings by module; the same for each call of a module."""
    found: dict[str, Denser] = {}
    for node, window in follower.windows:
        denser = Denser(node.op, *window)  # type: ignore[arg-type]  # windows are of these ops
        changed = denser.is_strided_less or any(rate > 1 for rate in denser.rate)
        if changed and node.module not in windows:
            raise ConvcostError(
                f"dense: the {node.op.kind} in {node.module or 'the model'} isn't a module of "
                "its own, so its settings can't be changed",
                "make it one: a torch.nn layer in place of a function",
            )
        if node.module not in windows:
            continue
        known = found.setdefault(node.module, denser)
        if (known.rate, known.stride) != (denser.rate, denser.stride):
            raise ConvcostError(
                f"dense: {node.module} is shared and reached at two strides: it can't be "
                "dilated for one and not for the other",
                "give each place a layer of its own",
            )
    return {
        path: denser
        for path, denser in found.items()
        if denser.is_strided_less or any(rate > 1 for rate in denser.rate)
    }
