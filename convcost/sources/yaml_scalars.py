"""The scalars of YAML 1.2, and a safe loader that knows no others."""

import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from convcost.sources.pyyaml import BaseResolver, Composer, yaml

try:
    from yaml._yaml import CParser as Parser
except ImportError:  # a PyYAML that was built without libyaml
    from convcost.sources.yaml_parser import Parser  # type: ignore[assignment] # alike


class Loader(Composer, Parser, BaseResolver):
    """Resolves plain scalars by the core schema of YAML 1.2.2, section 10.3.2, and makes nodes.

    libyaml parses, a quarter of the time; nodes are made in Python, for libyaml's own composer
    crashes on deep nesting.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012  PyYAML's own name and form of a class table

    def __init__(self, text: str) -> None:
        Parser.__init__(self, text)
        Composer.__init__(self)
        BaseResolver.__init__(self)


class Scalar(NamedTuple):
    """A kind of scalar: how it is read, what it is called and what it looks like."""

    read: Callable[[str], object]
    word: str
    pattern: re.Pattern[str]


def _to_int(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _to_float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_TAG = "tag:yaml.org,2002:"
_NULL = r"~|null|Null|NULL|"
_BOOL = r"true|True|TRUE|false|False|FALSE"
_INT = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
SCALARS = {
    f"{_TAG}{kind}": Scalar(read, word, re.compile(f"(?:{pattern})\\Z", re.DOTALL))
    for kind, read, word, pattern in (
        ("null", lambda _: None, "null", _NULL),
        ("bool", lambda text: text.lower() == "true", "true or false", _BOOL),
        ("int", _to_int, "a whole number", _INT),
        ("float", _to_float, "a number", _FLOAT),
        ("str", str, "text", ".*"),
    )
}
TAGS: dict[type[yaml.Node], Collection[str]] = {
    yaml.MappingNode: (f"{_TAG}map",),
    yaml.SequenceNode: (f"{_TAG}seq",),
    yaml.ScalarNode: SCALARS,
}
for _kind, _first_chars in (
    ("null", ["~", "n", "N", ""]),
    ("bool", list("tTfF")),
    ("int", list("-+0123456789")),
    ("float", list("-+.0123456789")),
):
    Loader.add_implicit_resolver(f"{_TAG}{_kind}", SCALARS[f"{_TAG}{_kind}"].pattern, _first_chars)
