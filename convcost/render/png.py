"""The charts of a report as one PNG, at twice the size of the SVG."""

from __future__ import annotations

from convcost.report import Report


def render(report: Report) -> bytes:
    """``report``'s charts, one below the other.

    Raises:
        ConvcostError: there are none, or what draws them isn't installed.
    """
    from convcost.render.charts import require_packages  # noqa: PLC0415  an extra

    require_packages()
    import vl_convert  # noqa: PLC0415  an extra

    from convcost.render.charts.export import column_of  # noqa: PLC0415  an extra

    image: bytes = vl_convert.vegalite_to_png(column_of(report), scale=2)
    return image
