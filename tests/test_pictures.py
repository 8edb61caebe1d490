"""The HTML report in a browser, the pictures as files, and a report in a notebook."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from cli import convcost, fine, refused
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from convcost import ConvcostError, compare, load, render
from convcost.measure.settings import Settings
from convcost.render.charts import charts_of
from convcost.render.charts.names import apart
from convcost.render.charts.picture import log_ticks
from convcost.report import Finding, Limit, Report, Row, Selection, Value
from convcost.workflows.compare import CompareRequest
from convcost.workflows.compare import compare as run_compare

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no chromium here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured profile of a ResNet-50, and what was made of it."""
    path = tmp_path_factory.mktemp("report")
    names = ("resnet.html", "resnet.json", "resnet.svg", "resnet.png")
    outputs = [word for name in names for word in ("--output", name)]
    model = str(ROOT / "examples" / "resnet.py")
    options = ("--seconds", "1", "--effective-field", "--quiet")
    ran = convcost("profile", model, *options, *outputs, folder=path, timeout=300)
    assert ran.code == 0, ran.err
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page, what it asked for and what its console said."""

    def __init__(self, browser: Browser, file: Path, **options: Any) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page: Page = browser.new_context(**options).new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(file.as_uri())

    def names(self) -> list[str]:
        """The visible rows' names; far from the window they have no inner text yet."""
        return self.page.locator("tbody tr:visible th").all_text_contents()


@needs_browser
def test_the_report_opens_alone_and_draws_all_its_charts(browser: Browser, folder: Path) -> None:
    file = folder / "resnet.html"
    assert file.stat().st_size < 3_000_000
    opened = Opened(browser, file)
    opened.page.evaluate("drawAll()")
    charts = opened.page.locator(".chart")
    keys = charts.evaluate_all("all => all.map(one => one.id)")
    assert {"promise", "roofline", "depth", "field-0", "effective-field"} <= set(keys)
    assert {"icicle-multiplications", "icicle-latency_share"} <= set(keys)
    for place in charts.all():
        place.locator("svg").wait_for()
        opened.page.get_by_role("img", name=_heading(place), exact=True).wait_for()
        assert place.locator("svg path").count() > 3
    assert opened.asked == [file.as_uri()]
    assert opened.said == []


def _heading(chart: Locator) -> str:
    return chart.locator("xpath=..").get_by_role("heading").inner_text()


@needs_browser
def test_rows_are_sorted_filtered_and_folded(browser: Browser, folder: Path) -> None:
    opened = Opened(browser, folder / "resnet.html")
    page = opened.page
    everything = opened.names()
    assert len(everything) > 176
    page.locator("tr[data-module='stages.3'] .fold").click()
    assert len(opened.names()) < len(everything)
    assert not any(name.startswith("stages.3.") for name in opened.names())
    page.get_by_role("button", name="Fold all").click()
    assert opened.names() == ["input", "stem", "stages", "pool", "classifier", "between layers"]
    page.get_by_role("button", name="Open all").click()
    assert opened.names() == everything
    page.get_by_role("button", name="parameters", exact=True).click()
    head = page.locator("thead th", has_text="parameters")
    assert head.get_attribute("aria-sort") == "descending"
    assert opened.names()[0] == "stages.3.0.body.2.0"
    # rows in another order have no modules around them
    assert not page.get_by_role("button", name="Fold all").is_visible()
    page.get_by_role("button", name="In order, by module").click()
    assert opened.names() == everything
    page.get_by_label("Filter by name").fill("shortcut.0")
    assert opened.names() == [f"stages.{stage}.0.shortcut.0" for stage in range(4)]
    assert page.get_by_role("status").text_content() == "4 of 176 rows"


@needs_browser
def test_it_is_used_by_keyboard(browser: Browser, folder: Path) -> None:
    opened = Opened(browser, folder / "resnet.html")
    opened.page.get_by_role("button", name="layer").focus()
    opened.page.keyboard.press("Enter")
    head = opened.page.locator("thead th", has_text="layer")
    assert head.get_attribute("aria-sort") == "ascending"


@needs_browser
def test_a_hostile_name_does_nothing(browser: Browser, folder: Path, tmp_path: Path) -> None:
    report = json.loads((folder / "resnet.json").read_text(encoding="utf-8"))
    report["source"] = f"{HOSTILE}</script><script>document.title='owned'</script>"
    for row in report["rows"][:4]:
        row["name"] = row["module"] = f"{HOSTILE}{row['name']}"
    (tmp_path / "hostile.json").write_text(json.dumps(report), encoding="utf-8")
    ran = convcost("render", "hostile.json", "-q", "-o", "hostile.html", folder=tmp_path)
    assert ran.code == 0, ran.err
    opened = Opened(browser, tmp_path / "hostile.html")
    opened.page.evaluate("drawAll()")
    opened.page.locator("#promise svg").wait_for()
    assert "owned" not in opened.page.evaluate("document.title").split("<img")[0]
    assert opened.page.locator("img").count() == 0
    assert opened.said == []
    assert any(HOSTILE in name for name in opened.names())


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_schemes(browser: Browser, folder: Path, scheme: str) -> None:
    options = {"viewport": {"width": 400, "height": 800}, "color_scheme": scheme}
    opened = Opened(browser, folder / "resnet.html", **options)
    opened.page.evaluate("drawAll()")
    opened.page.locator("#depth svg").wait_for()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 400
    image = Image.open(io.BytesIO(opened.page.screenshot()))
    corner = image.convert("L").getpixel((2, 2))
    assert corner == pytest.approx(255 if scheme == "light" else 24, abs=8)


@needs_browser
def test_a_thousand_rows_open(browser: Browser, folder: Path, tmp_path: Path) -> None:
    report = json.loads((folder / "resnet.json").read_text(encoding="utf-8"))
    rows = report["rows"][1:-1]
    copies = [
        {**row, "name": f"b{i}.{row['name']}", "module": f"b{i}.{row['module']}"}
        for i in range(6)
        for row in rows
    ]
    report["rows"] = copies[:1000]
    (tmp_path / "many.json").write_text(json.dumps(report), encoding="utf-8")
    ran = convcost("render", "many.json", "-q", "-o", "many.html", folder=tmp_path)
    assert ran.code == 0, ran.err
    opened = Opened(browser, tmp_path / "many.html")
    assert len(opened.names()) > 1000
    assert opened.page.get_by_role("status").text_content() == "1000 rows"
    assert opened.said == []


@needs_browser
def test_a_comparison_shows_intervals_and_fields(browser: Browser, tmp_path: Path) -> None:
    spec = str(ROOT / "configs" / "gridding.yaml")
    options = ("--seconds", "1", "--per-layer", "-q", "-o", "grid.html")
    ran = convcost("compare", spec, *options, folder=tmp_path)
    assert ran.code == 0, ran.err
    opened = Opened(browser, tmp_path / "grid.html")
    opened.page.evaluate("drawAll()")
    for key in ("latencies", "ratios", "promise", "depth", "field-0", "field-1"):
        opened.page.locator(f"#{key} svg").wait_for()
    assert opened.asked == [(tmp_path / "grid.html").as_uri()]
    assert opened.said == []


@needs_browser
def test_a_dark_report_prints_dark_on_white(browser: Browser, folder: Path) -> None:
    opened = Opened(browser, folder / "resnet.html", color_scheme="dark")
    opened.page.evaluate("drawAll()")
    label = opened.page.locator("#depth svg text", has_text="layer, in order")
    assert _colour(label) == "rgb(228, 230, 234)"
    opened.page.emulate_media(media="print", color_scheme="dark")
    assert _colour(label) == "rgb(28, 30, 33)"


def _colour(place: Locator) -> object:
    return place.evaluate("one => getComputedStyle(one).fill")


@needs_browser
def test_all_charts_are_there_before_anyone_scrolls(browser: Browser, folder: Path) -> None:
    # a page that is printed at once would have holes where no chart came near the window
    opened = Opened(browser, folder / "resnet.html", viewport={"width": 600, "height": 300})
    opened.page.locator(".chart svg").nth(opened.page.locator(".chart").count() - 1).wait_for()


def test_a_missing_package_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ConvcostError, match="pictures need a package") as caught:
        charts_of(compare(measure=False))
    assert caught.value.hint == "pip install altair vl-convert-python"


def test_pictures_are_drawn_without_a_browser(folder: Path) -> None:
    text = (folder / "resnet.svg").read_text(encoding="utf-8")
    for label in ("Roofline", "Multiplications against latency", "as the paper promises"):
        assert label in text
    # an icicle's bars have names, where there is room for them
    assert {"stages", "2", "3"} <= set(re.findall(r">([^<>]+)</text>", text))
    image = Image.open(folder / "resnet.png").convert("L")
    assert image.width > 1200
    assert image.height > 2000
    low, high = image.getextrema()
    assert (low, high) == (0, 255)


def test_the_effective_field_is_largest_in_the_middle(folder: Path) -> None:
    # Luo et al. 2016: a network that isn't trained weighs the centre of its field most
    field = load(str(folder / "resnet.json")).effective_field
    assert field is not None
    rows, columns = len(field.shares), len(field.shares[0])
    assert sum(map(sum, field.shares)) == pytest.approx(1)
    inner = sum(
        sum(row[columns // 4 : -columns // 4]) for row in field.shares[rows // 4 : -rows // 4]
    )
    assert inner > 0.5
    assert field.field is not None
    assert [span for _, span in field.field] == [427, 427]


def test_seen_positions_are_kept_where_pictures_want_them() -> None:
    spec = str(ROOT / "configs" / "gridding.yaml")
    found = run_compare(CompareRequest(spec, measure=False, pictures=True)).seen
    atrous = next(seen for seen in found if seen.variant == "atrous:rate=2")
    assert atrous.boxes == ((tuple((i, 1) for i in range(-6, 7, 2)),) * 2,)
    assert compare(spec, measure=False).seen == ()


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "--no-measure"),
        ("show",),
        ("profile", str(ROOT / "examples" / "resnet.py"), "--no-measure"),
    ],
    ids=lambda command: command[0],
)
def test_a_saved_report_is_drawn_as_its_command_draws_it(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "saved.json").write_text(
        fine(*command, "--quiet", "--format", "json"), encoding="utf-8"
    )
    drawn = fine("render", "saved.json", "--quiet", "--format", "svg", folder=tmp_path)
    told = {"show": ("compare", "--no-measure", "--per-layer")}.get(command[0], command)
    there = fine(*told, "--quiet", "--format", "svg")
    # what is clipped has another number in each process
    one, other = (re.sub(r"clip\d+", "clip", text) for text in (drawn, there))
    assert one == other


def test_a_report_in_a_notebook_is_a_table() -> None:
    report = compare(str(ROOT / "configs" / "gridding.yaml"), measure=False)
    page = report._repr_html_()  # type: ignore[attr-defined]
    assert page.count("<tr>") == 1 + len(report.rows)
    assert '<td style="text-align: right">7×7</td>' in page
    assert "<script" not in page
    found = report._replace(findings=(Finding("net", "standard", "multiplications", "a & b"),))
    assert "a &amp; b</strong>" in found._repr_html_()  # type: ignore[attr-defined]
    # a cell has no standard error
    noticed = report._replace(notices=("these latencies are not to be trusted",))
    assert "not to be trusted" in noticed._repr_html_()  # type: ignore[attr-defined]
    hostile = report._replace(rows=tuple(row._replace(name=HOSTILE) for row in report.rows))
    assert "<img" not in hostile._repr_html_()  # type: ignore[attr-defined]


def test_a_report_without_numbers_to_draw_says_so(tmp_path: Path) -> None:
    ran = convcost("machine", "--dtype", "float32", "-o", "machine.json", folder=tmp_path)
    assert ran.code == 0, ran.err
    assert "nothing in this report to draw" in refused(
        "render", "machine.json", "-o", "machine.svg", folder=tmp_path
    )


def test_a_diff_without_a_change_is_a_page_and_no_picture(tmp_path: Path) -> None:
    spec = str(ROOT / "configs" / "primer.yaml")
    page = fine("diff", spec, spec, "--format", "html", "--output", "diff.json", folder=tmp_path)
    assert "nothing differs" in page
    assert "nothing differs" in fine("render", "diff.json", "--format", "html", folder=tmp_path)
    told = refused("render", "diff.json", "--format", "svg", folder=tmp_path)
    assert "nothing in this report to draw" in told


def test_a_diffs_layers_are_drawn_as_no_variants() -> None:
    values = {
        "multiplications": Value("exact", 10),
        "latency": Value("measured", 1e-3, 0.9e-3, 1.1e-3, 0.99, 20, 0.9e-3),
    }
    rows = tuple(Row(name, "standard", "conv", "", (1,), values, base=values) for name in "ab")
    report = Report("diff", "a → b", (), {}, rows, totals=values, base_totals=values)
    assert [picture.key for picture in charts_of(report)] == []


def _profile(*names: str, of: int, sort: str | None = None) -> Report:
    """Some of the rows of a profile whose ``of`` rows multiply 10 times each."""
    values = {
        "multiplications": Value("exact", 10),
        "receptive_field": Value("exact", (3, 3)),
        "effective_stride": Value("exact", (1, 1)),
    }
    rows = tuple(Row(name, "standard", "conv", name, (1, 8), values) for name in names)
    chosen = Selection(of, None, sort, len(names))
    totals = {"multiplications": Value("exact", 10 * of)}
    return Report("profile", "net.py", ((1, 3),), {}, rows, totals, selection=chosen)


def test_shares_of_some_rows_are_of_the_whole_and_no_modules() -> None:
    report = _profile("blocks.1", "blocks.0", of=8, sort="multiplications")
    (icicle,) = charts_of(report)
    assert icicle.key == "icicle-multiplications"
    assert "blocks.1 12 %, blocks.0 12 %." in icicle.description
    # all rows in another order are whole modules still
    (sorted_all,) = charts_of(_profile("blocks.1", "blocks.0", "c", of=3, sort="multiplications"))
    assert "blocks 67 %, c 33 %." in sorted_all.description
    page = render(report, "html")
    assert "data-module" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert page.count("the first 2 of 8 rows, sorted by multiplications") > 1


def test_depth_is_drawn_of_all_rows_in_running_order_only() -> None:
    def drawn(report: Report) -> set[str]:
        return {picture.key for picture in charts_of(report)}

    whole = _profile("blocks.0", "blocks.1", of=2)
    assert "depth" in drawn(whole._replace(selection=None))
    assert "depth" not in drawn(_profile("blocks.0", "blocks.1", of=3))
    assert "depth" not in drawn(_profile("blocks.0", "blocks.1", of=2, sort="parameters"))


def test_html_of_a_check_shows_what_broke(tmp_path: Path) -> None:
    (tmp_path / "convcost.yaml").write_text(
        f"version: 1\nchecks:\n  - name: primer\n    source: {ROOT / 'configs' / 'primer.yaml'}\n"
        "    limits: {parameters: {max: 10}}\n",
        encoding="utf-8",
    )
    ran = convcost("check", "--format", "html", "--output", "check.svg", folder=tmp_path)
    assert ran.code == 1, ran.err
    assert "convcost.yaml: 1 broken" in (tmp_path / "check.svg").read_text(encoding="utf-8")
    assert "How close the limits are" in ran.out
    assert "Broken: primer: parameters." in ran.out
    assert re.search(r"<td[^>]*>broken</td>|<th[^>]*>broken</th>", ran.out)
    assert "<strong>error</strong> primer: parameters: found" in ran.out


def test_a_limit_that_only_warns_is_not_said_to_be_broken() -> None:
    def limit(layer: str, level: Literal["error", "warn"]) -> Limit:
        found = Value("exact", 9)
        return Limit(
            "net", "standard", "parameters", layer, "max", level, "broken", 3, found, "c", 1
        )

    limits = (limit("stem", "error"), limit("head", "warn"))
    rows = (Row("net", "standard", "check", "", (), {}),)
    report = Report("check", "c", (), {}, rows, limits=limits)
    (picture,) = charts_of(report)
    assert picture.title == "How close the limits are"
    told = " Broken: net: stem: parameters. Warned: net: head: parameters. "
    assert told in picture.description


def test_variants_stand_in_the_reports_order_in_each_chart() -> None:
    names = ("standard", "b", "c", "a")
    chart = next(p for p in charts_of(_compared(names)) if p.key == "ratios").chart.to_dict()
    sorts = [
        part["encoding"]["y"]["sort"]
        for layer in chart["layer"]
        for part in layer.get("layer", [layer])
        if "y" in part["encoding"]
    ]
    assert sorts == [["b", "c", "a"]] * 4


def _compared(names: Sequence[str]) -> Report:
    """Variants that were timed and are as fast as they should be on paper."""
    one = {
        "latency": Value("measured", 0.001, 0.0009, 0.0011),
        "latency_ratio": Value("measured", 1.0, 0.99, 1.01),
        "verdict": Value("measured", "same"),
        "multiplications_ratio": Value("exact", 1.0),
    }
    first = {"latency": one["latency"]}
    values = [first, *[one] * (len(names) - 1)]
    rows = [
        Row("layer", name, "conv", "", (1, 8), of) for name, of in zip(names, values, strict=True)
    ]
    return Report("compare", "layer.yaml", ((1, 8),), {}, tuple(rows), {})


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (2e6, 1.2e8, [2e6, 5e6, 1e7, 2e7, 5e7, 1e8]),
        (1e3, 5e7, [1e3, 1e4, 1e5, 1e6, 1e7]),
        (0.93, 1.09, [0.9, 0.95, 1.0, 1.05, 1.1]),
        (7, 7, [5, 6, 7, 8, 9, 10]),
    ],
)
def test_ticks_are_round_and_few(low: float, high: float, ticks: Sequence[float]) -> None:
    found = log_ticks(low, high)
    assert set(ticks) <= set(found)
    assert sum(low <= tick <= high for tick in found) <= 7


def test_names_are_a_line_apart_and_none_is_moved_down() -> None:
    moved = apart([10.0, 10.1, 1000.0, 10.2], 100.0)
    gap = 100**0.07
    assert moved == pytest.approx([10, 10 * gap, 1000, 10 * gap**2])


def test_html_is_the_same_from_python() -> None:
    report = compare(measure=False, settings=Settings())
    assert render(report, "html").startswith("<!doctype html>")


@pytest.mark.parametrize("shown", ["table", "json", "csv", "markdown", "html"])
@pytest.mark.parametrize(
    "command",
    [
        ("machine", "--dtype", "float32"),
        ("suggest", "gridding.yaml", "--min-receptive-field", "27", "--seconds", "0.3"),
        ("crossover", "--vary", "out_channels=8:9", "--seconds", "0.2"),
    ],
    ids=lambda command: command[0],
)
def test_every_kind_of_report_renders_again(
    saved: Mapping[tuple[str, ...], Path], command: tuple[str, ...], shown: str
) -> None:
    file = saved[command]
    ran = convcost("render", file.name, "--format", shown, "-q", folder=file.parent)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, ...], Path]:
    """A report of each command, run when it is first asked for."""
    return _Saved(tmp_path_factory.mktemp("saved"))


class _Saved(dict[tuple[str, ...], Path]):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        shutil.copy(ROOT / "configs" / "gridding.yaml", folder)

    def __missing__(self, command: tuple[str, ...]) -> Path:
        file = self._folder / f"{command[0]}.json"
        ran = convcost(*command, "-q", "-o", file.name, folder=self._folder)
        assert ran.code == 0, ran.err
        self[command] = file
        return file
