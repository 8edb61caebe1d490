"""Searches against brute force, known stacks, and the command as a process."""

from __future__ import annotations

import json
import shlex
from itertools import combinations_with_replacement, product
from pathlib import Path

import pytest
from cli import convcost, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from convcost.analyses import analyse
from convcost.analyses.receptive_field import find_network_field
from convcost.errors import ConvcostError
from convcost.graph import Graph, GraphBuilder
from convcost.ops import Conv, Elementwise, Norm, Pool
from convcost.render import designs, render
from convcost.report import Row, Value, number
from convcost.search.candidates import Base, Counts, Fields, candidates, network_field
from convcost.search.front import is_dominated, pareto_front, spread
from convcost.search.rates import fewest_rates
from convcost.search.stacks import find_stack, restack, stack_rates
from convcost.search.stages import find_stages
from convcost.search.suggest import Bounds, Found, search
from convcost.sources.forward import run_forward
from convcost.sources.model import from_module
from convcost.sources.saved import load_report
from convcost.sources.spec import load_spec
from convcost.sources.spec_text import spec_text
from convcost.sources.yaml_file import parse_value
from convcost.sources.yaml_text import flow_text
from convcost.variants import VARIANTS, parse_variant
from convcost.variants.mixed import parse_mixed, rewrite_mixed
from convcost.variants.rewrite import Choice, eligible, rewrite
from convcost.workflows.alternatives import rewritten_graph
from convcost.workflows.designs import model_source, spec_source
from convcost.workflows.suggested import in_time, spec_design

CONFIGS = Path(__file__).parents[1] / "configs"


def spec(name: str) -> Graph:
    return load_spec(str(CONFIGS / f"{name}.yaml"), 1, 4, parse_variant).graph


def stack(taps: int, rates: tuple[int, ...], *, causal: bool = False) -> Graph:
    builder = GraphBuilder("stack")
    last = builder.add_input((1, 8, 64))
    for place, rate in enumerate(rates):
        total = rate * (taps - 1)
        padding = (total, 0) if causal else (total // 2, total - total // 2)
        conv = Conv(8, 8, (taps,), (1,), (padding,), (rate,))
        last = builder.add(f"c{place}", conv, last)
    return builder.build()


def density(graph: Graph) -> float:
    return network_field(graph).density


def seen(taps: int, rates: tuple[int, ...], start: int) -> set[int]:
    found = set(range(start))
    for rate in rates:
        found = {position + tap * rate for position in found for tap in range(taps)}
    return found


@pytest.mark.parametrize(
    ("rates", "expected"), [((2, 2, 2), 7 / 13), ((1, 2, 5), 1.0), ((1, 2, 4, 8), 1.0)]
)
def test_known_stacks_leave_holes_or_none(rates: tuple[int, ...], expected: float) -> None:
    # Wang et al., 'Understanding Convolution for Semantic Segmentation', WACV 2018, 3.2
    assert density(stack(3, rates)) == pytest.approx(expected)


def test_a_wavenet_doubles() -> None:
    assert fewest_rates(2, 1024) == tuple(2**i for i in range(10))
    assert stack_rates(spec("wavenet"), find_stack(spec("wavenet")) or pytest.fail("none")) == [
        2**i for i in range(10)
    ]


@settings(deadline=None)
@given(st.integers(2, 4), st.integers(1, 40), st.integers(1, 4))
def test_no_fewer_rates_see_as_much_without_holes(taps: int, span: int, start: int) -> None:
    rates = fewest_rates(taps, span, start)
    field = seen(taps, rates, start)
    assert field == set(range(len(field)))
    assert len(field) >= span
    assert list(rates) == sorted(rates)
    if not 1 <= len(rates) <= 4:
        return
    for fewer in combinations_with_replacement(range(1, span + 1), len(rates) - 1):
        smaller = seen(taps, fewer, start)
        assert len(smaller) < span or smaller != set(range(len(smaller)))


@settings(deadline=None)
@given(st.integers(2, 3), st.integers(2, 40))
def test_the_largest_of_fewest_rates_is_the_smallest_that_sees_as_much(
    taps: int, span: int
) -> None:
    rates = fewest_rates(taps, span)
    if not 2 <= len(rates) <= 4:
        return
    size = len(seen(taps, rates, 1))
    smaller = range(1, max(rates))
    for others in combinations_with_replacement(smaller, len(rates)):
        assert seen(taps, others, 1) != set(range(size))


@pytest.mark.parametrize("causal", [False, True])
def test_a_stack_gets_other_rates_and_keeps_its_shape_and_sides(*, causal: bool) -> None:
    graph = stack(3, (1, 1, 1), causal=causal)
    found = find_stack(graph)
    assert found is not None
    made = restack(graph, found, (1, 3, 9, 14))
    expected = stack(3, (1, 3, 9, 14), causal=causal)
    assert [node.op for node in made.nodes] == [node.op for node in expected.nodes]
    assert made.nodes[-1].shape == graph.nodes[-1].shape
    assert len({node.name for node in made.nodes}) == len(made.nodes)


def test_a_wavenets_blocks_are_found_with_their_skips() -> None:
    graph = spec("wavenet")
    found = find_stack(graph)
    assert found is not None
    assert (found.period, found.blocks) == (4, 10)
    fewer = restack(graph, found, (1, 2, 4))
    assert network_field(fewer).span == 8
    assert fewer.nodes[-1].shape == graph.nodes[-1].shape


def small(width: int = 32) -> Graph:
    """Three stages, of which two have two layers each."""
    builder = GraphBuilder("small")
    last = builder.add_input((1, 8, width, width))
    for stage, channels in enumerate((8, 12, 16)):
        for layer in range(1 + stage % 2):
            inputs = builder.shape(last)[1]
            conv = Conv(inputs, channels, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
            last = builder.add(f"s{stage}.{layer}", conv, last)
            last = builder.add(f"n{stage}.{layer}", Norm(channels), last)
            last = builder.add(f"r{stage}.{layer}", Elementwise("relu"), last)
        pool = Pool("max_pool", (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
        last = builder.add(f"p{stage}", pool, last)
    return builder.build()


def base(graph: Graph, rates: tuple[int, ...] = (1, 2)) -> Base:
    costs = analyse(graph)
    return Base("", graph, tuple(find_stages(graph, costs, eligible(graph, (), ()))), rates)


def brute_force(graph: Graph, bounds: Bounds) -> tuple[set[str], dict[str, tuple[float, ...]]]:
    """The front's texts by analysing every combination whole, and the costs of all that keep."""
    space = base(graph)
    texts = ("standard", "separable", "atrous:rate=2", "atrous_separable:rate=2")
    kept: dict[str, tuple[float, ...]] = {}
    for chosen in product(texts, repeat=len(space.stages)):
        made = graph
        for stage, text in zip(space.stages, chosen, strict=True):
            made = rewrite(made, parse_variant(text), stage.names)
        totals = analyse(made).totals
        field = network_field(made)
        multiplications = number(totals["multiplications"])
        limits = (
            bounds.max_multiplications is None or multiplications <= bounds.max_multiplications,
            bounds.max_parameters is None or number(totals["parameters"]) <= bounds.max_parameters,
            bounds.min_receptive_field is None or field.span >= bounds.min_receptive_field,
            bounds.min_density is None or field.density >= bounds.min_density,
        )
        if all(limits):
            moved = number(totals["bytes_moved"])
            rates = sum(2 if text.endswith("rate=2") else 1 for text in chosen)
            kept["/".join(chosen)] = (multiplications, moved, rates, -field.span, field.stride)
    front = {
        text
        for text, mine in kept.items()
        if not any(other != mine and is_dominated(mine, other) for other in kept.values())
    }
    return front, kept


def text_of(found: Found) -> dict[str, tuple[float, ...]]:
    fields = Fields()
    result: dict[str, tuple[float, ...]] = {}
    for candidate in found.front:
        field = fields.of(candidate)
        counts = candidate.counts
        rates = sum(candidate.rates)
        costs = (counts.multiplications, counts.bytes_moved, rates, -field.span, field.stride)
        result["/".join(map(str, candidate.variants))] = costs
    return result


@settings(max_examples=8, deadline=None)
@given(
    st.none() | st.integers(10, 80),
    st.none() | st.sampled_from([0.5, 1.0]),
    st.none() | st.integers(200_000, 3_000_000),
    st.none() | st.integers(1_500, 9_000),
)
def test_the_front_is_that_of_brute_force(
    field: int | None, dense: float | None, multiplications: int | None, parameters: int | None
) -> None:
    bounds = Bounds(field, dense, multiplications, parameters)
    found = search([base(small())], bounds)
    front, kept = brute_force(small(), bounds)
    ours = text_of(found)
    assert found.tried == 4**3
    assert found.dominated == len(kept) - len(ours)
    # of designs that cost the same the search keeps one
    assert set(ours) <= front
    assert set(ours.values()) == {kept[text] for text in front}
    assert (found.nearest is None) == bool(kept)


def test_what_was_pruned_could_not_have_won() -> None:
    bounds = Bounds(min_receptive_field=30, max_multiplications=1_500_000)
    found = text_of(search([base(small())], bounds))
    _, kept = brute_force(small(), bounds)
    for text, costs in kept.items():
        assert text in found or any(is_dominated(costs, other) for other in found.values())


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30))
def test_a_front_holds_what_nothing_beats(points: list[tuple[int, ...]]) -> None:
    front = pareto_front(points, lambda point: point)
    assert len(set(front)) == len(front)
    for point in points:
        assert any(is_dominated(point, kept) for kept in front)
    for one, other in product(front, repeat=2):
        assert one == other or not is_dominated(one, other)


def test_a_spread_has_both_ends() -> None:
    assert spread(range(10), 4) == [0, 3, 6, 9]
    assert spread(range(3), 4) == [0, 1, 2]


def test_a_candidates_counts_are_those_of_its_graph() -> None:
    graph = spec("vgg16")
    for candidate in list(candidates(base(graph, (1, 2))))[::97]:
        totals = analyse(spec_design(candidate)).totals
        assert candidate.counts == Counts(*(int(number(totals[key])) for key in Counts._fields))
        assert Fields().of(candidate) == network_field(spec_design(candidate))


class SharedHead(nn.Module):
    """One head for the maps of two strides, as detectors have."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.down = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        convs = (nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1))
        self.head = nn.Sequential(*convs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.stem(x)
        return self.head(first), self.head(self.down(first))


def test_a_candidates_counts_are_those_of_its_model_where_a_layer_runs_twice() -> None:
    loaded = from_module(SharedHead(), (1, 3, 32, 32))
    graph, _ = run_forward(loaded, "SharedHead")
    source = model_source(loaded, graph, Choice(), ())
    assert source.rewritable == {"down", "head.0", "head.1"}
    stages = tuple(find_stages(source.graph, source.costs, source.rewritable))
    assert {name for stage in stages for name in stage.names} == source.rewritable
    for candidate in candidates(Base("", source.graph, stages, (1,))):
        _, made = rewritten_graph(loaded, graph, candidate.mixed, Choice(), share=True)
        totals = analyse(made).totals
        assert candidate.counts == Counts(*(int(number(totals[key])) for key in Counts._fields))


def test_stages_are_told_apart_by_their_globs() -> None:
    graph = spec("vgg16")
    source = spec_source(graph, (), ())
    stages = find_stages(graph, source.costs, source.rewritable)
    assert [stage.globs for stage in stages] == [
        ("conv1_2",),
        ("conv2_*",),
        ("conv3_*",),
        ("conv4_*",),
        ("conv5_*",),
    ]


def test_a_mix_is_its_steps_one_after_the_other() -> None:
    graph = spec("gridding")
    mixed = parse_mixed("separable@first|second+atrous:rate=3@third")
    made = rewrite_mixed(graph, mixed)
    step = rewrite(graph, parse_variant("separable"), ["first", "second"])
    assert made == rewrite(step, parse_variant("atrous:rate=3"), ["third"])
    assert str(mixed) == "separable@first|second+atrous:rate=3@third"


@pytest.mark.parametrize(
    ("text", "only", "keep", "rewritten"),
    [
        ("separable@first|second", (), ("second",), {"first"}),
        ("separable@first|second", ("second", "third"), (), {"second"}),
        # what one step has rewritten is still there by its name for the next
        ("separable@first+atrous@third", ("first", "third"), (), {"first", "third"}),
        ("separable@first+atrous", ("first",), ("third",), {"first"}),
    ],
)
def test_only_and_keep_hold_for_each_step_of_a_mix(
    text: str, only: tuple[str, ...], keep: tuple[str, ...], rewritten: set[str]
) -> None:
    graph = spec("gridding")
    made = rewrite_mixed(graph, parse_mixed(text), only, keep)
    after = {node.name: node.op for node in made.nodes}
    assert {n.name for n in graph.nodes if after.get(n.name) != n.op} == rewritten


def test_a_glob_of_keep_must_match_beside_a_steps_names() -> None:
    with pytest.raises(ConvcostError, match="no convolution matches 'fourth'"):
        rewrite_mixed(spec("gridding"), parse_mixed("separable@first"), keep=("fourth",))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("separable@", "expected names of layers after @"),
        ("nothing@a+separable", "unknown variant 'nothing'"),
        ("dense:output_stride=8+separable", "it comes last"),
    ],
)
def test_a_mix_that_makes_no_sense_says_why(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_mixed(text, [*VARIANTS, "dense"])


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
@pytest.mark.parametrize("variant", ["standard", "separable", "atrous:rate=2"])
def test_a_graphs_text_is_read_as_the_same_graph(name: str, variant: str, tmp_path: Path) -> None:
    graph = rewrite_mixed(spec(name), parse_variant(variant))
    file = tmp_path / "again.yaml"
    file.write_text(spec_text(graph) or "", encoding="utf-8")
    assert load_spec(str(file), 1, 4, parse_variant).graph == graph


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from(["08", "1e3", "0o17", "0x1F", "-.INF", "null", "off", "12:30", "2020-01-01"])
    | st.sampled_from(["\x85", "a\u2028b", "a\nb", "\t", "\ufeff", "\x7f"])
)


@settings(deadline=None)
@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner)))
def test_text_of_data_is_read_as_the_same_data(value: object) -> None:
    assert repr(parse_value("here", flow_text(value))) == repr(value)


@pytest.mark.parametrize("name", ["08", "1e3", "null"])
def test_a_suggested_spec_of_any_name_is_read_again(name: str, tmp_path: Path) -> None:
    text = "version: 1\ninput: [8, 9, 9]\nlayers: [{conv: {out_channels: 8, kernel_size: 3}}]\n"
    (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    options = ("--max-parameters", "300", "--no-measure", "-o", "best.yaml")
    ran = convcost("suggest", f"{name}.yaml", *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    again = convcost("compare", "best.yaml", "--no-measure", "-f", "json", folder=tmp_path)
    assert again.code == 0, again.err
    assert json.loads(again.out)["rows"][0]["name"] == name


def test_a_spec_is_made_dense_with_its_field_and_a_larger_map() -> None:
    graph = spec("mobilenet_v1")
    made = rewrite_mixed(graph, parse_variant("dense:output_stride=8", ["dense"]))
    before, after = network_field(graph), network_field(made)
    assert (before.span, before.stride) == (after.span, 32)
    assert after.stride == 8


AVERAGES = """version: 1
name: averages
input: [8, 64, 64]
layers:
  - {conv: {out_channels: 16, kernel_size: 3, padding: 1, stride: 2}}
  - {conv: {out_channels: 32, kernel_size: 3, padding: 1, stride: 2}}
  - {conv: {out_channels: 32, kernel_size: 3, padding: 1, stride: 2}}
  - {avg_pool: {kernel_size: 2, stride: 2}}
  - {conv: {out_channels: 32, kernel_size: 3, padding: 1}}
  - {name: last, avg_pool: {kernel_size: 2, stride: 2}}
  - {conv: {out_channels: 32, kernel_size: 3, padding: 1}}
"""


def test_a_dense_design_with_dilated_average_pools_runs_but_is_no_spec(tmp_path: Path) -> None:
    (tmp_path / "averages.yaml").write_text(AVERAGES, encoding="utf-8")
    options = ("--max-multiplications", "100M", "--no-measure", "-f", "json")
    ran = convcost("suggest", "averages.yaml", *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    designs = {row["variant"]: row["values"] for row in json.loads(ran.out)["rows"]}
    assert "spec" in designs["separable"]
    assert "spec" not in designs["separable+dense:output_stride=8"]
    variant = ("--variant", "dense:output_stride=8", "--seconds", "0.2", "-f", "json")
    ran = convcost("compare", "averages.yaml", *variant, folder=tmp_path)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["findings"] == []
    values = found["rows"][1]["values"]
    again = values["fvcore_multiplications"]
    assert again["reason"] == "fvcore counts average pools that run as convolutions"
    # the last pool alone is dilated: 4 taps of each of its 32×8×8 outputs
    assert again["value"] - values["multiplications"]["value"] == 4 * 32 * 8 * 8


def test_suggest_finds_rates_without_holes(tmp_path: Path) -> None:
    spec_file = str(CONFIGS / "gridding.yaml")
    options = ("--min-receptive-field", "27", "--no-measure", "-o", "best.yaml")
    ran = convcost("suggest", spec_file, *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    assert "rates=1,3,9+separable: on paper 5.76× fewer multiplications" in ran.out
    assert "8 designs counted in" in ran.err
    again = convcost("compare", "best.yaml", "--no-measure", "--format", "json", folder=tmp_path)
    values = json.loads(again.out)["rows"][0]["values"]
    assert values["receptive_field"]["value"] == [27, 27]
    assert values["receptive_field_density"]["value"] == 1.0


def test_suggest_measures_the_few_that_are_left(tmp_path: Path) -> None:
    spec_file = str(CONFIGS / "primer.yaml")
    options = ("--max-parameters", "2000", "--seconds", "0.5", "--format", "json")
    ran = convcost("suggest", spec_file, *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert [row["variant"] for row in report["rows"]] == ["standard", "separable"]
    values = report["rows"][1]["values"]
    assert values["latency"]["rounds"] > 0
    command = values["command"]["value"].split()
    assert command == ["convcost", "compare", spec_file, "--variant", "separable"]
    assert report["totals"]["candidates"]["value"] == 2


def test_the_commands_that_suggest_prints_make_the_designs(tmp_path: Path) -> None:
    spec_file = str(CONFIGS / "vgg16.yaml")
    options = ("--max-multiplications", "4G", "--no-measure", "--format", "json")
    ran = convcost("suggest", spec_file, *options, folder=tmp_path)
    for row in json.loads(ran.out)["rows"][1:]:
        _, *words = row["values"]["command"]["value"].replace("'", "").split()
        made = convcost(*words, "--no-measure", "--format", "json", folder=tmp_path)
        found = json.loads(made.out)["rows"][1]["values"]
        for key in ("multiplications", "parameters", "receptive_field"):
            assert found[key] == row["values"][key]


def test_suggest_works_on_models(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "from torch import nn\n"
        "model = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.MaxPool2d(2),\n"
        "                      nn.Conv2d(16, 32, 3, padding=1), nn.ReLU())\n"
        "example_inputs = (1, 8, 16, 16)\n",
        encoding="utf-8",
    )
    options = ("--max-multiplications", "400k", "--no-measure", "--format", "json")
    ran = convcost("suggest", "model.py", *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    texts = [row["variant"] for row in json.loads(ran.out)["rows"]]
    assert texts == ["standard", "separable", "separable@2"]
    made = convcost("rewrite", "model.py", "--variant", "separable@2", folder=tmp_path)
    assert made.code == 0, made.err
    assert "1 of 2" in made.out


TWO = """version: 1
input: [16, 32, 32]
layers:
  - {name: conv1a, conv: {out_channels: 32, kernel_size: 3, padding: 1}}
  - {name: conv1b, conv: {out_channels: 32, kernel_size: 3, padding: 1}}
  - {name: conv1c, conv: {out_channels: 32, kernel_size: 3, padding: 1}}
  - {max_pool: {kernel_size: 2}}
  - {name: conv2a, conv: {out_channels: 64, kernel_size: 3, padding: 1}}
  - {name: conv2b, conv: {out_channels: 64, kernel_size: 3, padding: 1}}
"""


def test_what_is_kept_stays_in_the_designs_of_a_spec(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(TWO, encoding="utf-8")
    options = ("--max-multiplications", "14M", "--keep", "conv1b", "--no-measure", "-f", "json")
    ran = convcost("suggest", "two.yaml", *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    _, values = (row["values"] for row in json.loads(ran.out)["rows"])
    assert values["rewritten"]["value"] == 4
    kept = 9 * 32 * 32 * 32**2
    first = (9 * 16 + 16 * 32 + 9 * 32 + 32 * 32) * 32**2
    second = (9 * 32 + 32 * 64 + 9 * 64 + 64 * 64) * 16**2
    assert values["multiplications"]["value"] == first + kept + second
    assert "{name: conv1b, conv:" in values["spec"]["value"]


MODEL = """from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1a = nn.Conv2d(16, 32, 3, padding=1)
        self.conv1b = nn.Conv2d(32, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.conv2a = nn.Conv2d(32, 64, 3, padding=1)
        self.conv2b = nn.Conv2d(64, 64, 3, padding=1)
        self.conv2c = nn.Conv2d(64, 64, 3, padding=1)
    def forward(self, x):
        x = self.pool(self.conv1b(self.conv1a(x)))
        return self.conv2c(self.conv2b(self.conv2a(x)))
model = Net()
example_inputs = (1, 16, 32, 32)
"""


def test_a_stage_of_a_design_leaves_what_is_kept(tmp_path: Path) -> None:
    (tmp_path / "three.py").write_text(MODEL, encoding="utf-8")
    options = ("--max-multiplications", "40M", "--keep", "conv2b", "--no-measure", "-f", "json")
    ran = convcost("suggest", "three.py", *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    rows = {row["variant"]: row["values"] for row in json.loads(ran.out)["rows"]}
    values = rows["separable@conv2*"]
    assert values["rewritten"]["value"] == 2
    first, kept = (9 * 16 * 32 + 9 * 32 * 32) * 32**2, 9 * 64 * 64 * 16**2
    second = (9 * 32 + 32 * 64 + 9 * 64 + 64 * 64) * 16**2
    assert values["multiplications"]["value"] == first + kept + second
    _, *words = shlex.split(values["command"]["value"].partition(" --output")[0])
    made = convcost(*words, "-f", "json", folder=tmp_path)
    assert made.code == 0, made.err
    again = json.loads(made.out)["rows"][1]["values"]
    assert again["multiplications"] == values["multiplications"]


FACTORY = """from torch import nn
def build(tag, names, ratio):
    assert (tag, names, ratio) == ("3", [None, "a", True], None)
    return nn.Sequential(nn.Conv2d(8, 16, 3), nn.Conv2d(16, 16, 3))
"""


def test_the_command_of_a_design_keeps_the_types_of_arguments(tmp_path: Path) -> None:
    (tmp_path / "factory.py").write_text(FACTORY, encoding="utf-8")
    given = ("--set", "tag='3'", "--set", "names=[null, a, true]", "--set", "ratio=null")
    options = ("--input", "1x8x16x16", "--max-parameters", "3k", "--no-measure", "-f", "json")
    ran = convcost("suggest", "factory.py:build", *given, *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    command = json.loads(ran.out)["rows"][1]["values"]["command"]["value"]
    _, *words = shlex.split(command.partition(" --output")[0])
    made = convcost(*words, folder=tmp_path)
    assert made.code == 0, made.err


def test_a_bound_that_cannot_be_met_names_the_nearest(tmp_path: Path) -> None:
    spec_file = str(CONFIGS / "primer.yaml")
    ran = convcost("suggest", spec_file, "--max-parameters", "100", "--no-measure", folder=tmp_path)
    assert ran.code == 1
    assert "no design of 2 keeps all bounds; this comes nearest: parameters 1,099" in (
        " ".join(ran.out.split())
    )


def test_a_latency_that_cannot_be_met_says_by_how_much(tmp_path: Path) -> None:
    spec_file = str(CONFIGS / "primer.yaml")
    options = ("--max-latency", "1ns", "--seconds", "0.3")
    ran = convcost("suggest", spec_file, *options, folder=tmp_path)
    assert ran.code == 1
    assert "no design that was measured takes 1.00 ns or less" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("configs/primer.yaml",), "suggest needs a bound"),
        (("configs/primer.yaml", "--max-latency", "5"), "--max-latency 5: expected a number"),
        (("configs/primer.yaml", "--max-latency", "5ms", "--no-measure"), "what is measured"),
        (("nowhere.yaml", "--max-parameters", "1"), "nowhere.yaml: no such file"),
        (("configs/primer.yaml", "--min-density", "2"), "min-density"),
        (("configs/primer.yaml", "--max-parameters", "1", "-o", "x.docx"), "doesn't tell a format"),
    ],
)
def test_wrong_suggestions_are_refused(options: tuple[str, ...], problem: str) -> None:
    assert problem in refused("suggest", *options, folder=CONFIGS.parent)


def test_the_table_of_a_search(tmp_path: Path) -> None:
    spec_file = "configs/gridding.yaml"
    options = ("--min-receptive-field", "27", "--no-measure")
    (tmp_path / "configs").symlink_to(CONFIGS)
    ran = convcost("suggest", spec_file, *options, folder=tmp_path)
    shown = Path(__file__).parent / "shown" / "suggest.txt"
    assert ran.out == shown.read_text(encoding="utf-8")


def test_a_spec_in_the_table_can_be_copied_whole(tmp_path: Path) -> None:
    spec_file = str(CONFIGS / "gridding.yaml")
    options = ("--min-receptive-field", "27", "--no-measure", "--output", "found.json")
    convcost("suggest", spec_file, *options, folder=tmp_path)
    found = load_report(str(tmp_path / "found.json"))
    ran_here: dict[str, str | int] = {
        "rounds": 0,
        "processor": "A processor",
        "device": "cpu",
        "threads": 2,
        "torch": "2.13.0",
    }
    formats = {"dtype": "float32", "memory_format": "contiguous"}
    text = render(found._replace(environment={**found.environment, **ran_here, **formats}), "table")
    notes, specs = text.split("\n\n1 as a layer spec\n")
    assert notes.endswith("A processor, cpu, 2 threads, float32, contiguous, torch 2.13.0")
    assert specs.rstrip().endswith(str(found.rows[2].values["spec"].value).rstrip())


def test_a_field_that_is_wide_enough_needs_no_rates() -> None:
    bounds = Bounds(min_receptive_field=20)
    cheapest = search([base(small())], bounds).front[0]
    assert str(cheapest.mixed) == "separable"
    assert network_field(small()).span >= 20


def test_a_global_field_has_no_holes() -> None:
    graph = spec("aspp")
    assert network_field(graph)[:2] == (float("inf"), 1.0)
    assert search([base(graph)], Bounds(min_density=1.0)).nearest is None


def test_an_upper_bound_of_a_field_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = dict(find_network_field(spec("aspp")))
    values["receptive_field"] = Value("upper_bound", "global", reason="folded")
    monkeypatch.setattr("convcost.search.candidates.find_network_field", lambda _: values)
    assert network_field(spec("aspp"))[:2] == (0.0, 0.0)


def test_a_bound_on_a_field_that_is_not_known_is_judged_by_nothing(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 4, 3)\n"
        "        self.head = nn.Linear(96, 10)\n"
        "    def forward(self, x):\n"
        "        x = self.conv(x).reshape(1, 4, 3, 12).permute(0, 2, 1, 3).reshape(1, -1)\n"
        "        return self.head(x[:, :96])\n"
        "example_inputs = (1, 3, 8, 8)\n"
    )
    options = ("suggest", "net.py", "--no-measure")
    told = refused(*options, "--min-receptive-field", "600", folder=tmp_path)
    assert "net.py: the receptive field isn't known exactly: " in told
    assert convcost(*options, "--max-parameters", "4M", folder=tmp_path).code == 0


STEM = """version: 1
input: [8, 64, 64]
layers:
  - {name: stem, conv: {out_channels: 16, kernel_size: 3, padding: 1, stride: 2}}
  - {name: a, conv: {out_channels: 16, kernel_size: 3, padding: 2, dilation: 2}}
  - {name: b, conv: {out_channels: 16, kernel_size: 3, padding: 2, dilation: 2}}
  - {name: c, conv: {out_channels: 16, kernel_size: 3, padding: 2, dilation: 2}}
"""


def test_a_stack_behind_a_stem_gets_rates_without_holes(tmp_path: Path) -> None:
    (tmp_path / "stem.yaml").write_text(STEM, encoding="utf-8")
    options = ("--min-receptive-field", "40", "--min-density", "1", "--no-measure")
    ran = convcost("suggest", "stem.yaml", *options, "--format", "json", folder=tmp_path)
    assert ran.code == 0, ran.err
    first = json.loads(ran.out)["rows"][1]
    # 3 + 2·2·(1 + 3 + 6) positions; the stem sees 3: a first rate of 2 (4 positions) leaves holes
    assert first["variant"] == "rates=1,3,6+separable"
    words = first["values"]["command"]["value"].split()[1:]
    made = convcost(*words, folder=tmp_path)
    assert made.out == first["values"]["spec"]["value"]
    (tmp_path / "made.yaml").write_text(made.out, encoding="utf-8")
    field = network_field(load_spec(str(tmp_path / "made.yaml"), 1, 4, parse_variant).graph)
    assert (field.span, field.density) == (43, 1.0)


def test_commands_and_specs_are_never_broken_into_lines(tmp_path: Path) -> None:
    spec_file = str(CONFIGS / "gridding.yaml")
    options = ("--min-receptive-field", "27", "--no-measure")
    ran = convcost("suggest", spec_file, *options, folder=tmp_path, env={"COLUMNS": "50"})
    lines = [line.strip() for line in ran.out.splitlines()]
    again = convcost("suggest", spec_file, *options, "--format", "json", folder=tmp_path)
    values = json.loads(again.out)["rows"][1]["values"]
    assert values["command"]["value"] in lines
    assert {line.strip() for line in values["spec"]["value"].splitlines()} <= set(lines)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "layers of one stage apart"),
        (("--min-receptive-field", "300"), "rates other than 1, 2, 4"),
        (("--only", "conv2_1"), "output strides and other stacks"),
    ],
)
def test_what_was_not_tried_is_said(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(CONFIGS)
    needs = ("--max-multiplications", "100G", "--no-measure")
    ran = convcost("suggest", "configs/vgg16.yaml", *needs, *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    assert said in next(line for line in ran.err.splitlines() if "not tried" in line)


def timed(variant: str, latency: float | None) -> Row:
    values = {} if latency is None else {"latency": Value("measured", latency)}
    return Row("net", variant, "network", "", (1, 8), values)


def test_designs_that_take_too_long_are_left_out() -> None:
    rows = (timed("standard", 9.0), timed("a", 1.0), timed("b", 3.0), timed("c", None))
    kept, late = in_time(rows, 2.0)
    assert [row.variant for row in kept] == ["standard", "a", "c"]
    assert [row.variant for row in late] == ["b"]
    # where none is fast enough all stay: the fastest comes nearest
    assert in_time(rows, 0.5) == (rows, ())
    assert in_time(rows, None) == (rows, ())


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([(0.4, 0.38, 0.42), (0.6, 0.55, 0.65)], "1"),
        ([(0.6, 0.55, 0.65), (0.4, 0.38, 0.42)], "2"),
        ([(0.4, 0.35, 0.45), (0.6, 0.55, 0.65), (0.5, 0.44, 0.56)], "1, maybe 3"),
        ([(0.4, 0.35, 0.45), (0.41, 0.36, 0.46), (0.42, 0.37, 0.47)], "1, maybe 2 and 3"),
        ([(0.4, None, None), (0.6, 0.55, 0.65)], ""),
        ([], ""),
    ],
)
def test_the_fastest_design_is_named_with_those_that_may_be_as_fast(
    ratios: list[tuple[float, float | None, float | None]], said: str
) -> None:
    values = [Value("measured", middle, low=low, high=high) for middle, low, high in ratios]
    assert designs._fastest(values) == said
