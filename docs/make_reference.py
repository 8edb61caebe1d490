"""Makes docs/cli.md and docs/spec.md from the code; a test holds them against it.

python docs/make_reference.py
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from convcost.sources.kinds import KINDS
from convcost.variants import VARIANTS, option_defaults

DOCS = Path(__file__).parent
MADE = "<!-- made by docs/make_reference.py -->\n\n"

SPEC = """\
# Layer specs

A spec is a YAML file of at most 1 MB. Booleans and numbers are those of YAML 1.2 (`off` is a word,
`1e6` a number); unknown and duplicate keys are refused; all mistakes of a file are told at once,
each with its line. `convcost schema spec` prints its JSON Schema.

| key | is |
| --- | --- |
| `version` | 1 |
| `name` | the network's name; else the file's |
| `input` | channels, then one to three spatial axes; `--batch` puts the batch before them |
| `layers` | the layers, in order |
| `variants` | what `compare` compares; else all: {variants} |

A layer has exactly one kind, and may have:

| key | is |
| --- | --- |
| `name` | its name, for `inputs`, `--only` and `--keep`; else its kind and a number |
| `inputs` | the layers that it reads, by name (`input`: the network's); else the layer before it |
| `repeat` | how often it stands in a row; the copies are called `name.1`, `name.2`, … |

Settings mean what they mean in torch; `in_channels` and `in_features` are inferred. "Per axis" is
one number for all axes or a list with one per axis. `padding` is a number, one per axis, a
`[before, after]` pair per axis, `valid` (none) or `same` (output `ceil(n / stride)`, the odd extra
one after). `rate` is another name of `dilation`.

| kind | settings |
| --- | --- |
{kinds}

A variant is its name, or its name with options: `separable`, `{{atrous: {{rate: 2}}}}`,
`{{atrous: {{rate: [2, 4]}}}}` (per axis); at the prompt `--variant atrous:rate=2x4`.

| variant | options |
| --- | --- |
{options}
"""


def spec_page() -> str:
    """The page about layer specs."""
    options = (f"| `{name}` | {_options(option_defaults(name))} |" for name in VARIANTS)
    kinds = (f"| `{name}` | {', '.join(_settings(name)) or '–'} |" for name in KINDS)
    return MADE + SPEC.format(
        variants=", ".join(VARIANTS), kinds="\n".join(kinds), options="\n".join(options)
    )


def _settings(kind: str) -> Iterator[str]:
    for name, field in KINDS[kind].settings.model_fields.items():
        yield f"`{name}`{_default(field)}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return " (needed)"
    return "" if field.default is None else f" = {str(field.default).lower()}"


def _options(defaults: dict[str, object]) -> str:
    return ", ".join(f"`{name}` = {str(value).lower()}" for name, value in defaults.items()) or "–"


def cli_page() -> str:
    """The page about the commands."""
    command = [sys.executable, "-m", "typer", "convcost.cli", "utils", "docs", "--name", "convcost"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return MADE + made.stdout.rstrip() + "\n"


PAGES = {"cli.md": cli_page, "spec.md": spec_page}


def main() -> None:
    """Writes every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
