"""Alternatives of torchvision's models, against figures made without convcost."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convcost import ConvcostError, Report
from convcost.graph import Graph
from convcost.report import Row, number
from convcost.sources.forward import run_forward
from convcost.sources.model import LoadedModel, from_module
from convcost.variants import MODEL_VARIANTS, parse_variant
from convcost.variants.rewrite import Choice
from convcost.workflows.alternatives import Alternative, alternative, as_it_stands, summaries
from convcost.workflows.compare import CompareRequest, compare
from convcost.workflows.proof import prove

pytestmark = pytest.mark.zoo

ODD = (97, 111)
WITHOUT_AUX = {
    name: {"aux_logits": False, "init_weights": False} for name in ("googlenet", "inception_v3")
}


def model(name: str, *, data: bool, **settings: Any) -> nn.Module:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    with torch.device("cpu" if data else "meta"):
        made: nn.Module = models.get_model(
            name, weights=None, **WITHOUT_AUX.get(name, {}), **settings
        )
    return made.eval()


def dense(
    name: str, shape: tuple[int, ...], output_stride: int, *, data: bool
) -> tuple[LoadedModel, Alternative, Alternative]:
    loaded = from_module(model(name, data=data), shape)
    graph: Graph = run_forward(loaded, name)[0]
    variant = parse_variant(f"dense:output_stride={output_stride}", MODEL_VARIANTS)
    after = alternative(loaded, graph, variant, Choice(), share=True)
    return loaded, as_it_stands(loaded, graph), after


def counted_by_torch(module: nn.Module, shape: tuple[int, ...]) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.requires_grad_(requires_grad=False)(torch.empty(shape, device="meta"))
    return int(counter.get_total_flops()) // 2


# shared/reference/README.md: torchvision's resnet50 with replace_stride_with_dilation, 224×224
RESNET50 = {32: 4_089_184_256, 16: 6_208_618_496, 8: 19_079_364_608}


@pytest.mark.parametrize("output_stride", [16, 8])
def test_resnet50_costs_what_torchvisions_own_dilated_one_costs(output_stride: int) -> None:
    _, before, after = dense("resnet50", (1, 3, 224, 224), output_stride, data=False)
    old_values, found = summaries((before, after))
    assert before.costs.totals["multiplications"].value == RESNET50[32]
    assert found["multiplications"].value == RESNET50[output_stride]
    assert found["receptive_field"].value == (427, 427)
    assert old_values["receptive_field"].value == (427, 427)
    assert found["effective_stride"].value == (output_stride, output_stride)
    assert found["response_share"].value == 1 / output_stride**2


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("name", ["resnet18", "resnet101"])
def test_other_resnets_cost_what_torch_counts(name: str, output_stride: int) -> None:
    shape = (1, 3, 224, 224)
    _, before, after = dense(name, shape, output_stride, data=False)
    old_values, found = summaries((before, after))
    assert found["multiplications"].value == counted_by_torch(after.module, shape)
    assert found["receptive_field"] == old_values["receptive_field"]
    if name == "resnet101":
        replaced = {"replace_stride_with_dilation": [False, output_stride < 16, True]}
        theirs = counted_by_torch(model(name, data=False, **replaced), shape)
        assert found["multiplications"].value == theirs


@pytest.mark.parametrize("size", [ODD, (96, 96)])
@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet50",
        "resnet101",
        "mobilenet_v2",
        "densenet121",
        "googlenet",
        "vgg16",
        "regnet_x_400mf",
        "convnext_tiny",
    ],
)
def test_the_dense_map_sampled_at_the_old_stride_is_the_old_map(
    name: str, output_stride: int, size: tuple[int, int]
) -> None:
    loaded, before, after = dense(name, (1, 3, *size), output_stride, data=True)
    x = torch.randn(loaded.args[0].shape)
    proof = prove(after, before, (x,), {})
    assert proof.status == "measured"
    assert number(proof) < 1e-4
    assert proof.reason == "within rounding of float32"
    old_values, found = summaries((before, after))
    assert found["receptive_field"] == old_values["receptive_field"]
    old, new = (side.graph.nodes[side.feature_map].shape for side in (before, after))
    assert new[2:] == tuple(32 // output_stride * n for n in old[2:])
    assert list(after.module.state_dict()) == list(before.module.state_dict())


def test_squeeze_and_excite_makes_equality_impossible_and_that_is_said() -> None:
    loaded, before, after = dense("efficientnet_b0", (1, 3, 97, 97), 16, data=True)
    proof = prove(after, before, (torch.randn(loaded.args[0].shape),), {})
    assert proof.status == "unavailable"
    assert proof.reason == (
        "features.6.0.block.2.avgpool (adaptive_avg_pool) mixes all positions of a map that now "
        "has more, so the values differ"
    )


def comparison(source: str, variant: str, size: int, only: tuple[str, ...]) -> Report:
    return compare(
        CompareRequest(
            f"torchvision.models.segmentation:{source}",
            variants=(parse_variant(variant, MODEL_VARIANTS),),
            only=only,
            measure=False,
            arguments={"weights": None, "weights_backbone": None},
            inputs=((1, 3, size, size),),
        )
    )


def test_a_separable_head_saves_deeplab_about_a_third() -> None:
    pytest.importorskip("torchvision")
    report = comparison("deeplabv3_resnet50", "separable", 513, ("classifier.*",))
    standard, separable = report.rows
    # Chen et al., 'DeepLab-v3+', table 5: 33 to 41 % for its own decoder and ASPP
    saved = 1 - number(separable.values["multiplications_ratio"])
    assert round(100 * saved) == 33  # of 168.7 G, 32.7 %
    assert separable.values["rewritten"].value == 4
    assert parameters(standard) > parameters(separable)


def parameters(row: Row) -> float:
    return number(row.values["parameters"])


def test_what_is_upsampled_again_has_no_output_stride_to_change() -> None:
    pytest.importorskip("torchvision")
    with pytest.raises(ConvcostError) as caught:
        comparison("deeplabv3_resnet50", "dense:output_stride=4", 65, ())
    assert "the model upsamples its maps again" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("alexnet", ""),
        ("inception_v3", "isn't a module of its own"),
        ("shufflenet_v2_x1_0", ""),
        ("mnasnet1_0", ""),
        ("squeezenet1_1", ""),
        ("efficientnet_v2_s", ""),
        ("swin_t", "can't be made dense"),
        ("vit_b_16", "can't"),
        ("maxvit_t", "can't"),
    ],
)
def test_others_are_made_dense_or_the_layer_that_forbids_it_is_told(name: str, told: str) -> None:
    size = 299 if name == "inception_v3" else 224
    if not told:
        _, before, after = dense(name, (1, 3, size, size), 8, data=False)
        assert summaries((before, after))[1]["effective_stride"].value == (8, 8)
        return
    with pytest.raises(ConvcostError, match=told):
        dense(name, (1, 3, size, size), 8, data=False)
