"""Random layers, graphs, variants and reports for the property tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from convcost.graph import Graph, GraphBuilder, Node
from convcost.ops import (
    Concat,
    Conv,
    Elementwise,
    Flatten,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    Op,
    Pad,
    Padding,
    Pool,
    Resize,
    Shape,
    Sizes,
)
from convcost.report import METRICS, EffectiveField, Finding, Report, Row, Selection, Value
from convcost.variants import VARIANTS, Variant, option_defaults

T = TypeVar("T")

ACTIVATIONS = ("relu", "relu6", "leaky_relu", "gelu", "hardswish", "sigmoid", "tanh")
LINEAR = ("linear", "bilinear", "trilinear")


class Limits(NamedTuple):
    """The largest setting of each kind."""

    kernel_size: int = 4
    stride: int = 3
    dilation: int = 3
    padding: int = 3
    width: int = 2


class WindowAxis(NamedTuple):
    """One axis of a window op."""

    kernel_size: int
    stride: int
    padding: tuple[int, int]
    dilation: int
    output_padding: int = 0


class Window(NamedTuple):
    """All axes of a window op."""

    kernel_size: Sizes
    stride: Sizes
    padding: Padding
    dilation: Sizes


AxisDraw = Callable[[DrawFn, int, Limits], WindowAxis]


# windows


def upto(draw: DrawFn, low: int, high: int) -> int:
    return draw(st.integers(low, max(low, high)))


def _window_axis(draw: DrawFn, size: int, limits: Limits) -> WindowAxis:
    padding = (upto(draw, 0, limits.padding), upto(draw, 0, limits.padding))
    dilation = upto(draw, 1, limits.dilation)
    widest = (size + sum(padding) - 1) // dilation + 1
    kernel_size = upto(draw, 1, min(limits.kernel_size, widest))
    return WindowAxis(kernel_size, upto(draw, 1, limits.stride), padding, dilation)


def _pool_axis(draw: DrawFn, size: int, limits: Limits) -> WindowAxis:
    dilation = upto(draw, 1, limits.dilation)
    widest = (size + 2 * limits.padding - 1) // dilation + 1
    kernel_size = upto(draw, 1, min(limits.kernel_size, widest))
    window = dilation * (kernel_size - 1) + 1
    # each window holds a position of the input: a pool over padding alone has nothing to tell
    most = min(limits.padding, window - 1)
    before = upto(draw, max(0, window - size - most), most)
    padding = (before, upto(draw, max(0, window - size - before), most))
    return WindowAxis(kernel_size, upto(draw, 1, limits.stride), padding, dilation)


def _transposed_axis(draw: DrawFn, size: int, limits: Limits) -> WindowAxis:
    kernel_size, stride = upto(draw, 1, limits.kernel_size), upto(draw, 1, limits.stride)
    dilation = upto(draw, 1, limits.dilation)
    extra = upto(draw, 0, max(stride, dilation) - 1)
    uncropped = (size - 1) * stride + dilation * (kernel_size - 1) + extra + 1
    before = upto(draw, 0, min(limits.padding, uncropped - 1))
    after = upto(draw, 0, min(limits.padding, uncropped - 1 - before))
    return WindowAxis(kernel_size, stride, (before, after), dilation, extra)


def same_axis(stride: int) -> AxisDraw:
    """A window whose output has ``ceil(size / stride)`` positions."""

    def axis(draw: DrawFn, size: int, limits: Limits) -> WindowAxis:
        kernel_size = upto(draw, 1, limits.kernel_size)
        dilation = upto(draw, 1, limits.dilation)
        window = dilation * (kernel_size - 1) + 1
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        before = upto(draw, 0, total)
        return WindowAxis(kernel_size, stride, (before, total - before), dilation)

    return axis


def scaling_axis(factor: int) -> AxisDraw:
    """A transposed window whose output has ``factor * size`` positions."""

    def axis(draw: DrawFn, _: int, limits: Limits) -> WindowAxis:
        kernel_size = upto(draw, factor, factor + limits.kernel_size - 1)
        before = upto(draw, 0, kernel_size - factor)
        return WindowAxis(kernel_size, factor, (before, kernel_size - factor - before), 1)

    return axis


def _window(draw: DrawFn, shape: Shape, limits: Limits, axis: AxisDraw) -> Window:
    axes = [axis(draw, size, limits) for size in shape[2:]]
    return Window(
        tuple(a.kernel_size for a in axes),
        tuple(a.stride for a in axes),
        tuple(a.padding for a in axes),
        tuple(a.dilation for a in axes),
    )


# single ops


class Channels(NamedTuple):
    """A convolution's channels, with groups that divide both."""

    before: int
    after: int
    groups: int


def _channels(draw: DrawFn, before: int, limits: Limits, after: int | None) -> Channels:
    divisors = [g for g in range(1, before + 1) if before % g == 0 and (after or 0) % g == 0]
    groups = draw(st.sampled_from(divisors))
    return Channels(before, after or groups * upto(draw, 1, limits.width), groups)


def draw_conv(
    draw: DrawFn,
    shape: Shape,
    limits: Limits,
    axis: AxisDraw = _window_axis,
    out_channels: int | None = None,
) -> Conv:
    channels = _channels(draw, shape[1], limits, out_channels)
    window = _window(draw, shape, limits, axis)
    return Conv(
        in_channels=channels.before,
        out_channels=channels.after,
        kernel_size=window.kernel_size,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        groups=channels.groups,
        bias=draw(st.booleans()),
    )


def draw_transposed(
    draw: DrawFn,
    shape: Shape,
    limits: Limits,
    axis: AxisDraw = _transposed_axis,
    out_channels: int | None = None,
) -> Conv:
    extras: list[int] = []

    def noting(draw: DrawFn, size: int, limits: Limits) -> WindowAxis:
        drawn = axis(draw, size, limits)
        extras.append(drawn.output_padding)
        return drawn

    conv = draw_conv(draw, shape, limits, noting, out_channels)
    return conv._replace(transposed=True, output_padding=tuple(extras))


def draw_pool(
    draw: DrawFn, shape: Shape, limits: Limits, axis: AxisDraw = _pool_axis, *, ceil: bool = True
) -> Pool:
    kind = draw(st.sampled_from(("max_pool", "avg_pool")))
    if kind == "avg_pool":
        limits = limits._replace(dilation=1)
        if len(shape) == 5:
            # torch.nn.AvgPool3d refuses a kernel wider than the input without its padding
            limits = limits._replace(kernel_size=min(limits.kernel_size, *shape[2:]))
    window = _window(draw, shape, limits, axis)
    ceil_mode = ceil and draw(st.booleans())
    return Pool(kind, window.kernel_size, window.stride, window.padding, window.dilation, ceil_mode)


def draw_pad(draw: DrawFn, shape: Shape, limits: Limits) -> Pad:
    mode = draw(st.sampled_from(("constant", "reflect", "replicate", "circular")))
    padding = []
    for size in shape[2:]:
        widest = {"reflect": size - 1, "circular": size}.get(mode, limits.padding)
        high = min(widest, limits.padding)
        padding.append((upto(draw, 0, high), upto(draw, 0, high)))
    return Pad(tuple(padding), mode)


def draw_resize(draw: DrawFn, shape: Shape, _: Limits) -> Resize:
    size = tuple(upto(draw, 1, 2 * n + 1) for n in shape[2:])
    mode = draw(st.sampled_from(("nearest", LINEAR[len(size) - 1])))
    return Resize(size, mode, align_corners=mode != "nearest" and draw(st.booleans()))


def draw_positionwise(draw: DrawFn, shape: Shape, _: Limits) -> Norm | Elementwise:
    kind = draw(st.sampled_from(("batch_norm", *ACTIVATIONS)))
    return Norm(shape[1]) if kind == "batch_norm" else Elementwise(kind)


OpDraw = Callable[[DrawFn, Shape, Limits], Layer]

SPATIAL_OPS: tuple[OpDraw, ...] = (
    draw_conv,
    draw_transposed,
    draw_pool,
    draw_pad,
    draw_resize,
    draw_positionwise,
)


# graphs


def _add(builder: GraphBuilder, op: Layer, *inputs: int) -> int:
    return builder.add(f"layer {len(builder.build().nodes)}", op, *inputs)


def _shapes(draw: DrawFn, axes: int, low: int, high: int) -> Shape:
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 4))
    return (batch, channels, *(draw(st.integers(low, high)) for _ in range(axes)))


@st.composite
def convolutions(draw: DrawFn) -> Graph:
    """A lone convolution, transposed or not, in one to three dimensions."""
    builder = GraphBuilder("random")
    index = builder.add_input(_shapes(draw, draw(st.integers(1, 3)), 3, 8))
    kind = draw(st.sampled_from((draw_conv, draw_transposed)))
    _add(builder, kind(draw, builder.shape(index), Limits()), index)
    return builder.build()


@st.composite
def stacks(draw: DrawFn) -> Graph:
    """One to four random layers, branches among them, and perhaps a classifier."""
    builder = GraphBuilder("random")
    index = builder.add_input(_shapes(draw, draw(st.integers(1, 3)), 2, 7))
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.integers(0, 3)):
            op = draw(st.sampled_from(SPATIAL_OPS))
            index = _add(builder, op(draw, builder.shape(index), Limits()), index)
        else:
            index = add_branches(draw, builder, index, Limits())
    _add_tail(draw, builder, index)
    return builder.build()


def _add_tail(draw: DrawFn, builder: GraphBuilder, index: int) -> None:
    tail = draw(st.sampled_from(("none", "pooled", "flattened")))
    if tail == "pooled":
        index = _add(builder, GlobalPool(), index)
    if tail != "none":
        index = _add(builder, Flatten(), index)
        features = builder.shape(index)[1]
        _add(builder, Linear(features, draw(st.integers(1, 4)), draw(st.booleans())), index)


class Fork(NamedTuple):
    """What all branches from one layer have in common; ``channels`` None leaves them free."""

    builder: GraphBuilder
    source: int
    limits: Limits
    stride: int
    channels: int | None


def add_branches(draw: DrawFn, builder: GraphBuilder, index: int, limits: Limits) -> int:
    """Two or three paths of one effective stride, joined by a sum or along the channels."""
    stride = draw(st.integers(1, limits.stride))
    path = draw(st.sampled_from((_up_path, _down_path)))
    summed = draw(st.booleans())
    fork = Fork(builder, index, limits, stride, draw(st.integers(1, 2)) if summed else None)
    ends = [path(draw, fork) for _ in range(draw(st.integers(2, 3)))]
    return _add(builder, Elementwise("add") if summed else Concat(), *ends)


def _down_path(draw: DrawFn, fork: Fork) -> int:
    builder, index, limits, stride, channels = fork
    same = same_axis(stride)
    shape = builder.shape(index)
    if draw(st.booleans()):
        return _add(builder, draw_conv(draw, shape, limits, same, channels), index)
    index = _add(builder, draw_pool(draw, shape, limits, same, ceil=False), index)
    return index if channels is None else _same_conv(draw, fork, index)


def _up_path(draw: DrawFn, fork: Fork) -> int:
    builder, index, limits, factor, channels = fork
    shape = builder.shape(index)
    if draw(st.booleans()):
        op = draw_transposed(draw, shape, limits, scaling_axis(factor), channels)
        return _add(builder, op, index)
    resize = Resize(tuple(factor * n for n in shape[2:]), "nearest")
    return _same_conv(draw, fork, _add(builder, resize, index))


def _same_conv(draw: DrawFn, fork: Fork, index: int) -> int:
    shape = fork.builder.shape(index)
    conv = draw_conv(draw, shape, fork.limits, same_axis(1), fork.channels)
    return _add(fork.builder, conv, index)


# graphs whose field can be probed: wide, and with steps that repeat soon


def draw_even_resize(draw: DrawFn, shape: Shape, _: Limits) -> Resize:
    """A resize of few phases; linear ones with no tap whose weight is exactly 0.

    Torch multiplies such a tap too, so that a NaN there shows where nothing is seen.
    """
    mode = draw(st.sampled_from(("nearest", LINEAR[len(shape) - 3])))
    ratios = [(2, 1), (4, 1)] if mode != "nearest" else [(2, 1), (3, 1)]
    size = []
    for n in shape[2:]:
        fits = [*ratios, *((p, q) for p, q in ((3, 2), (1, 2)) if n % q == 0)]
        up, down = draw(st.sampled_from(fits))
        size.append(n * up // down)
    return Resize(tuple(size), mode)


def draw_aligned_resize(draw: DrawFn, shape: Shape, _: Limits) -> Resize:
    """A linear resize that repeats after few outputs, some of which fall on an input.

    There torch multiplies the neighbour by 0, so a NaN shows one input more than is seen. Where
    this layer is the last one and every input sees something, other outputs do see that far.
    """
    aligned = draw(st.booleans())
    factor = draw(st.integers(2, 3))
    size = tuple(factor * (n - 1) + 1 if aligned else factor * n for n in shape[2:])
    return Resize(size, LINEAR[len(shape) - 3], aligned)


PROBED_OPS: tuple[OpDraw, ...] = (
    draw_conv,
    draw_transposed,
    draw_pool,
    draw_pad,
    draw_even_resize,
    draw_positionwise,
)


@st.composite
def paths(draw: DrawFn, shape: Shape, limits: Limits, most: int) -> Graph:
    """Up to ``most`` layers without branches."""
    builder = GraphBuilder("random")
    index = builder.add_input(shape)
    for _ in range(draw(st.integers(1, most))):
        op = draw(st.sampled_from(PROBED_OPS))
        index = _add(builder, op(draw, builder.shape(index), limits), index)
    return builder.build()


@st.composite
def interpolated(draw: DrawFn, shape: Shape, limits: Limits) -> Graph:
    """A layer and its output interpolated, with or without aligned corners."""
    builder = GraphBuilder("random")
    index = builder.add_input(shape)
    ops: tuple[OpDraw, ...] = (draw_conv, draw_pool, draw_pad)
    index = _add(builder, draw(st.sampled_from(ops))(draw, shape, limits), index)
    _add(builder, draw_aligned_resize(draw, builder.shape(index), limits), index)
    return builder.build()


@st.composite
def enlarged(draw: DrawFn, shape: Shape, limits: Limits) -> Graph:
    """A transposed convolution, whose outputs see unlike fields, and perhaps a layer after it."""
    builder = GraphBuilder("random")
    index = builder.add_input(shape)
    index = _add(builder, draw_transposed(draw, shape, limits), index)
    if draw(st.booleans()):
        ops: tuple[OpDraw, ...] = (draw_conv, draw_pool, draw_even_resize)
        op = draw(st.sampled_from(ops))
        _add(builder, op(draw, builder.shape(index), limits), index)
    return builder.build()


@st.composite
def pools(draw: DrawFn) -> Graph:
    """A lone pool in one to three dimensions."""
    builder = GraphBuilder("random")
    index = builder.add_input(_shapes(draw, draw(st.integers(1, 3)), 1, 9))
    _add(builder, draw_pool(draw, builder.shape(index), Limits()), index)
    return builder.build()


@st.composite
def branched(
    draw: DrawFn, shape: Shape, limits: Limits, ops: Sequence[OpDraw] = PROBED_OPS
) -> Graph:
    """Branches, and perhaps a single layer before or after them."""
    builder = GraphBuilder("random")
    index = builder.add_input(shape)
    extra = draw(st.sampled_from(("none", "before", "after")))
    if extra == "before":
        op = draw(st.sampled_from(ops))(draw, shape, limits)
        index = _add(builder, op, index)
    index = add_branches(draw, builder, index, limits)
    if extra == "after":
        op = draw(st.sampled_from(ops))(draw, builder.shape(index), limits)
        _add(builder, op, index)
    return builder.build()


# specs


def as_spec(graph: Graph) -> dict[str, object]:
    """The layer spec that says what ``graph`` is; its batch is the command's to say."""
    names = ["input", *(node.name for node in graph.nodes[1:])]
    return {
        "version": 1,
        "name": graph.name,
        "input": list(graph.nodes[0].shape[1:]),
        "layers": [_layer(node, names) for node in graph.nodes[1:]],
    }


def _layer(node: Node, names: Sequence[str]) -> dict[str, object]:
    inputs = [names[i] for i in node.inputs]
    return {"name": node.name, "inputs": inputs, node.op.kind: _settings(node.op)}


def _settings(op: Op) -> dict[str, object]:
    if isinstance(op, Conv):
        unsaid = {"in_channels", "transposed", *(() if op.transposed else ("output_padding",))}
        return {k: v for k, v in op._asdict().items() if k not in unsaid}
    if isinstance(op, Pool):
        unsaid = {"kind", *(("dilation",) if op.kind == "avg_pool" else ())}
        return {k: v for k, v in op._asdict().items() if k not in unsaid}
    if isinstance(op, Linear):
        return {"out_features": op.out_features, "bias": op.bias}
    if isinstance(op, Resize | Pad):
        return {k: v for k, v in op._asdict().items() if k not in ("kind", "factors")}
    return {}


# variants and reports


@st.composite
def variants(draw: DrawFn, axes: int | None = None) -> Variant:
    """Any variant; rates are per axis only where ``axes`` are two or three."""
    name = draw(st.sampled_from(tuple(VARIANTS)))
    options = option_defaults(name)
    size = st.integers(1, 4)
    if "rate" in options:
        per_axis = draw(st.integers(2, 3)) if axes is None else axes
        each = st.lists(size, min_size=per_axis, max_size=per_axis).map(tuple)
        options["rate"] = draw(size if per_axis == 1 else size | each)
    if "depth_multiplier" in options:
        options["depth_multiplier"] = draw(st.integers(1, 3))
        options["normalise"] = draw(st.booleans())
    return Variant(name, options)


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS: SearchStrategy[int | float | str] = st.integers() | FLOATS | st.text()


def _mapping(keys: SearchStrategy[str], entries: SearchStrategy[T]) -> SearchStrategy[dict[str, T]]:
    return st.dictionaries(keys, entries, max_size=3)


def _tuples(entries: SearchStrategy[T], low: int = 0) -> SearchStrategy[tuple[T, ...]]:
    return st.lists(entries, min_size=low, max_size=3).map(tuple)


def _sizes() -> SearchStrategy[tuple[int, ...]]:
    return _tuples(st.integers(1, 10**6), 1)


def values() -> SearchStrategy[Value]:
    return st.builds(
        Value,
        st.sampled_from(("exact", "measured", "lower_bound", "upper_bound", "unavailable")),
        st.none() | SCALARS | _tuples(SCALARS),
        low=st.none() | FLOATS,
        high=st.none() | FLOATS,
        confidence=st.none() | FLOATS,
        rounds=st.none() | st.integers(1, 10**6),
        minimum=st.none() | FLOATS,
        reason=st.none() | st.text(),
    )


def rows() -> SearchStrategy[Row]:
    return st.builds(
        Row,
        name=st.text(),
        variant=st.text(),
        op=st.text(),
        module=st.text(),
        output_shape=_sizes(),
        values=_mapping(st.sampled_from(tuple(METRICS)), values()),
        settings=_mapping(st.text(), st.text() | st.integers()),
        base=_mapping(st.sampled_from(tuple(METRICS)), values()),
    )


def reports() -> SearchStrategy[Report]:
    """Reports of any content, sense or not."""
    return st.builds(
        Report,
        kind=st.sampled_from(("compare", "profile")),
        source=st.text(),
        input=_tuples(_sizes()),
        environment=_mapping(st.text(), st.none() | st.booleans() | SCALARS),
        rows=_tuples(rows()),
        totals=_mapping(st.sampled_from(tuple(METRICS)), values()),
        base_totals=_mapping(st.sampled_from(tuple(METRICS)), values()),
        layers=_tuples(rows()),
        verification=_tuples(rows()),
        findings=_tuples(st.tuples(*[st.text()] * 4).map(lambda texts: Finding(*texts))),
        notices=_tuples(st.text()),
        interrupted=st.booleans(),
        limits=st.just(()),
        effective_field=st.none() | st.builds(EffectiveField, shares=_tuples(_tuples(FLOATS))),
        selection=st.none() | st.builds(Selection, st.integers(1, 10**6), filter=st.text()),
    )
