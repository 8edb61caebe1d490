"""The one loader of YAML files: safe, YAML 1.2 scalars, unique keys, and a line for every key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import yaml

from convcost.errors import ConvcostError

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
"""Values in one file with its aliases followed: more is a mistake, or a 'billion laughs'."""

KeyPath = tuple[str | int, ...]


class Problem(NamedTuple):
    """One mistake in a file: where it is, what was found and what would be valid."""

    path: KeyPath
    text: str


class YamlFile(NamedTuple):
    """A parsed file: plain data, and the line (from 1) of every key and list entry."""

    name: str
    data: object
    lines: dict[KeyPath, int]

    def error(self, problems: Iterable[Problem], hint: str = "") -> ConvcostError:
        """One error that tells all problems, in the file's order."""
        located = sorted((self.line(p.path), _format_path(p.path), p.text) for p in problems)
        texts = (
            f"{self.name}:{line}: {key}: {text}" if key else f"{self.name}:{line}: {text}"
            for line, key, text in located
        )
        return ConvcostError("\n".join(dict.fromkeys(texts)), hint)

    def line(self, path: KeyPath) -> int:
        """The line of the deepest key on the path that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def load_yaml(path: str) -> YamlFile:
    """Reads a YAML file.

    Raises:
        ConvcostError: it can't be read, is too large, or isn't YAML.
    """
    return _parse(path, _read(path))


def _parse(path: str, text: str) -> YamlFile:
    try:
        node = yaml.compose(text, Loader=_Loader)
        return _Plain(path).file(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else path
        raise ConvcostError(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise ConvcostError(f"{path}: not a YAML text file: {reason}") from None
    except RecursionError:
        raise ConvcostError(f"{path}: nested too deeply") from None


def parse_value(name: str, text: str) -> object:
    """One YAML value given at the prompt; ``name`` says where, for errors."""
    return _parse(name, text).data


def _read(path: str) -> str:
    try:
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            raise ConvcostError(
                f"{path}: the file has {size:,} bytes, more than the {MAX_BYTES:,} allowed",
                "a spec holds layers, not data: is this the right file?",
            )
        return Path(path).read_bytes().decode()
    except FileNotFoundError:
        raise ConvcostError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConvcostError(f"{path}: is a directory, not a file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a UTF-8 text file"
        raise ConvcostError(f"{path}: can't be read: {reason}") from None


class _Loader(yaml.SafeLoader):
    """Resolves plain scalars by the core schema of YAML 1.2.2, section 10.3.2."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  PyYAML's own name and form of a class table


_SCALARS = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
for _kind, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}",
        re.compile(f"(?:{_pattern})\\Z"),
        ["" if char == "\0" else char for char in _first],
    )


class _Plain:
    """Turns YAML nodes into plain data."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: dict[KeyPath, int] = {}
        self._values = 0
        self._problems: list[Problem] = []

    def file(self, node: yaml.Node | None) -> YamlFile:
        data = None if node is None else self._value(node, ())
        result = YamlFile(self._name, data, self._lines)
        if self._problems:
            raise result.error(self._problems)
        return result

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        self._lines.setdefault(path, node.start_mark.line + 1)
        self._values += 1
        if self._values > MAX_VALUES:
            raise ConvcostError(f"{self._name}: more than {MAX_VALUES:,} values, aliases followed")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            first = self._lines.get((*path, key))
            if key in data:
                self._problems.append(
                    Problem(
                        (*path, key), f"given twice, also at line {key_node.start_mark.line + 1}"
                    )
                )
            self._lines[(*path, key)] = first or key_node.start_mark.line + 1
            data[key] = self._value(value_node, (*path, key))
        return data

    def _scalar(self, node: yaml.Node, path: KeyPath) -> object:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        try:
            return _CONVERT[kind](node.value)
        except KeyError:
            self._problems.append(Problem(path, f"the tag {node.tag} is not allowed"))
        except ValueError:
            self._problems.append(Problem(path, f"{node.value[:40]!r} is not a {kind}"))
        return None


def _to_int(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


_CONVERT: dict[str, Callable[[str], object]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _to_int,
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    "str": str,
}


def _format_path(path: KeyPath) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")
