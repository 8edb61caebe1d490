"""The charts of a report as one SVG."""

from __future__ import annotations

from convcost.report import Report


def render(report: Report) -> str:
    """``report``'s charts, one below the other.

    Raises:
        ConvcostError: there are none, or what draws them isn't installed.
    """
    from convcost.render.charts import require_packages  # noqa: PLC0415  an extra

    require_packages()
    import vl_convert  # noqa: PLC0415  an extra

    from convcost.render.charts.export import column_of  # noqa: PLC0415  an extra

    text: str = vl_convert.vegalite_to_svg(column_of(report))
    return text
