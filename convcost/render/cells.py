"""What a compare report says in words and cells, shared by the table and markdown."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from convcost.ops import format_shape
from convcost.report import METRICS, Report, Row, Value, number
from convcost.units import (
    FORMATTERS,
    format_apart,
    format_digits,
    format_percent,
    format_seconds_range,
    format_settings,
)

BOUND_SIGNS = {"lower_bound": "≥ ", "upper_bound": "≤ "}


def _number(size: float | str) -> str:
    return format_digits(size) if isinstance(size, float) else str(size)


class Cell(NamedTuple):
    """What a row has in a column; the detail stands behind, after a blank, or below."""

    main: str
    detail: str = ""
    glue: str = " "

    def __str__(self) -> str:
        return self.main + self.glue + self.detail if self.detail else self.main


class Column(NamedTuple):
    """One column: its header, what each row has in it, its side, and the metric that it is of."""

    header: str
    cell: Callable[[Row], Cell]
    right: bool = True
    key: str = ""


def format_value(key: str, value: Value | None) -> str:
    """A value in its metric's unit; ``?`` where it isn't known, with a sign where it is a bound."""
    if value is None:
        return ""
    if value.value is None:
        return "?"
    sign = BOUND_SIGNS.get(value.status, "")
    if isinstance(value.value, tuple):
        return sign + "×".join(map(_number, value.value))
    if isinstance(value.value, str):
        return sign + value.value
    return sign + FORMATTERS[METRICS[key].unit](value.value)


def summary_columns(report: Report) -> list[Column]:
    """The columns of variants side by side, as far as the report has values for them."""
    columns = [Column("variant", _variant, right=False), *_axis_columns(report)]
    if any(row.values["convolutions"].value != 1 for row in report.rows):
        columns.append(Column("rewritten", _rewritten))
    columns += [
        Column(METRICS["receptive_field"].label, _field, key="receptive_field"),
        _plain("parameters"),
        Column(METRICS["multiplications"].label, _multiplications, key="multiplications"),
    ]
    if any("feature_map" in row.values for row in report.rows):
        columns.append(
            Column(
                "peak activations",
                lambda row: Cell(_value("peak_activation_bytes", row)),
                key="peak_activation_bytes",
            )
        )
    if any("latency" in row.values for row in report.rows):
        columns.append(Column(METRICS["latency"].label, _latency, key="latency"))
    columns.append(
        Column(METRICS["multiplications_ratio"].label, _on_paper, key="multiplications_ratio")
    )
    if any("latency_ratio" in row.values for row in report.rows):
        columns.append(Column(METRICS["latency_ratio"].label, compared_here, key="latency_ratio"))
    return columns


def _axis_columns(report: Report) -> Iterator[Column]:
    """A column for each setting in which rows differ."""
    for key, usual in usual_settings(report).items():
        yield Column(key.replace("_", " "), partial(_setting, key=key, usual=usual), right=False)


def usual_settings(report: Report) -> dict[str, object]:
    """The settings in which rows differ, each with its value where a row doesn't say another."""
    # the last row differs from the first in every one of them
    keys = report.rows[-1].settings if report.rows else ()
    return {key: report.environment.get(key) for key in keys}


def _setting(row: Row, key: str, usual: object) -> Cell:
    return Cell(str(row.settings.get(key, usual)))


def row_label(row: Row) -> str:
    """What tells a row from the others: its variant, and the settings that differ."""
    return ", ".join((row.variant, *format_settings(row.settings)))


def design_columns(report: Report) -> list[Column]:
    """The columns of suggested designs: a number for each, and the rest as of variants."""
    numbers = {row.variant: number for number, row in enumerate(report.rows)}
    first = Column("design", lambda row: Cell(design_label(numbers[row.variant])), right=False)
    _, *rest = summary_columns(report)
    strides = {row.values["effective_stride"].value for row in report.rows}
    if len(strides) > 1:
        rest.insert(
            0,
            Column(
                "stride",
                lambda row: Cell(_per_axis("effective_stride", row)),
                key="effective_stride",
            ),
        )
    return [first, *rest]


def design_label(number: int) -> str:
    """What a design is called in its table."""
    return str(number) if number else "as it is"


def crossover_columns(report: Report) -> list[Column]:
    """The columns of a varied layer: the number, both latencies, and how they compare."""
    key = str(report.environment["vary"])
    return [
        Column(key, lambda row: Cell(f"{row.settings[key]:,}")),
        Column("standard", lambda row: _latency(row._replace(values=row.base))),
        Column(report.rows[0].variant, _latency),
        Column(METRICS["multiplications_ratio"].label, _on_paper, key="multiplications_ratio"),
        Column(METRICS["latency_ratio"].label, compared_here, key="latency_ratio"),
    ]


def machine_columns() -> list[Column]:
    """The columns of a machine's ceilings."""
    keys = ("multiplications_per_second", "bytes_per_second", "smallest_latency", "ridge_intensity")
    return [Column("dtype", lambda row: Cell(row.name), right=False), *map(_plain, keys)]


def layer_columns(rows: Iterable[Row]) -> list[Column]:
    """The columns of single layers, as far as they have values for them."""
    rows = list(rows)
    columns = [
        Column("layer", lambda row: Cell(row.name), right=False),
        Column("op", lambda row: Cell(row.op), right=False),
        Column("output", lambda row: Cell(format_shape(row.output_shape))),
        Column(METRICS["receptive_field"].label, _field, key="receptive_field"),
        Column(
            "stride", lambda row: Cell(_per_axis("effective_stride", row)), key="effective_stride"
        ),
        _plain("parameters"),
        _plain("multiplications"),
        Column(
            "activation", lambda row: Cell(_value("activation_bytes", row)), key="activation_bytes"
        ),
        _plain("arithmetic_intensity"),
    ]
    columns += [
        _plain(key)
        for key in ("multiplications_saved", "weight_error")
        if any(key in row.values for row in rows)
    ]
    if any("latency" in row.values for row in rows):
        columns += [
            Column(METRICS["latency"].label, _latency, key="latency"),
            _plain("latency_share"),
        ]
    if any("bound" in row.values for row in rows):
        columns.append(Column(METRICS["bound"].label, _bound))
    return columns


def verification_columns() -> list[Column]:
    """The columns of the second counts."""
    return [
        Column("ops", lambda row: Cell(row.name), right=False),
        Column("convcost", lambda row: Cell(_exactly("multiplications", row))),
        Column("fvcore", lambda row: Cell(_exactly("fvcore_multiplications", row))),
        Column(
            METRICS["flop_counter_multiplications"].label,
            lambda row: Cell(_exactly("flop_counter_multiplications", row)),
        ),
    ]


def _exactly(key: str, row: Row) -> str:
    value = row.values[key]
    return f"{number(value):,}" if value.value is not None else "?"


def _plain(key: str) -> Column:
    return Column(METRICS[key].label, lambda row: Cell(_value(key, row)), key=key)


def _value(key: str, row: Row) -> str:
    return format_value(key, row.values.get(key))


def _per_axis(key: str, row: Row) -> str:
    """A value per axis, once where it is the same on all."""
    value = row.values.get(key)
    if value is not None and isinstance(value.value, tuple) and len(set(value.value)) == 1:
        return _number(value.value[0])
    return format_value(key, value)


def _variant(row: Row) -> Cell:
    name, colon, options = row.variant.partition(":")
    return Cell(name + colon, options, glue="")


def _rewritten(row: Row) -> Cell:
    rewritten, all_of_them = row.values["rewritten"], row.values["convolutions"]
    return Cell(f"{rewritten.value} of {all_of_them.value}")


def _field(row: Row) -> Cell:
    field, density = row.values.get("receptive_field"), row.values.get("receptive_field_density")
    text = format_value("receptive_field", field)
    if density is not None and isinstance(density.value, float) and density.value < 1:
        return Cell(f"{text},", f"{format_percent(density.value)} seen")
    return Cell(text)


def _multiplications(row: Row) -> Cell:
    text = format_value("multiplications", row.values["multiplications"])
    return Cell(f"{text} {mark(row)}".rstrip())


def mark(row: Row) -> str:
    """Whether fvcore's count is ours: a quiet sign, or nothing where it didn't count."""
    second = row.values.get("fvcore_multiplications")
    if second is None or second.value is None:
        return ""
    return "✓" if second.value == row.values["multiplications"].value else "≠"


def _latency(row: Row) -> Cell:
    value = row.values.get("latency")
    if value is None or value.value is None:
        return Cell("")
    text = format_value("latency", value)
    if value.low is None or value.high is None:
        return Cell(text)
    return Cell(text, f"[{format_seconds_range(value.low, value.high, number(value))}]")


def _bound(row: Row) -> Cell:
    if "bound" not in row.values:
        return Cell("")
    return Cell(_value("bound", row), _value("roofline_share", row))


def _on_paper(row: Row) -> Cell:
    if row.variant == "standard" and not row.settings:
        return Cell("–")
    return Cell(*compared(row.values["multiplications_ratio"], "fewer", "more").split())


def compared_here(row: Row) -> Cell:
    """How its latency compares with the reference's."""
    verdict = row.values.get("verdict")
    if verdict is None:
        return Cell("–")
    if verdict.value in ("faster", "slower"):
        return Cell(*compared(row.values["latency_ratio"], "faster", "slower").split())
    return Cell(str(verdict.value))


def compared(ratio: Value, below: str, above: str) -> str:
    """A ratio in words: ``22.8× fewer``, ``1.3× more``, ``same``."""
    if ratio.value is None:
        return "?"
    share = number(ratio)
    if share == 1:
        return "same"
    factor, _ = format_apart("factor", 1 / share if share < 1 else share, 1)
    return f"{factor} {below if share < 1 else above}"
