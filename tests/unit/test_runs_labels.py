"""What is noted of runs stays, runs that are deleted come back, and the bytes are freed only when somebody says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.test_runs_catalogue import begin, make
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunLock, list_runs
from tui_tuner.runs.labels import LABELS, Labels, change_labels, labels_of
from tui_tuner.runs.queue import RunQueue
from tui_tuner.runs.trash import delete_run, deleted_runs, empty_trash, restore_run


def test_labels_are_kept_with_the_run_and_listed(tmp_path: Path) -> None:
    folder = make(tmp_path)
    assert list_runs(tmp_path)[0].labels == Labels()
    change_labels(folder, add=["Good", "phi"], note=" the one to keep ")
    change_labels(folder, add=["late"], remove=["PHI"], pinned=True)
    assert labels_of(folder.path) == Labels(("good", "late"), "the one to keep", True, False)
    assert list_runs(tmp_path)[0].labels == labels_of(folder.path)
    assert change_labels(folder, note="", archived=True) == Labels(("good", "late"), "", True, True)


@pytest.mark.parametrize("tag", ["", "two words", "a,b", 'q"', "x" * 41, "bell\a"])
def test_what_cannot_be_a_tag_is_refused_and_changes_nothing(tag: str, tmp_path: Path) -> None:
    folder = make(tmp_path)
    change_labels(folder, add=["kept"])
    with pytest.raises(TunerError) as failure:
        change_labels(folder, add=["new", tag], note="lost?")
    assert failure.value.code == "bad-tag"
    assert labels_of(folder.path) == Labels(("kept",))
    with pytest.raises(TunerError, match="2,000"):
        change_labels(folder, note="x" * 2_001)


@pytest.mark.parametrize(
    "found", ["{", "[]", '{"tags": 3, "note": 4, "pinned": "yes"}', '{"tags": [1, "a b", "fine"]}']
)
def test_a_damaged_file_of_labels_hides_no_run(found: str, tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder.path / LABELS).write_text(found)
    labels = list_runs(tmp_path)[0].labels
    assert (labels.note, labels.pinned) == ("", False)
    assert labels.tags in ((), ("fine",))


def test_labels_that_cannot_be_read_are_not_written_over(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder.path / LABELS).write_text('{"note": "for Ann", "tags": [')
    with pytest.raises(TunerError) as failure:
        change_labels(folder, add=["new"])
    assert failure.value.code == "damaged-file" and LABELS in failure.value.where
    assert (folder.path / LABELS).read_text() == '{"note": "for Ann", "tags": ['


def test_a_deleted_run_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = make(tmp_path)
    begin(folder, 2.0, 1.0, status="finished")
    before = {path.relative_to(folder.path): path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    delete_run(folder)
    assert list_runs(tmp_path) == []
    [deleted] = deleted_runs(tmp_path)
    assert (deleted.run, deleted.size) == (folder.name, sum(map(len, before.values())))
    assert restore_run(folder.name, tmp_path).path == folder.path
    after = {path.relative_to(folder.path): path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert after == before
    assert deleted_runs(tmp_path) == []


def test_a_run_comes_back_beside_one_that_took_its_name(tmp_path: Path) -> None:
    folder = make(tmp_path)
    delete_run(folder)
    twin = make(tmp_path)
    assert twin.path == folder.path
    assert restore_run(folder.name, tmp_path).name == f"{folder.name}-2"
    with pytest.raises(TunerError, match="no deleted run"):
        restore_run(folder.name, tmp_path)


def test_what_is_written_or_queued_is_not_deleted(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with RunLock(folder), pytest.raises(TunerError) as failure:
        delete_run(folder)
    assert failure.value.code == "run-locked"
    RunQueue(tmp_path).add(folder)
    with pytest.raises(TunerError) as failure:
        delete_run(folder)
    assert failure.value.code == "run-queued"
    assert folder.events.is_file()


def test_space_is_freed_only_of_what_was_deleted(tmp_path: Path) -> None:
    old, new, kept = make(tmp_path, "old"), make(tmp_path, "new"), make(tmp_path, "kept")
    aside = delete_run(old)
    os.utime(aside, (1_000, 1_000))
    delete_run(new)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".trash" / "link").symlink_to(elsewhere)
    size = deleted_runs(tmp_path)[1].size
    assert empty_trash(tmp_path, before=2_000) == size > 0
    assert [each.run for each in deleted_runs(tmp_path)] == [new.name]
    empty_trash(tmp_path)
    assert deleted_runs(tmp_path) == []
    assert elsewhere.is_dir() and kept.path.is_dir()
    assert empty_trash(tmp_path) == 0
