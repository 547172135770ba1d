"""Files as they are found in the wild, made in code: damaged, half packed, from the wrong tool; with what comes out.

After what was seen in the data files of public fine-tuning projects. A case is a file name, its bytes (or a function
that makes more than one file), and what has to come out: rows, faults in their places, or the code of the refusal.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import json
import lzma
import pickle
import sqlite3
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from pyarrow import ipc

Make = Callable[[Path], None]

ROWS = [{"question": f"Wo ist {name}?", "answer": f"in {town}"} for name, town in (("Ann", "Köln"), ("Bo", "Łódź"))]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
GOOD = '{"a": 1}\n'


@dataclass
class Odd:
    """A file and what comes out of it.

    Attributes:
        name: of the file, or of the folder that `make` fills.
        content: the bytes of the file, or a function that makes the file or folder at a path.
        rows: the records that can be read, or how many there are.
        faults: (row, line, code) of those that can't.
        refusal: the code with which it is refused at once.
        said: what some note says.
        format: the table's format.
        options: keys of the section `[data]`.
    """

    name: str
    content: bytes | str | Make
    rows: list[dict[str, Any]] | int = field(default_factory=list)
    faults: list[tuple[int, int, str]] = field(default_factory=list)
    refusal: str = ""
    said: tuple[str, ...] = ()
    format: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def make(self, folder: Path) -> Path:
        """Makes the file in a folder; where it is."""
        path = folder / self.name
        if callable(self.content):
            self.content(path)
        else:
            path.write_bytes(self.content.encode() if isinstance(self.content, str) else self.content)
        return path


def table_of(rows: list[dict[str, Any]]) -> pyarrow.Table:
    return pyarrow.Table.from_pylist(rows)


def parquet(rows: list[dict[str, Any]], **options: Any) -> Make:
    return lambda path: pyarrow.parquet.write_table(table_of(rows), path, **options)


def arrow_stream(path: Path, rows: list[dict[str, Any]] | None = None) -> None:
    table = table_of(rows or ROWS)
    with ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=1)


def arrow_file(path: Path) -> None:
    table = table_of(ROWS)
    with ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=1)


def cut(make: Make, share: float) -> Make:
    """The same file, broken off."""

    def made(path: Path) -> None:
        make(path)
        raw = path.read_bytes()
        path.write_bytes(raw[: int(len(raw) * share)])

    return made


def parquet_with_a_hole(path: Path) -> None:
    """Two row groups, the second of them damaged."""
    rows = [{"text": hashlib.sha256(bytes([n])).hexdigest() * 20} for n in range(20)]
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
    pyarrow.parquet.write_table(table_of(rows), path, row_group_size=10, **options)
    column = pyarrow.parquet.ParquetFile(path).metadata.row_group(1).column(0)
    middle = column.data_page_offset + column.total_compressed_size // 2
    raw = bytearray(path.read_bytes())
    raw[middle : middle + 100] = bytes(100)
    path.write_bytes(bytes(raw))


def zipped(name: str) -> Make:
    def made(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "x")

    return made


def database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("create table rows (question, answer)")
    connection.close()


def folder(**files: str | bytes | Make) -> Make:
    """A folder of files; `__` in a name is a dot, `___` a slash."""

    def made(path: Path) -> None:
        for name, content in files.items():
            target = path / name.replace("___", "/").replace("__", ".")
            target.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(target)
            else:
                target.write_bytes(content.encode() if isinstance(content, str) else content)

    return made


PRETTY = "\n".join(json.dumps(row, ensure_ascii=False, indent=2) for row in ROWS)
ARRAY = json.dumps(ROWS, ensure_ascii=False, indent=2)
CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
FRENCH = "question,réponse\nOù est Zoé ?,à Nîmes\nQuand ?,cet été\n"
FRENCH_ROWS = [{"question": "Où est Zoé ?", "réponse": "à Nîmes"}, {"question": "Quand ?", "réponse": "cet été"}]
RUSSIAN = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in ("Где Москва?", "Спасибо, хорошо"))
JAPANESE = "質問,答え\n東京はどこですか,日本の首都です\n元気ですか,はい、元気です\n"
POLISH = "pytanie,odpowiedź\nGdzie jest żółta łódź?,w porcie\nDziękuję,proszę bardzo\n"
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
LFS = "version https://git-lfs.example/spec/v1\noid sha256:0\nsize 7\n"

REFUSED = [
    Odd("empty.jsonl", b"", refusal="empty-file"),
    Odd("blank.jsonl", b"\n", refusal="no-rows"),
    Odd("spaces.json", codecs.BOM_UTF8 + b" \r\n\t\n" * 5000, refusal="no-rows"),
    Odd("none.json", b"[ ]", refusal="no-rows"),
    Odd("header.csv", b"question,answer\n", refusal="no-rows"),
    Odd("pointer.jsonl", LFS, refusal="lfs-pointer"),
    Odd("pointer.parquet", LFS, refusal="lfs-pointer"),
    Odd("annex.csv", "/annex/objects/SHA256E-s1--0.csv\n", refusal="lfs-pointer"),
    Odd("page.json", "\n<!DOCTYPE html><html><body>Sign in</body></html>", refusal="web-page"),
    Odd("missing.jsonl", "Entry not found", refusal="web-page"),
    Odd("denied.json", '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', refusal="unsupported-format"),
    Odd("paper.jsonl", b"%PDF-1.7\n\xe2\xe3", refusal="unsupported-format"),
    Odd("book.xlsx", zipped("xl/workbook.xml"), refusal="unsupported-format"),
    Odd("letter.csv", zipped("word/document.xml"), refusal="unsupported-format"),
    Odd("rows.zip", zipped("rows.jsonl"), refusal="unsupported-format"),
    Odd("old.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", refusal="unsupported-format"),
    Odd("rows.db", database, refusal="unsupported-format"),
    Odd("rows.pkl", pickle.dumps(ROWS), refusal="unsupported-format"),
    Odd("cat.png", b"\x89PNG\r\n\x1a\n\0\0", refusal="unsupported-format"),
    Odd("letter.txt", b"{\\rtf1\\ansi hello}", refusal="unsupported-format"),
    Odd("noise.jsonl", b"\x00\x01\x02\x03" * 50, refusal="not-text"),
    Odd("zero.jsonl", b'{"text": "\x00"}', refusal="not-text"),
    Odd("script.py", b"import json\nprint(1)\n", refusal="unsupported-format"),
    Odd("rows.tar.gz", gzip.compress(b"rows.jsonl".ljust(257, b"\0") + b"ustar\0"), refusal="unsupported-format"),
    Odd("rows.jsonl.gz", b"\x1f\x8brest of something", refusal="damaged-file"),
    Odd("rows.parquet", b"PAR1rest", refusal="damaged-file"),
    Odd("cut.parquet", cut(parquet(ROWS), 0.6), refusal="damaged-file"),
    Odd("cut.arrow", cut(arrow_file, 0.6), refusal="damaged-file"),
    Odd("two.json", json.dumps({"easy": ROWS, "hard": ROWS}), refusal="ambiguous-rows"),
    Odd("uneven.json", json.dumps({"question": ["a", "b"], "answer": ["c"]}), refusal="bad-table"),
    Odd("pictures", folder(cat__png=b"\x89PNG", dog__jpg=b"\xff\xd8\xff"), refusal="no-train-file"),
    Odd("nothing", folder(README__md="about"), refusal="no-train-file"),
    Odd("model", folder(config__json="{}", model__safetensors=b"\0"), refusal="no-train-file"),
    Odd("twice", folder(train__jsonl=LINES, train__csv="a,b\n1,2\n"), refusal="two-files"),
    Odd("twice", folder(train__jsonl=LINES, valid__jsonl=LINES, dev__jsonl=LINES), refusal="two-files"),
]

DAMAGED = [
    Odd("lines.jsonl", GOOD + '{"a": 2,}\n' + GOOD, 2, [(1, 2, "bad-json")]),
    Odd("single.jsonl", GOOD + "{'a': 2}\n" + GOOD, 2, [(1, 2, "bad-json")]),
    Odd("python.jsonl", "{'a': 1}\n{'a': None}\n", 0, [(0, 1, "bad-json"), (1, 2, "bad-json")]),
    Odd("cut.jsonl", GOOD * 3 + '{"a": "the power went', 3, [(3, 4, "bad-json")]),
    Odd("cut2.jsonl", GOOD * 3 + '{"a": ', 3, [(3, 4, "cut-json")]),
    Odd("lists.jsonl", GOOD + "[1, 2]\n" + GOOD, 2, [(1, 2, "not-an-object")]),
    Odd("bare.jsonl", GOOD + '"two"\nnull\n7\n', 1, [(row, row + 1, "not-an-object") for row in (1, 2, 3)]),
    Odd("first.jsonl", "oops\n" + GOOD * 2, 2, [(0, 1, "bad-json")]),
    Odd("cutfirst.jsonl", '{"a": "x\n' + GOOD * 3, 3, [(0, 1, "bad-json")]),
    Odd("joined.jsonl", GOOD + GOOD.strip() + GOOD + GOOD, 2, [(1, 2, "bad-json")]),
    Odd("broken.jsonl", GOOD + '{"a": "one\ntwo"}\n' + GOOD, 2, [(1, 2, "bad-json"), (2, 3, "bad-json")]),
    Odd("tab.jsonl", GOOD + '{"a": "x\ty"}\n', 1, [(1, 2, "bad-json")]),
    Odd("slash.jsonl", GOOD + '{"a": "C:\\data"}\n', 1, [(1, 2, "bad-json")]),
    Odd("merge.jsonl", GOOD + "<<<<<<< HEAD\n" + GOOD, 2, [(1, 2, "bad-json")]),
    Odd("cutword.jsonl", '{"a": "naïve"}\n'.encode() + b'{"a": "na\xc3\xafve caf\xc3"}\n' + GOOD.encode(), 2,
        [(1, 2, "bad-encoding")]),
    Odd("row.json", '[{"a": 1},\n {"a": 2,},\n {"a": 3}]', 2, [(1, 2, "bad-json")]),
    Odd("quote.json", '[\n {"a": "x"},\n {"a": "y},\n {"a": "z"}\n]\n', 2, [(1, 3, "bad-json")]),
    Odd("brace.json", '[\n {"a": 1},\n {"a": 2,\n {"a": 3},\n {"a": 4}\n]', 3, [(1, 3, "cut-json")]),
    Odd("minified.json", '[{"a":1},{"a":"y},{"a":3},{"a":4}]', 3, [(1, 1, "bad-json")]),
    Odd("comma.json", '[{"a": 1}\n {"a": 2}]', 1, [(1, 2, "bad-json")]),
    Odd("mixed.json", '[{"a": 1},\n "two",\n 3]', 1, [(1, 2, "not-an-object"), (2, 3, "not-an-object")]),
    Odd("cut.json", '[{"a": 1},\n {"a": "the pow', 1, [(1, 2, "bad-json")]),
    Odd("open.json", '[{"a": 1},\n {"a": 2}\n', 2, [(2, 3, "cut-json")]),
    Odd("more.json", '[{"a": 1}]\n[{"a": 2}]', 1, [(1, 2, "bad-json")]),
    Odd("held.json", '{"v": 1, "rows": [\n {"a": 1},\n {"a": "x},\n {"a": 3}\n]}', 2, [(1, 3, "bad-json")]),
    Odd("heldcut.json", '{"v": 1, "rows": [\n {"a": 1},\n {"a": 2}', 2, [(2, 3, "cut-json")]),
    Odd("pretty.json", PRETTY.replace('"in Köln"', "'in Köln'"), 1, [(0, 1, "bad-json")]),
    Odd("deep.jsonl", '{"a": ' + "[" * 100_000 + "}\n" + GOOD, 1, [(0, 1, "bad-json")]),
    Odd("ragged.csv", "a,b\n1,2\n3,4,5\n6\n7,8\n", 3, [(1, 3, "bad-table")], said=("1 record has fewer",)),
    Odd("unclosed.csv", 'a,b\n1,"2\n3,4\n5,6\n', 2, [(0, 2, "bad-table")]),
    Odd("hole.parquet", parquet_with_a_hole, 10, [(row, 0, "damaged-file") for row in range(10, 20)]),
    Odd("cut.jsonl.gz", gzip.compress(GOOD.encode() * 20_000)[:-200], 19_000, said=("compressed (gzip)",)),
]  # fmt: skip

ODD = [
    Odd("Train.JSONL", LINES, ROWS, format="jsonl"),
    Odd("crlf.jsonl", LINES.replace("\n", "\r\n\r\n"), ROWS, said=("2 blank lines",)),
    Odd("bom.json", codecs.BOM_UTF8 + ARRAY.encode(), ROWS, format="json-array"),
    Odd("wide.jsonl", LINES.encode("utf-16"), ROWS, said=("UTF-16",)),
    Odd("wider.csv", "question,answer\nWo?,hier\n".encode("utf-32"), [{"question": "Wo?", "answer": "hier"}]),
    Odd("unmarked.csv", FRENCH.encode("utf-16-le"), FRENCH_ROWS, said=("without a mark",)),
    Odd("windows.csv", FRENCH.encode("cp1252"), FRENCH_ROWS, said=("Windows-1252",)),
    Odd("mac.csv", FRENCH.encode("mac_roman"), FRENCH_ROWS, said=("Mac Roman",)),
    Odd("oldmac.csv", FRENCH.replace("\n", "\r").encode("mac_roman"), FRENCH_ROWS, said=("Mac Roman", "old Macs")),
    Odd("dos.csv", FRENCH.encode("cp850"), FRENCH_ROWS, said=("850",)),
    Odd("polish.csv", POLISH.encode("cp1250"), 2, said=("Windows-1250",)),
    Odd("russian.jsonl", RUSSIAN.encode("cp1251"), [{"text": "Где Москва?"}, {"text": "Спасибо, хорошо"}]),
    Odd("koi.jsonl", RUSSIAN.encode("koi8_r"), [{"text": "Где Москва?"}, {"text": "Спасибо, хорошо"}]),
    Odd("japanese.csv", JAPANESE.encode("shift_jis"), 2, said=("CP932",)),
    Odd("named.jsonl", '{"text": "é"}\n'.encode("cp850"), [{"text": "é"}], options={"encoding": "cp850"}),
    Odd("named.csv", b"a,b\n\xe4,1\n", 0, [(0, 2, "bad-encoding")], options={"encoding": "utf-8"}),
    Odd("one.json", json.dumps(CHAT, indent=1), [CHAT], format="json-objects"),
    Odd("pretty.json", PRETTY, ROWS, format="json-objects"),
    Odd("commas.jsonl", LINES.replace("\n", ",\n"), ROWS, format="json-objects"),
    Odd("texts.json", json.dumps(["one", "two"]), [{"text": "one"}, {"text": "two"}], said=("bare texts",)),
    Odd("held.json", json.dumps({"version": 1, "data": ROWS, "end": {}}), ROWS, said=('under "data"',)),
    Odd("nested.json", json.dumps({"meta": 1, "data": {"rows": ROWS}}), ROWS, said=('under "data.rows"',)),
    Odd("chosen.json", json.dumps({"easy": [], "hard": ROWS}), ROWS, options={"subset": "hard"}),
    Odd("columns.json", json.dumps(COLUMNS), ROWS, said=("columns",), format="json-object"),
    Odd("frame.json", json.dumps({k: dict(enumerate(v)) for k, v in COLUMNS.items()}), ROWS),
    Odd("split.json", json.dumps({"columns": ["a"], "index": [0], "data": [[1]]}), [{"a": 1}]),
    Odd("keyed.json", json.dumps({f"q{n}": row for n, row in enumerate(ROWS)}),
        [{"key": f"q{n}", **row} for n, row in enumerate(ROWS)]),
    Odd("comma.json", ARRAY.replace("\n]", ",\n]"), ROWS, said=("1 comma",)),
    Odd("misnamed.json", "question;answer\nWo?;hier\nWer?;ich\n", 2, format="csv"),
    Odd("misnamed.csv", LINES, ROWS, format="jsonl"),
    Odd("semicolons.csv", "price;name\n1,50;a\n2,75;b\n",
        [{"price": "1,50", "name": "a"}, {"price": "2,75", "name": "b"}]),
    Odd("index.csv", ",q,a\n0,x,y\n1,z,w\n", 2, said=("column 1",)),
    Odd("hollow.csv", "q,a" + "," * 40 + "\n" + "x,y" + "," * 40 + "\n", [{"q": "x", "a": "y"}], said=("40 columns",)),
    Odd("requoted.csv", '"q,a"\n"x,""y, z"""\n"v,w"\n', [{"q": "x", "a": "y, z"}, {"q": "v", "a": "w"}]),
    Odd("headless.csv", "spam,Win now\nham,See you\nspam,Free cash\nham,ok\n", 4, said=("looks like values",)),
    Odd("separators.jsonl", json.dumps({"a": "x\u2028y\x85z"}, ensure_ascii=False), [{"a": "x\u2028y\x85z"}]),
    Odd("infinite.jsonl", '{"a": NaN}\n{"a": -Infinity}\n', [{"a": None}] * 2, said=("2 NaN",)),
    Odd("poem.txt", "Roses are red,\n\nviolets are blue\n", [{"text": "Roses are red,"}, {"text": "violets are blue"}]),
    Odd("song.txt", "[Chorus]\nla la la\n", [{"text": "[Chorus]"}, {"text": "la la la"}], format="lines"),
    Odd("rows.jsonl.gz", gzip.compress(LINES.encode()), ROWS, said=("gzip",), format="jsonl"),
    Odd("rows.csv.bz2", bz2.compress(b"a,b\n1,2\n"), [{"a": "1", "b": "2"}], format="csv"),
    Odd("rows.json.xz", lzma.compress(ARRAY.encode()), ROWS, format="json-array"),
    Odd("rows.jsonl.zst", pyarrow.compress(LINES.encode(), "zstd", asbytes=True), ROWS, said=("zstd",)),
    Odd("packed.jsonl", gzip.compress(LINES.encode()), ROWS, said=("gzip",)),
    Odd("rows.parquet", parquet(ROWS), ROWS, format="parquet"),
    Odd("rows.data", parquet(ROWS), ROWS, format="parquet"),
    Odd("stream.arrow", arrow_stream, ROWS, format="arrow"),
    Odd("file.arrow", arrow_file, ROWS, format="arrow"),
    Odd("parts", folder(**{f"part-{n}__parquet": parquet([ROWS[n % 2]]) for n in range(11)}),
        [ROWS[n % 2] for n in range(11)], said=("11 files",)),
]  # fmt: skip
