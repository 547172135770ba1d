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

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.tables import FORMATS, opened, row, whole, write_packed
from tui_tuner.data.opening import open_source
from tui_tuner.data.readers import indexed, spool
from tui_tuner.data.readers.content import FileContent
from tui_tuner.data.readers.indexed import IndexedTable
from tui_tuner.data.table import Fault
from tui_tuner.errors import TunerError

every_format = pytest.mark.parametrize("name", FORMATS)


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
