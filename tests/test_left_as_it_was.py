"""A pass leaves the user's model as it was, whatever its forward writes to."""

from __future__ import annotations

import functools
import importlib
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import Does
from torch import Tensor, nn

import convcost


class Remembers(nn.Module):
    """Calls ``write`` with itself and a feature map; ``kept`` is what a user keeps."""

    def __init__(self, kept: Any, write: Callable[[Any, Tensor], object]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.kept = kept
        self._write = write

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self._write(self, y)
        return y  # type: ignore[no-any-return]


class Table(dict[Any, Any]):
    pass


class Slotted:
    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen: list[Any] = []


class Holds:
    def __init__(self) -> None:
        self.mean = torch.zeros(4)


def store(model: Any, y: Tensor) -> None:
    model.kept[y.shape] = torch.zeros_like(y)


CONTAINERS: dict[str, tuple[Any, Callable[[Any, Tensor], object]]] = {
    "dict": ({}, store),
    "defaultdict": (defaultdict(list), store),
    "a class of dict": (Table(a=1), store),
    "OrderedDict": (OrderedDict(a=1), store),
    "Counter": (Counter("aab"), lambda model, y: model.kept.update([tuple(y.shape)])),
    "list": ([1], lambda model, y: model.kept.append(y)),
    "list in a tuple": (([],), lambda model, y: model.kept[0].append(y)),
    "set": ({1}, lambda model, y: model.kept.add(y.shape)),
    "nested": ({"a": [{}]}, lambda model, y: model.kept["a"][0].update(b=y)),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_forward_keeps_in_a_container_is_gone(name: str) -> None:
    kept, write = CONTAINERS[name]
    before, kind = repr(kept), type(kept)
    model = Remembers(kept, write).eval()
    convcost.profile(model, input=(1, 3, 8, 8), measure=False)
    assert (repr(model.kept), type(model.kept)) == (before, kind)
    assert model.kept is kept


class Counts(nn.Module):
    """Changes a buffer, and a plain tensor of its own, in each pass."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("seen", torch.zeros(4))
        self.cache = torch.zeros(1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.seen.mul_(0.9).add_(1)
        self.cache.add_(1)
        return y  # type: ignore[no-any-return]


@pytest.mark.parametrize("asked", [{"measure": True}, {"measure": False, "verify": True}])
def test_what_forward_computes_into_buffers_is_gone_when_it_ran(asked: dict[str, Any]) -> None:
    model = Counts().train()
    settings = convcost.Settings(seconds=0.05)
    convcost.profile(model, input=(1, 3, 8, 8), settings=settings, **asked)
    assert not model.seen.any()
    assert not model.cache.any()
    assert model.training


def test_a_model_that_is_imported_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from torch import nn\nmodel = nn.Sequential(nn.Conv2d(3, 8, 3)).train()\n"
    text += "wrapped = nn.DataParallel(model)\n"
    (tmp_path / "imported_model.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    model = importlib.import_module("imported_model").model
    settings = convcost.Settings(dtype="float16", memory_format="channels_last")
    for name in ("model", "wrapped"):
        convcost.compare(f"imported_model:{name}", settings=settings, measure=False)
    assert (model.training, model[0].weight.dtype) == (True, torch.float32)
    assert model[0].weight.is_contiguous()


def test_what_an_object_with_slots_holds_is_as_it_was() -> None:
    model = Remembers(Slotted(), lambda model, y: model.kept.seen.append(y)).eval()
    convcost.profile(model, input=(1, 3, 8, 8), measure=False)
    assert model.kept.seen == []


@pytest.mark.parametrize("kept", [Holds(), [torch.zeros(4)], {"a": (torch.zeros(4),)}])
def test_tensors_in_containers_keep_their_values_in_a_pass_on_data(kept: Any) -> None:
    held = (
        kept.mean
        if isinstance(kept, Holds)
        else kept[0]
        if isinstance(kept, list)
        else kept["a"][0]
    )

    def write(_: Any, y: Tensor) -> None:
        held.add_(y.mean((0, 2, 3)))
        assert y.sum().item() == y.sum().item()

    convcost.profile(Remembers(kept, write).eval(), input=torch.ones(1, 3, 8, 8), measure=False)
    assert not held.any()


def test_a_hook_that_takes_itself_off_is_there_again() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    handle: Any = model[0].register_forward_hook(lambda *_: handle.remove())
    convcost.profile(model, input=(1, 3, 8, 8), measure=False)
    assert len(model[0]._forward_hooks) == 1
    handle.remove()
    assert not model[0]._forward_hooks


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_a_hook_that_the_first_pass_puts_on_is_gone(register: str) -> None:
    def watch(model: Any, _: Tensor) -> None:
        if not hasattr(model, "watched"):
            model.watched = getattr(model.conv, register)(lambda *_: seen.append("call"))

    seen: list[str] = []
    model = Remembers(None, watch)
    convcost.profile(model, input=(1, 3, 8, 8), measure=False)
    assert not model.conv._forward_hooks
    assert not model.conv._forward_pre_hooks
    seen.clear()
    for _ in range(2):
        model(torch.zeros(1, 3, 8, 8))
    assert seen == ["call"]


def test_parameters_ask_for_gradients_as_before() -> None:
    model = Remembers(None, lambda model, _: model.conv.weight.requires_grad_(False)).eval()  # noqa: FBT003
    convcost.profile(model, input=(1, 3, 8, 8), measure=False)
    assert model.conv.weight.requires_grad


OUTSIDE: dict[Any, Any] = {}


@functools.lru_cache
def lately(y: Tensor) -> Tensor:
    return torch.zeros_like(y)


@functools.cache
def always(y: Tensor) -> Tensor:
    return torch.zeros_like(y)


@functools.cache
def pair(y: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(y), torch.zeros_like(y)


@functools.lru_cache
def tables(y: Tensor) -> dict[str, list[Tensor]]:
    return {"shifts": [torch.zeros_like(y)]}


def remembered_pair(y: Tensor) -> Any:
    return OUTSIDE.setdefault("masks", (torch.zeros_like(y), torch.zeros_like(y)))


CACHES: dict[str, Callable[[Any, Tensor], object]] = {
    "a dict": lambda _, y: y.add_(OUTSIDE.setdefault("mask", torch.zeros_like(y))),
    "a dict of tuples": lambda _, y: y.add_(remembered_pair(y)[1]),
    "a cache of tuples": lambda _, y: y.add_(pair(y)[1]),
    "a cache of tables": lambda _, y: y.add_(tables(y)["shifts"][0]),
    "lru_cache": lambda _, y: y.add_(lately(y)),
    "cache": lambda _, y: y.add_(always(y)),
}


@pytest.mark.parametrize("name", CACHES)
def test_a_cache_outside_the_model_forgets_the_pass(name: str) -> None:
    model = Remembers(None, CACHES[name]).eval()
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        expected = model.conv(x)
    report = convcost.profile(model, input=x, measure=False)
    assert report.notices == ()
    assert not OUTSIDE
    with torch.no_grad():
        assert torch.equal(model(x), expected)
    OUTSIDE.clear()


def test_a_pass_on_data_finds_nothing_of_the_one_without() -> None:
    @functools.cache
    def mask(size: tuple[int, ...]) -> Tensor:
        return torch.full(size, 0.5)

    def write(_: Any, y: Tensor) -> None:
        y.add_(mask((1, 4, 64, 64)))
        y.sum().item()

    model = Remembers(None, write).eval()
    x = torch.rand(1, 3, 66, 66)
    report = convcost.profile(model, input=x, measure=False)
    assert len(report.notices) == 1
    assert "run on data" in report.notices[0]
    with torch.no_grad():
        assert torch.equal(model(x), model.conv(x) + 0.5)


def test_a_cached_constant_serves_training_too() -> None:
    @functools.cache
    def ramp(size: int) -> Tensor:
        return torch.arange(size) / size

    model = Does(lambda conv, x: conv(x) * ramp(6), nn.Conv2d(3, 4, 3))
    convcost.profile(model, input=(1, 3, 8, 8), measure=False)
    model(torch.rand(1, 3, 8, 8)).sum().backward()


def test_a_constant_made_in_inference_mode_may_be_written_to() -> None:
    with torch.inference_mode():
        table = torch.zeros(6)
    model = Remembers(table, lambda model, y: y.add_(model.kept.add_(1)))
    report = convcost.profile(model, input=(1, 3, 8, 8), measure=False)
    assert report.notices == ()
    assert torch.equal(table, torch.zeros(6))


def test_a_circle_of_garbage_is_no_cache() -> None:
    def go_round(_: Any, y: Tensor) -> None:
        circle: list[Any] = [y]
        circle.append(circle)

    report = convcost.profile(Remembers(None, go_round), input=(1, 3, 8, 8), measure=False)
    assert report.notices == ()


class Elsewhere:
    mask: Tensor | None = None


def test_what_is_kept_elsewhere_gives_an_error_and_no_garbage() -> None:
    def write(_: Any, y: Tensor) -> None:
        if Elsewhere.mask is None:
            Elsewhere.mask = torch.zeros_like(y)
        y.add_(Elsewhere.mask)

    model = Remembers(None, write).eval()
    report = convcost.profile(model, input=(1, 3, 8, 8), measure=False)
    assert len(report.notices) == 1
    assert report.notices[0].startswith("forward keeps tensors outside the model; ")
    with torch.no_grad(), pytest.raises(RuntimeError, match="clear that cache first"):
        model(torch.zeros(1, 3, 8, 8))
    with pytest.raises(convcost.ConvcostError, match="clear that cache first"):
        convcost.profile(model, input=(1, 3, 8, 8), measure=False)
    Elsewhere.mask = None
    assert convcost.profile(model, input=(1, 3, 8, 8), measure=False).totals == report.totals
    Elsewhere.mask = None


def test_a_traced_layer_within_a_model_runs() -> None:
    layer = torch.jit.trace(nn.Conv2d(3, 8, 3).eval(), torch.rand(1, 3, 8, 8))  # type: ignore[no-untyped-call]
    model = nn.Sequential(layer, nn.ReLU()).eval()
    totals = convcost.profile(model, input=(1, 3, 8, 8), measure=False).totals
    assert totals["parameters"].value == 3 * 8 * 9 + 8
    assert totals["multiplications"].value == 36 * 3 * 8 * 9


def test_a_script_runs_in_eval_mode_and_goes_on_in_training() -> None:
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
    script = torch.jit.script(nn.Sequential(*layers))
    found = convcost.profile(script, input=(1, 3, 16, 16), measure=False).totals
    assert found["receptive_field"].value == (5, 5)
    assert script.training
    assert all(module.training for module in script.modules())
