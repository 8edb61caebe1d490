"""Analysis speed: convcost against the fastest of seven peers, on the same models, in one run.

    pip install torchvision ptflops thop torchinfo torchprofile calflops
    python benchmarks/static.py

Each tool analyses an ordinary CPU model that is already built; convcost gives receptive fields and
its whole report. Tools take turns; the best of the rounds counts for each. Goal: at least 10 times
faster in the geometric mean, at least 5 times on each model.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import logging
import time
import warnings
from collections.abc import Callable
from math import exp, log

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import convcost

MODELS = (
    "resnet50",
    "mobilenet_v2",
    "vgg16",
    "densenet121",
    "efficientnet_b0",
    "convnext_tiny",
    "googlenet",
    "deeplabv3_resnet50",
)
INPUT = (1, 3, 224, 224)
ROUNDS = 5

Analyse = Callable[[nn.Module, Tensor], object]


def count_convcost(model: nn.Module, _: Tensor) -> object:
    return convcost.profile(model, input=INPUT, measure=False)


def count_fvcore(model: nn.Module, x: Tensor) -> object:
    analysis = importlib.import_module("fvcore.nn").FlopCountAnalysis(model, x)
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def count_ptflops(model: nn.Module, _: Tensor) -> object:
    return importlib.import_module("ptflops").get_model_complexity_info(
        model, INPUT[1:], as_strings=False, print_per_layer_stat=False, verbose=False
    )


def count_thop(model: nn.Module, x: Tensor) -> object:
    return importlib.import_module("thop").profile(model, inputs=(x,), verbose=False)


def count_torchinfo(model: nn.Module, _: Tensor) -> object:
    return importlib.import_module("torchinfo").summary(model, input_size=INPUT, verbose=0)


def count_torchprofile(model: nn.Module, x: Tensor) -> object:
    return importlib.import_module("torchprofile").profile_macs(model, x)


def count_calflops(model: nn.Module, _: Tensor) -> object:
    return importlib.import_module("calflops").calculate_flops(
        model, input_shape=INPUT, print_results=False, print_detailed=False
    )


def count_flop_counter(model: nn.Module, x: Tensor) -> object:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return counter.get_total_flops()


TOOLS: dict[str, Analyse] = {
    "convcost": count_convcost,
    "fvcore": count_fvcore,
    "ptflops": count_ptflops,
    "thop": count_thop,
    "torchinfo": count_torchinfo,
    "torchprofile": count_torchprofile,
    "calflops": count_calflops,
    "FlopCounterMode": count_flop_counter,
    "FlopCounterMode on meta": count_flop_counter,
}


def build(name: str) -> nn.Module:
    """A model without trained weights, in eval mode."""
    settings = {"deeplabv3_resnet50": {"weights_backbone": None}}.get(name, {})
    if name == "googlenet":
        settings = {"aux_logits": False, "init_weights": False}
    model: nn.Module = torchvision.models.get_model(name, weights=None, **settings)
    return model.eval()


def seconds(analyse: Analyse, model: nn.Module, x: Tensor) -> float:
    """One analysis, or infinity where the tool fails."""
    start = time.perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            analyse(model, x)
    except Exception:  # noqa: BLE001  a peer that fails is no peer on this model
        return float("inf")
    return time.perf_counter() - start


def best_times(name: str) -> dict[str, float]:
    """The best of ``ROUNDS`` rounds for each tool, all tools in turn."""
    model, x = build(name), torch.zeros(INPUT)
    twin, meta = copy.deepcopy(model).to("meta"), torch.empty(INPUT, device="meta")
    # thop and ptflops leave hooks and buffers: each peer gets a copy of its own
    models = {tool: copy.deepcopy(model) for tool in TOOLS}
    times = dict.fromkeys(TOOLS, float("inf"))
    for _ in range(ROUNDS):
        for tool, analyse in TOOLS.items():
            on_meta = tool.endswith("on meta")
            arguments = (twin, meta) if on_meta else (models[tool], x)
            times[tool] = min(times[tool], seconds(analyse, *arguments))
    return times


def main() -> None:
    """Prints milliseconds of all tools and the ratio to the fastest peer."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, best of {ROUNDS}, ms")
    print(
        "  ".join(
            ["model".ljust(20), *(tool.rjust(8) for tool in TOOLS), "fastest peer / convcost"]
        )
    )
    ratios = []
    for name in MODELS:
        times = best_times(name)
        peer = min(value for tool, value in times.items() if tool != "convcost")
        ratios.append(peer / times["convcost"])
        cells = (f"{1e3 * times[t]:.1f}".rjust(max(8, len(t))) for t in TOOLS)
        print("  ".join([name.ljust(20), *cells, f"{ratios[-1]:.1f}x"]), flush=True)
    mean = exp(sum(map(log, ratios)) / len(ratios))
    print(f"geometric mean {mean:.1f}x (goal 10x), least {min(ratios):.1f}x (goal 5x)")


if __name__ == "__main__":
    main()
