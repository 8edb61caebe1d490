"""Rewrites of convolutions: one function and one line in ``VARIANTS`` for each variant.

A variant turns a ``Conv`` into a chain of named ops that keeps the output's shape. Its canonical
text is ``name[:key=value,…]``: ``separable``, ``atrous:rate=4``, ``atrous:rate=2x3`` (per axis).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from convcost.ops import Conv, Sizes
from convcost.variants.atrous import atrous
from convcost.variants.separable import atrous_separable, separable
from convcost.variants.standard import standard

Option = int | Sizes
Block = tuple[tuple[str, Conv], ...]
"""A chain of ops, each with its part's name ('' for a lone one)."""

VARIANTS: dict[str, Callable[..., Block]] = {
    "standard": standard,
    "atrous": atrous,
    "separable": separable,
    "atrous_separable": atrous_separable,
}
MAX_OPTION = 65_536


class Variant(NamedTuple):
    """A rewrite with all of its options; its text is canonical."""

    name: str
    options: Mapping[str, Option]

    def __str__(self) -> str:
        defaults = option_defaults(self.name)
        # the rate is what an atrous variant is about, so it shows even where it is the default
        shown = {k: v for k, v in self.options.items() if k == "rate" or v != defaults[k]}
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
    return dict(VARIANTS[name].__kwdefaults__ or {})


def parse_variant(entry: object) -> Variant:
    """A variant from its text, or from YAML's ``{name: {option: value}}``.

    Raises:
        ValueError: with what would be valid.
    """
    if isinstance(entry, str):
        name, _, rest = entry.partition(":")
        pairs = (text.partition("=") for text in rest.split(",") if text)
        return _variant(name, {key.strip(): _parse(value) for key, _, value in pairs})
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, options),) = entry.items()
        if isinstance(options, dict):
            return _variant(name, options)
    raise ValueError(
        f"expected a variant, such as separable or {{atrous: {{rate: 2}}}}, found {entry!r}"
    )


def _variant(name: str, given: Mapping[str, object]) -> Variant:
    if name not in VARIANTS:
        raise ValueError(f"unknown variant {name!r}; known: {', '.join(VARIANTS)}")
    options = option_defaults(name)
    for key in given:
        if key not in options:
            valid = ", ".join(options) or "none"
            raise ValueError(f"{name} has no option {key!r}; its options: {valid}")
    return Variant(name, {**options, **{k: _option(k, v) for k, v in given.items()}})


def _option(key: str, value: object) -> Option:
    entries = value if isinstance(value, list | tuple) else [value]
    sizes = tuple(entry for entry in entries if type(entry) is int and 1 <= entry <= MAX_OPTION)
    if not sizes or len(sizes) < len(entries):
        raise ValueError(
            f"{key} is a whole number from 1 to {MAX_OPTION:,}, or one per axis as in 2x3, "
            f"found {_text(value)}"
        )
    return sizes[0] if entries is not value else sizes


def _parse(text: str) -> object:
    entries = [int(part) if part.strip().isdecimal() else part for part in text.split("x")]
    return entries[0] if len(entries) == 1 else entries


def _text(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
