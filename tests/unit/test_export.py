"""Handing on what was measured: everything is in it, text stays text, and nothing is written over."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.ui.fakes import RunBuilder
from tests.ui.measured import measured
from tests.ui.workshop import answer_row, finished, write_answers
from tui_tuner.cli.app import run
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.curves import POINTS, spark, training_curves
from tui_tuner.evaluation.export import rendered, report_document, write_export
from tui_tuner.runs import RunView


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "runs"
    path.mkdir()
    return path


@pytest.fixture
def document(place: Path) -> dict[str, Any]:
    return report_document(measured(RunBuilder(place)).folder)


def test_the_document_has_all_that_was_measured(document: dict[str, Any]) -> None:
    assert list(document["results"]) == ["before", "after", "phi-3-mini", "step-60"]
    assert document["results"]["after"]["metrics"]["perplexity"]["value"] == 1.36
    assert document["verdict"]["metrics"]["rougeL"]["rows_to_settle"] == 480
    assert list(document["verdict"]["splits"]) == ["recall", "unseen"]
    assert document["canaries"]["after"]["groups"][2]["status"] == "died"
    assert document["behaviour"]["before"]["cases"][0]["name"] == "no-chicken"
    assert document["checkpoints"]["best_step"] == 90
    assert document["training"]["train"] and len(document["training"]["train"]) <= 40
    assert len(document["rows"]) == 12 and document["rows"][3]["difference"]["rouge1"] == pytest.approx(-0.3)
    assert document["rows"][1]["b"]["finish"] == "length" and document["rows"][7]["split"] == "unseen"
    assert json.loads(rendered(document, "json")) == document


def test_a_csv_has_a_line_per_row(document: dict[str, Any]) -> None:
    lines = list(csv.DictReader(io.StringIO(rendered(document, "csv"))))
    assert [int(line["index"]) for line in lines] == list(range(12))
    assert lines[3]["after_text"] == "FT [b]L[/b]" and float(lines[3]["difference_rouge1"]) == pytest.approx(-0.3)
    assert lines[2]["after_text"] == "" and lines[7]["split"] == "unseen"
    assert "\x1b[31m" in lines[0]["prompt"]  # as it is: a file is no terminal


def test_markdown_has_tables_and_samples_that_nothing_breaks_out_of(document: dict[str, Any]) -> None:
    text = rendered(document, "md")
    for part in (
        "Better on 3 of 4 metrics", "| exact_match | 0.000 (0.000 to 0.040) | 0.925 (0.885 to 0.965) | +0.925 (",
        "| rougeL | ", "| 480 | no measurable change |", "| step-60 | embedded:phi3-tiny | 12 |",
        "| recall | 6 | exact_match |", "| refusal | 60 % (30 to 90 %) | 0 % (0 to 30 %) | died |",
        "| train loss | ",
        "| 90 | 0.994 (0.944 to 1.000) | 0.2900 |", "| best |", "### Row 3 (+0.000)", "- **perplexity**: e to the mean",
    ):  # fmt: skip
        assert part in text, part
    assert "\x1b" not in text and "\u202e" not in text and "    FT [b]L[/b]" in text


def test_hostile_names_stay_in_their_cells(place: Path) -> None:
    folder = finished(RunBuilder(place)).folder
    name = "a|b <script>\n# head `x`"
    text = json.dumps({"cases": [{"name": name, "rate": 0.5, "low": 0.1, "high": 0.9}], "rate": 0.5})
    (folder.evaluation / "behaviour-after.json").write_text(text, encoding="utf-8")
    assert "| a\\|b &lt;script> # head \\`x\\` | 50 % (10 to 90 %) |" in rendered(report_document(folder), "md")


def test_two_other_results_are_judged_by_their_rows(place: Path) -> None:
    folder = measured(RunBuilder(place)).folder
    judged = report_document(folder, sides=("before", "step-60"))["verdict"]
    assert judged["n"] == 6 and judged["metrics"]["rouge1"]["wins"] == 6  # the others are facts never trained
    assert judged["splits"]["recall"]["n"] == 6
    with pytest.raises(TunerError, match='no result "step-7"'):
        report_document(folder, sides=("before", "step-7"))


def test_nothing_is_written_over_unless_it_is_said(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    assert write_export(path, document, "md") == path
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(TunerError) as caught:
        write_export(path, document, "md")
    assert caught.value.code == "exists" and path.read_text("utf-8") == "mine"
    write_export(path, document, "md", replace=True)
    assert path.read_text("utf-8").startswith("# players")
    with pytest.raises(TunerError, match="is a folder"):
        write_export(tmp_path, document, "md", replace=True)


def test_an_old_run_is_reported_too(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder = finished(RunBuilder(place))
    assert run(["report", builder.folder.name, "--runs-dir", str(place), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"]["metrics"]["rouge1"]["wins"] == 37
    assert told["results"]["after"]["metrics"]["exact_match"]["value"] == 0.925 and len(told["rows"]) == 12


def test_the_command_writes_and_says_where(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder = measured(RunBuilder(place))
    out = tmp_path / "rows.csv"
    command = ["report", builder.folder.name, "--runs-dir", str(place), "--format", "csv", "--out", str(out)]
    assert run(command) == 0
    assert str(out) in capsys.readouterr().err and out.read_text("utf-8").startswith("index,split,prompt")
    assert run(command) == 1
    assert "is there already" in capsys.readouterr().err
    assert run([*command, "--replace"]) == 0
    assert run(["report", builder.folder.name, "--runs-dir", str(place)]) == 0
    assert capsys.readouterr().out.startswith("# players-")


def test_a_run_without_a_benchmark_says_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder = RunBuilder(place).begin().finish()
    assert run(["report", builder.folder.name, "--runs-dir", str(place), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "no-benchmark"


def test_rows_that_only_one_side_has_are_reported(place: Path) -> None:
    folder = RunBuilder(place).prepared().folder
    write_answers(folder.evaluation, "before", [answer_row(0, "The Herons won.", 0.3)])
    document = report_document(folder)
    assert document["rows"][0]["b"] is None and document["rows"][0]["difference"] == {}
    for form in ("md", "csv", "json"):
        assert "The Herons won." in rendered(document, form)  # type: ignore[arg-type]


def test_reports_are_made_of_files_of_another_form(place: Path) -> None:
    folder = finished(RunBuilder(place)).folder
    odd = {"after.json": '{"metrics": {"rouge1": {"value": "high"}}, "splits": {"a": {"metrics": 3}, "b": {}}}',
           "checkpoints.json": '{"points": [{"step": "x", "value": 0.5}, {"value": null}]}',
           "canaries-after.json": '{"groups": [{}], "rate": "x"}'}  # fmt: skip
    for name, text in odd.items():
        (folder.evaluation / name).write_text(text, encoding="utf-8")
    for form in ("md", "csv", "json"):
        assert rendered(report_document(folder), form)  # type: ignore[arg-type]


def test_curves_are_means_of_neighbours_and_their_signs_go_from_low_to_high() -> None:
    view = RunView()
    view.extend({"type": "train", "t": float(step), "step": step, "loss": 100.0 - step} for step in range(1, 81))
    view.extend([{"type": "train", "t": 81.0, "step": 81}])  # a report without a loss is no point
    points = training_curves(view)["train"]
    assert len(points) == POINTS and points[0] == {"step": 2, "loss": 98.5} and points[-1] == {"step": 80, "loss": 20.5}
    assert "validation" not in training_curves(view)
    line = spark([point["loss"] for point in points])
    assert line[0] == "█" and line[-1] == "▁" and sorted(line, reverse=True) == list(line)
    assert spark([2.0, 2.0]) == "▁▁" and spark([]) == ""


def test_what_is_no_number_is_a_dash(document: dict[str, Any]) -> None:
    document["verdict"]["metrics"]["rougeL"] |= {"effect": float("nan"), "rows_to_settle": None}
    assert "nan" not in rendered(document, "md")
