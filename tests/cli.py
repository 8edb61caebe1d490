"""Runs the command line as a process, as a user does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len

from convcost.cli import run as run_command_line

COMMAND = (sys.executable, "-m", "convcost")
_OF_THE_CALLER = (
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "FORCE_COLOR",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
    "GITHUB_ACTIONS",
    "PYTHONUNBUFFERED",  # Python then takes a half-written pipe for a whole one
)


class Ran(NamedTuple):
    """How a process ended and what it said."""

    code: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without what would change widths and colours, and ``extra``."""
    kept = {key: value for key, value in os.environ.items() if key not in _OF_THE_CALLER}
    return {**kept, **(extra or {})}


def convcost(
    *arguments: str | Path,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> Ran:
    """Runs ``convcost`` with pipes for streams, in ``folder``."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        timeout=timeout,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def fine(*arguments: str | Path, folder: Path | None = None) -> str:
    """What a run that must succeed in silence puts on standard output."""
    ran = convcost(*arguments, folder=folder)
    assert ran.code == 0, ran.err
    assert ran.err == ""
    return ran.out


def refused(*arguments: str | Path, folder: Path | None = None, timeout: float = 60) -> str:
    """The one clear message of a run that must be refused: everything a refusal has to keep."""
    ran = convcost(*arguments, folder=folder, timeout=timeout)
    assert_refusal(ran)
    return ran.err


def refused_at_once(*arguments: str, folder: Path, timeout: float = 20) -> str:
    """As ``refused``, in a process forked from one that has imported everything: many a second."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", *_IMPORTED])
    process = context.Process(target=_run_here, args=(arguments, str(folder)))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"convcost {arguments} runs for more than {timeout} s")
    out, err = ((folder / name).read_text(encoding="utf-8") for name in _STREAMS)
    assert_refusal(Ran(process.exitcode, out, err))
    return err


_STREAMS = (".out", ".err")
_IMPORTED = ("cli", "convcost.workflows.compare", "convcost.sources.saved", "convcost.cli.streams")


def _run_here(arguments: Sequence[str], folder: str) -> None:
    os.chdir(folder)
    for number, name in enumerate(_STREAMS, 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["convcost", *arguments]
    sys.exit(run_command_line())


def assert_refusal(ran: Ran) -> None:
    """Exit code 2, no data, one message for a user, and nothing that steers a terminal."""
    assert ran.code == 2, ran
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert ran.err.count("error: ") == 1
    assert_no_fault(ran)
    assert is_printable(ran.err)


def assert_no_fault(ran: Ran) -> None:
    """Neither a traceback nor an error that is convcost's own."""
    assert "Traceback" not in ran.err
    assert "internal error" not in ran.err


def widest(text: str) -> int:
    """Columns of the widest line."""
    return max(cell_len(line) for line in text.splitlines())


def is_printable(text: str) -> bool:
    """Whether a text holds nothing but printable characters and line ends."""
    return all(char.isprintable() or char == "\n" for char in text)


def interrupted(seen: bytes, arguments: Sequence[str | Path], folder: Path) -> Ran:
    """Runs with a terminal for standard error; Ctrl-C as soon as ``seen`` stands there."""
    return in_terminal(*arguments, folder=folder, interrupt_at=seen)


def in_terminal(
    *arguments: str | Path,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    interrupt_at: bytes | None = None,
) -> Ran:
    """Runs with a terminal for standard error, and Ctrl-C where something is to stand there."""
    import pty  # noqa: PLC0415  not every system has terminals like these

    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        env=environment({"COLUMNS": "120", **(env or {})}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = b""
        if interrupt_at is not None:
            said = _read(terminal, interrupt_at)
            process.send_signal(signal.SIGINT)
        said += _read(terminal, None)
        out, _ = process.communicate(timeout=60)
    os.close(terminal)
    return Ran(process.returncode, out.decode(), said.decode())


def _read(terminal: int, until: bytes | None) -> bytes:
    said = b""
    while until is None or until not in said:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not piece:
            break
        said += piece
    return said
