"""Rewrites of convolutions: one function and one line in ``VARIANTS`` for each variant.

A variant turns a ``Conv`` into a chain of named ops that keeps the output's shape; ``dense``, of
models alone, works on the whole. Its canonical text is ``name[:key=value,…]``: ``separable``,
``atrous:rate=4``, ``atrous:rate=2x3`` (per axis), ``dense:output_stride=8``.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, get_type_hints

from convcost.errors import did_you_mean, show_value
from convcost.ops import Conv, Sizes
from convcost.variants.atrous import atrous
from convcost.variants.block import Block
from convcost.variants.dense import dense
from convcost.variants.separable import atrous_separable, separable
from convcost.variants.standard import standard

Option = int | bool | Sizes

VARIANTS: dict[str, Callable[..., Block]] = {
    "standard": standard,
    "atrous": atrous,
    "separable": separable,
    "atrous_separable": atrous_separable,
}
"""What rewrites one convolution: for specs and models."""
MODEL_VARIANTS: dict[str, Callable[..., object]] = {**VARIANTS, "dense": dense}
"""Everything that rewrites a model."""
ALWAYS_SHOWN = ("rate", "output_stride")
"""Options that a variant is about: its text has them even where they are the default."""
MAX_OPTION = 65_536
MAX_AXES = 3


class Variant(NamedTuple):
    """A rewrite with all of its options; its text is canonical."""

    name: str
    options: Mapping[str, Option]

    def __str__(self) -> str:
        defaults = option_defaults(self.name)
        items = self.options.items()
        shown = {k: v for k, v in items if k in ALWAYS_SHOWN or v != defaults[k]}
        texts = (f"{key}={_text(value)}" for key, value in shown.items())
        return ":".join(filter(None, (self.name, ",".join(texts))))

    def block(self, conv: Conv) -> Block:
        """The chain of ops that takes the place of ``conv``.

        Raises:
            ShapeError: the options don't fit the convolution.
        """
        return VARIANTS[self.name](conv, **self.options)


STANDARD = Variant("standard", {})


def option_defaults(name: str) -> dict[str, Option]:
    """The options that a variant takes, with their defaults."""
    return dict(MODEL_VARIANTS[name].__kwdefaults__ or {})


def is_per_axis(name: str, key: str) -> bool:
    """Whether an option of a variant may be one number per axis, by its annotation."""
    return get_type_hints(MODEL_VARIANTS[name])[key] not in (int, bool)


def is_switch(name: str, key: str) -> bool:
    """Whether an option of a variant is true or false."""
    return isinstance(option_defaults(name)[key], bool)


def parse_variant(entry: object, known: Collection[str] = VARIANTS) -> Variant:
    """A variant from its text, or from YAML's ``{name: {option: value}}``; ``known`` are valid.

    Raises:
        ValueError: with what would be valid.
    """
    if isinstance(entry, str):
        name, colon, rest = entry.partition(":")
        pairs = [text.partition("=") for text in rest.split(",")] if colon else []
        return _variant(name, [(key, _parse(value)) for key, _, value in pairs], known)
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, options),) = entry.items()
        if isinstance(options, dict):
            return _variant(name, list(options.items()), known)
    raise ValueError(
        "expected a variant, such as separable or {atrous: {rate: 2}}, "
        f"found {show_value(entry)}"
    )


def _variant(name: str, given: Sequence[tuple[str, object]], known: Collection[str]) -> Variant:
    if name in MODEL_VARIANTS and name not in known:
        raise ValueError(f"{name} rewrites models; known here: {', '.join(known)}")
    if name not in known:
        guess = did_you_mean(name, known)
        raise ValueError(f"unknown variant {show_value(name)}; {guess}known: {', '.join(known)}")
    options, seen = option_defaults(name), set[str]()
    for key, value in given:
        if key not in options:
            valid = ", ".join(options) or "none"
            raise ValueError(f"{name} has no option {show_value(key)}; its options: {valid}")
        if key in seen:
            raise ValueError(f"{key} is given twice")
        seen.add(key)
        options[key] = _option(name, key, value)
    return Variant(name, options)


def _option(name: str, key: str, value: object) -> Option:
    if is_switch(name, key):
        return _switch(key, value)
    per_axis = is_per_axis(name, key)
    if per_axis and isinstance(value, list | tuple) and 1 <= len(value) <= MAX_AXES:
        sizes = tuple(map(_size, value))
    else:
        sizes = (_size(value),)
    if 0 not in sizes:
        return sizes if len(sizes) > 1 else sizes[0]
    or_each = ", or one per axis as in 2x3" if per_axis else ""
    found = _text(value) if isinstance(value, list) else value
    raise ValueError(
        f"{key} is a whole number from 1 to {MAX_OPTION:,}{or_each}, found {show_value(found)}"
    )


def _switch(key: str, value: object) -> bool:
    found = {"true": True, "false": False}.get(value) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise ValueError(f"{key} is true or false, found {show_value(value)}")  # noqa: TRY004
    return found


def _size(entry: object) -> int:
    """A whole number in its range, else 0; ``2.0`` is one, ``true`` is not."""
    if isinstance(entry, float) and entry.is_integer():
        entry = int(entry)
    return entry if type(entry) is int and 1 <= entry <= MAX_OPTION else 0


def _parse(text: str) -> object:
    entries = [int(part) if _is_number(part) else part for part in text.split("x")]
    return entries[0] if len(entries) == 1 else entries


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_OPTION))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
