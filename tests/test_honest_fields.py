"""No field is called exact that isn't: odd models against the gradients of their own outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the field's own name for it
from networks import Does
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import convcost
from convcost.report import GLOBAL, Value


class Case(NamedTuple):
    """A model, its input's shape, the input's and output's dims with positions, and the status."""

    model: nn.Module
    shape: tuple[int, ...]
    status: str = "exact"
    dims: tuple[int, ...] = (2, 3)
    out_dims: tuple[int, ...] | None = None


LINE, IMAGE = (1, 3, 24), (1, 3, 16, 16)


def conv(channels: int = 3, out: int = 8, size: int = 3) -> nn.Module:
    return nn.Conv2d(channels, out, size, padding=size // 2)


def conv1(channels: int = 3, out: int = 8, size: int = 3) -> nn.Module:
    return nn.Conv1d(channels, out, size, padding=size // 2)


def over_positions(first: nn.Module, recurrent: nn.Module, x: Tensor) -> Tensor:
    return recurrent(first(x).transpose(1, 2))[0].transpose(1, 2)  # type: ignore[no-any-return]


def one_direction(first: nn.Module, recurrent: nn.Module, x: Tensor) -> Tensor:
    return over_positions(first, recurrent, x)[:, :8]


def along_rows(first: nn.Module, recurrent: nn.Module, x: Tensor) -> Tensor:
    rows = first(x)[0].permute(2, 1, 0)
    return recurrent(rows)[0].permute(2, 1, 0)[None]  # type: ignore[no-any-return]


def state_at_each_position(first: nn.Module, recurrent: nn.Module, x: Tensor) -> Tensor:
    steps = first(x).permute(0, 2, 1)
    return recurrent(steps)[1].permute(0, 2, 1)  # type: ignore[no-any-return]


def from_a_mean(first: nn.Module, recurrent: nn.Module, x: Tensor) -> Tensor:
    y = first(x).transpose(1, 2)
    return recurrent(y, y.mean(1)[None])[0].transpose(1, 2)  # type: ignore[no-any-return]


def frame_by_frame(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return torch.stack([second(y[:, :, t]) for t in range(y.shape[2])], 2)


def weights_of_the_input(layer: nn.Module, x: Tensor) -> Tensor:
    return F.conv2d(x, layer(x.mean((2, 3))).view(4, 3, 3, 3), padding=1)


def matrix_of_the_input(first: nn.Module, layer: nn.Module, x: Tensor) -> Tensor:
    weight = layer(x.mean((0, 2, 3))).view(8, 8)
    return F.linear(first(x).permute(0, 2, 3, 1), weight).permute(0, 3, 1, 2)


def scores(first: nn.Module, x: Tensor) -> Tensor:
    tokens = first(x).transpose(1, 2)
    return torch.baddbmm(torch.zeros(1, 24, 24), tokens, tokens.transpose(1, 2))


def added_mean(first: nn.Module, x: Tensor) -> Tensor:
    tokens = first(x)[0].t()
    return torch.addmm(tokens.mean(0, keepdim=True), tokens, torch.ones(8, 8)).t()[None]


def neighbours(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    tokens = first(x).transpose(1, 2)
    y = tokens.clone()
    y[:, 1:] += tokens[:, :-1]
    y[:, :-1] += tokens[:, 1:]
    return second(y).transpose(1, 2)  # type: ignore[no-any-return]


def later(first: nn.Module, x: Tensor) -> Tensor:
    tokens = first(x).transpose(1, 2)
    y = torch.zeros_like(tokens)
    y[:, 3:] = tokens[:, :-3]
    return y.transpose(1, 2)


def without_the_first(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return y - y[..., :1]  # type: ignore[no-any-return]


def gated(first: nn.Module, gate: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return y * gate(y).sigmoid()  # type: ignore[no-any-return]


def between_channels(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    tokens = y.flatten(2)[:, None]
    return F.scaled_dot_product_attention(tokens, tokens, tokens).view_as(y)


def masked(first: nn.Module, x: Tensor) -> Tensor:
    tokens = first(x).transpose(1, 2)
    constant = torch.ones(1, 24, 8)
    mask = tokens.mean(2)[:, None].expand(1, 24, 24)
    return F.scaled_dot_product_attention(constant, constant, constant, mask).transpose(1, 2)


def one_of_a_window(first: nn.Module, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    windows = x.view(batch, channels, height // 2, 2, width // 2, 2)
    return first(windows[:, :, :, 0, :, 0])  # type: ignore[no-any-return]


def within_windows(first: nn.Module, x: Tensor) -> Tensor:
    windows = x.view(1, 3, 2, 8, 2, 8).permute(0, 2, 4, 1, 3, 5).reshape(4, 3, 8, 8)
    y = first(windows).view(1, 2, 2, 8, 8, 8).permute(0, 3, 1, 4, 2, 5)
    return y.reshape(1, 8, 16, 16)  # type: ignore[no-any-return]


def glued(first: nn.Module, x: Tensor) -> Tensor:
    return F.glu(first(x))


def interleaved(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([first(x[..., ::2]), second(x[..., 1::2])], -1).flatten(2)


def one_of_two(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([first(x), second(x)], 1)[:, 0]


def sum_of_two(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([first(x), second(x)], 1).sum(1)


def shown_before_a_write(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    left, right = y[:, :4], y[:, 4:]
    y.add_(second(y.clone()))
    return torch.cat([left * 2, right], 1)


def one_half_written(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    left, right = y[:, :4], y[:, 4:]
    left.add_(second(left.clone()))
    return right * 2  # type: ignore[no-any-return]


def both_halves_written(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    left, right = y[:, :4], y[:, 2:]
    left.add_(second(left.clone()))
    return right * 2  # type: ignore[no-any-return]


def batched(second: nn.Module, first: nn.Module, x: Tensor) -> Tensor:
    images = x.new_zeros(2, 8, 20, 24)
    images[0, :, :16, :16].copy_(first(x)[0])
    return second(images)[:1, :, :16, :16]  # type: ignore[no-any-return]


def written_across(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x).clone()
    y.transpose(2, 3).copy_(second(first(x)))
    return y  # type: ignore[no-any-return]


def first_is_a_mean(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x).clone()
    y[:, :, 0:1] = first(x).mean(2, keepdim=True)
    return y  # type: ignore[no-any-return]


def diagonal_written(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x).clone()
    y.diagonal(0, 1, 2).add_(y.mean())
    return y  # type: ignore[no-any-return]


def strides_written(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x).clone()
    y.as_strided(y.shape, y.stride()).add_(y.mean())
    return y  # type: ignore[no-any-return]


def windows_written(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x).clone()
    y.unfold(2, 2, 2).add_(y.mean())
    return y  # type: ignore[no-any-return]


def numbered_channels(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return torch.cat([y, y.mean(2, keepdim=True).expand_as(y)], 1)[:, [0, 1]]


def beside_a_channel(kind: str) -> Callable[..., Tensor]:
    def beside(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
        joined: Tensor = getattr(first(x), kind)(1, torch.tensor([0]), second(x))
        return joined[:, 1:]

    return beside


def first_of_running_sums(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([first(x), second(x)], 1).cumsum(1)[:, :2]


def both_overwritten(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y, new = first(x).clone(), second(x)
    y[:, :4] = new[:, :4]
    y[:, 4:] = new[:, 4:]
    return y  # type: ignore[no-any-return]


def all_overwritten(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x).clone()
    y[:, :] = second(x)
    return y  # type: ignore[no-any-return]


def one_packed_direction(first: nn.Module, recurrent: nn.Module, x: Tensor) -> Tensor:
    packed = pack_padded_sequence(first(x).permute(2, 0, 1), torch.tensor([24]))
    steps = pad_packed_sequence(recurrent(packed)[0])[0]
    return steps.permute(1, 2, 0)[:, :4]


def second_rows(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x).clone()
    y[:, :, 8:] = second(first(x))[:, :, :8]
    return y  # type: ignore[no-any-return]


def beside_a_mean(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return torch.cat([y, y.mean((2, 3), keepdim=True).expand_as(y)], 1)[:, :8]


def half_of_a_cat(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([first(x), second(x)], 1).chunk(2, 1)[0]


def shuffled_units(*convs: nn.Module) -> nn.Module:
    """ShuffleNet's: half of the channels go on as they are."""

    def forward(*args: Any) -> Tensor:
        *layers, y = args
        for layer in layers:
            kept, changed = y.chunk(2, 1)
            y = torch.cat([kept, layer(changed)], 1)
            y = y.reshape(-1, 2, 6, *y.shape[2:]).transpose(1, 2).flatten(1, 2)
        return y.chunk(2, 1)[0]  # type: ignore[no-any-return]

    return Does(forward, *convs)


def shuffled_by_torch(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = torch.cat([first(x), second(x)], 1)
    return F.channel_shuffle(y, 8)[:, :8]


def grouped_after_a_cat(first: nn.Module, second: nn.Module, third: nn.Module, x: Tensor) -> Tensor:
    return third(torch.cat([first(x), second(x)], 1))[:, :1]  # type: ignore[no-any-return]


def a_tap(x: Tensor) -> Tensor:
    return F.unfold(x, 3, padding=1).view(1, 3, 9, 16, 16)[:, :, 0]


def all_taps(x: Tensor) -> Tensor:
    return F.unfold(x, 3, padding=1).view(1, 3, 9, 16, 16).sum(2)


def there_and_back(first: nn.Module, x: Tensor) -> Tensor:
    return F.pixel_shuffle(F.pixel_unshuffle(first(x), 2), 2)


def written_channels(first: nn.Module, x: Tensor) -> Tensor:
    y = x.clone()
    y[:, :1] = first(x)[:, :1]
    return y[:, 1:]


def interleaved_rows(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    rows = x.new_zeros(n, 8, 2 * h, w)
    rows[:, :, ::2], rows[:, :, 1::2] = first(x), second(x)
    return rows


def interleaved_pixels(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    pixels = torch.zeros(n, 8, 2 * h, 2 * w, dtype=x.dtype)
    pixels[:, :, ::2, ::2], pixels[:, :, 1::2, 1::2] = first(x), second(x)
    pixels[:, :, ::2, 1::2] = pixels[:, :, 1::2, ::2] = x[:, :1]
    return pixels


def every_third_position(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    y[:, :, ::3] = second(x)[:, :, ::3]
    return y  # type: ignore[no-any-return]


def every_second_from_the_fifth(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    y[:, :, 4::2] = second(x)[:, :, 4::2]
    return y  # type: ignore[no-any-return]


def scaled_by_a_full_size_convolution(first: nn.Module, whole: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return y * whole(y).flatten(1).view(-1, 8, 1, 1)  # type: ignore[no-any-return]


def beside_the_last_position(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return y - y[:, :, -1:].squeeze(2).unsqueeze(2)  # type: ignore[no-any-return]


def stacked_singles(first: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([part.squeeze(2) for part in first(x).split(1, 2)], 2)


def times_one_row(first: nn.Module, x: Tensor) -> Tensor:
    rows = first(x).transpose(1, 2)
    product = rows[:, :, None, :] @ rows[:, 4:5, :, None]
    return product.flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


def normalised_in_groups(first: nn.Module, x: Tensor) -> Tensor:
    return F.group_norm(first(x).transpose(1, 2), 6).transpose(1, 2)


def renormalised(first: nn.Module, x: Tensor) -> Tensor:
    return torch.renorm(first(x), 2, 1, 0.1)


def rows_as_channels(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return second(first(x).transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


def causal(first: nn.Module, x: Tensor) -> Tensor:
    rows = first(x).transpose(1, 2)
    return F.scaled_dot_product_attention(rows, rows, rows, is_causal=True).transpose(1, 2)


def masked_by_a_constant(first: nn.Module, x: Tensor) -> Tensor:
    rows = first(x).transpose(1, 2)
    size = rows.shape[1]
    mask = torch.full((size, size), -torch.inf, dtype=rows.dtype).triu(1)
    return F.scaled_dot_product_attention(rows, rows, rows, mask).transpose(1, 2)


def folded_windows(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    parts = x.view(n, c, h // 2, 2, w // 2, 2)
    return parts.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def unfolded_again(first: nn.Module, x: Tensor) -> Tensor:
    return F.pixel_shuffle(folded_windows(first(x)), 2)


def windows_in_groups(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return second(folded_windows(first(x)))[:, ::4]  # type: ignore[no-any-return]


def windows_beside_others(first: nn.Module, x: Tensor) -> Tensor:
    joined = torch.cat([folded_windows(first(x)), F.avg_pool2d(x, 2)], 1)
    return joined[:, :16:4]


def all_but_the_last_written(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    y[:, :, :-1] = second(x)[:, :, 1:]
    return y  # type: ignore[no-any-return]


def rolled_most_of_the_way(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return y + y.roll(x.shape[-1] - 1, -1)  # type: ignore[no-any-return]


def cross(first: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return y * y.mean(3, keepdim=True) * y.mean(2, keepdim=True)  # type: ignore[no-any-return]


def along_a_line(first: nn.Module, x: Tensor) -> Tensor:
    return first(x[:, :, None]).squeeze(2)  # type: ignore[no-any-return]


def through_a_code(encoder: nn.Module, linear: nn.Module, decoder: nn.Module, x: Tensor) -> Tensor:
    code = linear(encoder(x).flatten(1))
    return decoder(code.view(-1, 8, 8, 8))  # type: ignore[no-any-return]


def over_the_length(first: nn.Module, linear: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return second(linear(first(x)))  # type: ignore[no-any-return]


def spread_over_a_map(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    return second(F.interpolate(first(x).mean((2, 3), keepdim=True), size=12))  # type: ignore[no-any-return]


def pairs(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return second((y.transpose(1, 2) @ y)[:, None])  # type: ignore[no-any-return]


def repeated_beside_a_skip(down: nn.Module, skip: nn.Module, x: Tensor) -> Tensor:
    wide = down(x).repeat_interleave(2, 2).repeat_interleave(2, 3)
    return wide + skip(x)  # type: ignore[no-any-return]


def channels_swapped(first: nn.Module, x: Tensor) -> Tensor:
    return first(x[:, [2, 1, 0]])  # type: ignore[no-any-return]


def test_the_step_between_positions_that_are_not_followed_is_unknown() -> None:
    first, second = conv(), nn.Conv1d(8, 8, 3, stride=2, padding=1)
    model = Does(lambda one, two, x: two(one(x).flatten(2)), first, second)
    totals = convcost.profile(model, input=IMAGE, measure=False).totals
    assert totals["receptive_field"].status == "upper_bound"
    assert totals["effective_stride"].status == "unavailable"


def test_a_pointwise_convolution_over_tokens_leaves_them_where_they_are() -> None:
    first, second = conv(), nn.Conv2d(1, 1, 1)

    def tokens(one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
        mixed = two(one(x).flatten(2).unsqueeze(1))
        return mixed.squeeze(1).unflatten(2, (16, 16))  # type: ignore[no-any-return]

    totals = convcost.profile(Does(tokens, first, second), input=IMAGE, measure=False).totals
    assert totals["receptive_field"] == Value("exact", (3, 3))
    assert totals["effective_stride"] == Value("exact", (1, 1))


class Buffered(nn.Module):
    """Writes what a convolution gives into a part of a buffer, and reads all of it."""

    kept: Tensor

    def __init__(self, write: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.conv = conv()
        self.write = write
        self.register_buffer("kept", torch.zeros(1, 8, 16, 16))

    def forward(self, x: Tensor) -> Tensor:
        self.write(self.kept, self.conv(x))
        return self.kept + 0


def into_two_views(kept: Tensor, y: Tensor) -> None:
    first, second = kept[:, :4], kept[:, 4:]
    first.copy_(y[:, :4])
    second.view(1, 4, -1).copy_(y[:, 4:].flatten(2))


def along_all(first: nn.Module, second: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return second(y.flatten(1)[:, None]).view_as(y)  # type: ignore[no-any-return]


def then_twice(change: Callable[[Tensor], Tensor], shape: tuple[int, ...] = IMAGE) -> Case:
    """Two convolutions behind what is done to the input's columns."""
    known = change in (over_columns, softly)
    model = Does(lambda one, two, x: two(one(change(x))), conv(), conv(8, 8))
    return Case(model, shape, "exact" if known else "upper_bound")


def over_columns(x: Tensor) -> Tensor:
    return x @ torch.rand(16, 16, dtype=x.dtype)


def softly(x: Tensor) -> Tensor:
    return x.softmax(3)


def beside_corners(down: nn.Module, skip: nn.Module, after: nn.Module, x: Tensor) -> Tensor:
    up = F.interpolate(down(x), x.shape[2:], mode="bilinear", align_corners=True)
    return after(torch.cat([skip(x), up], 1))  # type: ignore[no-any-return]


def end_to_end(first: nn.Module, down: nn.Module, x: Tensor) -> Tensor:
    y = first(x)
    return torch.cat([y.flatten(2), down(y).flatten(2)], 2)


def spectrogram(x: Tensor) -> Tensor:
    window = torch.hamming_window(32, dtype=x.dtype)  # unlike Hann's it is nowhere 0
    return torch.stft(x, 32, 8, window=window, return_complex=True).abs()


CASES = {
    "upsampled from corner to corner beside a skip": Case(
        Does(beside_corners, nn.Conv2d(3, 8, 3, 2, 1), conv(), conv(16)), IMAGE, "upper_bound"
    ),
    "columns summed first": then_twice(over_columns),
    "a softmax over columns first": then_twice(softly),
    "flipped first": then_twice(lambda x: x.flip(3)),
    "sorted first": then_twice(lambda x: x.sort(3)[0]),
    "columns by index first": then_twice(lambda x: x[..., list(range(15, -1, -1))]),
    "halves swapped first": then_twice(lambda x: torch.cat(x.chunk(2, 3)[::-1], 3)),
    "tiled first": then_twice(lambda x: x.repeat(1, 1, 1, 2)),
    "one column spread first": then_twice(lambda x: x[..., :1].expand(-1, -1, -1, 16)),
    "beside its mirror image": then_twice(lambda x: torch.cat([x, x.flip(3)], 0)),
    "every second from the fifth": Case(
        Does(every_second_from_the_fifth, conv1(3, 8, 1), conv1()), LINE, "upper_bound", (2,)
    ),
    "means of frames": Case(
        Does(lambda one, x: one(x.unfold(2, 8, 4).mean(-1)), conv1()), LINE, "exact", (2,)
    ),
    "the first of each frame": Case(
        Does(lambda one, x: one(x.unfold(2, 8, 4)[..., 0]), conv1()), LINE, "upper_bound", (2,)
    ),
    "means of frames of rows": Case(
        Does(lambda one, x: one(x.unfold(2, 4, 2).mean(-1)), conv()), IMAGE
    ),
    "a spectrogram as an image": Case(
        Does(lambda one, x: one(spectrogram(x)[:, None])[:, :, 4], conv(1)),
        (1, 256),
        "exact",
        (1,),
        (2,),
    ),
    "levels of a pyramid end to end": Case(
        Does(end_to_end, conv(), nn.Conv2d(8, 8, 3, 2, 1)), IMAGE, "upper_bound", out_dims=(2,)
    ),
    "flipped beside a skip": Case(
        Does(lambda one, two, x: two(one(x.flip(3)) + x), conv(3, 3), conv()),
        IMAGE,
        "upper_bound",
    ),
    "an LSTM": Case(
        Does(over_positions, conv1(), nn.LSTM(8, 8, batch_first=True)), LINE, "upper_bound", (2,)
    ),
    "an LSTM both ways": Case(
        Does(over_positions, conv1(), nn.LSTM(8, 8, batch_first=True, bidirectional=True)),
        LINE,
        "exact",
        (2,),
    ),
    "one direction of an LSTM both ways": Case(
        Does(one_direction, conv1(), nn.LSTM(8, 8, batch_first=True, bidirectional=True)),
        LINE,
        "upper_bound",
        (2,),
    ),
    "two layers of an LSTM both ways": Case(
        Does(one_direction, conv1(), nn.LSTM(8, 8, 2, batch_first=True, bidirectional=True)),
        LINE,
        "exact",
        (2,),
    ),
    "a GRU along each row": Case(
        Does(along_rows, conv(), nn.GRU(8, 8, bidirectional=True)), IMAGE, "exact"
    ),
    "the last state of a GRU": Case(
        Does(state_at_each_position, conv1(), nn.GRU(8, 8)), LINE, "upper_bound", (2,)
    ),
    "a GRU that starts from a mean": Case(
        Does(from_a_mean, conv1(), nn.GRU(8, 8, batch_first=True)), LINE, "exact", (2,)
    ),
    "a GRU": Case(
        Does(over_positions, conv1(), nn.GRU(8, 8, batch_first=True)), LINE, "upper_bound", (2,)
    ),
    "an RNN": Case(
        Does(over_positions, conv1(), nn.RNN(8, 8, batch_first=True)), LINE, "upper_bound", (2,)
    ),
    "frame by frame": Case(
        Does(frame_by_frame, nn.Conv3d(3, 8, 3, padding=1), conv(8, 4)),
        (1, 3, 8, 12, 12),
        "upper_bound",
        (2, 3, 4),
    ),
    "weights of the input": Case(Does(weights_of_the_input, nn.Linear(3, 108)), IMAGE),
    "a matrix of the input": Case(Does(matrix_of_the_input, conv(), nn.Linear(3, 64)), IMAGE),
    "scores and a constant": Case(Does(scores, conv1()), LINE, "upper_bound", (2,), (1,)),
    "a mean that is added": Case(Does(added_mean, conv1()), LINE, "exact", (2,)),
    "neighbours": Case(
        Does(neighbours, conv1(3, 8, 1), nn.Linear(8, 8)), LINE, "upper_bound", (2,)
    ),
    "later": Case(Does(later, conv1(3, 8, 1)), LINE, "upper_bound", (2,)),
    "without the first": Case(Does(without_the_first, conv1()), LINE, "upper_bound", (2,)),
    "gated by all": Case(Does(gated, conv(), nn.Conv2d(8, 8, 16, groups=8)), IMAGE, "upper_bound"),
    "gated by a mean": Case(Does(gated, conv(), nn.AvgPool2d(16, 1)), IMAGE, "upper_bound"),
    "gated by the usual mean": Case(Does(gated, conv(), nn.AdaptiveAvgPool2d(1)), IMAGE),
    "between channels": Case(Does(between_channels, conv()), IMAGE),
    "one of a window": Case(Does(one_of_a_window, conv(3, 8, 1)), IMAGE, "upper_bound"),
    "within windows": Case(Does(within_windows, conv()), IMAGE, "upper_bound"),
    "channels last": Case(
        Does(lambda c, x: c(x.permute(0, 3, 1, 2)), conv()), (1, 16, 18, 3), "exact", (1, 2), (2, 3)
    ),
    "tokens": Case(
        Does(lambda c, x: c(x.transpose(1, 2)), conv1(5)), (1, 20, 5), "exact", (1,), (2,)
    ),
    "interleaved": Case(
        Does(interleaved, conv1(3, 8, 1), conv1(3, 8, 1)), LINE, "upper_bound", (2,)
    ),
    "one of two": Case(Does(one_of_two, conv(), conv(3, 8, 7)), IMAGE, "upper_bound"),
    "the sum of two": Case(Does(sum_of_two, conv(), conv(3, 8, 7)), IMAGE),
    "shown before a write": Case(Does(shown_before_a_write, conv(), conv(8, 8, 5)), IMAGE),
    "an image written into a batch": Case(Does(batched, conv(8), conv(3)), IMAGE),
    "the first is a mean": Case(Does(first_is_a_mean, conv1()), LINE, "upper_bound", (2,)),
    "all of a diagonal written": Case(Does(diagonal_written, conv1(3, 24)), LINE, "exact", (2,)),
    "all written by strides": Case(Does(strides_written, conv1()), LINE, "exact", (2,)),
    "all windows written": Case(Does(windows_written, conv1()), LINE, "exact", (2,)),
    "channels by their numbers": Case(Does(numbered_channels, conv1()), LINE, "upper_bound", (2,)),
    "beside a copied channel": Case(
        Does(beside_a_channel("index_copy"), conv1(), conv1(3, 1, 7)), LINE, "upper_bound", (2,)
    ),
    "beside an added channel": Case(
        Does(beside_a_channel("index_add"), conv1(), conv1(3, 1, 7)), LINE, "upper_bound", (2,)
    ),
    "the first of running sums": Case(
        Does(first_of_running_sums, conv1(), conv1(3, 8, 7)), LINE, "upper_bound", (2,)
    ),
    "running sums": Case(Does(lambda c, x: c(x).cumsum(2), conv1()), LINE, "upper_bound", (2,)),
    "both halves overwritten": Case(
        Does(both_overwritten, conv1(3, 8, 7), conv1()), LINE, "upper_bound", (2,)
    ),
    "all of it overwritten": Case(
        Does(all_overwritten, conv1(3, 8, 7), conv1()), LINE, "exact", (2,)
    ),
    "one direction of a packed GRU": Case(
        Does(one_packed_direction, conv1(3, 4), nn.GRU(4, 4, bidirectional=True)),
        LINE,
        "upper_bound",
        (2,),
    ),
    "written across": Case(Does(written_across, conv(), conv(8, 8, 5)), IMAGE, "upper_bound"),
    "every second row written": Case(
        Does(second_rows, conv(), conv(8, 8, 5)), IMAGE, "upper_bound"
    ),
    "rows interleaved": Case(Does(interleaved_rows, conv(3, 8, 5), conv()), IMAGE),
    "pixels interleaved": Case(Does(interleaved_pixels, conv(3, 8, 5), conv()), IMAGE),
    "every third position written": Case(
        Does(every_third_position, conv1(), conv1(3, 8, 5)), LINE, "exact", (2,)
    ),
    "one half written": Case(Does(one_half_written, conv(), conv(4, 4, 5)), IMAGE),
    "a part of both written": Case(Does(both_halves_written, conv(), conv(4, 4, 5)), IMAGE),
    "half of a cat": Case(Does(half_of_a_cat, conv(), conv(3, 8, 7)), IMAGE, "upper_bound"),
    "the half of a cat beside a mean": Case(Does(beside_a_mean, conv()), IMAGE, "upper_bound"),
    "the half of a cat that sees all": Case(Does(half_of_a_cat, conv(3, 8, 7), conv()), IMAGE),
    "shuffled units": Case(shuffled_units(conv(6, 6), conv(6, 6), conv(6, 6)), (1, 12, 16, 16)),
    "shuffled by torch": Case(Does(shuffled_by_torch, conv(), conv(3, 8, 7)), IMAGE, "upper_bound"),
    "a group of a cat": Case(
        Does(grouped_after_a_cat, conv(), conv(3, 8, 7), nn.Conv2d(16, 16, 1, groups=16)),
        IMAGE,
        "upper_bound",
    ),
    "a tap of a window": Case(Does(a_tap), IMAGE, "upper_bound"),
    "all taps of a window": Case(Does(all_taps), IMAGE),
    "unshuffled and shuffled": Case(Does(there_and_back, conv()), IMAGE, "upper_bound"),
    "a buffer written flat": Case(
        Buffered(lambda kept, y: kept.view(-1).copy_(y.reshape(-1))), IMAGE, "upper_bound"
    ),
    "a part of a buffer written": Case(
        Buffered(lambda kept, y: kept[:, :4].copy_(y[:, :4])), IMAGE
    ),
    "two views of a buffer written": Case(Buffered(into_two_views), IMAGE, "upper_bound"),
    "along channels and positions": Case(
        Does(along_all, conv1(), conv1(1, 1)), LINE, "upper_bound", (2,)
    ),
    "channels beside those written": Case(Does(written_channels, conv()), IMAGE, "upper_bound"),
    "single positions stacked": Case(Does(stacked_singles, conv1()), LINE, "upper_bound", (2,)),
    "times one row": Case(Does(times_one_row, conv1()), LINE, "upper_bound", (2,)),
    "positions normalised in groups": Case(
        Does(normalised_in_groups, conv1()), LINE, "upper_bound", (2,)
    ),
    "positions renormalised": Case(Does(renormalised, conv1()), LINE, "exact", (2,)),
    "rows as channels of their own": Case(
        Does(rows_as_channels, conv(), nn.Conv2d(16, 16, 3, padding=1, groups=16)), IMAGE
    ),
    "rows as channels in groups": Case(
        Does(rows_as_channels, conv(), nn.Conv2d(16, 16, 3, padding=1, groups=4)),
        IMAGE,
        "upper_bound",
    ),
    "causal attention": Case(Does(causal, conv1()), LINE, "upper_bound", (2,)),
    "masked attention": Case(Does(masked_by_a_constant, conv1()), LINE, "upper_bound", (2,)),
    "windows folded and unfolded": Case(Does(unfolded_again, conv(3, 4)), IMAGE, "upper_bound"),
    "windows in groups": Case(
        Does(windows_in_groups, conv(3, 4), nn.Conv2d(16, 16, 1, groups=16)),
        IMAGE,
        "upper_bound",
    ),
    "windows beside others": Case(Does(windows_beside_others, conv(3, 4)), IMAGE, "upper_bound"),
    "all but the last written": Case(
        Does(all_but_the_last_written, conv1(3, 8, 7), conv1()), LINE, "upper_bound", (2,)
    ),
    "rolled most of the way": Case(Does(rolled_most_of_the_way, conv1()), LINE, "exact", (2,)),
    "a row and a column": Case(Does(cross, conv()), IMAGE),
    "a line as an image": Case(
        Does(along_a_line, nn.Conv2d(3, 8, (1, 3), padding=(0, 1))), LINE, "exact", (2,)
    ),
    "through a code": Case(
        Does(
            through_a_code,
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.Linear(512, 512),
            nn.ConvTranspose2d(8, 3, 2, 2),
        ),
        IMAGE,
    ),
    "a linear layer over the length": Case(
        Does(over_the_length, conv1(), nn.Linear(24, 24), conv1(8, 8)), LINE, "exact", (2,)
    ),
    "a mean spread over a map": Case(Does(spread_over_a_map, conv(), conv(8, 8)), IMAGE),
    "pairs of positions": Case(Does(pairs, conv1(), conv(1, 4)), LINE, "upper_bound", (2,)),
    "repeated beside a skip": Case(
        Does(repeated_beside_a_skip, nn.Conv2d(3, 8, 3, 2, 1), conv(3, 8, 5)), IMAGE
    ),
    "channels swapped": Case(Does(channels_swapped, conv()), IMAGE),
    "glu along positions": Case(Does(glued, conv1()), LINE, "upper_bound", (2,)),
}


def reached(case: Case) -> list[tuple[int, int]]:
    """Per axis the first input position that the output in the middle depends on, and the span."""
    x = torch.rand(case.shape, dtype=torch.float64, requires_grad=True)
    torch.set_default_dtype(torch.float64)
    try:
        y = case.model.double().eval()(x)
        middle: list[Any] = [slice(None)] * y.dim()
        for dim in case.out_dims or case.dims:
            middle[dim] = y.shape[dim] // 2
        (gradient,) = torch.autograd.grad(y[tuple(middle)].sum(), x)
    finally:
        torch.set_default_dtype(torch.float32)
        case.model.float()
    others = [set(range(x.dim())) - {dim} for dim in case.dims]
    found = [gradient.abs().amax(tuple(other)).nonzero()[:, 0].tolist() for other in others]
    return [(along[0], along[-1] - along[0] + 1) for along in found]


def covers(told: object, case: Case, spans: list[tuple[int, int]], *, exact: bool) -> bool:
    """Whether the told field is the found one, or where it isn't exact at least as wide."""
    fields = [told] * len(spans) if told == GLOBAL else told
    assert isinstance(fields, list | tuple)
    if len(fields) != len(spans):
        return False
    pairs = zip(fields, case.dims, spans, strict=True)
    whole = [(case.shape[d] if f == GLOBAL else f, span) for f, d, (_, span) in pairs]
    return all(f == span if exact else f >= span for f, span in whole)


def field(case: Case) -> Value:
    return convcost.profile(case.model, input=case.shape, measure=False).totals["receptive_field"]


@pytest.mark.parametrize("name", CASES)
def test_what_is_called_exact_is(name: str) -> None:
    torch.manual_seed(0)
    case = CASES[name]
    found = field(case)
    assert (found.status, found.value) == (case.status, found.value)
    assert covers(found.value, case, reached(case), exact=found.status == "exact")


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (Does(beside_the_last_position, conv1()), LINE),
        (
            Does(scaled_by_a_full_size_convolution, conv(), nn.Conv2d(8, 8, 16, groups=8)),
            IMAGE,
        ),
    ],
)
def test_what_differs_from_output_to_output_is_not_known(
    model: nn.Module, shape: tuple[int, ...]
) -> None:
    report = convcost.profile(model, input=shape, measure=False)
    assert report.totals["receptive_field"].status == "unavailable"


def test_weights_that_add_a_dimension_are_multiplied_with() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.weight = nn.Parameter(torch.rand(4, 8, 6))

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.conv(x).flatten(2)[0].t()
            return (tokens @ self.weight).permute(1, 0, 2)  # type: ignore[no-any-return]

    report = convcost.profile(Heads(), input=(1, 3, 8, 8), measure=False)
    assert report.rows[-1].output_shape == (4, 36, 6)
    assert report.totals["multiplications"].value == 27 * 8 * 36 + 4 * 36 * 8 * 6


def test_attention_of_learned_queries_has_the_batch_of_the_keys() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Parameter(torch.rand(1, 5, 8))

        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(self.query, x, x)

    report = convcost.profile(Pooled(), input=(2, 36, 8), measure=False)
    assert report.rows[-1].output_shape == (2, 5, 8)
    assert report.totals["multiplications"].value == 2 * 5 * 36 * (8 + 8)


def test_what_is_repeated_has_a_step_of_its_own() -> None:
    model = Does(lambda c, x: c(x).repeat_interleave(2, 2).repeat_interleave(2, 3), conv())
    totals = convcost.profile(model, input=IMAGE, measure=False).totals
    assert totals["effective_stride"].value == (0.5, 0.5)


def test_what_is_repeated_again_and_again_is_one_axis_still() -> None:
    def forward(after: nn.Module, x: Tensor) -> Tensor:
        for _ in range(3):
            x = x.repeat_interleave(2, -1)
        return after(x)  # type: ignore[no-any-return]

    model = Does(forward, conv1(3, 4, 3))
    rows = convcost.profile(model, input=(1, 3, 8), measure=False, expand=True).rows
    assert [row.values["effective_stride"].value for row in rows if row.op == "flatten"] == [
        (0.5,),
        (0.25,),
        (0.125,),
    ]
    assert rows[-1].values["receptive_field"] == Value("exact", (2,))


def test_fields_of_too_many_boxes_are_not_followed() -> None:
    class Crossing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            kernels = ((1, 3), (3, 1))
            self.layers = nn.ModuleList(
                nn.ModuleList(nn.Conv2d(1, 1, k, padding="same", dilation=2**i) for k in kernels)
                for i in range(12)
            )

        def forward(self, x: Tensor) -> Tensor:
            for pair in self.layers:
                across, along = pair.children()
                x = across(x) + along(x)
            return x

    totals = convcost.profile(Crossing(), input=(1, 1, 64, 64), measure=False).totals
    assert totals["receptive_field"].status == "unavailable"
    assert "a union of more than 512 boxes" in str(totals["receptive_field"].reason)


def test_what_is_repeated_too_often_is_not_known() -> None:
    model = Does(lambda c, x: c(x).repeat_interleave(4096, 2), conv1())
    totals = convcost.profile(model, input=LINE, measure=False).totals
    assert "differs between more than 2048" in str(totals["receptive_field"].reason)


def gated_by_corners(x: Tensor) -> Tensor:
    """A gate that sees all, laid out from corner to corner: its step is 0.8 of the input's."""
    gate = F.adaptive_avg_pool2d(x * x.norm(dim=(2, 3), keepdim=True), 4)
    return x * F.interpolate(gate, x.shape[2:], mode="bilinear", align_corners=True)


def test_a_whole_field_has_the_step_of_the_branch_that_follows_positions() -> None:
    model = Does(lambda c, x: gated_by_corners(c(x)), conv())
    totals = convcost.profile(model, input=IMAGE, measure=False).totals
    assert totals["receptive_field"].value == GLOBAL
    assert totals["effective_stride"] == Value("exact", (1, 1))


def test_whole_fields_of_different_steps_have_none_together() -> None:
    model = Does(lambda c, x: gated_by_corners(gated_by_corners(c(x))), conv())
    values = convcost.profile(model, input=IMAGE, measure=False).rows[-1].values
    assert values["receptive_field"].value == GLOBAL
    assert values["effective_stride"].status == "unavailable"


def test_what_is_folded_back_has_the_step_of_what_it_is_added_to() -> None:
    def folded(first: nn.Module, x: Tensor) -> Tensor:
        y = first(x)
        windows = F.unfold(y, 3, padding=1, stride=2)
        return y + F.fold(windows, (16, 16), 3, padding=1, stride=2)  # type: ignore[no-any-return]

    totals = convcost.profile(Does(folded, conv()), input=IMAGE, measure=False).totals
    assert totals["receptive_field"].status == "upper_bound"
    assert totals["effective_stride"] == Value("exact", (1, 1))
