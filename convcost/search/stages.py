"""The stages of a network: runs of layers at one effective stride."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from itertools import groupby, takewhile
from typing import NamedTuple

from convcost.analyses import Costs
from convcost.graph import Graph

_SPECIAL = re.compile(r"[^\w.\-/ ]")


class Stage(NamedTuple):
    """Neighbouring convolutions that can be rewritten; ``globs`` match them and no other."""

    names: tuple[str, ...]
    globs: tuple[str, ...]


def find_stages(graph: Graph, costs: Costs, chosen: Collection[str]) -> list[Stage]:
    """The stages of ``graph``, first to last; convolutions outside ``chosen`` belong to none.

    One that runs several times belongs where it runs first.
    """
    strides: dict[str, str] = {}
    for node, values in zip(graph.nodes, costs.rows, strict=True):
        if node.name in chosen:
            strides.setdefault(node.name, str(values["effective_stride"].value))
    runs = (tuple(run) for _, run in groupby(strides, key=strides.__getitem__))
    return [Stage(names, _globs(names, chosen)) for names in runs]


def _globs(names: tuple[str, ...], others: Collection[str]) -> tuple[str, ...]:
    """One glob where their common beginning tells them from the others, else one for each."""
    if len(names) > 1:
        short = f"{_literal(_beginning(names))}*"
        if _matched(short, others) == set(names):
            return (short,)
    return tuple(map(_literal, names))


def _beginning(names: tuple[str, ...]) -> str:
    """What all names begin with."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def _literal(name: str) -> str:
    return _SPECIAL.sub("?", name)


def _matched(glob: str, names: Iterable[str]) -> set[str]:
    return {name for name in names if fnmatchcase(name, glob)}
