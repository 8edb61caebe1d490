"""The ``convcost`` fixture: limits of a model's exact costs, in a test.

    def test_cost(convcost):
        convcost.check(model, parameters="<= 3.5 M", receptive_field=">= 400")

Nothing is imported before the fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import nn


class Costs:
    """What the fixture gives."""

    def check(
        self,
        model: nn.Module | str,
        *,
        input: object = None,  # noqa: A002  the option's name
        **limits: str,
    ) -> None:
        """Fails the test if a limit is broken; tells all that are.

        ``model`` and ``input`` are as in ``convcost.profile``; a limit is a metric with ``<=`` or
        ``>=`` and a quantity, as in ``parameters="<= 3.5 M"``.

        Raises:
            ConvcostError: the model can't be counted, or a limit has a mistake.
        """
        __tracebackhide__ = True
        from convcost.errors import ConvcostError  # noqa: PLC0415
        from convcost.workflows.inline_limits import broken_limits  # noqa: PLC0415

        try:
            broken = broken_limits(model, input, limits)
        except ConvcostError as error:
            # a mistake is of the test's line: what lies below it helps nobody
            raise error.with_traceback(None) from None
        if broken:
            pytest.fail("\n".join(broken), pytrace=False)


@pytest.fixture
def convcost() -> Costs:
    """Limits of a model's exact costs."""
    return Costs()
