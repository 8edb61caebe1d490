"""What a convolution, or a network of them, costs, and what the alternative would cost.

Importing this doesn't import torch; what runs something does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convcost._version import __version__
from convcost.errors import ConvcostError
from convcost.report import Finding, Report, Row, Value

if TYPE_CHECKING:
    from convcost.measure.settings import Settings

__all__ = [
    "ConvcostError",
    "Finding",
    "Report",
    "Row",
    "Value",
    "__version__",
    "compare",
    "load",
    "render",
]


def compare(  # noqa: PLR0913  the command's own options
    source: str | None = None,
    *,
    variants: Sequence[str] = (),
    only: Sequence[str] = (),
    keep: Sequence[str] = (),
    batch: int = 1,
    per_layer: bool = False,
    measure: bool = True,
    settings: Settings | None = None,
) -> Report:
    """Variants of a layer spec side by side, as ``convcost compare`` shows them.

    ``source`` is a YAML file's path (None: the primer's layer), ``variants`` are texts such as
    ``atrous:rate=4``; ``settings`` say where and how to measure.

    Raises:
        ConvcostError: the spec or a variant has mistakes, or it can't run as asked.
    """
    from convcost.measure.settings import Settings as Defaults  # noqa: PLC0415
    from convcost.variants import parse_variant  # noqa: PLC0415
    from convcost.workflows.compare import CompareRequest  # noqa: PLC0415
    from convcost.workflows.compare import compare as run  # noqa: PLC0415

    try:
        parsed = tuple(map(parse_variant, variants))
    except ValueError as error:
        raise ConvcostError(str(error)) from None
    request = CompareRequest(
        source=source,
        variants=parsed,
        only=tuple(only),
        keep=tuple(keep),
        batch=batch,
        per_layer=per_layer,
        measure=measure,
        settings=settings or Defaults(),
    )
    return run(request)


def render(report: Report, format: str = "table") -> str:  # noqa: A002  the option's name
    """``report`` as text: ``table``, ``json``, ``csv`` or ``markdown``."""
    from convcost.render import render as run  # noqa: PLC0415

    return run(report, format)


def load(path: str) -> Report:
    """A saved report.

    Raises:
        ConvcostError: the file isn't one.
    """
    from convcost.sources.saved import load_report  # noqa: PLC0415

    return load_report(path)
