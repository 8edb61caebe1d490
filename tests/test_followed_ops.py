"""Ops whose meaning is easily missed, against torch's own gradients, storage and results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the field's own name for it
from networks import Does
from torch import Tensor, nn

import convcost
from convcost.analyses.receptive_field.axis import IDENTITY, AxisField
from convcost.analyses.receptive_field.positions import bits, shift
from convcost.analyses.receptive_field.resize import resize
from convcost.report import Report, Row


def profiled(model: nn.Module, given: object) -> Report:
    return convcost.profile(model, input=given, measure=False)


def field_of(report: Report) -> tuple[object, str]:
    found = report.totals["receptive_field"]
    return found.value, found.status


def op(report: Report, kind: str) -> Row:
    return next(row for row in report.rows if row.op == kind)


def seen(axis: AxisField, output: int) -> set[int]:
    assert axis.phases is not None
    times, phase = divmod(output, axis.period)
    found = shift(axis.phases[phase], times * axis.jump)
    return {found.start + i for i in range(found.span) if bits(found) >> i & 1}


MODES: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest"},
    "nearest_exact": {"mode": "nearest-exact"},
    "bilinear": {"mode": "bilinear"},
    "bicubic": {"mode": "bicubic"},
    "antialiased": {"mode": "bilinear", "antialias": True},
    "antialiased_bicubic": {"mode": "bicubic", "antialias": True},
}


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("size", [5, 7, 8, 9, 16, 36, 50])
@pytest.mark.parametrize("mode", MODES)
def test_a_resize_reads_what_its_gradients_reach(mode: str, size: int, corners: bool) -> None:  # noqa: FBT001
    before = 24
    options = MODES[mode] | ({"align_corners": True} if corners else {})
    if corners and mode.startswith("nearest"):
        pytest.skip("torch has no corners there")
    x = torch.rand(1, 1, before, 3, dtype=torch.float64, requires_grad=True)
    y = F.interpolate(x, size=(size, 3), **options)
    axis = resize(IDENTITY, before, size, None, mode=mode, align_corners=corners)
    compared = 0
    for output in range(size):
        (gradient,) = torch.autograd.grad(y[0, 0, output].sum(), x, retain_graph=True)
        reached = {i for i in range(before) if gradient[0, 0, i].abs().max() > 1e-12}
        read = seen(axis, output)
        if min(read) < 0 or max(read) >= before:
            # at the border torch clamps what it reads
            assert reached <= read | {0, before - 1}
            continue
        assert reached == read
        compared += 1
    assert compared or size == 5


def test_the_larger_of_two_maps_is_taken_position_by_position() -> None:
    def forward(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
        a, b = first(x).chunk(2, 1)
        return second(torch.max(a, torch.min(a, b)))  # type: ignore[no-any-return]

    model = Does(forward, nn.Conv2d(3, 8, 3), nn.Conv2d(4, 4, 5))
    assert field_of(profiled(model, (1, 3, 16, 16))) == ((7, 7), "exact")


def test_running_statistics_mix_no_positions() -> None:
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    assert field_of(profiled(nn.Sequential(nn.Conv2d(3, 4, 3), norm), (1, 3, 16, 16))) == (
        (3, 3),
        "exact",
    )
    mixing = nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4))
    assert field_of(profiled(mixing, (1, 3, 16, 16)))[0] == "global"


def test_a_vector_for_each_token_has_a_dimension_of_its_own() -> None:
    model = Does(
        lambda embed, conv, x: conv(embed(x).transpose(1, 2)),
        nn.Embedding(10, 16),
        nn.Conv1d(16, 8, 3),
    )
    report = profiled(model, torch.zeros(1, 50, dtype=torch.long))
    assert field_of(report) == ((3,), "exact")
    # a shape is enough: what an embedding reads are numbers of tokens
    assert field_of(profiled(model, (1, 50))) == ((3,), "exact")


def test_a_table_that_is_computed_has_positions_of_its_own() -> None:
    def forward(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
        table = first(x)[0].t()
        rows = F.embedding(torch.tensor([[0, 2, 4, 6]]), table)
        return second(rows.transpose(1, 2))  # type: ignore[no-any-return]

    model = Does(forward, nn.Conv1d(4, 8, 3), nn.Conv1d(8, 8, 3))
    assert profiled(model, (1, 4, 32)).totals["receptive_field"].status != "exact"


@pytest.mark.parametrize("on_the_left", [False, True])
def test_a_product_with_a_vector_has_a_dimension_less(on_the_left: bool) -> None:  # noqa: FBT001
    vector = nn.Linear(1, 8, bias=False)

    def forward(first: nn.Module, second: nn.Module, holder: nn.Linear, x: Tensor) -> Tensor:
        weights = holder.weight[:, 0]
        kept = first(x)
        mixed = weights @ kept if on_the_left else kept.transpose(1, 2) @ weights
        return second(torch.relu(mixed).unsqueeze(1))  # type: ignore[no-any-return]

    model = Does(forward, nn.Conv1d(4, 8, 3), nn.Conv1d(1, 1, 5), vector)
    assert field_of(profiled(model, (1, 4, 32))) == ((7,), "exact")


@pytest.mark.parametrize("length", [2, 2000])
def test_constants_in_front_move_the_positions_behind_them(length: int) -> None:
    def forward(conv: nn.Module, x: Tensor) -> Tensor:
        return conv(torch.cat([torch.zeros(1, 4, length), x], 2))  # type: ignore[no-any-return]

    report = profiled(Does(forward, nn.Conv1d(4, 4, 3)), (1, 4, 32))
    assert report.totals["receptive_field_start"].value == (-length,)


@pytest.mark.parametrize("size", [16, 40])
def test_what_is_written_into_a_constant_is_read_from_it(size: int) -> None:
    """Constants of up to 4,096 scalars are computed for real; 40×40 has more."""

    def forward(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
        y = torch.zeros(1, 4, size, size)
        y += first(x)
        return second(torch.relu(y))  # type: ignore[no-any-return]

    model = Does(forward, nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    assert field_of(profiled(model, (1, 4, size, size))) == ((5, 5), "exact")


@pytest.mark.parametrize("size", [16, 40])
def test_what_is_written_into_parts_of_a_constant_is_read_from_the_whole(size: int) -> None:
    def forward(first: nn.Module, second: nn.Module, third: nn.Module, x: Tensor) -> Tensor:
        y = torch.zeros(1, 8, size, size)
        y[:, :4] = first(x)
        y[:, 4:] = second(x)
        return third(y)  # type: ignore[no-any-return]

    parts = (nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 5, padding=2), nn.Conv2d(8, 4, 3))
    report = profiled(Does(forward, *parts), (1, 4, size, size))
    assert field_of(report) == ((7, 7), "exact")


class TestMemory:
    """What torch holds and moves, by its own storages."""

    def test_a_view_of_weights_is_free(self) -> None:
        class Product(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.weight = nn.Parameter(torch.zeros(100, 50))

            def forward(self, x: Tensor) -> Tensor:
                return x @ self.weight.t()

        report = convcost.profile(Product(), input=(1, 50), measure=False, expand=True)
        assert op(report, "transpose").values["activation_bytes"].value == 0
        assert op(report, "transpose").values["bytes_moved"].value == 0
        assert report.totals["bytes_moved"].value == 4 * (50 + 100 * 50 + 100)

    @pytest.mark.parametrize("transposed", [False, True])
    def test_a_reshape_copies_where_strides_cant_show_it(self, transposed: bool) -> None:  # noqa: FBT001
        def forward(conv: nn.Module, x: Tensor) -> Tensor:
            y = conv(x)
            return (y.transpose(1, 2) if transposed else y).reshape(1, -1)  # type: ignore[no-any-return]

        x = torch.zeros(1, 3, 8, 8)
        conv = nn.Conv2d(3, 4, 3)
        y = conv(x)
        copied = forward(conv, x).untyped_storage().nbytes() if transposed else 0
        assert copied in (0, y.numel() * 4)
        report = convcost.profile(Does(forward, conv), input=x, measure=False, expand=True)
        assert op(report, "reshape").values["activation_bytes"].value == copied
        assert op(report, "reshape").values["bytes_moved"].value == 2 * copied

    @pytest.mark.parametrize(
        "change",
        [
            lambda x: F.pad(x, (1, 1, 1, 1)),
            lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
            lambda x: F.pixel_shuffle(x, 2),
            lambda x: F.pixel_unshuffle(x, 2),
        ],
    )
    def test_channels_stay_last_as_torch_leaves_them(
        self, change: Callable[[Tensor], Tensor]
    ) -> None:
        def forward(conv: nn.Module, x: Tensor) -> Tensor:
            return change(conv(x)).permute(0, 2, 3, 1).contiguous()

        conv = nn.Conv2d(4, 8, 1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = torch.zeros(1, 4, 8, 8).to(memory_format=torch.channels_last)
        last = change(conv(x)).is_contiguous(memory_format=torch.channels_last)
        report = convcost.profile(Does(forward, conv), input=x, measure=False, expand=True)
        assert ("copy" not in [row.op for row in report.rows]) == last

    def test_a_parameter_that_is_repeated_is_copied(self) -> None:
        class Token(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.token = nn.Parameter(torch.zeros(1, 1, 8))

            def forward(self, x: Tensor) -> Tensor:
                return torch.cat([self.token.repeat(4, 1, 1), x], 1)

        report = convcost.profile(Token(), input=(4, 3, 8), measure=False, expand=True)
        assert op(report, "repeat").values["activation_bytes"].value == 4 * 8 * 4

    def test_what_is_written_into_a_dropouts_output_is_written_once(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.ReLU(inplace=True)).eval()
        rows = profiled(model, (1, 3, 8, 8)).rows[1:]
        assert [row.op for row in rows] == ["conv", "dropout", "relu"]
        assert rows[-1].values["bytes_moved"].value == 2 * 4 * 4 * 6 * 6

    def test_dropout_gives_its_input_in_eval_mode(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.Dropout2d(inplace=True))
        report = profiled(model.eval(), (1, 3, 8, 8))
        rows = [row for row in report.rows if "dropout" in row.op]
        assert len(rows) == 2
        assert [row.values["bytes_moved"].value for row in rows] == [0, 0]
        assert [row.values["activation_bytes"].value for row in rows] == [0, 0]


class Decides(nn.Module):
    """Can only be followed on data; hands a buffer of its own on."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.memory = torch.zeros(1, 4, 6, 6)
        self.spread = torch.zeros(1).expand(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x - self.mean.to(x.device))
        self.memory.copy_(y)
        return y if y.sum() > 0 else -y  # type: ignore[no-any-return]


def test_a_pass_on_data_leaves_nothing_on_the_users_tensors() -> None:
    model = Decides()
    first = profiled(model, (1, 3, 8, 8))
    assert vars(model.mean) == {}
    assert not model.memory.any()
    assert profiled(model, (1, 3, 8, 8)).totals == first.totals


def test_forward_may_import_what_stands_beside_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "beside_it.py").write_text("FACTOR = 2\n")
    (folder / "late.py").write_text(
        "from torch import nn\n\n\nclass Model(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 4, 3)\n"
        "    def forward(self, x):\n        from beside_it import FACTOR\n"
        "        return FACTOR * self.conv(x)\n"
    )
    monkeypatch.chdir(tmp_path)
    report = convcost.profile("models/late.py", input=(1, 3, 8, 8), measure=False)
    assert report.totals["parameters"].value == 4 * (27 + 1)
