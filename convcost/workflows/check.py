"""Limits held against what sources cost: now, in an approved baseline, or at a git revision."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from convcost.errors import ConvcostError, printable
from convcost.measure.settings import TIME_LIMIT, Settings
from convcost.measure.workers import Side
from convcost.notify import Notify, silently
from convcost.report import Limit as Judged
from convcost.report import Report, Row, Value
from convcost.sources.baseline import Baseline
from convcost.sources.checks import BASELINE, Check, Checks, Limit, find_config, load_checks
from convcost.sources.revisions import (
    checked_out,
    find_repository,
    find_revision,
    python_packages,
    tree_of,
)
from convcost.variants import parse_variant
from convcost.workflows.advice import OF_CHECKS, advising, reworded
from convcost.workflows.approved import approved, new_baseline, others_of
from convcost.workflows.environment import environment
from convcost.workflows.judge import (
    Sizes,
    findings_of,
    is_exact,
    is_relative,
    is_timed,
    judge_exact,
    judged,
    need_layers,
    sizes_of,
)
from convcost.workflows.sides import Sides, opened
from convcost.workflows.timed import Clockwork, judge_timed


class CheckRequest(NamedTuple):
    """What to check: ``config`` None is the nearest one, ``against`` a git revision.

    ``exact`` leaves out what is timed; ``update`` makes a new baseline; ``seconds`` is the time
    that each timed limit may take, ``time_limit`` that of a side in all.
    """

    config: str | None = None
    against: str | None = None
    exact: bool = False
    update: bool = False
    seconds: float | None = None
    time_limit: float = TIME_LIMIT


class Checked(NamedTuple):
    """The report, and with ``update`` the baseline and the file that it is for."""

    report: Report
    baseline: Baseline | None
    baseline_file: Path


class _Costs(NamedTuple):
    """The exact costs of each check on both sides; a base has no entry for what is new."""

    mine: Mapping[str, Sizes]
    bases: Mapping[str, Sizes]
    notices: Sequence[str]


def check(request: CheckRequest, notify: Notify = silently) -> Checked:
    """Judges every limit of a configuration.

    Raises:
        ConvcostError: something kept a limit from being judged, or there was none to judge.
    """
    if request.update and request.against is not None:
        raise ConvcostError(
            "--update approves today's costs, --against compares them with a revision",
            "give one of them",
        )
    started = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    path = Path(request.config) if request.config is not None else find_config(Path.cwd())
    config = _without_off(load_checks(path, parse_variant))
    file = _shown(path)
    if not any(check.limits for check in config.checks):
        raise ConvcostError(f"{file}: nothing was checked: every limit is off")
    baseline_file = path.parent / BASELINE
    update = shlex.join(["convcost", "check", *filter(None, [request.config]), "--update"])
    others = others_of(config, baseline_file, update) if request.update else {}
    with advising(OF_CHECKS), _sides(config, request, notify) as (sides, commit):
        costs = _count(config, file, sides, notify)
        for entry in config.checks:
            for limit in entry.limits:
                need_layers(limit, costs.mine[entry.name], file)
        baseline = new_baseline(config, costs.mine) if request.update else None
        if request.against is None:
            bases = approved(config, costs.mine, baseline, baseline_file, update)
            costs = costs._replace(bases=bases)
        judge = _Judge(request, file, costs, sides, notify, _comparisons(config))
        limits = tuple(judge.all(config))
    if not request.update and all(limit.outcome == "skipped" for limit in limits):
        reasons = "; ".join(dict.fromkeys(limit.reason for limit in limits))
        raise ConvcostError(f"{file}: nothing was checked: {reasons}")
    report = Report(
        kind="check",
        source=file,
        input=(),
        environment={
            **environment(Settings(), None),
            "started": started,
            "against": request.against,
            "base": commit,
        },
        rows=tuple(_row(check, costs) for check in config.checks),
        limits=limits,
        findings=tuple(findings_of(limits, update if request.against is None else "")),
        notices=(*costs.notices, *_skipped(limits), *_stays(others)),
    )
    return Checked(report, baseline and {**others, **baseline}, baseline_file)


def _without_off(config: Checks) -> Checks:
    return config._replace(
        checks=tuple(
            check._replace(limits=tuple(limit for limit in check.limits if limit.level != "off"))
            for check in config.checks
        )
    )


@contextmanager
def _sides(
    config: Checks, request: CheckRequest, notify: Notify
) -> Iterator[tuple[Sides, str | None]]:
    """The processes that count and run, and the commit that the base is at."""
    if request.against is None:
        side = Side("", config.folder, tree_of(config.folder))
        with opened(side, None, request.time_limit) as sides:
            yield sides, None
        return
    root = find_repository(config.folder)
    commit = find_revision(root, request.against)
    notify(f"checking out {request.against}", None)
    with checked_out(root, commit) as tree:
        inside = tree / config.folder.resolve().relative_to(root)
        base = Side(f"at {request.against}", inside, tree, root, python_packages(tree))
        head = Side("", config.folder, root, tree, python_packages(root))
        with opened(head, base, request.time_limit) as sides:
            yield sides, commit


def _count(config: Checks, file: str, sides: Sides, notify: Notify) -> _Costs:
    """The costs of all checks.

    Raises:
        ConvcostError: some can't be counted; tells all of them, with their lines.
    """
    counted: dict[str, tuple[Report, Report | None]] = {}
    failed: dict[str, ConvcostError] = {}
    for number, check in enumerate(config.checks):
        notify(f"counting, {check.name}", number / len(config.checks))
        try:
            counted[check.name] = sides.count(check.source, check.inputs)
        except ConvcostError as error:
            failed[f"{file}:{check.line}: {check.name}"] = error
            # what the other side still has to say belongs to no other check
            sides.start()
    if failed:
        said = (f"{place}: {error.message}" for place, error in failed.items())
        hints = dict.fromkeys(error.hint for error in failed.values() if error.hint)
        raise ConvcostError("\n".join(said), "; ".join(hints))
    return _Costs(
        {name: sizes_of(report) for name, (report, _) in counted.items()},
        {name: sizes_of(base) for name, (_, base) in counted.items() if base is not None},
        [
            f"{name}: {reworded(notice, OF_CHECKS)}"
            for name, (report, _) in counted.items()
            for notice in report.notices
        ],
    )


def _comparisons(config: Checks) -> int:
    limits = (limit for check in config.checks for limit in check.limits)
    return sum(is_timed(limit) and is_relative(limit) for limit in limits)


class _Judge(NamedTuple):
    """What it takes to judge any limit."""

    request: CheckRequest
    file: str
    costs: _Costs
    sides: Sides
    notify: Notify
    comparisons: int

    def all(self, config: Checks) -> Iterator[Judged]:
        for check in config.checks:
            for limit in check.limits:
                yield from self._one(check, limit)

    def _one(self, check: Check, limit: Limit) -> Iterator[Judged]:
        mine, base = self.costs.mine[check.name], self.costs.bases.get(check.name)
        if is_exact(limit):
            yield from judge_exact(check, limit, mine, base, self.file)
        elif is_timed(limit) and (reason := self._why_skipped(limit)):
            yield judged(check, limit, self.file, "skipped", reason=reason)
        elif is_timed(limit) and is_relative(limit) and base is None:
            yield judged(check, limit, self.file, "new", reason="new: the base has none")
        else:
            clockwork = Clockwork(self.sides, self.request.seconds, self.comparisons, self.notify)
            yield judge_timed(check, limit, self.file, clockwork)

    def _why_skipped(self, limit: Limit) -> str:
        if self.request.exact:
            return "--exact leaves out what is timed"
        if self.request.update:
            return "a baseline holds no times"
        if is_relative(limit) and self.request.against is None:
            return "a latency is compared only on one machine: give --against REV"
        return ""


def _row(check: Check, costs: _Costs) -> Row:
    base: Mapping[str, Value] = {}
    if check.name in costs.bases:
        base = costs.bases[check.name].totals
    mine = costs.mine[check.name].totals
    return Row(check.name, "standard", "check", check.source, (), mine, base=base)


def _skipped(limits: Sequence[Judged]) -> Iterator[str]:
    """One notice for each reason, with how many limits it left out."""
    reasons: dict[str, list[str]] = {}
    for limit in limits:
        if limit.outcome == "skipped":
            reasons.setdefault(limit.reason, []).append(f"{limit.name}: {limit.metric}")
    for reason, names in reasons.items():
        yield f"skipped {', '.join(names)}: {reason}"


def _stays(others: Baseline) -> Iterator[str]:
    """What an update leaves as it is: it may be a renamed check's, or another configuration's."""
    if others:
        names = ", ".join(map(printable, others))
        yield f"{BASELINE} keeps {names} of other configurations: delete what none has"


def _shown(path: Path) -> str:
    """A file as forges name it: from the root of its repository; else from where one is."""
    absolute = path.absolute()
    for folder in absolute.parents:
        if (folder / ".git").exists():
            return printable(absolute.relative_to(folder).as_posix())
    here = Path.cwd()
    shown = absolute.relative_to(here) if absolute.is_relative_to(here) else path
    return printable(shown.as_posix())
