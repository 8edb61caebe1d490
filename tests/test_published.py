from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from convcost.analyses import analyse
from convcost.graph import Graph
from convcost.measure.modules import build_module
from convcost.sources.spec import load_spec
from convcost.variants import parse_variant
from convcost.variants.rewrite import eligible, rewrite

CONFIGS = Path(__file__).parent.parent / "configs"

Layer = dict[str, object]


def config(name: str) -> Graph:
    return load_spec(str(CONFIGS / f"{name}.yaml"), 1, 4, parse_variant).graph


def written(folder: Path, size: int, layers: Sequence[Layer]) -> Graph:
    path = folder / "layers.yaml"
    path.write_text(json.dumps({"version": 1, "input": [3, size, size], "layers": layers}))
    return load_spec(str(path), 1, 4, parse_variant).graph


def separated(graph: Graph) -> Graph:
    return rewrite(graph, parse_variant("separable"), eligible(graph, (), ()))


def total(graph: Graph, metric: str) -> object:
    return analyse(graph).totals[metric].value


def at(graph: Graph, layer: str, metric: str) -> object:
    names = [node.name for node in graph.nodes]
    return analyse(graph).rows[names.index(layer)][metric].value


def summed(graph: Graph, metric: str, prefixes: tuple[str, ...]) -> int:
    """The sum over the convolutions and linear layers whose names start so."""
    rows = zip(graph.nodes, analyse(graph).rows, strict=True)
    values = [
        row[metric].value
        for node, row in rows
        if node.op.kind in ("conv", "linear") and node.name.startswith(prefixes)
    ]
    return sum(value for value in values if isinstance(value, int))


# the primer's layer


def test_the_primers_layer_costs_what_its_formula_says() -> None:
    primer = config("primer")
    assert total(primer, "multiplications") == 256 * 5 * 5 * 3 * (8 * 8) == 1_228_800
    assert total(primer, "parameters") == 256 * 5 * 5 * 3 + 256


def test_the_primers_separable_layer_costs_what_its_formula_says_and_not_its_slip() -> None:
    separable = separated(config("primer"))
    assert at(separable, "conv.depthwise", "multiplications") == 5 * 5 * 3 * (8 * 8) == 4_800
    # printed there: 49,512, and 54,312 for the sum
    assert at(separable, "conv.pointwise", "multiplications") == 256 * 1 * 1 * 3 * (8 * 8) == 49_152
    assert total(separable, "multiplications") == 4_800 + 49_152 == 53_952


# MobileNet: Howard et al. 2017, 224×224


@pytest.mark.parametrize(
    ("name", "convolutions", "classified", "millions"),
    [
        ("mobilenet_v1_full", 4_866_269_184, 4_867_293_184, 29.3),
        ("mobilenet_v1", 567_716_352, 568_740_352, 4.2),
    ],
)
def test_mobilenets_cost_what_table_4_says(
    name: str, convolutions: int, classified: int, millions: float
) -> None:
    graph = config(name)
    # in the table: 4866 and 569 million; one of them seems to leave the classifier out
    assert summed(graph, "multiplications", ("conv", "dw", "pw")) == convolutions
    assert total(graph, "multiplications") == convolutions + 1024 * 1000 == classified
    parameters = total(graph, "parameters")
    assert isinstance(parameters, int)
    assert round(parameters / 1e6, 1) == millions


def test_mobilenet_has_the_parameters_that_keras_counts() -> None:
    # keras.applications: 4,253,864, of which a mean and a variance for each of 10,944 channels
    assert total(config("mobilenet_v1"), "parameters") == 4_253_864 - 2 * 10_944


@pytest.mark.parametrize(
    ("prefix", "multiplications", "parameters"),
    [("pw", 94.86, 74.59), ("dw", 3.06, 1.06), ("fc", 0.18, 24.33)],
)
def test_mobilenets_layer_types_have_the_shares_of_table_2(
    prefix: str, multiplications: float, parameters: float
) -> None:
    graph = config("mobilenet_v1")
    for metric, share in {"multiplications": multiplications, "parameters": parameters}.items():
        # the table leaves out the classifier's 1000 biases, 0.02 % of the parameters
        whole = summed(graph, metric, ("conv", "dw", "pw", "fc"))
        assert 100 * summed(graph, metric, (prefix,)) / whole == pytest.approx(share, abs=0.02)


def test_the_full_mobilenet_made_separable_multiplies_as_often_as_mobilenet() -> None:
    full, mobilenet = config("mobilenet_v1_full"), config("mobilenet_v1")
    separable = separated(full)
    assert total(separable, "multiplications") == total(mobilenet, "multiplications")
    assert at(separable, "conv1", "multiplications") == 32 * 3 * 3 * 3 * (112 * 112)
    for part, letters in (("depthwise", "dw"), ("pointwise", "pw")):
        ours = at(separable, f"conv14.{part}", "multiplications")
        assert ours == at(mobilenet, f"{letters}14", "multiplications")


# VGG-16


def test_vgg16_costs_what_torchvision_says() -> None:
    vgg16 = config("vgg16")
    assert total(vgg16, "parameters") == 138_357_544
    assert total(vgg16, "multiplications") == 15_470_264_320


@pytest.mark.parametrize(
    ("pool", "span"), [("pool1", 6), ("pool2", 16), ("pool3", 44), ("pool4", 100), ("pool5", 212)]
)
def test_vgg16_sees_the_published_spans(pool: str, span: int) -> None:
    assert at(config("vgg16"), pool, "receptive_field") == (span, span)


# Receptive fields: google-research/receptive_field, README; Araujo et al., Distill 2019


@pytest.mark.parametrize(
    ("name", "span", "stride", "padding"),
    [
        ("vgg16", 212, 32, 90),
        ("mobilenet_v1", 315, 32, 126),
        ("mobilenet_v1_full", 315, 32, 126),
    ],
)
def test_a_spec_sees_the_published_field(name: str, span: int, stride: int, padding: int) -> None:
    assert_field(config(name), span, stride, padding)


def assert_field(graph: Graph, span: int, stride: int, padding: int) -> None:
    assert total(graph, "receptive_field") == (span, span)
    assert total(graph, "effective_stride") == (stride, stride)
    assert total(graph, "receptive_field_start") == (-padding, -padding)
    assert total(graph, "receptive_field_density") == 1


Step = tuple[int, int, str]


def valid(kernel_size: int, stride: int = 1) -> list[Step]:
    return [(kernel_size, stride, "valid")]


def same(kernel_size: int, stride: int = 1, times: int = 1) -> list[Step]:
    return times * [(kernel_size, stride, "same")]


# the windows of TF-slim's networks; where branches join, those of the widest, along one axis
ALEXNET_V2 = [
    *(*valid(11, 4), *valid(3, 2), *same(5), *valid(3, 2)),
    *(*same(3, times=3), *valid(3, 2)),
]
INCEPTION_V2 = [
    *(*same(7, 2), *same(3, 2), *same(3), *same(3, 2)),
    *(*same(3, times=2 * 2), *same(3), *same(3, 2)),  # mixed_3b, 3c; 4a
    *(*same(3, times=4 * 2), *same(3), *same(3, 2)),  # mixed_4b to 4e; 5a
    *same(3, times=2 * 2),  # mixed_5b, 5c
]
INCEPTION_V3 = [
    *(*valid(3, 2), *valid(3), *same(3), *valid(3, 2), *valid(3), *valid(3, 2)),
    *(*same(3, times=3 * 2), *same(3), *valid(3, 2)),  # mixed_5b to 5d; 6a
    *(*same(7, times=4 * 2), *same(7), *valid(3, 2)),  # mixed_6b to 6e; 7a
    *same(3, times=2 * 2),  # mixed_7b, 7c
]
INCEPTION_V4 = [
    *(*valid(3, 2), *valid(3), *same(3), *valid(3, 2), *same(7), *valid(3), *valid(3, 2)),
    *(*same(3, times=4 * 2), *same(3), *valid(3, 2)),  # mixed_5b to 5e; 6a
    *(*same(7, times=7 * 2), *same(7), *valid(3, 2)),  # mixed_6b to 6h; 7a
    *same(3, times=3 * 2),  # mixed_7b to 7d
]


@pytest.mark.parametrize(
    ("size", "steps", "span", "padding"),
    [
        pytest.param(224, ALEXNET_V2, 195, 64, id="alexnet_v2"),
        pytest.param(224, INCEPTION_V2, 699, 318, id="inception_v2"),
        pytest.param(299, INCEPTION_V3, 1311, 618, id="inception_v3"),
        pytest.param(299, INCEPTION_V4, 2071, 998, id="inception_v4"),
    ],
)
def test_windows_in_a_row_see_the_published_field(
    tmp_path: Path, size: int, steps: list[Step], span: int, padding: int
) -> None:
    layers: list[Layer] = [
        {"conv": {"out_channels": 1, "kernel_size": kernel, "stride": stride, "padding": pad}}
        for kernel, stride, pad in steps
    ]
    assert_field(written(tmp_path, size, layers), span, 32, padding)


# ResNets of bottlenecks: He et al. 2016; activations left out


class Unit(NamedTuple):
    width: int
    stride: int = 1
    rate: int = 1


def resnet(units: Sequence[Unit], pool_padding: int | str) -> list[Layer]:
    pool = {"kernel_size": 3, "stride": 2, "padding": pool_padding}
    layers = convolution("stem", "input", 64, 7, stride=2)
    layers.append({"name": "unit0", "max_pool": pool})
    channels = 64
    for i, unit in enumerate(units, 1):
        layers += bottleneck(f"unit{i}", f"unit{i - 1}", unit, channels)
        channels = 4 * unit.width
    return [*layers, {"global_avg_pool": {}}, {"flatten": {}}, {"linear": {"out_features": 1000}}]


def bottleneck(name: str, before: str, unit: Unit, channels: int) -> list[Layer]:
    width, stride, rate = unit
    subsample: Layer = {"name": f"{name}.s", "inputs": [before]}
    subsample["max_pool"] = {"kernel_size": 1, "stride": stride}
    projection = convolution(f"{name}.s", before, 4 * width, 1, stride=stride)
    return [
        *convolution(f"{name}.a", before, width, 1),
        *convolution(f"{name}.b", f"{name}.a", width, 3, stride=stride, rate=rate),
        *convolution(f"{name}.c", f"{name}.b", 4 * width, 1),
        *([subsample] if channels == 4 * width else projection),
        {"name": name, "inputs": [f"{name}.c", f"{name}.s"], "add": {}},
    ]


def convolution(
    name: str, before: str, out_channels: int, kernel_size: int, **strides: int
) -> list[Layer]:
    settings: Layer = {
        "out_channels": out_channels,
        "kernel_size": kernel_size,
        "padding": strides.get("rate", 1) * (kernel_size // 2),
        "bias": False,
        **strides,
    }
    return [
        {"name": f"{name}.conv", "inputs": [before], "conv": settings},
        {"name": name, "batch_norm": {}},
    ]


def strided_last(depths: Sequence[int]) -> list[Unit]:
    """TF-slim's units: a stage's stride is at its end, the last stage has none."""
    last = len(depths) - 1
    return [
        Unit(64 * 2**stage, 2 if stage < last and i == depth - 1 else 1)
        for stage, depth in enumerate(depths)
        for i in range(depth)
    ]


def strided_first(
    depths: Sequence[int], output_stride: int = 32, *, dilate_first: bool = False
) -> list[Unit]:
    """torchvision's units; a stride beyond ``output_stride`` becomes a rate.

    The unit that loses its stride keeps its own rate there, unless ``dilate_first``.
    """
    units, rate = [Unit(64)] * depths[0], 1
    for stage, depth in enumerate(depths[1:], 1):
        width, removed = 64 * 2**stage, 4 * 2**stage > output_stride
        new_rate = 2 * rate if removed else rate
        first_rate = new_rate if dilate_first else rate
        units = [*units, Unit(width, 1 if removed else 2, first_rate)]
        units += [Unit(width, 1, new_rate)] * (depth - 1)
        rate = new_rate
    return units


@pytest.mark.parametrize(
    ("depths", "span", "padding"),
    [
        pytest.param((3, 4, 6, 3), 483, 239, id="resnet_v1_50"),
        pytest.param((3, 4, 23, 3), 1027, 511, id="resnet_v1_101"),
        pytest.param((3, 8, 36, 3), 1507, 751, id="resnet_v1_152"),
    ],
)
def test_resnets_strided_last_see_the_published_field(
    tmp_path: Path, depths: tuple[int, ...], span: int, padding: int
) -> None:
    graph = written(tmp_path, 224, resnet(strided_last(depths), pool_padding="same"))
    assert_field(graph, span, 32, padding)


@pytest.mark.parametrize(
    ("output_stride", "multiplications"),
    [(32, 4_089_184_256), (16, 6_208_618_496), (8, 19_079_364_608)],
)
def test_a_dense_resnet50_costs_what_torchvisions_does_and_sees_as_far(
    tmp_path: Path, output_stride: int, multiplications: int
) -> None:
    # torchvision 0.29.1, resnet50(replace_stride_with_dilation=…), counted by FlopCounterMode / 2
    units = strided_first((3, 4, 6, 3), output_stride)
    graph = written(tmp_path, 224, resnet(units, pool_padding=1))
    assert total(graph, "multiplications") == multiplications
    assert total(graph, "parameters") == 25_557_032
    assert total(graph, "receptive_field") == (427, 427)
    assert total(graph, "effective_stride") == (output_stride, output_stride)


def test_a_dense_resnet50_sees_farther_where_the_layers_that_lost_their_stride_are_dilated(
    tmp_path: Path,
) -> None:
    units = strided_first((3, 4, 6, 3), 8, dilate_first=True)
    graph = written(tmp_path, 224, resnet(units, pool_padding=1))
    assert total(graph, "receptive_field") == (475, 475)
    assert total(graph, "multiplications") == 19_079_364_608


def test_resnet18s_second_stage_is_torchvisions() -> None:
    stage = config("resnet18_stage")
    convolutions = 9 * 64 * 128 + 3 * 9 * 128 * 128 + 64 * 128
    assert total(stage, "parameters") == convolutions + 5 * (2 * 128)
    assert total(stage, "multiplications") == convolutions * (28 * 28)
    # probed at stride 4 in torchvision's: 35 after layer1.1.conv1, 99 after layer2.1.conv2
    assert total(stage, "receptive_field") == (15, 15)
    assert 35 + (3 - 1) * 4 + (15 - 1) * 4 == 99


# the other specs


def test_xceptions_entry_flow_has_the_published_size_and_the_weights_that_keras_counts() -> None:
    entry = config("xception_entry")
    assert entry.nodes[-1].shape == (1, 728, 19, 19)  # Chollet 2017, figure 5
    separable = 8_768 + 17_536 + 33_920 + 67_840 + 188_672 + 536_536
    weights = (864 + 18_432) + separable + (8_192 + 32_768 + 186_368)
    assert summed(entry, "parameters", ("conv", "dw", "pw", "shortcut")) == weights


def test_the_atrous_pyramid_sees_nine_positions_a_branch_and_all_in_the_end() -> None:
    aspp = config("aspp")
    for rate in (6, 12, 18):
        span = 2 * rate + 1
        assert at(aspp, f"rate{rate}", "receptive_field") == (span, span)
        assert at(aspp, f"rate{rate}", "receptive_field_density") == 9 / span**2
    assert at(aspp, aspp.nodes[-1].name, "receptive_field") == "global"
    branches = 2048 * 256 * (1 + 3 * 9)
    positions = 33 * 33
    multiplications = positions * (branches + 5 * 256 * 256) + 2048 * 256
    assert total(aspp, "multiplications") == multiplications


def test_wavenets_stack_sees_1024_samples_of_the_past_without_a_hole() -> None:
    wavenet = config("wavenet")
    # van den Oord et al. 2016, section 2.1
    assert total(wavenet, "receptive_field") == (1024,)
    assert total(wavenet, "receptive_field_start") == (-1023,)
    assert total(wavenet, "receptive_field_density") == 1


def test_c3ds_stem_has_the_parameters_that_keras_counts() -> None:
    stem = config("c3d_stem")
    assert at(stem, "conv1a", "parameters") == 64 * 3 * 27 + 64 == 5_248
    assert at(stem, "conv2a", "parameters") == 128 * 64 * 27 + 128 == 221_312
    assert stem.nodes[-1].shape == (1, 128, 8, 28, 28)


def test_an_up_convolution_multiplies_once_per_input_position() -> None:
    decoder = config("decoder")
    assert at(decoder, "up4", "multiplications") == 1024 * 512 * 2 * 2 * (16 * 16)
    assert decoder.nodes[-1].shape == (1, 256, 64, 64)


# every spec that is shipped

NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_spec_says_where_its_numbers_come_from(name: str) -> None:
    first, *_ = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_spec_runs_with_the_computed_shape_and_parameters(name: str) -> None:
    graph = config(name)
    module = build_module(graph)
    with torch.inference_mode():
        output = module(torch.zeros(graph.nodes[0].shape))
    assert tuple(output.shape) == graph.nodes[-1].shape
    assert sum(p.numel() for p in module.parameters()) == total(graph, "parameters")


def test_other_layers_may_read_each_copy_of_a_repeated_one(tmp_path: Path) -> None:
    copies = "{name: r, repeat: 3, conv: {out_channels: 3, kernel_size: 3, padding: 1}}"
    path = tmp_path / "spec.yaml"
    path.write_text(
        f"version: 1\ninput: [3, 8, 8]\nlayers: [{copies}, {{inputs: [r.1, r.2, r], add: {{}}}}]\n"
    )
    graph = load_spec(str(path), 1, 4, parse_variant).graph
    names = [graph.nodes[index].name for index in graph.nodes[-1].inputs]
    assert names == ["r.1", "r.2", "r.3"]
