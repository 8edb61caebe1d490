"""Ceilings: what bounds constructed layers, what is kept from run to run, what the command says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cli import convcost, refused

from convcost.analyses import analyse
from convcost.graph import Graph, GraphBuilder
from convcost.measure.caches import cache_bytes, flushing_bytes
from convcost.measure.ceilings_cache import Ceilings, load_ceilings, save_ceilings
from convcost.measure.clocks import Call, HostClock
from convcost.measure.roofline import measure_ceilings
from convcost.measure.rounds import Spent
from convcost.ops import Conv
from convcost.render.notes import footnotes
from convcost.report import Report, Row, Value, number
from convcost.workflows.roofline import Work, became_memory_bound, bound_of, on_roofline, works

CEILINGS = Ceilings(1e11, 2e10, 5e-6, 1e10)
"""Those of a machine with two cores."""


def network(*convs: Conv, size: int) -> Graph:
    builder = GraphBuilder("net")
    index = builder.add_input((1, convs[0].in_channels, size, size))
    for number_, conv in enumerate(convs):
        index = builder.add(f"layer{number_}", conv, index)
    return builder.build()


def conv(before: int, after: int, kernel: int, groups: int = 1) -> Conv:
    pads = ((kernel // 2, kernel // 2),) * 2
    return Conv(before, after, (kernel,) * 2, (1, 1), pads, (1, 1), groups)


def values(graph: Graph, latency: float | None = None) -> dict[str, Value]:
    value = Value("unavailable", None) if latency is None else Value("measured", latency)
    return on_roofline(works(graph, analyse(graph)), CEILINGS, value)


@pytest.mark.parametrize(
    ("graph", "bound"),
    [
        (network(conv(64, 64, 3), size=112), "compute"),
        (network(conv(64, 64, 3, groups=64), size=224), "memory"),
        (network(conv(3, 3, 5, groups=3), size=12), "overhead"),
    ],
    ids=["large 3x3", "depthwise on a large map", "the primer's depthwise part"],
)
def test_what_bounds_a_layer(graph: Graph, bound: str) -> None:
    (work,) = works(graph, analyse(graph))
    assert bound_of(work, CEILINGS) == bound
    best = number(values(graph)["attainable_latency"])
    assert values(graph, 1.2 * best)["bound"].value == bound


def test_the_times_at_best_are_work_over_ceilings() -> None:
    graph = network(conv(64, 64, 3), size=112)
    found = values(graph, 1.0)
    multiplications = 64 * 64 * 9 * 112 * 112
    moved = 4 * (2 * 64 * 112 * 112 + 64 * 64 * 9 + 64)
    assert number(found["compute_latency"]) == pytest.approx(multiplications / 1e11)
    assert number(found["memory_latency"]) == pytest.approx(moved / 2e10)
    assert number(found["overhead_latency"]) == 5e-6
    assert number(found["roofline_share"]) == number(found["attainable_latency"])


def test_what_is_three_times_slower_than_its_ceilings_is_bound_by_overhead() -> None:
    graph = network(conv(64, 64, 3), size=112)
    best = number(values(graph)["attainable_latency"])
    assert values(graph, 2.9 * best)["bound"].value == "compute"
    assert values(graph, 3.1 * best)["bound"].value == "overhead"


def test_what_is_faster_than_any_arithmetic_has_no_bound_but_a_note() -> None:
    graph = network(conv(64, 64, 3), size=112)
    arithmetic = number(values(graph)["compute_latency"])
    assert values(graph, 0.26 * arithmetic)["bound"].value == "compute"
    beyond = values(graph, 0.24 * arithmetic)
    assert not {"bound", "roofline_share"} & set(beyond)
    latency = {"latency": Value("measured", 0.24 * arithmetic)}
    row = Row("net", "standard", "network", "", (1, 64, 112, 112), {**beyond, **latency})
    report = Report("compare", "net.yaml", ((1, 64, 112, 112),), {}, (row,), {})
    assert any("convcost machine --refresh" in note for note in footnotes(report))
    known = row._replace(values={**values(graph, arithmetic), **latency})
    assert not any("--refresh" in note for note in footnotes(report._replace(rows=(known,))))


def test_without_a_latency_nothing_is_said_of_its_share() -> None:
    assert not {"bound", "roofline_share"} & set(values(network(conv(8, 8, 3), size=9)))


def test_a_layer_whose_parts_move_more_than_they_multiply_became_bound_by_memory() -> None:
    standard = network(conv(32, 32, 3), size=200)
    split = network(conv(32, 32, 3, groups=32), conv(32, 32, 1), size=200)
    nodes = [node._replace(module="layer0.part") for node in split.nodes]
    split = split._replace(nodes=tuple(nodes))
    before = (standard, analyse(standard))
    assert became_memory_bound(split, analyse(split), before, CEILINGS) == ["layer0"]
    assert became_memory_bound(*before, before, CEILINGS) == []


def test_this_machines_ceilings_are_positive_and_plausible() -> None:
    rate, bandwidth, floor, products = measure_ceilings(
        torch.device("cpu"), torch.float32, HostClock()
    )
    assert 1e7 < rate == products < 1e14
    assert 1e7 < bandwidth < 1e13
    assert 1e-8 < floor < 1


def test_matrix_products_have_a_rate_of_their_own() -> None:
    product, convolution = Work(1e9, 1.0, is_product=True), Work(1e9, 1.0)
    best = [
        number(on_roofline([work], CEILINGS, Value("unavailable", None))["compute_latency"])
        for work in (product, convolution)
    ]
    assert best == [0.1, 0.01]


def test_a_row_whose_time_the_clock_can_not_tell_is_bound_by_nothing() -> None:
    assert "bound" not in values(network(conv(8, 8, 3), size=9), 0.0)


def test_starting_a_library_is_not_timed() -> None:
    class Clock(HostClock):
        """The first product takes longer than all of the time there is; small ones are slow."""

        time = 0.0
        started = False

        def now(self) -> float:
            self.time += 0.01
            return self.time

        def block(self, call: Call, times: int) -> Spent:
            result = call()
            if not isinstance(result, torch.Tensor) or result.dim() != 2:
                return Spent(1e-3, 1e-3)
            seconds = 1e-3 + 1e-4 * (len(result) / 256) ** 3
            self.time += times * seconds if self.started else 0.15
            self.started = True
            return Spent(seconds, seconds)

    found = measure_ceilings(torch.device("cpu"), torch.float32, Clock())
    assert found.multiplications_per_second > 5e10


def test_a_call_costs_no_more_in_half_precision() -> None:
    class Clock(HostClock):
        """Ten times as long for the smallest convolution in bfloat16; no time is waited for."""

        time = 0.0

        def now(self) -> float:
            self.time += 0.05
            return self.time

        def block(self, call: Call, _: int) -> Spent:
            result = call()
            slow = isinstance(result, torch.Tensor) and result.shape == (1, 1, 1, 1)
            seconds = 5e-5 if slow and result.dtype is torch.bfloat16 else 5e-6  # type: ignore[attr-defined]
            return Spent(seconds, seconds)

    found = measure_ceilings(torch.device("cpu"), torch.bfloat16, Clock())
    assert found.floor == 5e-6


def test_ceilings_are_kept_from_run_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load_ceilings(["cpu", "float32"]) is None
    save_ceilings(["cpu", "float32"], CEILINGS)
    save_ceilings(["cpu", "float64"], CEILINGS._replace(floor=1.0))
    assert load_ceilings(["cpu", "float32"]) == CEILINGS
    assert [path.name for path in (tmp_path / "convcost").iterdir()] == ["machine.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"version": 1}', '{"version": 2, "ceilings": {"cpu": [1.0, -1.0, 2.0]}}']
)
def test_a_broken_cache_is_no_cache(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "convcost").mkdir()
    (tmp_path / "convcost" / "machine.json").write_text(text, encoding="utf-8")
    assert load_ceilings(["cpu"]) is None


def test_a_cache_that_cannot_be_written_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "convcost").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    save_ceilings(["cpu"], CEILINGS)
    assert load_ceilings(["cpu"]) is None


def test_what_is_streamed_is_more_than_the_caches_hold(tmp_path: Path) -> None:
    for name, size in {"index0": "48K", "index3": "266240K"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "size").write_text(f"{size}\n", encoding="ascii")
    cpu = torch.device("cpu")
    assert cache_bytes(cpu, tmp_path) == 260 << 20
    assert cache_bytes(cpu, tmp_path / "none") == 0
    assert flushing_bytes(cpu) > cache_bytes(cpu)


def test_machine_shows_its_ceilings(tmp_path: Path) -> None:
    ran = convcost("machine", "--dtype", "float32", "--format", "json", folder=tmp_path)
    report = json.loads(ran.out)
    assert (ran.code, report["kind"], [row["name"] for row in report["rows"]]) == (
        0,
        "machine",
        ["float32"],
    )
    found = {key: value["value"] for key, value in report["rows"][0]["values"].items()}
    assert found["ridge_intensity"] == pytest.approx(
        2 * found["multiplications_per_second"] / found["bytes_per_second"]
    )


def test_machine_refuses_what_there_is_not(tmp_path: Path) -> None:
    assert "'float8' is none of float32" in refused("machine", "--dtype", "float8", folder=tmp_path)
