"""The exact costs of any source: a layer spec or a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convcost.ops import Shape
from convcost.report import Report
from convcost.variants import STANDARD
from convcost.workflows.compare import CompareRequest, compare
from convcost.workflows.profile import ProfileRequest, profile_loaded

if TYPE_CHECKING:
    from convcost.sources.model import LoadedModel

_ONLY_OF_VARIANTS = ("convolutions", "rewritten", "multiplications_ratio")


def count_spec(source: str) -> Report:
    """A spec's layers and totals, as ``profile`` has those of a model.

    Raises:
        ConvcostError: the spec has mistakes.
    """
    request = CompareRequest(source, (STANDARD,), per_layer=True, measure=False)
    report = compare(request)
    return as_it_stands(report)._replace(notices=())


def as_it_stands(report: Report) -> Report:
    """What a comparison with layers says of standard alone, as ``profile`` would."""
    standard = report.rows[0]
    totals = {k: v for k, v in standard.values.items() if k not in _ONLY_OF_VARIANTS}
    layers = tuple(row for row in report.layers if row.variant == standard.variant)
    return report._replace(kind="profile", rows=layers, layers=(), totals=totals)


def count_model(source: str, inputs: Sequence[Shape], loaded: LoadedModel) -> Report:
    """A model's layers and totals.

    Raises:
        ConvcostError: it can't be run.
    """
    from convcost.sources.model import load_model  # noqa: PLC0415  torch, only where it is needed

    request = ProfileRequest(source, inputs=tuple(inputs), measure=False)
    return profile_loaded(loaded, request, reload=lambda: load_model(source, {}, inputs, real=True))
