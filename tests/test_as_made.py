"""Models measured as they were made, and everything of the process as before afterwards."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from cli import convcost, interrupted
from torch import Tensor, nn

import convcost as package
from convcost.errors import ConvcostError
from convcost.measure import machine
from convcost.measure.execute import protocol
from convcost.measure.in_place import on_device
from convcost.measure.intervals import Estimate
from convcost.measure.machine import settled, with_seed
from convcost.measure.models import on_its_device
from convcost.measure.place import format_of, torch_errors
from convcost.measure.precision import as_convolutions, in_full_precision
from convcost.measure.settings import Settings
from convcost.measure.trust import instrument_doubt
from convcost.workflows.compare import CompareRequest
from convcost.workflows.compare_model import load

QUICK = Settings(seconds=0.2)


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)).eval()


def placed(model: nn.Module, *, last: bool) -> nn.Module:
    layout = torch.channels_last if last else torch.contiguous_format
    for weight in model.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=layout)
    return model


def test_a_profile_says_the_dtype_and_the_memory_format_of_the_model() -> None:
    model = placed(small().to(torch.bfloat16), last=True)
    found = package.profile(model, input=(1, 3, 16, 16), settings=QUICK).environment
    assert (found["dtype"], found["memory_format"]) == ("bfloat16", "channels_last")
    assert package.profile(small(), input=(1, 3, 8, 8), measure=False).environment["dtype"] == (
        "float32"
    )


@pytest.mark.parametrize("last", [False, True])
def test_weights_tell_their_memory_format(last: bool) -> None:  # noqa: FBT001
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Linear(3, 3))
    expected = "channels_last" if last else "contiguous"
    assert format_of(placed(model, last=last)) == expected


HALF = """
import torch
from torch import nn

net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)).bfloat16()
"""


def test_a_comparison_says_the_dtype_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(HALF)
    options = ("--input", "1x3x16x16", "--variant", "separable", "--seconds", "0.2")
    ran = convcost("compare", "net.py", *options, "--format", "json", folder=tmp_path)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["environment"]["dtype"] == "bfloat16"


def test_an_imported_model_is_measured_in_each_dtype_on_weights_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from torch import nn\n\nnet = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n"
    (tmp_path / "shared_net_of_a_test.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = package.compare(
        "shared_net_of_a_test:net",
        variants=["standard"],
        settings=QUICK,
        axes={"dtype": ("float32", "bfloat16"), "memory_format": ("contiguous", "channels_last")},
    )
    assert len(found.rows) == 4
    assert all(row.values["latency"].rounds for row in found.rows)


VIEWED = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.conv(x).view(x.shape[0], -1)
"""


def test_what_torch_refuses_is_told_with_the_settings_that_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(VIEWED)
    formats = ("--memory-format", "contiguous,channels_last")
    options = ("--input", "1x3x16x16", "--variant", "standard", "--seconds", "0.2", *formats)
    ran = convcost("compare", "net.py", *options, folder=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "torch can't run this on cpu as float32 (channels_last): view size" in ran.err


STRIDED = """
from torch import nn

net = nn.Sequential(*(nn.Conv2d(8 if i else 3, 8, 3, 2, 1) for i in range(4)))
"""


def test_ctrl_c_keeps_what_was_measured_of_a_model_that_could_be_dense(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(STRIDED)
    options = ("--input", "1x3x64x64", "--seconds", "60", "--format", "json")
    ran = interrupted(b"measuring, round", ("compare", "net.py", *options), tmp_path)
    assert ran.code == 2
    found = json.loads(ran.out)
    assert found["interrupted"] is True
    assert any(row["variant"].startswith("dense") for row in found["rows"])


def test_a_forward_of_the_instance_stays_and_is_what_is_timed() -> None:
    model, calls = small(), [0]

    def forward(x: Tensor) -> Tensor:
        calls[0] += 1
        return x

    model[2].forward = forward  # type: ignore[index]
    report = package.profile(model, input=(1, 3, 16, 16), settings=QUICK)
    rounds: Any = report.totals["latency"].rounds
    assert calls[0] > 2 * rounds
    assert vars(model[2])["forward"] is forward  # type: ignore[index]


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        noisy: Tensor = x + torch.rand(3, 1, 1)
        return noisy if noisy.mean() > 0 else x


def test_random_numbers_go_on_as_if_nothing_had_been_drawn(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(STRIDED)
    own = small()
    before = torch.get_rng_state()
    source = os.fspath(tmp_path / "net.py")
    package.compare(source, variants=["separable"], settings=QUICK)
    package.profile(source, input=(1, 3, 64, 64), settings=QUICK)
    package.profile(own, input=(1, 3, 16, 16), settings=QUICK)
    package.profile(own, input=(1, 3, 16, 16), measure=False, verify=True)
    package.profile(Noisy(), input=(1, 3, 16, 16), settings=QUICK)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_seed_fixes_a_models_weights(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(STRIDED)

    def weights(seed: int) -> Tensor:
        request = CompareRequest(
            os.fspath(tmp_path / "net.py"),
            inputs=((1, 3, 64, 64),),
            settings=Settings(seed=seed),
        )
        return next(load(request, lambda *_: None, real=True)[0].module.parameters())

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_denormals_are_as_before_afterwards() -> None:
    tiny = torch.tensor(5e-324, dtype=torch.float64)
    for flush in (True, False):
        torch.set_flush_denormal(flush)
        try:
            with settled(1), with_seed(0):
                assert (tiny * 1).item() == 0
            assert ((tiny * 1).item() == 0) is flush
        finally:
            torch.set_flush_denormal(False)


def test_a_gpu_that_starts_later_has_the_users_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    torch.manual_seed(42)
    with with_seed(0):
        assert seeds[-1] == 0
    assert seeds[-1] == 42


def test_a_model_of_several_dtypes_keeps_them() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3).to(torch.bfloat16), nn.BatchNorm2d(8))
    args = [torch.zeros(1, 3, 8, 8, dtype=torch.bfloat16)]
    on_its_device(model, args, {}, Settings(memory_format="channels_last"))
    assert [parameter.dtype for parameter in model.parameters()] == [
        *(torch.bfloat16,) * 2,
        *(torch.float32,) * 2,
    ]
    assert format_of(model) == "channels_last"


def test_inputs_go_where_the_model_runs_even_without_parameters() -> None:
    (there,), _ = on_device([torch.zeros(1, 3)], {}, torch.device("meta"))
    assert there.is_meta


def test_what_a_full_gpu_answers_is_told_as_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: torch.device) -> int:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(machine, "free_bytes", full)
    with pytest.raises(ConvcostError, match=r"run this on cpu .*: CUDA error: out of memory"):
        package.compare(settings=QUICK)
    with pytest.raises(ConvcostError, match=r"run this on cpu .*: CUDA error: out of memory"):
        package.profile(small(), input=(1, 3, 16, 16), settings=QUICK)


def test_an_error_without_a_text_is_told_by_its_name() -> None:
    with pytest.raises(ConvcostError, match="NotImplementedError"), torch_errors(Settings()):
        raise NotImplementedError


@pytest.mark.parametrize("settings", [Settings(compile="on"), Settings(cuda_graph=True)])
def test_settings_that_a_command_can_not_follow_are_refused(settings: Settings) -> None:
    with pytest.raises(ConvcostError, match="profile times calls as they are"):
        package.profile(small(), input=(1, 3, 16, 16), settings=settings)
    with pytest.raises(ConvcostError, match=r"measure\(\) times calls as they are"):
        package.measure({"a": lambda: None}, settings=settings)
    assert package.profile(small(), input=(1, 3, 16, 16), settings=settings, measure=False).rows


def test_an_accelerator_waits_for_one_thread() -> None:
    assert protocol(torch.device("cpu"), 16, QUICK).threads == 16
    assert protocol(torch.device("cuda"), 16, QUICK).threads == 1


def test_a_module_without_data_is_told_what_it_lacks() -> None:
    with torch.device("meta"):
        model = small()
    with pytest.raises(ConvcostError, match="on the meta device"):
        package.profile(model, input=(1, 3, 16, 16))
    with pytest.raises(ConvcostError, match="device can't be 'cuda:0'"):
        package.measure({"a": lambda: None}, settings=Settings(device="cuda:0"))  # type: ignore[arg-type]


def test_clocks_that_take_longer_than_the_layers_are_told() -> None:
    def cost(median: float) -> Estimate:
        return Estimate(median, median, median, median, 0.99, 20)

    assert instrument_doubt(cost(2.9)) == ""
    assert "with their clocks a pass takes 3.20× of one without" in instrument_doubt(cost(3.2))


def test_matrix_products_get_the_precision_of_convolutions_on_cuda() -> None:
    product: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    before = product.fp32_precision
    with as_convolutions(torch.device("cuda")):
        assert product.fp32_precision == cudnn.conv.fp32_precision
    assert product.fp32_precision == before


def test_a_proof_runs_in_full_precision() -> None:
    backends: Any = torch.backends
    settings = (backends.cudnn.conv, backends.cuda.matmul, backends.mkldnn.conv)
    before = [each.fp32_precision for each in settings]
    assert before[0] == "tf32"
    with in_full_precision():
        assert [each.fp32_precision for each in settings] == ["ieee"] * 3
    assert [each.fp32_precision for each in settings] == before


def test_a_module_without_data_is_counted_a_second_time() -> None:
    with torch.device("meta"):
        model, x = small(), torch.zeros(1, 3, 16, 16)
    report = package.profile(model, input=x, verify=True, measure=False)
    assert report.verification


def test_the_effective_field_of_an_unbatched_image_in_channels_last(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\n"
        "net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True))\n"
        "net = net.to(memory_format=torch.channels_last)\n"
        "example_inputs = torch.zeros(3, 16, 16)\n"
    )
    options = ("--effective-field", "--seconds", "0.2", "--format", "json")
    ran = convcost("profile", "net.py", *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["environment"]["memory_format"] == "channels_last"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("example_inputs = {'input': (1, 3, 8, 8)}", "no input is given by position"),
        ("example_inputs = (3, 8)\nnet = nn.Linear(8, 2)", "the first input is no image"),
        ("nn.init.zeros_(net[0].weight)", "the gradient is 0 everywhere"),
        (
            (
                "class Net(nn.Conv2d):\n    def forward(self, x):\n"
                "        return super().forward(x)[..., 1:].flatten(1)\nnet = Net(3, 4, 3)"
            ),
            "the last feature map isn't what a module of the model gives",
        ),
    ],
)
def test_an_effective_field_that_cannot_be_shown_says_why(
    text: str, reason: str, tmp_path: Path
) -> None:
    net = "from torch import nn\nnet = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())\n"
    (tmp_path / "net.py").write_text(f"{net}example_inputs = (1, 3, 8, 8)\n{text}\n")
    ran = convcost("profile", "net.py", "--effective-field", "--no-measure", folder=tmp_path)
    assert ran.code == 0, ran.err
    assert f"note: the effective receptive field can't be shown: {reason}" in ran.err


def test_a_model_that_cannot_be_copied_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import threading\nfrom torch import nn\n\n"
        "net = nn.Sequential(nn.Conv2d(3, 8, 3))\nnet.lock = threading.Lock()\n"
    )
    options = ("--variant", "standard", "--seconds", "0.2", "--dtype", "float32,bfloat16")
    ran = convcost("compare", "net.py", "--input", "1x3x8x8", *options, folder=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "can't be copied" in ran.err


def test_a_precision_that_is_every_ones_stays_so() -> None:
    backends: Any = torch.backends
    before = backends.fp32_precision
    try:
        backends.fp32_precision = "ieee"
        with in_full_precision():
            pass
        with as_convolutions(torch.device("cpu")):
            pass
        backends.fp32_precision = "none"
        assert backends.mkldnn.conv.fp32_precision == "none"
        assert backends.mkldnn.matmul.fp32_precision == "none"
    finally:
        backends.fp32_precision = before
