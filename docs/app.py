"""All commands as one object, for ``typer docs/app.py utils docs``."""

from convcost.cli import build_app

app = build_app([])
