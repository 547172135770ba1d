"""Delimited text as spreadsheets write it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.data.jsonrows import Found
from tui_tuner.data.tables import delimited, find_delimiter
from tui_tuner.errors import TunerError


def read(text: str, name: str = "a.csv") -> Found:
    return delimited(io.StringIO(text, newline="\n"), Path(name))


def test_values_stay_the_text_they_were() -> None:
    found = read('id,name,share\n007, "x" ,1.50\n1e5,"a, ""b""\nc",TRUE\n')
    assert found.rows[0] == {"id": "007", "name": ' "x" ', "share": "1.50"}
    assert found.rows[1] == {"id": "1e5", "name": 'a, "b"\nc', "share": "TRUE"}
    assert found.lines == [2, 3]


def test_lines_count_the_breaks_inside_values() -> None:
    assert read('a,b\n"1\n2\n3",x\ny,z\n').lines == [2, 5]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("a\tb\nx, y, z\tw\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("text\nno separator here\n", ","),
        ('a,b\n"x;y;z",2\n', ","),
        ("question;answer\nyes, or no;maybe\nfine;well, yes\n", ";"),
    ],
)
def test_the_separator_is_found(text: str, delimiter: str) -> None:
    assert find_delimiter(text.splitlines(keepends=True), Path("a.csv")) == delimiter


def test_tabs_go_first_in_a_tsv() -> None:
    assert find_delimiter(["text\tx\n", "a, b\t1\n", "c\n"], Path("a.tsv")) == "\t"


def test_a_single_column_is_a_table() -> None:
    assert read("text\nhello\nworld\n").rows == [{"text": "hello"}, {"text": "world"}]


def test_empty_columns_go_and_unnamed_ones_get_a_name() -> None:
    found = read(",a,a,,\n0,x,y,,\n1,z,w,,\n")
    assert found.rows[0] == {"column 1": "0", "a": "x", "a (2)": "y"}
    assert found.notes == [
        "2 columns with neither name nor values left out",
        "columns without a name are called column 1",
        "column names that occur more than once are numbered: a",
    ]


def test_a_named_column_without_values_stays() -> None:
    assert read("a,b\n1,\n").rows == [{"a": "1", "b": ""}]


def test_short_records_are_filled_and_counted() -> None:
    found = read("a,b,c\n1,2\n\n4,5,6,,\n")
    assert found.rows == [{"a": "1", "b": "2", "c": ""}, {"a": "4", "b": "5", "c": "6"}]
    assert found.notes == [
        "1 record has fewer values than columns; what lacks is empty",
        "1 blank line is skipped",
    ]


def test_records_quoted_as_a_whole_are_taken_apart() -> None:
    found = read('a,b\n"x,""y, z"""\n"1,2"\n3,4\n')
    assert found.rows == [{"a": "x", "b": "y, z"}, {"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert found.notes == ["2 records that were quoted as a whole taken apart"]


def test_a_header_quoted_with_its_records_is_taken_apart() -> None:
    assert read('"a,b"\n"1,2"\n').rows == [{"a": "1", "b": "2"}]


def test_a_missing_header_is_noted() -> None:
    assert "give the file a header" in read("1,2,x\n3,4,y\n").notes[-1]


def test_too_many_values_name_the_line() -> None:
    with pytest.raises(TunerError) as caught:
        read("a,b\n1,2\n3,4, really\n")
    assert caught.value.where == "a.csv, line 3"
    assert caught.value.message == "the record has 3 values, but there are 2 columns"


def test_an_open_quote_is_named_where_it_opens() -> None:
    with pytest.raises(TunerError) as caught:
        read('a,b\n1,2\n3,"four\n5,6\n7,8\n')
    assert caught.value.where == "a.csv, line 3"
    assert "never closed" in caught.value.message
    with pytest.raises(TunerError, match="never closed"):
        read('a,b\n1,"2\n')


@pytest.mark.parametrize("text", ["a,b\rc,d\r", "a,b\n1\r2,3\n", 'a,b\n"""x\ry""z"\n'])
def test_bare_carriage_returns_are_refused_or_kept(text: str) -> None:
    try:
        assert read(text).rows == [{"a": '"x\ry"z', "b": ""}]
    except TunerError as error:
        assert error.message == "the record has a bare carriage return"


def test_documents_longer_than_pythons_limit_are_read() -> None:
    text = "word " * 60_000
    assert read(f'a,b\n1,"{text}"\n').rows[0]["b"] == text


CELLS = st.text(alphabet=st.characters(exclude_characters="\x00\r", exclude_categories=("Cs",)), max_size=12)


@settings(deadline=None)
@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8), tabs=st.booleans())
def test_what_python_writes_comes_back(rows: list[list[str]], tabs: bool) -> None:
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t" if tabs else ",", quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["first", "second", "third"], *rows])
    found = read(stream.getvalue(), "a.tsv" if tabs else "a.csv")
    assert [list(row.values()) for row in found.rows] == kept
