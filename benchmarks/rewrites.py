"""How long rewriting and analysing takes once torch is there, and what fails.

Each torchvision model is built on the meta device, and compared as all of its variants without
being run. Prints seconds per model; the last column says what was left out.

python benchmarks/rewrites.py [NAME …]
"""

from __future__ import annotations

import sys
import time

from torchvision import models

from convcost import ConvcostError
from convcost.variants import MODEL_VARIANTS, parse_variant
from convcost.workflows.compare import CompareRequest, compare

NAMES = (
    "resnet18",
    "resnet50",
    "resnet101",
    "mobilenet_v2",
    "densenet121",
    "googlenet",
    "vgg16",
    "regnet_x_400mf",
    "convnext_tiny",
    "efficientnet_b0",
    "deeplabv3_resnet50",
)
EXTRA = {"deeplabv3": {"weights_backbone": None}, "fcn": {"weights_backbone": None}}


def main(names: list[str]) -> None:
    for name in names or NAMES:
        seconds = {}
        for variant in (*MODEL_VARIANTS, ""):
            start = time.perf_counter()
            told = compared(name, variant)
            seconds[variant or "all"] = time.perf_counter() - start
            if told:
                print(f"  {name} {variant}: {told}")
        print(f"{name:32}", *(f"{key} {spent:.2f} s" for key, spent in seconds.items()))


def compared(name: str, variant: str) -> str:
    """Compares a model with one of its variants, or with all; what stopped it, or ''."""
    chosen = (parse_variant(variant, MODEL_VARIANTS),) if variant else ()
    arguments = {"weights": None, **EXTRA.get(name.split("_", maxsplit=1)[0], {})}
    folder = "segmentation." if name.split("_", maxsplit=1)[0] in EXTRA else ""
    source = f"torchvision.models.{folder}".rstrip(".") + f":{name}"
    try:
        compare(CompareRequest(source, chosen, measure=False, arguments=arguments))
    except ConvcostError as error:
        return error.message
    return ""


if __name__ == "__main__":
    main(models.list_models(models) if sys.argv[1:] == ["all"] else sys.argv[1:])
