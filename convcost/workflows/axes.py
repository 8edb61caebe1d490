"""The axes that change the answer, each with several values: what runs at each of their points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from convcost.errors import ConvcostError, show_value
from convcost.measure.settings import RANGES, Settings
from convcost.measure.settings import WORDS as OF_SETTINGS
from convcost.units import format_settings
from convcost.variants import STANDARD

if TYPE_CHECKING:
    from convcost.workflows.compare import CompareRequest

WORDS = {key: words for key, words in OF_SETTINGS.items() if key != "device"}
MOST = {"batch": 1_000_000, "threads": int(RANGES["threads"][1])}


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
    """The request at each point of its axes, and how each point differs from the first.

    Raises:
        ConvcostError: there is no such axis, or it can't have such a value.
    """
    for key, values in {"batch": [request.batch], **request.axes}.items():
        _check(key, values)
    points = [
        dict(zip(request.axes, values, strict=True)) for values in product(*request.axes.values())
    ]
    return [(_at(request, point), _differing(point, points[0])) for point in points]


def varied(request: CompareRequest) -> dict[str, Any]:
    """The first value of each axis that has several: what rows differ from."""
    return {key: values[0] for key, values in request.axes.items() if len(values) > 1}


def layers_notice(request: CompareRequest) -> Iterator[str]:
    """Of which settings the layers are, where there are several."""
    if request.per_layer and varied(request):
        yield "the layers are those of the first settings"


def _check(key: str, values: object) -> None:
    known = (*MOST, *WORDS)
    if key not in known:
        raise ConvcostError(f"{key} is no axis", f"one of {', '.join(known)}")
    option = f"--{key.replace('_', '-')}"
    if not isinstance(values, list | tuple) or not values:
        example = f"({', '.join(map(repr, WORDS.get(key, (1, 2))[:2]))})"
        raise ConvcostError(f"{option}: {show_value(values)} isn't a list", f"such as {example}")
    for value in values:
        if key in WORDS and value not in WORDS[key]:
            raise ConvcostError(
                f"{option}: {show_value(value)} isn't one", f"one of {', '.join(WORDS[key])}"
            )
        if key in MOST and (type(value) is not int or not 1 <= value <= MOST[key]):
            raise ConvcostError(
                f"{option}: {show_value(value)} isn't a whole number from 1 to {MOST[key]:,}",
                f"for example {option} 1 or {option} 1,2",
            )


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
