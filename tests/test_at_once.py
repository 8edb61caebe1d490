"""Layers that go straight to their rule leave the same graph as torch's own dispatch does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the field's own name for it
from networks import Does
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from convcost.sources import tracer
from convcost.sources.module_state import ModuleState
from convcost.sources.torch_layers import ATTRIBUTES
from convcost.sources.torch_layers import LAYERS as KNOWN
from convcost.sources.trace import Trace, trace

IMAGE = (2, 8, 9, 12)


def twice(layer: nn.Module) -> nn.Module:
    """The layer, another like it, and the first again: what is remembered is used."""
    return nn.Sequential(layer, layer, nn.Sequential(layer))


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "Conv1d": (nn.Conv1d(8, 8, 3, padding="same"), (2, 8, 20)),
    "Conv2d": (nn.Conv2d(8, 8, (3, 5), padding=(1, 2), groups=4), IMAGE),
    "Conv2d strided": (nn.Conv2d(8, 8, 3, 2, 2, 2, bias=False), (2, 8, 40, 40)),
    "Conv2d unbatched": (nn.Conv2d(8, 8, 1), (8, 9, 12)),
    "Conv2d circular": (nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"), IMAGE),
    "Conv3d": (nn.Conv3d(8, 8, 3, padding=1), (1, 8, 5, 6, 7)),
    "BatchNorm1d": (nn.BatchNorm1d(8), (2, 8)),
    "BatchNorm1d positions": (nn.BatchNorm1d(8), (2, 8, 5)),
    "BatchNorm2d": (nn.BatchNorm2d(8), IMAGE),
    "BatchNorm2d bare": (nn.BatchNorm2d(8, affine=False), IMAGE),
    "BatchNorm2d of the batch": (nn.BatchNorm2d(8, track_running_stats=False), IMAGE),
    "BatchNorm3d": (nn.BatchNorm3d(8), (1, 8, 5, 6, 7)),
    "Linear": (nn.Linear(12, 12), IMAGE),
    "Linear without bias": (nn.Linear(12, 12, bias=False), (12,)),
    "LayerNorm": (nn.LayerNorm((9, 12)), IMAGE),
    "LayerNorm bare": (nn.LayerNorm(12, elementwise_affine=False), IMAGE),
    "MaxPool2d": (nn.MaxPool2d(2, 1, ceil_mode=True), IMAGE),
    "AvgPool2d": (nn.AvgPool2d(3, 1, 1), IMAGE),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d((3, None)), IMAGE),
    "AdaptiveAvgPool2d to one": (nn.AdaptiveAvgPool2d(1), (8, 9, 12)),
    "Dropout": (nn.Dropout(), IMAGE),
    "Dropout in place": (nn.Dropout(inplace=True), IMAGE),
    "ReLU": (nn.ReLU(), IMAGE),
    "ReLU in place": (nn.ReLU(inplace=True), IMAGE),
    "ReLU6": (nn.ReLU6(), IMAGE),
    "ReLU6 in place": (nn.ReLU6(inplace=True), IMAGE),
    "SiLU": (nn.SiLU(), IMAGE),
    "SiLU in place": (nn.SiLU(inplace=True), IMAGE),
    "Hardswish": (nn.Hardswish(), IMAGE),
    "Hardswish in place": (nn.Hardswish(inplace=True), IMAGE),
    "Hardsigmoid": (nn.Hardsigmoid(), IMAGE),
    "Sigmoid": (nn.Sigmoid(), IMAGE),
    "Tanh": (nn.Tanh(), IMAGE),
    "GELU": (nn.GELU(approximate="tanh"), IMAGE),
}


class Loud(TorchFunctionMode):
    """Doubles what each convolution gives."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        result = func(*args, **(kwargs or {}))
        return result * 2 if func is torch.conv2d else result


class Squared(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Squares what each ReLU gives."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        result = func(*args, **(kwargs or {}))
        return result * result if func is torch.ops.aten.relu.default else result


def under(mode: Any) -> Callable[..., Tensor]:
    def call(layer: nn.Module, x: Tensor) -> Tensor:
        with mode():
            return layer(layer(x))  # type: ignore[no-any-return]

    return call


def on_a_view(relu: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    relu(y[:, :4])
    relu(y[:, :4])
    return y * 2


def in_training(layer: nn.Module, x: Tensor) -> Tensor:
    first = layer(x)
    layer.train()
    return layer(first)  # type: ignore[no-any-return]


def with_another_stride(layer: nn.Conv2d, x: Tensor) -> Tensor:
    first = layer(x)
    layer.stride = (2, 2)
    return layer(first)  # type: ignore[no-any-return]


def with_written_weights(layer: nn.Conv2d, x: Tensor) -> Tensor:
    layer.weight.mul_(x.mean())
    return layer(layer(x))  # type: ignore[no-any-return]


def with_a_hook(layer: nn.Module) -> nn.Module:
    layer.register_forward_pre_hook(lambda _, given: (F.pad(given[0], (1, 1)),))
    layer.register_forward_hook(lambda _, __, result: result.flip(-1))
    return layer


def with_its_own_forward(layer: nn.Module) -> nn.Module:
    layer.forward = torch.sin
    return layer


def pruned(layer: nn.Module) -> nn.Module:
    prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]
    return layer


class Mine(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  torch's name
        return super().forward(input) + 1


MODELS: dict[str, nn.Module] = {
    "by keyword": Does(lambda layer, x: layer(input=x), nn.Conv2d(8, 8, 1)),
    "two alike": nn.Sequential(nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)),
    "two sizes": nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)),
    "permuted": Does(
        lambda conv, norm, x: norm(conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)),
        nn.Conv2d(12, 8, 1),
        nn.LayerNorm(8),
    ),
    "channels last": Does(
        lambda a, b, x: b(a(x.to(memory_format=torch.channels_last))).contiguous(),
        nn.Conv2d(8, 16, 3),
        nn.Conv2d(16, 8, 3),
    ),
    "in place on a view": Does(on_a_view, nn.ReLU(inplace=True)),
    "trained within": Does(in_training, nn.BatchNorm2d(8)),
    "another stride within": Does(with_another_stride, nn.Conv2d(8, 8, 3)),
    "written weights": Does(with_written_weights, nn.Conv2d(8, 8, 1)),
    "a function mode": Does(under(Loud), nn.Conv2d(8, 8, 1)),
    "a dispatch mode": Does(under(Squared), nn.ReLU()),
    "autocast": Does(under(lambda: torch.autocast("cpu", torch.bfloat16)), nn.Conv2d(8, 8, 1)),
    "hooks": nn.Sequential(with_a_hook(nn.Conv2d(8, 8, 3)), nn.Conv2d(8, 8, 3)),
    "a forward of its own": nn.Sequential(with_its_own_forward(nn.Conv2d(8, 8, 1))),
    "a class of its own": nn.Sequential(Mine(8, 8, 1), Mine(8, 8, 1)),
    "spectral norm": nn.utils.spectral_norm(nn.Conv2d(8, 8, 1)),
    "parametrised": nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1)),
    "pruned": pruned(nn.Conv2d(8, 8, 1)),
    "bfloat16": nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU()).bfloat16(),
}


@contextmanager
def dispatched(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """All ops go through torch's dispatch."""
    with patch.context() as within:
        within.setattr(tracer, "one_op", lambda *_: None)
        yield


def traced(model: nn.Module, shape: tuple[int, ...]) -> Trace:
    dtype = next((p.dtype for p in model.parameters()), torch.float32)
    return trace(model.eval(), (torch.empty(shape, dtype=dtype),), {}, "model")


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_at_once_does_what_it_does_through_dispatch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, shape = LAYERS[name]
    model = twice(layer)
    at_once = traced(model, shape)
    with dispatched(monkeypatch):
        assert traced(model, shape) == at_once
    assert not at_once.notices


@pytest.mark.parametrize("name", MODELS)
def test_a_model_at_once_does_what_it_does_through_dispatch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = traced(MODELS[name], IMAGE)
    with dispatched(monkeypatch):
        assert traced(MODELS[name], IMAGE) == at_once


def test_a_patched_class_runs_what_it_was_patched_with(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = nn.ReLU.forward
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: plain(self, x) + 1)
    kinds = [node.op.kind for node in traced(nn.Sequential(nn.ReLU()), IMAGE).graph.nodes]
    assert kinds == ["input", "relu", "add"]


def test_each_class_is_tried() -> None:
    assert {type(layer) for layer, _ in LAYERS.values()} == set(KNOWN)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_as_many_attributes_as_is_said(name: str) -> None:
    layer, _ = LAYERS[name]
    extra = len(layer.__dict__) - len(nn.Module().__dict__)
    assert extra == ATTRIBUTES.get(type(layer), 0)


def test_what_a_user_keeps_on_a_layer_is_put_back() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 1)
            self.conv.seen = []  # type: ignore[assignment]

        def forward(self, x: Tensor) -> Tensor:
            self.conv.seen.append(x.shape)  # type: ignore[operator, union-attr]
            return self.conv(x)  # type: ignore[no-any-return]

    model = Keeps()
    traced(model, IMAGE)
    assert model.conv.seen == []
    assert "forward" not in model.conv.__dict__


def test_nothing_of_a_pass_waits_for_the_collector() -> None:
    import gc  # noqa: PLC0415  for this test alone

    model = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)).eval()
    traced(model, IMAGE)
    gc.collect()
    gc.disable()
    try:
        traced(model, IMAGE)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_state_names_each_parameter_once() -> None:
    layer = nn.Linear(3, 3)
    names = [name for name, _ in ModuleState(twice(layer)).parameters.values()]
    assert names == ["0.weight", "0.bias"]
