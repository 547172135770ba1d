"""Sets on the Hub, against a hub on this machine; the library reads its address when it is imported."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tests.support.fakehub import fake_hub
from tests.support.oddfiles import LINES, ROWS, table_of
from tui_tuner.data.opening import open_source
from tui_tuner.errors import TunerError

TRY = """
import json, sys
from tui_tuner.config import DataSection
from tui_tuner.data.fingerprints import fingerprint
from tui_tuner.data.opening import open_source
from tui_tuner.data.readers.options import Options
from tui_tuner.errors import TunerError

for wanted in json.loads(sys.argv[1]):
    try:
        source = open_source(DataSection(**wanted))
        tables = {name: [list(table.rows()), str(table.place(0))] for name, table in source.tables.items()}
        notes = source.notes + source.main.notes()
        print(json.dumps([tables, notes, source.format, fingerprint(source)]))
        source.close()
    except TunerError as error:
        print(json.dumps([error.code, error.sentence()]))
"""
CARD = """---
configs:
- config_name: easy
  data_files: [{split: train_sft, path: easy.jsonl}]
- config_name: hard
  data_files: [{split: test, path: hard.jsonl}]
---
"""


def parquet(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table_of(rows), stream)
    return stream.getvalue()


SETS = {
    "org/rows": {"README.md": b"# Rows", "train.jsonl": LINES.encode(), "validation.jsonl": LINES.encode()},
    "org/shards": {
        "data/train-00000-of-00002.parquet": parquet(ROWS),
        "data/train-00001-of-00002.parquet": parquet(ROWS),
        "data/test-00000-of-00001.parquet": parquet(ROWS[:1]),
    },
    "org/several": {"README.md": CARD.encode(), "easy.jsonl": LINES.encode(), "hard.jsonl": LINES.encode()},
    "org/script": {"script.py": b"print(1)"},
    "org/empty": {"README.md": b"# Nothing"},
    "org/heldout": {"dev.jsonl": LINES.encode(), "test.jsonl": LINES.encode()},
}


def tried(home: Path, address: str, wanted: list[dict[str, str]], **environment: str) -> list[Any]:
    """What opening each source gives, in a process of its own; it must print nothing else."""
    ended = subprocess.run(
        [sys.executable, "-c", TRY, json.dumps(wanted)],
        env={**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
    )
    assert ended.stderr == ""
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_sets_on_the_hub(tmp_path: Path) -> None:
    wanted = [
        {"source": "org/rows"},
        {"source": "hf:org/shards"},
        {"source": "org/shards", "slice": "train[1:3]"},
        {"source": "org/shards", "slice": "[-1:]"},
        {"source": "org/rows", "slice": "dev"},
        {"source": "org/several", "subset": "easy"},
        {"source": "org/several"},
        {"source": "org/several", "subset": "none"},
        {"source": "org/rows", "slice": "unheard-of"},
        {"source": "org/heldout"},
        {"source": "org/script"},
        {"source": "org/empty"},
        {"source": "org/closed"},
        {"source": "org/none"},
    ]
    with fake_hub(SETS, frozenset({"org/closed"})) as address:
        found = tried(tmp_path, address, wanted)
    rows, shards, slice_, last, dev, easy, several, none, unheard, heldout, script, empty, closed, missing = found
    assert rows[0] == {"train": [ROWS, "org/rows/train, row 1"], "valid": [ROWS, "org/rows/validation, row 1"]}
    assert rows[1:3] == [[], "hub"]
    assert shards[0] == {"train": [ROWS * 2, "org/shards/train, row 1"], "test": [ROWS[:1], "org/shards/test, row 1"]}
    assert slice_[0] == {"": [[ROWS[1], ROWS[0]], "org/shards/train, row 2"]}
    assert slice_[3] != ""
    assert last[0]["train"] == [ROWS[1:], "org/shards/train, row 4"]
    assert last[0]["test"][0] == ROWS[:1]
    assert dev[0] == {"": [ROWS, "org/rows/validation, row 1"]}
    assert easy[:2] == [{"": [ROWS, "org/several/train_sft, row 1"]}, ['the set has only the split "train_sft"']]
    assert several == [
        "no-such-subset",
        'org/several: the set has several subsets (it has easy, hard); name one, such as data.subset = "easy".',
    ]
    assert none[0] == "no-such-subset" and '"none" (it has easy, hard)' in none[1]
    assert unheard[0] == "no-such-split" and "train, validation" in unheard[1]
    assert heldout[0] == "no-such-split" and "no train split" in heldout[1]
    assert (script[0], empty[0], closed[0], missing[0]) == ("data-script", "no-rows", "data-gated", "data-not-found")

    # What was loaded is there without a hub, and what was not is said.
    offline = [{"source": "org/rows"}, {"source": "org/never"}, {"source": "org/several"}]
    again, never, one = tried(tmp_path, "http://127.0.0.1:9", offline, HF_HUB_OFFLINE="1")
    assert again[0] == rows[0]
    assert never[0] == "data-unreachable" and "HF_HUB_OFFLINE" in never[1]
    assert one[0] == easy[0]


@pytest.mark.slow  # the library tries again for half a minute
def test_an_unreachable_hub_is_one_sentence(tmp_path: Path) -> None:
    (found,) = tried(tmp_path, "http://127.0.0.1:9", [{"source": "org/rows"}])
    assert found[0] == "data-unreachable"


def test_a_path_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "players").mkdir()
    for name in ("data/player", "rows/train.jsonl", "./org/rows", "a/b/c"):
        with pytest.raises(TunerError) as caught:
            open_source(name)
        assert caught.value.code == "no-such-data"
    with pytest.raises(TunerError, match='did you mean "data/players"'):
        open_source("data/player")
    with pytest.raises(TunerError, match='write "hf:data/xyz"'):
        open_source("data/xyz")
