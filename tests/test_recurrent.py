"""Recurrent layers and models over tokens: one op a layer, and positions along the tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import Does
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.flop_counter import FlopCounterMode

import convcost
from convcost.report import GLOBAL, Value

LAYERS: dict[str, nn.Module] = {
    "GRU": nn.GRU(8, 6),
    "GRU, batch first": nn.GRU(8, 6, batch_first=True),
    "GRU, deep, both ways": nn.GRU(8, 6, num_layers=3, bidirectional=True, bias=False),
    "RNN": nn.RNN(8, 6, nonlinearity="relu"),
    "RNN, both ways": nn.RNN(8, 6, bidirectional=True),
    "LSTM": nn.LSTM(8, 6, num_layers=2),
    "LSTM, projected": nn.LSTM(8, 6, proj_size=4, bidirectional=True),
}


def rows(model: nn.Module, *args: Tensor) -> list[convcost.Row]:
    report = convcost.profile(model, input=args, measure=False, expand=True)
    return [row for row in report.rows if row.op in ("gru", "lstm", "rnn", "state")]


def tensors_of(output: tuple[Tensor, Any]) -> list[Tensor]:
    states = output[1]
    return [output[0], *([states] if isinstance(states, Tensor) else states)]


@pytest.mark.parametrize("shape", [(5, 2, 8), (5, 8)], ids=["batch", "single"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_one_op_with_the_shapes_that_it_gives(name: str, shape: tuple[int, ...]) -> None:
    layer, x = LAYERS[name], torch.rand(shape)
    batched = [
        tuple(t.unsqueeze(1).shape) if len(shape) == 2 else tuple(t.shape)
        for t in tensors_of(layer(x))
    ]
    if len(shape) == 2 and layer.batch_first:
        batched[0] = (1, *shape[:1], batched[0][-1])
    found = rows(layer, x)
    assert [row.op for row in found] == [
        name[:4].strip(",").lower(),
        *("state",) * (len(found) - 1),
    ]
    assert [row.output_shape for row in found] == batched


def counted(model: nn.Module, x: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    total: int = counter.get_total_flops()
    return total // 2


def packed(layer: nn.Module, x: Tensor) -> Tensor:
    sequences = pack_padded_sequence(x, torch.tensor([5, 3]))
    return pad_packed_sequence(layer(sequences)[0])[0]


@pytest.mark.parametrize("name", [name for name in LAYERS if name[:4] != "LSTM"])
def test_multiplications_are_those_that_torch_counts_step_by_step(name: str) -> None:
    x = torch.rand(5, 2, 8)
    for model in (LAYERS[name], *([Does(packed, LAYERS[name])] * ("first" not in name))):
        report = convcost.profile(model, input=(x,), measure=False)
        assert report.totals["multiplications"] == Value("exact", counted(model, x))


def test_a_projected_lstm_multiplies_for_its_projection_too() -> None:
    layer = nn.LSTM(8, 6, num_layers=2, proj_size=4)
    report = convcost.profile(layer, input=(5, 2, 8), measure=False)
    steps, gates = 5 * 2, 4 * 6
    first, second = gates * (8 + 4) + 6 * 4, gates * (4 + 4) + 6 * 4
    assert report.totals["multiplications"].value == steps * (first + second)
    assert report.totals["parameters"].value == sum(p.numel() for p in layer.parameters())


def test_features_that_do_not_fit_are_told_in_torchs_words() -> None:
    settings: dict[str, Any] = {
        "has_biases": True,
        "num_layers": 1,
        "dropout": 0.0,
        "train": False,
        "bidirectional": False,
        "batch_first": False,
    }
    model = Does(
        lambda gru, x: torch.gru(
            x, hx=torch.zeros(1, 2, 6), params=list(gru.parameters()), **settings
        ),
        nn.GRU(8, 6),
    )
    with pytest.raises(convcost.ConvcostError, match="7"):
        convcost.profile(model, input=(5, 2, 7), measure=False)
    report = convcost.profile(model, input=(5, 2, 8), measure=False)
    assert report.totals["parameters"].value == 3 * 6 * (8 + 6 + 2)


def attending(batch_first: bool) -> nn.Module:  # noqa: FBT001
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first).eval()


TOKENS: dict[str, tuple[nn.Module, Tensor, Value]] = {
    "attention": (attending(batch_first=True), torch.rand(2, 5, 8), Value("exact", GLOBAL)),
    "attention along the first": (
        attending(batch_first=False),
        torch.rand(5, 2, 8),
        Value("exact", GLOBAL),
    ),
    "attention over words": (
        nn.Sequential(nn.Embedding(9, 8), attending(batch_first=True)),
        torch.zeros(2, 5, dtype=torch.long),
        Value("exact", GLOBAL),
    ),
    "each by itself": (
        nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 4)),
        torch.rand(2, 5, 8),
        Value("exact", (1,)),
    ),
    "a recurrent layer": (
        nn.GRU(8, 6),
        torch.rand(5, 2, 8),
        Value("upper_bound", GLOBAL, reason="each step sees those before it"),
    ),
}


@pytest.mark.parametrize("name", TOKENS)
def test_without_convolutions_positions_lie_along_the_tokens(name: str) -> None:
    model, x, expected = TOKENS[name]
    report = convcost.profile(model, input=(x,), measure=False)
    assert report.totals["receptive_field"] == expected


def test_features_alone_have_no_positions() -> None:
    report = convcost.profile(nn.Linear(8, 4), input=(2, 8), measure=False)
    assert report.totals["receptive_field"].status == "unavailable"


def test_the_positions_of_an_image_are_its_last_dimensions() -> None:
    model: Callable[[Tensor], Tensor] = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    report = convcost.profile(model, input=(1, 3, 4, 4), measure=False)  # type: ignore[arg-type]
    assert report.rows[0].values["receptive_field"].value == (1, 1)
    assert report.rows[-1].values["receptive_field"].value == GLOBAL


def test_a_packed_sequence_of_one_is_followed() -> None:
    def packed_first(layer: nn.Module, x: Tensor) -> Any:
        sequences = pack_padded_sequence(x, torch.tensor([24]), batch_first=True)
        return pad_packed_sequence(layer(sequences)[0], batch_first=True)[0]

    model = Does(packed_first, nn.LSTM(4, 4, batch_first=True))
    report = convcost.profile(model, input=(1, 24, 4), measure=False)
    assert report.totals["multiplications"].value == 24 * 16 * (4 + 4)
