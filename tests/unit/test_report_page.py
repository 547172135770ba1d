"""The page of a report: whole HTML that needs nothing else, with the run's own figures, and texts that stay texts."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.commands import Tuner, tuner
from tests.ui.compared import compared
from tests.ui.fakes import RunBuilder, train_fields, validation_loss
from tests.ui.measured import measured
from tests.ui.workshop import HOSTILE
from tui_tuner.evaluation.blocks import Chart, Curve, Heading, Quoted, Sentence, Table, Terms, as_markdown
from tui_tuner.evaluation.export import rendered, report_document
from tui_tuner.evaluation.page import as_page
from tui_tuner.evaluation.svg import HEIGHT, WIDTH, Scale, chart_svg, ticks
from tui_tuner.evaluation.together import bring_together, read_members, together_document

__all__ = ["tuner"]

ATTACK = "</pre></td><script>alert(1)</script>&amp;\"'><img src=x onerror=1>"
_VOID = {"meta", "br"}


class Page(HTMLParser):
    """Reads a page: whether tags are balanced, what stands in cells, which tags and attributes there are."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "runs"
    path.mkdir()
    return path


@pytest.fixture
def comparison(place: Path) -> dict[str, Any]:
    return together_document(bring_together(read_members(compared(place))))


def self_contained(page: Page, text: str) -> None:
    """Nothing runs in it, and nothing is asked of anywhere."""
    names = {name for name, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "image", "use", "a"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert "http" not in re.sub("http-equiv", "", text) and "url(" not in text and "@import" not in text
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text


def test_the_page_of_a_run_has_its_documents_figures(place: Path) -> None:
    document = report_document(measured(RunBuilder(place)).folder)
    text = rendered(document, "html")
    page = Page(text)
    self_contained(page, text)
    judged = document["verdict"]["metrics"]["rouge1"]
    (row,) = [row for row in page.rows if row[0] == "rouge1" and len(row) == 9]
    assert row[3] == f"{judged['difference']:+.3f} ({judged['low']:+.3f} to {judged['high']:+.3f})"
    assert row[1].startswith(f"{document['results']['before']['metrics']['rouge1']['value']:.3f}")
    assert row[8] == "▲ better" and row[5] == "10 / 1 / 1"
    assert any(row[:2] == ["model", "embedded:phi3-tiny"] for row in page.rows)
    assert len([1 for name, _ in page.tags if name == "svg"]) == 1


def test_the_page_of_several_runs(comparison: dict[str, Any]) -> None:
    text = rendered(comparison, "html")
    page = Page(text)
    self_contained(page, text)
    told = comparison["metrics"]["rouge1"]["against"][1]
    (row,) = [row for row in page.rows if row[:2] == ["ROUGE-1 (rouge1)", "hot"]]
    assert row[3] == f"{told['difference']:+.3f} ({told['low']:+.3f} to {told['high']:+.3f})"
    assert row[5] == f"{told['wins']} / {told['ties']} / {told['losses']}" and row[6] == "▼ worse"
    assert ["train.learning_rate", "3e-3", "0.01", "3e-3"] in page.rows
    lines = [attributes for name, attributes in page.tags if name == "polyline"]
    assert len(lines) == 6 and len({line.get("stroke-dasharray") for line in lines}) == 3
    assert "\x1b" not in text and "\u202e" not in text


def test_the_drawn_points_are_the_reported_ones(comparison: dict[str, Any]) -> None:
    page = Page(rendered(comparison, "html"))
    lines = [attributes["points"] for name, attributes in page.tags if name == "polyline"]
    losses = [
        [(step, train_fields(step, 120)["loss"] * factor) for step in range(5, 121, 5)] for factor in (1, 1.6, 0.8)
    ]
    scale = Scale.around([point for one in losses for point in one])
    for drawn, reported in zip(lines, losses, strict=False):
        places = [tuple(map(float, pair.split(","))) for pair in (drawn or "").split()]
        assert places == pytest.approx([tuple(round(one, 2) for one in scale.place(point)) for point in reported])
    validation = [tuple(map(float, pair.split(","))) for pair in (lines[3] or "").split()]
    points = [(step, validation_loss(step) * factor) for factor in (1, 1.6, 0.8) for step in (30, 60, 90, 120)]
    first = Scale.around(points).place(points[0])
    assert validation[0] == pytest.approx(tuple(round(one, 2) for one in first))


def test_places_of_the_picture() -> None:
    scale = Scale((0, 10), (0, 4))
    assert scale.place((0, 0)) == (64, HEIGHT - 42) and scale.place((10, 4)) == (WIDTH - 28, 14)
    assert scale.place((5, 2)) == pytest.approx(((64 + WIDTH - 28) / 2, (14 + HEIGHT - 42) / 2))


def test_ticks_are_round() -> None:
    assert ticks(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.18, 3.9, 6) == [0, 1, 2, 3, 4]
    assert ticks(3, 3, 4)[0] <= 3 <= ticks(3, 3, 4)[-1]


_FINITE = st.floats(-1e12, 1e12, allow_nan=False)


@given(st.lists(st.tuples(st.floats(0, 1e9, allow_nan=False), st.floats(allow_nan=True)), max_size=30))
def test_any_curve_stays_in_the_picture(points: list[tuple[float, float]]) -> None:
    points = [(x, y) for x, y in points if not math.isfinite(y) or abs(y) < 1e12]
    svg = chart_svg(Chart("t", "x", "y", [Curve("a", sorted(points, key=lambda point: point[0]))]))
    Page(svg)
    for x, y in re.findall(r"([\d.e+-]+),([\d.e+-]+)", "".join(re.findall('points="([^"]*)"', svg))):
        assert 0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.integers(2, 10))
def test_ticks_reach_around(low: float, more: float, most: int) -> None:
    found = ticks(low, low + more, most)
    near = 1e-6 * (1 + abs(low)) + 1e-8 * more  # an end that is a tick but for rounding is one
    assert found[0] <= low + near and found[-1] >= low + more - near
    assert len(found) <= most + 3


@given(st.text())
def test_no_text_breaks_out_of_a_page(text: str) -> None:
    blocks = [
        Heading(1, text), Sentence(text), Table([text], [[text]]), Quoted(text, text), Terms([(text, text)]),
        Chart(text, text, text, [Curve(text, [(0, 1), (1, 2)])]),
    ]  # fmt: skip
    plain = [Heading(1, "t"), Sentence("t"), Table(["t"], [["t"]]), Quoted("t", "t"), Terms([("t", "t")]),
             Chart("t", "t", "t", [Curve("t", [(0, 1), (1, 2)])])]  # fmt: skip
    shape = [name for name, _ in Page(as_page(blocks)).tags]
    expected = [name for name, _ in Page(as_page(plain)).tags]
    assert [name for name in shape if name != "p"] == [name for name in expected if name != "p"]


def test_an_attack_is_a_text_everywhere(place: Path) -> None:
    run = measured(RunBuilder(place))
    for label in ("before", "after"):
        path = run.folder.evaluation / f"{label}.jsonl"
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for row in rows:
            row["prompt"] = row["prediction"] = ATTACK
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    document = report_document(run.folder)
    document["run"] = document["verdict"]["sentence"] = ATTACK
    text = rendered(document, "html")
    self_contained(Page(text), text.replace("<script>", ""))
    assert "<script" not in text and "<img" not in text
    assert ATTACK in "".join(Page(text).texts)


def test_a_page_tells_no_place_and_no_secret(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwx")
    blocks = [Sentence("weights at /Users/ann/models/phi, with hf_abcdefghijklmnopqrstuvwx"), Table(["x"], [["~/a/b"]])]
    text = as_page(blocks)
    assert "ann" not in text and "hf_abc" not in text and "weights at phi, with ***" in text and "<td>b</td>" in text


def test_a_comparison_tells_no_place(comparison: dict[str, Any], place: Path) -> None:
    for run in comparison["runs"]:
        run["model"], run["data"] = "/srv/secret/place/phi", "/srv/secret/place/rows.jsonl"
    comparison["differences"].append({"key": "model.path", "values": ["/srv/secret/place/a", None, "b"]})
    for form in ("html", "md"):
        text = rendered(comparison, form)  # type: ignore[arg-type]
        assert "secret" not in text and str(place) not in text and "rows.jsonl" in text


def test_a_text_that_begins_with_a_line_break_keeps_it() -> None:
    assert "<pre>\n\nfirst" in as_page([Quoted("t", "\nfirst")])


def test_markdown_of_blocks() -> None:
    blocks = [Heading(2, "a|b"), Sentence("*x*"), Chart("c", "x", "y", []), Quoted("t", "1\n2"), Terms([("a", "b")])]
    assert as_markdown(blocks) == "## a\\|b\n\n\\*x\\*\n\nt:\n\n    1\n    2\n\n- **a**: b\n"


def test_the_command_writes_page_and_markdown_of_several(tuner: Tuner, tmp_path: Path) -> None:
    names = [folder.name for folder in compared(tmp_path)]
    said = tuner("report", *names, "--html", tmp_path / "both.html", "--to", tmp_path / "both.md")
    assert said.status == 0 and said.out == ""
    Page((tmp_path / "both.html").read_text("utf-8"))
    assert (tmp_path / "both.md").read_text("utf-8").startswith("# steady, hot and other-rows\n")
    again = tuner("report", *names, "--html", tmp_path / "both.html")
    assert again.status == 1 and "is there already" in again.err
    document = tuner("report", *names, "--json").document
    assert [run["label"] for run in document["runs"]] == ["steady", "hot", "other-rows"]
    assert tuner("report", *names, "--format", "csv").out.startswith("row,split,prompt,reference,steady_text")


def test_the_command_on_one_run(tuner: Tuner, tmp_path: Path) -> None:
    run = measured(RunBuilder(tmp_path)).folder.name
    page = tuner("report", run, "--format", "html")
    assert page.status == 0 and Page(page.out).rows
    assert HOSTILE not in page.out
    wrong = tuner("report", run, run)
    assert wrong.status == 2 and "a comparison needs two runs" in wrong.err


def test_options_of_one_run_are_refused_for_several(tuner: Tuner, tmp_path: Path) -> None:
    names = [folder.name for folder in compared(tmp_path)]
    said = tuner("report", *names, "--losses", "1", "--first", "x")
    assert said.status == 2 and "--first and --losses are for the report of one run" in said.err
