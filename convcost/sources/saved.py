"""Saved reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from convcost.errors import ConvcostError, show_value
from convcost.report import Report
from convcost.sources.saved_checks import data_mistakes, report_mistakes

_VERSION = 1
_HINT = "save one with --output FILE.json"


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
    if not isinstance(data, dict) or "schema_version" not in data:
        raise ConvcostError(f"{path}: not a convcost report", _HINT)
    version = data["schema_version"]
    if isinstance(version, bool) or version != _VERSION:
        raise ConvcostError(
            f"{path}: schema_version {show_value(version)}, this convcost reads {_VERSION}",
            "use the convcost that saved it, or a newer one",
        )
    for mistake in data_mistakes(data):
        raise _invalid(path, mistake)
    try:
        report = report_adapter().validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise _invalid(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for mistake in report_mistakes(report):
        raise _invalid(path, mistake)
    return report


def _invalid(path: str, mistake: str) -> ConvcostError:
    return ConvcostError(f"{path}: not a valid report: {mistake}", _HINT)


def report_adapter() -> TypeAdapter[Report]:
    """What reads reports, and knows their JSON Schema."""
    return TypeAdapter(Report)
