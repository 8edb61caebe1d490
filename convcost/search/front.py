"""What no other is better than."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Thing = TypeVar("Thing")
Costs = Sequence[float]
"""Of one thing: each number is better the smaller it is."""


def is_dominated(costs: Costs, by: Costs) -> bool:
    """Whether ``by`` is nowhere worse; of equals each dominates the other."""
    return all(mine >= other for mine, other in zip(costs, by, strict=True))


def pareto_front(things: Iterable[Thing], costs: Callable[[Thing], Costs]) -> list[Thing]:
    """Those that no other dominates, of equals the first; smallest first by their costs."""
    front: list[tuple[Costs, Thing]] = []
    ordered = sorted(((tuple(costs(thing)), n, thing) for n, thing in enumerate(things)), key=_key)
    for cost, _, thing in ordered:
        # whatever dominates it is not larger, so it came before
        if not any(is_dominated(cost, known) for known, _ in front):
            front.append((cost, thing))
    return [thing for _, thing in front]


def _key(entry: tuple[tuple[float, ...], int, object]) -> tuple[tuple[float, ...], int]:
    return entry[:2]


def spread(things: Sequence[Thing], most: int) -> list[Thing]:
    """At most ``most`` of them, evenly over their order, both ends among them."""
    if len(things) <= most:
        return list(things)
    return [things[round(i * (len(things) - 1) / (most - 1))] for i in range(most)]
