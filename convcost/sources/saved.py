"""Saved reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from convcost.errors import ConvcostError, show_value
from convcost.report import EffectiveField, Finding, Limit, Report, Row, Seen, Selection, Value
from convcost.sources.json_file import load_json
from convcost.sources.saved_checks import data_mistakes, report_mistakes

_VERSION = 1
_KINDS = (Value, Row, Finding, Limit, Seen, EffectiveField, Selection, Report)
_HINT = "save one with --output FILE.json"


def load_report(path: str) -> Report:
    """A report from its JSON.

    Raises:
        ConvcostError: it can't be read, or isn't a report of this version.
    """
    return _report(path, load_json(Path(path)))


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
    text = json.dumps(data)
    try:
        report_form().model_validate_json(text, strict=True)
        found = report_adapter().validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise _invalid(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for mistake in report_mistakes(found):
        raise _invalid(path, mistake)
    return found


def _invalid(path: str, mistake: str) -> ConvcostError:
    return ConvcostError(f"{path}: not a valid report: {mistake}", _HINT)


def report_adapter() -> TypeAdapter[Report]:
    """What reads reports that have their form."""
    return TypeAdapter(Report)


def report_form() -> type[BaseModel]:
    """A report as mappings: pydantic takes named tuples from lists too, which no report has."""
    forms: dict[Any, Any] = {}
    for kind in _KINDS:
        fields: dict[str, Any] = {
            key: (_in_forms(hint, forms), kind._field_defaults.get(key, ...))
            for key, hint in get_type_hints(kind).items()
        }
        config = ConfigDict(extra="forbid")
        forms[kind] = create_model(kind.__name__, __config__=config, __doc__=kind.__doc__, **fields)
    form: type[BaseModel] = forms[Report]
    return form


def _in_forms(hint: Any, forms: Mapping[Any, Any]) -> Any:
    """A type with the forms in the place of the named tuples in it."""
    if get_origin(hint) is Literal:
        return hint
    parts = tuple(_in_forms(part, forms) for part in get_args(hint))
    if isinstance(hint, UnionType):
        return reduce(or_, parts)
    return get_origin(hint)[parts] if parts else forms.get(hint, hint)
