"""ResNet-50 (He et al. 2016): ``convcost profile examples/resnet.py``, ``--set depth=18`` for 18.

Parameters and work sit at opposite ends (``--depth 2``): the first stage holds 0.8 % of the
parameters and does 16 % of the multiplications, the last holds 59 % and does 20 %. One position of
the last features sees 427×427 input positions (435×435 for 18): more than the image has.
"""  # noqa: INP001  a user's file, in no package

from torch import Tensor, nn


def conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size, up to its stride, normalised."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False
        ),
        nn.BatchNorm2d(out_channels),
    )


class Residual(nn.Module):
    """Adds to its input what its body makes of it."""

    def __init__(self, body: nn.Module, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = body
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = conv(in_channels, out_channels, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.body(x) + self.shortcut(x))
        return y


def basic_block(in_channels: int, width: int, stride: int) -> Residual:
    """Two 3×3 convolutions."""
    body = nn.Sequential(
        conv(in_channels, width, 3, stride),
        nn.ReLU(inplace=True),
        conv(width, width, 3),
    )
    return Residual(body, in_channels, width, stride)


def bottleneck(in_channels: int, width: int, stride: int) -> Residual:
    """A 3×3 convolution between two 1×1, which narrow before and widen after; stride on the 3×3."""
    body = nn.Sequential(
        conv(in_channels, width, 1),
        nn.ReLU(inplace=True),
        conv(width, width, 3, stride),
        nn.ReLU(inplace=True),
        conv(width, 4 * width, 1),
    )
    return Residual(body, in_channels, 4 * width, stride)


DEPTHS = {  # the block, the channels that it gives per unit of width, and the blocks of each stage
    18: (basic_block, 1, (2, 2, 2, 2)),
    34: (basic_block, 1, (3, 4, 6, 3)),
    50: (bottleneck, 4, (3, 4, 6, 3)),
    101: (bottleneck, 4, (3, 4, 23, 3)),
}


class ResNet(nn.Module):
    """The network for images of 224×224: a stem, four stages, a classifier."""

    def __init__(self, depth: int, classes: int) -> None:
        super().__init__()
        block, expansion, counts = DEPTHS[depth]
        self.stem = nn.Sequential(
            conv(3, 64, 7, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.stages = nn.Sequential()
        channels = 64
        for index, count in enumerate(counts):
            width = 64 * 2**index
            stage = nn.Sequential()
            for i in range(count):
                stage.append(block(channels, width, stride=2 if index and not i else 1))
                channels = expansion * width
            self.stages.append(stage)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stages(self.stem(x)))
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


def build_model(depth: int = 50, classes: int = 1000) -> ResNet:
    """The ResNet of a depth."""
    return ResNet(depth, classes)
