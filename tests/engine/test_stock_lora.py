"""What a run prepares trains with stock `mlx_lm.lora`, unchanged, as the program of its own that it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_rows
from tests.support.twins import twins
from tui_tuner.config import DataSection
from tui_tuner.data.examples import tokenise
from tui_tuner.data.prepare import prepare, read_prepared, write_prepared
from tui_tuner.models.load import load_tokenizer
from tui_tuner.paths import resolve_model

pytestmark = pytest.mark.mlx

MODEL = Path(resolve_model("embedded:phi3-tiny", None))
Row = dict[str, Any]
FORMS: dict[str, Callable[[Row], Row]] = {
    "completion": lambda row: row,
    "messages": lambda row: {
        "conversations": [{"from": "human", "value": row["prompt"]}, {"from": "gpt", "value": row["completion"]}]
    },
    "text": lambda row: {"text": f"{row['prompt']} {row['completion']}"},
}  # fmt: skip


@pytest.mark.parametrize("form", twins(FORMS, ["messages"]))
def test_prepared_rows_train_with_stock_mlx_lm(form: str, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(FORMS[form](row)) + "\n" for row in make_rows(24)))
    prepared = prepare(DataSection(source=str(source), valid=4, test=4), 7)
    write_prepared(prepared, tmp_path / "data")
    mask = form != "text"
    command = [
        *(sys.executable, "-m", "mlx_lm", "lora", "--model", str(MODEL), "--train", "--data", str(tmp_path / "data")),
        *("--iters", "3", "--batch-size", "2", "--steps-per-report", "1", "--val-batches", "2", "--num-layers", "1"),
        *("--adapter-path", str(tmp_path / "adapters"), "--test", "--test-batches", "2", "--max-seq-length", "128"),
        *(["--mask-prompt"] if mask else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    (loss,) = re.findall(r"Test loss (\d+\.\d+)", done.stdout + done.stderr)
    assert 0 < float(loss) < 20
    import mlx.core as mx

    weights = mx.load(str(tmp_path / "adapters" / "adapters.safetensors"))
    trained = [value for name, value in weights.items() if name.endswith("lora_b")]
    # They begin at zero, and a loss that is no number would leave no number in them.
    assert trained and all(mx.isfinite(value).all().item() and mx.any(value != 0).item() for value in trained)


@pytest.mark.parametrize("form", FORMS)
def test_stock_data_sets_read_the_same_tokens(form: str, tmp_path: Path) -> None:
    from argparse import Namespace

    from mlx_lm.tuner.datasets import load_dataset

    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(FORMS[form](row)) + "\n" for row in make_rows(40)))
    write_prepared(prepare(DataSection(source=str(source), valid=5, test=5), 7), tmp_path / "data")
    tokenizer, mask = load_tokenizer(MODEL), form != "text"
    arguments = Namespace(data=str(tmp_path / "data"), mask_prompt=mask, train=True, test=True, hf_dataset=False)
    found = load_dataset(arguments, tokenizer)
    kept = read_prepared(tmp_path / "data")
    for stock, rows in zip(found, (kept.train, kept.valid, kept.test), strict=True):
        assert len(stock) == len(rows) > 0
        for at, row in enumerate(rows):
            example = tokenise(row, tokenizer, mask_prompt=mask)
            assert stock.process(stock[at]) == (example.tokens, example.offset)
