"""What ``show`` draws is what is seen, and looks as it should on any terminal."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import oracle
import pytest
import strategies
from cli import convcost, fine, refused, widest
from hypothesis import HealthCheck, given, settings
from strategies import Limits, draw_conv, draw_pool

from convcost.analyses.receptive_field import find_rasters
from convcost.graph import Graph
from convcost.picture import Raster
from convcost.render.marks import Scale, fitting_scale, mark_rows

SHOWN = Path(__file__).parent / "shown"
ROOT = Path(__file__).parent.parent
SPEC = """
version: 1
name: two
input: [4, 16, 16]
layers:
  - {name: first, conv: {out_channels: 4, kernel_size: 3}}
  - {relu: {}}
  - {name: pool, max_pool: {kernel_size: 2}}
variants: [atrous, separable]
"""
WIDTHS = (120, 60, 30)
STREAMS = {
    "unicode": {"PYTHONIOENCODING": "utf-8"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "unicode-colour": {"PYTHONIOENCODING": "utf-8", "FORCE_COLOR": "1"},
    "ascii-colour": {"PYTHONIOENCODING": "ascii", "FORCE_COLOR": "1"},
}
ONE_COLOUR_SYSTEM = {"TERM": "xterm-256color", "COLORTERM": ""}


def shown(folder: Path, width: int, stream: str) -> str:
    spec = folder / "two.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    env = {**STREAMS[stream], **ONE_COLOUR_SYSTEM, "COLUMNS": str(width)}
    ran = convcost("show", spec, env=env)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


@pytest.mark.parametrize(("width", "stream"), list(product(WIDTHS, STREAMS)))
def test_the_picture_is_this_text(width: int, stream: str, tmp_path: Path) -> None:
    expected = (SHOWN / f"{width}-{stream}.txt").read_text(encoding="utf-8")
    assert shown(tmp_path, width, stream) == expected


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for source in ("aspp", "wavenet", "decoder", "c3d_stem", "vgg16"):
        ran = convcost("show", f"configs/{source}.yaml", env={"COLUMNS": str(width)}, folder=ROOT)
        assert ran.code == 0
        assert widest(ran.out) <= width


# what is drawn is what is seen


def drawn(graph: Graph) -> Raster:
    seen = find_rasters(graph)[graph.output]
    assert isinstance(seen, Raster)
    return seen


def as_seen(positions: oracle.SeenPositions) -> Raster:
    """Positions of two axes as the picture has them."""
    top, left = (min(position[axis] for position in positions) for axis in (0, 1))
    height, width = (oracle.span(oracle.along(positions, axis)) for axis in (0, 1))
    rows = [0] * height
    for y, x in positions:
        rows[y - top] |= 1 << x - left
    return Raster((height, width), tuple(rows))


@given(strategies.branched((1, 1, 32, 32), Limits(3, 2, 1, 1), (draw_conv, draw_pool)))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_each_drawn_position_is_one_that_a_nan_passes_from(graph: Graph) -> None:
    seen = oracle.seen_by_position(graph, most=8)
    assert drawn(graph) in {as_seen(positions) for positions in seen if positions}


def test_a_cross_is_no_square(tmp_path: Path) -> None:
    """1×3 beside 3×1 sees 5 positions of 9."""
    spec = tmp_path / "cross.yaml"
    conv = "conv: {out_channels: 1, padding: same, kernel_size:"
    spec.write_text(
        "{version: 1, input: [1, 9, 9], variants: [standard], layers: ["
        f"{{name: a, {conv} [1, 3]}}}}, {{name: b, inputs: [input], {conv} [3, 1]}}}}, "
        "{name: cross, inputs: [a, b], add: {}}]}"
    )
    told = fine("show", spec, "--layer", "cross")
    assert "receptive field 3×3: 5 of 9 seen\n" in trimmed(told)
    assert "· ■ ·\n■ ■ ■\n· ■ ·\n" in trimmed(told)


def trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_gridding_shows_as_holes_that_other_rates_close(tmp_path: Path) -> None:
    told = trimmed(fine("show", ROOT / "configs" / "gridding.yaml", "--layer", "third"))
    assert "receptive field 7×7: all 49 seen" in told
    assert "receptive field 13×13: 49 of 169 seen, largest hole 1×1" in told
    spec = tmp_path / "rates.yaml"
    layers = [f"{{conv: {{out_channels: 2, kernel_size: 3, rate: {r}}}}}" for r in (1, 2, 3)]
    spec.write_text(
        f"{{version: 1, input: [2, 20, 20], variants: [standard], layers: [{', '.join(layers)}]}}"
    )
    assert "receptive field 13×13: all 169 seen" in fine("show", spec)


def test_what_is_too_wide_is_told_and_not_drawn(tmp_path: Path) -> None:
    spec = tmp_path / "wide.yaml"
    spec.write_text(
        "{version: 1, name: wide, input: [2, 40000], variants: [standard, atrous], layers: ["
        "{conv: {out_channels: 2, kernel_size: 9000}}]}"
    )
    told = fine("show", spec)
    assert "receptive field 9000: too wide to draw " in told
    assert "receptive field 17999: too wide to draw" in told
    assert "a hole" not in told


# marks that stand for several positions


def test_a_mark_for_several_positions_shows_their_share() -> None:
    seen = Raster((4, 8), (0b00001111, 0b00000111, 0b00110000, 0))
    texts = [str(line) for line in mark_rows(seen, Scale(2, 1))]
    assert texts == ["█▓··", "··▒·"]


def test_a_mark_is_full_only_where_all_is_seen_and_empty_only_where_nothing_is() -> None:
    size = 10
    one, all_but_one = 1, 2**size - 2
    for row, mark in ((0, "·"), (one, "░"), (all_but_one, "▓"), (2**size - 1, "█")):
        (line,) = mark_rows(Raster((size,), (row,)), Scale(size, 1))
        assert str(line) == mark


@pytest.mark.parametrize(
    ("high", "wide", "columns", "scale"),
    [
        (5, 5, 9, Scale(1, 2)),
        (5, 5, 8, Scale(1, 1)),
        (5, 5, 4, Scale(3, 2)),
        (33, 33, 80, Scale(1, 2)),
        (34, 34, 80, Scale(3, 2)),
        (1, 1024, 120, Scale(9, 1)),
        (427, 427, 1, Scale(427, 2)),
    ],
)
def test_the_scale_is_the_largest_that_fits(
    high: int, wide: int, columns: int, scale: Scale
) -> None:
    assert fitting_scale(high, wide, columns) == scale


# the command


def test_a_model_is_shown_too() -> None:
    ran = convcost("show", "examples/resnet.py", "--variant", "standard", folder=ROOT)
    assert ran.code == 0
    assert "receptive field 427×427: all 182,329 seen" in ran.out
    assert "sees every position" in ran.out
    assert ran.err == "note: no input given: 1×3×224×224 is assumed; use --input\n"


def test_a_layer_is_named_as_profile_and_compare_name_it(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\nnet = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))\n"
    )
    options = ("--input", "1x3x8x8", "--variant", "standard")
    pictures = [
        fine("show", "net.py", *options, "--layer", name, folder=tmp_path)
        for name in ("1", "1.conv")
    ]
    assert "1: kernel 3×3" in pictures[0]
    assert pictures[0] == pictures[1]


TWICE = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)
    def forward(self, x):
        return self.conv(self.conv(x))
"""


def test_each_call_of_a_module_is_drawn_by_itself(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(TWICE)
    options = ("--input", "1x4x12x12", "--variant", "standard")
    picture = fine("show", "net.py", *options, folder=tmp_path)
    assert "conv: kernel 3×3" in picture
    assert "receptive field 3×3" in picture
    assert "conv#2: kernel 3×3" in picture
    assert "receptive field 5×5" in picture


def test_json_is_the_report_with_its_layers() -> None:
    found = json.loads(fine("show", "--format", "json"))
    assert found["kind"] == "compare"
    assert {row["variant"] for row in found["layers"]} >= {"standard", "atrous:rate=2"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--layer nope", "no layer matches 'nope'"),
        ("nope.yaml", "nope.yaml: no such file"),
        (
            "--variant dense:output_stride=8",
            "dense can't give output stride 8: the last feature map's is",
        ),
        ("--input 1x3x8x8", "--set and --input are for models"),
    ],
)
def test_what_cannot_be_shown_is_refused(arguments: str, told: str, tmp_path: Path) -> None:
    assert told in refused("show", *arguments.split(), folder=tmp_path)
