"""The rows of a profile as the tree of their modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from convcost.report import Row, Status, Value

SUMMED = ("parameters", "multiplications", "latency_share")
"""What adds up over the rows of a module."""


class Module(NamedTuple):
    """A module with several rows below it, in order; ``path`` is empty for the whole."""

    path: str
    children: Sequence[Module | Row]

    def rows(self) -> Iterator[Row]:
        """All rows below."""
        for child in self.children:
            if isinstance(child, Row):
                yield child
            else:
                yield from child.rows()

    def sums(self) -> Mapping[str, Value]:
        """What adds up, of those metrics that all rows below have or lack for a reason."""
        rows = list(self.rows())
        found = {}
        for key in SUMMED:
            values = [row.values[key] for row in rows if key in row.values]
            numbers = [v.value for v in values if isinstance(v.value, int | float)]
            if numbers:
                status: Status = next((v.status for v in values if v.status != "exact"), "exact")
                found[key] = Value(status, sum(numbers))
        return found


def module_tree(rows: Sequence[Row]) -> Module:
    """The tree, in the order in which modules come first; a module of one row is that row."""
    return Module("", _grouped(rows, 1, ""))


def _grouped(rows: Sequence[Row], depth: int, above: str) -> list[Module | Row]:
    members: dict[str, list[Row]] = {}
    for row in rows:
        path = ".".join(row.module.split(".")[:depth]) if row.module else ""
        # what runs in the module itself stays beside its modules
        alone = path == above
        members.setdefault(f"\n{row.name}" if alone else path, []).append(row)
    return [child for path, own in members.items() for child in _folded(path, own, depth)]


def _folded(path: str, rows: list[Row], depth: int) -> Sequence[Module | Row]:
    if len(rows) == 1 or path.startswith("\n"):
        return rows
    children = _grouped(rows, depth + 1, path)
    # a module whose rows are all in one inner module is that one
    return children if len(children) == 1 else [Module(path, children)]
