"""DeepLab-v3 (Chen et al. 2017), output stride 16: ``convcost profile examples/deeplab_v3.py``.

A larger rate is free on paper: the pyramid's branches of rate 6, 12 and 18 have the same
parameters and multiplications, and see 619, 811 and 1003 input positions where the backbone sees
427 and the image has 513. At rate 18 a kernel spans 37 of 33 features: it always meets padding.
"""  # noqa: INP001  a user's file, in no package

import torch
from torch import Tensor, nn

example_inputs = torch.zeros(1, 3, 513, 513)


def conv(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, rate: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size, up to its stride, normalised."""
    padding = rate * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, dilation=rate, bias=False
        ),
        nn.BatchNorm2d(out_channels),
    )


class Bottleneck(nn.Module):
    """ResNet's block: a 3×3 convolution, here of any rate, between two 1×1."""

    def __init__(self, in_channels: int, width: int, stride: int, rate: int) -> None:
        super().__init__()
        self.narrow = conv(in_channels, width, 1)
        self.filter = conv(width, width, 3, stride=stride, rate=rate)
        self.widen = conv(width, 4 * width, 1)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != 4 * width:
            self.shortcut = conv(in_channels, 4 * width, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.narrow(x))
        y = torch.relu(self.filter(y))
        return torch.relu(self.widen(y) + self.shortcut(x))


def stage(in_channels: int, width: int, count: int, stride: int, rate: int) -> nn.Sequential:
    """Blocks of one width; the first has the stride, the others have the rate."""
    first = Bottleneck(in_channels, width, stride, 1)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1, rate) for _ in range(count - 1)))


class Pyramid(nn.Module):
    """ASPP: the same features seen at several rates and as one mean, side by side."""

    def __init__(self, in_channels: int, channels: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv(in_channels, channels, 1),
                *(conv(in_channels, channels, 3, rate=rate) for rate in rates),
            ]
        )
        self.image = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(in_channels, channels, 1))
        self.join = conv((len(rates) + 2) * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = [torch.relu(branch(x)) for branch in self.branches]
        mean = torch.relu(self.image(x)).expand(-1, -1, *x.shape[2:])
        return torch.relu(self.join(torch.cat([*seen, mean], 1)))


class DeepLabV3(nn.Module):
    """A class for each pixel: backbone, pyramid, head."""

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            conv(3, 64, 7, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            stage(64, 64, 3, stride=1, rate=1),
            stage(256, 128, 4, stride=2, rate=1),
            stage(512, 256, 6, stride=2, rate=1),
            stage(1024, 512, 3, stride=1, rate=2),  # ResNet has stride 2 and rate 1
        )
        self.pyramid = Pyramid(2048, 256, rates=(6, 12, 18))
        self.head = nn.Sequential(conv(256, 256, 3), nn.ReLU(), nn.Conv2d(256, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.head(self.pyramid(self.backbone(x)))
        return nn.functional.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=False)
