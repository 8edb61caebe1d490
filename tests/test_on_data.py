"""A pass on data records what one without data records, node by node."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the field's own name for it
from networks import Does
from test_trace import MODELS
from torch import Tensor, nn

import convcost
from convcost.graph import Graph
from convcost.report import Value
from convcost.sources import trace
from convcost.sources.module_state import ModuleState
from convcost.sources.on_data import DataTracer
from convcost.sources.tracer import Tracer


def conv(channels: int = 3, out: int = 8, size: int = 3) -> nn.Module:
    return nn.Conv2d(channels, out, size, padding=size // 2)


def half_written(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    y[:, :4] = second(y)[:, :4]
    return y  # type: ignore[no-any-return]


def constant_written(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    made = torch.zeros(1, 8, 16, 16)
    made[:, :4] = second(first(x))[:, :4]
    return made


def view_written(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    y.view(1, 8, 256).copy_(second(y).view(1, 8, 256))
    return y  # type: ignore[no-any-return]


def added_into(first: nn.Module, second: nn.Module, x: Tensor) -> Any:
    y = first(x)
    made = torch.empty_like(y)
    torch.add(y, 1.0, out=made)
    return second(made)


def multiplied_into_a_constant(first: nn.Module, second: nn.Module, x: Tensor) -> Any:
    y, made = first(x), torch.empty(1, 8, 16, 16)
    torch.matmul(y, y, out=made)
    return second(made)


def joined_into_a_view(first: nn.Module, second: nn.Module, x: Tensor) -> Any:
    y, made = first(x), torch.empty(1, 9, 16, 16)
    torch.cat([y[:, 1:], y[:, :1]], 1, out=made[:, :8])
    return second(made[:, :8])


def added_to_each(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y, other = first(x), first(x) + 1
    torch._foreach_add_([y, other], [second(y), second(other)])
    return y  # type: ignore[no-any-return]


IMAGE = (torch.rand(1, 3, 16, 16),)
WRITES: dict[str, Any] = {
    "half written": half_written,
    "a constant written": constant_written,
    "a view written": view_written,
    "added to each": added_to_each,
    "added into": added_into,
    "laid side by side": lambda first, second, x: second(torch.vstack([first(x), first(x)])),
    "multiplied into a constant": multiplied_into_a_constant,
    "joined into a view": joined_into_a_view,
}
CASES: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
    **MODELS,
    **{name: (Does(write, conv(), conv(8, 8, 5)), IMAGE) for name, write in WRITES.items()},
    "dropout": (nn.Sequential(conv(), nn.Dropout(), conv(8)), IMAGE),
    "dropout in place": (nn.Sequential(conv(), nn.Dropout(inplace=True), conv(8)), IMAGE),
    "a cast to itself": (Does(lambda c, x: c(x).float().to(torch.float32), conv()), IMAGE),
    "one channel filled": (
        Does(lambda c, x: c(x).index_fill_(1, torch.tensor(0), 0.0), conv()),
        IMAGE,
    ),
    "a constant joined": (
        Does(lambda c, x: c(torch.cat([x, torch.zeros(1, 1, 16, 16)], 1)), conv(4)),
        IMAGE,
    ),
    "zeros that are added to": (
        Does(lambda c, x: torch.zeros_like(c(x)).add_(c(x)), conv()),
        IMAGE,
    ),
    "squeezed in place": (Does(lambda c, x: c(x).transpose_(2, 3).unsqueeze_(0), conv()), IMAGE),
    "fast attention": (nn.TransformerEncoderLayer(8, 2, 16), (torch.rand(5, 2, 8),)),
    "a sum of losses": (
        Does(lambda c, x: F.mse_loss(c(x), torch.zeros(1, 8, 16, 16)), conv()),
        IMAGE,
    ),
}


def traced(model: nn.Module, args: tuple[Any, ...], kind: type[Tracer]) -> Graph:
    state = ModuleState(model)
    tracer = trace._tracer(state, kind)
    kept = state.kept_with_data() if kind is DataTracer else state.kept()
    with trace._apart(state), kept:
        return trace._run(state, model, args, {}, "model", tracer)


@pytest.mark.parametrize("name", CASES)
def test_a_pass_on_data_records_the_same(name: str) -> None:
    model, args = CASES[name]
    without, on_data = (traced(model, args, kind) for kind in (Tracer, DataTracer))
    assert on_data == without


def test_what_is_written_before_a_value_is_asked_for_is_seen() -> None:
    def asks(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
        y = half_written(first, second, x)
        return y * 2 if float(y.sum()) > 1e30 else y

    report = convcost.profile(Does(asks, conv(), conv(8, 8, 5)), input=IMAGE, measure=False)
    assert "run on data" in report.notices[0]
    assert report.totals["receptive_field"] == Value("exact", (7, 7))


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (added_into, Value("exact", (7, 7))),
        (
            added_to_each,
            Value("unavailable", None, reason="at _foreach_add_: _foreach_add_ isn't known"),
        ),
        (multiplied_into_a_constant, Value("exact", ("global", "global"))),
        (joined_into_a_view, Value("exact", (7, 7))),
    ],
)
def test_what_is_written_by_out_is_seen(write: Any, expected: Value) -> None:
    model = Does(write, conv(), conv(8, 8, 5))
    report = convcost.profile(model, input=IMAGE, measure=False)
    assert report.totals["receptive_field"] == expected


def test_a_constant_that_out_overwrites_is_put_back() -> None:
    kept = torch.zeros(8, 1, 1)

    def shifted(layer: nn.Module, x: Tensor) -> Any:
        return layer(x) * torch.add(torch.ones(8, 1, 1), 1.0, out=kept)

    convcost.profile(Does(shifted, conv()), input=IMAGE, measure=False)
    assert torch.equal(kept, torch.zeros(8, 1, 1))


OUTSIDE = torch.ones(8, 1, 1)


class Held(nn.Module):
    """Writes into a plain tensor of its own and into one outside, piece by piece."""

    def __init__(self, *, asks: bool) -> None:
        super().__init__()
        self.conv = conv()
        self.held = torch.ones(8, 1, 1)
        self.asks = asks

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.held[0] = 9
        OUTSIDE[1].add_(1)
        OUTSIDE[1].add_(1)
        self.held[:4] = y.mean((0, 2, 3))[:4, None, None]
        z = y * self.held * OUTSIDE
        return z * 2 if self.asks and float(z.sum()) > 1e30 else z  # type: ignore[no-any-return]


@pytest.mark.parametrize("asks", [False, True])
def test_pieces_of_the_users_tensors_are_seen_and_put_back(asks: bool) -> None:  # noqa: FBT001
    model = Held(asks=asks)
    report = convcost.profile(model, input=IMAGE, measure=False)
    assert report.totals["receptive_field"] == Value("exact", "global")
    assert torch.equal(model.held, torch.ones(8, 1, 1))
    assert torch.equal(OUTSIDE, torch.ones(8, 1, 1))


def test_a_cell_that_forward_makes_is_counted() -> None:
    model = Does(lambda x: nn.LSTMCell(8, 8)(x)[0])
    report = convcost.profile(model, input=(2, 8), measure=False)
    assert report.totals["multiplications"] == Value("exact", 2 * 32 * (8 + 8) // 2)
