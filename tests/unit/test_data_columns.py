"""Parquet and Arrow: plain values, batches, damage."""

from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.support.oddfiles import ROWS, arrow_stream, table_of
from tests.support.tables import opened, whole
from tui_tuner.data.opening import open_source
from tui_tuner.data.table import Fault


def test_values_of_columns_are_plain(tmp_path: Path) -> None:
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
