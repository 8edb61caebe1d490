"""Loading a PyTorch model: every form of SOURCE, every input, and every way it can go wrong."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convcost.errors import ConvcostError
from convcost.sources.model import LoadedModel, from_module, load_model

IMPORTS = "import torch\nfrom torch import nn\n"
CLASS = "class Net(nn.Sequential):\n    def __init__(self, width=4):\n"
NET = IMPORTS + CLASS + "        super().__init__(nn.Conv2d(3, width, 3))\n"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "net.py") -> str:
    """Writes a file below the current folder, and gives its name."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return name


def load(
    text: str,
    attr: str = "",
    settings: Mapping[str, object] | None = None,
    inputs: Sequence[tuple[int, ...]] = ((1, 3, 32, 32),),
) -> LoadedModel:
    source = write(text) + (f":{attr}" if attr else "")
    return load_model(source, settings or {}, inputs)


def refused(source: str, **settings: object) -> ConvcostError:
    with pytest.raises(ConvcostError) as caught:
        load_model(source, settings, ())
    return caught.value


def refused_file(text: str, attr: str = "", **settings: object) -> ConvcostError:
    return refused(write(text) + (f":{attr}" if attr else ""), **settings)


def weight(loaded: LoadedModel) -> torch.Tensor:
    return next(loaded.module.parameters())


# What SOURCE may be


def test_a_file_with_one_class() -> None:
    loaded = load(NET)
    assert loaded.name == "net"
    assert type(loaded.module).__name__ == "Net"
    assert not loaded.module.training


@pytest.mark.parametrize("attr", ["Net", "make", "made", "Zoo.small", "partial", "Zoo.inner.net"])
def test_an_attr_is_an_instance_a_class_or_a_factory(attr: str) -> None:
    text = NET + (
        "import functools\n"
        "def make(): return Net()\n"
        "made = Net()\n"
        "partial = functools.partial(Net, width=8)\n"
        "class Zoo:\n"
        "    @staticmethod\n"
        "    def small(): return Net(2)\n"
        "    class inner: net = Net()\n"
    )
    loaded = load(text, attr)
    assert loaded.name == attr
    assert isinstance(loaded.module, nn.Sequential)


def test_a_package_below_the_current_folder() -> None:
    write("", "somepackage/__init__.py")
    write(NET, "somepackage/nets.py")
    loaded = load_model("somepackage.nets:Net", {}, [(1, 3, 8, 8)])
    assert loaded.name == "Net"


def test_an_installed_package() -> None:
    loaded = load_model(
        "torch.nn:Conv2d", {"in_channels": 5, "out_channels": 6, "kernel_size": 3}, ()
    )
    assert loaded.args[0].shape == (1, 5, 224, 224)


def test_a_file_of_a_package_imports_as_its_package_does() -> None:
    write("", "src/seglab_files/__init__.py")
    write("", "src/seglab_files/nets/__init__.py")
    write("WIDTH = 7\n", "src/seglab_files/sizes.py")
    write("from ..sizes import WIDTH as SAME\n", "src/seglab_files/nets/part.py")
    write("", "src/seglab_files/nets/beside.py")
    text = "from ..sizes import WIDTH\nfrom .part import SAME\nimport beside\n" + NET
    source = write(text + "model = Net(WIDTH + SAME)\n", "src/seglab_files/nets/net.py")
    assert weight(load_model(source, {}, [(1, 3, 8, 8)])).shape[0] == 14


def test_a_relative_import_without_a_package_says_how_to_name_the_module() -> None:
    error = refused(write("from .part import WIDTH\n", "loose/net.py"))
    assert "attempted relative import" in error.message
    assert "loose has no __init__.py" in error.hint
    assert "loose.net:NAME" in error.hint
    write("", "loose/__init__.py")
    write("from .net import WIDTH\n", "loose/part.py")
    error = refused(write("import part\n", "loose/net.py"))
    assert error.hint == "part.py was imported by itself: import it from its package, as loose.part"


@pytest.mark.parametrize("folder", [".", "src", "..", "../src"])
def test_a_named_module_is_found_where_check_looks(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("repository/.git").mkdir(parents=True)
    Path("repository/here").mkdir()
    monkeypatch.chdir("repository/here")
    write(NET, f"{folder}/nets_of_mine.py")
    assert load_model("nets_of_mine:Net", {}, [(1, 3, 8, 8)]).name == "Net"
    source = write("from nets_of_mine import Net\nmodel = Net()\n")
    assert load_model(source, {}, [(1, 3, 8, 8)]).name == "net"


def test_the_users_tree_comes_before_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(NET, "installed/edited_nets.py")
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    write(NET.replace("width=4", "width=5"), "src/edited_nets.py")
    assert weight(load_model("edited_nets:Net", {}, [(1, 3, 8, 8)])).shape[0] == 5


@pytest.mark.parametrize("name", ["my net-2.0.py", "sub/net.py", "class.py", "json.py"])
def test_any_file_name(name: str) -> None:
    json_before = sys.modules["json"]
    assert load_model(write(NET, name), {}, ()).name == Path(name).stem
    assert sys.modules["json"] is json_before


def test_an_absolute_path_and_one_relative_to_the_current_folder() -> None:
    write(NET, "sub/net.py")
    for source in (str(Path("sub/net.py").absolute()), "./sub/net.py", "sub/../sub/net.py:Net"):
        assert isinstance(load_model(source, {}, ()).module, nn.Sequential)


def test_the_main_part_is_not_run() -> None:
    load(NET + "if __name__ == '__main__':\n    raise RuntimeError\n")


def test_the_arguments_are_those_of_python_file() -> None:
    text = "import argparse\nargparse.ArgumentParser().parse_args()\nimport sys\nseen = sys.argv\n"
    before = sys.argv
    load(text + NET)
    assert sys.argv is before


# The file's folder


def test_the_folder_is_importable_only_during_the_load() -> None:
    write("width = 7\n", "sub/widths_here.py")
    text = "import widths_here\n" + NET.replace("width=4", "width=widths_here.width")
    before = list(sys.path)
    assert weight(load_model(write(text, "sub/net.py"), {}, ())).shape[0] == 7
    assert sys.path == before
    assert "widths_here" in sys.modules


def test_a_path_that_the_user_adds_stays() -> None:
    load(NET + "import sys\nsys.path.append('user/added')\n")
    sys.path.remove("user/added")


def test_a_module_of_the_same_name_in_another_folder_is_its_own() -> None:
    text = "import widths_there\n" + NET.replace("width=4", "width=widths_there.width")
    for folder, width in (("base", 5), ("head", 6)):
        write(f"width = {width}\n", f"{folder}/widths_there.py")
        assert weight(load_model(write(text, f"{folder}/net.py"), {}, ())).shape[0] == width


def test_a_file_that_changed_is_read_anew() -> None:
    assert weight(load(NET)).shape[0] == 4
    assert weight(load(NET.replace("width=4", "width=5"))).shape[0] == 5
    assert not Path("__pycache__").exists()


# Which thing in the file is the model


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("class A(nn.Module): pass\nnet = nn.ReLU()\n", "ReLU"),
        ("act = nn.ReLU()\nnet = nn.Sequential(act)\nalias = net\n", "Sequential"),
        ("def build_model(): return nn.ReLU()\nclass A(nn.Module): pass\n", "ReLU"),
        ("class Model(nn.Module): pass\ndef get_model(): return Model()\n", "Model"),
        ("model = lambda: nn.ReLU()\n", "ReLU"),
        ("from functools import partial\nmodel = partial(nn.Conv2d, 3, 4, 1)\n", "Conv2d"),
        ("class B(nn.Module): pass\nclass A(B): pass\n", "A"),
        ("class B(nn.Module): pass\nclass A(nn.Module):\n  def f(s): return [B() for _ in s]", "A"),
        ("class B(nn.Module): pass\nclass A(nn.Module): block = B\n", "A"),
        ("class B(nn.Module): pass\nclass A(nn.Module):\n  def f(self, b=B): pass\n", "A"),
        ("class B(nn.Module): ...\ndef f(): B()\nclass A(nn.Module):\n  g = lambda s: f()", "A"),
        ("class A(nn.Module): pass\nclass Needs(nn.Module):\n  def __init__(s, n): pass\n", "A"),
        ("from torch.nn import Conv2d, ReLU\nclass A(nn.Module): pass\n", "A"),
        ("from torch.nn import Linear as Model\nclass A(nn.Module): pass\n", "A"),
        ("class A(nn.Module): pass\nA.me = A\n", "A"),
    ],
)  # fmt: skip
def test_the_model_of_a_file(text: str, name: str) -> None:
    assert type(load(IMPORTS + text).module).__name__ == name


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a = nn.ReLU()\nb = nn.ReLU()\n", ("a", "b")),
        ("def build_model(): ...\ndef get_model(): ...\n", ("build_model", "get_model")),
        ("class A(nn.Module): pass\nclass B(nn.Module): pass\n", ("A", "B")),
    ],
)
def test_several_candidates_are_listed(text: str, names: tuple[str, str]) -> None:
    error = refused_file(IMPORTS + text)
    assert "several" in error.message
    assert f"{names[0]} and {names[1]}" in error.message
    assert f"net.py:{names[0]}" in error.hint


def test_no_candidate_says_what_would_be_valid() -> None:
    error = refused_file("x = 1\n")
    assert error.message == "net.py: no model found"
    assert "build_model" in error.hint
    error = refused_file(IMPORTS + "def resnet(): return nn.ReLU()\ndef other(): ...\n")
    assert error.hint == "name one of resnet and other, as in net.py:resnet"


def test_an_attr_that_is_not_there() -> None:
    error = refused_file(NET + "def make(): ...\n", "Nett")
    assert error.message == "net.py:Nett: there is no Nett"
    assert error.hint == "did you mean Net? there is Net and make"
    assert "there is no small" in refused_file(NET + "class Zoo: pass\n", "Zoo.small").message
    assert "did you mean Conv2d?" in refused("torch.nn:Conv22d").hint


@pytest.mark.parametrize(
    ("attr", "kind"), [("x", "an int"), ("Plain", "the class Plain"), ("torch", "a module")]
)
def test_an_attr_of_the_wrong_type(attr: str, kind: str) -> None:
    error = refused_file(NET + "x = 1\nclass Plain: pass\n", attr)
    assert f"{attr} is {kind}, not an nn.Module" in error.message
    assert "Net" in error.hint


def test_a_factory_that_returns_something_else() -> None:
    error = refused_file("def make(): return 3\n", "make")
    assert error.message == "net.py:make: make returned int, not an nn.Module"


# Settings


def test_settings_are_arguments() -> None:
    assert weight(load(NET, "Net", {"width": 9})).shape[0] == 9
    assert weight(load(NET, "", {"width": 9})).shape[0] == 9
    assert (
        weight(load(NET + "def make(**kw): return Net(**kw)\n", "make", {"width": 9})).shape[0] == 9
    )


def test_a_setting_fills_a_required_argument() -> None:
    required = NET.replace("width=4", "width")
    assert weight(load(required, "", {"width": 9})).shape[0] == 9


def test_required_arguments_are_named() -> None:
    error = refused_file(NET + "def make(width, depth, *, kind, size=3): ...\n", "make", depth=1)
    assert error.message == "net.py:make: make needs arguments: width, kind"
    assert error.hint == "give --set width=… --set kind=…"
    assert "Net needs an argument: width" in refused_file(NET.replace("width=4", "width")).message


def test_an_unknown_setting() -> None:
    error = refused_file(NET, "Net", widht=3)
    assert error.message == "net.py:Net: Net has no argument 'widht'"
    assert error.hint == "did you mean width? it takes width"


def test_settings_on_a_module_that_is_built() -> None:
    assert "already built" in refused_file(NET + "net = Net()\n", "net", width=3).message


# Building


def test_a_model_is_built_on_the_meta_device() -> None:
    assert weight(load(NET)).is_meta
    huge = "        super().__init__(*(nn.Conv2d(3, 3, 9999) for _ in range(100)))\n"
    assert weight(load(IMPORTS + CLASS + huge)).is_meta


def test_real_builds_it_for_real() -> None:
    assert not weight(load_model(write(NET), {}, (), real=True)).is_meta


def test_a_model_that_reads_values_is_built_for_real_and_prints_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "print('building')\n        width = int(torch.tensor(6).sum().item())\n        super()"
    loaded = load(NET.replace("super()", text, 1))
    assert weight(loaded).shape[0] == 6
    assert not weight(loaded).is_meta
    assert capsys.readouterr() == ("", "building\n")


def test_an_instance_keeps_its_device() -> None:
    assert not weight(load(NET + "net = Net()\n")).is_meta


def test_a_checkpoint_on_meta_makes_no_warnings(recwarn: pytest.WarningsRecorder) -> None:
    text = NET + (
        "torch.save(Net().state_dict(), 'w.pt')\n"
        "def make():\n"
        "    net = Net()\n"
        "    net.load_state_dict(torch.load('w.pt', map_location='cpu'))\n"
        "    return net\n"
    )
    assert weight(load(text, "make")).is_meta
    assert not recwarn.list


def test_no_inference_tensors_are_made() -> None:
    with torch.inference_mode():
        loaded = load_model(write(NET), {}, (), real=True)
    assert not weight(loaded).is_inference()


@pytest.mark.parametrize("wrap", ["torch.compile(Net())", "nn.DataParallel(Net())"])
def test_wrappers_are_taken_off(wrap: str) -> None:
    assert type(load(NET + f"net = {wrap}\n").module).__name__ == "Net"


# Example inputs


@pytest.mark.parametrize(
    "example",
    [
        "torch.zeros(2, 3, 8, 8)",
        "(torch.zeros(2, 3, 8, 8),)",
        "[torch.zeros(2, 3, 8, 8)]",
        "{'input': torch.zeros(2, 3, 8, 8)}",
        "lambda: torch.zeros(2, 3, 8, 8)",
        "lambda: {'input': torch.zeros(2, 3, 8, 8)}",
        "(2, 3, 8, 8)",
        "[(2, 3, 8, 8)]",
    ],
)
def test_example_inputs(example: str) -> None:
    loaded = load_model(write(NET + f"example_inputs = {example}\n"), {}, ())
    (tensor,) = (*loaded.args, *loaded.kwargs.values())
    assert tensor.shape == (2, 3, 8, 8)
    assert set(loaded.kwargs) <= {"input"}
    assert not loaded.notices


def test_a_dict_of_shapes_is_keyword_arguments() -> None:
    loaded = load(NET + "example_inputs = {'input': (2, 3, 8, 8)}\n", inputs=())
    assert loaded.args == ()
    assert loaded.kwargs["input"].shape == (2, 3, 8, 8)
    given = {"input": torch.zeros(1), "size": (8, 8)}
    assert from_module(nn.ReLU(), given).kwargs == given


BATCH = """class Batch(nn.Module):
    def forward(self, batch):
        return batch["image"]
"""


@pytest.mark.parametrize(
    "example",
    [
        "{'image': torch.zeros(2, 3)}",
        "{'image': (2, 3)}",
        "{'batch': {'image': (2, 3)}}",
        "[{'image': (2, 3)}]",
        "[{'image': torch.zeros(2, 3)}]",
    ],
)
def test_one_argument_may_be_a_dict(example: str) -> None:
    loaded = load_model(write(f"{IMPORTS}{BATCH}\nexample_inputs = {example}\n"), {}, ())
    (batch,) = (*loaded.args, *loaded.kwargs.values())
    assert set(batch) == {"image"}
    assert batch["image"].shape == (2, 3)


def test_shapes_are_read_at_any_depth() -> None:
    (pair,) = from_module(nn.ReLU(), [[(2, 3), (4,)]]).args
    assert [tuple(tensor.shape) for tensor in pair] == [(2, 3), (4,)]
    given = [{"image": torch.zeros(1), "size": (8, 8)}]
    assert from_module(nn.ReLU(), given).args == tuple(given)


def test_a_dict_is_keyword_arguments_where_others_may_be_meant() -> None:
    class Takes(nn.Module):
        def forward(self, batch: object = None, **others: object) -> object:
            return batch or others

    assert set(from_module(Takes(), {"image": (2, 3)}).kwargs) == {"image"}


def test_inputs_of_the_command_line_win() -> None:
    loaded = load(NET + "example_inputs = 1 / 2\n", inputs=[(1, 3, 9, 9), (2, 5)])
    assert [tuple(tensor.shape) for tensor in loaded.args] == [(1, 3, 9, 9), (2, 5)]
    assert all(tensor.is_meta and tensor.dtype == torch.float32 for tensor in loaded.args)


def test_shapes_take_the_dtype_of_the_model() -> None:
    loaded = load(NET + "net = Net().to(torch.bfloat16)\n")
    assert loaded.args[0].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("nn.Sequential(nn.ReLU(), nn.Conv2d(5, 6, 3), nn.Conv3d(1, 1, 1))", (1, 5, 224, 224)),
        ("nn.Conv1d(2, 3, 1)", (1, 2, 16000)),
        ("nn.Conv3d(4, 3, 1)", (1, 4, 16, 112, 112)),
        ("nn.ConvTranspose2d(7, 3, 1)", (1, 7, 224, 224)),
        ("nn.LazyConv2d(7, 3)", (1, 3, 224, 224)),
        ("nn.ReLU()", (1, 3, 224, 224)),
        ("nn.Sequential(nn.Flatten(), nn.Linear(12, 3))", (1, 12)),
    ],
)
def test_an_input_is_guessed_with_a_notice(model: str, shape: tuple[int, ...]) -> None:
    loaded = load_model(write(IMPORTS + f"net = {model}\n"), {}, ())
    assert tuple(loaded.args[0].shape) == shape
    text = "×".join(map(str, shape))
    assert loaded.notices == (f"no input given: {text} is assumed; use --input",)


def test_a_model_that_says_its_own_size() -> None:
    text = NET + "net = Net()\nnet.pretrained_cfg = {'input_size': (3, 384, 384)}\n"
    assert load_model(write(text), {}, ()).args[0].shape == (1, 3, 384, 384)


def test_no_size_is_usual_for_tokens() -> None:
    text = IMPORTS + "net = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))\n"
    error = refused_file(text)
    assert "nn.Embedding" in error.message
    assert "--input" in error.hint
    assert "torch.long" in error.hint
    loaded = load(text, inputs=[(1, 7)])
    assert loaded.args[0].dtype == torch.int64
    assert "int64" in loaded.notices[0]


@pytest.mark.parametrize("example", ["3", "'text'", "{1, 2}"])
def test_an_example_of_the_wrong_type(example: str) -> None:
    assert "of type" in refused_file(NET + f"example_inputs = {example}\n").message


def test_example_functions_that_fail() -> None:
    error = refused_file(NET + "def example_inputs():\n    return {}['x']\n")
    assert error.message == "net.py:7: KeyError: 'x'"
    assert error.hint == "raised in example_inputs()"
    assert "needs arguments: n" in refused_file(NET + "def example_inputs(n): ...\n").message


def test_an_empty_shape() -> None:
    with pytest.raises(ConvcostError, match="1×0×3 is empty"):
        load(NET, inputs=[(1, 0, 3)])


# The Python API


def test_from_module_leaves_the_module_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4).eval())
    loaded = from_module(module, None)
    assert loaded.module is module
    assert module.training
    assert not module[1].training
    assert loaded.name == "Sequential"
    assert loaded.notices == ("no input given: 1×3×224×224 is assumed; use input=",)


@pytest.mark.parametrize(
    ("given", "shapes"),
    [
        ((1, 3, 8, 8), [(1, 3, 8, 8)]),
        ([1, 3, 8, 8], [(1, 3, 8, 8)]),
        (torch.Size((1, 3, 8, 8)), [(1, 3, 8, 8)]),
        ([(1, 3, 8, 8), (2, 2)], [(1, 3, 8, 8), (2, 2)]),
        (torch.zeros(1, 3, 8, 8), [(1, 3, 8, 8)]),
        ((torch.zeros(1, 3), torch.zeros(2)), [(1, 3), (2,)]),
    ],
)
def test_from_module_inputs(given: object, shapes: list[tuple[int, ...]]) -> None:
    loaded = from_module(nn.Conv2d(3, 4, 3), given)
    assert [tuple(tensor.shape) for tensor in loaded.args] == shapes


def test_from_module_keyword_and_other_arguments() -> None:
    assert set(from_module(nn.ReLU(), {"input": torch.zeros(1)}).kwargs) == {"input"}
    assert from_module(nn.ReLU(), (torch.zeros(1), (2, 3), None)).args[1:] == ((2, 3), None)


def test_from_module_of_something_else() -> None:
    with pytest.raises(ConvcostError, match="of type type, not an nn"):
        from_module(nn.ReLU)  # type: ignore[arg-type]  # what a user may do
    with pytest.raises(ConvcostError, match="of type int"):
        from_module(nn.ReLU(), 3)


# Errors in SOURCE


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("missing.py", "missing.py: no such file"),
        ("missing.py:Net", "missing.py: no such file"),
        ("missing.pt2", "missing.pt2: no such file"),
        ("folder", "folder: is a directory, not a file"),
        ("folder.py", "folder.py: is a directory, not a file"),
        ("folder.pt2", "folder.pt2: is a directory, not a file"),
        ("weights.pth", "weights.pth: is neither a .py nor a .pt2 file"),
        ("some.where", "some.where: no such file; a module needs :attr"),
        ("not there", "not there: no such file"),
        ("", ": no such file"),
        ("net.py:", "net.py:: '' after the colon is not a name"),
        ("net.py:1x", "net.py:1x: '1x' after the colon is not a name"),
        ("net.txt/x:Net", "net.txt/x:Net: net.txt/x is neither a Python file nor a module"),
        ("net.pt2:Net", "net.pt2:Net: a .pt2 program has no attributes"),
    ],
)
def test_sources_that_are_none(source: str, text: str) -> None:
    for folder in ("folder", "folder.py", "folder.pt2"):
        Path(folder).mkdir()
    write("", "weights.pth")
    error = refused(source)
    assert error.message == text
    assert error.hint or "no such file" in text or "directory" in text


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read() -> None:
    Path(write(NET)).chmod(0)
    assert refused("net.py").message == "net.py: can't be read: Permission denied"


INSTALL = (
    "install the package that has no_such_package_here, or run in the folder that has it or "
    "whose src/ has it"
)


def test_a_package_that_is_not_installed() -> None:
    error = refused("no_such_package_here.nets:Net")
    assert error.message == "no_such_package_here.nets:Net: there is no module no_such_package_here"
    assert error.hint == INSTALL
    error = refused("torch.no_such_part:Net")
    assert error.message == "torch.no_such_part:Net: there is no module torch.no_such_part"
    assert error.hint.startswith("torch is there, but has no torch.no_such_part")


# Errors in the user's code


def test_a_syntax_error() -> None:
    error = refused_file("x = 1\ndef f(:\n")
    assert error.message.startswith("net.py:2: syntax error: ")
    write("x = 1\n\nwhile\n", "broken_part.py")
    assert refused_file("import broken_part\n").message.startswith("broken_part.py:3: syntax error")


@pytest.mark.parametrize("data", [b"x = '\xff'\n", b"x = 1\0\n"])
def test_a_file_that_is_no_text(data: bytes) -> None:
    Path("net.py").write_bytes(data)
    assert refused("net.py").message.startswith("net.py")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = 1 / 0\n", "net.py:2: ZeroDivisionError: division by zero"),
        ("def f():\n    raise ValueError\nf()\n", "net.py:2: ValueError"),
        ("import json\n\njson.loads('')\n", "net.py:3: JSONDecodeError: "),
        ("import torch\n\ntorch.zeros(2) @ torch.zeros(3)\n", "net.py:3: RuntimeError: "),
        ("class E(Exception): pass\nraise E('a\\nb')\n", "net.py:2: E: a\nb"),
        ("import helper_part\nhelper_part.f()\n", "helper_part.py:2: RuntimeError: deep"),
        ("f = lambda: f()\nf()\n", "net.py:1: RecursionError: "),
    ],
)
def test_an_exception_is_the_users(text: str, message: str) -> None:
    write("def f():\n    raise RuntimeError('deep')\n", "helper_part.py")
    error = refused_file(text)
    assert error.message.startswith(message)
    assert error.hint == "raised when the file was run"


def test_an_exception_in_a_folder_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(Path(write("1 / 0\n")).absolute())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert refused(source).message == f"{source}:1: ZeroDivisionError: division by zero"


def test_an_exception_in_the_factory_is_told_of_the_real_build() -> None:
    text = NET + "def make():\n    where = torch.empty(0).device\n    raise ValueError(where)\n"
    error = refused_file(text, "make")
    assert error.message == "net.py:8: ValueError: cpu"
    assert error.hint == "raised in make(…)"


@pytest.mark.parametrize("given", ["None", "none"])
def test_a_factory_that_fails_on_none_as_text(given: str) -> None:
    text = f"{NET}def make(weights): return {{}}[weights] if weights else Net()\n"
    error = refused_file(text, "make", weights=given)
    hint = f"weights is the text '{given}' (--set weights=null gives None)"
    assert error.hint == f"raised in make(…); {hint}"
    assert refused_file(text, "make", weights="imagenet").hint == "raised in make(…)"


def test_an_exception_that_torch_raises_below_the_model() -> None:
    error = refused_file(NET.replace("3, width, 3", "3, width, 3, groups=2"))
    assert error.message.startswith("net.py:5: ValueError: ")


def test_a_wrong_argument_deeper_down() -> None:
    text = NET + "def make(**settings):\n    return Net(**settings)\n"
    assert "net.py:7: TypeError: " in refused_file(text, "make", depth=3).message


def test_a_missing_package_is_named() -> None:
    error = refused_file("import no_such_package_here.sub\n")
    assert error.message.startswith("net.py:1: ModuleNotFoundError: ")
    assert error.hint == INSTALL
    assert refused_file("import PIL.gone\n").hint.startswith(("pip install pillow", "PIL is there"))
    sys.modules.pop("skimage", None)
    write("import skimage_gone\n", "wrapped_part.py")
    assert refused_file("import wrapped_part\n").message.startswith("wrapped_part.py:1: ")


def test_an_import_that_fails_inside_a_named_module() -> None:
    write("import no_such_package_here\n", "broken_named.py")
    error = refused("broken_named:Net")
    assert error.message.startswith("broken_named.py:1: ModuleNotFoundError: ")


@pytest.mark.parametrize("call", ["sys.exit(3)", "sys.exit()", "exit()", "raise SystemExit('x')"])
def test_code_that_exits(call: str) -> None:
    assert refused_file(f"import sys\n{call}\n").message == "net.py:2: calls sys.exit"
    text = NET + f"import sys\ndef make():\n    {call}\n"
    assert refused_file(text, "make").message == "net.py:8: calls sys.exit"


def test_ctrl_c_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        load("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load(NET + "def make(): raise KeyboardInterrupt\n", "make")


def test_prints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    text = "print('import')\n" + NET.replace("super()", "print('build'); super()", 1)
    load(text + "def example_inputs():\n    print('never')\n")
    assert capsys.readouterr() == ("", "import\nbuild\n")


def test_loading_a_file_does_not_import_torch_export_or_compile() -> None:
    write(NET)
    code = (
        "import sys\nfrom convcost.sources.model import load_model\n"
        "load_model('net.py', {}, ())\nassert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Exported programs


class Small(nn.Module):
    """Has a buffer, a parameter with an unusual name, a keyword and symbolic sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.scales = nn.ParameterDict({"a-b": nn.Parameter(torch.ones(1))})
        self.register_buffer("shift", torch.ones(1))
        self.drop = nn.Dropout()

    def forward(self, x: torch.Tensor, *, mask: dict[str, torch.Tensor]) -> dict[str, Any]:
        y = self.drop(self.conv(x)) * self.scales["a-b"] + self.get_buffer("shift")
        with torch.no_grad():
            y = y * mask["m"]
        return {"out": y, "size": y.shape[0] * 2}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "small.pt2"
    batch = torch.export.Dim("batch")
    exported = torch.export.export(
        Small().eval(),
        (torch.zeros(2, 3, 8, 8),),
        {"mask": {"m": torch.ones(2, 4, 6, 6)}},
        dynamic_shapes={"x": {0: batch}, "mask": {"m": {0: batch}}},
    )
    torch.export.save(exported, path)
    return path


def test_an_exported_program(program: Path) -> None:
    loaded = load_model(str(program), {}, ())
    assert loaded.name == "small"
    assert loaded.args[0].shape == (1, 3, 8, 8)
    assert not any(part.training for part in loaded.module.modules())
    result = loaded.module(*loaded.args, **loaded.kwargs)
    assert result["out"].shape == (1, 4, 6, 6)
    assert result["size"] == 2


def test_an_exported_program_with_shapes(program: Path) -> None:
    loaded = load_model(str(program), {}, [(3, 3, 8, 8), (3, 4, 6, 6)])
    assert [tensor.is_meta for tensor in loaded.args] == [True, True]
    assert not loaded.kwargs


def exported(folder: Path, **free: Any) -> str:
    """A program of a convolution, whose ``free`` axes are those of torch.export."""
    sample = (torch.zeros(3, 3, 8, 8),)
    program = torch.export.export(nn.Conv2d(3, 4, 3), sample, dynamic_shapes=free)
    torch.export.save(program, folder / "free.pt2")
    return str(folder / "free.pt2")


def test_a_program_with_a_free_batch_is_given_one(tmp_path: Path) -> None:
    source = exported(tmp_path, input={0: torch.export.Dim.DYNAMIC})
    loaded = load_model(source, {}, ())
    assert loaded.args[0].shape == (1, 3, 8, 8)
    assert loaded.notices == ("the program takes any batch: 1×3×8×8 is assumed; use --input",)
    given = load_model(source, {}, [(2, 3, 8, 8)])
    assert (given.args[0].shape, given.notices) == ((2, 3, 8, 8), ())


@pytest.mark.parametrize(
    "free",
    [
        {0: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},
        {0: torch.export.Dim("batch", min=3)},
    ],
    ids=["a width too", "three or more"],
)
def test_a_program_of_several_sizes_says_which_it_takes(free: Any, tmp_path: Path) -> None:
    loaded = load_model(exported(tmp_path, input=free), {}, ())
    assert loaded.args[0].shape == (3, 3, 8, 8)
    assert loaded.notices == (
        "the program takes inputs of several sizes: 3×3×8×8 of its export is assumed; use --input",
    )


def test_only_inputs_whose_batch_is_free_are_given_one(tmp_path: Path) -> None:
    sample = (torch.zeros(2, 8, 4), torch.zeros(2, 8, 4), torch.zeros(2, 1))

    class Net(nn.Module):
        def forward(self, x: Tensor, more: Tensor, fixed: Tensor) -> Tensor:
            return x + more + fixed.sum()

    batch = {0: torch.export.Dim.DYNAMIC}
    program = torch.export.export(Net(), sample, dynamic_shapes=(batch, batch, {}))
    torch.export.save(program, tmp_path / "three.pt2")
    loaded = load_model(str(tmp_path / "three.pt2"), {}, ())
    assert [len(tensor) for tensor in loaded.args] == [1, 1, 2]


def test_settings_mean_nothing_to_an_exported_program(program: Path) -> None:
    assert "--set" in refused(str(program), width=3).message


def test_files_that_are_no_program() -> None:
    write("no archive", "text.pt2")
    assert "can't be loaded as a program" in refused("text.pt2").message
    torch.save({"a": torch.zeros(1)}, "weights.pt2")
    assert "can't be loaded as a program" in refused("weights.pt2").message


class Attack:
    """Its pickle creates a file when it is loaded."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, ("attacked",)


Members = dict[str, bytes]
Model = dict[str, Any]


def crafted(program: Path, change: Callable[[Members], None]) -> str:
    """A copy of a program with some members changed."""
    with zipfile.ZipFile(program) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile("crafted.pt2", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return "crafted.pt2"


def in_model(change: Callable[[Model], None]) -> Callable[[Members], None]:
    def change_members(members: Members) -> None:
        model = json.loads(members["small/models/model.json"])
        change(model)
        members["small/models/model.json"] = json.dumps(model).encode()

    return change_members


def pickled() -> bytes:
    torch.save((Attack(),), "attack.pt")
    return Path("attack.pt").read_bytes()


def pickle_in_sample_inputs(members: Members) -> None:
    members["small/data/sample_inputs/model.pt"] = pickled()


def pickle_in_legacy_weights(members: Members) -> None:
    members["small/data/weights/model.pt"] = pickled()


def pickle_in_a_weight(members: Members) -> None:
    name = "small/data/weights/model_weights_config.json"
    config = json.loads(members[name])
    config["config"]["conv.weight"]["use_pickle"] = True
    members[name] = json.dumps(config).encode()
    members["small/data/weights/weight_0"] = pickled()


def pickle_in_a_constant(members: Members) -> None:
    name = "small/data/constants/model_constants_config.json"
    payload = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
    members[name] = json.dumps({"config": {"c": {**payload, "tensor_meta": None}}}).encode()
    members["small/data/constants/opaque_obj_0"] = pickle.dumps(Attack())


def compiled_library(members: Members) -> None:
    members["small/data/aotinductor/model/x.so"] = b"\x7fELF"


RUN = "__import__('os').mkdir('attacked')"


def graph(model: Model) -> Model:
    found: Model = model["graph_module"]["graph"]
    return found


def code_in_a_size(model: Model) -> None:
    graph(model)["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = RUN


def spelled_out_code_in_a_size(model: Model) -> None:
    text = "+".join(f"chr({ord(char)})" for char in RUN)
    graph(model)["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = f"eval({text})"


def code_in_an_input_name(model: Model) -> None:
    renamed = json.dumps(model).replace('"name": "x"', f'"name": "x=({RUN})"')
    model.update(json.loads(renamed))


def a_function_as_operator(model: Model) -> None:
    graph(model)["nodes"][0]["target"] = "torch.os.mkdir"


def an_import_in_a_structure(model: Model) -> None:
    signature = model["graph_module"]["module_call_graph"][0]["signature"]
    enum = json.dumps([{"__enum__": True, "fqn": "antigravity:x", "name": "y"}])
    signature["in_spec"] = signature["in_spec"].replace(json.dumps('["mask"]'), json.dumps(enum))
    assert "antigravity" in signature["in_spec"]


def code_in_a_keyword(model: Model) -> None:
    signature = model["graph_module"]["module_call_graph"][0]["signature"]
    signature["forward_arg_names"] = ["x", f"mask=({RUN})"]


def code_in_a_parameter_name(model: Model) -> None:
    text = json.dumps(model).replace("scales.a-b", 'scales.a-\\" + str(' + RUN + ') + \\"')
    model.update(json.loads(text))


PICKLES = (
    pickle_in_sample_inputs,
    pickle_in_legacy_weights,
    pickle_in_a_weight,
    pickle_in_a_constant,
)
CODE = (
    code_in_a_size,
    spelled_out_code_in_a_size,
    code_in_an_input_name,
    a_function_as_operator,
    an_import_in_a_structure,
    code_in_a_keyword,
    code_in_a_parameter_name,
)


@pytest.mark.parametrize("attack", [*PICKLES, compiled_library, *map(in_model, CODE)])
def test_a_crafted_program_runs_no_code(
    program: Path, attack: Callable[[Members], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    error = refused(crafted(program, attack))
    assert "not loaded" in error.message
    assert "could run code" in error.message
    assert not Path("attacked").exists()
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize("attack", [*PICKLES, *map(in_model, CODE[:2])])
def test_the_attacks_are_real(
    program: Path, attack: Callable[[Members], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    with contextlib.suppress(Exception):  # it breaks once the code has run
        torch.export.load(crafted(program, attack)).module()
    assert Path("attacked").exists()


def code_in_the_guards(model: Model) -> None:
    model["guards_code"] = [RUN]


def test_guards_are_never_made(program: Path) -> None:
    load_model(crafted(program, in_model(code_in_the_guards)), {}, ())
    assert not Path("attacked").exists()


def test_a_copied_program_still_loads(program: Path) -> None:
    assert load_model(crafted(program, in_model(lambda _: None)), {}, ()).args
