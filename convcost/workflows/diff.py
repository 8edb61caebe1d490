"""What changed between two states of a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from convcost.errors import ConvcostError, printable
from convcost.measure.settings import TIME_LIMIT, Settings
from convcost.measure.workers import Side
from convcost.notify import Notify, silently
from convcost.ops import Shape, format_shape
from convcost.report import METRICS, Report, Row, Value
from convcost.sources.revisions import (
    checked_out,
    find_repository,
    find_revision,
    python_packages,
    tree_of,
)
from convcost.sources.saved import load_report
from convcost.sources.source import FILES, NO_INPUT, ends_in, is_guess
from convcost.units import format_settings
from convcost.workflows.advice import OF_DIFFS, advising, with_notices
from convcost.workflows.count import as_it_stands
from convcost.workflows.environment import environment
from convcost.workflows.in_place import BETWEEN
from convcost.workflows.sides import opened


class _State(NamedTuple):
    """One side: its layers by name, and the whole."""

    report: Report
    rows: Mapping[str, Row]
    totals: Mapping[str, Value]


def diff(base: str, head: str, notify: Notify = silently) -> Report:
    """The layers that changed, came or went, and the totals of both sides.

    Raises:
        ConvcostError: a side can't be loaded, or has nothing to compare.
    """
    reports = _as_saved({text: _report(text, notify) for text in (base, head)})
    kinds = {report.kind for report in reports.values()}
    before, after = (_state(text, reports[text], alone=len(kinds) > 1) for text in (base, head))
    totals = {key: before.totals[key] for key in METRICS if key in before.totals}
    return Report(
        kind="diff",
        source=printable(f"{base} → {head}"),
        input=after.report.input,
        environment={
            **environment(Settings(), None),
            "dtype": after.report.environment.get("dtype", Settings().dtype),
        },
        rows=tuple(_changes(before.rows, after.rows)),
        totals={key: after.totals[key] for key in METRICS if key in after.totals},
        base_totals=totals,
        notices=tuple(_notices(before.report, after.report)),
    )


def _as_saved(reports: Mapping[str, Report]) -> Mapping[str, Report]:
    """``reports`` with what a saved one was given in the place of inputs that are guessed."""
    given = [r.input for text, r in reports.items() if _is_saved(text) and not _is_guess(r)]
    return {
        text: _counted_as_saved(text, given[0])
        if given and _is_guess(report) and not _is_saved(text)
        else report
        for text, report in reports.items()
    }


def _counted_as_saved(text: str, inputs: Sequence[Shape]) -> Report:
    notice = f"{NO_INPUT}: {_shown(inputs)} of the saved report is assumed"
    report = _counted(text, inputs)
    return report._replace(notices=(notice, *report.notices))


def _is_guess(report: Report) -> bool:
    return any(map(is_guess, report.notices))


def _notices(before: Report, after: Report) -> Iterator[str]:
    if before.input != after.input:
        yield f"the inputs differ: {_shown(before.input)} and {_shown(after.input)}"
    yield from dict.fromkeys((*before.notices, *after.notices))


def _shown(inputs: Sequence[Shape]) -> str:
    return ", ".join(map(format_shape, inputs)) or "none"


def _is_saved(text: str) -> bool:
    return ends_in(text, ".json")


def _report(text: str, notify: Notify) -> Report:
    notify(f"loading {text}", None)
    report = load_report(text) if _is_saved(text) else _counted(text)
    if report.kind not in ("profile", "compare"):
        raise ConvcostError(
            f"{text}: a report of {report.kind} has no layers to compare",
            "save one with convcost profile or compare --per-layer",
        )
    if report.selection is not None and len(report.rows) < report.selection.rows:
        few = f"{len(report.rows)} of {report.selection.rows} rows"
        raise ConvcostError(f"{text}: has only {few}", "save one without --top and --filter")
    return report


def _state(text: str, report: Report, *, alone: bool) -> _State:
    """A side's layers; ``alone`` where the other one has no variants."""
    if alone and report.kind == "compare":
        if not report.layers:
            raise ConvcostError(
                f"{text}: a comparison of variants has no layers to compare with the other side's",
                "save one with convcost compare --per-layer, or with profile",
            )
        report = as_it_stands(report)
    rows = (*report.rows, *report.layers) if report.kind == "compare" else report.rows
    layers = {_name(row): row for row in rows if row.name != BETWEEN}
    return _State(report, layers, report.totals or report.rows[0].values)


def _name(row: Row) -> str:
    told = [row.variant] if row.variant != "standard" else []
    told += format_settings(row.settings)
    return f"{row.name} ({', '.join(told)})" if told else row.name


def _counted(text: str, inputs: Sequence[Shape] = ()) -> Report:
    """The exact costs of a source, here or at a revision, on ``inputs`` where there are some."""
    revision, source = _split(text)
    with advising(OF_DIFFS), _side(revision) as side, opened(side, None, TIME_LIMIT) as sides:
        report = sides.count(source, inputs)[0]
    return with_notices(report, OF_DIFFS)


def _split(text: str) -> tuple[str, str]:
    """The revision, or '', and the source: ``main:model.py``, but ``model.py:attr`` has none."""
    head, colon, rest = text.partition(":")
    is_source = ends_in(rest, FILES) or ":" in rest
    if colon and is_source and not ends_in(head, FILES):
        return head, rest
    return "", text


@contextmanager
def _side(revision: str) -> Iterator[Side]:
    here = Path.cwd()
    if not revision:
        yield Side("", here, tree_of(here))
        return
    root = find_repository(here)
    with checked_out(root, find_revision(root, revision)) as tree:
        folder = tree / here.resolve().relative_to(root)
        if not folder.is_dir():
            raise ConvcostError(f"{revision}: has no folder {folder.relative_to(tree)}")
        yield Side(f"at {revision}", folder, tree, root, python_packages(tree))


def _changes(before: Mapping[str, Row], after: Mapping[str, Row]) -> Iterator[Row]:
    """In the head's order, each removed layer where it stood."""
    waiting = list(before)
    for name, row in after.items():
        if name in before:
            while waiting and waiting[0] != name and waiting[0] not in after:
                yield _removed(before[waiting.pop(0)])
            if name in waiting:
                waiting.remove(name)
            if _differ(before[name].values, row.values):
                yield _changed(row, before[name].values, row.values)
        else:
            yield _changed(row, {}, row.values)
    yield from (_removed(before[name]) for name in waiting if name not in after)


def _differ(before: Mapping[str, Value], after: Mapping[str, Value]) -> bool:
    """Whether a value that both have changed; times are never the same twice."""
    both = ((before[key], after[key]) for key in before.keys() & after.keys())
    known = ((old, new) for old, new in both if "measured" not in (old.status, new.status))
    return any((old.status, old.value) != (new.status, new.value) for old, new in known)


def _removed(row: Row) -> Row:
    return _changed(row, row.values, {})


def _changed(row: Row, base: Mapping[str, Value], values: Mapping[str, Value]) -> Row:
    shape = row.output_shape
    return Row(_name(row), row.variant, row.op, row.module, shape, values, base=base)
