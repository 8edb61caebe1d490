"""Xception (Chollet 2017) for 299×299 images: ``convcost profile examples/xception.py``.

The depthwise rows do all filtering in space after the stem, for 1.6 % of the multiplications; the
pointwise rows do 91 %. But a depthwise row has only about 2 FLOP per byte, a pointwise one 21 to
144: the depthwise rows' share of a measured latency is many times their share of the work.
"""  # noqa: INP001  a user's file, in no package

from itertools import pairwise

import torch
from torch import Tensor, nn

example_inputs = torch.zeros(1, 3, 299, 299)


class SeparableConv(nn.Sequential):
    """A 3×3 filter for each channel, a 1×1 that mixes channels, a norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)


class Block(nn.Module):
    """Separable convolutions, each after a ReLU, and a shortcut around them."""

    def __init__(self, *channels: int, stride: int = 1, first_relu: bool = True) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for i, (before, after) in enumerate(pairwise(channels)):
            if i or first_relu:
                # Not in place: the shortcut reads the block's input too.
                self.body.append(nn.ReLU())
            self.body.append(SeparableConv(before, after))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.body.append(nn.MaxPool2d(3, stride, padding=1))
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels[0], channels[-1], 1, stride, bias=False),
                nn.BatchNorm2d(channels[-1]),
            )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x) + self.shortcut(x)
        return y


class Xception(nn.Module):
    """Figure 5 of the paper: entry flow, middle flow, exit flow."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.entry = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            Block(64, 128, 128, stride=2, first_relu=False),
            Block(128, 256, 256, stride=2),
            Block(256, 728, 728, stride=2),
        )
        self.middle = nn.Sequential(*(Block(728, 728, 728, 728) for _ in range(8)))
        self.exit = nn.Sequential(
            Block(728, 728, 1024, stride=2),
            SeparableConv(1024, 1536),
            nn.ReLU(),
            SeparableConv(1536, 2048),
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(2048, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.exit(self.middle(self.entry(x)))
        logits: Tensor = self.classifier(self.pool(x).flatten(1))
        return logits
