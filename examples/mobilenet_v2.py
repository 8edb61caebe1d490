"""MobileNet-v2 (Sandler et al. 2018): ``convcost profile examples/mobilenet_v2.py``.

Few multiplications aren't little time: the depthwise rows do 7 % of the multiplications, norms
and ReLU6 none, and yet they move 73 % of the bytes; see their share of the latency. The classifier
holds 37 % of the parameters and does 0.4 % of the multiplications.
"""  # noqa: INP001  a user's file, in no package

from torch import Tensor, nn

STAGES = (  # table 2 of the paper: expansion, channels, blocks, stride of the first block
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def pointwise(in_channels: int, out_channels: int) -> list[nn.Module]:
    """A 1×1 convolution, normalised."""
    return [
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    ]


def depthwise(channels: int, stride: int) -> list[nn.Module]:
    """A 3×3 convolution of each channel by itself, normalised."""
    return [
        nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
    ]


class InvertedResidual(nn.Module):
    """Widens with a 1×1, filters each channel, narrows with a 1×1 that no ReLU follows."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [*pointwise(in_channels, width), nn.ReLU6(inplace=True)]
        layers += [*depthwise(width, stride), nn.ReLU6(inplace=True)]
        layers += pointwise(width, out_channels)
        self.layers = nn.Sequential(*layers)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds_input else y


class MobileNetV2(nn.Module):
    """The network of width 1, which classifies images of 224×224."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        channels = 32
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(inplace=True),
        )
        self.blocks = nn.Sequential()
        for expansion, out_channels, count, first_stride in STAGES:
            for i in range(count):
                stride = 1 if i else first_stride
                self.blocks.append(InvertedResidual(channels, out_channels, stride, expansion))
                channels = out_channels
        self.last = nn.Sequential(*pointwise(channels, 1280), nn.ReLU6(inplace=True))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.last(self.blocks(self.stem(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits
