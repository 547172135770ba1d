"""Recipes for a few records in a file, prepared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tui_tuner.config import DataSection
from tui_tuner.data.prepare import (
    Prepared,
    prepare,
)

PLAYERS = [{"name": f"Player {n}", "yards": "" if n % 4 == 0 else str(n), "team": "ABC"[n % 3]} for n in range(40)]


def jsonl(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def section(source: str, **fields: Any) -> DataSection:
    return DataSection(source=source, **fields)


def prepared_from(path: Path, rows: list[Any], **fields: Any) -> Prepared:
    return prepare(section(jsonl(path / "rows.jsonl", rows), **fields), 42, path)


def folder(path: Path, **splits: int) -> str:
    for name, count in splits.items():
        jsonl(path / f"{name}.jsonl", [{"text": f"{name} {n}"} for n in range(count)])
    return str(path)
