"""One literal report, one full expected text for each format."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli import convcost, fine, refused

from convcost import ConvcostError, Finding, Report, Row, Value, compare, load, render
from convcost.render import FORMATS, format_of
from convcost.render.clauses import bound_by
from convcost.report import Selection


def exact(value: object) -> Value:
    return Value("exact", value)  # type: ignore[arg-type]


def row(variant: str, **values: Value) -> Row:
    common = {"convolutions": exact(1), "rewritten": exact(int(variant != "standard"))}
    return Row("primer", variant, "conv", "", (1, 256, 8, 8), {**common, **values})


REPORT = Report(
    kind="compare",
    source="primer.yaml",
    input=((1, 3, 12, 12),),
    environment={
        "processor": "A processor",
        "device": "cpu",
        "threads": 2,
        "dtype": "float32",
        "memory_format": "contiguous",
        "torch": "2.13.0",
        "rounds": 40,
        "delta": 0.03,
    },
    rows=(
        row(
            "standard",
            receptive_field=exact((5, 5)),
            receptive_field_density=exact(1.0),
            parameters=exact(19_456),
            multiplications=exact(1_228_800),
            fvcore_multiplications=exact(1_228_800),
            multiplications_ratio=exact(1.0),
            latency=Value("measured", 72.4e-6, 71.0e-6, 73.0e-6, 0.99, 40, 70e-6),
        ),
        row(
            "atrous:rate=2",
            receptive_field=exact((9, 9)),
            receptive_field_density=exact(25 / 81),
            parameters=exact(19_456),
            multiplications=exact(1_228_800),
            fvcore_multiplications=Value("exact", 0, reason="fvcore counts 0 for string padding"),
            multiplications_ratio=exact(1.0),
            latency=Value("measured", 73.1e-6, 71.5e-6, 75.0e-6, 0.99, 40, 70e-6),
            latency_ratio=Value("measured", 1.01, 0.98, 1.05, 0.9967, 40, 0.97),
            verdict=Value("measured", "inconclusive"),
            smallest_change=Value("measured", 0.1),
        ),
        row(
            "separable",
            receptive_field=exact((5, 5)),
            receptive_field_density=exact(1.0),
            parameters=exact(1_099),
            multiplications=exact(53_952),
            fvcore_multiplications=exact(53_952),
            multiplications_ratio=exact(53_952 / 1_228_800),
            latency=Value("measured", 88.0e-6, 87.0e-6, 89.0e-6, 0.99, 40, 80e-6),
            latency_ratio=Value("measured", 1.22, 1.2, 1.24, 0.9967, 40, 1.1),
            verdict=Value("measured", "slower"),
            smallest_change=Value("measured", 0.06),
        ),
    ),
    findings=(Finding("primer", "separable", "multiplications", "an <odd> | count"),),
    notices=("a notice",),
)

TABLE = """\
primer: input 1×3×12×12, output 1×256×8×8

variant        receptive field  parameters  multiplications              latency     on paper          here
standard                   5×5      19.5 k         1.23 M ✓  72.4 µs [71.0–73.0]            –             –
atrous:rate=2   9×9, 31 % seen      19.5 k         1.23 M ≠  73.1 µs [71.5–75.0]         same  inconclusive
separable                  5×5       1,099         54.0 k ✓  88.0 µs [87.0–89.0]  22.8× fewer  1.22× slower

atrous:rate=2: on paper as many multiplications over a field of 9×9 in place of 5×5; here inconclusive (0.980× to 1.05×
of standard's time): this run could only have seen a change of 10 % or more.
separable: on paper 22.8× fewer multiplications (54.0 k for 1.23 M); here 1.22× slower (1.20× to 1.24× of standard's
time); the saving on paper does not arrive.
finding: primer, separable: an <odd> | count
A processor, cpu, 2 threads, float32, contiguous, torch 2.13.0; 40 rounds with warm caches, 99 % intervals in brackets
✓ fvcore counts the same
≠ atrous:rate=2: fvcore counts 0 for string padding
"""  # noqa: E501  as wide as it is printed

MARKDOWN = """\
**primer: input 1×3×12×12, output 1×256×8×8**

| variant | receptive field | parameters | multiplications | latency | on paper | here |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| standard | 5×5 | 19.5 k | 1.23 M ✓ | 72.4 µs \\[71.0–73.0\\] | – | – |
| atrous:rate=2 | 9×9, 31 % seen | 19.5 k | 1.23 M ≠ | 73.1 µs \\[71.5–75.0\\] | same | inconclusive |
| separable | 5×5 | 1,099 | 54.0 k ✓ | 88.0 µs \\[87.0–89.0\\] | 22.8× fewer | 1.22× slower |

- **atrous:rate=2**: on paper as many multiplications over a field of 9×9 in place of 5×5; here \
inconclusive (0.980× to 1.05× of standard's time): this run could only have seen a change of 10 % \
or more.
- **separable**: on paper 22.8× fewer multiplications (54.0 k for 1.23 M); here 1.22× slower \
(1.20× to 1.24× of standard's time); the saving on paper does not arrive.
- **finding**: primer, separable: an \\<odd\\> \\| count

A processor, cpu, 2 threads, float32, contiguous, torch 2.13.0; 40 rounds with warm caches, 99 % intervals in brackets

✓ fvcore counts the same

≠ atrous:rate=2: fvcore counts 0 for string padding
"""  # noqa: E501  as wide as it is written

CSV = """\
name,variant,op,output_shape,receptive_field,receptive_field_density,parameters,multiplications,\
fvcore_multiplications,convolutions,rewritten,latency,latency_low,latency_high,\
multiplications_ratio,latency_ratio,latency_ratio_low,latency_ratio_high,verdict,smallest_change
primer,standard,conv,1x256x8x8,5x5,1.0,19456,1228800,1228800,1,0,7.24e-05,7.1e-05,7.3e-05,1.0,,,,,
primer,atrous:rate=2,conv,1x256x8x8,9x9,0.30864197530864196,19456,1228800,0,1,1,7.31e-05,\
7.15e-05,7.5e-05,1.0,1.01,0.98,1.05,inconclusive,0.1
primer,separable,conv,1x256x8x8,5x5,1.0,1099,53952,53952,1,1,8.8e-05,8.7e-05,8.9e-05,\
0.04390625,1.22,1.2,1.24,slower,0.06
"""


def without_trailing_blanks(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_table() -> None:
    assert without_trailing_blanks(render(REPORT, "table")) == TABLE


def test_markdown() -> None:
    assert render(REPORT, "markdown") == MARKDOWN


def test_csv() -> None:
    assert render(REPORT, "csv") == CSV


def test_json_is_the_contract() -> None:
    data = json.loads(render(REPORT, "json"))
    assert data["schema_version"] == 1
    assert data["kind"] == "compare"
    assert data["input"] == [[1, 3, 12, 12]]
    values = data["rows"][1]["values"]
    assert values["receptive_field"] == {"status": "exact", "value": [9, 9]}
    assert values["latency"] == {
        "status": "measured",
        "value": 73.1e-6,
        "low": 71.5e-6,
        "high": 75.0e-6,
        "confidence": 0.99,
        "rounds": 40,
        "minimum": 70e-6,
    }
    assert data["findings"] == [
        {
            "name": "primer",
            "variant": "separable",
            "metric": "multiplications",
            "message": "an <odd> | count",
        }
    ]


def test_too_few_rounds_leave_null_ends_in_the_json() -> None:
    value = Value("measured", 1.0, None, None, 0.99, 3, 0.9)
    assert value.to_dict()["low"] is None
    assert value.to_dict()["high"] is None


def test_a_saved_report_comes_back_the_same(tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(REPORT.to_json(), encoding="utf-8")
    assert load(str(saved)) == REPORT


def doubted(*reasons: str) -> Report:
    """``REPORT`` whose variants can't be trusted, each for its own reasons."""
    rows = [
        row._replace(
            values={**row.values, "verdict": Value("measured", "untrusted", reason=reason)}
        )
        for row, reason in zip(REPORT.rows[1:], reasons, strict=True)
    ]
    return REPORT._replace(rows=(REPORT.rows[0], *rows))


def test_a_doubt_that_variants_share_is_told_once() -> None:
    text = render(doubted("others took the CPU", "it drifted; others took the CPU"), "table")
    assert text.count("others took the CPU") == 1
    assert "\nuntrusted: others took the CPU.\n" in text
    assert "here not to be trusted.\n" in text
    assert "here not to be trusted: it drifted.\n" in text


def test_a_doubt_of_one_variant_stands_in_its_sentence() -> None:
    text = render(doubted("it drifted", "others took the CPU"), "table")
    assert "here not to be trusted: it drifted." in text
    assert "here not to be trusted: others took the CPU." in text
    assert "\nuntrusted: " not in text


def test_a_doubt_that_some_share_names_them() -> None:
    three = doubted("a; b", "a")
    extra = three.rows[1]._replace(
        variant="third",
        values={**three.rows[1].values, "verdict": Value("measured", "untrusted", reason="c")},
    )
    text = render(three._replace(rows=(*three.rows, extra)), "table")
    assert "\nuntrusted: atrous:rate=2 and separable: a.\n" in text
    assert "here not to be trusted: c." in text


def short(value: Value, keys: Sequence[str], key: str) -> Value:
    return value._replace(low=None, high=None) if key in keys else value


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("latency", "latency_ratio"), "40 rounds with warm caches: too few for an interval, give"),
        (("latency_ratio",), "99 % intervals in brackets: too few for some, give"),
    ],
)
def test_too_few_rounds_are_told_once_with_what_to_do(keys: Sequence[str], said: str) -> None:
    verdict = Value("measured", "inconclusive")
    rows = []
    for one in REPORT.rows:
        values = {key: short(value, keys, key) for key, value in one.values.items()}
        values.pop("smallest_change", None)
        judged = {"verdict": verdict} if "verdict" in values else {}
        rows.append(one._replace(values={**values, **judged}))
    text = render(REPORT._replace(rows=tuple(rows)), "markdown")
    assert text.count("here inconclusive: too few rounds") == 2
    assert f"{said} it more time with --seconds\n" in text


@pytest.mark.parametrize("format", ["table", "markdown", "html"])
def test_a_finding_names_a_variant_only_where_there_are_some(format: str) -> None:  # noqa: A002
    finding = Finding("layer", "standard", "multiplications", "fvcore counts 0")
    profile = Report("profile", "net.py", (), {}, REPORT.rows[:1], findings=(finding,))
    assert "layer: fvcore counts 0" in render(profile, format)
    compared = REPORT._replace(findings=(finding,))
    assert "layer, standard: fvcore counts 0" in render(compared, format)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (
            0.5,
            "bound by overhead: calling its one op takes 10.0 µs at best, all arithmetic 4.00 µs",
        ),
        (0.2, "slower than three times its roofline: calls, arithmetic and memory would"),
    ],
)
def test_what_is_slow_beyond_its_calls_is_not_said_to_be_bound_by_them(
    share: float, said: str
) -> None:
    values = {
        "bound": exact("overhead"),
        "ops": exact(1),
        "compute_latency": exact(4e-6),
        "memory_latency": exact(2e-6),
        "overhead_latency": exact(10e-6),
        "attainable_latency": exact(10e-6),
        "roofline_share": exact(share),
    }
    told = bound_by(row("standard", **values))
    assert told.startswith(said)
    assert told.endswith(f"({share:.0%} of the roofline)".replace("%", " %"))


def shown(report: Path, columns: int) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "convcost", "render", str(report)],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": str(columns), "PATH": "", "PYTHONIOENCODING": "utf-8"},
    )
    return without_trailing_blanks(result.stdout)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "saved.json"
    path.write_text(REPORT.to_json(), encoding="utf-8")
    return path


def test_eighty_columns_put_details_below(saved: Path) -> None:
    assert shown(saved, 80).splitlines()[2:11] == [
        "          receptive                multi-                on",
        "variant       field parameters plications     latency paper         here",
        "standard        5×5     19.5 k   1.23 M ✓     72.4 µs     –            –",
        "                                          [71.0–73.0]",
        "atrous:        9×9,     19.5 k   1.23 M ≠     73.1 µs  same inconclusive",
        "rate=2    31 % seen                       [71.5–75.0]",
        "separable       5×5      1,099   54.0 k ✓     88.0 µs 22.8×        1.22×",
        "                                          [87.0–89.0] fewer       slower",
        "",
    ]


def test_forty_columns_make_a_block_of_each_row(saved: Path) -> None:
    assert shown(saved, 40).splitlines()[3:11] == [
        "variant          standard",
        "receptive field  5×5",
        "parameters       19.5 k",
        "multiplications  1.23 M ✓",
        "latency          72.4 µs [71.0–73.0]",
        "on paper         –",
        "here             –",
        "",
    ]


def test_each_suffix_tells_a_known_format() -> None:
    suffixes = (".txt", ".json", ".csv", ".md", ".html", ".svg", ".png")
    assert {format_of(f"report{suffix}") for suffix in suffixes} == set(FORMATS)


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(ConvcostError) as error:
        render(REPORT, "pdf")
    assert error.value.hint == "formats: table, json, csv, markdown, html, svg"


@pytest.mark.parametrize(
    ("format", "told"),
    [
        ("png", "png is no text\n  hint: write a file: --output report.png\n"),
        ("junit", "no format 'junit' of a compare\n  hint: formats: table, json, csv, mark"),
        ("pdf", "no format 'pdf' of a report\n  hint: formats: table, json, csv, markdown, html, "),
    ],
)
def test_render_refuses_what_standard_output_has_not_before_it_writes(
    format: str,  # noqa: A002  the option's name
    told: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "saved.json").write_text(render(REPORT, "json"), encoding="utf-8")
    said = refused("render", "saved.json", "--format", format, "-o", "a.md", folder=tmp_path)
    assert told in said
    assert not (tmp_path / "a.md").exists()


def test_a_report_of_a_source_with_control_characters_is_shown_again(tmp_path: Path) -> None:
    spec = tmp_path / "a\x1b[31m.yaml"
    spec.write_text("version: 1\ninput: [3, 8, 8]\nlayers: [{relu: {}}]\n", encoding="utf-8")
    report = compare(str(spec), measure=False)
    saved = tmp_path / "report.json"
    saved.write_text(report.to_json(), encoding="ascii")
    assert load(str(saved)) == report
    assert report.source.endswith("a\\x1b[31m.yaml")


def diffed(folder: Path, base: dict[str, Value], head: dict[str, Value]) -> list[str]:
    """The lines of a diff of two profiles of one layer, whose totals are its values."""
    for name, values in (("base", base), ("head", head)):
        rows = [Row("a", "standard", "conv", "a", (1, 8), values)]
        if "latency" in values:
            rows.append(Row("between layers", "standard", "overhead", "", (), values))
        profile = Report("profile", "net.py", ((1, 3),), {}, tuple(rows), totals=values)
        (folder / f"{name}.json").write_text(profile.to_json())
    return fine("diff", "base.json", "head.json", folder=folder).splitlines()


def test_a_diff_of_some_rows_only_is_refused(tmp_path: Path) -> None:
    some = Selection(rows=3, top=1)
    report = Report("profile", "net.py", (), {}, REPORT.rows[:1], selection=some)
    (tmp_path / "some.json").write_text(report.to_json(), encoding="utf-8")
    told = refused("diff", "some.json", "some.json", folder=tmp_path)
    assert "some.json: has only 1 of 3 rows" in told
    assert "--top" in told


def lower(value: int) -> Value:
    return Value("lower_bound", value, reason="an op that nobody knows")


@pytest.mark.parametrize(
    ("base", "head", "told"),
    [
        (lower(6912), lower(13824), "≥ 6,912 → ≥ 13.8 k"),
        (exact(6912), lower(6912), "6,912 → ≥ 6,912"),
        (lower(6912), exact(6920), "≥ 6,912 → 6,920"),
        (Value("unavailable", None, reason="why"), exact(6912), "? → 6,912"),
        (exact(6912), exact(13824), "+6,912 (6,912 → 13.8 k, +100 %)"),
    ],
)
def test_a_diff_tells_what_is_only_a_bound(
    base: Value, head: Value, told: str, tmp_path: Path
) -> None:
    title, _, _, row, total = diffed(
        tmp_path, {"multiplications": base}, {"multiplications": head}
    )[:5]
    assert title.endswith(": 1 layer differs")
    assert (row.split(), total.split()) == (["a", *told.split()], ["total", *told.split()])


def test_a_diff_has_no_row_for_what_was_measured_on_one_side_only(tmp_path: Path) -> None:
    counted = {"multiplications": exact(6912)}
    timed = {
        "latency": Value("measured", 1e-3, 0.9e-3, 1.1e-3, 0.99, 20, 0.9e-3),
        "ops": exact(1),
        "attainable_latency": Value("measured", 1e-4),
    }
    lines = diffed(tmp_path, counted, counted | timed)
    assert lines[0].endswith(": nothing differs")
    assert "latency" not in "".join(lines)
    unknown = {"latency": Value("unavailable", None, reason="is called by another module")}
    assert diffed(tmp_path, counted | timed, counted | unknown)[0].endswith(": no layers differ")


def changed(name: str, **sizes: tuple[int, int]) -> Row:
    """A row of a diff: each metric before and after."""
    old, new = ({key: exact(ends[i]) for key, ends in sizes.items()} for i in (0, 1))
    return Row(name, "standard", "conv", name, (1, 8), new, base=old)


def test_layers_whose_difference_no_column_shows_are_counted_below() -> None:
    rows = (
        changed("conv", parameters=(10, 20), bytes_moved=(1, 2)),
        changed("relu", parameters=(0, 0), bytes_moved=(1, 2)),
        changed("relu2", parameters=(0, 0), bytes_moved=(1, 2)),
    )
    text = render(Report("diff", "a → b", (), {}, rows), "markdown")
    assert "**a → b: 3 layers differ**" in text
    assert "| conv |" in text
    assert "| relu" not in text
    assert "2 of them differ only in bytes moved, and so not in the table" in text


@pytest.mark.parametrize("format", ["table", "markdown", "html"])
def test_a_diff_without_a_change_has_no_table(format: str) -> None:  # noqa: A002
    whole = {"parameters": exact(10)}
    text = render(Report("diff", "a → b", (), {}, (), whole, base_totals=whole), format)
    assert "nothing differs" in text
    assert "layer" not in re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)
    assert "nothing differs" in Report("diff", "a → b", (), {}, ())._repr_html_()  # type: ignore[attr-defined]


def test_a_comparison_beside_its_source_is_standard_alone(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(
        "version: 1\ninput: [3, 8, 8]\nlayers: [{conv: {out_channels: 8, kernel_size: 3}}]\n"
    )
    options = ("--no-measure", "--output", "compared.json", "--quiet")
    fine("compare", "net.yaml", *options, folder=tmp_path)
    told = refused("diff", "compared.json", "net.yaml", folder=tmp_path)
    assert "compare --per-layer" in told
    fine("compare", "net.yaml", "--per-layer", *options, folder=tmp_path)
    assert "nothing differs" in fine("diff", "compared.json", "net.yaml", folder=tmp_path)


IMAGES = "import torch\nnet = torch.nn.Conv2d(3, 8, 3)\n"


def saved_profile(folder: Path, size: str, name: str) -> None:
    options = ("--input", size, "--no-measure", "--quiet", "--output", name)
    fine("profile", "net.py", *options, folder=folder)


def test_a_diff_says_that_the_inputs_differ(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(IMAGES)
    for size in ("1x3x9x9", "1x3x12x12"):
        saved_profile(tmp_path, size, f"{size}.json")
    ran = convcost("diff", "1x3x9x9.json", "1x3x12x12.json", folder=tmp_path)
    assert ran.err == "note: the inputs differ: 1×3×9×9 and 1×3×12×12\n"
    (tmp_path / "net.py").write_text(f"{IMAGES}example_inputs = (1, 3, 20, 20)\n")
    ran = convcost("diff", "net.py", "1x3x9x9.json", folder=tmp_path)
    assert ran.err == "note: the inputs differ: 1×3×20×20 and 1×3×9×9\n"


def test_a_diff_counts_a_source_without_input_as_the_saved_report(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(IMAGES)
    saved_profile(tmp_path, "1x3x9x9", "saved.json")
    for sides in (("saved.json", "net.py"), ("net.py", "saved.json")):
        ran = convcost("diff", *sides, folder=tmp_path)
        assert "nothing differs" in ran.out
        assert ran.err == "note: no input given: 1×3×9×9 of the saved report is assumed\n"


def test_a_diff_guesses_anew_where_the_saved_report_guessed(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(IMAGES)
    fine("profile", "net.py", "--no-measure", "-q", "--output", "saved.json", folder=tmp_path)
    (tmp_path / "net.py").write_text(IMAGES.replace("3, 8", "4, 8"))
    ran = convcost("diff", "saved.json", "net.py", folder=tmp_path)
    assert "the inputs differ: 1×3×224×224 and 1×4×224×224" in ran.err


def test_a_file_called_as_a_part_of_torch_is_in_no_ones_way(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(f"import cuda\n{IMAGES}example_inputs = (1, 3, 9, 9)\n")
    (tmp_path / "cuda.py").write_text("import torch\nfrom torch import nn\n")
    assert "nothing differs" in fine("diff", "net.py", "net.py", folder=tmp_path)


def test_print_shows_a_report_as_its_table() -> None:
    report = Report("diff", "a → b", (), {}, ())
    assert str(report) == render(report, "table")
    assert repr(report).startswith("Report(kind='diff'")


def test_print_shows_the_notices_too() -> None:
    report = Report("diff", "a → b", (), {}, (), notices=("first", "second"))
    assert str(report) == f"note: first\nnote: second\n{render(report, 'table')}"


def test_a_diff_that_has_no_room_keeps_what_layers_have(tmp_path: Path) -> None:
    rows = tuple(
        changed(f"layer{i}", parameters=(1_000, 2_000), multiplications=(10_000, 20_000))
        for i in range(6)
    )
    peak = "peak_activation_bytes"
    totals = ({peak: exact(size)} for size in (9_000, 8_000))
    report = Report("diff", "a → b", (), {}, rows, next(totals), base_totals=next(totals))
    (tmp_path / "diff.json").write_text(report.to_json(), encoding="utf-8")
    text = shown(tmp_path / "diff.json", 60)
    assert "left out, for there is no room: peak activation bytes" in text
    assert "parameters" in text


@pytest.mark.parametrize("width", [30, 60, 120])
def test_a_name_too_long_for_a_line_breaks_between_its_parts(width: int, tmp_path: Path) -> None:
    parts = [f"stage{i}.block.conv.*" for i in range(9)]
    name = f"separable@{'|'.join(parts)}+atrous:rate=2@head"
    named = REPORT.rows[2]._replace(variant=name)
    more = {"effective_stride": exact((1, 1)), "bytes_moved": exact(1)}
    rows = (row._replace(values={**row.values, **more}) for row in (REPORT.rows[0], named))
    report = REPORT._replace(kind="suggest", rows=tuple(rows), findings=())
    (tmp_path / "suggest.json").write_text(report.to_json(), encoding="utf-8")
    text = shown(tmp_path / "suggest.json", width)
    assert "\n1: separable@" in text
    assert all(part in text for part in parts)


def test_a_field_that_is_not_known_says_why_under_the_table() -> None:
    holes = compare(measure=False, variants=["atrous:rate=16384", "atrous:rate=2"])
    why = "at conv: it has holes and spans more than 65,536 positions"
    for format in ("table", "markdown"):  # noqa: A001  the option's name
        text = render(holes, format).replace("\\", "")
        assert f"? receptive field, atrous:rate=16384: {why}" in text
        assert text.count("more than 65,536") == 1


def test_a_small_saving_has_digits_enough_to_be_seen() -> None:
    counts = {"standard": 4_870_000_000, "separable": 4_868_000_000}
    found = compare(measure=False, variants=["separable"])
    rows = (
        one._replace(
            values={
                **one.values,
                "multiplications": Value("exact", counts[one.variant]),
                "multiplications_ratio": Value("exact", counts[one.variant] / counts["standard"]),
            }
        )
        for one in found.rows
    )
    text = render(found._replace(rows=tuple(rows)), "table")
    assert text.count("1.0004× fewer") == 2
    assert "1.0004× fewer multiplications (4.868 G for 4.870 G)." in text
