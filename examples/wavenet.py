"""WaveNet (van den Oord et al. 2016), 1 s at 16 kHz: ``convcost profile examples/wavenet.py``.

Every unit costs the same, 3 % of the multiplications, while the rates 1, 2, 4 … 512 double what
a stack sees at each unit; a new stack of ten adds 1023 samples. All 30 see 3071 of 16000 samples,
0.19 s, without a hole (``receptive_field_density`` in ``--format json``).
"""  # noqa: INP001  a user's file, in no package

import torch
from torch import Tensor, nn

example_inputs = torch.zeros(1, 1, 16000)


class CausalConv(nn.Conv1d):
    """A convolution of two taps, ``rate`` samples apart, that never looks ahead."""

    def __init__(self, in_channels: int, out_channels: int, rate: int) -> None:
        super().__init__(in_channels, out_channels, 2, dilation=rate)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, (self.rate, 0)))


class GatedUnit(nn.Module):
    """Equation 2 of the paper, with a way on to the next unit and one out to the head."""

    def __init__(self, channels: int, skip_channels: int, rate: int) -> None:
        super().__init__()
        self.filter = CausalConv(channels, channels, rate)
        self.gate = CausalConv(channels, channels, rate)
        self.residual = nn.Conv1d(channels, channels, 1)
        self.skip = nn.Conv1d(channels, skip_channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.tanh(self.filter(x)) * torch.sigmoid(self.gate(x))
        return x + self.residual(z), self.skip(z)


class WaveNet(nn.Module):
    """The next sample's value, of 256, after every sample; rates 1 to 512 in each stack."""

    def __init__(self, channels: int = 64, skip_channels: int = 256, stacks: int = 3) -> None:
        super().__init__()
        self.embed = CausalConv(1, channels, 1)
        self.units = nn.ModuleList(
            GatedUnit(channels, skip_channels, 2**power)
            for _ in range(stacks)
            for power in range(10)
        )
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(skip_channels, skip_channels, 1),
            nn.ReLU(),
            nn.Conv1d(skip_channels, 256, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        skipped: Tensor | float = 0.0
        for unit in self.units:
            x, skip = unit(x)
            skipped = skipped + skip
        scores: Tensor = self.head(skipped)
        return scores
