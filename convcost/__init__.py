"""What a convolution, or a network of them, costs, and what the alternative would cost.

Importing this doesn't import torch; what runs something does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Literal

from convcost import given
from convcost._version import __version__
from convcost.errors import ConvcostError

# imported here, for a package's first import takes the place of the function of its name
from convcost.measure.settings import Settings, checked
from convcost.render import render as _render
from convcost.report import Finding, Report, Row, Value

if TYPE_CHECKING:
    from torch import nn

    from convcost.measure.comparison import Measurement

__all__ = [
    "ConvcostError",
    "Finding",
    "Report",
    "Row",
    "Settings",
    "Value",
    "__version__",
    "compare",
    "load",
    "measure",
    "profile",
    "render",
    "rewrite",
]


def _in_a_notebook(report: Report) -> str:
    """A report as a notebook's cell shows it."""
    from convcost.render.notebook import render as table  # noqa: PLC0415  notebooks only

    return table(report)


def _as_text(report: Report) -> str:
    """A report as ``print`` shows it: what its command writes to both streams."""
    notes = (f"note: {notice}\n" for notice in report.notices)
    return "".join(notes) + _render(report, "table")


# a report knows no renderer, so what knows both puts them together
Report._repr_html_ = _in_a_notebook  # type: ignore[attr-defined]
Report.__str__ = _as_text  # type: ignore[method-assign, assignment]


def compare(  # noqa: PLR0913  the command's own options
    source: str | PathLike[str] | None = None,
    *,
    variants: Sequence[str] = (),
    only: Sequence[str] = (),
    keep: Sequence[str] = (),
    batch: int = 1,
    inputs: Sequence[Sequence[int]] = (),
    arguments: Mapping[str, object] | None = None,
    per_layer: bool = False,
    measure: bool = True,
    settings: Settings = Settings(),
    axes: Mapping[str, Sequence[int | str]] | None = None,
) -> Report:
    """Variants of a layer spec or a model side by side, as ``convcost compare`` shows them.

    ``source`` is a YAML file's path or names a model (None: the primer's layer), with ``arguments``
    for a factory and the shapes of its ``inputs``; ``variants`` are texts such as
    ``atrous:rate=4``. ``settings`` say where and how to measure. ``axes`` give several values of
    ``batch``, ``dtype``, ``memory_format``, ``threads`` or ``compile``, such as
    ``{"threads": (1, 2)}``: each combination adds rows.

    Raises:
        ConvcostError: the spec or a variant has mistakes, or it can't run as asked.
    """
    source = fspath(source) if isinstance(source, PathLike) else source
    if source is not None and not isinstance(source, str):
        raise ConvcostError(
            f"compare takes a SOURCE as text, not a {type(source).__name__}",
            "name it, as in 'model.py:attr'; profile and rewrite take a module",
        )
    from convcost.variants import MODEL_VARIANTS  # noqa: PLC0415
    from convcost.variants.mixed import parse_mixed  # noqa: PLC0415
    from convcost.workflows.advice import OF_COMPARE, advising, with_notices  # noqa: PLC0415
    from convcost.workflows.compare import CompareRequest  # noqa: PLC0415
    from convcost.workflows.compare import compare as run  # noqa: PLC0415

    given.need_flags(per_layer=per_layer, measure=measure)
    texts = given.texts("variants", variants)
    try:
        parsed = tuple(parse_mixed(text, MODEL_VARIANTS) for text in texts)
    except ValueError as error:
        raise ConvcostError(str(error)) from None
    request = CompareRequest(
        source=source,
        variants=parsed,
        only=given.texts("only", only),
        keep=given.texts("keep", keep),
        batch=batch,
        per_layer=per_layer,
        measure=measure,
        settings=checked(settings),
        arguments=given.mapping("arguments", arguments),
        inputs=given.shapes("inputs", inputs),
        axes=given.mapping("axes", axes),
    )
    with advising(OF_COMPARE):
        return with_notices(run(request), OF_COMPARE)


def profile(  # noqa: PLR0913  the command's own options
    model: nn.Module | str | PathLike[str],
    *,
    input: object = None,  # noqa: A002  the option's name
    arguments: Mapping[str, object] | None = None,
    expand: bool = False,
    depth: int | None = None,
    verify: bool = False,
    measure: bool = True,
    settings: Settings = Settings(),
) -> Report:
    """A model's layers, as ``convcost profile`` shows them.

    ``model`` is a module, or SOURCE as text with ``arguments`` for a factory; ``input`` a shape, a
    list or dict of shapes, a tensor, or a tuple or dict of tensors for ``forward``, and ``[[…]]``
    where it takes one list. The module is as before afterwards.

    Raises:
        ConvcostError: the model can't be loaded or run so.
    """
    from convcost.workflows import profile as workflow  # noqa: PLC0415

    model = fspath(model) if isinstance(model, PathLike) else model
    given.need_flags(expand=expand, verify=verify, measure=measure)
    given.need_depth(depth)
    request = workflow.ProfileRequest(
        source=model if isinstance(model, str) else type(model).__name__,
        arguments=given.mapping("arguments", arguments),
        expand=expand,
        depth=depth,
        verify=verify,
        measure=measure,
        settings=checked(settings),
    )
    return workflow.profile_given(model, input, request)


def measure(
    candidates: Mapping[str, Callable[[], object]], *, settings: Settings = Settings()
) -> Measurement:
    """Callables timed in interleaved rounds, each compared with the first.

    They run under ``torch.inference_mode`` with the threads of ``settings``; what each gives has
    to be complete on a CPU when it returns.

    Raises:
        ConvcostError: there are none, or no such device.
    """
    from convcost.measure.callables import measure_callables  # noqa: PLC0415  torch
    from convcost.workflows.advice import OF_CODE, advising  # noqa: PLC0415

    given.need_calls(candidates)
    with advising(OF_CODE):
        return measure_callables(candidates, checked(settings))


def rewrite(  # noqa: PLR0913  the command's own options
    model: nn.Module,
    variant: str,
    *,
    only: Sequence[str] = (),
    keep: Sequence[str] = (),
    init: Literal["fresh", "svd"] = "fresh",
    input: object = None,  # noqa: A002  the option's name
) -> nn.Module:
    """A copy of ``model`` as a variant such as ``separable`` or ``dense:output_stride=8``.

    ``only`` and ``keep`` are globs over the paths of convolutions. Atrous and dense keep the
    weights and their names; separable starts fresh, or with ``init="svd"`` from the best
    approximation of the weights. ``dense`` sees what comes after what in a pass on ``input``, as
    ``profile`` takes it. The model is as before afterwards.

    Raises:
        ConvcostError: there is no such variant, or the model can't be rewritten so.
    """
    from convcost.variants.rewrite import Choice  # noqa: PLC0415
    from convcost.workflows.rewrite import rewrite_given  # noqa: PLC0415

    choice = Choice(given.texts("only", only), given.texts("keep", keep), init)
    return rewrite_given(model, given.text("variant", variant), choice, input)


def render(report: Report, format: str = "table") -> str:  # noqa: A002  the option's name
    """``report`` as text, in a format of its command: ``table``, ``json``, ``markdown``, ….

    Raises:
        ConvcostError: there is no such format of this kind of report, or it is no text.
    """
    given.need_report(report)
    return _render(report, format)


def load(path: str | PathLike[str]) -> Report:
    """A saved report.

    Raises:
        ConvcostError: the file isn't one.
    """
    from convcost.sources.saved import load_report  # noqa: PLC0415

    return load_report(given.path(path))
