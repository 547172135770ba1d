"""From what a preset calls `data.source` to records: a file in any common format, or a folder that brings splits.

The format is told from the content, the ending only helps. Records come out as they are in the file, in its order, each
with the line it starts on. Nothing is dropped in silence, and nothing is reached for over the network.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tui_tuner.data.decode import Lines
from tui_tuner.data.jsonrows import Found, json_document, json_lines
from tui_tuner.data.tables import SAMPLE_LINES, delimited, is_delimited
from tui_tuner.errors import TunerError
from tui_tuner.paths import resolve_data

SPLITS = ("train", "valid", "test")
_SPLIT_NAMES = {
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
}
_JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
_TABLE_ENDINGS = (".csv", ".tsv", ".tab")


@dataclass
class Records:
    """Records of a source.

    Attributes:
        rows: all records; of a folder train, valid and test after one another.
        path: the file or folder.
        splits: of a folder, the same records by "train", "valid" and "test" (empty where it has no such file).
        lines: for each of `rows` the line of its file that it starts on, from 1.
        format: "jsonl", "json-array", "json-object", "json-objects", "csv" or "tsv"; of a folder its train file's.
        files: of a folder, the file of each split it has.
        notes: what a person should know about how the source was read.
    """

    rows: list[dict[str, Any]]
    path: Path
    splits: dict[str, list[dict[str, Any]]] | None
    lines: list[int]
    format: str = "jsonl"
    files: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def where(self, index: int) -> str:
        """File, line and row (from 1, within its file) of one of `rows`, for messages."""
        path, row = self.path, index
        for name in SPLITS if self.splits is not None else ():
            assert self.splits is not None
            if row < len(self.splits[name]):
                path = self.files[name]
                break
            row -= len(self.splits[name])
        return f"{path}, line {self.lines[index]} (row {row + 1})"

    def columns(self) -> list[str]:
        """The names of all columns, in the order in which they first occur."""
        return list(dict.fromkeys(name for row in self.rows for name in row))


def read_records(source: str, base: Path | None = None) -> Records:
    """Read a source.

    Args:
        source: a file, a folder with train, valid and test files, or "embedded:NAME".
        base: folder that a relative path is looked for in first.

    Raises:
        TunerError: it isn't there, holds no rows, or is damaged; names the file, and the line where there is one.
    """
    path = Path(resolve_data(source, base))
    try:
        if path.is_dir():
            return _read_folder(path)
        if not path.exists():
            raise _not_there(source, base)
        if not path.is_file():  # a pipe or a device might never end
            raise TunerError("is neither a file nor a folder", code="no-such-data", where=str(path), usage=True)
    except OSError:  # a name too long, or a folder that may not be looked into
        raise _not_there(source, base) from None
    found = _read_file(path)
    return Records(found.rows, path, None, found.lines, found.format, {}, found.notes)


def read_jsonl(path: Path) -> Records:
    """Read one file of one JSON object a line, whatever it is called.

    Raises:
        TunerError: as `read_records`.
    """
    lines = Lines(path)
    found = json_lines(lines, path)
    _refuse_no_rows(found, path)
    return Records(found.rows, path, None, found.lines, found.format, {}, found.notes + lines.notes())


def _not_there(source: str, base: Path | None) -> TunerError:
    folder = (base or Path.cwd()) / Path(source).parent
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        names = []
    near = difflib.get_close_matches(Path(source).name, names, n=1)
    fix = f'did you mean "{Path(source).with_name(near[0])}"?' if near else "check data.source"
    return TunerError("there is no such file or folder", code="no-such-data", where=source, fix=fix, usage=True)


def _refuse_no_rows(found: Found, path: Path) -> None:
    if not found.rows:
        raise TunerError("holds no rows", code="no-rows", where=str(path), fix="bring a file with rows")


def _read_file(path: Path) -> Found:
    """The records of one file in whatever format it has."""
    lines = Lines(path)
    first = next((text for line in lines if (text := line.strip())), "")
    if not first:
        raise TunerError("holds nothing but blank lines", code="no-rows", where=str(path), fix="bring a file with rows")
    lines = Lines(path)
    suffix = path.suffix.lower()
    if suffix in _JSON_ENDINGS or (suffix not in _TABLE_ENDINGS and first[0] in "[{"):
        found = _read_json(path, lines, first)
    elif suffix in _TABLE_ENDINGS or is_delimited(list(islice(Lines(path), SAMPLE_LINES)), path):
        found = delimited(lines, path)
    else:
        raise TunerError(
            "is plain text without columns",
            code="unsupported-format",
            where=str(path),
            fix="bring JSONL, JSON, CSV or TSV; each row names its columns",
        )
    _refuse_no_rows(found, path)
    found.notes.extend(lines.notes())
    return found


def _read_json(path: Path, lines: Lines, first: str) -> Found:
    """Line by line where the first line is a whole object, else as one document."""
    if first[0] == "[":
        return json_document("".join(lines), path)
    try:
        found = json_lines(lines, path)
    except TunerError as line_error:
        # Perhaps objects one after another that take several lines each: then the first line stops short. In a file
        # whose first line is whole, or damaged otherwise, the line's own error says more than the document's.
        try:
            return json_document("".join(Lines(path)), path)
        except TunerError as error:
            raise (error if _stops_short(first, path) else line_error) from None
    if len(found.rows) == 1 and path.suffix.lower() == ".json":
        return json_document("".join(Lines(path)), path)
    return found


def _stops_short(line: str, path: Path) -> bool:
    try:
        json_lines([line], path)
    except TunerError as error:
        return error.code == "cut-json"
    return False


def _read_folder(folder: Path) -> Records:
    """The records of a folder that brings its splits as files."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = _SPLIT_NAMES.get(path.stem.lower())
        if name is None or path.suffix.lower() not in _JSON_ENDINGS + _TABLE_ENDINGS or not path.is_file():
            continue
        if name in files:
            raise TunerError(
                f'both "{files[name].name}" and "{path.name}" are {name} files',
                code="two-files",
                where=str(folder),
                fix="take one of them out",
            )
        files[name] = path
    if "train" not in files:
        seen = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing"
        raise TunerError(
            f"the folder has no train file (it has {seen})",
            code="no-train-file",
            where=str(folder),
            fix="call it train.jsonl, .json, .csv or .tsv, or name one file as data.source",
            usage=True,
        )
    records = Records([], folder, {name: [] for name in SPLITS}, [], files=files)
    for name in SPLITS:
        if name in files:
            _add_split(records, name, _read_file(files[name]))
    return records


def _add_split(records: Records, name: str, found: Found) -> None:
    assert records.splits is not None
    records.splits[name] = found.rows
    records.rows.extend(found.rows)
    records.lines.extend(found.lines)
    records.notes.extend(f"{records.files[name].name}: {note}" for note in found.notes)
    if name == "train":
        records.format = found.format
