"""Delimited text as spreadsheets write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_tuner.config import DataSection
from tui_tuner.data.opening import open_source
from tui_tuner.data.readers.dialect import cells_of, find_delimiter, find_header
from tui_tuner.data.table import Fault, Record


class Found:
    """A small table, read as a whole."""

    def __init__(self, path: Path, text: str | bytes, **options: str) -> None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        table = open_source(DataSection(source=str(path), **options)).main
        everything = list(table.rows())
        self.rows: list[Record] = [row for row in everything if not isinstance(row, Fault)]
        self.faults = [row for row in everything if isinstance(row, Fault)]
        self.lines = [table.place(index).line for index in range(len(table))]
        self.notes = table.notes()
        self.format = table.format
        table.close()


Reader = Callable[..., Found]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return lambda text, name="a.csv", **options: Found(tmp_path / name, text, **options)


def test_values_stay_the_text_they_were(read: Reader) -> None:
    found = read('id,name,share\n007, "x" ,1.50\n1e5,"a, ""b""\nc",TRUE\n')
    assert found.rows[0] == {"id": "007", "name": ' "x" ', "share": "1.50"}
    assert found.rows[1] == {"id": "1e5", "name": 'a, "b"\nc', "share": "TRUE"}
    assert found.lines == [2, 3]


def test_lines_count_the_breaks_inside_values(read: Reader) -> None:
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
    assert find_delimiter(text.splitlines()) == delimiter


def test_tabs_go_first_in_a_tsv() -> None:
    assert find_delimiter(["text\tx", "a, b\t1", "c"], tabs_first=True) == "\t"


def test_a_single_column_is_a_table(read: Reader) -> None:
    assert read("text\nhello\nworld\n").rows == [{"text": "hello"}, {"text": "world"}]


def test_empty_columns_go_and_unnamed_ones_get_a_name(read: Reader) -> None:
    found = read(",a,a,,\n0,x,y,,\n1,z,w,,\n")
    assert found.rows[0] == {"column 1": "0", "a": "x", "a (2)": "y"}
    assert found.notes == [
        "2 columns with neither name nor values left out",
        "columns without a name are called column 1",
        "column names that occur more than once are numbered: a",
    ]


def test_a_named_column_without_values_stays(read: Reader) -> None:
    assert read("a,b\n1,\n").rows == [{"a": "1", "b": ""}]


def test_short_records_are_filled_and_counted(read: Reader) -> None:
    found = read("a,b,c\n1,2\n\n4,5,6,,\n")
    assert found.rows == [{"a": "1", "b": "2", "c": ""}, {"a": "4", "b": "5", "c": "6"}]
    assert found.notes == [
        "1 record has fewer values than columns; what lacks is empty",
        "1 blank line is skipped",
    ]


def test_records_quoted_as_a_whole_are_taken_apart(read: Reader) -> None:
    found = read('a,b\n"x,""y, z"""\n"1,2"\n3,4\n')
    assert found.rows == [{"a": "x", "b": "y, z"}, {"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert found.notes[-1] == "2 records that were quoted as a whole taken apart"


def test_a_header_quoted_with_its_records_is_taken_apart(read: Reader) -> None:
    assert read('"a,b"\n"1,2"\n').rows == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a,b\n1,2\n", True),
        ("question,answer\nyes,no\n", True),
        ("Frage;Antwort\nWie geht's?;Gut\nWo?;Hier\n", True),
        (",question,answer\n0,What?,This\n1,Who?,Me\n", True),
        ("Name,Team,Yards\nJoe,A,12\nAnn,B,30\n", True),
        ("Country,2020,2021\nFrance,1,2\nSpain,4,5\n", True),
        ("id,comment_text,toxic\n0001,Hello there,0\n0002,Well well,1\n", True),
        ("label,text\nspam,Free entry now\nham,See you tomorrow\nspam,Win cash\n", True),
        ("spam,Free entry now\nham,See you tomorrow\nspam,Win cash\nham,ok\n", False),
        ("1,2,x\n3,4,y\n", False),
        ("Joe,A,12\nAnn,B,30\nBob,A,4\nEve,B,77\n", False),
        ("2024-01-01,1.2,1.3\n2024-01-02,1.3,1.4\n2024-01-03,1.3,1.4\n", False),
        ("What is the capital of France?,Paris\nWhat is 2+2?,4\nWho wrote Hamlet?,Shakespeare\n", False),
        ("Go.,Va !\nRun!,Cours !\nWow!,Tiens !\nFire!,Au feu !\n", False),
        ("0,@user what a day,4\n1,so sad,0\n0,ok,2\n", False),
    ],
)
def test_a_header_is_told_from_a_row(text: str, header: bool) -> None:
    lines = text.splitlines()
    found = find_header([cells_of(line, find_delimiter(lines)) for line in lines])
    assert found.present == header
    assert 0.75 <= found.confidence <= 0.99 or text.startswith("Country")


def test_without_a_header_no_row_is_lost(read: Reader) -> None:
    found = read("1,2,x\n3,4,y\n")
    assert found.rows == [
        {"column 1": "1", "column 2": "2", "column 3": "x"},
        {"column 1": "3", "column 2": "4", "column 3": "y"},
    ]
    assert found.lines == [1, 2]
    assert found.notes == [
        "the first record looks like values, not like column names (confidence 99%), so it is a row;"
        " give the file a header, or set data.header"
    ]


def test_a_person_knows_better_about_the_header(read: Reader) -> None:
    assert read("1,2\n3,4\n", header="yes").rows == [{"1": "3", "2": "4"}]
    found = read("a,b\n3,4\n", header="no")
    assert found.rows == [{"column 1": "a", "column 2": "b"}, {"column 1": "3", "column 2": "4"}]
    assert found.notes == []


def test_a_header_that_may_be_a_row_is_said(read: Reader) -> None:
    assert read("hello,bonjour\ncat,chat\n").notes == [
        'the first record is taken for column names (confidence 67%); set data.header = "no" if it is a row'
    ]


def test_too_many_values_are_a_fault_of_their_record(read: Reader) -> None:
    found = read("a,b\n1,2\n3,4, really\n5,6\n")
    assert found.rows == [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]
    (fault,) = found.faults
    assert (fault.code, fault.place.line, fault.place.row) == ("bad-table", 3, 1)
    assert fault.message == "the record has 3 values, but there are 2 columns"


@pytest.mark.parametrize(
    ("text", "line", "rows"),
    [
        ('a,b\n1,2\n3,"four\n5,6\n7,8\n', 3, 3),
        ('a,b\n1,2\n3,"four\n5,"six"\n7,8\n', 3, 3),
        ('a,b\n1,2\n3,"four\n5,6\n"7","8"\n', 3, 3),
        ('a,b\n1,"2\n', 2, 0),
        ('a,b\n1,"2\n\n3,4\n', 2, 1),
    ],
)
def test_an_open_quote_is_named_where_it_opens_and_costs_its_record_alone(
    read: Reader, text: str, line: int, rows: int
) -> None:
    found = read(text)
    (fault,) = found.faults
    assert fault.place.line == line
    assert "never closed" in fault.message
    assert len(found.rows) == rows


def test_quotes_within_values_are_what_they_are(read: Reader) -> None:
    found = read('size,what\n5",pipe\n6",a "good" one\n7,"said ""no"", then\nleft"\n8,end\n')
    assert [tuple(row.values()) for row in found.rows] == [
        ('5"', "pipe"),
        ('6"', 'a "good" one'),
        ("7", 'said "no", then\nleft'),
        ("8", "end"),
    ]
    assert found.lines == [2, 3, 4, 6]


def test_bare_carriage_returns_within_a_record_are_damage(read: Reader) -> None:
    found = read("a,b\n1\r2,3\n4,5\n")
    assert found.rows == [{"a": "4", "b": "5"}]
    assert found.faults[0].message == "the record has a bare carriage return"
    assert read('a,b\n"""x\ry""z",1\n').rows == [{"a": '"x\ry"z', "b": "1"}]


def test_lines_of_old_macs_are_lines(read: Reader) -> None:
    found = read("a,b\r1,x\r2,y\r")
    assert (found.rows, found.lines) == ([{"a": "1", "b": "x"}, {"a": "2", "b": "y"}], [2, 3])
    assert found.notes == ["the lines end with carriage returns alone, as on old Macs"]


def test_what_excel_says_of_the_separator_is_no_row(read: Reader) -> None:
    found = read("sep=;\nquestion;answer\nyes, or no;maybe\n")
    assert (found.rows, found.lines) == ([{"question": "yes, or no", "answer": "maybe"}], [3])


@pytest.mark.parametrize(
    ("sign", "told"),
    [("|", "|"), ("\t", "tab"), (";", "semicolon"), ("~", "~"), ("  ", "spaces"), ("^", "^"), ("\x01", "\x01")],
)
def test_every_separator_is_found_or_told(read: Reader, sign: str, told: str) -> None:
    lines = [f"name{sign}points", f"Ann{sign}1", f"Bob{sign}2", f"Eve{sign}3"]
    text = "".join(line + "\n" for line in lines)
    expected = [{"name": name, "points": points} for name, points in (("Ann", "1"), ("Bob", "2"), ("Eve", "3"))]
    assert read(text).rows == expected
    assert read(text, delimiter=told).rows == expected


def test_values_in_columns_without_a_name_are_not_lost(read: Reader) -> None:
    rows = "".join(f"{n},x{n},\n" for n in range(400))
    found = read("n,x,\n" + rows + "400,x400,late\n")
    assert found.rows[0] == {"n": "0", "x": "x0"}
    assert found.rows[-1] == {"n": "400", "x": "x400", "column 3": "late"}


def test_blank_lines_inside_quotes_belong_to_the_value(read: Reader) -> None:
    found = read('a,b\n1,"x\n\n\ny"\n\n2,z\n')
    assert found.rows == [{"a": "1", "b": "x\n\n\ny"}, {"a": "2", "b": "z"}]
    assert (found.lines, found.notes) == ([2, 7], ["1 blank line is skipped"])


def test_prose_is_no_table_whatever_its_commas(read: Reader) -> None:
    found = read("Dear Ann, hello\nthis is it, then\nbye, Bob\n", "letter.txt")
    assert found.format == "lines"
    assert found.rows[0] == {"text": "Dear Ann, hello"}


def test_documents_longer_than_pythons_limit_are_read(read: Reader) -> None:
    text = "word " * 60_000
    assert read(f'a,b\n1,"{text}"\n').rows[0]["b"] == text


BLANK = ' ,\t\n\x0b\x0c"'
CELLS = st.text(alphabet=st.characters(exclude_characters="\x00\r", exclude_categories=("Cs",)), max_size=12)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8),
    tabs=st.booleans(),
    ends=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_python_writes_comes_back(
    read: Reader, rows: list[list[str]], tabs: bool, ends: str, quoting: Literal[0, 1]
) -> None:
    kept = [row for row in rows if any(cell.strip(BLANK) for cell in row)]
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t" if tabs else ",", quoting=quoting, lineterminator=ends)
    writer.writerows([["first", "second", "third"], ["1", "2", "3"], *rows])
    found = read(stream.getvalue(), "a.tsv" if tabs else "a.csv", header="yes")
    assert found.faults == []
    got = [list(row.values()) for row in found.rows[1:]]
    assert [row for row in got if any(cell.strip(BLANK) for cell in row)] == kept
