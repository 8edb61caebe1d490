"""``convcost machine``."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from convcost.cli.options import Device, Format, Output, Threads
from convcost.measure.settings import Dtype


def command(  # noqa: PLR0913  one parameter for each option
    *,
    device: Device = "cpu",
    dtype: Annotated[
        list[str] | None,
        typer.Option(metavar="|".join(get_args(Dtype)), help="Only this type. Repeatable."),
    ] = None,
    threads: Threads = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Measure again what is known from before.")
    ] = False,
    format: Format = "table",  # noqa: A002  the option's name
    output: Output = None,
) -> None:
    """This machine's ceilings: its multiply rate, its memory's bandwidth, its fastest call.

    What compare and profile hold their measurements against. Measured once for each setting, half
    a second each, and kept in the user's cache folder.

    $ convcost machine

    $ convcost machine --dtype float32 --threads 1 --refresh
    """
    from convcost.cli.streams import parse_copies, progress, show
    from convcost.workflows.machine import MachineRequest, machine

    copies = parse_copies(output or ())
    known = get_args(Dtype)
    for name in dtype or ():
        if name not in known:
            raise typer.BadParameter(
                f"{name!r} is none of {', '.join(known)}", param_hint="--dtype"
            )
    dtypes = tuple(dtype or known)
    with progress() as notify:
        report = machine(MachineRequest(device, dtypes, threads, refresh), notify)
    show(report, format, copies)
