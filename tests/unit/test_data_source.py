"""Reading sources: every arrangement that real files have, and a sentence with file and line for every damage."""

from __future__ import annotations

import codecs
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_tuner.data.opening import open_source
from tui_tuner.data.source import read_jsonl, read_records
from tui_tuner.errors import TunerError

ROWS = [{"question": "Wo?", "answer": "Köln"}, {"question": "Wann?", "answer": "um 8"}]


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def lines_of(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "content", "format", "lines"),
    [
        ("a.jsonl", lines_of(ROWS), "jsonl", [1, 2]),
        ("a.jsonl", lines_of(ROWS).rstrip("\n"), "jsonl", [1, 2]),
        ("a.jsonl", lines_of(ROWS).replace("\n", "\r\n"), "jsonl", [1, 2]),
        ("a.jsonl", codecs.BOM_UTF8 + lines_of(ROWS).encode(), "jsonl", [1, 2]),
        ("a.jsonl", lines_of(ROWS).encode("utf-16"), "jsonl", [1, 2]),
        ("a.ndjson", lines_of(ROWS), "jsonl", [1, 2]),
        ("a.json", lines_of(ROWS), "jsonl", [1, 2]),
        ("a.txt", lines_of(ROWS), "jsonl", [1, 2]),
        ("no_ending", lines_of(ROWS), "jsonl", [1, 2]),
        ("a.json", json.dumps(ROWS), "json-array", [1, 1]),
        ("a.jsonl", json.dumps(ROWS, indent=1), "json-array", [2, 6]),
        ("a.json", "\n\n " + json.dumps(ROWS, indent=1) + "\n", "json-array", [4, 8]),
        ("a.json", json.dumps({"version": 1, "rows": ROWS}), "json-object", [1, 1]),
        ("a.json", json.dumps({"version": {"of": [1]}, "rows": ROWS, "z": 0}, indent=1), "json-object", [8, 12]),
        ("a.json", "\n".join(json.dumps(row, indent=1) for row in ROWS), "json-objects", [1, 5]),
        ("a.json", ",\n".join(json.dumps(row, indent=1) for row in ROWS), "json-objects", [1, 5]),
        ("a.json", json.dumps(ROWS[0]) + "\n" + json.dumps(ROWS[1], indent=1), "json-objects", [1, 2]),
        ("a.csv", "question,answer\nWo?,Köln\nWann?,um 8\n", "csv", [2, 3]),
        ("a.csv", "question;answer\r\nWo?;Köln\r\nWann?;um 8\r\n", "csv", [2, 3]),
        ("a.csv", "question\tanswer\nWo?\tKöln\nWann?\tum 8\n", "tsv", [2, 3]),
        ("a.tsv", "question\tanswer\nWo?\tKöln\nWann?\tum 8\n", "tsv", [2, 3]),
        ("a.txt", "question\tanswer\nWo?\tKöln\nWann?\tum 8\n", "tsv", [2, 3]),
        ("a.csv", codecs.BOM_UTF8 + "question,answer\nWo?,Köln\nWann?,um 8\n".encode(), "csv", [2, 3]),
    ],
)
def test_every_arrangement_gives_the_same_rows(
    tmp_path: Path, name: str, content: str | bytes, format: str, lines: list[int]
) -> None:
    records = read_records(write(tmp_path / name, content))
    assert records.rows == ROWS
    assert (records.format, records.lines, records.splits) == (format, lines, None)
    assert records.path == tmp_path / name


def test_a_relative_source_is_looked_for_beside_the_preset(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", lines_of(ROWS))
    assert read_records("a.jsonl", tmp_path).rows == ROWS


def test_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    row = {"text": "one\u2028two\u2029three\x85four\x0bfive\x1csix"}
    content = json.dumps(row, ensure_ascii=False) + "\n"
    assert "\u2028" in content
    assert read_records(write(tmp_path / "a.jsonl", content * 2)).rows == [row, row]


def test_blank_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    records = read_records(write(tmp_path / "a.jsonl", '\n{"text": "a"}\n  \n\n{"text": "b"}\n'))
    assert records.lines == [2, 5]
    assert records.notes == ["3 blank lines are skipped"]
    assert records.where(1) == f"{tmp_path / 'a.jsonl'}, line 5 (row 2)"


def test_what_is_not_utf8_is_read_as_windows_1252_and_said(tmp_path: Path) -> None:
    raw = b"question,answer\n" + "Où?,à Nîmes\n".encode("cp1252") + "Où?,à Nîmes\n".encode()
    records = read_records(write(tmp_path / "a.csv", raw))
    assert [row["answer"] for row in records.rows] == ["à Nîmes", "à Nîmes"]
    assert records.notes == ["line 2 is not UTF-8 and read as Windows-1252; look whether accented letters are right"]


def test_bytes_that_windows_1252_lacks_are_read_where_they_mean_something(tmp_path: Path) -> None:
    records = read_records(write(tmp_path / "a.jsonl", '{"text": "für Jürgen"}\n'.encode("cp850")))
    assert records.rows == [{"text": "für Jürgen"}]
    assert "the DOS code page 850" in records.notes[0]


def test_nan_becomes_null_with_a_note(tmp_path: Path) -> None:
    records = read_records(write(tmp_path / "a.jsonl", '{"a": NaN, "b": -Infinity}\n'))
    assert records.rows == [{"a": None, "b": None}]
    assert records.notes == ["2 NaN or infinite values are read as null"]


def test_a_single_row_that_holds_a_conversation_is_a_row(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    assert read_records(write(tmp_path / "a.json", json.dumps(row))).rows == [row]
    assert read_records(write(tmp_path / "b.json", json.dumps(row, indent=2))).rows == [row]


def test_the_last_of_two_equal_keys_holds_the_rows(tmp_path: Path) -> None:
    text = '{"rows": [{"a": 1}],\n "rows": [{"a": 2}]}'
    records = read_records(write(tmp_path / "a.json", text))
    assert (records.rows, records.lines) == ([{"a": 2}], [2])


@pytest.mark.parametrize(
    ("content", "where", "message"),
    [
        ('{"a": 1}\n{"a": 2,}\n', "line 2, column", "a comma too many"),
        ('{"a": 1}\n{"a": \n', "line 2, column", "breaks off"),
        ("{'a': 1}\n", "line 1, column 2", "single quotes"),
        ('{"a": 1}\n[1, 2]\n', "line 2", "the row is a list"),
        ('{"a": 1}\n"b"\n', "line 2", "the row is a text"),
        ('"b"\n"c"\n', "line 1", "the row is a text"),
        ('{"a": 1}\nnull\n', "line 2", "the row is null"),
        ('[{"a": 1},\n 5]', "line 2", "the row is a number"),
        ('[{"a": 1},\n {"a": 2}\n {"a": 3}]', "line 3, column 2", "between two rows"),
        ('[{"a": 1}]\n[{"a": 2}]', "line 2, column 1", "more after the end"),
        ('[{"a": 1},\n {"a": ', "line 2, column 8", "breaks off"),
        ('{"a": "x\ty"}\n', "line 1, column 9", "line break or control character"),
        ('{"a": "x}\n', "line 1, column 7", "never closed"),
        ('{"a": "C:\\data"}\n', "line 1, column 10", "backslash"),
        ('{"a": 1} {"a": 2}\n{"a": }', "line 2, column 7", "malformed"),
        ('{\n "a": }', "line 2, column 7", "malformed"),
        ('{\n "a": 1\n}\n{\n "a": 2', "line 5, column 8", "breaks off"),
        ('{"a": ' + "9" * 5000 + "}\n", "line 1", "thousands of digits"),
        ('{"a": ' + "[" * 200_000 + "}\n", "line 1", "nested too deeply"),
    ],
)
def test_damaged_json_names_file_and_line(tmp_path: Path, content: str, where: str, message: str) -> None:
    with pytest.raises(TunerError) as caught:
        read_records(write(tmp_path / "a.jsonl", content))
    assert caught.value.where.startswith(f"{tmp_path / 'a.jsonl'}, {where}")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.jsonl", b"", "empty-file"),
        ("a.csv", b"", "empty-file"),
        ("a.jsonl", b"\n", "no-rows"),
        ("a.jsonl", codecs.BOM_UTF8 + b" \r\n\t\n", "no-rows"),
        ("a.json", b"[]", "no-rows"),
        ("a.csv", b"question,answer\n", "no-rows"),
        ("a.csv", b",\n,\n", "no-rows"),
        ("a.jsonl", b"version https://git-lfs.example/spec/v1\noid sha256:0\n", "lfs-pointer"),
        ("a.json", b"\n<!DOCTYPE html><html></html>", "web-page"),
        ("a.csv", b"<html lang=en>", "web-page"),
        ("a.csv", b"PK\x03\x04rest", "unsupported-format"),
        ("a.jsonl", b"\x1f\x8brest", "damaged-file"),
        ("a.parquet", b"PAR1rest", "damaged-file"),
        ("notes.yaml", b"Dear all,\nhere is a text.\n", "unsupported-format"),
        ("a.jsonl", b'{"text": "\x00"}', "not-text"),
        ("a.jsonl", codecs.BOM_UTF16_LE + b"a\x00b", "bad-encoding"),
    ],
)
def test_what_holds_no_rows_is_refused(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    with pytest.raises(TunerError) as caught:
        read_records(write(tmp_path / name, content))
    assert caught.value.code == code
    assert str(tmp_path / name) in caught.value.where
    assert caught.value.fix


def test_a_missing_file_is_named_with_its_nearest_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "players.jsonl", "{}")
    with pytest.raises(TunerError, match=r"no such file.*did you mean \"players.jsonl\"") as caught:
        read_records("player.jsonl", tmp_path)
    assert caught.value.code == "no-such-data"
    with pytest.raises(TunerError, match="no such file"):
        read_records("x" * 5000, tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TunerError, match="neither a file nor a folder"):
        read_records("pipe", tmp_path)


def test_a_folder_brings_its_splits_in_any_case_and_format(tmp_path: Path) -> None:
    write(tmp_path / "Train.JSONL", lines_of(ROWS))
    write(tmp_path / "DEV.csv", "question,answer\nWer?,ich\n")
    write(tmp_path / "test.json", json.dumps([ROWS[1]]))
    write(tmp_path / "README.md", "about")
    records = read_records(str(tmp_path))
    assert records.splits == {"train": ROWS, "valid": [{"question": "Wer?", "answer": "ich"}], "test": [ROWS[1]]}
    assert records.rows == [*ROWS, {"question": "Wer?", "answer": "ich"}, ROWS[1]]
    assert records.where(1) == f"{tmp_path / 'Train.JSONL'}, line 2 (row 2)"
    assert records.where(2) == f"{tmp_path / 'DEV.csv'}, line 2 (row 1)"
    assert records.where(3) == f"{tmp_path / 'test.json'}, line 1 (row 1)"


@pytest.mark.parametrize("name", ["valid", "validation", "VAL", "Dev"])
def test_every_name_of_the_validation_split(tmp_path: Path, name: str) -> None:
    write(tmp_path / "train.jsonl", lines_of(ROWS))
    write(tmp_path / f"{name}.jsonl", lines_of(ROWS[:1]))
    splits = read_records(str(tmp_path)).splits
    assert splits is not None
    assert (splits["valid"], splits["test"]) == (ROWS[:1], [])


def test_folders_without_train_or_with_two_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", lines_of(ROWS))
    write(tmp_path / "others.jsonl", lines_of(ROWS))
    with pytest.raises(TunerError, match=r"no train file \(it has others.jsonl, rows.jsonl\)"):
        read_records(str(tmp_path))
    write(tmp_path / "train.jsonl", lines_of(ROWS))
    write(tmp_path / "valid.jsonl", lines_of(ROWS))
    write(tmp_path / "dev.json", lines_of(ROWS))
    with pytest.raises(TunerError, match=r'both "dev\.json" and "valid\.jsonl" are valid files'):
        read_records(str(tmp_path))


def test_errors_inside_a_folder_name_the_file(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", lines_of(ROWS))
    write(tmp_path / "test.jsonl", '{"a": 1}\n{"a"\n')
    with pytest.raises(TunerError) as caught:
        read_records(str(tmp_path))
    assert caught.value.where.startswith(f"{tmp_path / 'test.jsonl'}, line 2")


def test_read_jsonl_reads_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match="list"):
        read_jsonl(Path(write(tmp_path / "a.jsonl", "[]\n")))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(), JSON_VALUES, max_size=4), min_size=1, max_size=6)


SLOW_FIXTURE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW_FIXTURE
@given(rows=OBJECTS, ascii=st.booleans(), ends=st.lists(st.sampled_from(["\n", "\r\n", "\n\n", "\n \t\n"]), min_size=6))
def test_any_rows_come_back_from_lines(tmp_path: Path, rows: list[Any], ascii: bool, ends: list[str]) -> None:
    texts = [json.dumps(row, ensure_ascii=ascii) + end for row, end in zip(rows, ends, strict=False)]
    content = "".join(texts).encode("utf-8", "replace")
    rows = [json.loads(text.encode("utf-8", "replace")) for text in texts]
    records = read_jsonl(Path(write(tmp_path / "a.jsonl", content)))
    assert records.rows == rows
    assert records.lines == [1 + "".join(texts[:number]).count("\n") for number in range(len(texts))]


@SLOW_FIXTURE
@given(rows=OBJECTS, indent=st.sampled_from([None, 1]), held=st.booleans())
def test_any_rows_come_back_from_a_document(tmp_path: Path, rows: list[Any], indent: int | None, held: bool) -> None:
    text = json.dumps({"n": 1, "data": rows} if held else rows, indent=indent)
    records = read_records(write(tmp_path / "a.json", text))
    assert records.rows == rows
    assert records.lines == sorted(records.lines)


@SLOW_FIXTURE
@given(text=st.text(alphabet="{}[]\":, \n\\ab1eE.-+tfn'", max_size=40))
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    for name in ("a.json", "a.jsonl"):
        try:
            table = open_source(write(tmp_path / name, text)).main
        except TunerError as error:
            assert error.code in ("empty-file", "no-rows", "bad-table", "ambiguous-rows")
            continue
        found = list(table.rows())
        assert len(found) == len(table) > 0
        assert [table.row(index) for index in range(len(found))] == found
        for row in found:
            assert isinstance(row, dict) or (row.place.line > 0 and row.message and "line " in row.where())


def test_importing_loads_no_heavy_library() -> None:
    code = (
        "import sys, tui_tuner.data.prepare, tui_tuner.data.source, tui_tuner.evaluation.score\n"
        "heavy = {'mlx', 'mlx_lm', 'transformers', 'datasets', 'evaluate', 'rouge_score', 'nltk', 'textual'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")
