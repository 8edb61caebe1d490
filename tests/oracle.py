"""What each output of a graph sees of its input, found by running it on NaNs.

A NaN at one place of the input reaches exactly the outputs that see that place, whatever the
weights and activations are.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, product
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from convcost.graph import Graph
from convcost.measure.modules import build_module

MOST_OUTPUTS = 128
"""More neighbouring outputs than this need not be looked at to see all phases twice."""

Seen = frozenset[int]
SeenPositions = frozenset[tuple[int, ...]]


class Middle(NamedTuple):
    """What the outputs see that are farthest from the borders; ``first`` is the first's index."""

    first: int
    seen: list[Seen]


class Step(NamedTuple):
    """After this many outputs, all fields repeat, moved by this many inputs."""

    outputs: int
    inputs: int

    @property
    def stride(self) -> float:
        return float(Fraction(self.inputs, self.outputs))


def seen_along(graph: Graph, axis: int) -> Middle:
    """For each output column across ``axis``, the input columns that reach it."""
    spatial = graph.nodes[0].shape[2:]
    size = spatial[axis]
    along = [size if a == axis else 1 for a in range(len(spatial))]
    at = torch.eye(size, dtype=torch.bool).reshape(size, *along).expand(size, *spatial)
    reached = _reached(graph, at).movedim(axis + 1, 0)
    outputs = _middle(len(reached), MOST_OUTPUTS)
    seen = [
        frozenset(reached[o].reshape(size, -1).any(1).nonzero()[:, 0].tolist()) for o in outputs
    ]
    return Middle(outputs.start, seen)


def seen_by_module(module: nn.Module, x: Tensor) -> Middle:
    """The same as ``seen_along`` for a module on inputs like ``x``, ``[1, channels, size]``."""
    size = x.shape[-1]
    probes = torch.cat([torch.zeros(1, size), torch.eye(size)]).bool()
    # no weight is 0 and no rectifier silent on ones: what is seen shows
    sample = torch.ones(size + 1, x.shape[1], size, dtype=torch.float64)
    sample.masked_fill_(probes.unsqueeze(1), float("nan"))
    with torch.inference_mode():
        found = module(sample).isnan().any(1)
    reached = found[1:] & ~found[:1]
    outputs = _middle(reached.shape[1], MOST_OUTPUTS)
    seen = [frozenset(reached[:, o].nonzero()[:, 0].tolist()) for o in outputs]
    return Middle(outputs.start, seen)


def seen_by_position(graph: Graph, most: int) -> list[SeenPositions]:
    """The input positions that reach each of ``most`` by ``most`` outputs in the middle."""
    spatial = graph.nodes[0].shape[2:]
    size = prod(spatial)
    reached = _reached(graph, torch.eye(size, dtype=torch.bool).reshape(size, *spatial))
    columns = reached.permute(*range(1, reached.dim()), 0)
    outputs = product(*(_middle(n, most) for n in columns.shape[:-1]))
    return [
        frozenset(map(tuple, columns[output].reshape(spatial).nonzero().tolist()))
        for output in outputs
    ]


def sees_everything(graph: Graph) -> bool:
    """Whether every position of the input reaches every output."""
    spatial = graph.nodes[0].shape[2:]
    size = prod(spatial)
    reached = _reached(graph, torch.eye(size, dtype=torch.bool).reshape(size, *spatial))
    return bool(reached.all())


def _reached(graph: Graph, at: Tensor) -> Tensor:
    """Which outputs see any position of a probe: ``[probe, *output]`` from ``[probe, *input]``."""
    channels = graph.nodes[0].shape[1]
    at = torch.cat([torch.zeros_like(at[:1]), at])
    # in double precision torch has plain loops only: no Winograd tiles that spread a NaN
    sample = torch.ones(len(at), channels, *at.shape[1:], dtype=torch.float64)
    sample.masked_fill_(at.unsqueeze(1), float("nan"))
    with torch.inference_mode():
        output: Tensor = build_module(graph).double()(sample)
    found = output.isnan().any(1)
    # a max pool over padding alone gives -inf, of which others make NaNs: what is NaN without
    # a probe tells nothing
    return found[1:] & ~found[:1]


def _middle(size: int, most: int) -> range:
    """The middle third of ``size`` outputs, or as many of it as are wanted."""
    count = max(1, min(size // 3, most))
    first = (size - count) // 2
    return range(first, first + count)


def step(seen: Sequence[Seen]) -> Step:
    """The smallest step after which all of these neighbouring fields repeat."""
    for outputs in range(1, len(seen) // 2 + 1):
        pairs = zip(seen, seen[outputs:], strict=False)
        moves = {min(b) - min(a) if a and b else None for a, b in pairs if a or b}
        inputs = moves.pop() if len(moves) == 1 else None
        if inputs is not None and _repeats(seen, outputs, inputs):
            return Step(outputs, inputs)
    raise AssertionError(f"no step found among {len(seen)} outputs: widen the input")


def _repeats(seen: Sequence[Seen], outputs: int, inputs: int) -> bool:
    pairs = zip(seen, seen[outputs:], strict=False)
    return all(frozenset(position + inputs for position in a) == b for a, b in pairs)


def start(middle: Middle, repeat: Step) -> int | None:
    """Where the field of output 0 starts, from that of an output that is like it.

    None where output 0 sees nothing.
    """
    steps = -(-middle.first // repeat.outputs)
    alike = middle.seen[steps * repeat.outputs - middle.first]
    return min(alike) - steps * repeat.inputs if alike else None


def span(seen: Seen) -> int:
    return max(seen) - min(seen) + 1 if seen else 0


def largest_hole(seen: Seen) -> int:
    ordered = sorted(seen)
    return max((b - a - 1 for a, b in pairwise(ordered)), default=0)


def widest(seen: Sequence[Seen]) -> list[Seen]:
    """All fields of the widest span that have the most positions."""
    most = max((span(s), len(s)) for s in seen)
    return [s for s in seen if (span(s), len(s)) == most]


def along(positions: SeenPositions, axis: int) -> Seen:
    """The positions on one axis alone."""
    return frozenset(position[axis] for position in positions)
