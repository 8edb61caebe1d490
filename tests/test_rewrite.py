"""Rewriting modules: what is reached, what is kept, what is refused."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from cli import convcost as command
from torch import Tensor, nn
from torch.nn import functional

import convcost
from convcost import ConvcostError
from convcost.analyses import analyse
from convcost.sources.forward import run_forward
from convcost.sources.model import from_module
from convcost.variants import parse_variant
from convcost.variants.modules import rewrite_convolutions


def conv(ins: int = 8, outs: int = 8, kernel: int = 3, **settings: Any) -> nn.Conv2d:
    return nn.Conv2d(ins, outs, kernel, **{"padding": kernel // 2, **settings})


def x(*shape: int) -> Tensor:
    return torch.randn(shape or (2, 8, 12, 13))


def run(module: nn.Module, sample: Tensor) -> Tensor:
    with torch.inference_mode():
        out: Tensor = module(sample)
    return out


def total(module: nn.Module, shape: tuple[int, ...], key: str) -> object:
    return analyse(run_forward(from_module(module, shape), "model")[0]).totals[key].value


# what is reached


class Reached(nn.Module):
    """Convolutions as an attribute, in a list, in a dict of the object's, and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv()
        self.listed = nn.ModuleList([conv(), conv()])
        self.inner = nn.Sequential(nn.Sequential(conv()), nn.ReLU())
        self.again = self.first
        self.plain = [self.first, *self.listed]
        self.by_name = {"inner": self.inner[0]}

    def forward(self, sample: Tensor) -> Tensor:
        for layer in self.plain:
            sample = layer(sample)
        out: Tensor = self.again(self.inner[1](self.by_name["inner"](sample)))
        return out


def test_a_convolution_is_rewritten_however_it_is_reached() -> None:
    model = Reached().eval()
    made: Any = convcost.rewrite(model, "separable")
    assert not [
        m
        for m in made.modules()
        if isinstance(m, nn.Conv2d) and m.groups == 1 and m.kernel_size != (1, 1)
    ]
    assert made.plain[0] is made.first is made.again
    assert made.plain[1] is made.listed[0]
    assert made.by_name["inner"] is made.inner[0]
    assert run(made, x()).shape == run(model, x()).shape
    assert sorted(made.state_dict())[:3] == [
        "again.depthwise.weight",
        "again.pointwise.bias",
        "again.pointwise.weight",
    ]


def test_a_model_that_is_a_convolution_is_rewritten_itself() -> None:
    made = convcost.rewrite(conv(), "separable")
    assert isinstance(made, nn.Sequential)
    assert [name for name, _ in made.named_children()] == ["depthwise", "pointwise"]


class Scaled(nn.Conv2d):
    """A convolution with a forward of its own."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  torch's name
        return 2 * super().forward(input)


class Named(nn.Conv2d):
    """A convolution of another name that does what torch's does."""


def test_a_subclass_with_a_forward_of_its_own_is_left_alone_and_listed() -> None:
    model = nn.Sequential(Scaled(8, 8, 3), Named(8, 8, 3), conv())
    made = rewrite_convolutions(model, parse_variant("separable"))
    assert made.left == ("0 (Scaled has a forward of its own)",)
    assert made.layers == ("1", "2")
    assert type(made.module.get_submodule("0")) is Scaled


def test_a_weight_that_is_made_of_others_is_left_alone() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(conv()), conv())
    made = rewrite_convolutions(model, parse_variant("atrous"))
    assert made.left == ("0 (its weight isn't a plain parameter)",)
    assert made.layers == ("1",)


def test_globs_choose_by_path() -> None:
    model = nn.Sequential(nn.Sequential(conv(), conv()), nn.Sequential(conv()))
    made = convcost.rewrite(model, "separable", only=("0.*",), keep=("*.1",))
    kinds = [type(made.get_submodule(path)) for path in ("0.0", "0.1", "1.0")]
    assert kinds == [nn.Sequential, nn.Conv2d, nn.Conv2d]


def test_a_stem_and_what_can_t_be_separated_stay() -> None:
    model = nn.Sequential(conv(3, 8), conv(), conv(groups=8), conv(kernel=1))
    made = convcost.rewrite(model, "separable")
    kinds = [type(layer) for layer in made.children()]
    assert kinds == [nn.Conv2d, nn.Sequential, nn.Conv2d, nn.Conv2d]


# what is kept


def test_hooks_mode_and_gradients_go_on_with_the_new_layer() -> None:
    seen: list[str] = []
    model = nn.Sequential(conv(), conv()).eval()
    model[0].register_forward_hook(lambda *_: seen.append("after"))
    model[0].register_forward_pre_hook(lambda *_: seen.append("before"))
    model[1].weight.requires_grad = False
    for variant in ("separable", "atrous"):
        made = convcost.rewrite(model, variant)
        seen.clear()
        run(made, x())
        assert seen == ["before", "after"]
        assert not any(module.training for module in made.modules())
        frozen = {name for name, p in made.named_parameters() if not p.requires_grad}
        assert frozen >= {name for name in dict(made.named_parameters()) if name == "1.weight"}
    assert len(model[0]._forward_hooks) == 1


@pytest.mark.parametrize(
    ("variant", "frozen"),
    [
        ("separable", {"0.depthwise.weight", "0.pointwise.weight", "1.pointwise.bias"}),
        ("atrous", {"0.weight", "1.bias"}),
    ],
)
def test_weights_and_biases_are_frozen_apart(variant: str, frozen: set[str]) -> None:
    model = nn.Sequential(conv(), conv())
    model[0].weight.requires_grad = False
    model[1].bias.requires_grad = False
    made = convcost.rewrite(model, variant)
    assert {name for name, p in made.named_parameters() if not p.requires_grad} == frozen


def test_a_rewritten_model_trains_and_is_copied_pickled_and_loaded() -> None:
    model = nn.Sequential(conv(), nn.MaxPool2d(2), conv(stride=2), nn.AvgPool2d(2))
    for variant in ("separable:normalise=true", "atrous:rate=2", "dense:output_stride=2"):
        made = convcost.rewrite(model, variant, input=(1, 8, 17, 17))
        made(x(2, 8, 17, 17)).sum().backward()
        assert all(p.grad is not None for p in made.parameters())
        again = pickle.loads(pickle.dumps(made))  # noqa: S301  our own bytes
        again.load_state_dict(made.state_dict())
        sample = x(1, 8, 17, 17)
        assert torch.equal(run(again.eval(), sample), run(copy.deepcopy(made).eval(), sample))


def test_atrous_and_dense_take_the_originals_checkpoints() -> None:
    model = nn.Sequential(conv(stride=2), conv(kernel=2, padding="same"))
    for variant in ("atrous:rate=3", "dense:output_stride=1"):
        made = convcost.rewrite(model, variant, input=(1, 8, 9, 9))
        made.load_state_dict(model.state_dict())
        assert list(made.state_dict()) == list(model.state_dict())


def test_shared_weights_stay_shared() -> None:
    model = nn.Sequential(conv(), conv())
    model[1].weight = model[0].weight
    made: Any = convcost.rewrite(model, "atrous")
    assert made[0].weight is made[1].weight
    assert made[0].weight is not model[0].weight


@pytest.mark.parametrize("init", ["fresh", "svd"])
def test_shared_weights_stay_shared_in_separable_layers(init: Any) -> None:
    model = nn.Sequential(conv(8), nn.Conv2d(8, 8, 3, stride=2), conv(8))
    model[1].weight = model[0].weight
    made: Any = convcost.rewrite(model, "separable", init=init)
    assert made[0].depthwise.weight is made[1].depthwise.weight
    assert made[0].pointwise.weight is made[1].pointwise.weight
    assert made[0].pointwise.bias is not made[1].pointwise.bias
    assert made[0].depthwise.weight is not made[2].depthwise.weight
    weights, biases = 2 * (8 * 3 * 3 + 8 * 8), 3 * 8
    assert sum(p.numel() for p in made.parameters()) == weights + biases


def test_shared_biases_stay_shared_in_separable_layers() -> None:
    model = nn.Sequential(conv(8), conv(8))
    model[1].weight, model[1].bias = model[0].weight, model[0].bias
    made: Any = convcost.rewrite(model, "separable:normalise=true")
    assert made[0].pointwise.bias is made[1].pointwise.bias
    norms = 2 * 2 * 8
    assert sum(p.numel() for p in made.parameters()) == 8 * 3 * 3 + 8 * 8 + 8 + norms


def test_the_original_keeps_its_hooks_and_flags() -> None:
    model = nn.Sequential(conv(), nn.ReLU(), conv())
    model[0].eval()
    before = copy.deepcopy([vars(module) for module in model.modules()])
    convcost.rewrite(model, "separable")
    convcost.rewrite(model, "atrous")
    after = [vars(module) for module in model.modules()]
    assert [b["training"] for b in before] == [a["training"] for a in after]
    assert [list(b) for b in before] == [list(a) for a in after]


# one to three dimensions, transposed, padding


@pytest.mark.parametrize("variant", ["separable", "atrous:rate=2", "atrous_separable:rate=3"])
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(6, 4, 4, stride=2, padding=1),
        nn.Conv1d(6, 4, 4, padding="same"),
        nn.Conv2d(6, 4, (3, 2), padding=(2, 0), groups=2, bias=False),
        nn.Conv2d(6, 4, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(6, 4, (3, 4), padding=1, padding_mode="replicate"),
        nn.Conv3d(6, 4, (3, 1, 2), stride=(1, 2, 1), padding=1),
        nn.ConvTranspose1d(6, 4, 4, stride=2, padding=1),
        nn.ConvTranspose2d(6, 4, (4, 3), stride=2, padding=(1, 0), output_padding=1, groups=2),
        nn.ConvTranspose3d(6, 4, 2, stride=2),
    ],
    ids=str,
)
def test_the_shape_stays_in_every_kind_of_convolution(layer: Any, variant: str) -> None:
    sample = x(2, 6, *(9 for _ in layer.kernel_size))
    made = convcost.rewrite(nn.Sequential(layer), variant)
    assert run(made, sample).shape == run(layer, sample).shape


def test_atrous_spreads_the_taps_and_keeps_the_weights() -> None:
    layer = conv(1, 1, bias=False, padding_mode="replicate")
    made: Any = convcost.rewrite(layer, "atrous:rate=2")
    sample = x(1, 1, 9, 9)
    padded = functional.pad(sample, (2, 2, 2, 2), mode="replicate")
    wanted = functional.conv2d(padded, layer.weight, dilation=2)
    assert torch.allclose(run(made, sample), wanted)


@pytest.mark.parametrize(
    "layer",
    [
        conv(4, 6),
        conv(4, 6, stride=2, groups=2, bias=False),
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2),
    ],
    ids=str,
)
def test_as_many_filters_as_taps_give_the_same_output(layer: nn.Module) -> None:
    made = convcost.rewrite(layer, "separable:depth_multiplier=9", init="svd")

    sample = x(2, 4, 8, 9)
    assert torch.allclose(run(made, sample), run(layer, sample), atol=1e-5)


def mobilenet_v1() -> nn.Sequential:
    """Howard et al. 2017, table 1, with full convolutions in place of separable ones."""
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False)]
    ins = 32
    body = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    for outs, stride in (*body, (1024, 2), (1024, 1)):
        full = nn.Conv2d(ins, outs, 3, stride=stride, padding=1, bias=False)
        layers += [full, nn.BatchNorm2d(outs), nn.ReLU()]
        ins = outs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))


def test_the_full_mobilenet_made_separable_is_mobilenet() -> None:
    with torch.device("meta"):
        model = mobilenet_v1()
    shape = (1, 3, 224, 224)
    # Howard et al. 2017, tables 1 and 4, without the classifier
    assert total(model, shape, "multiplications") == 4_866_269_184
    for variant in ("separable", "separable:normalise=true"):
        made = convcost.rewrite(model, variant)
        assert total(made, shape, "multiplications") == 567_716_352


# what can't be made dense


class Up(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = conv(stride=2)
        self.up = nn.Upsample(scale_factor=2)
        self.last = conv(stride=4)

    def forward(self, sample: Tensor) -> Tensor:
        out: Tensor = self.last(self.up(self.down(sample)))
        return out


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = conv(stride=2)
        self.head = nn.Linear(8 * 6 * 7, 3)

    def forward(self, sample: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(sample).flatten(1))
        return out


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = conv()

    def forward(self, sample: Tensor) -> Tensor:
        return functional.max_pool2d(self.features(sample), 2)


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.same = conv()
        self.down = nn.MaxPool2d(2)

    def forward(self, sample: Tensor) -> Tensor:
        out: Tensor = self.same(self.down(self.same(sample)))
        return out


class Slices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = conv()

    def forward(self, sample: Tensor) -> Tensor:
        out: Tensor = self.features(sample)[:, :, ::2, ::2]
        return out


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = conv(stride=2)

    def forward(self, sample: Tensor) -> Tensor:
        tokens = self.features(sample).flatten(2).transpose(1, 2)
        return functional.scaled_dot_product_attention(tokens, tokens, tokens)


REFUSED = {
    "upsampling": (Up(), "dense: up (upsample) can't be made dense: it upsamples"),
    "a fully connected head": (
        Head(),
        "dense: head (linear) can't be made dense: it is fully connected to a feature map",
    ),
    "a function": (Functional(), "dense: the max_pool in the model isn't a module of its own"),
    "a shared layer": (Shared(), "dense: same is shared and reached at two strides"),
    "strided slices": (Slices(), "dense: slice (slice) can't be made dense: it takes positions"),
    "attention": (Attention(), "can't be made dense: it mixes all positions"),
    "reflected padding": (
        nn.Sequential(conv(stride=2), conv(padding_mode="reflect")),
        "reflect padding of a denser map isn't that of the old one",
    ),
    "reflected padding of the strided layer": (
        conv(stride=2, padding_mode="reflect"),
        "pads in mode 'reflect'",
    ),
    "indices": (nn.MaxPool2d(2, return_indices=True), "returns the indices of its maxima"),
    "no strides": (conv(), "dense can't give output stride 1: the last feature map's is 1"),
    "a subclass": (Scaled(8, 8, 3, stride=2), "isn't a module of its own"),
}


@pytest.mark.parametrize(("model", "told"), REFUSED.values(), ids=REFUSED)
def test_what_can_t_be_made_dense_is_told_with_its_layer(model: nn.Module, told: str) -> None:
    with pytest.raises(ConvcostError) as caught:
        convcost.rewrite(model, "dense:output_stride=1", input=(1, 8, 12, 13))
    assert told in caught.value.message


def test_an_output_stride_that_isn_t_there_lists_those_that_are() -> None:
    model = nn.Sequential(conv(stride=2), conv(stride=2), conv(stride=2))
    for wanted in (3, 8, 16):
        with pytest.raises(ConvcostError) as caught:
            convcost.rewrite(model, f"dense:output_stride={wanted}", input=(1, 8, 32, 32))
        assert caught.value.hint == "reachable: 1, 2, 4"


def test_a_stride_may_be_taken_out_in_part() -> None:
    patches = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), conv())
    made = convcost.rewrite(patches, "dense:output_stride=2", input=(1, 3, 18, 21))
    sample = x(1, 3, 18, 21)
    assert torch.allclose(run(made, sample)[..., ::2, ::2], run(patches, sample), atol=1e-5)


def test_a_model_that_can_t_be_copied_is_told() -> None:
    model = nn.Sequential(conv())
    model.lock = (i for i in range(2))  # type: ignore[assignment]
    with pytest.raises(ConvcostError, match="Sequential can't be copied: TypeError"):
        convcost.rewrite(model, "separable")


@pytest.mark.parametrize(
    ("variant", "settings", "told"),
    [
        ("sparse", {}, "unknown variant 'sparse'"),
        ("separable:normalise=perhaps", {}, "normalise is true or false"),
        ("separable", {"only": ("nope*",)}, "no convolution matches 'nope"),
        ("atrous", {"init": "svd"}, "init svd is for separable variants"),
        ("separable:normalise=true", {"init": "svd"}, "no meaning with normalise=true"),
        ("dense", {"only": ("0",)}, "only and keep have no meaning for it"),
        ("atrous:rate=2x3x4", {}, "doesn't fit 0: rate has 3 entries"),
    ],
)
def test_what_makes_no_sense_is_refused(variant: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConvcostError, match=told):
        convcost.rewrite(nn.Sequential(conv()), variant, input=(1, 8, 9, 9), **settings)


def test_weights_that_aren_t_there_can_t_be_approximated() -> None:
    with pytest.raises(ConvcostError, match="its weights hold no finite numbers"):
        convcost.rewrite(conv(device="meta"), "separable", init="svd")


def test_svd_starts_the_separable_ones_of_a_mix() -> None:
    model = nn.Sequential(conv(), nn.MaxPool2d(2), conv())
    x = (1, 8, 16, 16)
    made: Any = convcost.rewrite(model, "separable@0+dense:output_stride=1", init="svd", input=x)
    assert isinstance(made[0], nn.Sequential)
    with pytest.raises(ConvcostError, match="init svd is for separable variants"):
        convcost.rewrite(model, "atrous@0+dense:output_stride=1", init="svd", input=x)


def test_a_hook_that_can_not_be_copied_is_told() -> None:
    class Hook:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __call__(self, *_: object) -> None: ...

    model = nn.Sequential(conv(), conv())
    model[0].register_forward_hook(Hook())
    with pytest.raises(ConvcostError, match="a hook of a Conv2d can't be copied: TypeError"):
        convcost.rewrite(model, "separable")


def test_a_rewrites_report_says_the_models_dtype(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("from torch import nn\nnet = nn.Sequential(nn.Conv2d(8, 8, 3)).double()\n")
    ran = command("rewrite", path, "--variant", "separable", "--format", "json")
    assert json.loads(ran.out)["environment"]["dtype"] == "float64"
