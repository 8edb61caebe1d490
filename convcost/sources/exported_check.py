"""Refuses an exported program whose archive holds anything that torch would run as code.

A pickle isn't the only way in: when torch loads a program, it evaluates the text of symbolic
sizes, opens compiled libraries, looks up operators by name in all of torch, and writes names from
the file into Python source.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator

from torch.export.pt2_archive import PT2ArchiveReader
from torch.export.pt2_archive.constants import (
    AOTINDUCTOR_DIR,
    CONSTANTS_DIR,
    MODELS_DIR,
    TENSOR_CONSTANT_FILENAME_PREFIX,
)

from convcost.errors import ConvcostError

_NAME = re.compile(r"\w*")
_PATH = re.compile(r"[\w.\- /:]*")
_OPERATOR = re.compile(
    r"torch\.ops\.(?!\w*__)\w+\.(__i?(and|or|xor|lshift|rshift)__|(?!\w*__)\w+)(\.(?!__)\w+)?"
    r"|_operator\.(getitem|eq|ne|le|ge|lt|gt|neg|pos|mul|add|sub|floordiv|truediv|mod|pow|and_|or_"
    r"|lshift|rshift|not_|abs)"
    r"|math\.[a-z]\w*"
    r"|torch\.sym_(not|int|float|ite|max|min|sum|sqrt)"
    r"|torch\._sym_[a-z0-9]+"
    r"|torch\._functorch\.predispatch\."
    r"(lazy_load_decompositions|_(add|remove)_batch_dim|_vmap_(in|de)crement_nesting)"
)
_SYMBOLIC = re.compile(
    r"Symbol|Dummy|Integer|Float|Rational|Add|Mul|Pow|Mod|Max|Min|Abs|Not|And|Or|Eq|Ne|Lt|Le|"
    r"Gt|Ge|Equality|Unequality|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan|"
    r"Piecewise|ExprCondPair|Tuple|floor|ceiling|sqrt|log|exp|FloorDiv|ModularIndexing|Where|"
    r"PythonMod|CleanDiv|CeilToInt|FloorToInt|CeilDiv|LShift|RShift|PowByNatural|FloatPow|"
    r"FloatTrueDiv|IntTrueDiv|IsNonOverlappingAndDenseIndicator|TruncToFloat|TruncToInt|"
    r"RoundToInt|RoundDecimal|ToFloat|Identity"
)
_PLAIN_SYNTAX = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.keyword, ast.Tuple, ast.BinOp,
    ast.UnaryOp, ast.BoolOp, ast.Compare, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip


def check_archive(path: str) -> None:
    """Reads the archive as torch will, and looks at all that it would run.

    Raises:
        ConvcostError: it holds something that could run code; says what.
    """
    with PT2ArchiveReader(path) as archive:
        for name in archive.get_file_names():
            if name.startswith(AOTINDUCTOR_DIR):
                raise _refused(path, f"compiled code ({name})")
            if name.startswith(CONSTANTS_DIR) and name.endswith(".json"):
                _check_constants(path, json.loads(archive.read_string(name)))
            if name.startswith(MODELS_DIR):
                _check_texts(path, json.loads(archive.read_string(name)))


def _check_constants(path: str, config: object) -> None:
    for key, text in _texts(config):
        if key == "path_name" and not text.startswith(TENSOR_CONSTANT_FILENAME_PREFIX):
            raise _refused(path, f"a constant that isn't a tensor ({text})")


def _check_texts(path: str, model: object) -> None:
    for key, text in _texts(model):
        check = _CHECKS.get(key)
        if check is not None and not check(text):
            raise _refused(path, f"an unusual {key}: {text[:80]!r}")


def _texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in JSON data with the key that holds it, or holds its list."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str):
        yield key, value


def _is_symbolic(text: str) -> bool:
    """Whether a size is built of numbers, symbols and known functions only."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_plain(node) for node in ast.walk(tree))


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and _SYMBOLIC.fullmatch(node.func.id) is not None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.fullmatch(r"[\w.+-]*", node.value) is not None and "__" not in node.value
    return isinstance(node, _PLAIN_SYNTAX)


def _is_structure(text: str) -> bool:
    """Whether a pytree's JSON, which has JSON in its texts, holds plain names only."""
    try:
        data = json.loads(text)
    except ValueError:
        return _PATH.fullmatch(text) is not None
    imports = any(key in repr(data) for key in ("__enum__", "default_factory_module"))
    return not imports and all(_is_structure(part) for _, part in _texts(data))


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


_CHECKS: dict[str, Callable[[str], bool]] = {
    "expr_str": _is_symbolic,
    "target": _matches(_OPERATOR),
    "as_operator": _matches(_OPERATOR),
    "in_spec": _is_structure,
    "out_spec": _is_structure,
    **dict.fromkeys(("name", "as_name", "forward_arg_names"), _matches(_NAME)),
    **dict.fromkeys(
        (
            "parameter_name",
            "buffer_name",
            "tensor_constant_name",
            "custom_obj_name",
            "user_input_name",
        ),
        _matches(_PATH),
    ),
}


def _refused(path: str, what: str) -> ConvcostError:
    return ConvcostError(
        f"{path}: not loaded: it holds {what}, which could run code",
        "profile the model's own Python source, if you trust it",
    )
