"""The package's own functions: ``convcost.measure`` and its neighbours."""

import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import Does
from torch import nn

import convcost
from convcost import Settings
from convcost.pytest_plugin import Costs

FROM_A_ROOM = """
import convcost.measure.settings
import convcost.render.json
print(callable(convcost.measure), callable(convcost.render))
"""


def test_functions_keep_their_names_when_rooms_of_the_same_name_are_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FROM_A_ROOM], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True True\n"


def test_callables_are_compared_with_the_first() -> None:
    called: set[str] = set()
    done = convcost.measure(
        {"first": lambda: called.add("first"), "second": lambda: called.add("second")},
        settings=Settings(seconds=0.5),
    )
    assert called == set(done.latencies) == {"first", "second"}
    assert set(done.comparisons) == {"second"}
    assert done.comparisons["second"].ratio.median > 0


def test_compare_refuses_a_module_and_says_what_it_takes() -> None:
    model: Any = nn.Conv2d(3, 4, 3)
    with pytest.raises(convcost.ConvcostError, match="a SOURCE as text, not a Conv2d") as caught:
        convcost.compare(model)
    assert "model.py:attr" in caught.value.hint


def test_one_text_stands_for_a_sequence_of_one() -> None:
    one = convcost.compare(variants="separable", measure=False)
    assert one.rows == convcost.compare(variants=["separable"], measure=False).rows
    with pytest.raises(convcost.ConvcostError, match="'nowhere'"):
        convcost.compare(only="nowhere", measure=False)
    sizes: Any = (1, 3, 224, 224)
    with pytest.raises(convcost.ConvcostError, match="inputs can't be"):
        convcost.compare("net.py", inputs=sizes)


def test_an_error_shows_its_hint_in_a_traceback() -> None:
    with pytest.raises(convcost.ConvcostError) as caught:
        convcost.compare("net.py:2x")
    assert "give model.py" in caught.value.hint
    assert traceback.format_exception(caught.value)[-1] == f"hint: {caught.value.hint}\n"
    assert not hasattr(convcost.ConvcostError("without one"), "__notes__")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("dtype", "fp16"),
        ("device", "gpu"),
        ("memory_format", "nhwc"),
        ("compile", True),
        ("threads", 0),
        ("threads", "2"),
        ("threads", 1.5),
        ("cold", "yes"),
        ("seconds", 0),
        ("seconds", float("nan")),
        ("delta", -1),
        ("delta", None),
        ("seed", -1),
    ],
)
def test_settings_that_can_not_be_are_refused(setting: str, value: Any) -> None:
    given = Settings()._replace(**{setting: value})
    for run in (convcost.compare, lambda **more: convcost.profile(nn.Conv2d(3, 4, 3), **more)):
        with pytest.raises(convcost.ConvcostError, match=f"settings: {setting} can't be"):
            run(settings=given)


SPEC: dict[str, Any] = {"measure": False}
MODEL: dict[str, Any] = {"input": (1, 3, 8, 8), "measure": False}


@pytest.mark.parametrize(
    ("run", "given", "told", "hint"),
    [
        ("compare", SPEC | {"axes": [1]}, "axes can't be [1]", "a mapping"),
        ("compare", SPEC | {"axes": {"batch": 1}}, "batch: 1 isn't a list", "such as (1, 2)"),
        ("compare", SPEC | {"per_layer": "no"}, "per_layer can't be 'no'", "True or False"),
        ("compare", SPEC | {"arguments": 3}, "arguments can't be 3", "a mapping"),
        ("compare", SPEC | {"arguments": {"a": 1}}, "arguments and inputs= are for", "a spec"),
        ("compare", SPEC | {"inputs": [(1, "3")]}, "inputs can't be [(1, '3')]", "list of shapes"),
        ("compare", SPEC | {"variants": None}, "variants can't be None", "a list of texts"),
        ("compare", SPEC | {"settings": {}}, "settings can't be {}", "convcost.Settings("),
        ("profile", MODEL | {"depth": 0}, "depth can't be 0", "1 or more"),
        ("profile", MODEL | {"expand": 1}, "expand can't be 1", "True or False"),
        ("profile", MODEL | {"arguments": {"a": 1}}, "are for a factory", "model.py:attr"),
        ("profile", MODEL | {"input": (1, 3, 8.0, 8)}, "8.0 isn't a whole number", "whole numbers"),
        ("rewrite", {"variant": None}, "variant can't be None", "a text"),
        ("measure", {"candidates": [print]}, "candidates can't be [<built-in", "a mapping"),
        ("measure", {"candidates": {"a": 3}}, "the candidate a can't be 3", "a callable"),
        ("render", {"report": 3}, "report can't be 3", "what compare"),
        ("load", {"path": None}, "path can't be None", "a text"),
    ],
)
def test_arguments_that_can_not_be_are_refused(
    run: str, given: dict[str, Any], told: str, hint: str
) -> None:
    first = [nn.Conv2d(3, 4, 3)] if run in ("profile", "rewrite") else []
    with pytest.raises(convcost.ConvcostError) as caught:
        getattr(convcost, run)(*first, **given)
    assert told in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("setting", "value"),
    [("device", "cuda"), ("dtype", "float16"), ("memory_format", "channels_last")],
)
def test_a_module_is_profiled_as_it_is_made_and_not_otherwise(setting: str, value: Any) -> None:
    settings = convcost.Settings()._replace(**{setting: value})
    with pytest.raises(convcost.ConvcostError, match=f"{setting} is {value}, and the") as caught:
        convcost.profile(nn.Conv2d(3, 4, 3), settings=settings)
    assert "its own .to()" in caught.value.hint


def test_a_module_that_is_made_so_may_be_asked_for_so() -> None:
    model = nn.Conv2d(3, 4, 3).to(torch.bfloat16)
    settings = convcost.Settings(dtype="bfloat16")
    report = convcost.profile(model, input=(1, 3, 8, 8), measure=False, settings=settings)
    assert report.environment["dtype"] == "bfloat16"


def test_a_factorys_missing_arguments_are_asked_for_as_arguments(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("from torch import nn\ndef net(wide, size): return nn.Conv2d(3, wide, size)\n")
    with pytest.raises(convcost.ConvcostError, match="needs arguments: wide, size") as caught:
        convcost.profile(f"{path}:net", measure=False)
    assert caught.value.hint == "give arguments={'wide': …, 'size': …}"
    given = {"wide": 4, "size": 3}
    report = convcost.profile(f"{path}:net", arguments=given, measure=False)
    assert report.totals["parameters"].value == 4 * 3 * 3 * 3 + 4


def test_paths_may_be_paths(tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    report = convcost.compare(Path("configs/primer.yaml"), measure=False)
    saved.write_text(convcost.render(report, "json"))
    assert convcost.load(saved).rows == report.rows


def test_notices_from_python_advise_arguments(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("from torch import nn\nnet = nn.Sequential(nn.Conv2d(3, 8, 3))\n")
    for run, argument in ((convcost.profile, "input="), (convcost.compare, "inputs=")):
        report = run(path, measure=False)
        assert report.notices[0].endswith(f"is assumed; use {argument}")


def test_what_no_spec_can_have_is_refused() -> None:
    with pytest.raises(convcost.ConvcostError, match="batch: -3 isn't a whole number"):
        convcost.compare(batch=-3, measure=False)
    variant: Any = 1
    with pytest.raises(convcost.ConvcostError, match=r"variants can't be \[1\]"):
        convcost.compare(variants=[variant], measure=False)


def test_what_can_not_be_rewritten_is_refused() -> None:
    start: Any = "SVD"
    with pytest.raises(convcost.ConvcostError, match="can't start as 'SVD'") as caught:
        convcost.rewrite(nn.Conv2d(8, 8, 3), "separable", init=start)
    assert "fresh, svd" in caught.value.hint
    model: Any = nn.Conv2d
    with pytest.raises(convcost.ConvcostError, match="of type type, not an nn"):
        convcost.rewrite(model, "separable")


def test_errors_from_python_advise_arguments() -> None:
    with pytest.raises(convcost.ConvcostError) as caught:
        convcost.profile(nn.Conv2d(4, 8, 3), input=(1, 3, 8, 8), measure=False)
    assert "input=" in caught.value.hint
    assert "--input" not in caught.value.hint
    with pytest.raises(convcost.ConvcostError, match=r"^Identity: receptive_field_density") as told:
        Costs().check(nn.Identity(), input=(1, 8), receptive_field_density=">= 0.5")
    assert "level" not in told.value.hint


def test_errors_say_how_a_list_is_given() -> None:
    sums = Does(lambda pair: pair[0] + pair[1])
    for given in ((1, 3, 8, 8), [(1, 3, 8, 8), (1, 3, 8, 8)]):
        with pytest.raises(convcost.ConvcostError) as caught:
            convcost.profile(sums, input=given, measure=False)
        assert caught.value.hint.endswith("a list or a dict is given as [[…]] or [{…}]")
    report = convcost.profile(sums, input=[[(1, 3, 8, 8), (1, 3, 8, 8)]], measure=False)
    assert report.input == ((1, 3, 8, 8),) * 2


def test_an_input_that_is_given_stands_for_any_other(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("from torch import nn\nnet = nn.Embedding(10, 4)\n")
    report = convcost.profile(str(path), input=torch.zeros(1, 8, dtype=torch.long), measure=False)
    assert report.rows[-1].output_shape == (1, 8, 4)


def test_an_input_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(convcost.ConvcostError, match="more than 9,223,372,036,854,775,808 scalars"):
        convcost.profile(nn.Conv2d(3, 8, 3), input=(1, 3, 10**12, 10**12), measure=False)


def test_arguments_may_be_lists_and_what_holds_tensors() -> None:
    class Sized(nn.Module):
        def forward(self, pair: Any, size: Any) -> Any:
            return nn.functional.interpolate(pair[0] + pair[1], size)

    pair = [torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)]
    settings = Settings(seconds=0.1, dtype="float32")
    report = convcost.profile(Sized(), input=(pair, torch.Size([16, 16])), settings=settings)
    assert (1, 3, 16, 16) in [row.output_shape for row in report.rows]


def test_axes_may_be_lists(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("from torch import nn\nnet = nn.Sequential(nn.Conv2d(8, 8, 3))\n")
    report = convcost.compare(str(path), axes={"batch": [1]}, measure=False)
    assert len(report.rows) > 1
