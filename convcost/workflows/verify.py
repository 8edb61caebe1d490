"""A model's multiplications beside the second counts, with the reason of every difference."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING

from convcost.analyses import Costs
from convcost.graph import Graph, Node
from convcost.ops import Pool
from convcost.report import Finding, Row, Value, exact, number, unavailable
from convcost.workflows.left_out import LeftOut, left_out_by_fvcore, reason_of

if TYPE_CHECKING:
    from convcost.measure.verify import SecondCount
    from convcost.sources.model import LoadedModel

_FAMILIES = {
    "conv": "convolutions",
    "conv_transpose": "convolutions",
    **dict.fromkeys(("linear", "matmul", "lstm", "gru", "rnn"), "matrix products"),
    "attention": "attention",
}
_MULTIPLYING = tuple(dict.fromkeys(_FAMILIES.values()))
POOLS_COUNTED = "fvcore counts average pools that run as convolutions"
FVCORE = "fvcore_multiplications"
_TOOLS = {
    FVCORE: "fvcore",
    "flop_counter_multiplications": "FlopCounterMode / 2",
}


def verification(loaded: LoadedModel, graph: Graph, costs: Costs) -> tuple[Row, ...]:
    """One row per family of ops, and their sum: our count and both second counts."""
    from convcost.measure.in_place import on_device  # noqa: PLC0415  torch, only where needed
    from convcost.measure.machine import device_of, find_device  # noqa: PLC0415
    from convcost.measure.verify import FAMILIES, second_counts  # noqa: PLC0415

    device = device_of(loaded.module, find_device("cpu"))
    args, kwargs = on_device(loaded.args, loaded.kwargs, device)
    counts = second_counts(loaded.module, args, kwargs)
    ours = _ours(graph, costs)
    left_out = {FVCORE: left_out_by_fvcore(graph, costs, _family)}
    shown = [family for family in FAMILIES if ours[family] or _counted(counts, family)]
    rows = [_row(family, ours, counts, left_out) for family in shown]
    return (*rows, _total(ours, counts))


def second_count(graph: Graph, costs: Costs, count: SecondCount, pools: Collection[str]) -> Value:
    """What fvcore counts of a model in all, with the reason of a difference where that is known.

    The average pools in the modules ``pools`` run as convolutions.
    """
    if count.failed:
        return unavailable(f"fvcore didn't count: {count.failed}")
    ours = _ours(graph, costs)
    counted, wanted = (sum(found[f] for f in _MULTIPLYING) for found in (count.families, ours))
    if counted == wanted:
        return exact(counted)
    if counted - as_convolutions(graph, pools) == wanted:
        reason: str | None = POOLS_COUNTED
    else:
        left_out = left_out_by_fvcore(graph, costs, _family)
        values = [_value(family, ours, count, left_out) for family in _MULTIPLYING]
        reasons = [
            v.reason for f, v in zip(_MULTIPLYING, values, strict=True) if v.value != ours[f]
        ]
        reason = None if None in reasons else "; ".join(filter(None, reasons))
    return Value("exact", counted, reason=reason)


def _ours(graph: Graph, costs: Costs) -> dict[str, int]:
    """Our multiplications per family."""
    ours = dict.fromkeys((*_MULTIPLYING, "other"), 0)
    for node, values in zip(graph.nodes, costs.rows, strict=True):
        ours[_family(node)] += int(number(values["multiplications"]))
    return ours


def _family(node: Node) -> str:
    return _FAMILIES.get(node.op.kind, "other")


def as_convolutions(graph: Graph, pools: Collection[str]) -> int:
    """The multiplications of the pools in these modules where they run as convolutions."""
    return sum(
        prod(node.shape) * prod(node.op.kernel_size)
        for node in graph.nodes
        if node.module in pools and isinstance(node.op, Pool)
    )


def _counted(counts: Mapping[str, SecondCount], family: str) -> bool:
    return any(count.families.get(family) for count in counts.values())


def _row(
    family: str,
    ours: Mapping[str, int],
    counts: Mapping[str, SecondCount],
    left_out: Mapping[str, LeftOut],
) -> Row:
    values = {"multiplications": exact(ours[family])}
    for tool, count in counts.items():
        values[tool] = _value(family, ours, count, left_out.get(tool, {}))
    return Row(family, "standard", "", "", (), values)


def _value(family: str, ours: Mapping[str, int], count: SecondCount, left_out: LeftOut) -> Value:
    if count.failed:
        return unavailable(count.failed)
    found = count.families[family]
    if found == ours[family]:
        return exact(found)
    known = reason_of(ours[family] - found, family, left_out)
    reason = known or count.reasons.get(family) or _taken_apart(family, ours, count)
    return Value("exact", found, reason=reason)


def _taken_apart(family: str, ours: Mapping[str, int], count: SecondCount) -> str | None:
    """Attention that a tool sees as matrix products is counted, under another name."""
    both = ("matrix products", "attention")
    if family not in both:
        return None
    same = sum(ours[f] for f in both) == sum(count.families[f] for f in both)
    return "attention is counted as the matrix products that it is made of" if same else None


def _total(ours: Mapping[str, int], counts: Mapping[str, SecondCount]) -> Row:
    values = {"multiplications": exact(sum(ours.values()))}
    for tool, count in counts.items():
        values[tool] = (
            unavailable(count.failed) if count.failed else exact(sum(count.families.values()))
        )
    return Row("total", "standard", "", "", (), values)


def verification_findings(rows: tuple[Row, ...]) -> Iterator[Finding]:
    """One finding for each difference without a known reason."""
    for row in rows[:-1]:
        for tool, name in _TOOLS.items():
            value, ours = row.values[tool], row.values["multiplications"]
            if value.value is not None and value.value != ours.value and not value.reason:
                text = f"{name} counts {number(value):,} where convcost counts {number(ours):,}"
                yield Finding(row.name, "standard", "multiplications", text)
