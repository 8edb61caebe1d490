"""What is executed holds what is computed to account: its shape, and fvcore's count."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli import fine

from convcost import ConvcostError, compare
from convcost.analyses import Costs, analyse
from convcost.graph import Graph
from convcost.measure.execute import Candidate, Outcome, execute
from convcost.measure.settings import Settings
from convcost.notify import silently
from convcost.report import Report, Row, Value
from convcost.sources.spec import load_spec
from convcost.variants import parse_variant
from convcost.workflows.measured import measured_values, second_count_findings

QUICK = Settings(threads=1, seconds=0.05)
PADDED = "{conv: {out_channels: %d, kernel_size: 2, padding: same}}"
PLAIN = "{conv: {out_channels: %d, kernel_size: 3}}"


def written(folder: Path, *layers: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(f"version: 1\ninput: [8, 20, 20]\nlayers: [{', '.join(layers)}]\n")
    return path


def loaded(folder: Path, *layers: str) -> tuple[Graph, Costs]:
    graph = load_spec(str(written(folder, *layers)), 1, 4, parse_variant).graph
    return graph, analyse(graph)


def executed(graph: Graph) -> Outcome:
    return execute({"standard": Candidate(graph, QUICK, None)}, 0, silently)


def seconds_of(report: Report) -> list[Value]:
    return [row.values["fvcore_multiplications"] for row in report.rows]


def test_what_nothing_reads_is_a_known_difference(tmp_path: Path) -> None:
    live = "{name: live, inputs: [input], conv: {out_channels: 4, kernel_size: 5}}"
    source = written(tmp_path, "{name: dead, conv: {out_channels: 4, kernel_size: 3}}", live)
    found = compare(source, settings=QUICK)
    assert {value.reason for value in seconds_of(found)} == {"fvcore leaves out what nothing reads"}
    assert seconds_of(found)[0].value == 4 * 8 * 25 * 16 * 16
    assert not found.findings


def test_what_nothing_reads_explains_nothing_else(tmp_path: Path) -> None:
    # both differences are of the dead layer, and only one of them counts
    live = "{name: live, inputs: [input], conv: {out_channels: 4, kernel_size: 5}}"
    found = compare(written(tmp_path, PADDED % 4, live), settings=QUICK, variants=["standard"])
    assert seconds_of(found)[0].reason == "fvcore leaves out what nothing reads"
    assert not found.findings


def test_string_padding_is_a_known_difference(tmp_path: Path) -> None:
    found = compare(written(tmp_path, PADDED % 4), settings=QUICK, variants=["standard"])
    why = "fvcore counts 0 for string padding, which conv1 ran with"
    assert seconds_of(found) == [Value("exact", 0, reason=why)]
    assert not found.findings


@pytest.mark.parametrize("layer", [PLAIN, PADDED])
def test_a_count_that_differs_otherwise_is_a_finding(layer: str, tmp_path: Path) -> None:
    ran, _ = loaded(tmp_path, PLAIN % 4, layer % 4)
    graph, costs = loaded(tmp_path, PLAIN % 5, layer % 4)
    outcome = executed(ran)
    values = {**costs.totals, **measured_values("standard", costs, graph, outcome)}
    row = Row("spec", "standard", "network", "", graph.nodes[-1].shape, values)
    (finding,) = second_count_findings([row])
    counted, ours = outcome.fvcore_multiplications["standard"], costs.totals["multiplications"]
    assert finding.message == (
        f"fvcore counts {counted:,} multiplications where convcost counts {ours.value:,}"
    )


def test_an_executed_shape_that_was_not_computed_is_an_error_of_ours(tmp_path: Path) -> None:
    graph, _ = loaded(tmp_path, PLAIN % 4)
    first, last = graph.nodes
    wrong = graph._replace(nodes=(first, last._replace(shape=(1, 4, 18, 17))))
    with pytest.raises(ConvcostError, match=r"internal error: spec gave \(1, 4, 18, 18\), comp"):
        executed(wrong)


def test_how_torch_pads_is_no_warning_of_ours(tmp_path: Path) -> None:
    source = written(tmp_path, PADDED % 4)
    assert "fvcore counts 0 for string padding" in fine("compare", source, "--seconds", "0.05")
