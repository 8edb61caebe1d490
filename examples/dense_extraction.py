"""Sparse and dense responses of one filter: figures 2 and 5 of the primer.

A filter for horizontal edges runs on a picture that was made half as large. Put back on the
picture, its responses lie at 1/4 of the positions. ``dense:output_stride=1`` takes the stride out
and spreads the filter's taps: the same weights give a response everywhere, and at every second
position the same one (Chen et al., 'DeepLab', TPAMI 2018, section 3.1 and figure 2).

python examples/dense_extraction.py [PICTURE.png]

prints both in the terminal and saves them side by side; the proof alone:

convcost rewrite examples/dense_extraction.py --variant dense:output_stride=1
"""

from __future__ import annotations

import sys
from math import isnan

import torch
from PIL import Image
from torch import Tensor, nn

import convcost

SIZE = 96
SHADES = " ░▒▓█"
NO_RESPONSE = "·"
example_inputs = torch.zeros(1, 1, SIZE, SIZE)


def build_model() -> nn.Sequential:
    """A picture made half as large, then a 7×7 derivative of a Gaussian along its height."""
    at = torch.arange(-3.0, 4.0)
    bell = torch.exp(-(at**2) / 4)
    edges = nn.Conv2d(1, 1, 7, padding=3, bias=False)
    edges.weight.data = (at * bell)[:, None].mul(bell).reshape(1, 1, 7, 7)
    return nn.Sequential(nn.AvgPool2d(2), edges).eval()


def picture() -> Tensor:
    """A house under the sun, ``[1, 1, 96, 96]``."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    wall = (y > 55) & (y < 86) & (x > 24) & (x < 72)
    roof = (y > 26) & (y <= 55) & ((x - 48).abs() < y - 26)
    door = (y > 66) & (y < 86) & (x > 42) & (x < 54)
    sun = (y - 18) ** 2 + (x - 78) ** 2 < 100
    shade = 0.1 + 0.6 * wall + 0.4 * roof + 0.9 * sun - 0.5 * door
    return shade.float()[None, None]


def responses(model: nn.Module, image: Tensor) -> Tensor:
    """What a filter answers, at the positions of the picture; NaN where it has no answer."""
    with torch.inference_mode():
        found = model(image)[0, 0].abs()
    step = SIZE // len(found)
    implanted = torch.full((SIZE, SIZE), float("nan"))
    implanted[::step, ::step] = found
    return implanted


def as_text(found: Tensor) -> str:
    """A quarter of the picture at full resolution: one character a position."""
    part = found[20:44, 20:76]
    levels = (part / found.nan_to_num().max() * (len(SHADES) - 1)).round()
    rows = ("".join(_character(level) for level in row) for row in levels.tolist())
    return "\n".join(rows)


def _character(level: float) -> str:
    return NO_RESPONSE if isnan(level) else SHADES[int(level)]


def as_image(*panels: Tensor) -> Image.Image:
    """Panels side by side, white where there is most; positions without a response are red."""
    shown = []
    for panel in panels:
        grey = (255 * panel / panel.nan_to_num().max()).nan_to_num()
        red = torch.where(panel.isnan(), torch.tensor(160.0), grey)
        shown.append(torch.stack([red, grey, grey], -1))
    pixels = torch.cat(shown, 1).round().to(torch.uint8)
    height, width = pixels.shape[:2]
    image = Image.frombytes("RGB", (width, height), bytes(pixels.flatten().tolist()))
    return image.resize((4 * width, 4 * height), Image.Resampling.NEAREST)


def main(file: str = "dense_extraction.png") -> None:
    """Prints and saves the responses of the filter and of its dense rewrite."""
    model, image = build_model(), picture()
    dense = convcost.rewrite(model, "dense:output_stride=1", input=image)
    sparse, everywhere = responses(model, image), responses(dense, image)
    print(f"{NO_RESPONSE} no response; a blank is one of 0, {SHADES[-1]} the largest\n")
    for name, found in (("sparse", sparse), ("dense", everywhere)):
        share = 1 - found.isnan().float().mean().item()
        print(f"{name}: a response at {share:.0%} of the positions\n{as_text(found)}\n")
    same = torch.allclose(everywhere[::2, ::2], sparse[::2, ::2], atol=1e-6)
    print(f"at every second position both are the same: {same}")
    as_image(image[0, 0], sparse, everywhere).save(file)
    print(f"saved {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
