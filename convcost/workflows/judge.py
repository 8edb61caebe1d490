"""From limits and exact costs to what became of each limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from math import inf
from typing import NamedTuple

from convcost.errors import ConvcostError, printable, some_of
from convcost.render.limits import before_and_after, change, hint, sentence, size, title
from convcost.report import Finding, Outcome, Report, Value
from convcost.report import Limit as Judged
from convcost.sources.check_fields import RATIOS, TIMED
from convcost.sources.checks import Check, Limit

Values = Mapping[str, Value]
INPUT = "input"
"""The op of what is no layer: it costs nothing."""
SLACK = 1e-9
"""Of an allowed increase: its product with the base is rounded."""


class Sizes(NamedTuple):
    """The exact costs of a source: of the whole, and of each layer."""

    totals: Values
    layers: Mapping[str, Values]


def sizes_of(report: Report) -> Sizes:
    """The costs that a counting report holds."""
    layers = {row.name: row.values for row in report.rows if row.op != INPUT}
    return Sizes(report.totals, layers)


def is_timed(limit: Limit) -> bool:
    """Whether a clock is needed."""
    return limit.metric in TIMED


def is_exact(limit: Limit) -> bool:
    """Whether a limit is on what counting a source gives."""
    return not is_timed(limit) and limit.metric not in RATIOS


def is_relative(limit: Limit) -> bool:
    """Whether a limit compares with a base."""
    return limit.bound == "max_increase"


def chosen_layers(limit: Limit, costs: Sizes) -> list[str]:
    """The layers that a limit is of; '' is the whole."""
    if not limit.layer:
        return [""]
    return [name for name in costs.layers if fnmatchcase(name, limit.layer)]


def need_layers(limit: Limit, costs: Sizes, file: str) -> None:
    """Does nothing where a limit's glob matches a layer.

    Raises:
        ConvcostError: it matches none.
    """
    if chosen_layers(limit, costs):
        return
    place, glob = f"{file}:{limit.line}", limit.layer
    if any(name.startswith(f"{glob}.") for name in costs.layers):
        raise ConvcostError(
            f"{place}: no layer matches {glob!r}: it is a module, and limits are of layers",
            f"{glob}.* is each of its layers, by itself",
        )
    names = some_of(map(printable, costs.layers))
    raise ConvcostError(f"{place}: no layer matches {glob!r}", f"the layers: {names}")


def judge_exact(
    check: Check, limit: Limit, costs: Sizes, base: Sizes | None, file: str
) -> Iterator[Judged]:
    """What became of an exact limit, one result for each layer that it is of.

    A layer or source that ``base`` doesn't have is new.

    Raises:
        ConvcostError: a value isn't known well enough to judge.
    """
    place = f"{file}:{limit.line}" if limit.line else file
    for layer in chosen_layers(limit, costs):
        where = ": ".join(dict.fromkeys(filter(None, (place, check.name, layer))))
        found = _value(costs, layer, limit.metric, where)
        if not is_relative(limit):
            kept = is_kept(limit, found, where)
            yield judged(check, limit, file, "kept" if kept else "broken", found, layer=layer)
            continue
        values = base and (base.layers.get(layer) if layer else base.totals)
        if values is None:
            yield judged(
                check, limit, file, "new", found, layer=layer, reason="new: the base has none"
            )
            continue
        before = values.get(limit.metric)
        outcome: Outcome = "kept" if _is_within(limit, found, before, where) else "broken"
        yield judged(check, limit, file, outcome, found, layer=layer, base=before)


def judged(  # noqa: PLR0913  each is one field of the result
    check: Check,
    limit: Limit,
    file: str,
    outcome: Outcome,
    found: Value | None = None,
    *,
    layer: str = "",
    base: Value | None = None,
    ratio: Value | None = None,
    reason: str = "",
) -> Judged:
    """A limit with what became of it."""
    return Judged(
        name=check.name,
        variant=limit.variant,
        metric=limit.metric,
        layer=printable(layer or limit.layer),
        bound=limit.bound,  # type: ignore[arg-type]  # the loader knows no other
        level=limit.level,  # type: ignore[arg-type]  # what is off isn't judged
        outcome=outcome,
        expected=limit.expected,
        found=found,
        file=file,
        line=limit.line,
        base=base,
        ratio=ratio,
        reason=reason,
        note=check.message,
    )


def _value(costs: Sizes, layer: str, metric: str, where: str) -> Value:
    value = (costs.layers[layer] if layer else costs.totals).get(metric)
    if value is None or value.value is None:
        reason = value.reason if value and value.reason else "this source has none"
        raise ConvcostError(f"{where}: {metric} isn't known: {reason}", _OFF)
    return value


_OFF = "no limit can hold what isn't known: level: off leaves it out"


def is_kept(limit: Limit, found: Value, where: str) -> bool:
    """Whether an absolute limit is kept.

    Raises:
        ConvcostError: the value is only a bound, and on the wrong side.
    """
    mine = size(found, limit.bound)
    is_inside = mine <= limit.expected if limit.bound == "max" else mine >= limit.expected
    # a lower bound proves that something is at least so large, and nothing else
    proves = "lower_bound" if is_inside == (limit.bound == "min") else "upper_bound"
    if found.status not in ("exact", "measured", proves):
        raise _only_a_bound(limit.metric, found, where)
    return is_inside


def need_exact(costs: Sizes, layer: str, metric: str, where: str) -> None:
    """Does nothing where a cost is known exactly.

    Raises:
        ConvcostError: it isn't; says why.
    """
    value = _value(costs, layer, metric, where)
    if value.status != "exact":
        raise _only_a_bound(metric, value, where)


def _is_within(limit: Limit, found: Value, base: Value | None, where: str) -> bool:
    if base is None or base.value is None:
        raise ConvcostError(f"{where}: {limit.metric} of the base isn't known", _OFF)
    for value in (found, base):
        if value.status != "exact":
            raise _only_a_bound(limit.metric, value, where)
    return all(_is_small(limit, *axis) for axis in before_and_after(base, found))


def _is_small(limit: Limit, before: float, after: float) -> bool:
    """Whether an increase, if it is one, is within what a limit allows."""
    if before == inf or after <= before:
        return True
    increase = after - before
    return increase <= limit.min_delta or increase <= limit.expected * before * (1 + SLACK)


def _only_a_bound(metric: str, value: Value, where: str) -> ConvcostError:
    status = value.status.replace("_", " ")
    article = "an" if status.startswith("upper") else "a"
    return ConvcostError(f"{where}: {metric} is only {article} {status}: {value.reason}", _OFF)


def findings_of(limits: Iterable[Judged], update: str) -> Iterator[Finding]:
    """What must be told: broken limits and inconclusive ones, worst first.

    ``update`` is the command that approves an increase, '' where none does.
    """
    told = [limit for limit in limits if limit.outcome in ("broken", "inconclusive")]
    for limit in sorted(told, key=_badness):
        yield Finding(
            name=limit.name,
            variant=limit.variant,
            metric=limit.metric,
            message=f"{title(limit)}: {sentence(limit)}",
            level=limit.level if limit.outcome == "broken" else "warn",
            layer=limit.layer,
            bound=limit.bound,
            expected=limit.expected,
            found=_scalar(limit),
            change=change(limit),
            note=limit.note,
            hint=hint(limit, update),
            file=limit.file,
            line=limit.line,
        )


def _scalar(limit: Judged) -> int | float | str | None:
    if limit.found is None:
        return None
    mine = size(limit.found, limit.bound)
    if limit.base is not None:
        _, mine = before_and_after(limit.base, limit.found)[0]
    if mine == inf:
        return "global"
    return int(mine) if mine.is_integer() else mine


def _badness(limit: Judged) -> tuple[int, int, float]:
    """Errors first, then what is known to be broken, then the largest share."""
    level = 0 if limit.level == "error" and limit.outcome == "broken" else 1
    difference = change(limit)
    if difference is None:
        share = inf
    elif limit.bound == "max_increase":
        share = difference
    else:
        share = abs(difference) / limit.expected if limit.expected else inf
    return level, limit.outcome != "broken", -share
