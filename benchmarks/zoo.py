"""Coverage: every model that torchvision and timm register, profiled and counted a second time.

    pip install torchvision timm
    python benchmarks/zoo.py            # all of them
    python benchmarks/zoo.py 10 3       # every tenth, from the third on

Prints each model that fails, whose parameters aren't ``sum(p.numel())``, or whose multiplications
aren't ``FlopCounterMode`` / 2 where that counter runs; then how many there were.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator

import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import convcost

Build = Callable[[], nn.Module]


def models() -> Iterator[tuple[str, Build]]:
    """The name of each model, and what builds it without trained weights."""
    for name in torchvision.models.list_models():
        yield f"torchvision/{name}", lambda name=name: build_torchvision(name)
    for name in timm.list_models():
        yield f"timm/{name}", lambda name=name: timm.create_model(name, pretrained=False)


def build_torchvision(name: str) -> nn.Module:
    builder = torchvision.models.get_model_builder(name)
    settings = {"weights": None}
    if "weights_backbone" in inspect.signature(builder).parameters:
        settings["weights_backbone"] = None
    if name.startswith("quantized_"):
        settings["quantize"] = True
    return builder(**settings)


def on_meta(build: Build) -> nn.Module:
    """The model without memory where that works, else for real."""
    try:
        with torch.device("meta"):
            return build().eval()
    except Exception:  # noqa: BLE001  some read values while they are built
        return build().eval()


def check(name: str, build: Build) -> str:
    """What is wrong with a model's profile, or ''."""
    model = on_meta(build)
    shapes = input_shapes(name, model)
    try:
        totals = convcost.profile(model, input=shapes, measure=False).totals
    except convcost.ConvcostError:
        # detection heads, quantised ops: on data
        model = build().eval()
        totals = convcost.profile(model, input=shapes, measure=False).totals
    problems = []
    if totals["parameters"].value != sum(p.numel() for p in model.parameters()):
        problems.append(f"parameters {totals['parameters'].value}")
    second = count_again(model, shapes)
    if second is not None and totals["multiplications"].value != second:
        problems.append(f"multiplications {totals['multiplications'].value}, not {second}")
    return ", ".join(problems)


def input_shapes(name: str, model: nn.Module) -> list[tuple[int, ...]]:
    if name.startswith("timm/"):
        return [(1, *model.pretrained_cfg.get("input_size", (3, 224, 224)))]
    if "raft" in name:
        return [(1, 3, 128, 128)] * 2
    if "mvit" in name or "s3d" in name:
        return [(1, 3, 16, 224, 224)]
    video = any(isinstance(module, nn.Conv3d) for module in model.modules())
    return [(1, 3, 16, 112, 112)] if video else [(1, 3, 224, 224)]


def count_again(model: nn.Module, shapes: list[tuple[int, ...]]) -> int | None:
    """``FlopCounterMode`` / 2, or None where it can't count the model without data."""
    inputs: list[Tensor] = [torch.empty(shape, device="meta") for shape in shapes]
    if not all(p.is_meta for p in model.parameters()):
        return None
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(*inputs)
    except Exception:  # noqa: BLE001  then there is nothing to compare with
        return None
    return int(counter.get_total_flops() // 2)


def main() -> None:
    """Checks the models that the arguments choose."""
    warnings.filterwarnings("ignore")
    step, start = (int(text) for text in (sys.argv[1:] + ["1", "0"][len(sys.argv) - 1 :])[:2])
    seen: Counter[str] = Counter()
    for name, build in list(models())[start::step]:
        try:
            problem = check(name, build)
        except Exception as error:  # noqa: BLE001  the point is to list what fails
            problem = f"{type(error).__name__}: {error}"
        seen["fail" if problem else "pass"] += 1
        if problem:
            print(f"{name}: {problem}", flush=True)
    print(f"{seen['pass']} passed, {seen['fail']} failed")


if __name__ == "__main__":
    main()
