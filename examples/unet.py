"""U-Net (Ronneberger et al. 2015), 572×572 in, 388×388 out: ``convcost profile examples/unet.py``.

Parameters sit at the bottom, work sits everywhere (``--depth 2``): ``down.4`` holds 46 % of the
parameters and does 8 % of the multiplications, ``up.3`` holds 0.5 % and does 12 %. A level down,
channels double and sizes halve: four times the parameters, about the same work.
"""  # noqa: INP001  a user's file, in no package

import torch
from torch import Tensor, nn

example_inputs = torch.zeros(1, 1, 572, 572)


class TwoConvs(nn.Sequential):
    """Two 3×3 convolutions without padding: each takes a pixel off every side."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3),
            nn.ReLU(inplace=True),
        )


class Up(nn.Module):
    """Doubles the size, joins what the way down had at this size, and convolves both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.convs = TwoConvs(2 * channels, channels)

    def forward(self, x: Tensor, skipped: Tensor) -> Tensor:
        x = self.enlarge(x)
        height, width = x.shape[2:]
        top, left = (skipped.shape[2] - height) // 2, (skipped.shape[3] - width) // 2
        middle = skipped[:, :, top : top + height, left : left + width]
        y: Tensor = self.convs(torch.cat([middle, x], 1))
        return y


class UNet(nn.Module):
    """A class for each pixel, from five levels of 64 to 1024 channels."""

    def __init__(self, in_channels: int = 1, classes: int = 2, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        self.down = nn.ModuleList(
            TwoConvs(before, after)
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.shrink = nn.MaxPool2d(2)
        self.up = nn.ModuleList(Up(channels) for channels in widths[-2::-1])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skipped: list[Tensor] = []
        for level, convs in enumerate(self.down):
            x = convs(self.shrink(x) if level else x)
            skipped.append(x)
        for up, same_size in zip(self.up, skipped[-2::-1], strict=True):
            x = up(x, same_size)
        scores: Tensor = self.head(x)
        return scores
