"""From the nodes of a traced model to rows: layers, ops, or whole modules."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from convcost.analyses import Costs
from convcost.analyses.memory import VIEWS, intensity
from convcost.graph import Graph, Node
from convcost.ops import Output, Unused
from convcost.report import Row, Value, exact, number

_SUMMED = ("parameters", "parameter_bytes", "multiplications", "activation_bytes", "bytes_moved")


class Group(NamedTuple):
    """Nodes that make one row; ``is_call`` where they are all of one call of a leaf module.

    ``returned`` is the node of the (first) output where that isn't the last one.
    """

    name: str
    module: str
    nodes: Sequence[int]
    is_call: bool
    returned: int | None = None


def layer_groups(graph: Graph) -> list[Group]:
    """One group for each call of a module without others inside, one for each op elsewhere."""
    inner = _inner_paths(graph)
    groups: list[Group] = []
    call = 0
    indexes: list[int] = []
    for index, node in enumerate(graph.nodes):
        if not node.call or node.module in inner:
            call = 0
            if groups and _is_of(node, groups[-1].nodes):
                groups[-1] = _with_output(groups[-1], index)
            elif not _is_free(node):
                groups.append(Group(node.name, node.module, [index], is_call=False))
        elif node.call == call:
            indexes.append(index)
        else:
            call, indexes = node.call, [index]
            first = graph.returned.get((node.module, call))
            groups.append(Group(node.module, node.module, indexes, is_call=True, returned=first))
    return _named(groups)


def _is_of(node: Node, nodes: Sequence[int]) -> bool:
    """Whether it is a further output of one of those nodes."""
    return isinstance(node.op, Output) and node.inputs[0] in nodes


def _with_output(group: Group, index: int) -> Group:
    return group._replace(nodes=[*group.nodes, index], returned=group.nodes[0])


def op_groups(graph: Graph) -> list[Group]:
    """One group for each op."""
    groups = [
        Group(node.name, node.module, (i,), is_call=False) for i, node in enumerate(graph.nodes)
    ]
    return _named(groups)


def module_groups(graph: Graph, depth: int) -> list[Group]:
    """One group for each run of ops in one module, its path cut to ``depth`` names."""
    returned = {(path, node) for (path, _), node in graph.returned.items()}
    runs: list[tuple[str, list[int]]] = []
    found: dict[str, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        path = ".".join(node.module.split(".")[:depth])
        if not path and runs and _is_of(node, runs[-1][1]):
            runs[-1][1].append(index)
            returned.add((runs[-1][0], node.inputs[0]))
            continue
        mine = found.get(path)
        if mine is not None and (isinstance(node.op, Unused) or mine is runs[-1][1]):
            mine.append(index)
            continue
        runs.append((path or node.name, [index]))
        if path:
            found[path] = runs[-1][1]
    return _named([_run_group(path, indexes, returned) for path, indexes in runs])


def _run_group(
    path: str, indexes: Sequence[int], returned: Container[tuple[str, int | None]]
) -> Group:
    outputs = [index for index in indexes if (path, index) in returned]
    return Group(path, path, indexes, is_call=False, returned=outputs[-1] if outputs else None)


def _inner_paths(graph: Graph) -> set[str]:
    """The paths of modules that have others inside."""
    inner = {""}
    for node in graph.nodes:
        path = node.module
        while (path := path.rpartition(".")[0]) and path not in inner:
            inner.add(path)
    return inner


def _is_free(node: Node) -> bool:
    """Whether it is no layer, as it only shows the same storage in another way."""
    return node.shares is not None and type(node.op) in VIEWS


def told_apart(names: Iterable[str]) -> Iterator[str]:
    """Each name; the same one again gets its number: ``relu``, ``relu#2``."""
    seen: dict[str, int] = {}
    for name in names:
        times = seen[name] = seen.get(name, 0) + 1
        yield f"{name}#{times}" if times > 1 else name


def _named(groups: Sequence[Group]) -> list[Group]:
    names = told_apart(group.name for group in groups)
    return [
        group if group.name is name else group._replace(name=name)
        for group, name in zip(groups, names, strict=True)
    ]


def rows_of(graph: Graph, costs: Costs, groups: Sequence[Group]) -> Iterator[Row]:
    """One row for each group; what is summed adds up to the totals."""
    for group in groups:
        if len(group.nodes) == 1:
            node, found = graph.nodes[group.nodes[0]], costs.rows[group.nodes[0]]
            yield Row(group.name, "standard", node.op.kind, group.module, node.shape, found)
            continue
        nodes = [graph.nodes[index] for index in group.nodes]
        values = [costs.rows[index] for index in group.nodes]
        last = group.nodes[-1] if group.returned is None else group.returned
        shape = graph.nodes[last].shape
        folded = _fold(values, costs.rows[last])
        yield Row(group.name, "standard", _kind(nodes, values), group.module, shape, folded)


def _kind(nodes: Sequence[Node], values: Sequence[dict[str, Value]]) -> str:
    """The op of a row: the one that multiplies most, else the first that isn't free."""
    work = [number(value["multiplications"]) for value in values]
    if any(work):
        return nodes[work.index(max(work))].op.kind
    return next((node.op.kind for node in nodes if not _is_free(node)), nodes[0].op.kind)


def _fold(values: Sequence[dict[str, Value]], last: dict[str, Value]) -> dict[str, Value]:
    """The values of several ops as those of one layer; where it sees is what its output sees."""
    summed = {key: _sum([value[key] for value in values]) for key in _SUMMED}
    ratio = intensity(number(summed["multiplications"]), number(summed["bytes_moved"]))
    return {**last, **summed, "arithmetic_intensity": ratio}


def _sum(values: Sequence[Value]) -> Value:
    total = sum(map(number, values))
    bounds = [value for value in values if value.status != "exact"]
    if not bounds:
        return exact(int(total))
    reasons = dict.fromkeys(value.reason or "" for value in bounds)
    return Value("lower_bound", int(total), reason="; ".join(reasons))
