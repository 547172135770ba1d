"""From a file's first bytes to the reader that understands it. The content decides, the ending only helps.

What a file could be is tried from the surest sign to the weakest: magic bytes, JSON that can be decoded, a table whose
records are equally wide, lines of plain text. A file whose rows are all damaged is still opened as what it was meant to
be, so that each of them can be named.
"""

from __future__ import annotations

from pathlib import Path

from tui_tuner.data.readers import jsontext
from tui_tuner.data.readers.content import Content, FileContent, head, wait_for
from tui_tuner.data.readers.delimited import Delimited, is_delimited, layout_of, sample_records
from tui_tuner.data.readers.encodings import Coding, coding_of
from tui_tuner.data.readers.indexed import PIECE, Damage
from tui_tuner.data.readers.jsondocument import document, is_last, line_of
from tui_tuner.data.readers.jsonvalues import JsonValues
from tui_tuner.data.readers.lines import JsonLines, TextLines, is_object
from tui_tuner.data.readers.options import Options
from tui_tuner.data.readers.refusals import no_rows, refuse, refuse_binary, unsupported_text
from tui_tuner.data.readers.spool import MAGIC, recoded, unpacked, with_line_feeds
from tui_tuner.data.table import Table
from tui_tuner.errors import TunerError

JSON_ENDINGS = (".jsonl", ".ndjson", ".json", ".jsonlines", ".geojson")
TABLE_ENDINGS = (".csv", ".tsv", ".tab", ".psv")
TEXT_ENDINGS = (".txt", ".text", ".md", ".markdown", "")
COLUMN_ENDINGS = (".parquet", ".arrow", ".feather")
PACKED_ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".zstd")

_HEAD = 1 << 16
_LONGEST_LINE = 1 << 26
_SAMPLE_LINES = 100
_SPACE = b" \t\r\n\x0b\x0c\xef\xbb\xbf"


def ending(path: Path) -> str:
    """The ending that tells the format, in small letters: that before `.gz` and its like."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in PACKED_ENDINGS else suffix


def tables_of(path: Path, options: Options) -> dict[str, Table]:
    """The tables of one file, by split; under "" where it has no splits.

    Raises:
        TunerError: it holds no records, or can't be read.
    """
    content: Content = FileContent(path)
    try:
        return _tables(content, path, options)
    except BaseException:
        content.close()
        raise


def json_lines(path: Path) -> Table:
    """A file of one JSON object a line, whatever it is called. Raises TunerError as `tables_of`."""
    content = FileContent(path)
    first = head(content, _HEAD)
    refuse(path, first)
    return JsonLines(content, coding_of(content))


def _tables(content: Content, path: Path, options: Options) -> dict[str, Table]:
    first = head(content, _HEAD)
    if (packed := next((name for magic, name in MAGIC.items() if first.startswith(magic)), "")) and first:
        content = unpacked(content, packed)
        first = head(content, _HEAD)
        if not first and content.damage:
            raise _damaged_packing(path, packed)
    refuse(path, first)
    if isinstance(content, FileContent) and (table := _columns(path, first)):
        content.close()
        return {"": table}
    coding = coding_of(content, options.encoding)
    if coding.recode:
        content = recoded(content, coding.recode)
        coding = Coding(start=3 if head(content, 3) == b"\xef\xbb\xbf" else 0, fallback="none", note=coding.note)
    first = head(content, _HEAD)
    if b"\n" not in first and b"\r" in first:
        content = with_line_feeds(content)
    refuse_binary(path, first)
    tables = _text_tables(content, coding, path, options)
    for table in tables.values():
        table.extend(0)
        if table.complete and not len(table):
            raise no_rows(path)
    return tables


def _columns(path: Path, first: bytes) -> Table | None:
    from tui_tuner.data.readers.arrow import ArrowTable, ParquetTable

    if first.startswith(b"PAR1"):
        return ParquetTable(path)
    if first.startswith(b"ARROW1") or (first.startswith(b"\xff\xff\xff\xff") and path.suffix.lower() == ".arrow"):
        return ArrowTable(path)
    return None


def _text_tables(content: Content, coding: Coding, path: Path, options: Options) -> dict[str, Table]:
    start = _first_sign(content, coding)
    if start is None:
        raise no_rows(path, "holds nothing but blank lines")
    suffix = ending(path)
    if found := _json(content, coding, start, suffix, options):
        return found
    records = sample_records(content, coding)
    may_be_table = suffix not in (*JSON_ENDINGS, ".md", ".markdown")
    if suffix in TABLE_ENDINGS or options.delimiter or (may_be_table and is_delimited(records)):
        tabs = suffix in (".tsv", ".tab")
        layout = layout_of(records, delimiter=options.delimiter, header=options.header, tabs_first=tabs)
        return {"": Delimited(content, coding, layout)}
    if suffix in JSON_ENDINGS:
        if not any(_could_be_json(record) for record in records) and is_delimited(records):
            return {"": Delimited(content, coding, layout_of(records, header=options.header))}
        return {"": JsonLines(content, coding)}
    if suffix in TEXT_ENDINGS:
        return {"": TextLines(content, coding)}
    raise unsupported_text(path)


def _json(content: Content, coding: Coding, start: int, suffix: str, options: Options) -> dict[str, Table] | None:
    """The tables of a file that is JSON; None where it is not, or where each line has to be looked at as it is."""
    sign = content.read(start, start + 1)
    surely = suffix in JSON_ENDINGS
    if sign == b"[":
        if names := _lists_by_line(content, start):
            return {"": JsonLines(content, coding, names)}
        if surely or _begins_with_rows(content, start):
            return document(content, coding, start, options.subset)
        return None
    if sign != b"{":
        return None
    line, whole_line = _first_line(content, start)
    if whole_line and is_object(line.decode("latin-1")):
        if suffix not in (".jsonl", ".ndjson", ".jsonlines") and is_last(content, start + len(line)):
            return document(content, coding, start, options.subset)
        return (
            {"": JsonLines(content, coding)}
            if _by_lines(content, start)
            else _one_after_another(content, coding, start)
        )
    text = _text(content, start)
    value, end = jsontext.first(text)
    if not isinstance(value, Damage):
        # One object over several lines, or several: the same reader takes both, but a single one may hold rows.
        if is_last(content, start + end):
            return document(content, coding, start, options.subset)
        return _one_after_another(content, coding, start)
    lines = _lines(content, start)
    objects = sum(map(is_object, lines))
    beginnings = sum(line.startswith(('{"', "{'")) and line.rstrip().endswith("}") for line in lines)
    if objects and objects * 2 >= len(lines):
        return {"": JsonLines(content, coding)}
    if not surely and not jsontext.is_cut(value, text):
        return None
    if sum(line.rstrip() == "{" for line in lines) > 1:  # a holder of rows opens but once
        return _one_after_another(content, coding, start)
    if beginnings * 2 >= len(lines) and len(lines) > 1:
        return {"": JsonLines(content, coding)}
    return document(content, coding, start, options.subset)


def _lists_by_line(content: Content, start: int) -> list[str] | None:
    """Names of the columns where each line is a list by itself; None where one list holds them all."""
    lines = _lines(content, start)[:2]
    rows = [jsontext.whole(line) for line in lines]
    named = [jsontext.names_of_cells(row) for row in rows]
    return named[0] if len(rows) == 2 and named[0] == named[1] else None


def _one_after_another(content: Content, coding: Coding, start: int) -> dict[str, Table]:
    return {"": JsonValues(content, coding, "json-objects", start, line_of(content, start))}


def _by_lines(content: Content, start: int) -> bool:
    """Whether values are one a line, judged by the second, which may take several lines of its own."""
    text = _text(content, start)
    lines = _lines(content, start)
    if sum(map(is_object, lines)) * 2 > len(lines):
        return True
    _, end = jsontext.first(text)
    second, behind = jsontext.first(text, end)
    return isinstance(second, Damage) or "\n" not in text[end:behind].strip()


def _begins_with_rows(content: Content, start: int) -> bool:
    """Whether an array opens here whose first value can be decoded; prose may begin with a bracket too."""
    text = _text(content, start)
    value, _ = jsontext.first(text, 1)
    if isinstance(value, Damage):
        return text[1:].lstrip()[:1] == "{" and jsontext.is_cut(value, text)
    return isinstance(value, dict | str | list)


def _could_be_json(record: str) -> bool:
    """Whether a line begins as JSON does."""
    return record.lstrip()[:1] in ("{", "[", '"') or record.strip() in ("null", "true", "false")


def _first_sign(content: Content, coding: Coding) -> int | None:
    """The byte of the first sign that is no space; None where there is none."""
    position = coding.start
    while True:
        piece = wait_for(content, position, position + PIECE)
        if not piece:
            return None
        if rest := piece.lstrip(_SPACE):
            return position + len(piece) - len(rest)
        position += len(piece)


def _first_line(content: Content, start: int) -> tuple[bytes, bool]:
    """The line that begins at a byte, and whether its end was found within reason."""
    window = _HEAD
    while True:
        piece = wait_for(content, start, start + window)
        feed = piece.find(b"\n")
        if feed >= 0:
            return piece[:feed], True
        if len(piece) < window:
            return piece, True
        if window >= _LONGEST_LINE:
            return piece[:_HEAD], False
        window *= 4


def _text(content: Content, start: int) -> str:
    """The head's bytes from one on as text of which each character is one byte: enough to see how JSON is built."""
    return wait_for(content, start, start + _HEAD).decode("latin-1")


def _lines(content: Content, start: int) -> list[str]:
    """The first lines from a byte on that have something in them, without one that the head cuts."""
    lines = _text(content, start).split("\n")
    if content.size > start + _HEAD or not content.complete:
        lines = lines[:-1] or lines
    return [line for line in lines[: 2 * _SAMPLE_LINES] if line.strip()][:_SAMPLE_LINES]


def _damaged_packing(path: Path, packed: str) -> TunerError:
    return TunerError(
        f"is compressed ({packed}), but damaged from its beginning",
        code="damaged-file",
        where=str(path),
        fix="fetch the file again",
    )
