"""What every table promises: it opens at its beginning, is safe in threads, notices changes, and can be let go of."""

from __future__ import annotations

import gzip
import json
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.oddfiles import LINES, ROWS, arrow_file, arrow_stream, folder, parquet, table_of
from tui_tuner.config import DataSection
from tui_tuner.data.fingerprints import fingerprint
from tui_tuner.data.opening import open_source
from tui_tuner.data.readers import indexed, spool
from tui_tuner.data.readers.content import FileContent
from tui_tuner.data.readers.indexed import IndexedTable
from tui_tuner.data.table import Fault, Source, Table
from tui_tuner.errors import TunerError

Make = Callable[[Path, int], None]


def row(number: int) -> dict[str, Any]:
    return {"n": number, "text": f'row {number}: "ä", ' + "x" * (number % 90)}


def write_lines(path: Path, count: int) -> None:
    path.write_text("".join(json.dumps(row(n), ensure_ascii=False) + "\n" for n in range(count)))


def write_array(path: Path, count: int) -> None:
    path.write_text(json.dumps([row(n) for n in range(count)], indent=1))


def write_csv(path: Path, count: int) -> None:
    body = "".join(f'{n},"row {n}, of\nmany"\n' for n in range(count))
    path.write_text("n,text\n" + body)


def write_packed(path: Path, count: int) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row(n)) + "\n" for n in range(count)).encode()))


def write_parquet(path: Path, count: int) -> None:
    pyarrow.parquet.write_table(table_of([row(n) for n in range(count)]), path, row_group_size=700)


FORMATS: dict[str, Make] = {
    "a.jsonl": write_lines,
    "a.json": write_array,
    "a.csv": write_csv,
    "a.jsonl.gz": write_packed,
    "a.parquet": write_parquet,
}
every_format = pytest.mark.parametrize("name", FORMATS)


def opened(folder: Path, name: str, count: int) -> Table:
    FORMATS[name](folder / name, count)
    return open_source(str(folder / name)).main


def whole(table: Table) -> list[Any]:
    while not table.extend(1.0):
        pass
    return list(table.rows())


@every_format
def test_opening_reads_no_more_than_the_beginning(tmp_path: Path, name: str) -> None:
    table = opened(tmp_path, name, 60_000)
    if not name.endswith("parquet"):  # whose end says how many rows there are
        assert not table.complete
        assert 0 < len(table) < 60_000
    first = next(table.rows())
    assert str(first["n"]) == "0"
    assert len(whole(table)) == len(table) == 60_000
    assert table.complete


@every_format
def test_threads_get_the_same_rows(tmp_path: Path, name: str) -> None:
    table = opened(tmp_path, name, 4000)
    failures: list[str] = []

    def read(seed: int) -> None:
        chosen = random.Random(seed)
        try:
            for number, record in enumerate(table.rows()):
                if isinstance(record, Fault) or str(record["n"]) != str(number):
                    failures.append(f"{number}: {record}")
                if number % 50 == 0:
                    index = chosen.randrange(len(table))
                    if str(table.row(index)["n"]) != str(index) or table.place(index).row != index:
                        failures.append(f"row {index}")
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def grown(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b'{"n": 1}\n')


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@every_format
@pytest.mark.parametrize("change", [grown, cut_short, replaced, Path.unlink])
def test_a_file_that_changes_is_a_clear_error(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    table = opened(tmp_path, name, 3000)
    change(tmp_path / name)
    with pytest.raises(TunerError) as caught:
        for index in range(len(table)):
            table.row(index)
        whole(table)
    assert caught.value.code == "file-changed"
    assert str(tmp_path / name) in caught.value.where
    table.close()


def test_a_closed_table_is_not_read(tmp_path: Path) -> None:
    table = opened(tmp_path, "a.jsonl", 10)
    table.close()
    with pytest.raises(ValueError, match="closed"):
        table.row(0)


def test_a_table_that_rests_opens_its_file_again(tmp_path: Path) -> None:
    table = opened(tmp_path, "a.jsonl", 10)
    assert isinstance(table, IndexedTable)
    before = len(list(Path("/dev/fd").iterdir()))
    table.rest()
    assert len(list(Path("/dev/fd").iterdir())) == before - 1
    assert table.row(3) == row(3)


# -- pieces ----------------------------------------------------------------------------------------------------------

PARTS = st.lists(
    st.sampled_from(
        [
            '"',
            '\\"',
            "\\\\",
            "\\u2028",
            "\u2028",
            "\u0085",
            "é",
            "😀",
            ",",
            "{",
            "}",
            "[",
            "]",
            "a",
            " ",
            "x" * 40,
            "\\n",
        ]
    ),
    max_size=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(PARTS, min_size=1, max_size=8),
    size=st.integers(1, 40),
    form=st.sampled_from(["lines", "array", "pretty", "one after another", "held"]),
    end=st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_pieces_of_any_size_give_the_same_rows(
    tmp_path: Path, texts: list[list[str]], size: int, form: str, end: str
) -> None:
    rows = [{"t": "".join(part.replace("\\n", "\n") for part in parts), "n": [len(parts), {}]} for parts in texts]
    dumped = [json.dumps(one, ensure_ascii=False, indent=1 if "e" in form and form != "held" else None) for one in rows]
    content = {
        "lines": end.join(json.dumps(one, ensure_ascii=False) for one in rows) + end,
        "array": "[" + ("," + end).join(dumped) + "]" + end,
        "pretty": "[" + end + ("," + end).join(dumped) + end + "]",
        "one after another": end.join(dumped),
        "held": '{"v": {"a": [1]}, "rows": [' + ",".join(dumped) + '], "z": 0}',
    }[form]
    name = "a.jsonl" if form == "lines" else "a.json"
    (tmp_path / name).write_bytes(content.encode())
    table = open_source(str(tmp_path / name)).main
    assert isinstance(table, IndexedTable)
    before, indexed.PIECE = indexed.PIECE, size
    try:
        again = open_source(str(tmp_path / name)).main
        found = list(again.rows())
    finally:
        indexed.PIECE = before
    assert found == rows
    assert [again.row(index) for index in range(len(again))] == rows
    lines = [again.place(index).line for index in range(len(again))]
    assert lines == [table.place(index).line for index in range(len(whole(table)))]
    assert lines == sorted(lines)


# -- what is packed or written in another encoding ---------------------------------------------------------------------


def test_a_finished_copy_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    rows = whole(opened(tmp_path, "a.jsonl.gz", 2000))
    (copy,) = (tmp_path / "cache" / "unpacked").iterdir()
    monkeypatch.setattr(spool, "_decompressor", None)  # would fail if it were called
    assert whole(open_source(str(tmp_path / "a.jsonl.gz")).main) == rows
    copy.unlink()
    with pytest.raises(TypeError):
        open_source(str(tmp_path / "a.jsonl.gz"))


def test_an_unfinished_copy_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    write_packed(tmp_path / "a.jsonl.gz", 2000)
    monkeypatch.setattr(spool, "_PIECE", 1000)
    content = spool.unpacked(FileContent(tmp_path / "a.jsonl.gz"), "gzip")
    content.more(0)
    assert 0 < content.size <= 1000 and not content.complete
    assert content.read(0, 5) == b'{"n":'
    assert len(list((tmp_path / "cache" / "unpacked").iterdir())) == 1
    content.close()
    content.close()
    assert list((tmp_path / "cache" / "unpacked").iterdir()) == []


def test_a_cache_that_can_not_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "file"))
    assert len(whole(opened(tmp_path, "a.jsonl.gz", 300))) == 300


def test_copies_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(spool, "LIMIT", 5000)
    for number in range(4):
        (tmp_path / f"{number}.jsonl.gz").write_bytes(gzip.compress(b'{"a": "' + b"x" * 3000 + b'"}\n'))
        whole(open_source(str(tmp_path / f"{number}.jsonl.gz")).main)
    assert len(list((tmp_path / "cache" / "unpacked").iterdir())) == 1


# -- columns -----------------------------------------------------------------------------------------------------------


def test_values_of_columns_are_plain(tmp_path: Path) -> None:
    import datetime
    import decimal

    rows = [
        {
            "when": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
            "day": datetime.date(2024, 1, 2),
            "price": decimal.Decimal("1.50"),
            "picture": {"bytes": b"\x89PNG\xff", "path": "a.png"},
            "raw": b"text",
            "score": float("nan"),
            "turns": [{"role": "user", "parts": [1, None]}],
        }
    ]
    pyarrow.parquet.write_table(table_of(rows), tmp_path / "a.parquet")
    table = open_source(str(tmp_path / "a.parquet")).main
    assert list(table.rows()) == [
        {
            "when": "2024-01-02T03:04:05+00:00",
            "day": "2024-01-02",
            "price": 1.5,
            "picture": {"bytes": None, "path": "a.png"},
            "raw": "text",
            "score": None,
            "turns": [{"role": "user", "parts": [1, None]}],
        }
    ]
    assert json.dumps(table.row(0))
    assert table.notes() == [
        "1 NaN or infinite value is read as null",
        'the column "picture" holds binary values in 1 row, which are left out',
    ]


def test_numbers_of_classes_are_explained(tmp_path: Path) -> None:
    features = {
        "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
        "text": {"dtype": "string", "_type": "Value"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = table_of([{"label": 1, "text": "fine"}]).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    found = open_source(str(tmp_path / "a.parquet")).main
    assert found.notes() == ['the numbers in the column "label" stand for 0 = neg, 1 = pos']


def test_a_row_group_too_large_to_keep_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_tuner.data.readers.arrow._LARGEST_GROUP", 1000)
    monkeypatch.setattr("tui_tuner.data.readers.arrow._ROWS", 64)
    table = opened(tmp_path, "a.parquet", 1500)
    assert [record["n"] for record in table.rows()] == list(range(1500))
    for index in (1499, 0, 700, 699, 65, 64, 1000):
        assert table.row(index)["n"] == index


def test_a_stream_of_arrow_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    arrow_stream(tmp_path / "a.arrow", ROWS * 20)
    raw = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(raw[: len(raw) * 2 // 3])
    *rows, last = whole(open_source(str(tmp_path / "a.arrow")).main)
    assert 10 < len(rows) < 40
    assert all(isinstance(record, dict) for record in rows)
    assert isinstance(last, Fault) and last.code == "cut-file"


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


# -- a million rows ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_million_rows_are_open_at_once(tmp_path: Path, name: str) -> None:
    count = 1_000_000
    FORMATS[name](tmp_path / name, count)
    begun = time.process_time()
    table = open_source(str(tmp_path / name)).main
    records = table.rows()
    assert [str(next(records)["n"]) for _ in range(5)] == list("01234")
    assert time.process_time() - begun < 0.5
    assert isinstance(table, IndexedTable)
    while not table.extend(1.0):
        pass
    assert len(table) == count
    assert table.starts.nbytes <= 16_000_000
    chosen = [random.Random(1).randrange(count) for _ in range(2000)]
    begun = time.process_time()
    assert all(str(table.row(index)["n"]) == str(index) for index in chosen)
    assert (time.process_time() - begun) / len(chosen) < 0.002
    step = {"a.jsonl": (1, 1), "a.json": (4, 2), "a.csv": (2, 2)}[name]
    assert table.place(count - 1).line == (count - 1) * step[0] + step[1]


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
