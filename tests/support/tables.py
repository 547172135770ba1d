"""The same rows in every format, as many as wanted, and a table read to its end."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet

from tests.support.oddfiles import table_of
from tui_tuner.data.opening import open_source
from tui_tuner.data.table import Table

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


def opened(folder: Path, name: str, count: int) -> Table:
    FORMATS[name](folder / name, count)
    return open_source(str(folder / name)).main


def whole(table: Table) -> list[Any]:
    while not table.extend(1.0):
        pass
    return list(table.rows())
