"""``convcost schema``."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Literal

import typer


def command(
    *,
    kind: Annotated[Literal["spec", "report", "check"], typer.Argument(help="Which schema.")],
) -> None:
    """The JSON Schema of layer specs, reports or checks, for editors and other programs.

    $ convcost schema spec > spec.schema.json

    $ convcost schema report
    """
    from convcost.workflows.schemas import SCHEMAS

    sys.stdout.write(json.dumps(SCHEMAS[kind](), indent=2) + "\n")
