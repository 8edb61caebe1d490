"""The axes that change the answer, each with several values: what runs at each of their points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from convcost.measure.settings import Settings
from convcost.units import format_settings
from convcost.variants import STANDARD

if TYPE_CHECKING:
    from convcost.workflows.compare import CompareRequest


class Side(NamedTuple):
    """A variant at one point of the axes.

    ``differs`` are the settings in which it differs from the first, ``reference`` the name of what
    it is compared with: standard at the same point, and for that standard at the first.
    """

    variant: str
    differs: Mapping[str, Any]
    settings: Settings
    reference: str | None

    @property
    def name(self) -> str:
        """Its variant, and what tells it from the same variant at other points."""
        return ", ".join((self.variant, *format_settings(self.differs)))


def requests(request: CompareRequest) -> list[tuple[CompareRequest, Mapping[str, Any]]]:
    """The request at each point of its axes, and how each point differs from the first."""
    points = [
        dict(zip(request.axes, values, strict=True)) for values in product(*request.axes.values())
    ]
    return [(_at(request, point), _differing(point, points[0])) for point in points]


def _at(request: CompareRequest, point: Mapping[str, Any]) -> CompareRequest:
    settings = request.settings._replace(**{k: v for k, v in point.items() if k != "batch"})
    return request._replace(batch=point.get("batch", request.batch), settings=settings)


def _differing(point: Mapping[str, Any], first: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in point.items() if value != first[key]}


def sides(
    variants: Iterable[str], settings: Settings, differs: Mapping[str, Any] | None = None
) -> Iterator[Side]:
    """Variants, of which standard is the first, at one point."""
    differs = differs or {}
    standard = Side(str(STANDARD), differs, settings, str(STANDARD) if differs else None)
    for variant in variants:
        is_standard = variant == standard.variant
        yield standard if is_standard else Side(variant, differs, settings, standard.name)
