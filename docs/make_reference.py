"""Makes docs/cli.md, docs/spec.md and docs/python.md from the code; a test holds them against it.

python docs/make_reference.py
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import convcost
from convcost.sources.kinds import KINDS
from convcost.variants import VARIANTS, option_defaults
from convcost.workflows.schemas import SCHEMAS

DOCS = Path(__file__).parent
Schema = dict[str, Any]
MADE = "<!-- made by docs/make_reference.py -->\n\n"

SPEC = """\
# Layer specs

A spec is a YAML file of at most 1 MB. Booleans and numbers are those of YAML 1.2 (`off` is a word,
`1e6` a number); unknown and duplicate keys are refused; all mistakes of a file are told at once,
each with its line, but for shapes: what a layer makes of one that doesn't fit is told when that one
fits. `convcost schema spec` prints its JSON Schema.

| key | is |
| --- | --- |
| `version` | 1 |
| `name` | the network's name; else the file's |
| `input` | channels, then one to three spatial axes; `--batch` puts the batch before them |
| `layers` | the layers, in order |
| `variants` | what `compare` compares; else all: {variants} |

## Layers

A layer has exactly one kind, and may have:

| key | is |
| --- | --- |
| `name` | its name, for `inputs`, `--only` and `--keep`; else its kind and a number |
| `inputs` | the layers that it reads, by name (`input`: the network's); else the layer before it |
| `repeat` | how often it stands in a row: as `name.1`, `name.2`, …; `name` is the last one |

Settings mean what they mean in torch; `in_channels` and `in_features` are inferred. "Per axis" is
one number for all axes or a list with one per axis. `padding` is a number, one per axis, a
`[before, after]` pair per axis, `valid` (none) or `same` (output `ceil(n / stride)`, the odd extra
one after). `rate` is another name of `dilation`.

{kinds}

## Variants

A variant is its name, or its name with options: `separable`, `{{atrous: {{rate: 2}}}}`,
`{{atrous: {{rate: [2, 4]}}}}` (per axis); at the prompt `--variant atrous:rate=2x4`.
`dense:output_stride=n` and mixes (`separable@conv4_*+dense:output_stride=8`) are for the prompt
alone.

| variant | options |
| --- | --- |
{options}

# Configurations of checks

`convcost check` reads `convcost.yaml`; [Cost checks in CI](ci.md) tells what the keys do, and
`convcost schema check` prints the JSON Schema. A limit has at least one bound, and may have a
`level`.

| metric | keys of a limit | of layers too |
| --- | --- | --- |
{limits}
"""


def spec_page() -> str:
    """The page about YAML, from the schemas that editors get."""
    options = (f"| `{name}` | {_options(option_defaults(name))} |" for name in VARIANTS)
    return MADE + SPEC.format(
        variants=", ".join(VARIANTS),
        kinds="\n\n".join(_kinds(SCHEMAS["spec"]())),
        options="\n".join(options),
        limits="\n".join(_limits(SCHEMAS["check"]())),
    )


def _kinds(schema: Schema) -> Iterator[str]:
    """A section for each kind that has settings; the others in one line."""
    bare = []
    for kind, reference in schema["$defs"]["Layer"]["properties"].items():
        if kind not in KINDS:
            continue
        settings = schema["$defs"][reference["$ref"].rpartition("/")[2]]
        if not settings.get("properties"):
            bare.append(f"`{kind}: {{}}`")
            continue
        head = "| setting | value | default |\n| --- | --- | --- |\n"
        needed = settings.get("required", ())
        rows = (
            f"| `{name}` | {_value(value)} | {_default(value, name in needed)} |"
            for name, value in settings["properties"].items()
        )
        yield f"### `{kind}`\n\n{_prose(settings['description'])}\n\n{head}" + "\n".join(rows)
    yield f"### Without settings\n\n{', '.join(bare)}"


def _value(schema: Schema) -> str:
    """What a setting may be, in words."""
    if "anyOf" in schema:
        forms = [form for form in schema["anyOf"] if form.get("type") != "null"]
        return " or ".join(dict.fromkeys(map(_value, forms)))
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if schema["type"] == "array":
        if schema.get("minItems") == schema.get("maxItems") == 2:
            return "`[before, after]`"
        return f"{_value(schema['items'])} per axis"
    least = f" from {schema['minimum']}" if "minimum" in schema else ""
    return {"integer": f"a number{least}", "boolean": "`true` or `false`"}[schema["type"]]


def _default(schema: Schema, needed: bool) -> str:  # noqa: FBT001  one of two words
    if needed:
        return "needed"
    return "–" if schema["default"] is None else f"`{str(schema['default']).lower()}`"


def _limits(schema: Schema) -> Iterator[str]:
    limits = schema["properties"]["checks"]["items"]["properties"]["limits"]["properties"]
    layers = limits["layers"]["additionalProperties"]["properties"]
    for metric, limit in limits.items():
        if metric != "layers":
            keys = ", ".join(f"`{key}`" for key in limit["properties"] if key != "level")
            yield f"| `{metric}` | {keys} | {'yes' if metric in layers else '–'} |"


def _options(defaults: dict[str, object]) -> str:
    return ", ".join(f"`{name}` = {str(value).lower()}" for name, value in defaults.items()) or "–"


def cli_page() -> str:
    """The page about the commands."""
    app = str(DOCS / "app.py")
    command = [sys.executable, "-m", "typer", app, "utils", "docs", "--name", "convcost"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return MADE + made.stdout.rstrip().replace("&#x27;", "'") + "\n"


PYTHON = """\
# From Python

The commands are thin over these functions. `import convcost` doesn't import torch; what runs or
reads a model does.

```python
import convcost
from torch import nn

model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1))

report = convcost.profile(model, input=(1, 3, 32, 32), measure=False)
assert report.totals["parameters"].value == sum(p.numel() for p in model.parameters())
assert report.totals["receptive_field"].value == (5, 5)
print(report)  # its notices and the table; convcost.render(report, "markdown") gives other formats

report = convcost.compare("configs/primer.yaml", variants=["separable"], measure=False)
standard, separable = report.rows
assert separable.values["multiplications"].value == 5 * 5 * 3 * (8 * 8) + 256 * 3 * (8 * 8)

light = convcost.rewrite(model, "separable")  # a copy, to run or to train
assert sum(p.numel() for p in light.parameters()) < sum(p.numel() for p in model.parameters())

try:
    convcost.compare("nowhere.yaml")
except convcost.ConvcostError as error:
    assert error.message == "nowhere.yaml: no such file"
```

A value's `status` says how sure it is: `exact`, `measured` (with `low`, `high` and `rounds`),
`lower_bound`, `upper_bound`, or `unavailable` (with its `reason`). What the keys of `values` and
`totals` mean: [How to read the numbers](reading.md). `report.to_dict()` is what `--format json`
prints; `convcost schema report` describes it.

{members}
"""


def python_page() -> str:
    """The page about the public functions and types."""
    members = "\n\n".join(_member(name) for name in convcost.__all__ if not name.startswith("_"))
    return MADE + PYTHON.format(members=members)


def _member(name: str) -> str:
    """A function or a class, with its signature or fields as the source has them."""
    source = inspect.getsource(getattr(convcost, name))
    (node,) = ast.parse(source).body
    doc = _prose(inspect.getdoc(getattr(convcost, name)) or "")
    if isinstance(node, ast.FunctionDef):
        return f"## `{name}`\n\n```text\n{name}{_call(node)}\n```\n\n{doc}"
    assert isinstance(node, ast.ClassDef)  # noqa: S101  nothing else is public
    fields = (part for part in node.body if isinstance(part, ast.AnnAssign))
    lines = (f"- `{ast.unparse(f.target)}`: `{ast.unparse(f.annotation)}`\n" for f in fields)
    return f"## `{name}`\n\n{doc}\n\n{''.join(lines)}".rstrip()


def _call(node: ast.FunctionDef) -> str:
    """One parameter a line where a line would be too long."""
    call, result = ast.unparse(node.args), ast.unparse(node.returns or ast.Constant(value=None))
    if len(call) + len(result) > 80:
        parts = re.split(r", (?=\*,|[a-z_]+:)", call)
        call = "\n" + "".join(f"    {part},\n" for part in parts)
    return f"({call.replace('=', ' = ')}) -> {result}"


def _prose(doc: str) -> str:
    return doc.replace("``", "`").replace("Raises:\n    ", "Raises: ")


PAGES = {"cli.md": cli_page, "spec.md": spec_page, "python.md": python_page}


def main() -> None:
    """Writes every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
