"""A model rewritten as one variant: the proof of it, and the program that runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, NamedTuple, get_args

from convcost.errors import ConvcostError, printable, show_value
from convcost.measure.settings import Settings
from convcost.notify import Notify, silently
from convcost.ops import Shape
from convcost.report import Finding, Report, Row
from convcost.variants import MODEL_VARIANTS, STANDARD, Variant
from convcost.variants.mixed import Mixed, choices, parse_mixed
from convcost.variants.rewrite import Choice, Init
from convcost.workflows.advice import OF_CODE, advising
from convcost.workflows.alternatives import (
    Alternative,
    alternative,
    as_it_stands,
    changed_layers,
    is_dense,
    output_shape,
    rewrite_model,
    summaries,
)
from convcost.workflows.compare_model import input_shapes, load, rewrite_notices
from convcost.workflows.environment import as_made, environment
from convcost.workflows.proof import proof_findings, prove

if TYPE_CHECKING:
    from torch import nn

    from convcost.measure.models import Placed
    from convcost.variants.program import Program


class RewriteRequest(NamedTuple):
    """What to rewrite, and how; ``export`` also makes the program that runs it."""

    source: str
    variant: Variant | Mixed
    arguments: Mapping[str, object] = {}
    inputs: tuple[Shape, ...] = ()
    choice: Choice = Choice()
    export: bool = False
    settings: Settings = Settings()


class Outcome(NamedTuple):
    """The report with its proof, and the content of the ``.pt2`` file where it was asked for."""

    report: Report
    program: bytes | None


def rewrite(request: RewriteRequest, notify: Notify = silently) -> Outcome:
    """The model that ``request.source`` names as a variant, with real weights.

    Raises:
        ConvcostError: it can't be loaded, rewritten or exported, or nothing in it is eligible.
    """
    loaded, graph, notices = load(request, notify, real=True)
    from convcost.measure.models import on_its_device  # noqa: PLC0415  torch

    with redirect_stdout(sys.stderr):
        placed = on_its_device(loaded.module, loaded.args, loaded.kwargs, request.settings)
        notify(f"rewriting as {request.variant}", None)
        before = as_it_stands(loaded, graph)
        after = alternative(loaded, graph, request.variant, request.choice, share=True)
        _need_something(after)
        notify("running both", None)
        rows = _rows(loaded.name, before, after, placed)
        program = _program(after, placed, notify) if request.export else None
    report = Report(
        kind="compare",
        source=printable(request.source),
        input=input_shapes(graph),
        environment=environment(as_made(request.settings, placed.module), None),
        rows=rows,
        layers=tuple(changed_layers(after, before)),
        findings=tuple(_findings(after, rows)),
        notices=(*notices, *rewrite_notices(after), *(program.notices if program else ())),
    )
    return Outcome(report, program and program.content)


def _need_something(after: Alternative) -> None:
    if after.name == str(STANDARD):
        raise ConvcostError("standard is the model as it stands", "rewrite it as another variant")
    rewritten = after.rewritten
    if rewritten is not None and rewritten.plan is None and not rewritten.layers:
        left = f"; left as they are: {', '.join(rewritten.left)}" if rewritten.left else ""
        raise ConvcostError(
            f"nothing to rewrite as {after.name}: of {rewritten.convolutions} convolutions none is "
            f"eligible{left}",
            "1×1 and depthwise convolutions stay as they are, and so does what --keep names",
        )


def _rows(name: str, before: Alternative, after: Alternative, placed: Placed) -> tuple[Row, ...]:
    old, new = summaries((before, after))
    if is_dense(after):
        new["largest_difference"] = prove(after, before, placed.args, placed.kwargs)
    return (
        Row(name, before.name, "network", "", output_shape(before), old),
        Row(name, after.name, "network", "", output_shape(after), new),
    )


def _findings(after: Alternative, rows: Sequence[Row]) -> Iterator[Finding]:
    if is_dense(after):
        yield from proof_findings(rows[1].name, after.name, rows[1].values, rows[0].values)


def _program(after: Alternative, placed: Placed, notify: Notify) -> Program:
    from convcost.variants.program import export_program  # noqa: PLC0415  torch

    notify("exporting", None)
    return export_program(after.module, placed.args, placed.kwargs)


def rewrite_given(
    model: nn.Module,
    variant: str,
    choice: Choice,
    input: object = None,  # noqa: A002  the option's name
) -> nn.Module:
    """A copy of a user's own module as ``variant``, to go on with.

    Raises:
        ConvcostError: there is no such variant, or the model can't be rewritten so.
    """
    from convcost.sources.model import from_module, unwrap  # noqa: PLC0415  torch
    from convcost.workflows.profile import traced  # noqa: PLC0415  the same

    if choice.init not in (starts := get_args(Init)):
        message = f"layers can't start as {show_value(choice.init)}"
        raise ConvcostError(message, f"init is one of {', '.join(starts)}")
    try:
        parsed = parse_mixed(variant, MODEL_VARIANTS)
    except ValueError as error:
        raise ConvcostError(str(error)) from None
    made = unwrap(model)
    with advising(OF_CODE):
        for step, chosen in choices(parsed, choice):
            graph = None
            if step.name == "dense":
                loaded = from_module(made, input)
                _, graph, _ = traced(loaded, loaded.name, None)
            made = rewrite_model(made, graph, step, chosen).module
    return made
