"""The charts of a report: one module with ``pictures(report)`` and one place in ``CHARTS`` each.

Declared with Vega-Altair, so that the same chart is drawn in a browser, as SVG and as PNG.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from convcost.errors import ConvcostError
from convcost.report import Report

if TYPE_CHECKING:
    from convcost.render.charts.picture import Picture

CHARTS = ("limits", "intervals", "promise", "roofline", "icicle", "depth", "field")
"""In the order in which they are shown."""


def require_packages() -> None:
    """Does nothing where what draws is installed.

    Raises:
        ConvcostError: it isn't.
    """
    try:
        import altair as alt  # noqa: F401, PLC0415  an extra
        import vl_convert  # noqa: F401, PLC0415  an extra
    except ImportError as error:
        raise ConvcostError(
            f"pictures need a package that isn't installed: {error.name}",
            "pip install altair vl-convert-python",
        ) from None


def charts_of(report: Report) -> list[Picture]:
    """Every chart that the report has the numbers for.

    Raises:
        ConvcostError: the packages that draw aren't installed.
    """
    require_packages()
    modules = (import_module(f"convcost.render.charts.{name}") for name in CHARTS)
    return [picture for module in modules for picture in module.pictures(report)]
