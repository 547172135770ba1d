"""Sources that are looked at early, cut, empty or changed: the first rows, and a sentence where there are none."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import DataSection
from tui_tuner.data.ahead import ahead
from tui_tuner.data.find import find_rows
from tui_tuner.data.head import read_head
from tui_tuner.data.lookup import MISSING, has_column, has_value, look_up, paths_of
from tui_tuner.data.opening import open_source
from tui_tuner.data.openrecords import OpenRecords
from tui_tuner.errors import TunerError


def rows_of(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(first, first + count)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def section(source: Path, **keys: Any) -> DataSection:
    return DataSection(source=str(source), **keys)


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


# -- the first rows ---------------------------------------------------------------------------------------------------
def test_the_head_has_the_first_rows_of_every_split_that_the_source_brings(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", rows_of(9))
    write(tmp_path / "valid.jsonl", rows_of(2, 100))
    head = read_head(section(tmp_path), limit=3)
    assert [(split, number, row["prompt"]) for split, number, row in head.rows] == [
        ("train", 0, "question 0"), ("train", 1, "question 1"), ("train", 2, "question 2"),
        ("valid", 0, "question 100"), ("valid", 1, "question 101"),
    ]  # fmt: skip
    assert {split for split, _, _ in read_head(section(tmp_path, sample=4), limit=3).rows} == {""}, "not known yet"


def test_what_is_filtered_out_or_cannot_be_a_row_is_not_among_the_first(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"prompt": "", "completion": "nothing asked"}, *rows_of(4)]
    head = read_head(section(write(tmp_path / "a.jsonl", rows), filter=['prompt != "question 1"']), limit=10)
    assert [row["prompt"] for _, _, row in head.rows] == ["question 0", "question 2", "question 3"]


def test_a_source_with_nothing_to_show_says_why(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text('{"prompt": "a", "completion": \n')
    with pytest.raises(TunerError) as caught:
        read_head(section(damaged))
    assert "damaged.jsonl" in caught.value.where and caught.value.fix
    empty = tmp_path / "empty.csv"
    empty.write_text("prompt,completion\n")
    with pytest.raises(TunerError) as caught:
        read_head(section(empty))
    assert "empty.csv" in caught.value.sentence()


def test_a_damaged_first_line_does_not_hide_the_rows_behind_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows_of(3))
    path.write_text("{broken\n" + path.read_text())
    assert [row["completion"] for _, _, row in read_head(section(path)).rows] == ["answer 0", "answer 1", "answer 2"]


# -- opening ----------------------------------------------------------------------------------------------------------
def test_a_pipe_is_no_source(tmp_path: Path) -> None:
    """Reading one might never end."""
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(TunerError) as caught:
        open_source(str(tmp_path / "pipe.jsonl"))
    assert caught.value.sentence().endswith("is neither a file nor a folder.")


def test_a_name_that_no_file_can_have_is_told_as_missing(tmp_path: Path) -> None:
    for name in ("x" * 4_000, "nul\0byte.jsonl"):
        with pytest.raises(TunerError) as caught:
            open_source(name, tmp_path)
        assert caught.value.code == "no-such-data"


def test_a_split_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", rows_of(3))
    write(tmp_path / "test.jsonl", rows_of(1))
    with pytest.raises(TunerError) as caught:
        open_source(section(tmp_path, slice="valid"))
    assert 'there is no split "valid" (the source has train, test)' in caught.value.sentence()
    single = write(tmp_path / "alone.jsonl", rows_of(5))
    with pytest.raises(TunerError, match="the source has no splits"):
        open_source(section(single, slice="test"))
    assert len(list(open_source(section(single, slice="train[1:3]")).main.rows())) == 2
    assert list(open_source(section(single, slice="train[-2:]")).main.rows()) == rows_of(2, 3)


def test_a_file_among_shards_that_has_splits_of_its_own_is_refused(tmp_path: Path) -> None:
    for number in range(2):
        held = {"train": rows_of(2), "test": rows_of(1)}
        (tmp_path / f"train-0000{number}-of-00002.json").write_text(json.dumps(held))
    with pytest.raises(TunerError) as caught:
        list(open_source(section(tmp_path)).main.rows())
    assert caught.value.code == "ambiguous-rows" and "name the file itself" in caught.value.sentence()


# -- records ----------------------------------------------------------------------------------------------------------
def test_records_know_their_number_line_and_split(tmp_path: Path) -> None:
    import numpy as np

    write(tmp_path / "train.jsonl", rows_of(3))
    (tmp_path / "valid.jsonl").write_text('\n{"prompt": "q", "completion": "a"}\n{broken\n')
    records = OpenRecords(open_source(section(tmp_path)))
    assert len(list(records.unread)) == 4, "also before the first pass"
    assert len(records) == 0
    assert len(list(records.first_pass())) == len(list(records)) == len(records) == 4
    assert records.sizes == {"train": 3, "valid": 1, "test": 0}
    assert records[3] == {"prompt": "q", "completion": "a"} and "valid.jsonl, line 2" in records.where(3)
    assert records.lines_of(np.array([0, 3, 2], np.int32)).tolist() == [1, 2, 3]
    assert [fault.place.line for fault in records.faults] == [3]
    for outside in (-1, 4):
        with pytest.raises(IndexError, match="of 4"):
            records[outside]
        with pytest.raises(IndexError):
            records.place(outside)


def test_records_none_of_which_can_be_read_are_an_error_that_names_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{broken\n{broken too\n")
    with pytest.raises(TunerError) as caught:
        list(OpenRecords(open_source(section(path))).first_pass())
    assert "line 1" in caught.value.where


# -- work ahead -------------------------------------------------------------------------------------------------------
def test_work_ahead_keeps_the_order_and_ends_with_its_items() -> None:
    assert list(ahead(range(200), "ahead-order", 2)) == list(range(200))
    assert threads("ahead-order") == []


def test_an_error_comes_in_its_place_in_the_readers_thread() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise TunerError("the third is damaged")

    found = []
    with pytest.raises(TunerError, match="the third is damaged"):
        found.extend(item for item in ahead(items(), "ahead-error"))
    assert found == [1, 2]
    assert threads("ahead-error") == []


def test_a_reader_that_leaves_early_ends_the_work_and_closes_what_it_read() -> None:
    closed = threading.Event()
    made: list[int] = []

    def items() -> Iterator[int]:
        try:
            for number in range(10_000):
                made.append(number)
                yield number
        finally:
            closed.set()

    reading = ahead(items(), "ahead-leaving", 2)
    assert next(reading) == 0
    reading.close()
    assert closed.is_set() and threads("ahead-leaving") == []
    assert len(made) <= 5, "it ran no further ahead than it may"


# -- looking up -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", "the column of that very name"), ("c.d", 1), ("c.e.0", "first"), ("c.e.1.f", None), ("c.e.2", MISSING),
        ("c.e.-1", MISSING), ("c.e.²", MISSING), ("c.e.99999999999", MISSING), ("c.d.keys", MISSING), ("", MISSING),
        ("text.__class__", MISSING), ("text.0", MISSING),
    ],
)  # fmt: skip
def test_a_path_leads_to_values_and_to_nothing_that_python_has(path: str, value: Any) -> None:
    record = {
        "a.b": "the column of that very name",
        "a": {"b": 0},
        "c": {"d": 1, "e": ["first", {"f": None}]},
        "text": "t",
    }
    assert look_up(record, path) is value or look_up(record, path) == value
    assert has_column(record, path) == (value is not MISSING)
    assert has_value(record, path) == (value not in (MISSING, None))


def test_paths_are_told_in_the_order_in_which_they_are_met() -> None:
    records = [{"b": 1, "a": {"x": {"y": {"z": 1}}, "empty": {}}}, {"c": [{"d": 1}], "a": {"new": 1}}]
    assert paths_of(records) == ["b", "a.x.y", "a.empty", "c", "a.new"]
    assert paths_of([]) == [] and repr(MISSING) == "MISSING"


def test_rows_are_found_by_words_whatever_their_case(tmp_path: Path) -> None:
    from tui_tuner.data.draft import draft

    rows = [*rows_of(8), {"prompt": "Wo ist die STRASSE?", "completion": "Dort"}]
    made = draft(section(write(tmp_path / "a.jsonl", rows), valid=0, test=0), 1)
    (hit,) = find_rows(made, "straße")
    assert made.row(*hit) == rows[-1]
    assert len(find_rows(made, "ANSWER")) == 8 and find_rows(made, "") == () == find_rows(made, "prompt")

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_rows(made, "x", stop)
