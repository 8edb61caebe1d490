"""Candidates: a variant for each stage, and what each costs, exactly and before anything runs.

Variants keep every layer's output shape, so what a stage's variant changes of the counts doesn't
depend on the other stages: a candidate's counts are a sum. The receptive field depends on all rates
together, so it is worked out for each combination of rates that is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import inf, isinf
from typing import NamedTuple

from convcost.analyses.memory import count_memory
from convcost.analyses.multiplications import count_multiplications
from convcost.analyses.parameters import count_parameters
from convcost.analyses.receptive_field import find_network_field
from convcost.errors import ConvcostError
from convcost.graph import Graph
from convcost.report import GLOBAL, Value, number
from convcost.search.stages import Stage
from convcost.variants import STANDARD, Variant, parse_variant
from convcost.variants.mixed import Mixed, Step
from convcost.variants.rewrite import rewrite

RATES = ((1, 2, 4), (1, 2), (1,))
"""The rates that are tried; with too many stages fewer of them."""
MOST_CANDIDATES = 10_000
"""Of one base."""
MOST_STAGES = 12
"""More stages than these aren't told apart."""


class Counts(NamedTuple):
    """What is counted of a whole network."""

    multiplications: int
    parameters: int
    bytes_moved: int


class NetworkField(NamedTuple):
    """The receptive field of a network: its span on the axis where it is least.

    Infinite and without holes where it is global; span and density are 0 where they aren't known
    exactly. ``stride`` is the largest effective stride.
    """

    span: float
    density: float
    stride: float


class Base(NamedTuple):
    """A graph whose stages are varied; ``text`` says how it differs from the source's.

    ``rates`` are what may be tried of each stage. ``last`` is applied after the stages' variants.
    """

    text: str
    graph: Graph
    stages: tuple[Stage, ...]
    rates: tuple[int, ...]
    last: Variant | None = None


class Candidate(NamedTuple):
    """One variant for each stage of a base."""

    base: Base
    variants: tuple[Variant, ...]
    counts: Counts

    @property
    def rates(self) -> tuple[int, ...]:
        """The rate of each stage."""
        return tuple(int(str(variant.options.get("rate", 1))) for variant in self.variants)

    @property
    def mixed(self) -> Variant | Mixed:
        """What makes it from its base: a variant where all stages have the same."""
        used = {variant: None for variant in map(str, self.variants) if variant != str(STANDARD)}
        steps = [Step(parse_variant(text), self._globs(text)) for text in used]
        if len(used) == 1 and str(STANDARD) not in map(str, self.variants):
            steps = [Step(self.variants[0])]
        if self.base.last is not None:
            steps.append(Step(self.base.last))
        if not steps:
            return STANDARD
        return steps[0].variant if steps == [Step(steps[0].variant)] else Mixed(tuple(steps))

    def _globs(self, text: str) -> tuple[str, ...]:
        pairs = zip(self.base.stages, self.variants, strict=True)
        return tuple(glob for stage, v in pairs if str(v) == text for glob in stage.globs)

    @property
    def text(self) -> str:
        """How it differs from the source."""
        mixed = str(self.mixed)
        if not self.base.text or self.base.last is not None:
            return mixed
        return self.base.text if mixed == str(STANDARD) else f"{self.base.text}+{mixed}"


def rates_for(stages: int) -> tuple[int, ...]:
    """The rates that so many stages can be tried with."""
    return next((r for r in RATES if (2 * len(r)) ** stages <= MOST_CANDIDATES), RATES[-1])


def candidates(base: Base) -> Iterator[Candidate]:
    """Every combination of variants of the stages."""
    before = count(base.graph)
    options = [_options(base, stage, before) for stage in base.stages]
    for chosen in product(*options):
        changes = (change for _, change in chosen)
        total = Counts(*map(sum, zip(before, *changes, strict=True)))
        yield Candidate(base, tuple(variant for variant, _ in chosen), total)


def _options(base: Base, stage: Stage, before: Counts) -> list[tuple[Variant, Counts]]:
    """The variants that fit a stage, each with what it changes."""
    texts = ["standard", "separable"]
    texts += [f"{name}:rate={rate}" for rate in base.rates if rate > 1 for name in _ATROUS]
    found = []
    for variant in map(parse_variant, texts):
        try:
            after = count(rewrite(base.graph, variant, stage.names))
        except ConvcostError:
            continue
        found.append((variant, Counts(*(a - b for a, b in zip(after, before, strict=True)))))
    return found


_ATROUS = ("atrous", "atrous_separable")


def count(graph: Graph) -> Counts:
    """The counts of a network."""
    totals: dict[str, Value] = {}
    for analysis in (count_multiplications, count_parameters, count_memory):
        totals |= analysis(graph)[1]
    return Counts(*(int(number(totals[key])) for key in Counts._fields))


class Fields:
    """The fields of candidates, each combination of rates worked out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[int, ...]], NetworkField] = {}

    def of(self, candidate: Candidate) -> NetworkField:
        """A separable convolution sees what its standard one sees."""
        key = (candidate.base.text, candidate.rates)
        if key not in self._known:
            self._known[key] = network_field(_with_rates(candidate))
        return self._known[key]


def _with_rates(candidate: Candidate) -> Graph:
    graph = candidate.base.graph
    for stage, rate in zip(candidate.base.stages, candidate.rates, strict=True):
        if rate > 1:
            graph = rewrite(graph, parse_variant(f"atrous:rate={rate}"), stage.names)
    return graph


def network_field(graph: Graph) -> NetworkField:
    """The field of the last feature map."""
    values = find_network_field(graph)
    strides = values["effective_stride"].value
    density = values["receptive_field_density"].value
    span = _span(values["receptive_field"])
    return NetworkField(
        span,
        density if isinstance(density, int | float) else float(isinf(span)),
        max((s for s in strides if not isinstance(s, str)), default=0)
        if isinstance(strides, tuple)
        else 0,
    )


def _span(field: Value) -> float:
    if field.status != "exact":
        return 0.0
    if field.value == GLOBAL:
        return inf
    if not isinstance(field.value, Sequence):
        return 0.0
    spans = [size for size in field.value if not isinstance(size, str)]
    return min(spans, default=inf)
