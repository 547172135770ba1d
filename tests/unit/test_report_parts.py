"""The parts of a report: whatever stands in them, tables stay tables, figures stay figures, and nothing is lost."""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tui_tuner import units
from tui_tuner.evaluation.blocks import (
    Chart,
    Curve,
    Heading,
    Quoted,
    Sentence,
    Table,
    Terms,
    as_markdown,
    cell,
    plain,
)
from tui_tuner.evaluation.curves import spark
from tui_tuner.evaluation.markdown import difference, number, p_text, report_blocks
from tui_tuner.evaluation.page import as_page
from tui_tuner.evaluation.sidebyside import comparison_blocks, comparison_csv
from tui_tuner.evaluation.svg import DASHES, SIGNS, chart_svg, finite, legend, ticks

TEXT = st.text(max_size=30)
WEIRD = st.one_of(TEXT, st.sampled_from(["a|b", "\\|", "`x`", "**b**", "<b>", "\r\n", "\u202e", "\x1b[31m", "| --- |"]))


def columns(line: str) -> int:
    """Cells of a line of a Markdown table: a bar behind an odd number of backslashes is none."""
    return len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) - 1


# -- Markdown ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(WEIRD, min_size=3, max_size=3), max_size=5))
@settings(max_examples=60)
def test_a_table_keeps_its_columns_whatever_is_in_its_cells(rows: list[list[str]]) -> None:
    lines = as_markdown([Table(["one", "two", "three"], rows)]).rstrip("\n").split("\n")
    assert len(lines) == 2 + len(rows) and {columns(line) for line in lines} == {3}


@given(WEIRD)
@settings(max_examples=60)
def test_a_cell_is_one_line_that_acts_on_nothing(text: str) -> None:
    told = cell(text)
    assert "\n" not in told and "<" not in told
    assert not any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in told)
    assert cell(" ".join(text.split())) == told, "white space is all the same"


@given(TEXT)
@settings(max_examples=60)
def test_a_quoted_text_is_there_line_by_line_and_nothing_else_is_code(text: str) -> None:
    markdown = as_markdown([Sentence("before"), Quoted("said", text), Sentence("after")])
    quoted = [line.removeprefix("    ") for line in markdown.split("\n") if line.startswith("    ")]
    assert quoted == [plain(line) for line in text.splitlines()] or not text.strip(
        "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
    )


def test_plain_takes_out_what_steers_and_leaves_what_is_written() -> None:
    assert plain("naïve 漢字 🙂 ½") == "naïve 漢字 🙂 ½"
    assert plain("a\u202eb\x1b[0m\u200bc\ud800") == "a\ufffdb\ufffd[0m\ufffdc\ufffd"


def test_charts_are_left_out_of_markdown_and_terms_are_lists() -> None:
    chart = Chart("Loss", "step", "nats", [Curve("a", [(1, 2.0)])])
    assert as_markdown([Heading(2, "T"), chart, Terms([("bleu", "0 to 100")])]) == "## T\n\n- **bleu**: 0 to 100\n"


# -- the page ----------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """The tags of a page, and the text of its cells and of what is quoted."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag in ("td", "pre"):
            self.cells.append("")
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("td", "pre"):
            self.cells[-1] += data


@given(WEIRD, WEIRD)
@settings(max_examples=50)
def test_a_page_has_the_tags_that_it_was_made_of_whatever_is_said_in_it(one: str, other: str) -> None:
    made = [Heading(1, one), Table([other], [[one]]), Quoted(other, f"x{one}y"), Terms([(one, other)])]
    usual = [Heading(1, "t"), Table(["t"], [["t"]]), Quoted("t" if other else "", "t"), Terms([("t", "t")])]
    assert Tags(as_page(made)).tags == Tags(as_page(usual)).tags


def test_a_page_marks_verdicts_by_more_than_colour() -> None:
    page = as_page([Table(["verdict"], [["better"], ["worse"], ["no measurable change"], ["better off"]])])
    assert Tags(page).cells == ["▲ better", "▼ worse", "no measurable change", "better off"]


@pytest.mark.parametrize(
    ("text", "public"),
    [("in /Users/ada/runs/one", "in one"), ("with hf_abcdefghijklmnopqrst", "with ***"), ("a\n\nb", "a b")],
)
def test_what_is_said_of_runs_names_no_place_and_no_secret(text: str, public: str) -> None:
    assert Tags(as_page([Table(["t"], [[text]])])).cells == [public]


# -- curves ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e6, 1e6), max_size=40))
@settings(max_examples=60)
def test_signs_rise_and_fall_with_the_values(values: list[float]) -> None:
    signs = spark(values)
    assert len(signs) == len(values) and set(signs) <= set("▁▂▃▄▅▆▇█")
    order = sorted(range(len(values)), key=values.__getitem__)
    heights = ["▁▂▃▄▅▆▇█".index(signs[at]) for at in order]
    assert heights == sorted(heights)
    if values and max(values) > min(values):
        assert (heights[0], heights[-1]) == (0, 7)


def test_a_chart_leaves_out_what_cannot_be_placed() -> None:
    broken = [(1.0, 2.0), (2.0, math.nan), (math.inf, 1.0), (3.0, 4.0)]
    assert finite(broken) == [(1.0, 2.0), (3.0, 4.0)]
    text = chart_svg(Chart("L", "step", "nats", [Curve("a", broken), Curve("gone", [(1.0, math.nan)], 1)]))
    assert text.count("<polyline") == 1 and "gone" not in text and "nan" not in text and "inf" not in text
    assert "no points" in chart_svg(Chart("L", "step", "nats", []))


def test_every_one_of_many_curves_is_told_apart() -> None:
    curves = [Curve(f"run {n}", [(0.0, n), (1.0, n + 1)], n) for n in range(20)]
    text = chart_svg(Chart("Loss", "step", "nats", curves))
    told = [(name, sign) for name, sign, _ in legend(curves)]
    assert len(set(told[: len(SIGNS)])) == len(SIGNS) and text.count("<polyline") == 20
    assert len({(name, sign, DASHES[n % len(DASHES)]) for n, (name, sign) in enumerate(told)}) == 20


def test_names_in_a_picture_are_texts() -> None:
    text = chart_svg(Chart('<"L">', "s<t", "n", [Curve("</svg><script>", [(0.0, 1.0)])]))
    assert "<script>" not in text and "&lt;/svg&gt;" in text and "&lt;&quot;L&quot;&gt;" in text


@pytest.mark.parametrize(
    ("low", "high", "most", "wanted"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (0, 1, 4, [0, 0.5, 1.0]),
        (1.2, 3.1, 6, [1, 1.5, 2, 2.5, 3, 3.5]),
        (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]),
        (5, 5, 2, [0, 5, 10]),
    ],
)
def test_ticks_by_hand(low: float, high: float, most: int, wanted: list[float]) -> None:
    assert ticks(low, high, most) == pytest.approx(wanted)


# -- figures in words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"difference": 0.25, "low": -0.1, "high": 0.6}, "+0.250 (-0.100 to +0.600)"),
        ({"difference": -0.0004, "low": None, "high": 0.6}, "-0.000"),
        ({"difference": 3}, "+3.000"),
        ({}, "–"),
        ({"difference": "0.3"}, "–"),
    ],
)
def test_differences_have_a_sign(told: dict[str, Any], text: str) -> None:
    assert difference(told) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0004, "below 0.001"), (0.001, "0.001"), (1, "1.000"), (None, "–"), (math.nan, "–"), ("0.5", "–")],
)
def test_p_values_in_words(value: Any, text: str) -> None:
    assert p_text(value) == text


@pytest.mark.parametrize(("value", "text"), [(1.25, "1.2"), (math.inf, "–"), (None, "–"), (True, "1.0")])
def test_numbers_or_a_dash(value: Any, text: str) -> None:
    assert number(value, 1) == text


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_234, "1,234 rows"), (-1, "-1 rows")]
)
def test_so_many_of_a_thing(count: int, words: str) -> None:
    assert units.many(count, "row") == words


# -- a run's report of little ------------------------------------------------------------------------------------------


def document(**changes: Any) -> dict[str, Any]:
    """A report's document with nothing in it."""
    empty = {"run": "one", "sides": ("before", "after"), "verdict": {}, "results": {}, "behaviour": {}, "canaries": {},
             "training": {}, "checkpoints": {}, "rows": []}  # fmt: skip
    return {**empty, **changes}


def test_a_report_of_nothing_is_its_name() -> None:
    assert as_markdown(report_blocks(document())) == "# one\n"


def test_behaviour_before_and_after_stands_side_by_side() -> None:
    cases = [{"name": "polite", "rate": 0.5, "low": 0.1, "high": 0.9}, {"name": "short", "rate": 1.0}]
    after = [{"name": "polite", "rate": 1.0, "low": 0.4, "high": 1.0, "status": "held"}]
    told = {"before": {"cases": cases, "rate": 0.5}, "after": {"cases": after, "rate": None}}
    text = as_markdown(report_blocks(document(behaviour=told)))
    assert "| polite | 50 % (10 to 90 %) | 100 % (40 to 100 %) | held |" in text
    assert "| short | 100 % | – | – |" in text and "| all | 50 % | – | – |" in text


def test_checkpoints_are_bars_between_the_lowest_and_the_highest() -> None:
    points = [
        {"step": step, "value": value, "validation_loss": 1.5} for step, value in ((10, 0.2), (20, 0.6), (30, 0.4))
    ]
    points.append({"step": 40, "value": None, "validation_loss": None})
    text = as_markdown(report_blocks(document(checkpoints={"points": points, "best_step": 20, "metric": "rouge1"})))
    bars = [line.count("█") for line in text.split("\n") if line.startswith(("| 10", "| 20", "| 30", "| 40"))]
    assert bars == [1, 30, 15, 0]
    assert "| 20 | 0.600 | 1.5000 | " in text and " | best |" in text and "| step | rouge1 |" in text
    alike = [{"step": 1, "value": 0.5}, {"step": 2, "value": 0.5}]
    assert as_markdown(report_blocks(document(checkpoints={"points": alike}))).count("█" * 30) == 2
    assert "Checkpoints" not in as_markdown(report_blocks(document(checkpoints={"points": points[-1:]})))


def test_of_many_rows_those_that_moved_most_are_shown() -> None:
    rows = [
        {"index": n, "prompt": f"p{n}", "reference": "r", "difference": {"rouge1": (n - 10) / 10},
         "a": {"text": f"a{n}"}, "b": None if n == 0 else {"text": f"b{n}"}} for n in range(21)
    ]  # fmt: skip
    text = as_markdown(report_blocks(document(rows=rows[::-1], verdict={"metrics": {"rouge1": {}}})))
    shown = [int(n) for n in re.findall(r"### Row (\d+)", text)]
    assert shown == [0, 1, 2, 3, 4, 16, 17, 18, 19, 20] and "### Row 0 (-1.000)" in text
    assert "Those whose rouge1 moved most" in text and "    b0\n" not in text and "    a0\n" in text
    bare = [{**row, "difference": {}} for row in rows]
    plainly = as_markdown(report_blocks(document(rows=bare)))
    assert [int(n) for n in re.findall(r"### Row (\d+)\n", plainly)] == list(range(10))


# -- several runs ------------------------------------------------------------------------------------------------------


def together(*, runs: int = 2, rows: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    one = {"state": "finished", "model": "/home/ada/m", "data": "acme/rows", "step": 5, "steps": 10, "seconds": 75.0,
           "best_validation": None, "curves": {}, "problems": []}  # fmt: skip
    return {
        "runs": [{**one, "run": f"r{n}", "label": f"run {n}"} for n in range(runs)], "reference": "r1",
        "differences": [], "metrics": {}, "verdicts": [None] * runs, "notes": [], "rows": rows or [], **changes,
    }  # fmt: skip


def test_runs_that_have_nothing_in_common_are_still_a_report() -> None:
    text = as_markdown(comparison_blocks(together(runs=3)))
    assert text.startswith("# run 0, run 1 and run 2\n") and "Judged against run 1." in text
    assert "Nothing in the configurations that could be read." in text and "None of the runs was benchmarked." in text
    assert "| run 0 | finished | m | acme/rows | 5 of 10 | 75 s | – | – |" in text and "## Rows" not in text


def test_settings_name_no_place_and_a_missing_one_is_a_dash() -> None:
    found = [{"key": "model.path", "values": ["/home/ada/m", "~/x/y"]}, {"key": "a", "values": [None, "3"]}]
    text = as_markdown(comparison_blocks(together(differences=found)))
    assert "| model.path | m | y |" in text and "| a | – | 3 |" in text


def test_a_metric_under_a_name_of_its_own_has_both() -> None:
    told = {"label": "BLEU", "values": [{"value": 1.0}, None],
            "against": [None, {"difference": 0.5, "p": 0.0001, "wins": 3, "ties": 2, "losses": 1,
                               "verdict": "better"}]}  # fmt: skip
    verdicts = [None, {"n": 6, "sentence": "It rose.", "notes": ["rows were left out"]}]
    text = as_markdown(comparison_blocks(together(metrics={"bleu": told}, verdicts=verdicts)))
    assert "| BLEU (bleu) | run 0 | 1.000 | – | – | – | – |" in text
    assert "| BLEU (bleu) | run 1 | – | +0.500 | below 0.001 | 3 / 2 / 1 | better |" in text
    assert "run 1: It rose.\n\nrun 1: rows were left out." in text


def test_rows_that_differ_most_come_first_into_the_report_and_in_their_order() -> None:
    def row(at: int, *texts: str | None) -> dict[str, Any]:
        said = [None if text is None else {"text": text, "scores": {"rouge1": 0.5}} for text in texts]
        return {"prompt": f"p{at}", "reference": f"r{at}", "split": "", "said": said}

    rows = [
        row(0, "a", "a", "a"),
        *(row(n, "a", "b", "a") for n in range(1, 12)),
        row(12, "a", "b", "c"),
        row(13, "a", None, None),
    ]
    text = as_markdown(comparison_blocks(together(runs=3, rows=rows)))
    assert [int(n) for n in re.findall(r"### Row (\d+)", text)] == [*range(1, 10), 12]


@given(st.lists(st.tuples(WEIRD, WEIRD), min_size=1, max_size=4))
@example([("a\rb", "c\nd"), ("\r", '"'), ("e,f", "\r\n")])
@settings(max_examples=25)
def test_a_comparison_as_csv_reads_back_as_it_was(texts: list[tuple[str, str]]) -> None:
    rows = [
        {"prompt": prompt, "reference": "r", "split": "s", "said": [{"text": said, "scores": {"bleu": 12.5}}, None]}
        for prompt, said in texts
    ]
    clean = comparison_csv(together(rows=rows))
    head, *lines = csv.reader(io.StringIO(clean, newline=""))
    assert head == ["row", "split", "prompt", "reference", "run 0_text", "run 0_bleu", "run 1_text", "run 1_bleu"]
    assert [(line[2], line[4]) for line in lines] == [(prompt, said) for prompt, said in texts]
    assert all(line[5:] == ["12.5", "", ""] for line in lines)
