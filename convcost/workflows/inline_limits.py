"""Limits that are said in code: ``parameters="<= 3.5 M"``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from convcost.errors import ConvcostError, did_you_mean
from convcost.render.limits import sentence, title
from convcost.report import METRICS
from convcost.sources.check_fields import EXACT
from convcost.sources.checks import Check, Limit
from convcost.sources.source import is_spec
from convcost.units import parse_quantity
from convcost.workflows.advice import OF_CODE, advising
from convcost.workflows.count import count_spec
from convcost.workflows.judge import Sizes, judge_exact, sizes_of
from convcost.workflows.profile import ProfileRequest, profile_given

if TYPE_CHECKING:
    from torch import nn

_BOUNDS = {"<=": "max", ">=": "min"}


def broken_limits(
    model: nn.Module | str,
    input: object,  # noqa: A002  the option's name
    limits: Mapping[str, str],
) -> list[str]:
    """A sentence for each limit that the model breaks.

    Raises:
        ConvcostError: it can't be counted, or a limit has a mistake, or there is none.
    """
    if not limits:
        raise ConvcostError("no limit is given", 'for example parameters="<= 3.5 M"')
    parsed = [_parse(metric, text) for metric, text in limits.items()]
    name = model if isinstance(model, str) else type(model).__name__
    check = Check(name, name, (), "", ())
    costs = _count(model, input, name)
    judged = (result for limit in parsed for result in judge_exact(check, limit, costs, None, name))
    with advising(OF_CODE):
        broken = [result for result in judged if result.outcome == "broken"]
    return [f"{title(result)}: {sentence(result)}" for result in broken]


def _count(model: nn.Module | str, input: object, name: str) -> Sizes:  # noqa: A002
    if isinstance(model, str) and is_spec(model):
        if input is not None:
            raise ConvcostError(f"{name}: a layer spec says its own input", "leave input= out")
        return sizes_of(count_spec(model))
    return sizes_of(profile_given(model, input, ProfileRequest(name, measure=False)))


def _parse(metric: str, text: object) -> Limit:
    if metric not in EXACT:
        hint = f"{did_you_mean(metric, EXACT)}limits are of {', '.join(EXACT)}"
        raise ConvcostError(f"no metric {metric!r}", hint)
    sign, rest = str(text)[:2], str(text)[2:]
    try:
        bound = _bound(sign)
        expected = parse_quantity(rest, METRICS[metric].unit)
    except ValueError as error:
        example = 'for example parameters="<= 3.5 M"'
        raise ConvcostError(f"{metric}={text!r}: {error}", example) from None
    return Limit(metric, bound, expected, "error", 0)


def _bound(sign: str) -> str:
    if sign not in _BOUNDS:
        raise ValueError("expected <= or >= and a quantity")
    return _BOUNDS[sign]
