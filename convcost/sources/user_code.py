"""Runs the user's own code: prints go to standard error, and errors are told as the user's."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import torch

from convcost.errors import ConvcostError

_PACKAGES = {
    "cv2": "opencv-python",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""What to install where the import has another name than the package."""

_NEVER_THE_USERS = (
    str(Path(__file__).parents[1]) + os.sep,
    str(Path(torch.__file__).parent) + os.sep,
    "<",
)
"""This package, torch, and what has no file, such as the import machinery."""

_INSTALLED = tuple({sysconfig.get_path(key) for key in ("purelib", "platlib")})
_STANDARD = tuple({sysconfig.get_path(key) for key in ("stdlib", "platstdlib")})


@contextlib.contextmanager
def user_code(source: str, doing: str) -> Iterator[None]:
    """Runs a block that calls the user's code; ``doing`` says what for.

    Raises:
        ConvcostError: the code raised or called ``sys.exit``; names the user's file and line.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr), torch.inference_mode(mode=False):
            yield
    except ConvcostError:
        raise
    except SystemExit as error:
        where = user_line(error.__traceback__) or source
        raise ConvcostError(
            f"{where}: calls sys.exit",
            'put what only a script should do under `if __name__ == "__main__":`',
        ) from error
    except Exception as error:  # whatever the user's code raises is told as the user's
        raise user_error(error, source, doing) from error


def user_error(error: Exception, source: str, doing: str) -> ConvcostError:
    """An exception of the user's code as one line: where, its type and its text."""
    where = user_line(error.__traceback__) or source
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        where = f"{shown(error.filename)}:{error.lineno or 1}"
        return ConvcostError(f"{where}: syntax error: {error.msg}")
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    return ConvcostError(f"{where}: {text}", _hint(error, doing))


def user_line(trace: TracebackType | None) -> str:
    """``file:line`` of the innermost frame of the user's; a library's if there is no other."""
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace)]
    frames = [frame for frame in frames if not frame[0].startswith(_NEVER_THE_USERS)]
    if not frames:
        return ""
    name, line = max(reversed(frames), key=lambda frame: _ownership(frame[0]))
    return f"{shown(name)}:{line}"


def _ownership(path: str) -> int:
    """How much a file is the user's own: 2, or 1 if it is installed, or 0 if it is Python's."""
    if path.startswith(_INSTALLED):  # before Python's own, which may lie around it
        return 1
    return 0 if path.startswith(_STANDARD) else 2


def shown(path: str) -> str:
    """A path as a user writes it: relative where the file is below the current folder."""
    relative = os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path
    return relative.replace(os.sep, "/")


def _hint(error: Exception, doing: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return install_hint(error.name)
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        return _package_hint(error)
    return f"raised {doing}"


def _package_hint(error: ImportError) -> str:
    """How to name a module that was loaded as one of no package."""
    frames = [Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(error.__traceback__)]
    file = next(file for file in reversed(frames) if file.is_file())
    name = f"{file.parent.name}.{file.stem}"
    if (file.parent / "__init__.py").is_file():
        return f"{file.name} was imported by itself: import it from its package, as {name}"
    return (
        f"{file.parent.name} has no __init__.py, so the file is in no package: add one, or name "
        f"the module, as in {name}:NAME, in the folder that holds {file.parent.name}"
    )


def install_hint(name: str) -> str:
    """What to do about a module that can't be found."""
    package = name.partition(".")[0]
    if package in sys.modules or importlib.util.find_spec(package) is not None:
        return f"{package} is there, but has no {name}: is the name, or its version, right?"
    if package in _PACKAGES:
        return f"pip install {_PACKAGES[package]}"
    # a stranger's package may have the name of a user's own
    return (
        f"install the package that has {package}, or run in the folder that has it or whose src/ "
        "has it"
    )
