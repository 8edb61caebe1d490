"""The effective receptive field of a model, where it was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from convcost.analyses import Costs
from convcost.graph import Graph
from convcost.report import EffectiveField, Runs, Value
from convcost.variants.dense import last_feature_map

if TYPE_CHECKING:
    from convcost.measure.settings import Settings
    from convcost.sources.model import LoadedModel


def effective_field_of(
    loaded: LoadedModel,
    graph: Graph,
    costs: Costs,
    settings: Settings,
    notify: Callable[[float], None],
) -> EffectiveField | str:
    """That of the last feature map's centre; a reason in words where it can't be known.

    ``notify`` is told the share that is done.
    """
    from convcost.measure.effective_field import NoFieldError, effective_field  # noqa: PLC0415
    from convcost.measure.models import with_data  # noqa: PLC0415  torch
    from convcost.measure.place import torch_errors  # noqa: PLC0415  torch

    index = last_feature_map(graph)
    node = graph.nodes[index]
    field = _theoretical(costs.rows[index], node.shape)
    with redirect_stdout(sys.stderr), torch_errors(settings):
        placed = with_data(loaded.module, loaded.args, loaded.kwargs, settings)
        try:
            return effective_field(
                placed.module,
                placed.args,
                placed.kwargs,
                node.module,
                node.shape,
                field,
                settings.seed,
                notify,
            )
        except NoFieldError as error:
            return str(error)


def _theoretical(values: dict[str, Value], shape: tuple[int, ...]) -> Runs | None:
    """First position and span on the last two axes, of the output at the centre."""
    keys = ("receptive_field", "receptive_field_start", "effective_stride")
    found = [values[key].value for key in keys]
    if not all(isinstance(axes, tuple) and len(axes) == len(shape) - 2 for axes in found):
        return None
    axes = list(zip(*found, shape[2:], strict=True))[-2:]  # type: ignore[arg-type]  # seen above
    if not all(isinstance(number, int) for axis in axes for number in axis) or len(axes) < 2:
        return None
    return tuple((start + size // 2 * stride, span) for span, start, stride, size in axes)
