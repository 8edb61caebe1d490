"""The examples: they profile, their counts are right, and what their docstrings tell is so."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from cli import convcost
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from convcost.analyses import analyse
from convcost.sources.forward import run_forward
from convcost.sources.model import LoadedModel, load_model

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SCRIPTS = {"dense_extraction"}
"""Examples that are run, not profiled."""

Profile = dict[str, Any]
Row = dict[str, Any]


class Case(NamedTuple):
    """A model of an example, and its published figures where there are any."""

    name: str
    arguments: Mapping[str, object] = MappingProxyType({})
    parameters: int | None = None
    multiplications: int | None = None
    receptive_field: tuple[int, ...] | str | None = None


CASES = (
    # torchvision's models of these names
    Case("mobilenet_v2", {}, 3_504_872, 300_774_272, (491, 491)),
    Case("resnet", {}, 25_557_032, 4_089_184_256, (427, 427)),
    Case("resnet", {"depth": 18}, 11_689_512, 1_814_073_344, (435, 435)),
    # Keras Applications' trainable parameters
    Case("xception", {}, 22_855_952),
    Case("deeplab_v3", receptive_field="global"),
    # nine levels, up to five wide: 140 at the bottom, and 4 neighbours 16 apart on the way up
    Case("unet", receptive_field=(140 + 4 * 16,) * 2),
    Case("wavenet", receptive_field=(2 + 3 * (2**10 - 1),)),
)


def case_id(case: Case) -> str:
    return "-".join([case.name, *(str(value) for value in case.arguments.values())])


def counted_by_torch(loaded: LoadedModel) -> int:
    """``FlopCounterMode`` / 2, without data."""
    inputs = [argument.to("meta") for argument in loaded.args]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        loaded.module.to("meta")(*inputs)
    flops: int = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_an_examples_totals_are_right(case: Case) -> None:
    source = str(EXAMPLES / f"{case.name}.py")
    loaded = load_model(source, case.arguments, ())
    graph, notices = run_forward(loaded, source)
    totals = {key: value for key, value in analyse(graph).totals.items() if value.status == "exact"}
    assert notices == ()
    assert totals["parameters"].value == sum(p.numel() for p in loaded.module.parameters())
    assert totals["multiplications"].value == counted_by_torch(loaded)
    for metric in ("parameters", "multiplications", "receptive_field"):
        assert getattr(case, metric) in (None, totals[metric].value)


def test_every_example_is_tested() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names - SCRIPTS == {case.name for case in CASES} == set(OBSERVATIONS)


def test_dense_responses_are_four_times_as_many_and_include_the_sparse_ones(tmp_path: Path) -> None:
    file = tmp_path / "responses.png"
    command = [sys.executable, str(EXAMPLES / "dense_extraction.py"), str(file)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "sparse: a response at 25% of the positions\n" in out
    assert "dense: a response at 100% of the positions\n" in out
    assert "at every second position both are the same: True\n" in out
    _, sparse, dense = out.split("% of the positions\n")
    assert sparse.count("·") == 24 * 56 * 3 // 4
    assert "·" not in dense
    with Image.open(file) as image:
        assert image.size == (3 * 4 * 96, 4 * 96)


# What the docstrings tell, from the output alone


def rows(profile: Profile, prefix: str = "", suffix: str = "", op: str = "") -> list[Row]:
    found = [
        row
        for row in profile["rows"]
        if row["name"].startswith(prefix) and row["name"].endswith(suffix) and op in ("", row["op"])
    ]
    assert found
    return found


def value(row: Row, metric: str) -> Any:
    assert row["values"][metric]["status"] == "exact"
    return row["values"][metric]["value"]


def share(profile: Profile, metric: str, of: Iterable[Row]) -> str:
    """The share of the total, as a docstring gives it."""
    total = profile["totals"][metric]["value"]
    percent = 100 * sum(value(row, metric) for row in of) / total
    return f"{percent:.{0 if percent >= 2 else 1}f} %"


def shares(profile: Profile, of: Iterable[Row]) -> tuple[str, str]:
    """Of the parameters and of the multiplications."""
    found = list(of)
    return share(profile, "parameters", found), share(profile, "multiplications", found)


def mobilenet_v2(profile: Profile) -> list[str]:
    convs = rows(profile, "blocks.", op="conv")
    depthwise = [row for row in convs if value(row, "parameters") == 3 * 3 * row["output_shape"][1]]
    assert len(depthwise) == 17
    elementwise = rows(profile, op="batch_norm") + rows(profile, op="hardtanh")
    assert share(profile, "multiplications", elementwise) == "0.0 %"
    classifier = rows(profile, "classifier.1")
    return [
        f"the depthwise rows do {share(profile, 'multiplications', depthwise)}",
        f"move {share(profile, 'bytes_moved', depthwise + elementwise)} of the bytes",
        f"holds {share(profile, 'parameters', classifier)} of the parameters",
        f"does {share(profile, 'multiplications', classifier)} of the multiplications",
    ]


def resnet(profile: Profile) -> list[str]:
    first, last = rows(profile, "stages.0."), rows(profile, "stages.3.")
    (height, width) = value(last[-1], "receptive_field")
    assert min(height, width) > max(profile["input"][0][2:])
    held, done = "holds {} of the parameters", "does {} of the multiplications"
    return [
        f"the first stage {held} and {done}".format(*shares(profile, first)),
        "the last holds {} and does {}.".format(*shares(profile, last)),
        f"sees {height}×{width} input positions",
    ]


def xception(profile: Profile) -> list[str]:
    depthwise, pointwise = rows(profile, suffix=".depthwise"), rows(profile, suffix=".pointwise")
    light = [value(row, "arithmetic_intensity") for row in depthwise]
    heavy = [value(row, "arithmetic_intensity") for row in pointwise]
    assert {f"{intensity:.0f}" for intensity in light} == {"2"}
    return [
        f"for {share(profile, 'multiplications', depthwise)} of the multiplications",
        f"the pointwise rows do {share(profile, 'multiplications', pointwise)}.",
        f"a pointwise one {min(heavy):.0f} to {max(heavy):.0f}",
    ]


def deeplab_v3(profile: Profile) -> list[str]:
    backbone = rows(profile, "backbone.")[-1]
    branches = [rows(profile, f"pyramid.branches.{i}.0")[0] for i in (1, 2, 3)]
    for metric in ("parameters", "multiplications"):
        assert len({value(row, metric) for row in branches}) == 1
    seen = value(backbone, "receptive_field")[0]
    fields = [value(row, "receptive_field")[0] for row in branches]
    spans = [(field - seen) // value(backbone, "effective_stride")[0] + 1 for field in fields]
    assert spans == [2 * rate + 1 for rate in (6, 12, 18)]
    size = branches[-1]["output_shape"][2]
    assert size <= 2 * 18  # no position has a feature 18 before it and one 18 after it
    return [
        "see {}, {} and {} input positions".format(*fields),
        f"the backbone sees {seen} and the image has {profile['input'][0][2]}.",
        f"At rate 18 a kernel spans {spans[-1]} of {size} features",
    ]


def unet(profile: Profile) -> list[str]:
    bottom, top = rows(profile, "down.4."), rows(profile, "up.3.")
    before, after = rows(profile, "down.2.2")[0], rows(profile, "down.3.2")[0]
    assert value(after, "parameters") == pytest.approx(4 * value(before, "parameters"), rel=0.01)
    work = value(after, "multiplications") / value(before, "multiplications")
    assert work == pytest.approx(1, abs=0.15)
    sizes = *profile["input"][0][2:], *rows(profile, "head")[0]["output_shape"][2:]
    held, done = "holds {} of the parameters", "does {} of the multiplications"
    return [
        "{}×{} in, {}×{} out".format(*sizes),
        f"``down.4`` {held} and {done}".format(*shares(profile, bottom)),
        "``up.3`` holds {} and does {}.".format(*shares(profile, top)),
    ]


def wavenet(profile: Profile) -> list[str]:
    units = [rows(profile, f"units.{i}.") for i in range(30)]
    (each,) = {share(profile, "multiplications", unit) for unit in units}
    seen = [value(rows(profile, "embed")[0], "receptive_field")[0]]
    seen += [value(unit[-1], "receptive_field")[0] for unit in units]
    grown = [after - before for before, after in pairwise(seen)]
    assert grown == [2**power for power in range(10)] * 3
    assert {value(row, "receptive_field_density") for row in rows(profile)} == {1}
    samples = profile["input"][0][2]
    return [
        f"costs the same, {each} of the multiplications",
        f"a new stack of ten adds {seen[20] - seen[10]} samples",
        f"All {len(units)} see {seen[-1]} of {samples} samples, {seen[-1] / 16000:.2f} s",
    ]


OBSERVATIONS: dict[str, Callable[[Profile], list[str]]] = {
    "mobilenet_v2": mobilenet_v2,
    "resnet": resnet,
    "xception": xception,
    "deeplab_v3": deeplab_v3,
    "unet": unet,
    "wavenet": wavenet,
}


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_an_examples_docstring_tells_what_its_profile_shows(name: str) -> None:
    source = f"examples/{name}.py"
    ran = convcost("profile", source, "--no-measure", "--format", "json", folder=ROOT)
    assert ran.code == 0, ran.err
    docstring = ast.get_docstring(ast.parse((ROOT / source).read_text("utf-8"))) or ""
    told = " ".join(docstring.split())
    assert 2 <= len(docstring.splitlines()) <= 5
    assert f"``convcost profile {source}``" in told
    assert [said for said in OBSERVATIONS[name](json.loads(ran.out)) if said not in told] == []
