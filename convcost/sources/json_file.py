"""JSON files as plain data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from convcost.errors import ConvcostError, MissingError


def load_json(path: Path, hint: str = "") -> Any:
    """The data of a file; ``hint`` says how to get a good one.

    Raises:
        MissingError: there is no such file.
        ConvcostError: it can't be read, or isn't JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file") from None
    except OSError as error:
        raise ConvcostError(f"{path}: can't be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        message = f"{path}:{error.lineno}: not valid JSON: {error.msg}"
        raise ConvcostError(message, hint) from None
    except (ValueError, RecursionError):
        raise ConvcostError(f"{path}: not a JSON text file", hint) from None
