"""Bars and the roofline, from literal numbers to full texts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from convcost.render import render
from convcost.render.notes import footnotes
from convcost.render.roofline import Bound, Point, Roof, roofline_of, roofline_plot
from convcost.render.shares import bar, shares, shares_view
from convcost.render.table import TableView
from convcost.report import Report, Row, Selection, Value

ROOF = Roof(multiplications_per_second=100e9, bytes_per_second=20e9)
POINTS = (
    Point(0.5, 2e9, "memory"),
    Point(2.0, 15e9, "memory"),
    Point(40.0, 90e9, "compute"),
    Point(30.0, 8e9, "overhead"),
)
PLOT = """\
multiplications per second
        │
  100 G ┤                       ╱───────●─
        │                     ╱╱
        │                   ╱╱
        │                 ╱╱
        │               ╱╱
        │             ╱╱▲
   10 G ┤           ╱╱                ◆
        │         ╱╱
        │       ╱╱
        │     ╱╱
        │   ╱╱   ▲
        │ ╱╱
    1 G ┤╱
        └─────────────────────────────────
         0.1         1           10
                             FLOP per byte
▲ bound by memory: 2
● bound by compute: 1
◆ bound by overhead: 1
the roof: 100 G multiplications/s and 20.0 GB/s, which meet at 10.0 FLOP per byte
"""


def text(lines: Iterable[RenderableType], width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        for line in lines:
            console.print(line)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def test_the_roofline_is_this_text() -> None:
    assert text(roofline_plot(POINTS, ROOF, 42)) == PLOT


def test_a_narrow_terminal_and_a_profile_without_points_have_no_roofline() -> None:
    assert list(roofline_plot(POINTS, ROOF, 39)) == []
    assert list(roofline_plot([Point(0.0, 0.0, "overhead")], ROOF, 100)) == []


def test_the_roof_is_the_lower_of_both_ceilings() -> None:
    assert ROOF.ridge == 2 * 100e9 / 20e9
    assert ROOF.at(1.0) == 20e9 / 2
    assert ROOF.at(ROOF.ridge) == ROOF.at(1000.0) == 100e9


@given(
    st.lists(
        st.builds(
            Point,
            st.floats(1e-3, 1e4),
            st.floats(1e3, 1e13),
            st.sampled_from(("compute", "memory", "overhead")),
        ),
        min_size=1,
        max_size=20,
    ),
    st.integers(40, 160),
)
def test_no_line_of_a_plot_is_wider_than_asked_and_each_kind_is_counted(
    points: Sequence[Point], width: int
) -> None:
    lines = list(roofline_plot(points, ROOF, width))
    plot = [line for line in lines if "bound by" not in str(line) and "roof:" not in str(line)]
    assert max(line.cell_len for line in plot) <= width
    bounds: tuple[Bound, ...] = ("compute", "memory", "overhead")
    for bound in bounds:
        count = sum(point.bound == bound for point in points)
        assert any(f"bound by {bound}: {count}" in str(line) for line in lines) == bool(count)


def bounded(name: str, multiplications: int, latency: float, bound: str) -> Row:
    """A row on a machine of ``ROOF``, which moves 1,000 bytes."""
    values = {
        "multiplications": Value("exact", multiplications),
        "bytes_moved": Value("exact", 1000),
        "arithmetic_intensity": Value("exact", 2 * multiplications / 1000),
        "latency": Value("measured", latency),
        "compute_latency": Value("measured", multiplications / 100e9),
        "memory_latency": Value("measured", 1000 / 20e9),
        "bound": Value("measured", bound),
    }
    return Row(name, "standard", "conv", name, (1, 8), values)


def test_a_profile_that_knows_its_ceilings_ends_in_a_roofline() -> None:
    rows = (bounded("relu", 0, 1e-7, "memory"), bounded("conv", 20_000, 5e-7, "compute"))
    found = roofline_of(profile(*rows, total=20_000))
    assert found is not None
    points, roof = found
    assert points == [Point(40.0, 20_000 / 5e-7, "compute")]
    assert roof == pytest.approx(ROOF)
    assert "● bound by compute: 1" in render(profile(*rows, total=20_000), "table")


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"memory": 3.5}, ("over 100 % of the roofline: bound by memory, its data came from the",)),
        (
            {"compute": 1.3},
            ("over 100 % of the roofline: bound by compute, its kernel multiplied",),
        ),
        ({"memory": 2, "overhead": 1.5}, ("bound by memory, its", "bound by overhead, its ops")),
        ({"memory": 1.02, "compute": 0.5}, ()),
    ],
)
def test_more_than_all_of_the_roofline_is_explained(
    shares: dict[str, float], said: tuple[str, ...]
) -> None:
    rows = [
        Row(bound, "standard", "conv", "", (1,), values)
        for bound, share in shares.items()
        for values in [
            {"bound": Value("measured", bound), "roofline_share": Value("measured", share)}
        ]
    ]
    note = " ".join(note for note in footnotes(profile(*rows, total=20)) if "over 100 %" in note)
    assert all(text in note for text in said)
    assert bool(note) == bool(said)


def test_a_profile_without_ceilings_has_no_roofline() -> None:
    assert roofline_of(MEASURED) is None
    assert "the roof:" not in render(MEASURED, "table")


# shares


def row(name: str, multiplications: int, latency_share: float | None = None) -> Row:
    values = {"multiplications": Value("exact", multiplications)}
    if latency_share is not None:
        values["latency_share"] = Value("measured", latency_share)
    return Row(name, "standard", "conv", name, (1, 8), values)


def profile(*rows: Row, total: int) -> Report:
    totals = {"multiplications": Value("exact", total)}
    return Report("profile", "model.py", ((1, 3, 8, 8),), {}, rows, totals)


MEASURED = profile(row("a", 10, 0.5), row("b", 80, 0.25), row("c", 0, 0.25), total=90)
BARS = """\
Where it goes

   time            multiplications
a     50 % █████▋     11 % █▎
b     25 % ██▊        89 % ██████████
c     25 % ██▊         0 %
"""


def test_shares_are_these_bars() -> None:
    assert text(shares_view(shares(MEASURED), 40)) == BARS


def test_rows_without_a_time_of_their_own_stand_with_the_one_that_has_it() -> None:
    rows = (row("a", 10, 0.25), row("a#2", 20), row("a#3", 30), row("b", 40, 0.75))
    found = shares(profile(*rows, total=100))
    assert [(share.name, dict(share.parts)) for share in found] == [
        ("b", {"latency": 0.75, "multiplications": 0.4}),
        ("a and 2 after it", {"latency": 0.25, "multiplications": pytest.approx(0.6)}),
    ]
    sorted_rows = profile(*rows, total=100)._replace(selection=Selection(4, None, "latency", None))
    assert [share.name for share in shares(sorted_rows)] == ["b", "a", "all others"]


def test_without_a_measurement_the_multiplications_are_shown() -> None:
    counted = profile(row("a", 25), row("b", 75), row("nothing", 0), total=100)
    assert [(share.name, dict(share.parts)) for share in shares(counted)] == [
        ("b", {"multiplications": 0.75}),
        ("a", {"multiplications": 0.25}),
    ]


def test_what_is_beyond_the_tenth_row_stands_together() -> None:
    rows = [row(f"layer{i}", 1) for i in range(16)]
    *first, last = shares(profile(*rows, total=16))
    assert len(first) == 10
    assert last.name == "all others"
    assert last.parts["multiplications"] == pytest.approx(6 / 16)


def test_rows_that_were_left_out_stand_among_all_others() -> None:
    kept = profile(row("a", 10), row("b", 20), total=100)
    assert [(share.name, share.parts["multiplications"]) for share in shares(kept)] == [
        ("b", 0.2),
        ("a", 0.1),
        ("all others", pytest.approx(0.7)),
    ]
    assert text(shares_view(shares(kept), 40)).splitlines()[-1] == "all others     70 %"


def test_where_there_is_no_room_there_are_no_bars() -> None:
    assert list(shares_view(shares(MEASURED), 20)) == []


def test_the_table_of_a_profile_ends_in_bars() -> None:
    assert render(MEASURED, "table").rstrip().splitlines()[-1].startswith("c")
    assert "Where it goes" in render(MEASURED, "table")
    assert "Where it goes" not in render(profile(row("a", 0), total=0), "table")


@given(st.floats(0, 60))
def test_a_bar_is_as_long_as_asked_to_an_eighth(length: float) -> None:
    drawn = bar(length)
    eighths = sum(" ▏▎▍▌▋▊▉█".index(char) for char in drawn)
    assert abs(eighths - length * 8) <= 0.5
    assert " " not in drawn


# tables of many layers in narrow terminals


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (100, ""),
        (60, "activation, FLOP per byte, stride"),
        (45, "activation, FLOP per byte, stride, output, op"),
    ],
)
def test_a_narrow_profile_leaves_columns_out_and_says_which(width: int, left_out: str) -> None:
    found = profile(*(row(f"stages.{i}.conv", 10**i, 0.125) for i in range(8)), total=11_111_111)
    told = text([TableView(found)], width)
    assert max(map(len, told.splitlines())) <= width
    assert len([line for line in told.splitlines() if line.startswith("stages.")]) == 2 * 8
    _, _, note = " ".join(told.partition("Where")[0].split()).partition("there is no room: ")
    assert note == left_out
