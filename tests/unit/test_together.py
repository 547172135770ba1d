"""Runs seen together: every figure is the runs' own, and what one lacks is said in a clause."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.ui.compared import ROWS, answers, compared, trained
from tests.ui.fakes import START, RunBuilder, train_fields, validation_loss
from tests.ui.workshop import write_answers
from tui_tuner.config.difference import Across, across
from tui_tuner.evaluation.comparing import compare_document, read_result
from tui_tuner.evaluation.curves import MEASURES, curve
from tui_tuner.evaluation.significance import holm
from tui_tuner.evaluation.together import (
    Together,
    bring_together,
    metric_label,
    read_members,
    short_names,
    together_document,
)
from tui_tuner.runs.files import plain_json
from tui_tuner.runs.folder import RunFolder

TRAIN, VALIDATION = MEASURES[0], MEASURES[1]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "runs"
    path.mkdir()
    return path


@pytest.fixture
def folders(place: Path) -> list[RunFolder]:
    return compared(place)


@pytest.fixture
def together(folders: list[RunFolder]) -> Together:
    return bring_together(read_members(folders))


def test_curves_are_what_the_runs_reported(folders: list[RunFolder]) -> None:
    _, hot, _ = read_members(folders)
    x, y = curve(hot.view, TRAIN)
    assert x.tolist() == list(range(5, 121, 5))
    assert y.tolist() == pytest.approx([train_fields(int(step), 120)["loss"] * 1.6 for step in x])
    x, y = curve(hot.view, VALIDATION)
    assert x.tolist() == [30, 60, 90, 120]
    assert y.tolist() == pytest.approx([validation_loss(int(step)) * 1.6 for step in x])


def test_curves_over_tokens_and_time(folders: list[RunFolder]) -> None:
    steady, hot, _ = read_members(folders)
    assert curve(steady.view, TRAIN, "tokens")[0].tolist() == [620.0 * step for step in range(5, 121, 5)]
    # Reported at its own step: exactly there; between two reports it stands on the line between them.
    assert curve(steady.view, VALIDATION, "tokens")[0].tolist() == [620.0 * step for step in (30, 60, 90, 120)]
    seconds = curve(steady.view, TRAIN, "time")[0]
    assert seconds[:7].tolist() == pytest.approx([2, 4, 6, 8, 10, 12, 15])  # a validation takes one of them
    assert curve(hot.view, TRAIN, "time")[0][:3].tolist() == pytest.approx([1.25, 2.5, 3.75])


def test_the_gap_before_a_resumption_is_no_work(place: Path) -> None:
    run = RunBuilder(place, "gap").begin().add("train", 10, step=10, loss=2.0).add("train", 10, step=20, loss=1.5)
    run.now += 5_000
    run.begin(resumed=True, from_step=10).add("train", 10, step=20, loss=1.4).add("train", 10, step=30, loss=1.2)
    (member,) = read_members([run.folder])
    assert curve(member.view, TRAIN, "time")[0].tolist() == [10, 30, 40]
    assert member.view.clock.at(np.array([START, np.nan, START + 15])).tolist()[::2] == [0, 15]
    assert member.view.elapsed == 40


def test_a_measure_that_nobody_reported_has_no_points(place: Path) -> None:
    run = RunBuilder(place, "bare").begin().add("train", 1, step=1, loss=2.0).add("validation", 1, step=1, loss=2.0)
    (member,) = read_members([run.folder])
    assert all(len(column) == 0 for column in curve(member.view, TRAIN, "tokens"))
    assert all(len(column) == 0 for column in curve(member.view, VALIDATION, "tokens"))
    assert np.isnan(curve(member.view, MEASURES[3])[1]).all()


def test_only_the_keys_that_differ(together: Together) -> None:
    assert {one.key: one.values for one in together.differences} == {
        "adapter.rank": ("16", "32", "16"),
        "train.iters": ("120", "120", "90"),
        "train.learning_rate": ("3e-3", "0.01", "3e-3"),
    }


def test_an_unknown_experiment_has_no_values() -> None:
    assert across([None, None]) == [] and across([]) == []


def test_one_configuration_that_cannot_be_read(folders: list[RunFolder]) -> None:
    folders[1].config.write_text("[train]\niters = nine\n")
    members = read_members(folders)
    assert members[1].experiment is None and "its configuration cannot be read" in members[1].told[0]
    found = bring_together(members, judged=False).differences
    assert found == [Across("train.iters", ("120", None, "90"))]


def test_verdicts_are_those_of_compare_with_all_p_values_corrected(place: Path, folders: list[RunFolder]) -> None:
    third = trained(RunBuilder(place, "third"), 1.1)
    write_answers(third.folder.evaluation, "after", answers(0.8, 9))
    found = bring_together(read_members([folders[0], folders[1], third.folder]))
    files = [folder.evaluation / "after.jsonl" for folder in (folders[0], folders[1], third.folder)]
    base, *others = (read_result(path) for path in files)
    alone = [compare_document(base, other)["metrics"] for other in others]
    tests = [one[name] for one in alone for name in one if one[name]["wins"] or one[name]["losses"]]
    expected = iter(holm([one["p_uncorrected"] for one in tests]))
    for against, told in zip(found.against[1:], alone, strict=True):
        assert against is not None and against.verdict is not None and against.n == ROWS
        for name, one in told.items():
            mine = against.verdict[name]
            assert (mine.a, mine.b, mine.difference, mine.low, mine.high) == (
                one["a"], one["b"], one["difference"], one["low"], one["high"],
            )  # fmt: skip
            assert mine.p == (next(expected) if one["wins"] or one["losses"] else 1.0)
    assert found.against[0] is None
    assert any("corrected for judging several runs" in note for note in found.notes)


def test_other_rows_are_not_judged_and_the_rest_is_shown(together: Together) -> None:
    _, hot, other = together.against
    assert hot is not None and hot.verdict is not None and hot.verdict["rouge1"].verdict == "worse"
    assert other is not None and other.verdict is None
    assert other.notes == ("it answered other rows than the reference, so it is not judged",)
    assert "1 damaged line in its event log" in together.members[2].told


def test_answers_stand_beside_the_row_they_answer(together: Together, folders: list[RunFolder]) -> None:
    said = [json.loads(line) for line in (folders[1].evaluation / "after.jsonl").read_text("utf-8").splitlines()]
    assert len(together.rows) == ROWS
    for row, line in zip(together.rows, said, strict=True):
        assert (row.prompt, row.reference) == (line["prompt"], line["reference"])
        first, second, third = row.said
        assert first is not None and second is not None and third is None
        assert second.text == line["prediction"] and 0 <= second.scores["rouge1"] <= 1
        assert row.differs == (first.text != second.text)
    assert together.samples[0].said[1] == (120, together.samples[0].said[1][1])  # type: ignore[index]


def test_another_reference(folders: list[RunFolder]) -> None:
    members = read_members(folders)
    one, other = bring_together(members, 0), bring_together(members, 1)
    a, b = one.against[1], other.against[0]
    assert a is not None and a.verdict is not None and b is not None and b.verdict is not None
    assert b.verdict["rouge1"].difference == pytest.approx(-a.verdict["rouge1"].difference)
    assert other.against[1] is None


def test_a_reference_without_answers_judges_nothing_and_rows_are_shown(place: Path, folders: list[RunFolder]) -> None:
    bare = trained(RunBuilder(place, "bare"), 1.0).folder
    found = bring_together(read_members([bare, *folders[:2]]))
    assert found.against == [None, None, None] and len(found.rows) == ROWS
    assert any("nothing is judged against it" in note for note in found.notes)
    assert "it has no answers to test rows" in found.members[0].told
    assert [one is None for one in found.rows[0].said] == [True, False, False]


def test_damaged_answers_are_a_problem_of_their_run(folders: list[RunFolder]) -> None:
    (folders[1].evaluation / "after.jsonl").write_text("{torn", encoding="utf-8")
    found = bring_together(read_members(folders[:2]))
    assert any(clause.startswith("its answers cannot be read") for clause in found.members[1].told)
    assert found.against == [None, None] and len(found.rows) == ROWS


def test_an_empty_folder_is_a_run_without_anything(place: Path, folders: list[RunFolder]) -> None:
    empty = RunFolder.create(place, "empty")
    found = bring_together(read_members([folders[0], empty]))
    assert found.members[1].told[0].startswith("its configuration cannot be read")
    assert "it has not trained, so it has no curves" in found.members[1].told
    assert together_document(found)["runs"][1]["state"] == "queued"


def test_a_run_named_twice_is_one(folders: list[RunFolder]) -> None:
    assert [member.label for member in read_members([*folders[:2], folders[0]])] == ["steady", "hot"]


def test_names_are_as_short_as_tells_them_apart(place: Path, tmp_path: Path) -> None:
    runs = [RunBuilder(place, "a").folder, RunBuilder(place, "a", "20251010-000000").folder,
            RunBuilder(place, "b").folder, RunBuilder(tmp_path, "a").folder]  # fmt: skip
    assert short_names(runs) == ["a-20251009-085320", "a-20251010-000000", "b", "a-20251009-085320 (2)"]


def test_doubts_about_losses(place: Path) -> None:
    runs = [trained(RunBuilder(place, "a"), 1.0).folder, trained(RunBuilder(place, "b"), 1.0, data_train=90).folder]
    found = bring_together(read_members(runs))
    assert found.notes == ["losses may be of different rows or tokens, because data.train differs"]


def test_the_document_is_strict_json_with_every_figure(together: Together) -> None:
    document = together_document(together)
    assert plain_json(document)[1] == []
    assert json.loads(json.dumps(document))["reference"] == "steady-20251009-085320"
    assert document["metrics"]["rouge1"]["values"][1]["value"] == 0.55
    assert document["metrics"]["rouge1"]["values"][2] is None
    assert document["metrics"]["rouge1"]["against"][1]["difference"] < 0
    assert document["runs"][0]["best_validation"] == pytest.approx(validation_loss(120))
    assert metric_label(together, "rouge1") == "ROUGE-1"


def test_what_a_run_goes_on_to_write_is_taken_in(place: Path) -> None:
    run = RunBuilder(place, "live").begin().add("train", 1, step=1, loss=2.0)
    (member,) = read_members([run.folder])
    assert not member.poll()
    run.add("train", 1, step=2, loss=1.0)
    assert member.poll() and curve(member.view, TRAIN)[1].tolist() == [2.0, 1.0]
