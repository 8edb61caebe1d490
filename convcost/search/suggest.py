"""The search: bounds, cheapest first, and what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import isinf
from typing import NamedTuple

from convcost.search.candidates import Base, Candidate, Fields, NetworkField, candidates
from convcost.search.front import pareto_front


class Bounds(NamedTuple):
    """What a design must keep; None is no bound. Latency is judged where it is measured."""

    min_receptive_field: int | None = None
    min_density: float | None = None
    max_multiplications: float | None = None
    max_parameters: float | None = None
    max_latency: float | None = None


class Miss(NamedTuple):
    """A bound that isn't kept, and by what share of it."""

    bound: str
    found: float
    share: float


class Found(NamedTuple):
    """What a search gave.

    ``front`` are the candidates that keep all exact bounds and that no other dominates: fewer
    multiplications, fewer bytes moved, smaller rates, more receptive field, a smaller effective
    stride. Rates cost nothing on paper, but time where they run: a field that is wide enough
    without them stays.
    ``missed`` counts the candidates that each bound left out, the first that did;
    ``nearest`` is there where none keeps all.
    """

    front: Sequence[Candidate]
    tried: int
    dominated: int
    missed: Mapping[str, int]
    nearest: tuple[Candidate, Sequence[Miss]] | None


def search(
    bases: Sequence[Base], bounds: Bounds, progress: Callable[[float], None] = lambda _: None
) -> Found:
    """Every candidate of every base, judged by what is exact."""
    fields = Fields()
    every = sorted(
        (candidate for base in bases for candidate in candidates(base)),
        key=lambda candidate: candidate.counts,
    )
    missed: Counter[str] = Counter()
    kept: list[Candidate] = []
    nearest: tuple[float, Candidate, Sequence[Miss]] | None = None
    for number, candidate in enumerate(every):
        progress(number / len(every))
        misses = count_misses(candidate, bounds) or field_misses(fields.of(candidate), bounds)
        if not misses:
            kept.append(candidate)
            continue
        missed[misses[0].bound] += 1
        if not kept:
            misses = [*count_misses(candidate, bounds), *field_misses(fields.of(candidate), bounds)]
            worst = max(miss.share for miss in misses)
            if nearest is None or worst < nearest[0]:
                nearest = (worst, candidate, misses)
    front = pareto_front(kept, lambda candidate: _costs(candidate, fields.of(candidate)))
    return Found(
        front,
        len(every),
        len(kept) - len(front),
        missed,
        nearest[1:] if nearest and not kept else None,
    )


def _costs(candidate: Candidate, field: NetworkField) -> tuple[float, ...]:
    counts = candidate.counts
    rates = sum(candidate.rates)
    return (counts.multiplications, counts.bytes_moved, rates, -field.span, field.stride)


def count_misses(candidate: Candidate, bounds: Bounds) -> list[Miss]:
    """The bounds on counts that a candidate doesn't keep."""
    counts = candidate.counts
    found = (
        _above("max_multiplications", counts.multiplications, bounds.max_multiplications),
        _above("max_parameters", counts.parameters, bounds.max_parameters),
    )
    return list(filter(None, found))


def field_misses(field: NetworkField, bounds: Bounds) -> list[Miss]:
    """The bounds on the receptive field that a candidate doesn't keep."""
    found = (
        _below("min_receptive_field", field.span, bounds.min_receptive_field),
        _below("min_density", field.density, bounds.min_density),
    )
    return list(filter(None, found))


def _above(bound: str, found: float, most: float | None) -> Miss | None:
    if most is None or found <= most:
        return None
    return Miss(bound, found, found / most - 1 if most else float("inf"))


def _below(bound: str, found: float, least: float | None) -> Miss | None:
    if least is None or found >= least or isinf(found):
        return None
    return Miss(bound, found, 1 - found / least)
