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
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        try:
            new.write(content)
            new.flush()
            Path(new.name).chmod(0o666 & ~_umask())
            Path(new.name).replace(path)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
