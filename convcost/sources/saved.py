"""Saved reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from convcost.errors import ConvcostError
from convcost.report import Report

_VERSION = 1


def load_report(path: str) -> Report:
    """A report from its JSON.

    Raises:
        ConvcostError: it can't be read, or isn't a report of this version.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConvcostError(f"{path}: no such file") from None
    except OSError as error:
        raise ConvcostError(f"{path}: can't be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ConvcostError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise ConvcostError(f"{path}: not a JSON text file") from None
    return _report(path, data)


def _report(path: str, data: Any) -> Report:
    hint = "save one with --output FILE.json"
    if not isinstance(data, dict) or "schema_version" not in data:
        raise ConvcostError(f"{path}: not a convcost report", hint)
    if data["schema_version"] != _VERSION:
        raise ConvcostError(
            f"{path}: schema_version {data['schema_version']!r}, this convcost reads {_VERSION}",
            "use the convcost that saved it, or a newer one",
        )
    try:
        return report_adapter().validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConvcostError(f"{path}: not a valid report: {place}: {first['msg']}", hint) from None


def report_adapter() -> TypeAdapter[Report]:
    """What reads reports, and knows their JSON Schema."""
    return TypeAdapter(Report)
