"""Data files, damaged: what can be read is read, the rest is named, and nothing else comes out."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from pyarrow import ipc

from tests.support.mutations import as_json, damaged, odd, survive
from tui_tuner.config import DataSection
from tui_tuner.data.draft import draft
from tui_tuner.data.source import read_records
from tui_tuner.data.sourcefacts import source_facts
from tui_tuner.evaluation.outputs import read_outputs

RECORDS = [
    {"question": f"Wo ist Łódź {n}?", "answer": f"{n}.", "n": n, "list": [1, {"a": None}], "score": n / 3}
    for n in range(5)
]
FLAT = [{**record, "list": [{"a": 1}]} for record in RECORDS]
CHATS = [
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"q {n}"},
            {"role": "assistant", "content": f"a {n}", "tool_calls": []},
        ]
    }
    for n in range(6)
]
LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS)
CSV = "question,answer,n\n" + "".join(f'"Wo, ist ""{n}""?",Da {n},{n}\n' for n in range(5))


def _parquet(**options: object) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(FLAT), out, **options)  # type: ignore[arg-type]
    return out.getvalue()


def _arrow(new: Callable[..., object]) -> bytes:
    table, out = pyarrow.Table.from_pylist(FLAT), io.BytesIO()
    with new(out, table.schema) as writer:  # type: ignore[attr-defined]
        writer.write_table(table)
    return out.getvalue()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../x.jsonl", LINES)
    return out.getvalue()


SAMPLES: dict[str, list[bytes]] = {
    "rows.jsonl": [LINES.encode(), "".join(json.dumps(chat) + "\n" for chat in CHATS).encode()],
    "rows.json": [json.dumps(RECORDS).encode(), json.dumps({"data": CHATS}, indent=1).encode()],
    "rows.csv": [CSV.encode(), CSV.replace(",", ";").encode("cp1252")],
    "rows.tsv": [CSV.replace(",", "\t").encode("utf-16")],
    "rows.txt": [
        b"A first text.\nAnd a second.\n\nA third one.\n" * 5,
        "Übung macht Meister.\n".encode("latin-1") * 9,
    ],
    "rows.parquet": [_parquet(), _parquet(compression="none", row_group_size=4), _parquet(compression="zstd")],
    "rows.arrow": [_arrow(ipc.new_stream), _arrow(ipc.new_file)],
    "rows.jsonl.gz": [gzip.compress(LINES.encode(), mtime=0)],
    "rows.jsonl.bz2": [bz2.compress(LINES.encode())],
    "rows.jsonl.xz": [lzma.compress(LINES.encode())],
    "rows.zip": [_zip()],
}
# What is slow to open is tried less often.
PACKED = dict.fromkeys((name for name in SAMPLES if name.count(".") > 1), 60)
CASES = {"rows.parquet": 200, "rows.arrow": 200, "rows.zip": 60, **PACKED}
QUICK = pytest.param(0, 1, id="quick")
LONG = [pytest.param(seed, 20, id=f"long-{seed}", marks=pytest.mark.slow) for seed in range(1, 4)]
ROUNDS = pytest.mark.parametrize("seed, times", [QUICK, *LONG])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize("name", SAMPLES)
@ROUNDS
def test_files(seed: int, times: int, name: str, tmp_path: Path) -> None:
    path = tmp_path / name

    def read(data: bytes) -> None:
        path.write_bytes(data)
        section = DataSection(source=str(path))
        records = read_records(section, strict=False)
        assert all(isinstance(record, dict) for record in records.rows)
        if len(data) % 5 == 0:  # what is asked after reading is the same for all formats
            source_facts(section)
            draft(section, 0)

    samples = SAMPLES[name]
    survive(read, lambda chance: damaged(chance.choice(samples), chance, samples), CASES.get(name, 150) * times, seed)


@ROUNDS
def test_records_of_odd_values(seed: int, times: int, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"

    def make(chance: random.Random) -> bytes:
        rows = chance.choice((RECORDS[:5], CHATS[:4]))
        return b"".join(as_json(odd(row, chance)) + b"\n" for row in rows)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        section = DataSection(source=str(path))
        source_facts(section)
        draft(section, 0)

    survive(read, make, 100 * times, seed)


@ROUNDS
def test_predictions(seed: int, times: int, tmp_path: Path) -> None:
    path = tmp_path / "after.jsonl"
    row = {
        "index": 1,
        "prompt": "q",
        "reference": ["a", "b"],
        "prediction": "a",
        "scores": {"rouge1": 0.5},
        "tokens": 3,
        "finish": "stop",
        "split": "recall",
        "nll": 1.5,
        "trained_tokens": 4,
    }
    plain = b"".join(as_json({**row, "index": n}) + b"\n" for n in range(5))

    def make(chance: random.Random) -> bytes:
        if chance.random() < 0.5:
            return damaged(plain, chance)
        return b"".join(as_json(odd({**row, "index": n}, chance)) + b"\n" for n in range(5))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_outputs(path)

    survive(read, make, 200 * times, seed)
