"""Several values of a setting: rows for each, in one run, each against its own standard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pynvml
import pytest
import torch
from cli import convcost
from clocks import FakeClock

from convcost import ConvcostError, Report, Row, Value, compare, render
from convcost.cli.axes import parse_axes
from convcost.measure.clocks import HostClock
from convcost.measure.comparison import Protocol, measure_calls
from convcost.measure.driver import ClockWatch
from convcost.measure.settings import Settings
from convcost.measure.threads import ThreadsClock
from convcost.render.notes import footnotes
from convcost.report import number
from convcost.sources.saved import load_report

QUICK = ("--variant", "separable", "--seconds", "0.3")


@pytest.mark.parametrize(
    ("key", "text", "values"),
    [
        ("batch", "1,8", (1, 8)),
        ("threads", "2", (2,)),
        ("memory_format", "channels_last, contiguous", ("channels_last", "contiguous")),
        ("dtype", "float32,float32", ("float32",)),
    ],
)
def test_an_axis_is_a_list_of_values(key: str, text: str, values: tuple[object, ...]) -> None:
    assert parse_axes({key: text}) == {key: values}


def test_an_axis_that_is_not_given_is_left_out() -> None:
    assert parse_axes({"threads": None}) == {}


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--compile", "maybe", "--compile: 'maybe' isn't one\n  hint: one of off, on"),
        ("--dtype", "float32,", "--dtype: '' isn't one\n  hint: one of float32, bfloat16"),
        ("--memory-format", "nchw", "--memory-format: 'nchw' isn't one"),
        ("--threads", "0,2", "--threads: 0 isn't a whole number from 1 to 4,096"),
        ("--batch", "1,2.5", "--batch: '2.5' isn't a whole number from 1 to 1,000,000"),
        ("--batch", "²", "--batch: '²' isn't a whole number"),
    ],
)
def test_what_is_no_value_is_refused(option: str, text: str, message: str) -> None:
    ran = convcost("compare", option, text)
    assert (ran.code, ran.out) == (2, "")
    assert f"error: {message}" in ran.err


def test_every_combination_has_its_rows_in_one_run() -> None:
    ran = convcost(
        *("compare", *QUICK, "--memory-format", "contiguous,channels_last", "--threads", "1,2"),
        *("--format", "json"),
    )
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    found = [(row["variant"], row.get("settings", {})) for row in report["rows"]]
    points: list[dict[str, object]] = [
        {},
        {"threads": 2},
        {"memory_format": "channels_last"},
        {"memory_format": "channels_last", "threads": 2},
    ]
    assert found == [(v, point) for point in points for v in ("standard", "separable")]
    assert report["environment"]["memory_format"] == "contiguous"
    assert report["environment"]["threads"] == 1
    rounds = {row["values"]["latency"]["rounds"] for row in report["rows"]}
    assert rounds == {report["environment"]["rounds"]}
    ratios = [row["values"].get("latency_ratio") for row in report["rows"]]
    assert ratios[0] is None
    assert all(ratios[1:])


def test_the_batch_and_the_dtype_change_what_is_counted() -> None:
    axes: dict[str, tuple[int | str, ...]] = {"batch": (1, 4), "dtype": ("float32", "float64")}
    report = compare(variants=("separable",), measure=False, axes=axes)
    rows = {(row.variant, *row.settings.values()): row.values for row in report.rows}
    once = rows[("standard",)]
    for key, factors in {
        "multiplications": (4, 1),
        "activation_bytes": (4, 2),
        "parameter_bytes": (1, 2),
        "parameters": (1, 1),
    }.items():
        for setting, factor in ((4, factors[0]), ("float64", factors[1])):
            assert number(rows["standard", setting][key]) == number(once[key]) * factor
    on_paper = [row.values["multiplications_ratio"].value for row in report.rows]
    less = 53_952 / 1_228_800
    assert on_paper == [1.0, less, 1.0, less, 4.0, less, 4.0, less]


def test_what_needs_memory_is_all_that_lives_at_once(tmp_path: Path) -> None:
    """The inputs of two batches: 1 and 2 times 10 TB; the layer's output is a thousandth."""
    spec = "version: 1\ninput: [1, 1600000, 1600000]\nlayers:\n  - max_pool: {kernel_size: 32}\n"
    (tmp_path / "spec.yaml").write_text(spec)
    needed = []
    for batch in ("2", "1,2"):
        ran = convcost("compare", "spec.yaml", "--batch", batch, folder=tmp_path)
        assert ran.code == 2
        text = ran.err.removeprefix("error: needs about ").split(" TiB of memory")[0]
        needed.append(float(text))
    assert needed[1] == pytest.approx(1.5 * needed[0], rel=0.01)


def test_a_model_runs_at_every_point(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\n"
        "model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3))\n"
        "example_inputs = ((1, 4, 16, 16),)\n"
    )
    ran = convcost(
        *("compare", file, *QUICK, "--input", "1x4x16x16"),
        *("--dtype", "float32,float64", "--memory-format", "contiguous,channels_last"),
        *("--format", "csv"),
    )
    assert ran.code == 0, ran.err
    lines = [line.split(",") for line in ran.out.splitlines()]
    assert lines[0][:6] == ["name", "variant", "op", "output_shape", "dtype", "memory_format"]
    assert [(line[1], line[4], line[5]) for line in lines[1:]] == [
        (variant, dtype, layout)
        for dtype in ("float32", "float64")
        for layout in ("contiguous", "channels_last")
        for variant in ("standard", "separable")
    ]


def test_a_model_of_another_dtype_is_cast_where_the_dtype_varies(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\nmodel = nn.Conv2d(4, 8, 3).double()\n")
    axes: dict[str, tuple[int | str, ...]] = {"dtype": ("float32", "float64")}
    source = f"{file}:model"
    report = compare(source, variants=("separable",), measure=False, axes=axes)
    sizes = [number(row.values["parameter_bytes"]) for row in report.rows]
    assert sizes[2:] == [2 * size for size in sizes[:2]]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"compile": (False, True)}, "compile: false isn't one"),
        ({"memory_format": ("channels_first",)}, "memory_format: 'channels_first' isn't one"),
        ({"batch": (0,)}, "batch: 0 isn't a whole number from 1 to 1,000,000"),
        ({"threads": (True,)}, "threads: true isn't a whole number"),
        ({"seed": (0, 1)}, "seed is no axis"),
        ({"batch": ()}, "batch: .* isn't a list"),
        ({"dtype": "float64"}, "dtype: 'float64' isn't a list"),
        ({"batch": 2}, "batch: 2 isn't a list"),
    ],
)
def test_axes_from_python_are_held_to_the_same(axes: Any, message: str) -> None:
    with pytest.raises(ConvcostError, match=message):
        compare(measure=False, axes=axes)


def test_without_measuring_the_columns_have_their_values() -> None:
    axes: dict[str, tuple[int | str, ...]] = {
        "threads": (1, 2),
        "memory_format": ("contiguous", "channels_last"),
    }
    report = compare(variants=("separable",), measure=False, axes=axes)
    lines = [line.split(",")[4:6] for line in render(report, "csv").splitlines()]
    assert lines[:4] == [
        ["threads", "memory_format"],
        ["1", "contiguous"],
        ["1", "contiguous"],
        ["1", "channels_last"],
    ]


def test_a_larger_batch_costs_more_on_paper_too() -> None:
    ran = convcost("compare", "--no-measure", "--variant", "separable", "--batch", "1,8")
    [line] = [line for line in ran.out.splitlines() if line.startswith("standard   8")]
    assert line.endswith("8.00× more")


def test_layers_are_of_the_first_settings_and_say_so() -> None:
    ran = convcost("compare", "--no-measure", "--per-layer", "--batch", "1,8")
    assert "note: the layers are those of the first settings" in ran.err


def test_rows_of_other_settings_are_other_rows_in_a_diff(tmp_path: Path) -> None:
    for name, batches in (("one", (1,)), ("both", (1, 8))):
        report = compare(measure=False, variants=("separable",), axes={"batch": batches})
        (tmp_path / f"{name}.json").write_text(report.to_json())
    ran = convcost("diff", "one.json", "both.json", folder=tmp_path)
    assert "primer (separable, batch 8)" in ran.out
    assert "+700 %" not in ran.out


@pytest.mark.usefixtures("threads_as_before")
def test_only_rows_whose_threads_waited_are_doubted() -> None:
    """One thread never waits, two always do."""
    told = {1: 0.0, 2: 0.5}

    def one() -> None: ...
    def two() -> None: ...

    fake = FakeClock(noisy({one: 1e-3, two: 1e-3}))
    clock = ThreadsClock(fake, {one: 1, two: 2}, lambda: fake.time * told[torch.get_num_threads()])
    for call in (one, two, one, two):
        clock.block(call, 100)
    assert clock.doubt(1, 2) == ""
    assert "waited 25 % of the time" in clock.doubt(2, 2)


def test_a_models_batch_is_its_inputs() -> None:
    with pytest.raises(ConvcostError, match=r"^batch is for specs"):
        compare("net.py", axes={"batch": (1, 2)})


def test_compiled_rows_stand_beside_the_others() -> None:
    ran = convcost("compare", *QUICK, "--compile", "off,on", timeout=240)
    assert ran.code == 0, ran.err
    assert "standard, compiled: on paper as many multiplications; here " in ran.out


def test_a_compiler_joins_ops_so_that_their_roofline_says_nothing() -> None:
    options = ("--compile", "off,on", "--variant", "separable", "--format", "json")
    ran = convcost("compare", *QUICK, *options, timeout=240)
    assert ran.code == 0, ran.err
    rows = json.loads(ran.out)["rows"]
    assert [("attainable_latency" in row["values"]) for row in rows] == [
        row.get("settings", {}).get("compile") != "on" for row in rows
    ]
    assert len(rows) == 4


def test_without_a_compiler_nothing_is_compiled(tmp_path: Path) -> None:
    env = {"CXX": "/nowhere", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    ran = convcost("compare", *QUICK, "--compile", "on", env=env, timeout=240)
    assert (ran.code, ran.out) == (2, "")
    assert "(contiguous, compiled): " in ran.err
    assert "--compile off" in ran.err
    assert "Traceback" not in ran.err


def test_cold_caches_are_in_the_report() -> None:
    ran = convcost("compare", *QUICK, "--cold")
    assert " with cold caches" in ran.out
    ran = convcost("compare", *QUICK, "--cold", "--format", "json")
    assert json.loads(ran.out)["environment"]["caches"] == "cold"


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads_as_before")
def test_each_call_runs_on_its_own_number_of_threads() -> None:
    seen: list[tuple[str, int]] = []

    def one() -> None:
        seen.append(("one", torch.get_num_threads()))

    def two() -> None:
        seen.append(("two", torch.get_num_threads()))

    torch.set_num_threads(2)
    clock = ThreadsClock(HostClock(), {one: 1, two: 2}, lambda: 0.0)
    for call in (two, one, two):
        clock.block(call, 1)
    # the first call after a change isn't timed
    assert seen == [("two", 2), ("one", 1), ("one", 1), ("two", 2), ("two", 2)]


def noisy(costs: Mapping[Any, float]) -> Callable[[object, float], float]:
    """Each call costs what ``costs`` says, give or take half a hundredth."""
    random = Random(0)
    return lambda call, _: costs[call] * random.uniform(0.995, 1.005)


def test_each_candidate_is_compared_with_its_own_reference() -> None:
    calls = {name: (lambda: None) for name in ("a", "a half", "b", "b double")}
    costs = dict(zip(calls.values(), (4e-3, 2e-3, 1e-3, 2e-3), strict=True))
    references = {"a half": "a", "b": "a", "b double": "b"}
    protocol = Protocol(2.0, 0.03, FakeClock(noisy(costs)), Random(1), lambda: 0.0, 1, 2)
    found = measure_calls(calls, protocol, lambda *_: None, references)
    ratios = {name: c.ratio.median for name, c in found.comparisons.items()}
    assert ratios == pytest.approx({"a half": 0.5, "b": 0.25, "b double": 2.0}, rel=0.01)
    assert {c.verdict for c in found.comparisons.values()} == {"faster", "slower"}
    assert {c.ratio.confidence for c in found.comparisons.values()} == {1 - (1 - 0.99) / 3}


def test_each_reference_runs_a_second_time_in_every_round() -> None:
    def a() -> None: ...
    def b() -> None: ...
    def c() -> None: ...

    clock = FakeClock(noisy(dict.fromkeys((a, b, c), 1e-3)))
    protocol = Protocol(2.0, 0.03, clock, Random(1), lambda: 0.0, 1, 2)
    measure_calls({"a": a, "b": b, "c": c}, protocol, lambda *_: None, {"b": "a", "c": "b"})
    assert Counter(call for call, _ in clock.calls[-5:]) == {a: 2, b: 2, c: 1}


def row(variant: str, latency: float, settings: dict[str, str | int], **values: Value) -> Row:
    count = {"standard": 100, "separable": 25}[variant]
    measured = Value("measured", latency, latency * 0.99, latency * 1.01, 0.99, 40, latency)
    exact = {"parameters": 10, "multiplications": count, "convolutions": 1, "rewritten": 0}
    every = {key: Value("exact", value) for key, value in exact.items()}
    every |= {"receptive_field": Value("exact", (3, 3)), "latency": measured, **values}
    return Row("net", variant, "conv", "", (1, 8, 6, 6), every, settings)


def against(ratio: float, paper: float, verdict: str) -> dict[str, Value]:
    return {
        "latency_ratio": Value("measured", ratio, ratio * 0.98, ratio * 1.02, 0.99, 40, ratio),
        "verdict": Value("measured", verdict),
        "multiplications_ratio": Value("exact", paper),
    }


REPORT = Report(
    kind="compare",
    source="net.yaml",
    input=((1, 4, 8, 8),),
    environment={
        "processor": "A processor",
        "device": "cpu",
        "threads": 1,
        "dtype": "float32",
        "memory_format": "contiguous",
        "torch": "2.13.0",
        "rounds": 40,
        "delta": 0.03,
        "caches": "cold",
        "clock_mhz": 1410,
        "most_clock_mhz": 1980,
        "slowed_by": "power cap",
    },
    rows=(
        row("standard", 4e-3, {}, multiplications_ratio=Value("exact", 1.0)),
        row("separable", 2e-3, {}, **against(0.5, 0.25, "faster")),
        row("standard", 3e-3, {"threads": 2}, **against(0.75, 1.0, "faster")),
        row("separable", 1.99e-3, {"threads": 2}, **against(0.663, 0.25, "faster")),
    ),
)


def test_the_text_of_rows_with_settings() -> None:
    expected = Path(__file__).with_name("shown") / "axes.txt"
    assert render(REPORT, "table") == expected.read_text(encoding="utf-8")


def test_the_settings_survive_json(tmp_path: Path) -> None:
    report = compare(measure=False, axes={"batch": (1, 2), "compile": ("off", "on")})
    file = tmp_path / "report.json"
    file.write_text(report.to_json())
    assert load_report(str(file)) == report
    assert report.rows[-1].settings == {"batch": 2, "compile": "on"}


def test_csv_has_a_column_for_each_setting_that_differs() -> None:
    lines = [line.split(",") for line in render(REPORT, "csv").splitlines()]
    assert [line[4] for line in lines] == ["threads", "1", "1", "2", "2"]


def test_html_names_every_row() -> None:
    html = render(REPORT, "html")
    assert "separable, 2 threads" in html


def test_a_cuda_graph_needs_cuda() -> None:
    ran = convcost("compare", *QUICK, "--cuda-graph")
    assert (ran.code, ran.out) == (2, "")
    assert "error: --cuda-graph needs --device cuda" in ran.err


class TestClocks:
    """No GPU is here: the driver's library is real, what it would say of one is given."""

    @pytest.fixture(autouse=True)
    def gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told = {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetHandleByUUID": lambda uuid: uuid,
            "nvmlDeviceGetClockInfo": lambda handle, which: (
                1410 if (handle, which) == ("GPU-7", pynvml.NVML_CLOCK_SM) else 0
            ),
            "nvmlDeviceGetMaxClockInfo": lambda *_: 1980,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda _: (
                pynvml.nvmlClocksEventReasonSwThermalSlowdown
                | pynvml.nvmlClocksEventReasonHwThermalSlowdown
                | pynvml.nvmlClocksEventReasonSwPowerCap
                | pynvml.nvmlClocksEventReasonGpuIdle
            ),
        }
        for name, function in told.items():
            monkeypatch.setattr(pynvml, name, function)
        properties = type("Properties", (), {"uuid": "7"})
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)

    def test_say_what_held_them_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        watch = ClockWatch(torch.device("cuda"))
        watch.look()
        monkeypatch.setattr(pynvml, "nvmlDeviceGetClockInfo", lambda *_: 1700)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", lambda _: 0)
        watch.look()
        assert watch.told() == {
            "clock_mhz": 1410,
            "most_clock_mhz": 1980,
            "slowed_by": "power cap, heat",
        }

    def test_are_unknown_to_an_older_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons")
        watch = ClockWatch(torch.device("cuda"))
        watch.look()
        assert watch.told() == {}

    def test_come_without_what_the_driver_keeps_to_itself(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def silent(*_: object) -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

        monkeypatch.setattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", silent)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetMaxClockInfo", silent)
        watch = ClockWatch(torch.device("cuda"))
        watch.look()
        assert watch.told() == {"clock_mhz": 1410}
        report = Report(
            kind="compare",
            source="net.yaml",
            input=(),
            environment={"clock_mhz": 1410},
            rows=(),
        )
        assert "clock 1410 MHz" in list(footnotes(report))

    def test_are_unknown_where_the_driver_does_not_tell(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def absent() -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

        monkeypatch.setattr(pynvml, "nvmlInit", absent)
        watch = ClockWatch(torch.device("cuda"))
        watch.look()
        assert watch.told() == {}


def test_a_processor_has_no_driver_to_ask() -> None:
    watch = ClockWatch(torch.device("cpu"))
    watch.look()
    assert watch.told() == {}


def test_settings_have_no_axis_on_by_itself() -> None:
    assert (Settings().compile, Settings().cold) == ("off", False)
