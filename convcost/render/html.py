"""A report as one HTML file that needs nothing else: no network, no server.

The template escapes whatever a user named; what the scripts read is JSON without a ``<``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from math import prod
from typing import Any, NamedTuple

from convcost.render import cells
from convcost.render.cells import Column
from convcost.render.charts import charts_of
from convcost.render.check_cells import HEADERS, cells_of, state
from convcost.render.module_tree import SUMMED, Module, module_tree
from convcost.render.notes import footnotes
from convcost.render.sections import Section, main_section, more_sections, title
from convcost.render.sentences import sentences, whose
from convcost.report import Report, Row


class Cell(NamedTuple):
    """What stands in a cell, and what it is sorted by."""

    text: str
    key: str
    is_number: bool


class Line(NamedTuple):
    """A row of the table; ``path`` is there where it is a module that can be folded."""

    cells: Sequence[Cell]
    depth: int = 0
    path: str = ""
    parents: Sequence[str] = ()


class Table(NamedTuple):
    """A table for the template; ``is_tree`` where modules can be folded."""

    heading: str
    columns: Sequence[Column]
    lines: Sequence[Line]
    total: Line | None
    is_tree: bool


def render(report: Report) -> str:
    """``report`` with its charts and tables.

    Raises:
        ConvcostError: the packages that draw aren't installed.
    """
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415  this format alone

    pictures = charts_of(report)
    environment = Environment(
        loader=PackageLoader("convcost.render"), autoescape=True, trim_blocks=True
    )
    specs = {picture.key: _spec(picture) for picture in pictures}
    page: str = environment.get_template("report.html").render(
        title=title(report),
        report=report,
        whose=whose,
        pictures=pictures,
        tables=list(_tables(report)),
        sentences=list(sentences(report)),
        notes=list(footnotes(report)) if report.kind != "check" else [],
        specs=json.dumps(specs).replace("<", "\\u003c"),
        vega=_vega() if pictures else "",
    )
    return page


@cache
def _vega() -> str:
    """Vega, Vega-Lite and their embedder, as one script."""
    import vl_convert  # noqa: PLC0415  an extra

    # its stubs want a snippet that isn't needed
    bundle: Any = vl_convert.javascript_bundle
    script: str = bundle()
    return script.replace("</script", "<\\/script")


def _spec(picture: Any) -> dict[str, Any]:
    """A chart that is as wide as the page has room for."""
    spec: dict[str, Any] = picture.chart.to_dict()
    if picture.is_wide:
        spec["width"] = "container"
        spec["params"] = [{"name": one["name"], "expr": "width"} for one in spec.get("params", ())]
    return spec


def _tables(report: Report) -> Iterator[Table]:
    if report.kind == "check":
        yield _limits(report)
        return
    main = main_section(report)
    if not main.columns:
        return
    # some rows, or rows in another order, have no modules around them
    is_tree = report.kind == "profile" and report.selection is None
    tree = module_tree(report.rows).children if is_tree else []
    yield _table(main, tree)
    yield from (_table(section, []) for section in more_sections(report))


def _limits(report: Report) -> Table:
    texts = ((state(limit), *cells_of(limit)) for limit in report.limits)
    lines = [Line([Cell(text, text, is_number=False) for text in row]) for row in texts]
    columns = [Column(header, lambda row: cells.Cell(row.name), right=False) for header in HEADERS]
    return Table("Limits", columns, lines, None, is_tree=False)


def _table(section: Section, tree: Sequence[Module | Row]) -> Table:
    columns = section.columns
    lines = list(_tree_lines(tree, columns, 0, ())) or [_line(row, columns) for row in section.rows]
    total = _line(section.total, columns) if section.total is not None else None
    is_tree = any(line.path for line in lines)
    return Table(section.heading, columns, lines, total, is_tree)


def _tree_lines(
    parts: Sequence[Module | Row], columns: Sequence[Column], depth: int, parents: tuple[str, ...]
) -> Iterator[Line]:
    for part in parts:
        if isinstance(part, Row):
            yield _line(part, columns)._replace(depth=depth, parents=parents)
            continue
        sums = Row(part.path, "standard", "", part.path, (), part.sums())
        found = [_cell(column, sums) if column.key in SUMMED else _EMPTY for column in columns[1:]]
        name = Cell(part.path, part.path, is_number=False)
        yield Line([name, *found], depth, part.path, parents)
        yield from _tree_lines(part.children, columns, depth + 1, (*parents, part.path))


_EMPTY = Cell("", "", is_number=False)


def _line(row: Row, columns: Sequence[Column]) -> Line:
    return Line([_cell(column, row) for column in columns])


def _cell(column: Column, row: Row) -> Cell:
    value = row.values.get(column.key)
    found = value.value if value is not None else None
    sizes = found if isinstance(found, tuple) else (found,)
    if all(isinstance(size, int | float) for size in sizes):
        key = prod(size for size in sizes if isinstance(size, int | float))
        return Cell(str(column.cell(row)), repr(key), is_number=True)
    text = str(column.cell(row))
    return Cell(text, text, is_number=False)
