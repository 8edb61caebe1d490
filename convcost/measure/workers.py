"""Processes with their own imports, driven over pipes: one for each side of a comparison.

A worker answers one request at a time and waits in between, so that two of them can be timed block
by block. It is alone in its session, so Ctrl-C reaches only its owner, who ends it; and it ends by
itself when its owner is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from convcost.errors import ConvcostError, MissingError
from convcost.measure.rounds import Spent

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from convcost.workflows.worker import main; "
    "del sys.path[0]; main(sys.argv[2])"
)
_ENVIRONMENT = {
    # no cache of byte code is left in anyone's tree
    "PYTHONDONTWRITEBYTECODE": "1",
    # glibc keeps what is freed: whether it would give activations back to the system at each call,
    # and fault their pages in again, hangs on a process's history and doubles a model's time
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
}
_PACKAGE_FOLDER = str(Path(__file__).parents[2])


class Side(NamedTuple):
    """Where one side's code is: ``root`` is its tree, sources' paths start from ``folder``.

    ``name`` is what errors call it; ``other`` is the tree whose code must not stand in for its
    own, and ``packages`` the top-level packages that its own tree has.
    """

    name: str
    folder: Path
    root: Path
    other: Path | None = None
    packages: Sequence[str] = ()


class Worker:
    """A process that works for one side; ``limit`` are the seconds that it may take in all."""

    def __init__(self, side: Side, limit: float) -> None:
        self.side = side
        self._limit = limit
        self._left = limit
        self._doing = "starting"
        self._pipe, theirs = Pipe()
        alive, self._alive = os.pipe()
        settings = {
            "pipe": theirs.fileno(),
            "alive": alive,
            "folder": str(side.folder),
            "root": str(side.root),
            "other": str(side.other) if side.other else None,
            "packages": list(side.packages),
        }
        self._process = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-P", "-c", _PROGRAM, _PACKAGE_FOLDER, json.dumps(settings)],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a model prints is no data of ours
            cwd=side.folder,
            env={**os.environ, **_ENVIRONMENT},
            pass_fds=(theirs.fileno(), alive),
            start_new_session=True,
        )
        theirs.close()
        os.close(alive)

    def send(self, do: str, about: str, **arguments: object) -> None:
        """Asks for something; ``about`` names it in errors."""
        self._doing = about
        # one that is gone tells so when its answer is read
        with contextlib.suppress(OSError):
            self._pipe.send_bytes(json.dumps({"do": do, **arguments}).encode())

    def receive(self) -> Any:
        """The answer to what was asked.

        Raises:
            MissingError: what the source names isn't there.
            ConvcostError: the answer is an error, the process ended, or its time is up.
        """
        start = time.monotonic()
        there = self._pipe.poll(max(0.0, self._left))
        self._left -= time.monotonic() - start
        if not there:
            self.close()
            raise self._error(
                f"{self._doing}: not ready after {self._limit:g} s", "give it more --time-limit"
            )
        try:
            answer = json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise self._error(
                f"{self._doing}: the process that ran it ended {self._how_it_ended()}",
                "run it alone to see why: python -c ... or convcost profile SOURCE",
            ) from None
        if "error" in answer:
            raise self._told(answer["error"])
        return answer["result"]

    def ask(self, do: str, about: str, **arguments: object) -> Any:
        """Asks and waits for the answer; raises as ``receive`` does."""
        self.send(do, about, **arguments)
        return self.receive()

    @property
    def tasks(self) -> Path:
        """The folder of its threads (Linux)."""
        return Path(f"/proc/{self._process.pid}/task")

    def close(self) -> None:
        """Ends the process and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._pipe.close()
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "its pipe"
        return f"with signal {-code}" if code < 0 else f"with exit code {code}"

    def _error(self, message: str, hint: str) -> ConvcostError:
        return ConvcostError(self._named(message), hint)

    def _told(self, error: Mapping[str, Any]) -> ConvcostError:
        kind = MissingError if error["missing"] else ConvcostError
        return kind(self._named(error["message"]), error["hint"])

    def _named(self, message: str) -> str:
        return f"{self.side.name}: {message}" if self.side.name else message


class Remote:
    """A call that a worker makes: what ``run_rounds`` takes for a candidate."""

    def __init__(self, worker: Worker, key: str) -> None:
        self._worker = worker
        self._key = key

    def __call__(self) -> None:
        """One call."""
        self.block(1)

    def block(self, times: int) -> float:
        """The seconds of the fastest of ``times`` calls or more, by the worker's own clock."""
        answer = self._worker.ask("block", self._key, key=self._key, times=times)
        return float(answer)


class RemoteClock:
    """The clock of calls in workers: neither the pipe nor the wait for it is in a block."""

    now = staticmethod(time.perf_counter)

    def block(self, call: object, times: int) -> Spent:
        """How long a call takes: the fastest of ``times`` or more stands for all."""
        if not isinstance(call, Remote):
            raise TypeError(f"{call!r} is no call of a worker")
        fastest = call.block(times)
        return Spent(fastest, fastest)


def connect(pipe: int) -> Connection:
    """The worker's end of its pipe; what it starts doesn't inherit it."""
    os.set_inheritable(pipe, False)  # noqa: FBT003  Python's own way
    return Connection(pipe)
