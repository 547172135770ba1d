"""Parquet, Arrow and Feather: values in JSON's terms, rows by number as in order, damage named in its place."""

from __future__ import annotations

import datetime
import decimal
import json
import random
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from pyarrow import feather, ipc

from tui_tuner.data.opening import open_source
from tui_tuner.data.readers import arrow
from tui_tuner.data.readers.plainvalues import plain
from tui_tuner.data.readers.views import Chain, Part
from tui_tuner.data.table import Fault, Table
from tui_tuner.errors import TunerError


def opened(path: Path) -> Table:
    return open_source(str(path)).main


def numbers(count: int) -> pyarrow.Table:
    return pyarrow.table({"n": list(range(count)), "text": [f"row {n} " + "x" * (n % 50) for n in range(count)]})


def stream(path: Path, table: pyarrow.Table, rows: int) -> None:
    with ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


def file(path: Path, table: pyarrow.Table, rows: int) -> None:
    with ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


WRITERS = {
    "a.parquet": lambda path, table: pyarrow.parquet.write_table(table, path, row_group_size=300),
    "a.arrow": lambda path, table: file(path, table, 300),
    "stream.arrow": lambda path, table: stream(path, table, 300),
    "a.feather": lambda path, table: feather.write_feather(table, str(path), chunksize=300, compression="zstd"),
}


# -- values -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "expected", "lost"),
    [
        (None, None, []), (True, True, []), (2**70, 2**70, []), (0.5, 0.5, []), (float("nan"), None, [""]),
        (float("-inf"), None, [""]), (b"caf\xc3\xa9", "café", []), (b"\xff", None, ["c"]),
        (decimal.Decimal("3.00"), 3, []), (decimal.Decimal("3.25"), 3.25, []),
        (datetime.date(2025, 3, 4), "2025-03-04", []), (datetime.time(5, 6, 7), "05:06:07", []),
        (datetime.datetime(2025, 3, 4, 5, 6, 7, tzinfo=datetime.UTC), "2025-03-04T05:06:07+00:00", []),
        (datetime.timedelta(days=1, seconds=5), "1 day, 0:00:05", []),
        ([("a", 1), ("b", b"x")], {"a": 1, "b": "x"}, []), ([], [], []), ([(1, 2, 3)], ["(1, 2, 3)"], []),
        ({"a": [b"\xff", float("inf")], 7: {"b": None}}, {"a": [None, None], "7": {"b": None}}, ["c", ""]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_is_told_in_jsons_terms_or_counted_as_lost(value: Any, expected: Any, lost: list[str]) -> None:
    found: list[str] = []
    made = plain(value, "c", found)
    assert (made, found) == (expected, lost)
    json.dumps(made, allow_nan=False)


def test_every_kind_of_column_comes_through_a_file(tmp_path: Path) -> None:
    table = pyarrow.table({
        "when": pyarrow.array([datetime.datetime(2025, 3, 4, 5, 6)], pyarrow.timestamp("us")),
        "price": pyarrow.array([decimal.Decimal("12.50")], pyarrow.decimal128(6, 2)),
        "tags": pyarrow.array([["a", None]], pyarrow.list_(pyarrow.string())),
        "map": pyarrow.array([[("k", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
        "kind": pyarrow.array(["x"]).dictionary_encode(),
        "who": pyarrow.array([{"name": "Åsa", "age": None}]),
    })  # fmt: skip
    expected = {
        "when": "2025-03-04T05:06:00", "price": 12.5, "tags": ["a", None], "map": {"k": 1}, "kind": "x",
        "who": {"name": "Åsa", "age": None},
    }  # fmt: skip
    for name, write in WRITERS.items():
        write(tmp_path / name, table)
        assert list(opened(tmp_path / name).rows()) == [expected], name


# -- rows by number ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", WRITERS)
def test_rows_in_any_order_are_the_rows_in_order(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a group is so large that it is read in parts."""
    monkeypatch.setattr(arrow, "_LARGEST_GROUP", 4_000)
    monkeypatch.setattr(arrow, "_ROWS", 128)
    table = numbers(1_000)
    WRITERS[name](tmp_path / name, table)
    found = opened(tmp_path / name)
    while not found.extend(1.0):
        pass
    expected = table.to_pylist()
    assert list(found.rows()) == expected and len(found) == 1_000
    order = random.Random(3).sample(range(1_000), 60)
    assert [found.row(number) for number in order] == [expected[number] for number in order]
    assert list(found.rows(290, 310)) == expected[290:310]
    found.rest()
    assert found.row(777) == expected[777]
    for outside in (-1, 1_000):
        with pytest.raises(IndexError):
            found.row(outside)
    found.close()


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather"])
def test_a_file_that_is_cut_short_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, numbers(1_000))
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(TunerError) as caught:
        list(opened(tmp_path / name).rows())
    assert name in caught.value.where and caught.value.fix


def test_of_a_stream_that_is_cut_short_all_that_is_whole_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stream.arrow"
    stream(path, numbers(1_000), 300)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * 0.8)])
    found = list(opened(path).rows())
    rows = [row for row in found if not isinstance(row, Fault)]
    faults = [row for row in found if isinstance(row, Fault)]
    assert rows == numbers(1_000).to_pylist()[: len(rows)] and len(rows) >= 600
    assert [fault.code for fault in faults] == ["cut-file"] and faults[0].place.row == len(rows)


def test_damage_inside_a_group_is_that_groups_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(numbers(900), path, row_group_size=300, compression="gzip", use_dictionary=False)
    column = pyarrow.parquet.ParquetFile(path).metadata.row_group(1).column(1)
    raw = bytearray(path.read_bytes())
    at = column.data_page_offset + column.total_compressed_size // 2
    raw[at : at + 40] = b"\xff" * 40
    path.write_bytes(raw)
    found = list(opened(path).rows())
    assert len(found) == 900
    assert [number for number, row in enumerate(found) if isinstance(row, Fault)] == list(range(300, 600))
    assert {row.code for row in found if isinstance(row, Fault)} == {"damaged-file"}


# -- tables of tables -------------------------------------------------------------------------------------------------
def shards(folder: Path, *sizes: int) -> list[Path]:
    paths, first = [], 0
    for number, size in enumerate(sizes):
        path = folder / f"train-{number:05d}.jsonl"
        path.write_text("".join(json.dumps({"n": first + n}) + "\n" for n in range(size)))
        paths.append(path)
        first += size
    return paths


def test_shards_one_after_another_are_one_table(tmp_path: Path) -> None:
    paths = shards(tmp_path, 3, 1, *[2] * 12)
    chain = Chain(tmp_path, paths, opened)
    assert not chain.complete and chain.format == "jsonl"
    assert [row["n"] for row in chain.rows()] == list(range(28))  # type: ignore[index]
    assert chain.complete and len(chain) == 28
    assert [chain.row(number) for number in (27, 0, 3)] == [{"n": 27}, {"n": 0}, {"n": 3}]
    assert [row["n"] for row in chain.rows(2, 5)] == [2, 3, 4]  # type: ignore[index]
    assert (chain.place(3).path, chain.place(3).line) == (paths[1], 1)
    assert chain.notes()[0] == "14 files one after another"
    with pytest.raises(IndexError):
        chain.row(28)
    chain.close()


def test_a_shard_that_cannot_be_opened_is_one_fault_in_its_place(tmp_path: Path) -> None:
    paths = shards(tmp_path, 2, 1, 2)
    paths[1].write_bytes(b"\x93NUMPY binary\x00\x01\x02" * 20)
    found = list(Chain(tmp_path, paths, opened).rows())
    assert [row for row in found if not isinstance(row, Fault)] == [{"n": 0}, {"n": 1}, {"n": 3}, {"n": 4}]
    chain = Chain(tmp_path, paths, opened)
    while not chain.extend(1.0):
        pass
    fault = chain.row(2)
    assert isinstance(fault, Fault) and fault.place.path == paths[1] and fault.message.startswith("the file ")
    assert chain.place(2).path == paths[1] and len(chain) == 5
    with pytest.raises(TunerError):
        Chain(tmp_path, [paths[1], paths[0]], opened)


def test_counts_in_notes_of_several_shards_are_added_up(tmp_path: Path) -> None:
    paths = shards(tmp_path, 1, 1)
    for path in paths:
        path.write_text('{"n": 0}\n\n\n{"n": 1}\n')
    chain = Chain(tmp_path, paths, opened)
    assert len(list(chain.rows())) == 4
    assert any(note.startswith("4 ") for note in chain.notes()), chain.notes()


def test_a_part_of_a_table_keeps_the_places_of_the_whole(tmp_path: Path) -> None:
    (path,) = shards(tmp_path, 10)
    part = Part(opened(path), 3, 6)
    assert part.extend(1.0) and len(part) == 3
    assert [row["n"] for row in part.rows()] == [3, 4, 5]  # type: ignore[index]
    assert [row["n"] for row in part.rows(1, 2)] == [4]  # type: ignore[index]
    assert (part.row(0), part.place(0).line, part.notes()) == ({"n": 3}, 4, [])
    for read in (part.row, part.place):
        with pytest.raises(IndexError):
            read(3)
    beyond = Part(opened(path), 8, None)
    while not beyond.extend(1.0):
        pass
    assert [row["n"] for row in beyond.rows()] == [8, 9] and len(Part(opened(path), 99, None)) == 0  # type: ignore[index]
    part.close()
