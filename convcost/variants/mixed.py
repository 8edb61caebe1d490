"""Several variants in one network, each for layers of its own.

Its text is that of its steps, in the order in which they are applied, with globs over the names of
convolutions: ``separable@layer3.*|layer4.*+dense:output_stride=8``.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from convcost.errors import ConvcostError
from convcost.graph import Graph
from convcost.variants import VARIANTS, Variant, parse_variant
from convcost.variants.rewrite import Choice, chosen_of, rewrite


class Step(NamedTuple):
    """A variant and the globs of what it rewrites; without any, all that is eligible."""

    variant: Variant
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.variant}@{'|'.join(self.names)}" if self.names else str(self.variant)


class Mixed(NamedTuple):
    """Steps, one after the other."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "+".join(map(str, self.steps))


def parse_mixed(text: str, known: Collection[str] = VARIANTS) -> Variant | Mixed:
    """A variant, or several of ``known`` mixed, from its text.

    Raises:
        ValueError: with what would be valid.
    """
    if "@" not in text and "+" not in text:
        return parse_variant(text, known)
    steps = tuple(_step(part, known) for part in text.split("+"))
    for step in steps:
        if step.variant.name == "dense" and (step.names or step is not steps[-1]):
            raise ValueError("dense changes everything after a stride: it comes last, with no @")
    return Mixed(steps)


def _step(text: str, known: Collection[str]) -> Step:
    name, at, globs = text.partition("@")
    names = tuple(filter(None, globs.split("|")))
    if at and not names:
        raise ValueError(f"expected names of layers after @, as in {name}@layer3.*")
    return Step(parse_variant(name, known), names)


def steps_of(variant: Variant | Mixed) -> tuple[Step, ...]:
    """What is done one after the other."""
    return variant.steps if isinstance(variant, Mixed) else (Step(variant),)


def choices(variant: Variant | Mixed, choice: Choice) -> Iterator[tuple[Variant, Choice]]:
    """What is done one after the other, each with the layers that it may rewrite.

    ``only`` and ``keep`` hold for all steps: the names of one choose among what they leave.
    ``init`` is of the separable ones, where there are such.
    """
    steps = steps_of(variant)
    some = any(is_separable(step.variant) for step in steps)
    for place, step in enumerate(steps):
        init = "fresh" if some and not is_separable(step.variant) else choice.init
        yield step.variant, choice._replace(names=step.names, later=place > 0, init=init)


def is_separable(variant: Variant) -> bool:
    """Whether a convolution becomes a depthwise and a pointwise one."""
    return "depth_multiplier" in variant.options


def rewrite_mixed(
    graph: Graph, variant: Variant | Mixed, only: tuple[str, ...] = (), keep: tuple[str, ...] = ()
) -> Graph:
    """The graph of a spec as ``variant``; ``only`` and ``keep`` hold for all of its steps.

    Raises:
        ConvcostError: a glob matches nothing, or a step doesn't fit.
    """
    for step, chosen in choices(variant, Choice(only, keep)):
        if step.name == "dense":
            from convcost.variants.dense_graph import dense_graph  # noqa: PLC0415  only here

            if only or keep:
                raise ConvcostError(
                    "dense changes everything after a stride: --only and --keep have no meaning "
                    "for it"
                )
            graph = dense_graph(graph, **step.options)  # type: ignore[arg-type]  # its own
        else:
            graph = rewrite(graph, step, chosen_of(graph, chosen))
    return graph
