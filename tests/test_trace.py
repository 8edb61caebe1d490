"""Tracing a model: everything that it multiplies is seen, and nothing of it is changed.

References are arithmetic, ``sum(p.numel())``, torch's own ``FlopCounterMode`` and NaNs that are
sent through the executed model.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the field's own name for it
from oracle import Middle, largest_hole, span, start, step, widest
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import convcost
from convcost.analyses import analyse
from convcost.errors import ConvcostError
from convcost.report import Report, Row, Value, exact
from convcost.sources.model import from_module
from convcost.sources.trace import trace
from convcost.workflows.profile import ProfileRequest, profile_loaded


class Does(nn.Module):
    """Calls a function with ``parts`` before its own arguments."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*self.parts, *args, **kwargs)


class Holds(nn.Module):
    """Calls a function with bare parameters of these shapes before the input."""

    def __init__(self, function: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.rand(shape) for shape in shapes)
        self._function = function

    def forward(self, *args: Any) -> Any:
        return self._function(*self.weights, *args)


def profiled(model: nn.Module, *args: Any, **kwargs: Any) -> Report:
    loaded = from_module(model, args)._replace(kwargs=kwargs)
    return profile_loaded(loaded, ProfileRequest("model", measure=False))


def value(report: Report, key: str) -> Any:
    """A total that must be exact."""
    assert report.totals[key].status == "exact", report.totals[key]
    return report.totals[key].value


def multiplications(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return value(profiled(model, *args, **kwargs), "multiplications")


def parameters(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return value(profiled(model, *args, **kwargs), "parameters")


def layer_rows(report: Report) -> list[Row]:
    return [row for row in report.rows if row.op != "input"]


def of_rows(rows: Sequence[Row], key: str) -> list[Any]:
    return [row.values[key].value for row in rows]


@contextmanager
def no_fast_path() -> Iterator[None]:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)


def counted_by_torch(model: nn.Module, *args: Any, **kwargs: Any) -> int:
    """``FlopCounterMode`` / 2 on the meta twin: there nothing runs fused, so it sees all."""

    def twin(given: Any) -> Any:
        return given.to("meta") if isinstance(given, Tensor) else given

    there = copy.deepcopy(model).eval().requires_grad_(requires_grad=False).to("meta")
    named = {key: twin(given) for key, given in kwargs.items()}
    with no_fast_path(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        there(*map(twin, args), **named)
    return int(counter.get_total_flops()) // 2


def size_of(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# Both counts against torch's own


def conv3(channels: int = 3, outputs: int = 4, **settings: Any) -> nn.Conv2d:
    return nn.Conv2d(channels, outputs, 3, **settings)


def write_in_place(conv: nn.Module, x: Tensor) -> Tensor:
    x = x.clone()
    x[:, :, 2:4] += 1
    x[:, 1:].mul_(2).relu_()
    out = x.new_zeros(1, 8, 6, 6)
    out[:, :4] = conv(x)
    out[:, 4:].copy_(conv(x))
    out.add_(1)
    return out


def in_a_loop(conv: nn.Module, x: Tensor) -> Tensor:
    for _ in range(5):
        x = F.relu(conv(x))
    return x


def attention_by_hand(qkv: nn.Module, x: Tensor) -> Any:
    q, k, v = qkv(x).chunk(3, dim=-1)
    weights = torch.einsum("bie,bje->bij", q, k).softmax(-1)
    return torch.bmm(weights, v) @ v.transpose(1, 2)


def standardised(conv: nn.Conv2d, x: Tensor) -> Tensor:
    weight = conv.weight - conv.weight.mean(dim=(1, 2, 3), keepdim=True)
    return F.conv2d(x, weight / weight.std(dim=(1, 2, 3), keepdim=True), conv.bias)


def by_patches(linear: nn.Module, x: Tensor) -> Tensor:
    columns: Tensor = linear(F.unfold(x, 3, stride=3).transpose(1, 2))
    return columns


def hyper(makes: nn.Module, x: Tensor) -> Tensor:
    weight = makes(x.mean((2, 3))).view(4, 3, 3, 3)
    return F.conv2d(x, weight, padding=1)


def nested(conv: nn.Module, x: Tensor) -> Any:
    return {"maps": [conv(x), (conv(x).relu(), None)], "text": "as it is"}


@dataclass
class Result:
    logits: Tensor
    extra: list[Tensor]


IMAGE = (torch.rand(1, 3, 8, 8),)
WIDE = (torch.rand(2, 6, 9, 14),)
TOKENS = (torch.rand(2, 5, 8),)
MODELS: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
    "conv": (conv3(), IMAGE),
    "transposed": (nn.ConvTranspose2d(3, 4, 3, stride=2), IMAGE),
    "transposed, grouped": (nn.ConvTranspose2d(6, 4, 3, 3, 1, 2, groups=2), WIDE),
    "transposed, depthwise": (nn.ConvTranspose2d(6, 6, 4, 2, 1, groups=6), WIDE),
    "transposed, one axis": (nn.ConvTranspose1d(3, 4, 5, 3), (torch.rand(2, 3, 20),)),
    "transposed, three axes": (nn.ConvTranspose3d(3, 4, 2, 2), (torch.rand(1, 3, 3, 4, 5),)),
    "grouped": (nn.Conv2d(6, 9, 3, groups=3), WIDE),
    "depthwise": (nn.Conv2d(6, 12, 3, groups=6), WIDE),
    "padding same": (nn.Conv2d(6, 4, (4, 3), padding="same", dilation=(1, 3)), WIDE),
    "padding valid": (nn.Conv2d(6, 4, (4, 3), padding="valid"), WIDE),
    "padding reflected": (nn.Conv2d(6, 4, 3, padding=2, padding_mode="reflect"), WIDE),
    "padding circular, same": (nn.Conv2d(6, 4, 4, padding="same", padding_mode="circular"), WIDE),
    "even kernel": (nn.Conv2d(6, 4, 4, 2, 1), WIDE),
    "unlike axes": (nn.Conv2d(6, 4, (1, 5), (2, 3), (0, 4), (1, 2)), WIDE),
    "one axis": (nn.Conv1d(3, 4, 5, 2, 2), (torch.rand(2, 3, 20),)),
    "three axes": (nn.Conv3d(3, 4, (1, 3, 2), (1, 2, 1)), (torch.rand(2, 3, 5, 6, 7),)),
    "conv without a batch": (conv3(), (torch.rand(3, 8, 8),)),
    "transposed without a batch": (nn.ConvTranspose1d(3, 4, 3, 2), (torch.rand(3, 8),)),
    "linear over tokens": (nn.Linear(8, 3), TOKENS),
    "linear of a vector": (nn.Linear(8, 3), (torch.rand(8),)),
    "functional": (Holds(lambda w, b, x: F.conv2d(x, w, b), (4, 3, 3, 3), (4,)), IMAGE),
    "functional transposed": (Holds(lambda w, x: F.conv_transpose2d(x, w), (3, 4, 3, 3)), IMAGE),
    "functional linear": (Holds(lambda w, x: F.linear(x, w), (5, 8)), TOKENS),
    "matmul": (Holds(lambda w, x: x @ w, (8, 5)), TOKENS),
    "matmul from the left": (Holds(torch.matmul, (7, 5)), TOKENS),
    "matmul, broadcast": (Holds(lambda w, x: x.unsqueeze(1) @ w, (3, 8, 5)), TOKENS),
    "bmm": (Does(lambda x: torch.bmm(x, x.transpose(1, 2))), TOKENS),
    "mm": (Does(lambda x: x[0].mm(x[1].t())), TOKENS),
    "addmm": (Holds(lambda b, w, x: torch.addmm(b, x[0], w), (3,), (8, 3)), TOKENS),
    "baddbmm": (Does(lambda x: torch.baddbmm(x[:, :, :5], x, x.mT)), TOKENS),
    "einsum": (Holds(lambda w, x: torch.einsum("bchw,cd->bdhw", x, w), (3, 5)), IMAGE),
    "tensordot": (Holds(lambda w, x: torch.tensordot(x, w, dims=([1], [0])), (3, 5)), IMAGE),
    "attention by hand": (Does(attention_by_hand, nn.Linear(8, 24)), TOKENS),
    "in place": (Does(write_in_place, conv3()), IMAGE),
    "in a loop": (Does(in_a_loop, conv3(3, 3)), (torch.rand(1, 3, 20, 20),)),
    "standardised weight": (Does(standardised, conv3()), IMAGE),
    "weight norm": (nn.Sequential(parametrizations.weight_norm(conv3())), IMAGE),
    "weight made from the input": (Does(hyper, nn.Linear(3, 4 * 3 * 3 * 3)), IMAGE),
    "unfold and linear": (Does(by_patches, nn.Linear(27, 5)), (torch.rand(1, 3, 9, 9),)),
    "nested output": (Does(nested, conv3()), IMAGE),
    "output of a class": (Does(lambda c, x: Result(c(x), [x]), conv3()), IMAGE),
    "several inputs": (Does(lambda c, x, y: c(x) + c(y), conv3()), IMAGE * 2),
    "nested input": (
        Does(lambda c, x: c(x["a"]) + c(x["b"][0]), conv3()),
        ({"a": IMAGE[0], "b": [IMAGE[0], 3]},),
    ),
    "nothing at all": (nn.Identity(), IMAGE),
    "dropout": (nn.Sequential(nn.Dropout(0.5), conv3(), nn.Dropout2d()), IMAGE),
    "fourier transform": (
        Does(lambda c, x: torch.fft.irfft2(torch.fft.rfft2(c(x))), conv3()),
        IMAGE,
    ),
    "complex product": (Does(lambda x: (torch.fft.fft(x) @ torch.fft.fft(x).mT).abs()), TOKENS),
    "complex input": (
        Does(lambda c, x: c(torch.view_as_real(x).permute(0, 3, 1, 2)), conv3(2)),
        (torch.zeros(1, 8, 8, dtype=torch.complex64),),
    ),
    "tokens": (
        nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 10)),
        (torch.tensor([[1, 9, 4], [0, 0, 2]]),),
    ),
    "recurrent": (nn.GRU(8, 3, num_layers=2, bidirectional=True), TOKENS),
    "a recurrent cell": (nn.LSTMCell(8, 3), (torch.rand(2, 8),)),
    "attention": (Does(lambda m, x: m(x, x, x), nn.MultiheadAttention(8, 2)), TOKENS),
    "attention without weights": (
        Does(lambda m, x: m(x, x, x, need_weights=False), nn.MultiheadAttention(8, 2)),
        TOKENS,
    ),
    "attention to others": (
        Does(lambda m, x, y: m(x, y, y)[0], nn.MultiheadAttention(8, 4, kdim=6, vdim=6)),
        (torch.rand(5, 2, 8), torch.rand(9, 2, 6)),
    ),
    "transformer layer": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), TOKENS),
    "transformer layer, norm first": (
        nn.TransformerEncoderLayer(8, 2, 16, norm_first=True, batch_first=True),
        TOKENS,
    ),
    "transformer encoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        TOKENS,
    ),
    "transformer decoder": (
        nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 2),
        TOKENS * 2,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_multiplications_are_those_that_torch_counts(name: str) -> None:
    model, args = MODELS[name]
    assert multiplications(model, *args) == counted_by_torch(model, *args)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_all_that_the_model_has(name: str) -> None:
    model, args = MODELS[name]
    assert parameters(model, *args) == size_of(model)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_on_the_meta_device_costs_the_same(name: str) -> None:
    model, args = MODELS[name]
    here = profiled(model, *args)
    there = profiled(copy.deepcopy(model).to("meta"), *args)
    assert there.totals == here.totals
    assert there.rows == here.rows


@pytest.mark.parametrize("name", MODELS)
def test_rows_add_up_to_the_totals(name: str) -> None:
    model, args = MODELS[name]
    report = profiled(model, *args)
    for key in ("parameters", "multiplications", "activation_bytes", "bytes_moved"):
        assert sum(of_rows(report.rows, key)) == report.totals[key].value, key


# The classic mistakes, by arithmetic


def test_a_transposed_convolution_multiplies_once_per_input_position() -> None:
    model = nn.ConvTranspose2d(6, 4, (3, 2), stride=2)
    assert multiplications(model, torch.rand(2, 6, 5, 7)) == 2 * (5 * 7) * 6 * 4 * (3 * 2)


def test_a_grouped_transposed_convolution_multiplies_within_groups() -> None:
    model = nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2)
    assert multiplications(model, torch.rand(1, 6, 5, 7)) == (5 * 7) * 6 * (4 // 2) * (3 * 3)


def test_a_transposed_convolution_of_a_parameter_multiplies_once_per_input_position() -> None:
    model = Holds(lambda start, w, x: F.conv_transpose2d(start, w, stride=4) + x.mean(),
                  (1, 3, 5, 5), (3, 4, 4, 4))  # fmt: skip
    assert multiplications(model, *IMAGE) == (5 * 5) * 3 * 4 * (4 * 4)


def test_a_transposed_convolution_of_a_constant_multiplies_once_per_input_position() -> None:
    model = Does(
        lambda up, x: up(torch.ones(1, 3, 5, 5)) + x.mean(), nn.ConvTranspose2d(3, 4, 4, 4)
    )
    assert multiplications(model, *IMAGE) == (5 * 5) * 3 * 4 * (4 * 4)


def test_padding_by_name_counts_as_padding_by_number() -> None:
    named = nn.Conv2d(3, 4, 3, padding="same")
    numbered = nn.Conv2d(3, 4, 3, padding=1)
    found = multiplications(named, *IMAGE)
    assert found == multiplications(numbered, *IMAGE) == (8 * 8) * 4 * 3 * (3 * 3)


def test_a_bias_and_element_wise_work_are_no_multiplications() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sigmoid(), nn.AvgPool2d(2))
    assert multiplications(model, *IMAGE) == (8 * 8) * 4 * 3


def test_a_shared_layer_has_its_parameters_once_and_multiplies_at_each_call() -> None:
    shared = nn.Linear(8, 8)
    report = profiled(nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), shared), *TOKENS)
    assert value(report, "parameters") == 8 * 8 + 8
    assert value(report, "multiplications") == 3 * (2 * 5) * 8 * 8


def test_the_calls_of_a_shared_layer_have_rows_that_are_told_apart() -> None:
    shared = nn.Linear(8, 8)
    rows = layer_rows(profiled(nn.Sequential(shared, nn.ReLU(), shared), *TOKENS))
    assert [row.name for row in rows] == ["0", "1", "0#2"]
    assert of_rows(rows, "parameters") == [8 * 8 + 8, 0, 0]
    assert of_rows(rows, "multiplications") == [(2 * 5) * 8 * 8, 0, (2 * 5) * 8 * 8]


def test_a_weight_that_two_layers_share_counts_once() -> None:
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    second.weight = first.weight
    assert parameters(nn.Sequential(first, second), *TOKENS) == 8 * 8 + 2 * 8


def test_bare_parameters_count() -> None:
    model = Holds(lambda scale, shift, x: x * scale + shift, (3, 1, 1), (8, 8))
    assert parameters(model, *IMAGE) == 3 + 8 * 8


def test_parameters_that_nothing_reads_count() -> None:
    model = Does(lambda used, _, x: used(x), nn.Linear(8, 4), nn.Linear(5, 6))
    assert parameters(model, *TOKENS) == (8 * 4 + 4) + (5 * 6 + 6)


def test_frozen_parameters_count() -> None:
    model = nn.Linear(8, 4).requires_grad_(requires_grad=False)
    assert parameters(model, *TOKENS) == 8 * 4 + 4


def test_buffers_are_no_parameters() -> None:
    assert parameters(nn.BatchNorm2d(3), *IMAGE) == 3 + 3


def test_containers_are_not_summed_with_their_leaves() -> None:
    model = nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear(8, 4))), nn.Linear(4, 2))
    report = profiled(model, *TOKENS)
    assert [row.name for row in layer_rows(report)] == ["0.0.0", "1"]
    assert value(report, "parameters") == (8 * 4 + 4) + (4 * 2 + 2)
    assert value(report, "multiplications") == (2 * 5) * (8 * 4 + 4 * 2)


def test_work_of_a_module_beside_its_children_has_rows_of_its_own() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(8, 8)
            self.scale = nn.Parameter(torch.rand(8, 8))

        def forward(self, x: Tensor) -> Any:
            return self.inner(x) @ self.scale

    report = profiled(nn.Sequential(Mixed()), *TOKENS)
    assert of_rows(layer_rows(report), "multiplications") == [(2 * 5) * 8 * 8, (2 * 5) * 8 * 8]
    assert of_rows(layer_rows(report), "parameters") == [8 * 8 + 8, 8 * 8]


def test_an_input_without_a_batch_is_no_batch() -> None:
    report = profiled(conv3(), torch.rand(3, 8, 8))
    assert value(report, "multiplications") == (6 * 6) * 4 * 3 * (3 * 3)
    assert report.rows[-1].output_shape == (4, 6, 6)


def test_a_batch_multiplies_the_work_but_not_the_parameters() -> None:
    report = profiled(conv3(), torch.rand(5, 3, 8, 8))
    assert value(report, "multiplications") == 5 * (6 * 6) * 4 * 3 * (3 * 3)
    assert value(report, "parameters") == 4 * 3 * (3 * 3) + 4


def test_each_axis_has_its_own_kernel_stride_padding_and_dilation() -> None:
    model = nn.Conv2d(6, 4, (4, 3), (1, 2), (0, 5), (2, 3))
    rows, columns = 9 - 2 * 3, (14 + 2 * 5 - 3 * 2 - 1) // 2 + 1
    report = profiled(model, torch.rand(1, 6, 9, 14))
    assert report.rows[-1].output_shape == (1, 4, rows, columns)
    assert value(report, "multiplications") == rows * columns * 4 * 6 * (4 * 3)
    assert value(report, "receptive_field") == (2 * 3 + 1, 3 * 2 + 1)
    assert value(report, "effective_stride") == (1, 2)
    assert value(report, "receptive_field_start") == (0, -5)


def test_spectral_norm_multiplies_for_its_own_matrix_product_too() -> None:
    model = nn.Sequential(parametrizations.spectral_norm(conv3()))
    report = profiled(model, *IMAGE)
    sigma = 4 * (3 * 9) + 4
    assert value(report, "multiplications") == (6 * 6) * 4 * 3 * 9 + sigma
    assert value(report, "parameters") == size_of(model)


WITHOUT_PRODUCTS: dict[str, Callable[[Tensor], Any]] = {
    "a gated linear unit": lambda x: F.glu(x, 1),
    "nothing side by side": lambda x: torch.cat([x[0, 0, 0, :0], x[0, 0, 0, :0]]),
    "max unpooling": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), [2, 2]),
    "a fractional max pool": lambda x: F.fractional_max_pool2d(x, 2, 3),
    "a power pool": lambda x: F.lp_pool2d(x, 2, 2),
    "channel shuffle": lambda x: F.channel_shuffle(x, 2),
    "local response norm": lambda x: F.local_response_norm(x, 2),
    "complex numbers": lambda x: torch.complex(x, x).abs(),
    "a sort": lambda x: x.sort(-1)[0],
    "a mask": lambda x: x.masked_fill(x < 0, 0),
    "writing by a mask": lambda x: x.index_put_((x < 0,), torch.zeros(())),
    "sampling a grid": lambda x: F.grid_sample(x, x[:, :2].movedim(1, -1), align_corners=False),
    "folding": lambda x: F.fold(F.unfold(x, 2, stride=2), (6, 6), 2, stride=2),
    "a vector norm": F.normalize,
    "variance": lambda x: torch.var_mean(x, dim=1),
    "a cumulative sum": lambda x: x.cumsum(-1),
    "the largest few": lambda x: x.flatten(1).topk(3)[0],
    "a short time Fourier transform": lambda x: torch.stft(
        x.flatten(1), 16, window=torch.ones(16), return_complex=True
    ),
}


@pytest.mark.parametrize("name", WITHOUT_PRODUCTS)
def test_an_op_without_products_keeps_the_count_exact(name: str) -> None:
    model = Does(lambda conv, x: WITHOUT_PRODUCTS[name](conv(x)), conv3())
    model(*IMAGE)
    assert multiplications(model, *IMAGE) == (6 * 6) * 4 * 3 * 9


IN_PLACE_VIEWS: dict[str, Callable[[Tensor], Any]] = {
    "squeeze_": lambda x: x[:, :1].squeeze_(1),
    "unsqueeze_": lambda x: x.unsqueeze_(1),
    "transpose_": lambda x: x.transpose_(1, 3),
    "t_": lambda x: x[0, 0, 1:].t_(),
    "swapaxes_": lambda x: x.swapaxes_(1, 2),
}


@pytest.mark.parametrize("name", IN_PLACE_VIEWS)
def test_a_view_in_place_has_the_shape_that_torch_gives(name: str) -> None:
    told: list[Any] = []

    def forward(conv: nn.Module, x: Tensor) -> Any:
        y = IN_PLACE_VIEWS[name](conv(x))
        told.append((y.shape, y.stride()))
        return y * 2

    model = Does(forward, conv3())
    model(*IMAGE)
    assert multiplications(model, *IMAGE) == (6 * 6) * 4 * 3 * 9
    assert told[1] == told[0]


def test_an_embedding_bag_is_a_sum_of_rows() -> None:
    report = profiled(nn.EmbeddingBag(10, 4), torch.tensor([[1, 2, 3]]))
    assert value(report, "multiplications") == 0
    assert value(report, "parameters") == 10 * 4


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_a_recurrent_layer_multiplies_at_each_step(
    kind: Callable[[int, int], nn.Module], gates: int
) -> None:
    steps, batch, features, hidden = 11, 2, 5, 7
    report = profiled(kind(features, hidden), torch.rand(steps, batch, features))
    expected = steps * batch * gates * hidden * (features + hidden)
    assert value(report, "multiplications") == expected
    assert value(report, "parameters") == gates * hidden * (features + hidden + 2)


def test_a_matrix_times_a_vector_multiplies() -> None:
    assert multiplications(Holds(lambda w, x: x[0] @ w, (8,)), *TOKENS) == 5 * 8
    assert multiplications(Holds(lambda w, x: w @ x[0, 0], (8,)), *TOKENS) == 8


def test_attention_multiplies_for_scores_and_for_values() -> None:
    model = Does(lambda x: F.scaled_dot_product_attention(x, x, x[..., :6]))
    batch, tokens = 2, 5
    assert multiplications(model, *TOKENS) == batch * tokens * tokens * (8 + 6)


def test_an_op_that_is_not_known_makes_the_total_a_lower_bound_that_names_it() -> None:
    model = Does(
        lambda linear, twice, x: twice(linear(x), x), nn.Linear(8, 4), nn.Bilinear(4, 8, 3)
    )
    total = profiled(model, *TOKENS).totals["multiplications"]
    assert total.status == "lower_bound"
    assert total.value == (2 * 5) * 8 * 4
    assert "trilinear" in (total.reason or "")


LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": F.mse_loss,
    "huber": F.huber_loss,
    "smooth l1": F.smooth_l1_loss,
    "soft margin": F.soft_margin_loss,
    "binary cross entropy": F.binary_cross_entropy,
    "the same of logits": F.binary_cross_entropy_with_logits,
    "cross entropy": lambda y, x, **how: F.cross_entropy(y, x.argmax(1), **how),
}


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_in_forward_is_known(name: str, reduction: str) -> None:
    loss = LOSSES[name]
    wide = nn.Conv2d(3, 3, 5, padding=2)
    model = Does(lambda conv, x: loss(conv(x).sigmoid(), x, reduction=reduction), wide)
    report = profiled(model, torch.rand(1, 3, 8, 8))
    assert report.totals["multiplications"] == exact(8 * 8 * 3 * 3 * 25)
    assert report.totals["receptive_field"] == exact((5, 5))
    assert report.notices == ()


def test_what_differs_from_a_wider_map_sees_as_much() -> None:
    model = Does(
        lambda narrow, wide, last, x: last(F.mse_loss(narrow(x), wide(x), reduction="none")),
        nn.Conv2d(3, 3, 3, padding=1),
        nn.Conv2d(3, 3, 7, padding=3),
        nn.Conv2d(3, 1, 1),
    )
    assert profiled(model, torch.rand(1, 3, 8, 8)).totals["receptive_field"] == exact((7, 7))


def test_totals_do_not_grow_on_a_second_call() -> None:
    model = nn.Sequential(conv3(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    first = profiled(model, *IMAGE)
    assert profiled(model, *IMAGE) == first
    model(*IMAGE)
    assert profiled(model, *IMAGE) == first


def test_another_input_has_its_own_totals() -> None:
    model = conv3()
    assert multiplications(model, *IMAGE) == (6 * 6) * 4 * 3 * 9
    assert multiplications(model, torch.rand(1, 3, 5, 5)) == (3 * 3) * 4 * 3 * 9


def test_a_model_in_training_mode_is_counted_in_eval_mode() -> None:
    def forward(trains: nn.Module, runs: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = trains(runs(x)) if runs.training else runs(x)
        return out

    model = Does(forward, nn.Linear(4, 4), nn.Linear(8, 4)).train()
    assert multiplications(model, *TOKENS) == (2 * 5) * 8 * 4


def test_keyword_arguments_reach_forward() -> None:
    model = Does(lambda c, *, image, twice: c(image) + c(image) * twice, conv3())
    found = multiplications(model, image=IMAGE[0], twice=torch.ones(1))
    assert found == 2 * (6 * 6) * 4 * 3 * 9


def test_a_dict_of_inputs_is_keyword_arguments() -> None:
    model = Does(lambda c, image: c(image), conv3())
    loaded = from_module(model, {"image": IMAGE[0]})
    report = profile_loaded(loaded, ProfileRequest("model", measure=False))
    assert value(report, "multiplications") == (6 * 6) * 4 * 3 * 9


def test_channels_last_costs_the_same() -> None:
    model = nn.Sequential(conv3(), nn.BatchNorm2d(4), nn.ReLU(), conv3(4))
    last = copy.deepcopy(model)
    last.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    x = IMAGE[0].to(memory_format=torch.channels_last)
    assert profiled(last, x).rows == profiled(model, *IMAGE).rows


def test_a_view_that_torch_refuses_of_channels_last_is_refused() -> None:
    model = Does(lambda conv, x: conv(x).view(1, -1), conv3())
    x = IMAGE[0].to(memory_format=torch.channels_last)
    last = copy.deepcopy(model)
    last.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    with pytest.raises(RuntimeError, match="view size"):
        last(x)
    with pytest.raises(ConvcostError, match="view size"):
        profiled(last, x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_dtype_decides_the_bytes(dtype: torch.dtype) -> None:
    report = profiled(conv3().to(dtype), IMAGE[0].to(dtype))
    assert value(report, "parameter_bytes") == (4 * 3 * 9 + 4) * dtype.itemsize
    assert value(report, "activation_bytes") == (3 * 8 * 8 + 4 * 6 * 6) * dtype.itemsize


# What torch refuses


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


MAP = torch.rand(1, 4, 8, 8)
REFUSED: dict[str, tuple[nn.Module, Tensor]] = {
    "batch norm of other channels": (nn.BatchNorm2d(5), MAP),
    "group norm of other channels": (nn.GroupNorm(3, 6), MAP),
    "layer norm of another size": (nn.LayerNorm(7), MAP),
    "pixel shuffle of too few channels": (nn.PixelShuffle(3), MAP),
    "pixel unshuffle of another size": (nn.PixelUnshuffle(3), MAP),
    "reflection wider than the map": (nn.ReflectionPad2d(9), MAP),
    "padding wider than half a pool": (nn.MaxPool2d(2, padding=2), MAP),
    "a pool wider than the map": (nn.MaxPool2d(9), MAP),
    "a kernel wider than the map": (nn.Conv2d(4, 4, 9), MAP),
    "a crop of more than there is": (nn.ZeroPad2d(-5), MAP),
    "another dtype": (nn.Conv2d(4, 4, 3), MAP.double()),
    "integers for a convolution": (nn.Conv2d(4, 4, 3), MAP.long()),
    "integers for a linear layer": (nn.Linear(8, 3), MAP.long()),
    "unlike dtypes in a product": (Does(lambda x: x @ x.double()), MAP),
    "unlike sizes in a product": (Does(lambda x: x @ x[..., :7, :]), MAP),
    "unlike batches in a product": (Does(lambda x: x[0, :3] @ x[0, :2]), MAP),
    "mm of too many dimensions": (Does(lambda x: torch.mm(x, x)), MAP),
    "bmm of too many dimensions": (Does(lambda x: torch.bmm(x, x)), MAP),
    "bmm of unlike batches": (Does(lambda x: torch.bmm(x[0, :1], x[0])), MAP),
    "addmm of a bias that doesn't fit": (
        Does(lambda x: torch.addmm(ones(3), x[0, 0], x[0, 0])),
        MAP,
    ),
    "attention of unlike widths": (
        Does(lambda x: F.scaled_dot_product_attention(x, x[..., :4], x)),
        MAP,
    ),
    "a sum of unlike sizes": (Does(lambda x: x + x[..., :7]), MAP),
    "a sum in place into less": (Does(lambda x: x[..., :1].clone().add_(x)), MAP),
    "a copy into less": (Does(lambda x: x[..., :3].clone().copy_(x)), MAP),
    "unlike sizes side by side": (Does(lambda x: torch.cat([x, x[..., :7]], 1)), MAP),
    "a bias of another size": (
        Does(lambda x: F.conv2d(x, ones(3, 4, 1, 1), ones(2))),
        MAP,
    ),
    "a linear bias of another size": (
        Does(lambda x: F.linear(x, ones(3, 8), ones(2))),
        MAP,
    ),
    "groups that don't divide": (
        Does(lambda x: F.conv2d(x, ones(3, 2, 1, 1), groups=2)),
        MAP,
    ),
    "a stride with padding same": (
        Does(lambda x: F.conv2d(x, ones(3, 4, 1, 1), stride=2, padding="same")),
        MAP,
    ),
    "too much output padding": (nn.ConvTranspose2d(4, 4, 2, 1, output_padding=1), MAP),
    "too few dimensions for a convolution": (nn.Conv2d(4, 4, 3), MAP[0, 0]),
    "too few dimensions for a global pool": (nn.AdaptiveAvgPool2d(2), MAP[0, 0]),
    "too many dimensions for a convolution": (nn.Conv2d(4, 4, 3), MAP[None]),
    "a dimension that isn't there": (nn.Flatten(1, 7), MAP),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_torch_refuses_is_refused(name: str) -> None:
    model, x = REFUSED[name]
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        model.eval()(x)
    with pytest.raises(ConvcostError):
        profiled(model, x)


# Wrappers


PASSED_ON: dict[str, Callable[..., Any]] = {
    "checkpoint": lambda conv, x: checkpoint(conv, x, use_reentrant=False),
    "vmap": lambda conv, x: torch.func.vmap(conv)(x.unsqueeze(0)),
    "functional call": lambda conv, x: torch.func.functional_call(
        conv, dict(conv.named_parameters()), (x,)
    ),
    "autocast": lambda conv, x: torch.autocast("cpu", torch.bfloat16)(conv)(x),
    "no gradient": lambda conv, x: torch.no_grad()(conv)(x),
    "forward itself": lambda conv, x: conv.forward(x),
    "data": lambda conv, x: conv(x.data),
    "a copy": lambda conv, x: conv(copy.deepcopy(x)),
    "data parallel": lambda conv, x: nn.DataParallel(conv)(x),
}


@pytest.mark.parametrize("name", PASSED_ON)
def test_a_convolution_is_seen_through(name: str) -> None:
    report = profiled(Does(PASSED_ON[name], conv3()), *IMAGE)
    assert value(report, "multiplications") == (6 * 6) * 4 * 3 * 9
    assert value(report, "parameters") == 4 * 3 * 9 + 4


def test_a_symbolically_traced_model_costs_the_same() -> None:
    model = nn.Sequential(conv3(), nn.ReLU(), conv3(4))
    assert profiled(torch.fx.symbolic_trace(model), *IMAGE).totals == profiled(model, *IMAGE).totals


def test_a_lazy_model_is_refused_with_the_reason() -> None:
    with pytest.raises(ConvcostError, match="lazy"):
        profiled(nn.Sequential(nn.LazyConv2d(4, 3)), *IMAGE)


def test_data_parallel_costs_what_it_wraps() -> None:
    inner = nn.Sequential(conv3(), nn.ReLU())
    assert profiled(nn.DataParallel(inner), *IMAGE) == profiled(inner, *IMAGE)


def test_a_compiled_model_costs_what_it_wraps() -> None:
    inner = nn.Sequential(conv3(), nn.ReLU())
    compiled: nn.Module = torch.compile(inner)  # type: ignore[assignment]  # it is one
    assert profiled(compiled, *IMAGE) == profiled(inner, *IMAGE)


def test_a_compiled_part_is_run_uncompiled() -> None:
    part: Any = torch.compile(conv3())
    assert multiplications(nn.Sequential(part, nn.ReLU()), *IMAGE) == (6 * 6) * 4 * 3 * 9


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_part_is_seen_inside() -> None:
    part = torch.jit.script(nn.Sequential(conv3(), nn.ReLU(), conv3(4, 5)))
    model = nn.Sequential(part, nn.Conv2d(5, 2, 1))
    report = profiled(model, *IMAGE)
    inside = (6 * 6) * 4 * 3 * 9 + (4 * 4) * 5 * 4 * 9
    assert value(report, "multiplications") == inside + (4 * 4) * 2 * 5
    assert value(report, "parameters") == size_of(model)
    assert value(report, "receptive_field") == (5, 5)


@pytest.mark.parametrize("old", [nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_norms_by_hooks_cost_a_convolution(old: Callable[[nn.Module], nn.Module]) -> None:
    model = nn.Sequential(old(conv3()))
    assert value(profiled(model, *IMAGE), "parameters") == size_of(model)
    assert multiplications(model, *IMAGE) >= (6 * 6) * 4 * 3 * 9


# What a model asks a tensor


ANSWERS: dict[str, Callable[[Tensor], Any]] = {
    "device": lambda x: x.device,
    "where it is": lambda x: (x.is_cuda, x.is_cpu),
    "whether it has data": lambda x: x.is_meta,
    "shape": lambda x: (x.shape, x.size(1), x.dim(), x.ndim, x.numel(), len(x)),
    "dtype": lambda x: (x.dtype, x.is_floating_point(), x.is_complex(), x.element_size()),
    "layout": lambda x: (x.stride(), x.is_contiguous(), x.storage_offset()),
    "of a part": lambda x: (x[0, 1:].shape, x[0, 1:].stride(), x[0, 1:].is_contiguous()),
    "of a new one": lambda x: (torch.zeros(2, device=x.device).device, x.new_ones(3).device),
    "of a copy": lambda x: (x.to(x.device).device, x.cpu().device, x.double().dtype),
    "a constant's value": lambda x: torch.arange(4, device=x.device).sum().item() + x.size(0),
    "its type": lambda x: (isinstance(x, Tensor), torch.is_tensor(x)),
    "its parts": lambda x: [part.shape for part in x],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_question_is_answered_as_torch_answers_it(name: str) -> None:
    told: list[Any] = []
    model = Does(lambda conv, x: conv(told.append(ANSWERS[name](x)) or x), conv3())  # type: ignore[func-returns-value]
    model(*IMAGE)
    report = profiled(model, *IMAGE)
    assert report.notices == ()
    assert told[1] == told[0]


def test_a_meta_input_of_a_real_model_is_on_the_models_device() -> None:
    told: list[Any] = []
    model = Does(lambda conv, x: conv(told.append(x.device) or x), conv3())  # type: ignore[func-returns-value]
    profiled(model, torch.empty(1, 3, 8, 8, device="meta"))
    assert told == [torch.device("cpu")]


# What needs data


NEEDS_DATA: dict[str, Callable[..., Any]] = {
    "a condition": lambda conv, x: conv(x) if x.sum() > -1e9 else x,
    "an item": lambda conv, x: conv(x) * x.sum().item(),
    "a float": lambda conv, x: conv(x) * float(x.mean()),
    "a list": lambda conv, x: conv(x) + x[0, 0, 0].tolist()[0],
    "a mask's size": lambda conv, x: (conv(x), x[x > -1]),
    "where it isn't 0": lambda conv, x: (conv(x), x.nonzero()),
    "numpy": lambda conv, x: conv(x) + float(x.numpy().sum()),
}


@pytest.mark.parametrize("name", NEEDS_DATA)
def test_a_model_that_needs_data_is_run_on_data_and_a_notice_says_so(name: str) -> None:
    report = profiled(Does(NEEDS_DATA[name], conv3()), *IMAGE)
    assert value(report, "multiplications") == (6 * 6) * 4 * 3 * 9
    assert value(report, "parameters") == 4 * 3 * 9 + 4
    (notice,) = report.notices
    assert notice.startswith("run on data, because forward asks for values")
    assert notice.endswith("another input, or a variant, may go another way")
    assert "meta" not in notice


def test_the_op_that_needs_values_is_named() -> None:
    report = profiled(Does(NEEDS_DATA["where it isn't 0"], conv3()), *IMAGE)
    assert "asks for values (nonzero): these are the costs of one way" in report.notices[0]


def test_a_run_on_data_counts_what_a_pass_without_data_counts() -> None:
    def part(conv: nn.Module, norm: nn.Module, linear: nn.Module, x: Tensor) -> Tensor:
        x = F.relu(norm(conv(x)), inplace=True)
        x = F.max_pool2d(x, 2) + F.adaptive_avg_pool2d(x, 3)
        x = torch.cat([x, x.flip(-1)], 1).flatten(1)
        out: Tensor = linear(x)
        return out

    def looks(conv: nn.Module, norm: nn.Module, linear: nn.Module, x: Tensor) -> Tensor:
        out = part(conv, norm, linear, x)
        out.sum().item()
        return out

    parts = (conv3(), nn.BatchNorm2d(4), nn.Linear(2 * 4 * 3 * 3, 5))
    blind, seeing = profiled(Does(part, *parts), *IMAGE), profiled(Does(looks, *parts), *IMAGE)
    for key in ("parameters", "multiplications", "receptive_field", "effective_stride"):
        assert seeing.totals[key] == blind.totals[key], key
    assert seeing.rows[: len(blind.rows)] == blind.rows


def test_the_branch_that_the_data_takes_is_counted() -> None:
    def forward(positive: nn.Module, negative: nn.Module, x: Tensor) -> Any:
        return positive(x) if x.sum() > 0 else negative(x)

    model = Does(forward, nn.Linear(8, 3), nn.Linear(8, 7))
    assert multiplications(model, torch.ones(2, 8)) == 2 * 8 * 3
    assert multiplications(model, -torch.ones(2, 8)) == 2 * 8 * 7


def test_a_meta_model_that_needs_data_is_refused_with_the_reason() -> None:
    model = Does(NEEDS_DATA["an item"], conv3()).to("meta")
    with pytest.raises(ConvcostError, match=r"meta device|needs data"):
        profiled(model, *IMAGE)


# The model is as before


def picture(found: Any, seen: dict[int, int] | None = None) -> Any:
    """Everything that a value holds, as something that can be compared."""
    seen = {} if seen is None else seen
    if id(found) in seen:
        return ("again", seen[id(found)])
    if isinstance(found, (nn.Module, Tensor, list, dict, set)):
        seen[id(found)] = len(seen)
    if isinstance(found, Tensor):
        data = None if found.is_meta else found.tolist()
        grad = None if found.grad is None else found.grad.tolist()
        layout = (found.shape, found.stride(), found.dtype, found.device, found.requires_grad)
        return (id(found), type(found), layout, data, grad)
    if isinstance(found, nn.Module):
        return (id(found), type(found), [(k, picture(v, seen)) for k, v in vars(found).items()])
    if isinstance(found, dict):
        return (id(found), [(k, picture(v, seen)) for k, v in found.items()])
    if isinstance(found, (list, tuple)):
        return (type(found), [picture(v, seen) for v in found])
    return (type(found), found)


class Leaves(nn.Module):
    """A model that writes into itself wherever a model can."""

    calls: Tensor
    average: Tensor

    def __init__(self, fails: type[BaseException] | None, *, looks: bool) -> None:
        super().__init__()
        self.conv = conv3()
        self.norm = nn.BatchNorm2d(4)
        self.frozen = nn.Linear(4, 4).eval()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("average", torch.zeros(4))
        self.register_buffer("absent", None)
        self.register_buffer("cache", torch.zeros(2), persistent=False)
        self.history: list[Any] = ["before"]
        self.empty: list[Any] = []
        self.by_shape: dict[Any, Any] = {"old": 1}
        self.sizes: set[int] = {3}
        self.last: Tensor | None = None
        self._fails = fails
        self._looks = looks

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        y: Tensor = self.norm(self.conv(x))
        self.average.mul_(0.9).add_(y.mean((0, 2, 3)), alpha=0.1)
        self.cache = y.mean((0, 2, 3))
        self.absent = y
        self.last = y
        self.another = y
        self.history.append(y)
        self.history[0] = "after"
        self.empty.append(y)
        self.by_shape[y.shape] = y
        self.by_shape.pop("old")
        self.sizes.add(y.shape[-1])
        self.norm.momentum = 0.5
        self.conv.register_buffer("late", y)
        self.late = nn.Linear(2, 2)
        if self._looks:
            y = y * float(y.sum().item())
        if self._fails:
            raise self._fails
        return y


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("fails", [None, ValueError, KeyboardInterrupt])
def test_a_model_is_as_before(
    fails: type[BaseException] | None,
    looks: bool,  # noqa: FBT001
    training: bool,  # noqa: FBT001
) -> None:
    model = Leaves(fails, looks=looks).train(training)
    model.frozen.eval()
    model.conv.weight.grad = torch.ones_like(model.conv.weight)
    before = picture(model)
    if fails is None:
        profiled(model, *IMAGE)
    else:
        with pytest.raises(ConvcostError if fails is ValueError else fails):
            profiled(model, *IMAGE)
    assert picture(model) == before


@pytest.mark.parametrize("looks", [False, True])
def test_a_model_gives_the_same_output_as_before(looks: bool) -> None:  # noqa: FBT001
    model = Leaves(None, looks=looks).eval()
    kept = copy.deepcopy(model)
    profiled(model, *IMAGE)
    assert torch.equal(model(*IMAGE), kept(*IMAGE))
    assert model.state_dict().keys() == kept.state_dict().keys()


def test_the_models_gradients_flow_afterwards() -> None:
    model = nn.Sequential(conv3(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 6 * 6, 1))
    profiled(model, *IMAGE)
    assert torch.is_grad_enabled()
    model(*IMAGE).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("looks", [False, True])
def test_running_statistics_are_not_updated(looks: bool) -> None:  # noqa: FBT001
    norm = nn.BatchNorm2d(3).train()
    model = Does(lambda part, x: part(x) * (x.sum().item() if looks else 1), norm).train()
    profiled(model, *IMAGE)
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [0] * 3
    assert norm.num_batches_tracked is not None
    assert norm.num_batches_tracked.item() == 0
    assert norm.training


def written(model: nn.Module, x: Tensor) -> bool:
    """Whether profiling changes the state of a model."""
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    profiled(model, x)
    after = model.state_dict()
    return any(not torch.equal(after[key], tensor) for key, tensor in before.items())


@pytest.mark.parametrize("looks", [False, True])
def test_a_weight_that_forward_clips_keeps_its_value(looks: bool) -> None:  # noqa: FBT001
    def clips(linear: nn.Linear, x: Tensor) -> Any:
        with torch.no_grad():
            linear.weight.clamp_(-0.01, 0.01)
        return linear(x) * (x.sum().item() if looks else 1)

    assert not written(Does(clips, nn.Linear(8, 3)), *TOKENS)


@pytest.mark.parametrize("looks", [False, True])
def test_a_weight_whose_data_forward_replaces_keeps_its_value(looks: bool) -> None:  # noqa: FBT001
    def constrains(linear: nn.Linear, x: Tensor) -> Any:
        linear.weight.data = torch.renorm(linear.weight.data, p=2, dim=0, maxnorm=0.01)
        return linear(x) * (x.sum().item() if looks else 1)

    model = Does(constrains, nn.Linear(8, 3))
    assert not written(model, *TOKENS)
    assert multiplications(model, *TOKENS) == (2 * 5) * 8 * 3


@pytest.mark.parametrize("looks", [False, True])
def test_data_that_forward_writes_into_keeps_its_value(looks: bool) -> None:  # noqa: FBT001
    def writes(linear: nn.Linear, x: Tensor) -> Any:
        linear.weight.data.mul_(0.5)
        linear.weight.detach()[0].zero_()
        return linear(x) * (x.sum().item() if looks else 1)

    assert not written(Does(writes, nn.Linear(8, 3)), *TOKENS)


@pytest.mark.parametrize("looks", [False, True])
def test_the_input_keeps_its_value(looks: bool) -> None:  # noqa: FBT001
    def writes(linear: nn.Linear, x: Tensor) -> Any:
        x.mul_(0)
        return linear(x) * (x.sum().item() if looks else 1)

    x = torch.ones(2, 8)
    profiled(Does(writes, nn.Linear(8, 3)), x)
    assert x.tolist() == torch.ones(2, 8).tolist()


class Tally:
    """What a model holds that is no module, tensor or list."""

    def __init__(self) -> None:
        self.seen = 0
        self.kept: list[Any] = []


class HoldsMore(nn.Module):
    """A model that writes into what it holds two levels deep, and into a plain tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 3)
        self.levels: dict[str, list[Any]] = {"low": [], "high": ["before"]}
        self.plain = torch.zeros(3)
        self.tally = Tally()

    def forward(self, x: Tensor) -> Any:
        y = self.linear(x)
        self.levels["low"].append(y)
        self.levels["high"][0] = y
        self.plain.add_(1)
        self.tally.seen += 1
        self.tally.kept.append(y)
        return y + self.plain


def test_lists_within_dicts_are_put_back() -> None:
    model = HoldsMore()
    profiled(model, *TOKENS)
    assert model.levels == {"low": [], "high": ["before"]}


def test_a_tensor_that_is_no_buffer_keeps_its_value() -> None:
    model = HoldsMore()
    profiled(model, *TOKENS)
    assert model.plain.tolist() == [0] * 3


def test_an_object_that_a_module_holds_is_put_back() -> None:
    model = HoldsMore()
    profiled(model, *TOKENS)
    assert model.tally.seen == 0
    assert model.tally.kept == []


def test_hooks_run_and_stay() -> None:
    ran: list[str] = []
    model = nn.Sequential(nn.Linear(8, 4))
    model[0].register_forward_pre_hook(lambda *_: ran.append("before"))
    model[0].register_forward_hook(lambda *_: ran.append("after"))
    model.register_forward_hook(lambda *_: ran.append("whole"))
    before = picture(model)
    profiled(model, *TOKENS)
    assert ran == ["before", "after", "whole"]
    assert picture(model) == before


def test_what_a_hook_does_is_counted() -> None:
    model = nn.Sequential(nn.Linear(8, 4))
    extra = torch.rand(4, 6)
    model[0].register_forward_hook(lambda _, __, out: out @ extra)
    assert multiplications(model, *TOKENS) == (2 * 5) * (8 * 4 + 4 * 6)


def test_a_hook_that_fails_leaves_the_model_as_it_was() -> None:
    def fail(*_: Any) -> None:
        raise ValueError("from the hook")

    model = nn.Sequential(nn.Linear(8, 4))
    model[0].register_forward_hook(fail)
    before = picture(model)
    with pytest.raises(ConvcostError, match="from the hook"):
        profiled(model, *TOKENS)
    assert picture(model) == before


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("fast", [False, True])
def test_torchs_own_switches_are_as_before(fast: bool, fails: bool) -> None:  # noqa: FBT001
    call = nn.Module.__call__
    width = 7 if fails else 8
    torch.backends.mha.set_fastpath_enabled(value=fast)
    try:
        if fails:
            with pytest.raises(ConvcostError):
                profiled(nn.Linear(8, 4), torch.rand(2, width))
        else:
            profiled(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), *TOKENS)
        assert torch.backends.mha.get_fastpath_enabled() is fast
    finally:
        torch.backends.mha.set_fastpath_enabled(value=True)
    assert nn.Module.__call__ is call
    assert not torch.is_inference_mode_enabled()


def test_parametrisations_stay() -> None:
    model = nn.Sequential(parametrizations.spectral_norm(conv3())).train()
    assert not written(model, *IMAGE)
    assert parametrize.is_parametrized(model[0])


def test_random_numbers_are_drawn_as_if_nothing_had_run() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Linear(8, 4))
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    profiled(model, *TOKENS)
    assert torch.equal(torch.rand(3), expected)


# The receptive field is what NaNs reach


HEIGHT, WIDTH = 40, 52
CHANNELS = 4


class Residual(nn.Module):
    def __init__(self, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, stride, dilation, dilation)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, 1, 1)
        self.shortcut = nn.Conv2d(4, 4, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.norm(self.first(x)))) + self.shortcut(x))


def convnext(
    depthwise: nn.Module, norm: nn.Module, up: nn.Module, down: nn.Module, x: Tensor
) -> Any:
    y = norm(depthwise(x).permute(0, 2, 3, 1))
    return x + down(F.gelu(up(y))).permute(0, 3, 1, 2)


def shifted(conv: nn.Module, x: Tensor) -> Any:
    sides = ((0, 3, 0, 0), (3, 0, 0, 0), (2, 1, 4, -4), (1, 2, -1, 1))
    return torch.cat([F.pad(conv(x), pad)[..., 3:-3] for pad in sides], 1)


def padded(mode: str) -> nn.Module:
    return Does(lambda conv, x: conv(F.pad(x, (2, 3, 1, 2), mode=mode)), conv4(3, stride=2))


def conv4(kernel_size: Any, **settings: Any) -> nn.Conv2d:
    return nn.Conv2d(4, 4, kernel_size, **settings)


def resized(mode: str, factor: float, **settings: Any) -> nn.Module:
    def forward(before: nn.Module, after: nn.Module, x: Tensor) -> Any:
        return after(F.interpolate(before(x), scale_factor=factor, mode=mode, **settings))

    return Does(forward, conv4(3, stride=2), conv4(3))


def unet(down: nn.Module, low: nn.Module, up: nn.Module, last: nn.Module, x: Tensor) -> Any:
    high = down(x)
    return last(torch.cat([high, up(low(F.max_pool2d(high, 2)))], 1))


def written_slice(conv: nn.Module, x: Tensor) -> Any:
    y = torch.zeros_like(x)
    y[:, :2] = conv(x)[:, :2]
    y[:, 2:] = x[:, 2:]
    return y


def split_and_shuffled(conv: nn.Module, x: Tensor) -> Any:
    left, right = x.chunk(2, dim=1)
    joined = torch.cat([left, conv(right)], 1)
    n, c, h, w = joined.shape
    return joined.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


LOCAL: dict[str, nn.Module] = {
    "one convolution": conv4((3, 5), stride=(2, 1), padding=(1, 0)),
    "residual": nn.Sequential(Residual(), Residual(2), Residual()),
    "dilated": nn.Sequential(Residual(1, 2), conv4(3, dilation=(4, 2), padding=(4, 2))),
    "gridded": nn.Sequential(conv4(3, dilation=2), conv4(3, dilation=4)),
    "even kernels": nn.Sequential(conv4(4, stride=2), conv4(2)),
    "max pool": nn.Sequential(
        conv4(3), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((2, 3), dilation=(1, 2))
    ),
    "average pool": nn.Sequential(conv4(3), nn.AvgPool2d((3, 2), 2), conv4(3)),
    "transposed": nn.Sequential(conv4(3, stride=2), nn.ConvTranspose2d(4, 4, 4, 2, 1), conv4(3)),
    "pixel shuffle": nn.Sequential(nn.Conv2d(4, 16, 3, 2), nn.PixelShuffle(2), conv4(3)),
    "pixel unshuffle": nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(16, 4, 3)),
    "nearest": resized("nearest", 2),
    "nearest, smaller": nn.Sequential(conv4(3), nn.Upsample(scale_factor=0.5), conv4(3)),
    "nearest, smaller, of an odd size": nn.Sequential(
        conv4(2), nn.Upsample(scale_factor=0.5), conv4(3)
    ),
    "bilinear, of a factor that doesn't fit": resized("bilinear", 1.5, align_corners=False),
    "bilinear": resized("bilinear", 2, align_corners=False),
    "ConvNeXt block": Does(convnext, nn.Conv2d(4, 4, 7, padding=3, groups=4), nn.LayerNorm(4),
                           nn.Linear(4, 16), nn.Linear(16, 4)),
    "shifted paddings": Does(shifted, conv4(3)),
    "every second position": Does(lambda conv, x: conv(conv(x)[..., ::2, 1::2]), conv4(3)),
    "a crop": Does(lambda conv, x: conv(conv(x)[..., 3:-2, 4:]), conv4(3)),
    "focus": Does(lambda conv, x: conv(torch.cat([x[..., i::2, j::2] for i in (0, 1)
                                                  for j in (0, 1)], 1)), nn.Conv2d(16, 4, 3)),
    "padded by constants": padded("constant"),
    "padded by reflection": padded("reflect"),
    "padded by replication": padded("replicate"),
    "padded in a circle": padded("circular"),
    "padding same": nn.Sequential(conv4(4, padding="same"), conv4((2, 3), padding="same")),
    "parallel kernels": Does(lambda a, b, x: a(x) + b(x), conv4((1, 5), padding=(0, 2)),
                             conv4((3, 1), padding=(1, 0))),
    "U-Net": Does(unet, conv4(3, padding=1), conv4(3, padding=1), nn.ConvTranspose2d(4, 4, 2, 2),
                  nn.Conv2d(8, 4, 3)),
    "batch norm and activations": nn.Sequential(conv4(3), nn.BatchNorm2d(4), nn.Hardswish(),
                                                nn.Dropout(), nn.PReLU(4)),
    "writing into slices": Does(written_slice, conv4(3, padding=1)),
    "shuffled channels": Does(split_and_shuffled, nn.Conv2d(2, 2, 3, padding=1)),
    "attention over channels only": Does(
        lambda conv, x: conv(x) * torch.softmax(conv(x), 1), conv4(3)
    ),
    "a matrix over channels": Holds(lambda w, x: torch.einsum("bchw,cd->bdhw", x, w), (4, 6)),
    "flattened and folded back": Does(
        lambda conv, x: conv(conv(x).flatten(2).mT.contiguous().mT.unflatten(2, (38, 50))),
        conv4(3),
    ),
    "axes swapped and back": Does(lambda conv, x: conv(conv(x).mT).mT, conv4((3, 5))),
    "rolled": Does(lambda conv, x: conv(torch.roll(conv(x), (1, -2), (2, 3))), conv4(3)),
}  # fmt: skip


def reached(model: nn.Module, axis: int) -> list[frozenset[int]] | None:
    """For each output column across ``axis`` the input columns that reach it.

    None where all of the output sees all of the input.
    """
    size = (HEIGHT, WIDTH)[axis]
    sample = torch.rand(size + 1, CHANNELS, HEIGHT, WIDTH, dtype=torch.float64)
    for position in range(size):
        sample[position].select(axis + 1, position).fill_(math.nan)
    there = copy.deepcopy(model).double().eval()
    with torch.inference_mode(), no_fast_path():
        output = there(sample).isnan()
    assert not output[-1].any(), "the model makes NaNs of its own"
    if output[:-1].all():
        return None
    columns = output[:-1].any(1).movedim(axis + 1, 0).flatten(2).any(2)
    return [frozenset(column.nonzero()[:, 0].tolist()) for column in columns]


def seen_values(model: nn.Module) -> dict[str, Value]:
    """What convcost says of the output's field."""
    with torch.inference_mode():
        graph, _ = trace(model.eval(), (torch.rand(1, CHANNELS, HEIGHT, WIDTH),), {}, "model")
    return analyse(graph).rows[graph.output]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", LOCAL)
def test_the_receptive_field_is_what_reaches_the_output(name: str, axis: int) -> None:
    columns = reached(LOCAL[name], axis)
    assert columns is not None
    third = len(columns) // 3
    middle = Middle(third, columns[third : 2 * third + 2])
    repeats = step(middle.seen)
    found = {key: entry for key, entry in seen_values(LOCAL[name]).items() if "field" in key}
    assert {entry.status for entry in found.values()} == {"exact"}, found
    stride = seen_values(LOCAL[name])["effective_stride"].value
    assert isinstance(stride, tuple)

    def told(key: str) -> Any:
        numbers = found[f"receptive_field{key}"].value
        assert isinstance(numbers, tuple)
        return numbers[axis]

    most = widest(middle.seen)
    assert told("") == span(most[0])
    assert stride[axis] == repeats.stride
    assert told("_start") == start(middle, repeats)
    assert told("_largest_hole") in {largest_hole(seen) for seen in most}


def squeezed(conv: nn.Module, gate: nn.Module, x: Tensor) -> Any:
    return conv(x) * torch.sigmoid(gate(F.adaptive_avg_pool2d(x, 1)))


def squeezed_by_mean(conv: nn.Module, gate: nn.Module, x: Tensor) -> Any:
    return conv(x) * torch.sigmoid(gate(x.mean((2, 3)))).unsqueeze(-1).unsqueeze(-1)


def attends(layer: nn.Module, x: Tensor) -> Any:
    tokens: Tensor = layer(x[..., ::5, ::5].flatten(2).transpose(1, 2))
    return tokens


def patches(conv: nn.Module, layer: nn.Module, x: Tensor) -> Any:
    y = conv(x)
    return layer(y.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, y.shape[2:])


def by_position(conv: nn.Module, x: Tensor) -> Any:
    flat = conv(x).flatten(2)
    return torch.softmax(flat.mT @ flat, -1) @ flat.mT


def layer_of(width: int) -> nn.Module:
    return nn.TransformerEncoderLayer(width, 2, 8, batch_first=True)


GLOBAL: dict[str, nn.Module] = {
    "flatten and linear": nn.Sequential(
        conv4(4, stride=4), nn.Flatten(), nn.Linear(4 * 10 * 13, 2)
    ),
    "global pool": nn.Sequential(conv4(3), nn.AdaptiveAvgPool2d(1), conv4(1)),
    "global max pool": Does(lambda conv, x: conv(x).amax((2, 3), keepdim=True), conv4(3)),
    "squeeze and excite": Does(squeezed, conv4(3), conv4(1)),
    "squeeze and excite by mean": Does(squeezed_by_mean, conv4(3), nn.Linear(4, 4)),
    "vision transformer": Does(patches, conv4(4, stride=4), layer_of(4)),
    "self-attention by hand": Does(by_position, conv4(4, stride=4)),
    "group norm": nn.Sequential(conv4(3), nn.GroupNorm(2, 4)),
    "instance norm": nn.Sequential(conv4(3), nn.InstanceNorm2d(4)),
    "layer norm over positions": nn.Sequential(conv4(1), nn.LayerNorm((HEIGHT, WIDTH))),
    "fourier transform": Does(
        lambda conv, x: torch.fft.irfft2(torch.fft.rfft2(conv(x))) * 1.0, conv4(3)
    ),
    "softmax over positions": Does(
        lambda conv, x: conv(x).flatten(2).softmax(-1).unflatten(2, (38, 50)), conv4(3)
    ),
    "global pool after attention": Does(lambda a, x: attends(a, x).mean(1), layer_of(4)),
}


@pytest.mark.parametrize("name", GLOBAL)
def test_what_mixes_all_positions_has_a_global_field(name: str) -> None:
    model = GLOBAL[name]
    if name != "global pool after attention":  # it leaves out four positions of five
        assert reached(model, 0) is None
        assert reached(model, 1) is None
    assert seen_values(model)["receptive_field"] == Value("exact", "global")


def test_a_matrix_along_one_axis_is_global_there_alone() -> None:
    model = Holds(lambda w, x: x @ w, (WIDTH, 6))
    found = seen_values(model)["receptive_field"]
    assert found.status == "exact"
    assert found.value == (1, "global")
    assert reached(model, 1) is None
    rows = reached(model, 0)
    assert rows is not None
    assert [set(seen) for seen in rows] == [{row} for row in range(HEIGHT)]


def test_bounds_are_never_below_what_reaches_the_output() -> None:
    flips = Does(lambda conv, x: conv(x) + conv(x).flip(-1), conv4(3))
    found = seen_values(flips)["receptive_field"]
    columns = reached(flips, 1)
    assert columns is not None
    most = max(span(seen) for seen in columns)
    assert found.status in {"upper_bound", "unavailable"}
    if isinstance(found.value, tuple):
        bound = found.value[1]
        assert bound == "global" or (isinstance(bound, int) and bound >= most)


def test_each_row_sees_what_its_layer_sees() -> None:
    model = nn.Sequential(conv4(3), nn.MaxPool2d(2), conv4(3, dilation=2), nn.Flatten())
    rows = layer_rows(profiled(model, torch.rand(1, 4, 20, 20)))
    assert of_rows(rows, "receptive_field")[:3] == [(3, 3), (4, 4), (4 + 2 * 4,) * 2]
    assert of_rows(rows, "effective_stride")[:3] == [(1, 1), (2, 2), (2, 2)]


def test_names_of_rows_are_unique() -> None:
    shared = conv3(3, 3)
    model = Does(lambda a, b, x: a(b(a(x))) + x[..., 6:, 6:], shared, conv3(3, 3))
    names = [row.name for row in profiled(model, *IMAGE).rows]
    assert len(set(names)) == len(names) > 3


class Chooses(nn.Module):
    """Goes one of several ways, by a value."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.again = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.first(x)
        for _ in range(int(1e6 * y.abs().sum().item()) % 7):
            y = self.again(y)
        return y


def test_a_pass_that_asks_for_values_goes_one_way_and_says_so() -> None:
    model = Chooses()
    reports = [convcost.profile(model, input=(1, 3, 12, 12), measure=False) for _ in range(4)]
    assert len({len(report.rows) for report in reports}) == 1
    assert "another input, or a variant, may go another way" in reports[0].notices[0]


def test_the_second_count_takes_no_fast_path_for_attention() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    report = convcost.profile(layer, input=(1, 12, 8), measure=False, verify=True)
    products = next(row for row in report.verification if row.name == "matrix products")
    # of query, key and value, of the output, and of both linear layers
    expected = 12 * 8 * (3 * 8 + 8 + 2 * 16)
    assert products.values["flop_counter_multiplications"].value == expected
