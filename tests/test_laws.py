from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from math import prod
from typing import NamedTuple

import oracle
import pytest
import strategies
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import Limits, draw_conv, draw_pool
from torch.utils.flop_counter import FlopCounterMode

import convcost
from convcost import units
from convcost.analyses import analyse
from convcost.analyses.receptive_field import positions
from convcost.analyses.receptive_field.positions import Positions
from convcost.errors import ShapeError
from convcost.graph import Graph, GraphBuilder
from convcost.measure.modules import build_module, has_string_padding
from convcost.measure.second_count import count_with_fvcore
from convcost.ops import Concat, Conv, Elementwise, Flatten, GlobalPool, Linear, Pool, Resize
from convcost.report import Report, Value
from convcost.sources.saved import report_adapter
from convcost.sources.spec import load_spec
from convcost.variants import Variant, parse_variant
from convcost.variants.dense_graph import dense_graph
from convcost.variants.rewrite import rewrite

pytestmark = pytest.mark.filterwarnings(
    "ignore:Using padding='same' with even kernel:UserWarning",
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """These tensors are small: threads that wait for each other take longer than their work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def law(examples: int) -> settings:
    """The same random examples in each run, so that a law that holds keeps holding."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def run(graph: Graph) -> torch.Tensor:
    with torch.inference_mode():
        output = build_module(graph)(torch.ones(graph.nodes[0].shape))
    assert isinstance(output, torch.Tensor)
    return output


def lone_conv(graph: Graph) -> Conv:
    conv = graph.nodes[1].op
    assert isinstance(conv, Conv)
    return conv


# what is computed is what runs


@given(strategies.stacks() | strategies.pools())
@law(300)
def test_the_computed_shape_is_the_executed_one(graph: Graph) -> None:
    assert tuple(run(graph).shape) == graph.nodes[-1].shape


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding"), list(product((2, 3, 5), (1, 2, 3), (0, 1)))
)
def test_a_pool_in_ceil_mode_takes_what_torch_takes(
    kernel_size: int, stride: int, padding: int
) -> None:
    pool = Pool("max_pool", (kernel_size,), (stride,), ((padding, padding),), (1,), ceil_mode=True)
    torchs = torch.nn.MaxPool1d(kernel_size, stride, padding, ceil_mode=True)
    for size in range(1, 9):
        try:
            executed = tuple(torchs(torch.zeros(1, 1, size)).shape)
        except RuntimeError:
            with pytest.raises(ShapeError):
                pool.output_shape((1, 1, size))
        else:
            assert pool.output_shape((1, 1, size)) == executed


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_denser_average_pool_gives_what_it_gave(axes: int) -> None:
    builder = GraphBuilder("pools")
    last = builder.add_input((2, 3, *(13, 16, 14)[:axes]))
    for name, padding in (("a", 0), ("b", 1), ("c", 0)):
        pool = Pool("avg_pool", (2,) * axes, (2,) * axes, ((padding, padding),) * axes, (1,) * axes)
        last = builder.add(name, pool, last)
    graph = builder.build()
    dense = dense_graph(graph, output_stride=1)
    assert {node.op.dilation for node in dense.nodes if isinstance(node.op, Pool)} == {
        (rate,) * axes for rate in (1, 2, 4)
    }
    sample = torch.randn(graph.nodes[0].shape)
    every, old = build_module(dense)(sample), build_module(graph)(sample)
    assert tuple(every.shape) == dense.nodes[-1].shape
    torch.testing.assert_close(every[(..., *[slice(None, None, 8)] * axes)], old)


@given(strategies.stacks())
@law(60)
def test_the_parameters_are_those_of_the_module(graph: Graph) -> None:
    module = build_module(graph)
    assert totals(graph)["parameters"] == sum(p.numel() for p in module.parameters())


@given(strategies.stacks())
@law(60)
def test_the_multiplications_are_half_of_torchs_flops(graph: Graph) -> None:
    with FlopCounterMode(display=False) as counter:
        run(graph)
    assert counter.get_total_flops() == 2 * total_multiplications(graph)


@given(strategies.stacks())
@law(50)
def test_the_multiplications_are_fvcores_where_it_counts_them(graph: Graph) -> None:
    rows = zip(graph.nodes, analyse(graph).rows, strict=True)
    counted = sum(
        whole(values["multiplications"]) for node, values in rows if not has_string_padding(node.op)
    )
    sample = torch.ones(graph.nodes[0].shape)
    assert count_with_fvcore(build_module(graph), sample) == counted


def total_multiplications(graph: Graph) -> int:
    return whole(analyse(graph).totals["multiplications"])


def whole(value: Value) -> int:
    assert isinstance(value.value, int)
    return value.value


# the receptive field is what a NaN reaches


NARROW = Limits(kernel_size=3, dilation=2, padding=2)


def assert_field_is_what_is_seen(graph: Graph, axis: int) -> None:
    """For random graphs: those whose middle outputs see nothing say nothing."""
    middle = oracle.seen_along(graph, axis)
    assume(any(middle.seen))
    assert_field_is(middle, graph, axis)


def assert_field_is(middle: oracle.Middle, graph: Graph, axis: int) -> None:
    widest, repeat = oracle.widest(middle.seen), oracle.step(middle.seen)
    values = totals(graph)
    assert entry(values["receptive_field"], axis) == oracle.span(widest[0])
    assert entry(values["effective_stride"], axis) == repeat.stride
    holes = {oracle.largest_hole(s) for s in widest}
    assert entry(values["receptive_field_largest_hole"], axis) in holes
    start = oracle.start(middle, repeat)
    found = values["receptive_field_start"]
    # along another axis output 0 may see nothing: then it has no start at all
    assert start is None or found is None or entry(found, axis) == start
    if len(graph.nodes[0].shape) == 3:
        density = len(widest[0]) / oracle.span(widest[0])
        assert values["receptive_field_density"] == density


def totals(graph: Graph) -> dict[str, object]:
    return {key: value.value for key, value in analyse(graph).totals.items()}


def entry(found: object, axis: int) -> object:
    assert isinstance(found, tuple)
    return found[axis]


@given(strategies.paths((1, 2, 400), Limits(kernel_size=3), most=3))
@law(60)
def test_the_field_of_a_path_in_one_dimension_is_what_is_seen(graph: Graph) -> None:
    assert_field_is_what_is_seen(graph, 0)


@given(strategies.enlarged((1, 1, 90), Limits(kernel_size=6)))
@law(150)
def test_the_field_of_a_transposed_convolution_is_what_is_seen(graph: Graph) -> None:
    assert_field_is_what_is_seen(graph, 0)


def test_the_widest_field_is_told_even_where_other_outputs_see_more_positions() -> None:
    builder = GraphBuilder("phases")
    source = builder.add_input((1, 1, 60))
    # even outputs see inputs 0 and -9, odd ones six neighbours
    sparse = Conv(1, 1, (3,), (2,), ((0, 11),), (9,), transposed=True, output_padding=(0,))
    dense = Conv(1, 1, (5,), (2,), ((1, 0),), (2,), transposed=True, output_padding=(0,))
    ends = [builder.add("sparse", sparse, source), builder.add("dense", dense, source)]
    builder.add("add", Elementwise("add"), *ends)
    graph = builder.build()
    assert_field_is(oracle.seen_along(graph, 0), graph, 0)
    assert totals(graph)["receptive_field"] == (10,)
    assert totals(graph)["receptive_field_density"] == 2 / 10


@given(strategies.interpolated((1, 2, 120), Limits(kernel_size=3)))
@law(25)
def test_the_field_of_an_interpolated_layer_is_what_is_seen(graph: Graph) -> None:
    assert_field_is_what_is_seen(graph, 0)


@given(strategies.branched((1, 2, 400), Limits(kernel_size=3)))
@law(60)
def test_the_field_of_branches_in_one_dimension_is_what_is_seen(graph: Graph) -> None:
    assert_field_is_what_is_seen(graph, 0)


@given(strategies.paths((1, 1, 120, 24), NARROW, most=2))
@law(25)
def test_the_field_of_a_path_along_the_first_of_two_axes_is_what_is_seen(graph: Graph) -> None:
    assert_field_is_what_is_seen(graph, 0)


@given(strategies.paths((1, 1, 24, 120), NARROW, most=2))
@law(25)
def test_the_field_of_a_path_along_the_last_of_two_axes_is_what_is_seen(graph: Graph) -> None:
    assert_field_is_what_is_seen(graph, 1)


@given(strategies.paths((1, 1, 12, 72, 12), NARROW, most=1))
@law(25)
def test_the_field_of_a_path_along_the_second_of_three_axes_is_what_is_seen(graph: Graph) -> None:
    assert_field_is_what_is_seen(graph, 1)


@given(strategies.branched((1, 1, 32, 32), Limits(3, 2, 1, 1), (draw_conv, draw_pool)))
@law(25)
def test_the_field_of_branches_in_two_dimensions_is_what_is_seen(graph: Graph) -> None:
    seen = oracle.seen_by_position(graph, most=8)
    widest = [oracle.widest([oracle.along(s, axis) for s in seen]) for axis in (0, 1)]
    values = totals(graph)
    spans = tuple(oracle.span(w[0]) for w in widest)
    assert values["receptive_field"] == spans
    full = [s for s in seen if all(oracle.along(s, axis) in widest[axis] for axis in (0, 1))]
    assert values["receptive_field_density"] in {len(s) / prod(spans) for s in full}


def test_a_union_of_boxes_that_is_no_box_has_its_own_density() -> None:
    builder = GraphBuilder("cross")
    source = builder.add_input((1, 1, 9, 9))
    ends = [builder.add(f"{k}", plain_conv(k), source) for k in ((1, 3), (3, 1))]
    builder.add("add", Elementwise("add"), *ends)
    graph = builder.build()
    assert totals(graph)["receptive_field_density"] == 5 / 9
    assert {len(s) for s in oracle.seen_by_position(graph, most=3)} == {5}


def plain_conv(kernel_size: tuple[int, ...]) -> Conv:
    axes = len(kernel_size)
    padding = tuple((k // 2, k // 2) for k in kernel_size)
    return Conv(1, 1, kernel_size, (1,) * axes, padding, (1,) * axes)


@pytest.mark.parametrize("joint", [Elementwise("add"), Concat()])
def test_a_branch_that_pools_everything_makes_the_field_global(joint: Elementwise | Concat) -> None:
    builder = GraphBuilder("squeeze and excite")
    source = builder.add_input((1, 1, 6, 7))
    pooled = builder.add("pool", GlobalPool(), source)
    spread = builder.add("spread", Resize((6, 7), "nearest"), pooled)
    builder.add("join", joint, source, spread)
    graph = builder.build()
    assert totals(graph)["receptive_field"] == "global"
    assert oracle.sees_everything(graph)


def test_the_field_of_a_classifier_is_that_of_its_last_feature_map() -> None:
    builder = GraphBuilder("classifier")
    index = builder.add("conv", plain_conv((3, 5)), builder.add_input((1, 1, 9, 9)))
    features = totals(builder.build())
    index = builder.add("pool", GlobalPool(), index)
    index = builder.add("flatten", Flatten(), index)
    builder.add("linear", Linear(1, 10), index)
    graph = builder.build()
    assert totals(graph)["receptive_field"] == features["receptive_field"] == (3, 5)
    assert analyse(graph).rows[-1]["receptive_field"].value == "global"


# a variant keeps the output


@given(strategies.convolutions(), st.data())
@law(60)
def test_a_variant_keeps_the_shape_of_the_output(graph: Graph, data: st.DataObject) -> None:
    conv = lone_conv(graph)
    variant = data.draw(strategies.variants(len(conv.kernel_size)))
    rewritten = rewrite(graph, variant, {graph.nodes[1].name})
    assert rewritten.nodes[-1].shape == graph.nodes[1].shape
    assert tuple(run(rewritten).shape) == graph.nodes[1].shape


@given(strategies.convolutions(), st.integers(1, 3), st.integers(1, 3))
@law(60)
def test_a_separable_convolution_multiplies_as_often_as_its_two_parts(
    graph: Graph, multiplier: int, rate: int
) -> None:
    conv = lone_conv(graph)
    before, after = graph.nodes[0].shape, graph.nodes[1].shape
    filtered = before if conv.transposed else after
    middle = conv.in_channels * multiplier
    depthwise = filtered[0] * prod(filtered[2:]) * prod(conv.kernel_size) * middle
    pointwise = after[0] * prod(after[2:]) * (middle // conv.groups) * conv.out_channels
    options = {"depth_multiplier": multiplier}
    for variant in (
        Variant("separable", options),
        Variant("atrous_separable", {**options, "rate": rate}),
    ):
        rewritten = rewrite(graph, variant, {graph.nodes[1].name})
        assert total_multiplications(rewritten) == depthwise + pointwise


@given(strategies.convolutions(), st.integers(1, 4))
@law(25)
def test_an_atrous_convolution_has_the_weights_and_multiplications_of_the_standard_one(
    graph: Graph, rate: int
) -> None:
    atrous = rewrite(graph, Variant("atrous", {"rate": rate}), {graph.nodes[1].name})
    for metric in ("parameters", "multiplications"):
        assert totals(atrous)[metric] == totals(graph)[metric]


@given(strategies.variants())
@law(100)
def test_a_variant_is_what_its_text_says(variant: Variant) -> None:
    assert parse_variant(str(variant)) == variant
    assert parse_variant({variant.name: dict(variant.options)}) == variant


# what is written is what is read


@given(strategies.stacks())
@law(40)
def test_a_graph_written_as_a_spec_is_the_same_graph(
    tmp_path_factory: pytest.TempPathFactory, graph: Graph
) -> None:
    path = tmp_path_factory.getbasetemp() / "layers.yaml"
    path.write_text(json.dumps(strategies.as_spec(graph)))
    assert load_spec(str(path), graph.nodes[0].shape[0], 4, parse_variant).graph == graph


@given(strategies.stacks())
@law(40)
def test_a_comparison_survives_its_json(
    tmp_path_factory: pytest.TempPathFactory, graph: Graph
) -> None:
    path = tmp_path_factory.getbasetemp() / "layers.yaml"
    path.write_text(json.dumps(strategies.as_spec(graph)))
    batch = graph.nodes[0].shape[0]
    report = convcost.compare(str(path), batch=batch, per_layer=True, measure=False)
    assert saved_and_loaded(report, tmp_path_factory) == report


@given(strategies.reports())
@law(100)
def test_a_report_survives_its_json(report: Report) -> None:
    # not through load, which also refuses what no command says
    text = report.to_json()
    read = report_adapter().validate_json(text, strict=True)
    assert read == report
    assert read.to_json() == text


def saved_and_loaded(report: Report, folders: pytest.TempPathFactory) -> Report:
    path = folders.getbasetemp() / "report.json"
    path.write_text(report.to_json(), encoding="utf-8")
    loaded = convcost.load(str(path))
    # 1 == 1.0 == True in Python: the text tells them apart
    assert loaded.to_json() == report.to_json()
    return loaded


# sets of positions


SETS = st.frozensets(st.integers(-20, 20), max_size=10)


def as_positions(numbers: frozenset[int]) -> Positions:
    if not numbers:
        return positions.EMPTY
    start, span = min(numbers), max(numbers) - min(numbers) + 1
    mask = sum(1 << number - start for number in numbers)
    return Positions(start, span, None if len(numbers) == span else mask)


@given(SETS)
@law(50)
def test_a_set_has_as_many_positions_and_as_large_a_hole_as_its_numbers(
    numbers: frozenset[int],
) -> None:
    assert positions.count(as_positions(numbers)) == len(numbers)
    assert positions.largest_hole(as_positions(numbers)) == oracle.largest_hole(numbers)


@given(SETS, st.integers(-30, 30))
@law(50)
def test_a_set_is_shifted_number_by_number(numbers: frozenset[int], offset: int) -> None:
    assume(numbers)
    shifted = positions.shift(as_positions(numbers), offset)
    assert shifted == as_positions(frozenset(n + offset for n in numbers))


@given(SETS, st.integers(1, 9), st.integers(1, 9))
@law(100)
def test_a_spread_is_a_minkowski_sum(numbers: frozenset[int], step: int, times: int) -> None:
    summed = frozenset(n + step * time for n in numbers for time in range(times))
    assert positions.spread(as_positions(numbers), step, times) == as_positions(summed)


@given(st.lists(SETS, max_size=4))
@law(100)
def test_a_union_is_that_of_the_numbers(sets: list[frozenset[int]]) -> None:
    united = frozenset(number for numbers in sets for number in numbers)
    assert positions.union(map(as_positions, sets)) == as_positions(united)


@given(SETS, SETS)
@law(100)
def test_a_set_contains_its_subsets_and_no_other(
    outer: frozenset[int], inner: frozenset[int]
) -> None:
    for candidate in (inner, inner & outer):
        found = positions.contains(as_positions(outer), as_positions(candidate))
        assert found == (candidate <= outer)


@given(st.integers(1, 3).flatmap(lambda axes: st.lists(st.tuples(*(SETS,) * axes), min_size=1)))
@law(60)
def test_a_union_of_products_has_as_many_positions_as_their_tuples(
    products: list[tuple[frozenset[int], ...]],
) -> None:
    united = {position for sets in products for position in product(*sets)}
    counted = positions.count_products([tuple(map(as_positions, sets)) for sets in products])
    assert counted == len(united)


# units


COUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
BYTES = {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40}
TIMES = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
UNITS = COUNTS | BYTES | TIMES | {"×": 1.0, "%": 0.01}


class Printed(NamedTuple):
    number: float
    unit: str

    @property
    def value(self) -> float:
        return self.number * UNITS[self.unit]


def read(text: str) -> Printed:
    """What a text says; a text with an exponent, or without its unit, says nothing."""
    match = re.fullmatch(r"(\d+(?:,\d{3})*(?:\.\d+)?) ?(\D*)", text)
    assert match, text
    return Printed(float(match[1].replace(",", "")), match[2])


def three_digits(value: float) -> object:
    # half a unit of the third digit, and the rounding of this sum
    return pytest.approx(value, rel=0.005 + 1e-9, abs=0)


@given(st.integers(0, 9_999))
@law(30)
def test_a_small_count_is_printed_whole(count: int) -> None:
    assert read(units.format_count(count)) == (count, "")


@given(st.integers(10_000, 10**16) | st.floats(1e-3, 1e16))
@law(150)
def test_a_count_is_printed_to_three_digits_in_its_own_unit(count: float) -> None:
    printed = read(units.format_count(count))
    assert printed.value == three_digits(count)
    assert printed.number < 1000 or printed.unit == "T" or count == int(count) < 10_000


@pytest.mark.parametrize("unit", [1e3, 1e6, 1e9, 1e12])
@given(st.floats(0.99, 1.01))
@law(40)
def test_a_count_never_rounds_up_to_a_thousand_of_its_unit(unit: float, share: float) -> None:
    printed = read(units.format_count(10 * unit * share))
    assert printed.value == three_digits(10 * unit * share)
    printed = read(units.format_count(unit * share))
    assert printed.number < 1000 or unit == 1e3


@given(st.integers(0, 2**54))
@law(100)
def test_a_size_is_printed_to_three_digits_in_its_own_unit(size: int) -> None:
    printed = read(units.format_bytes(size))
    assert printed.value == three_digits(size)
    assert printed.number < 1024 or printed.unit == "TiB"


@given(st.floats(1e-12, 1e5))
@law(150)
def test_a_duration_is_printed_to_three_digits_in_its_own_unit(seconds: float) -> None:
    printed = read(units.format_seconds(seconds))
    assert printed.value == three_digits(seconds)
    assert printed.number < 1000 or printed.unit == "s"


@given(st.floats(1e-9, 1e3), st.floats(0.1, 1), st.floats(1, 10))
@law(60)
def test_a_range_is_printed_in_the_unit_of_its_middle(
    middle: float, below: float, above: float
) -> None:
    unit = read(units.format_seconds(middle)).unit
    low, high = units.format_seconds_range(middle * below, middle * above, middle).split("–")
    assert read(f"{low} {unit}").value == three_digits(middle * below)
    assert read(f"{high} {unit}").value == three_digits(middle * above)


@given(st.floats(1e-6, 1e9))
@law(60)
def test_a_factor_is_printed_to_three_digits(factor: float) -> None:
    assert read(units.format_factor(factor)).value == three_digits(factor)


@given(st.floats(1e-6, 1e3))
@law(60)
def test_a_percentage_is_printed_to_two_digits(share: float) -> None:
    assert read(units.format_percent(share)).value == pytest.approx(share, rel=0.05 + 1e-9, abs=0)
