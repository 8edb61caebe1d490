"""The first suggested design as a layer spec."""

from __future__ import annotations

from convcost.errors import ConvcostError
from convcost.report import Report


def render(report: Report) -> str:
    """The spec of the first design.

    Raises:
        ConvcostError: no row has one.
    """
    for row in report.rows:
        if "spec" in row.values:
            return str(row.values["spec"].value)
    raise ConvcostError(
        "there is no design that a layer spec could say", "models are made by convcost rewrite"
    )
