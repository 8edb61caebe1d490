"""The one loader of YAML files: safe, YAML 1.2 scalars, unique keys, and a line for every key."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from convcost.errors import ConvcostError, MissingError, show_value
from convcost.sources.pyyaml import yaml
from convcost.sources.yaml_scalars import SCALARS, TAGS, Loader

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
"""Values in one file with its aliases followed: more is a mistake, or a 'billion laughs'."""
MAX_KEY = 60
"""Characters of a key that are shown."""
MAX_TOLD = 20
"""Mistakes of one file that are told; of more, only how many."""

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

    def mapping(self, expected: str) -> dict[Any, Any]:
        """The data, which is a mapping at the top, of what is ``expected``.

        Raises:
            ConvcostError: it isn't.
        """
        if isinstance(self.data, dict):
            return self.data
        found = "the file is empty" if self.data is None else "found no mapping at the top"
        raise self.error([Problem((), f"{found}; expected {expected}")])

    def error(self, problems: Iterable[Problem]) -> ConvcostError:
        """One error that tells the problems, in the file's order."""
        located = sorted((self.line(p.path), _format_path(p.path), p.text) for p in problems)
        texts = (
            f"{self.name}:{line}: {key}: {text}" if key else f"{self.name}:{line}: {text}"
            for line, key, text in located
        )
        first, more = _first(list(dict.fromkeys(texts)))
        return ConvcostError("\n".join([*first, *more]))

    def line(self, path: KeyPath) -> int:
        """The line of the deepest key on the path that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def _first(texts: list[str]) -> tuple[list[str], list[str]]:
    rest = len(texts) - MAX_TOLD
    return texts[:MAX_TOLD], [f"… and {rest:,} more"] if rest > 0 else []


def load_yaml(path: str) -> YamlFile:
    """Reads a YAML file.

    Raises:
        ConvcostError: it can't be read, is too large, or isn't YAML.
    """
    return _parse(path, _read(path))


def _parse(path: str, text: str) -> YamlFile:
    try:
        return _Plain(path).file(Loader(text).get_single_node())
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
        raise MissingError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConvcostError(f"{path}: is a directory, not a file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a UTF-8 text file"
        raise ConvcostError(f"{path}: can't be read: {reason}") from None


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
        if node.tag not in TAGS[type(node)]:
            self._problems.append(Problem(path, f"the tag {show_value(node.tag)} is not allowed"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
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

    def _key(self, node: yaml.Node, path: KeyPath) -> str:
        if node.tag in TAGS[yaml.ScalarNode]:
            return str(node.value)
        self._problems.append(Problem(path, "a key is plain text"))
        return "?"

    def _scalar(self, node: yaml.Node, path: KeyPath) -> object:
        convert, word, pattern = SCALARS[node.tag]
        try:
            if pattern.match(node.value):
                return convert(node.value)
        except ValueError:
            pass  # an integer of more digits than Python takes
        self._problems.append(Problem(path, f"expected {word}, found {show_value(node.value)}"))
        return None


def _format_path(path: KeyPath) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{_short(step)}" for step in path)
    return "".join(steps).removeprefix(".")


def _short(key: str) -> str:
    return key if len(key) <= MAX_KEY else f"{key[: MAX_KEY - 1]}…"
