"""The result of every command: what is saved as JSON and what every renderer takes."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

MOST_OVERHEAD = 3
"""What is slower than so many times its ceilings is bound by neither compute nor memory."""
GLOBAL = "global"
"""The receptive field of an output that sees every position of the input."""

Status = Literal["exact", "measured", "lower_bound", "upper_bound", "unavailable"]
Scalar = int | float | str
Unit = Literal[
    "count",
    "bytes",
    "seconds",
    "positions",
    "share",
    "factor",
    "intensity",
    "word",
    "rate",
    "bandwidth",
]


class Metric(NamedTuple):
    """What a value is: the one place for its label, unit and direction."""

    key: str
    label: str
    unit: Unit
    lower_is_better: bool = True


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric("receptive_field", "receptive field", "positions", lower_is_better=False),
        Metric("effective_stride", "effective stride", "positions"),
        Metric("receptive_field_start", "field start", "positions"),
        Metric("receptive_field_density", "density", "share", lower_is_better=False),
        Metric("receptive_field_largest_hole", "largest hole", "positions"),
        Metric("parameters", "parameters", "count"),
        Metric("multiplications", "multiplications", "count"),
        Metric("fvcore_multiplications", "fvcore", "count"),
        Metric("flop_counter_multiplications", "FlopCounterMode / 2", "count"),
        Metric("parameter_bytes", "parameter bytes", "bytes"),
        Metric("activation_bytes", "activation bytes", "bytes"),
        Metric("peak_activation_bytes", "peak activation bytes", "bytes"),
        Metric("bytes_moved", "bytes moved", "bytes"),
        Metric("arithmetic_intensity", "FLOP per byte", "intensity", lower_is_better=False),
        Metric("feature_map", "last feature map", "positions"),
        Metric("response_share", "positions with a response", "share", lower_is_better=False),
        Metric("largest_difference", "largest difference", "share"),
        Metric("weight_error", "weights' error", "share"),
        Metric("multiplications_saved", "saved", "count", lower_is_better=False),
        Metric("convolutions", "convolutions", "count"),
        Metric("rewritten", "rewritten", "count"),
        Metric("latency", "latency", "seconds"),
        Metric("latency_share", "share", "share"),
        Metric("instrument_ratio", "with the instrument", "factor"),
        Metric("multiplications_ratio", "on paper", "factor"),
        Metric("latency_ratio", "here", "factor"),
        Metric("verdict", "verdict", "word"),
        Metric("smallest_change", "smallest visible change", "share"),
        Metric("ops", "ops", "count"),
        Metric("compute_latency", "arithmetic at best", "seconds"),
        Metric("memory_latency", "memory at best", "seconds"),
        Metric("overhead_latency", "calls at best", "seconds"),
        Metric("attainable_latency", "at best", "seconds"),
        Metric("roofline_share", "of the roofline", "share", lower_is_better=False),
        Metric("bound", "bound by", "word"),
        Metric("memory_bound_layers", "became bound by memory", "word"),
        Metric("multiplications_per_second", "multiplications", "rate", lower_is_better=False),
        Metric("bytes_per_second", "memory", "bandwidth", lower_is_better=False),
        Metric("smallest_latency", "smallest convolution", "seconds"),
        Metric("verdict_first", "verdict at the first", "word"),
        Metric("verdict_last", "verdict at the last", "word"),
        Metric("crossover_after", "crossover after", "count"),
        Metric("crossover_until", "crossover until", "count"),
        Metric("command", "made by", "word"),
        Metric("spec", "spec", "word"),
        Metric("candidates", "candidates", "count"),
        Metric("dominated", "dominated", "count"),
        Metric("search_time", "search", "seconds"),
        Metric("ridge_intensity", "bound by compute from", "intensity"),
    )
}


class Value(NamedTuple):
    """A number and how sure it is.

    ``low``, ``high`` (None with too few ``rounds``), ``confidence``, ``rounds`` and ``minimum``
    belong to ``measured``; ``reason`` says why a value is unavailable or only a bound.
    """

    status: Status
    value: Scalar | tuple[Scalar, ...] | None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    rounds: int | None = None
    minimum: float | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The value as JSON has it: only the keys that its status has."""
        always = {"status", "value"}
        if self.rounds is not None:
            always |= {"low", "high"}
        found = self._asdict()
        kept = {k: v for k, v in found.items() if k in always or v is not None}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}


_ZERO = Value("exact", 0)


def exact(value: Scalar | tuple[Scalar, ...]) -> Value:
    """A value that is known."""
    # most ops multiply nothing and hold no parameters
    return Value("exact", value) if value != 0 or type(value) is not int else _ZERO


def unavailable(reason: str) -> Value:
    """A value that can't be known here."""
    return Value("unavailable", None, reason=reason)


def number(value: Value) -> float:
    """The number that a value holds.

    Raises:
        TypeError: it holds none.
    """
    if not isinstance(value.value, int | float):
        raise TypeError(f"{value} holds no number")
    return value.value


class Row(NamedTuple):
    """One layer, or one variant of the whole; ``settings`` differ from the environment's.

    ``base`` are the values that it had before, where two states are compared.
    """

    name: str
    variant: str
    op: str
    module: str
    output_shape: tuple[int, ...]
    values: Mapping[str, Value]
    settings: Mapping[str, str | int] = {}
    base: Mapping[str, Value] = {}

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON has it."""
        found = self._asdict()
        found["output_shape"] = list(self.output_shape)
        found["values"] = _values_to_dict(self.values)
        found["base"] = _values_to_dict(self.base)
        return _without_empty(found, "settings", "base")


class Finding(NamedTuple):
    """Something that a user must know before the numbers are used.

    What follows ``message`` belongs to a limit that isn't kept: ``expected`` and ``found`` are in
    the metric's unit, or with ``max_increase`` a share; ``change`` is by how much they differ,
    ``note`` the user's own message, ``hint`` what to do, ``file`` and ``line`` where the limit is.
    """

    name: str
    variant: str
    metric: str
    message: str
    level: str = ""
    layer: str = ""
    bound: str = ""
    expected: Scalar | None = None
    found: Scalar | None = None
    change: float | None = None
    note: str = ""
    hint: str = ""
    file: str = ""
    line: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        found = self._asdict()
        always = ("name", "variant", "metric", "message")
        return {k: v for k, v in found.items() if k in always or v not in ("", None)}


Outcome = Literal["kept", "broken", "inconclusive", "skipped", "new"]


class Limit(NamedTuple):
    """A limit of a check and what became of it; ``reason`` says why it wasn't judged.

    ``expected`` is the bound in the metric's unit, with ``max_increase`` a share over ``base``.
    ``layer`` is empty where the limit is of the whole; ``ratio`` is the found latency over that of
    the base; ``note`` is the user's own message.
    """

    name: str
    variant: str
    metric: str
    layer: str
    bound: Literal["max", "min", "max_increase"]
    level: Literal["error", "warn"]
    outcome: Outcome
    expected: int | float
    found: Value | None
    file: str
    line: int
    base: Value | None = None
    ratio: Value | None = None
    reason: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The limit as JSON has it."""
        found = self._asdict()
        for key in ("found", "base", "ratio"):
            found[key] = found[key] and found[key].to_dict()
        return found


Runs = tuple[tuple[int, int], ...]
"""Positions of one axis as runs without holes: the first one, and how many."""


class Seen(NamedTuple):
    """The input positions that one output of a variant's last feature map sees, exactly.

    The output is the one at 0, so positions in the padding are negative. Each of the ``boxes`` is
    a product of one set per spatial axis; their union is what is seen.
    """

    variant: str
    boxes: tuple[tuple[Runs, ...], ...]


class EffectiveField(NamedTuple):
    """How much each part of the input changes the central output of the last feature map.

    ``shares`` are of the whole change, row by row, of cells of ``cell`` input positions (height,
    width; the last ones may be cut). ``field`` has, per axis, the first position and the span of
    the theoretical receptive field; None where that is global.
    """

    cell: tuple[int, int]
    shares: tuple[tuple[float, ...], ...]
    samples: int
    field: Runs | None = None


class Selection(NamedTuple):
    """Which of a profile's rows its report has, as they were asked for.

    Of all ``rows`` those that the glob ``filter`` chose, the largest by the metric ``sort`` first,
    no more than ``top``.
    """

    rows: int
    filter: str | None = None
    sort: str | None = None
    top: int | None = None


class Report(NamedTuple):
    """What a command found out, complete enough to be shown again without running anything.

    ``limits`` are a check's, in the configuration's order; ``base_totals`` belong to a ``diff``;
    ``seen`` has the fields that aren't global; ``selection`` is None where ``rows`` are all there
    are, in the order in which they run.
    """

    kind: Literal["compare", "profile", "check", "diff", "machine", "suggest", "crossover"]
    source: str
    input: tuple[tuple[int, ...], ...]
    environment: Mapping[str, str | int | float | bool | None]
    rows: tuple[Row, ...]
    totals: Mapping[str, Value] = {}
    layers: tuple[Row, ...] = ()
    verification: tuple[Row, ...] = ()
    findings: tuple[Finding, ...] = ()
    notices: tuple[str, ...] = ()
    interrupted: bool = False
    limits: tuple[Limit, ...] = ()
    base_totals: Mapping[str, Value] = {}
    seen: tuple[Seen, ...] = ()
    effective_field: EffectiveField | None = None
    selection: Selection | None = None
    schema_version: Literal[1] = 1

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        found = {
            "schema_version": self.schema_version,
            "kind": self.kind,
            "source": self.source,
            "input": [list(shape) for shape in self.input],
            "environment": dict(self.environment),
            "rows": [row.to_dict() for row in self.rows],
            "totals": _values_to_dict(self.totals),
            "base_totals": _values_to_dict(self.base_totals),
            "layers": [row.to_dict() for row in self.layers],
            "verification": [row.to_dict() for row in self.verification],
            "limits": [limit.to_dict() for limit in self.limits],
            "seen": [seen._asdict() for seen in self.seen],
            "effective_field": self.effective_field and self.effective_field._asdict(),
            "selection": self.selection and self.selection._asdict(),
            "findings": [finding.to_dict() for finding in self.findings],
            "notices": list(self.notices),
            "interrupted": self.interrupted,
        }
        optional = ("base_totals", "limits", "seen", "effective_field", "selection")
        return _without_empty(found, *optional)

    def to_json(self) -> str:
        """The saved form, in ASCII: it passes through a stream of any encoding."""
        import json  # noqa: PLC0415  a start that shows a table needs none

        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"


def _without_empty(found: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Without those of ``keys`` that hold nothing: only some kinds of reports have them."""
    return {key: value for key, value in found.items() if value or key not in keys}


def _values_to_dict(values: Mapping[str, Value]) -> dict[str, Any]:
    return {key: value.to_dict() for key, value in values.items()}
