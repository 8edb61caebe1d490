"""Models as users have them, from torchvision and timm, against figures made without convcost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convcost.report import Report
from convcost.sources.model import from_module
from convcost.workflows.profile import ProfileRequest, profile_loaded

pytestmark = pytest.mark.zoo

HERE = Path(__file__).parent
COSTS: dict[str, Any] = json.loads((HERE / "torchvision_costs.json").read_text(encoding="utf-8"))
FIELDS: dict[str, Any] = json.loads((HERE / "receptive_fields.json").read_text(encoding="utf-8"))
OTHERS = {
    "swin_v2_t": (1, 3, 256, 256),
    "vit_b_32": (1, 3, 224, 224),
    "maxvit_t": (1, 3, 224, 224),
    "regnet_y_400mf": (1, 3, 224, 224),
    "lraspp_mobilenet_v3_large": (1, 3, 128, 128),
    "mvit_v1_b": (1, 3, 16, 224, 224),
    "swin3d_t": (1, 3, 8, 64, 64),
}
DETECTORS = ("ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn")
TIMM = (
    "beit_base_patch16_224",
    "cait_xxs24_224",
    "coat_tiny",
    "coatnet_0_rw_224",
    "convmixer_768_32",
    "crossvit_9_240",
    "cspdarknet53",
    "deit3_small_patch16_224",
    "dla34",
    "dpn48b",
    "edgenext_xx_small",
    "efficientformer_l1",
    "eva02_tiny_patch14_224",
    "focalnet_tiny_srf",
    "gcresnet33ts",
    "ghostnet_100",
    "gmlp_s16_224",
    "halonet26t",
    "hrnet_w18_small",
    "lambda_resnet26t",
    "levit_128s",
    "mixer_s32_224",
    "mobilenetv4_conv_small",
    "mobilevit_xxs",
    "nf_resnet50",
    "nfnet_l0",
    "poolformer_s12",
    "pvt_v2_b0",
    "repvgg_a0",
    "res2net50_26w_4s",
    "resnest14d",
    "selecsls42",
    "skresnet18",
    "swin_tiny_patch4_window7_224",
    "tf_efficientnetv2_b0",
    "tresnet_m",
    "twins_svt_small",
    "volo_d1_224",
    "xcit_nano_12_p16_224",
)


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """The model without data where that works, else with."""
    try:
        with torch.device("meta"):
            return build().eval()
    except (RuntimeError, NotImplementedError):
        return build().eval()


def torchvision_model(name: str, **settings: Any) -> nn.Module:
    models = pytest.importorskip("torchvision.models")
    given = {"weights": None, **settings}

    def build() -> nn.Module:
        made: nn.Module = models.get_model(name, **given)
        return made

    return on_meta(build)


def profiled(model: nn.Module, shape: tuple[int, ...]) -> Report:
    loaded = from_module(model, shape)
    return profile_loaded(loaded, ProfileRequest("model", measure=False))


def counted_by_torch(model: nn.Module, shape: tuple[int, ...]) -> int:
    """``FlopCounterMode`` / 2, without data and without fused attention."""
    x = torch.empty(shape, device="meta")
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.to("meta").requires_grad_(requires_grad=False)(x)
    finally:
        torch.backends.mha.set_fastpath_enabled(value=True)
    return int(counter.get_total_flops()) // 2


def assert_counts(report: Report, parameters: int, multiplications: int) -> None:
    totals = {key: report.totals[key] for key in ("parameters", "multiplications")}
    assert {total.status for total in totals.values()} == {"exact"}, totals
    assert totals["parameters"].value == parameters
    assert totals["multiplications"].value == multiplications


def size_of(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def settings_of(name: str) -> dict[str, Any]:
    if name.startswith(("deeplab", "fcn", "lraspp")):
        return {"weights_backbone": None, "aux_loss": None}
    return {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}


@pytest.mark.parametrize("entry", COSTS)
def test_the_published_figures_of_torchvision(entry: str) -> None:
    name = entry.removeprefix("torchvision/")
    model = torchvision_model(name, **settings_of(name))
    report = profiled(model, tuple(COSTS[entry]["input"]))
    assert_counts(report, COSTS[entry]["parameters"], COSTS[entry]["multiplications"])
    assert report.notices == ()


@pytest.mark.parametrize("entry", FIELDS)
def test_the_receptive_fields_of_torchvision(entry: str) -> None:
    name = entry.removeprefix("torchvision/")
    settings = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    model = torchvision_model(name, **settings)
    rows = {row.name: row.values for row in profiled(model, tuple(FIELDS[entry]["input"])).rows}
    for layer, expected in FIELDS[entry]["layers"].items():
        field = rows[layer]["receptive_field"]
        assert field.status == "exact", layer
        if expected["receptive_field"] == "global":
            assert field.value == "global", layer
        else:
            stride = rows[layer]["effective_stride"]
            assert isinstance(field.value, tuple)
            assert isinstance(stride.value, tuple)
            assert field.value[1] == expected["receptive_field"], layer
            assert stride.value[1] == expected["effective_stride"], layer


@pytest.mark.parametrize("name", OTHERS)
def test_other_models_of_torchvision_as_torch_counts_them(name: str) -> None:
    model = torchvision_model(name, **settings_of(name) if name.startswith("lraspp") else {})
    report = profiled(model, OTHERS[name])
    assert_counts(report, size_of(model), counted_by_torch(model, OTHERS[name]))


@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_are_run_on_data(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    model = models.get_model(name, weights=None, weights_backbone=None).eval()
    x = torch.rand(1, 3, 160, 160)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    loaded = from_module(model, x)
    report = profile_loaded(loaded, ProfileRequest("model", measure=False))
    assert report.totals["parameters"].value == size_of(model)
    assert report.totals["multiplications"].value == counter.get_total_flops() // 2
    assert any("run on data" in notice for notice in report.notices)


@pytest.mark.parametrize("name", TIMM)
def test_models_of_timm_as_torch_counts_them(name: str) -> None:
    timm = pytest.importorskip("timm")

    def build() -> nn.Module:
        made: nn.Module = timm.create_model(name)
        return made

    model = on_meta(build)
    shape = (1, *model.pretrained_cfg["input_size"])  # type: ignore[index]  # a dict
    report = profiled(model, shape)
    assert_counts(report, size_of(model), counted_by_torch(model, shape))
