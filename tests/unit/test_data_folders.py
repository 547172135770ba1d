"""Folders and their splits, parts of a source, and what tells one source from another."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.oddfiles import LINES, ROWS, arrow_file, arrow_stream, folder, parquet
from tests.support.tables import whole, write_lines
from tui_tuner.config import DataSection
from tui_tuner.data.fingerprints import fingerprint
from tui_tuner.data.opening import open_source
from tui_tuner.data.table import Fault, Source
from tui_tuner.errors import TunerError

# -- folders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        ({"train__jsonl": LINES, "VALID__csv": "a,b\n1,2\n"}, {"train": 2, "valid": 1}),
        (
            {"Training__json__gz": gzip.compress(json.dumps(ROWS).encode()), "dev__jsonl": LINES},
            {"train": 2, "valid": 2},
        ),
        (
            {
                "data___train-00000-of-00002__parquet": parquet(ROWS),
                "data___train-00001-of-00002__parquet": parquet(ROWS),
                "data___validation-00000-of-00001__parquet": parquet(ROWS),
                "README__md": "about",
            },
            {"train": 4, "valid": 2},
        ),
        (
            {"train___one__jsonl": LINES, "train___two__jsonl": LINES, "test___x__csv": "a,b\n1,2\n"},
            {"train": 4, "test": 1},
        ),
        ({"squad-train-v2__json": json.dumps(ROWS), "squad-dev-v2__json": json.dumps(ROWS)}, {"train": 2, "valid": 2}),
        ({"train_3000__jsonl": LINES}, {"train": 2}),
        ({"part-1__jsonl": LINES, "part-2__jsonl": LINES, "part-10__jsonl": LINES}, {"": 6}),
        ({"0000__parquet": parquet(ROWS)}, {"": 2}),
        ({"faq__csv": "a,b\n1,2\n", "LICENSE": "MIT", "README__md": "about", "package__json": "{}"}, {"": 1}),
        ({"data___0000__parquet": parquet(ROWS), "data___0001__parquet": parquet(ROWS)}, {"": 4}),
        (
            {
                "dataset_dict__json": '{"splits": ["train", "test"]}',
                "train___data-00000-of-00001__arrow": arrow_stream,
                "train___state__json": "{}",
                "train___dataset_info__json": "{}",
                "train___cache-1a2b__arrow": b"",
                "test___data-00000-of-00001__arrow": arrow_stream,
            },
            {"train": 2, "test": 2},
        ),
        ({"data-00000-of-00001__arrow": arrow_file, "state__json": "{}", "dataset_info__json": "{}"}, {"": 2}),
        ({"train__jsonl": LINES, "___DS_Store": b"\0", "__train__jsonl": b"\0\5\x16\7"}, {"train": 2}),
    ],
)
def test_the_splits_of_a_folder_are_found(tmp_path: Path, files: dict[str, Any], splits: dict[str, int]) -> None:
    folder(**files)(tmp_path / "set")
    source = open_source(str(tmp_path / "set"))
    assert {split: len(whole(table)) for split, table in source.tables.items()} == splits
    assert source.has_splits == ("" not in splits)
    source.close()


def test_a_folder_of_subsets_wants_one_named(tmp_path: Path) -> None:
    folder(easy___train__jsonl=LINES, hard___train__jsonl=LINES, hard___test__jsonl=LINES)(tmp_path / "set")
    path = str(tmp_path / "set")
    assert set(open_source(DataSection(source=path, subset="hard")).tables) == {"train", "test"}
    with pytest.raises(TunerError) as caught:
        open_source(DataSection(source=path, subset="medium"))
    assert caught.value.code == "no-such-subset"
    assert '"easy", "hard"' in caught.value.fix


def test_a_damaged_shard_is_a_fault_and_the_others_are_read(tmp_path: Path) -> None:
    shards = {f"train-{number}__jsonl": LINES for number in range(12)}
    folder(**{**shards, "train-5__jsonl": LINES + "oops\n", "train-7__jsonl": b""})(tmp_path / "set")
    table = open_source(str(tmp_path / "set")).main
    found = whole(table)
    faults = [record for record in found if isinstance(record, Fault)]
    assert len(found) == 11 * 2 + 2
    assert [(fault.place.path.name, fault.place.row, fault.code) for fault in faults] == [
        ("train-5.jsonl", 2, "bad-json"),
        ("train-7.jsonl", 0, "empty-file"),
    ]
    assert table.place(len(found) - 1).path.name == "train-11.jsonl"
    assert table.place(len(found) - 1).row == 1
    assert [table.row(index) for index in range(len(found))] == found
    assert table.notes() == ["12 files one after another"]


def test_splits_within_one_json_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"data": {"train": ROWS, "val": ROWS[:1], "about": {}}}, indent=1))
    source = open_source(str(tmp_path / "a.json"))
    assert {split: whole(table) for split, table in source.tables.items()} == {"train": ROWS, "valid": ROWS[:1]}


# -- slices ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("[:3]", range(3)),
        ("[4:6]", range(4, 6)),
        ("[-2:]", range(98, 100)),
        ("[10%:20%]", range(10, 20)),
        ("[:-95]", range(5)),
        ("train[98:]", range(98, 100)),
        ("train", range(100)),
        ("[200:]", range(0)),
    ],
)
def test_slices_take_what_they_name(tmp_path: Path, text: str, numbers: range) -> None:
    write_lines(tmp_path / "a.jsonl", 100)
    table = open_source(DataSection(source=str(tmp_path / "a.jsonl"), slice=text)).main
    assert [record["n"] for record in whole(table)] == list(numbers)
    assert len(table) == len(numbers)
    assert [table.place(index).row for index in range(len(table))] == list(numbers)
    with pytest.raises(IndexError):
        table.row(len(table))


def test_a_slice_of_one_split_is_the_source(tmp_path: Path) -> None:
    folder(train__jsonl=LINES * 4, dev__jsonl=LINES)(tmp_path / "set")
    path = str(tmp_path / "set")

    def counts(text: str) -> dict[str, int]:
        source: Source = open_source(DataSection(source=path, slice=text))
        return {split: len(whole(table)) for split, table in source.tables.items()}

    assert counts("[:3]") == {"train": 3, "valid": 2}
    assert counts("train[:3]") == {"": 3}
    assert counts("validation") == {"": 2}
    with pytest.raises(TunerError) as caught:
        counts("test")
    assert caught.value.code == "no-such-split"


# -- fingerprints ------------------------------------------------------------------------------------------------------


def test_a_fingerprint_is_of_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    one, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    one.write_text(LINES)
    other.write_text(LINES)
    first = fingerprint(open_source(str(one)))
    assert first == fingerprint(open_source(str(other)))
    stamp = one.stat()
    one.write_text(LINES.replace("Ann", "Eve"))
    os.utime(one, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as an editor within the clock's tick would leave it
    assert fingerprint(open_source(str(one))) != first
    folder(train__jsonl=LINES, test__jsonl=LINES)(tmp_path / "set")
    assert fingerprint(open_source(str(tmp_path / "set"))) != first


def test_a_file_that_stays_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.jsonl"
    path.write_text(LINES)
    os.utime(path, (time.time() - 60, time.time() - 60))
    first = fingerprint(open_source(str(path)))
    monkeypatch.setattr("hashlib.file_digest", None)  # would fail if it were called
    assert fingerprint(open_source(str(path))) == first
    (tmp_path / "cache" / "fingerprints.json").write_text("{damaged")
    with pytest.raises(TypeError):
        fingerprint(open_source(str(path)))
