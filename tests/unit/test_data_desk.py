"""The drafts that are held: any row of them at once, read again when the file changed, and searched."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import Experiment
from tui_tuner.config.data_section import DataSection
from tui_tuner.data import desk as desk_module
from tui_tuner.data.desk import Desk
from tui_tuner.data.draft import Draft, draft
from tui_tuner.data.find import find_rows
from tui_tuner.data.head import read_head
from tui_tuner.data.inspect import preview_head
from tui_tuner.errors import TunerError


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows(count: int, word: str = "word") -> list[dict[str, Any]]:
    return [{"prompt": f"Say {word} {n}.", "completion": f"{word} {n}"} for n in range(count)]


def section(source: Path, **data: Any) -> DataSection:
    return DataSection(source=str(source), **data)


def test_a_draft_is_read_once(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", rows(30))
    desk = Desk()
    first = desk.draft(section(path), 1)
    assert desk.draft(section(path), 1) is first
    assert desk.draft(section(path), 2) is not first
    assert desk.draft(section(path, valid=3), 1) is not first
    assert len(desk) == 2


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", rows(30))
    desk = Desk()
    first = desk.draft(section(path), 1)
    jsonl(path, rows(30, "other"))
    second = desk.draft(section(path), 1)
    assert second is not first
    assert "other" in json.dumps(second.row("train", 0))
    with pytest.raises(TunerError) as caught:
        first.row("train", 0)
    assert caught.value.code == "file-changed", "never a row of another file"


def test_a_file_that_joins_its_folder_is_seen(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", rows(5))
    desk = Desk()
    assert desk.draft(section(tmp_path), 1).counts["valid"] == 0
    jsonl(tmp_path / "valid.jsonl", rows(2))
    assert desk.draft(section(tmp_path), 1).counts["valid"] == 2


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    paths = [jsonl(tmp_path / f"{n}.jsonl", rows(10, f"w{n}")) for n in range(3)]
    desk = Desk()
    first, second = desk.draft(section(paths[0]), 1), desk.draft(section(paths[1]), 1)
    assert desk.draft(section(paths[0]), 1) is first
    desk.draft(section(paths[2]), 1)
    assert desk.draft(section(paths[0]), 1) is first
    assert desk.draft(section(paths[1]), 1) is not second


def test_two_who_ask_at_once_make_one_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = jsonl(tmp_path / "a.jsonl", rows(30))
    began, gate, made = threading.Event(), threading.Event(), []

    def slow(*arguments: Any) -> Draft:
        began.set()
        assert gate.wait(20)
        made.append(1)
        return draft(*arguments)

    monkeypatch.setattr(desk_module, "draft", slow)
    desk = Desk()
    found: list[Draft] = []
    threads = [threading.Thread(target=lambda: found.append(desk.draft(section(path), 1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert began.wait(20)
    gate.set()
    for thread in threads:
        thread.join(20)
    assert len(found) == 4 and made == [1] and all(each is found[0] for each in found)


def test_what_failed_is_not_held(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"a": 1, "b": 2}] * 4)
    desk = Desk()
    for _ in range(2):
        with pytest.raises(TunerError):
            desk.draft(section(path), 1)
    assert len(desk) == 0


def test_rows_are_found_whatever_their_case_in_the_order_of_splits(tmp_path: Path) -> None:
    made = draft(section(jsonl(tmp_path / "a.jsonl", rows(200))), 3)
    found = find_rows(made, "WORD 17")
    assert found and all("word 17" in json.dumps(made.row(*place)) for place in found)
    total = sum("word 17" in json.dumps(row) for part in made.parts for row in made.rows(part))
    assert len(found) == total == 11
    assert [split for split, _ in found] == sorted((s for s, _ in found), key=["train", "valid", "test"].index)
    assert find_rows(made, "") == () and find_rows(made, "nothing of the kind") == ()


def test_a_search_can_be_ended(tmp_path: Path) -> None:
    made = draft(section(jsonl(tmp_path / "a.jsonl", rows(20))), 3)

    def end() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        find_rows(made, "x", end)


def test_there_is_no_row_beyond_the_last(tmp_path: Path) -> None:
    made = draft(section(jsonl(tmp_path / "a.jsonl", rows(20))), 3)
    assert made.row("train", 15) is not None
    assert made.row("train", 16) is None and made.row("train", -1) is None and made.row("unseen", 0) is None


# -- the first rows ---------------------------------------------------------------------------------------------------


def test_the_head_reads_no_further_than_it_must(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", rows(5000))
    with path.open("a") as stream:
        stream.write("this is no JSON\n")
    head = read_head(section(path), limit=50)
    assert [(split, number) for split, number, _ in head.rows] == [("", n) for n in range(50)]
    assert [row for _, _, row in head.rows] == rows(50)


def test_the_head_of_a_folder_knows_its_splits(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", rows(40))
    jsonl(tmp_path / "valid.jsonl", rows(3))
    head = read_head(section(tmp_path), limit=10)
    assert [split for split, _, _ in head.rows] == ["train"] * 10 + ["valid"] * 3
    drawn = read_head(section(tmp_path, train=5), limit=10)
    assert {split for split, _, _ in drawn.rows} == {""}, "which rows are drawn is not known yet"


def test_the_head_leaves_out_what_cannot_be_shown_and_what_the_filter_does(tmp_path: Path) -> None:
    made = [*rows(4), {"prompt": "", "completion": "x"}, {"completion": "no prompt"}]
    path = jsonl(tmp_path / "a.jsonl", made)
    assert [row for _, _, row in read_head(section(path)).rows] == rows(4)
    kept = read_head(section(path, filter=['completion = "word 2"'])).rows
    assert [row["completion"] for _, _, row in kept] == ["word 2"]


def test_a_head_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "a", \n{"prompt" 3}\n')
    with pytest.raises(TunerError) as caught:
        read_head(section(path))
    assert caught.value.where.startswith(str(path)) and "line" in caught.value.where


def test_the_first_preview_needs_no_tokenizer_and_says_that_it_is_not_all(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", rows(300))
    experiment = Experiment.model_validate({"model": {"path": "m"}, "data": {"source": str(path)}})
    shown = preview_head(experiment, None, limit=20)
    assert (shown.complete, len(shown.rows), shown.kind) == (False, 20, "completion")
    assert shown.counts == {"train": 0, "valid": 0, "test": 0} and shown.token_lengths["max"] == 0
    assert shown.rows[7].row == rows(8)[7] and shown.rows[7].tokens == []
