"""Bisection on planted crossovers, and the command as a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli import convcost, refused
from hypothesis import given
from hypothesis import strategies as st

from convcost.measure.execute import Outcome
from convcost.render.table import render
from convcost.report import Report, Row, Value, exact
from convcost.search.crossover import NEAR, find_crossover
from convcost.workflows import crossover as workflow


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([1, -1]))
def test_a_planted_crossover_lies_in_the_interval(a: int, b: int, at: int, sign: int) -> None:
    first, last = sorted((a, a + b))
    asked: list[int] = []

    def side(number: int) -> int:
        asked.append(number)
        return sign if number >= at else -sign

    found = find_crossover(side, first, last)
    assert len(set(asked)) == len(asked)
    if not first < at <= last:
        assert found.before == found.after
        assert asked == [first, last]
        return
    assert found.low is not None
    assert found.high is not None
    assert first <= found.low < at <= found.high <= last
    assert found.high <= max(found.low * NEAR, found.low + 1)
    assert len(asked) <= 2 + 20


@given(st.integers(1, 400), st.integers(0, 300), st.integers(1, 300))
def test_both_ends_of_what_is_undecided_are_found(before: int, unsure: int, after: int) -> None:
    turn, sure = before + 1, before + unsure + 1
    last = sure + after

    def side(number: int) -> int:
        return -1 if number < turn else 0 if number < sure else 1

    found = find_crossover(side, 1, last)
    assert (found.before, found.after) == (-1, 1)
    assert found.low is not None
    assert found.high is not None
    assert side(found.low) == -1
    assert side(found.high) == 1
    assert found.low < turn <= max(found.low * NEAR, found.low + 1)
    assert found.high >= sure
    assert found.high == sure or found.high <= max(sure * NEAR, sure + 1)


@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_a_missing_crossover_is_called_missing(sign: int) -> None:
    found = find_crossover(lambda _: sign, 8, 1024)
    assert found.before == found.after
    assert (found.low, found.high) == (None, None)


def test_an_end_that_is_undecided_leaves_that_side_open() -> None:
    found = find_crossover(lambda number: 1 if number > 100 else 0, 8, 1024)
    assert (found.before, found.low) == (0, None)
    assert found.high is not None
    assert 100 < found.high <= 112


def row(number: int, ratio: float, verdict: str) -> Row:
    measured = Value("measured", 1e-3 * ratio, 0.98e-3 * ratio, 1.02e-3 * ratio, 0.99, 20, 1e-3)
    values = {
        "multiplications": exact(100),
        "multiplications_ratio": exact(0.125),
        "latency": measured,
        "latency_ratio": Value("measured", ratio, ratio * 0.97, ratio * 1.03, 0.99, 20, ratio),
        "verdict": Value("measured", verdict),
    }
    standard = {"latency": Value("measured", 1e-3, 0.98e-3, 1.02e-3, 0.99, 20, 1e-3)}
    shape = (1, number, 8, 8)
    name = f"out_channels={number}"
    return Row(name, "separable", "conv", "", shape, values, {"out_channels": number}, standard)


def report() -> Report:
    return Report(
        kind="crossover",
        source="primer.yaml",
        input=((1, 3, 12, 12),),
        environment={
            "layer": "conv",
            "vary": "out_channels",
            "first": 8,
            "last": 64,
            "delta": 0.03,
        },
        rows=(row(8, 2.0, "slower"), row(24, 1.0, "inconclusive"), row(64, 0.5, "faster")),
        totals={
            "verdict_first": exact("slower"),
            "verdict_last": exact("faster"),
            "crossover_after": exact(8),
            "crossover_until": exact(64),
        },
    )


SHOWN = Path(__file__).parent / "shown" / "crossover.txt"


def test_the_plot_and_the_sentence_say_where_it_turns() -> None:
    assert render(report()) == SHOWN.read_text(encoding="utf-8")


def test_crossover_measures_by_bisection(tmp_path: Path) -> None:
    options = ("--vary", "out_channels=8:12", "--seconds", "0.2", "--format", "json")
    ran = convcost("crossover", *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    numbers = [row["settings"]["out_channels"] for row in found["rows"]]
    assert numbers == sorted(numbers)
    assert {8, 12} <= set(numbers)
    assert all(row["base"]["latency"]["rounds"] > 0 for row in found["rows"])
    assert "of 5 numbers measured in" in ran.err


def test_a_varied_kernel_keeps_the_size_that_it_kept(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "version: 1\ninput: [8, 10, 10]\n"
        "layers: [{conv: {out_channels: 8, kernel_size: 3, padding: same}}]\n",
        encoding="utf-8",
    )
    options = ("--vary", "kernel_size=2:3", "--seconds", "0.2", "--format", "json")
    ran = convcost("crossover", "one.yaml", *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    shapes = [row["output_shape"] for row in json.loads(ran.out)["rows"]]
    assert shapes == [[1, 8, 10, 10]] * 2


UP = """version: 1
input: [8, 16, 16]
layers:
  - {conv_transpose: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}}
"""


def test_an_end_of_a_range_that_torch_refuses_is_refused_before_it_runs(tmp_path: Path) -> None:
    (tmp_path / "up.yaml").write_text(UP, encoding="utf-8")
    said = " ".join(
        refused("crossover", "up.yaml", "--vary", "stride=1:3", folder=tmp_path).split()
    )
    assert "can't have stride=1: output_padding must be smaller than the stride or the" in said
    assert "choose another range for --vary" in said


def test_no_others_are_named_where_all_numbers_were_measured(tmp_path: Path) -> None:
    (tmp_path / "grouped.yaml").write_text(GROUPED, encoding="utf-8")
    for source, vary in ((), "batch=1:2"), (("grouped.yaml",), "out_channels=4:8"):
        options = ("--vary", vary, "--seconds", "0.2")
        ran = convcost("crossover", *source, *options, folder=tmp_path)
        assert ran.code == 0, ran.err
        assert "2 of 2 numbers measured in" in ran.err
        assert "others" not in ran.err


@pytest.mark.parametrize(("dtype", "size"), [("float64", 8), ("bfloat16", 2)])
def test_bytes_are_those_of_the_dtype(dtype: str, size: int, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "version: 1\ninput: [8, 10, 10]\nlayers: [{conv: {out_channels: 4, kernel_size: 3}}]\n",
        encoding="utf-8",
    )
    options = ("--dtype", dtype, "--vary", "batch=1:2", "--seconds", "0.2", "-f", "json")
    ran = convcost("crossover", "one.yaml", *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    values = json.loads(ran.out)["rows"][0]["base"]
    # input, weights, bias and output
    assert values["bytes_moved"]["value"] == size * (8 * 100 + 4 * 8 * 9 + 4 + 4 * 64)


CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--vary", "colour=1:2"), "'colour' can't be varied"),
        (("--vary", "size=9:3"), "LAST larger"),
        (("--vary", "batch=0:3"), "FIRST must be at least 1"),
        (("--vary", "size=x:3"), "not KEY=FIRST:LAST"),
        (("--vary", "size=2:30"), "conv can't have size=2: the kernel spans 5×5"),
        (("configs/vgg16.yaml", "--vary", "size=8:30"), "which layer?"),
        (("configs/vgg16.yaml", "--layer", "x", "--vary", "size=8:30"), "is called 'x'"),
        (("configs/aspp.yaml", "--layer", "point", "--vary", "size=8:30"), "point is 1×1"),
        (("--vary", "size=8:30", "--variant", "dense"), "dense rewrites models"),
        (("--vary", "size=8:30", "--variant", "standard"), "standard is what a variant is held"),
        (("configs/primer.yaml", "--set", "a=1", "--vary", "size=8:30"), "are for models"),
    ],
)
def test_wrong_crossovers_are_refused(options: tuple[str, ...], problem: str) -> None:
    assert problem in " ".join(refused("crossover", *options, folder=CONFIGS.parent).split())


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({"verdict_first": "undecided", "verdict_last": "undecided"}, "can't be said"),
        ({"verdict_first": "faster", "verdict_last": "faster"}, "no crossover: faster at both"),
        (
            {"verdict_first": "undecided", "verdict_last": "faster", "crossover_until": 64},
            "here undecided at first, faster from 64 on: a crossover isn't sure",
        ),
    ],
)
def test_only_a_sure_turn_is_called_a_crossover(ends: dict[str, str | int], said: str) -> None:
    totals = {key: exact(end) for key, end in ends.items()}
    shown = " ".join(render(report()._replace(totals=totals)).split())
    assert said in shown
    assert "the crossover lies between" not in shown


def test_a_spec_without_a_convolution_has_no_crossover(tmp_path: Path) -> None:
    text = "version: 1\nname: flat\ninput: [8, 9, 9]\nlayers: [{relu: {}}]\n"
    (tmp_path / "flat.yaml").write_text(text, encoding="utf-8")
    said = refused("crossover", "flat.yaml", "--vary", "size=8:9", folder=tmp_path)
    assert "flat has no convolution" in said


@pytest.mark.parametrize(("rounds", "said"), [((30, 30), "30"), ((30, 12, 80), "12 to 80")])
def test_the_rounds_of_all_numbers_are_told(rounds: tuple[int, ...], said: str) -> None:
    made = [
        Row("conv", "separable", "network", "", (1,), {"latency_ratio": ratio})
        for ratio in (Value("measured", 1.0, rounds=number) for number in rounds)
    ]
    assert workflow._rounds(made) == {"rounds": said}


@pytest.mark.parametrize(
    ("verdicts", "tries", "said"),
    [
        (("faster",), 1, "faster"),
        (("untrusted", "faster"), 2, "faster"),
        (("untrusted", "untrusted", "faster"), 2, "undecided"),
    ],
)
def test_a_number_that_cannot_be_trusted_is_measured_once_more(
    verdicts: tuple[str, ...], tries: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise can't be ordered: what measuring would say of the range's only number is given."""
    left = iter(verdicts)
    made: list[tuple[Row, Row]] = []

    def compared(*_: object, **__: object) -> tuple[tuple[Row, Row], Outcome]:
        made.append((row(8, 1.0, "same"), row(8, 0.5, next(left))))
        return made[-1], Outcome({}, {}, {}, {}, {}, {}, interrupted=False)

    monkeypatch.setattr(workflow, "compare_graphs", compared)
    found = workflow.crossover(workflow.CrossoverRequest(workflow.Vary("out_channels", 8, 8)))
    assert len(made) == tries
    assert found.totals["verdict_last"].value == said
    assert found.rows[0].values["verdict"].value == verdicts[tries - 1]


@given(st.integers(1, 8), st.integers(1, 100), st.integers(1, 200), st.integers(0, 200))
def test_only_numbers_that_groups_divide_are_asked_for(
    step: int, first: int, more: int, at: int
) -> None:
    asked: list[int] = []

    def side(number: int) -> int:
        asked.append(number)
        return 1 if number > step * (first + at) else -1

    last = step * (first + more)
    found = find_crossover(side, step * first, last, step)
    assert all(number % step == 0 for number in asked)
    if found.before != found.after:
        assert found.low is not None
        assert found.high is not None
        assert found.low <= step * (first + at) < found.high


GROUPED = """
version: 1
input: [64, 16, 16]
layers:
  - {conv: {out_channels: 64, kernel_size: 3, groups: 4}}
"""


def test_ctrl_c_while_a_number_is_built_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grouped.yaml").write_text(GROUPED)
    made: list[int] = []

    def compared(*_: object, **__: object) -> tuple[tuple[Row, Row], Outcome]:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(0)
        verdict = "slower" if len(made) == 1 else "faster"
        rows = (row(8, 1.0, "same"), row(8, 0.5, verdict))
        return rows, Outcome({}, {}, {}, {}, {}, {}, interrupted=False)

    monkeypatch.setattr(workflow, "compare_graphs", compared)
    vary = workflow.Vary("out_channels", 8, 256)
    found = workflow.crossover(workflow.CrossoverRequest(vary, str(tmp_path / "grouped.yaml")))
    assert found.interrupted
    assert len(found.rows) == 3
    assert all(int(row.settings["out_channels"]) % 4 == 0 for row in found.rows)
