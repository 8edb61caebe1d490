"""The command line: the only place that knows streams, colours and exit codes."""

# isort: off
from convcost.cli.start import hand_over  # for what it does before anything else is imported
# isort: on

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import wraps
from importlib import import_module
from typing import Annotated, get_args

import typer
from typer.models import ArgumentInfo

from convcost.cli.files import protect
from convcost.cli.interrupts import was_interrupted, watch
from convcost.cli.options import Quiet
from convcost.cli.standard_output import abandon_output, open_streams
from convcost.cli.streams import be_quiet, print_error
from convcost.errors import ConvcostError

STOPPED = 2
"""Anything that stopped the work: bad usage, bad input, Ctrl-C, a closed pipe."""
_TYPERS_CTRL_C = 130
_MOST_DIGITS = 6
"""Of a terminal's width: Python refuses to read very long numbers."""

COMMANDS = (
    "compare",
    "show",
    "profile",
    "rewrite",
    "suggest",
    "crossover",
    "check",
    "init",
    "diff",
    "machine",
    "render",
    "schema",
)
"""Each is a module of this package with a function ``command``."""


def _show_version(wanted: bool) -> None:  # noqa: FBT001  typer calls it so
    if wanted:
        from convcost._version import __version__

        print(f"convcost {__version__}")  # noqa: T201  a command's data
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The command that the arguments name, or all of them: each costs time to take in."""
    # completion is asked for without a command
    named = _named(arguments)
    app = typer.Typer(
        name="convcost",
        add_completion=not named,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="What convolutions cost: receptive field, parameters, multiplications and measured "
        "latency of standard, atrous and separable convolutions, side by side.",
    )
    app.callback()(_root)
    for name in named or COMMANDS:
        app.command(name)(_with_quiet(import_module(f"convcost.cli.{name}").command))
    return app


def _named(arguments: Sequence[str]) -> Sequence[str]:
    """The command that the arguments name, if any."""
    return arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else ()


def _with_quiet(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """``command`` with the one option that all of them have, and what it reads protected."""

    @wraps(command)
    def run(*, quiet: bool, **options: object) -> int | None:
        if quiet:
            be_quiet()
        protect({label: options[name] for name, label in arguments.items()})
        return command(**options)

    signature = inspect.signature(command, eval_str=True)
    arguments = dict(_arguments(signature))
    kind = inspect.Parameter.KEYWORD_ONLY
    option = inspect.Parameter("quiet", kind, default=False, annotation=Quiet)
    parameters = [*signature.parameters.values(), option]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _arguments(signature: inspect.Signature) -> Iterator[tuple[str, str]]:
    """The parameters that aren't options, each with its name in the help."""
    for name, parameter in signature.parameters.items():
        for info in get_args(parameter.annotation):
            if isinstance(info, ArgumentInfo):
                yield name, str(info.metavar or name.upper())


def main() -> None:
    """Runs the command line and ends the process."""
    code = run()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # all is written: taking a hundred modules apart would cost an eighth of a short command
    os._exit(code)


def run() -> int:
    """Runs the command line; every way to end becomes an exit code here."""
    watch()
    _forget_senseless_width()
    code = _run()
    if code == STOPPED:
        abandon_output()
    return code


def _forget_senseless_width() -> None:
    columns = os.environ.get("COLUMNS", "")
    if not columns.isdecimal() or len(columns) > _MOST_DIGITS or not int(columns):
        os.environ.pop("COLUMNS", None)


def _run() -> int:
    try:
        open_streams()
        code = build_app(sys.argv[1:])(standalone_mode=False)
        sys.stdout.flush()
    except ConvcostError as error:
        print_error(error.message, error.hint)
        return STOPPED
    except typer.TyperException as error:
        _print_usage_error(error)
        return STOPPED
    except KeyboardInterrupt:
        # while the command was imported, before typer could answer it
        code = _TYPERS_CTRL_C
    except (BrokenPipeError, SystemExit) as end:
        # the second is typer's answer to the first, and how it ends completion
        return 0 if isinstance(end, SystemExit) and not end.code else STOPPED
    except Exception as error:  # noqa: BLE001  a traceback is not an answer to a user
        _print_fault(error)
        return STOPPED
    if code == _TYPERS_CTRL_C or (was_interrupted() and not code):
        print_error("interrupted", "")
        return STOPPED
    return code or 0


def _print_usage_error(error: typer.TyperException) -> None:
    """What is wrong with the arguments; with none at all, the help is what was told."""
    context = getattr(error, "ctx", None)
    # an option without its value is told before there is a context
    command = context.command_path if context else " ".join(("convcost", *_named(sys.argv[1:])))
    # pydantic, which reads the values, puts its kind of error before typer's sentence
    message = " ".join(error.format_message().split())
    if message := message.replace(": Value error, ", ": "):
        print_error(message, f"see {command} --help")


def _print_fault(error: Exception) -> None:
    """An error that is convcost's own, unless it is what Ctrl-C left of something else."""
    if was_interrupted():
        print_error("interrupted", "")
    else:
        print_error(_internal(error), "please report this, with the command that you ran")


def _internal(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "convcost"
    return f"internal error: {type(error).__name__}: {error} ({place})"


hand_over()
