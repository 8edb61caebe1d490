"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Writes the whole file or nothing: a new file takes the old one's place when complete.

    A link stays, and what it points at is replaced.

    Raises:
        OSError: it can't be written.
    """
    if path.exists() and not path.is_file():
        # a device or a named pipe is written to, never replaced
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path))
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".convcost.", delete=False) as new:
        try:
            new.write(content)
            new.flush()
            Path(new.name).chmod(_mode(path))
            Path(new.name).replace(path)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise


def _mode(path: Path) -> int:
    """The permissions that a file has, or those of a new one."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
