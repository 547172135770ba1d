"""There and back between presets and files of mlx-lm, and the commands for both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.commands import Tuner, tuner
from tests.support.foreign import STOCK
from tui_tuner.config import Experiment, experiment_from_text
from tui_tuner.config.interchange import import_text, stock_file
from tui_tuner.errors import TunerError

__all__ = ["tuner"]


# What both files can say, so that it comes back as it went.
SHARED = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "iters": st.integers(200, 5000),
        "batch_size": st.integers(1, 64),
        "learning_rate": st.floats(1e-9, 1.0),
        "num_layers": st.sampled_from([-1, 1, 8, 32]),
        "fine_tune_type": st.sampled_from(["lora", "dora", "full"]),
        "optimizer": st.sampled_from(["adam", "muon", "sgd", "adafactor", "adamw"]),
        "val_batches": st.sampled_from([-1, 1, 25]),
        "steps_per_report": st.integers(1, 100),
        "steps_per_eval": st.integers(1, 1000),
        "save_every": st.integers(1, 1000),
        "max_seq_length": st.integers(2, 8192),
        "grad_accumulation_steps": st.integers(1, 8),
        "grad_checkpoint": st.booleans(),
        "mask_prompt": st.booleans(),
        "test": st.booleans(),
    }
)


@settings(max_examples=100, deadline=None)
@given(
    values=SHARED,
    lora=st.fixed_dictionaries(
        {"rank": st.integers(1, 256), "scale": st.floats(0.001, 1000), "dropout": st.floats(0, 0.9)},
        optional={"keys": st.just(["self_attn.o_proj", "mlp.down_proj"])},
    ),
    schedule=st.sampled_from(["", "cosine_decay", "linear_schedule", "warm"]),
    warmup=st.integers(1, 20),
)
def test_a_file_of_mlx_lm_comes_back_as_it_went(
    values: dict[str, Any], lora: dict[str, Any], schedule: str, warmup: int
) -> None:
    values = {"model": "org/model", "train": True, "data": "embedded:players", **values}
    if values["fine_tune_type"] != "full":
        values["lora_parameters"] = lora
    rest = values["iters"] // values["grad_accumulation_steps"] - warmup
    rate = values["learning_rate"]
    arguments = {"cosine_decay": [rate, rest], "linear_schedule": [rate, 0.0, rest], "warm": [rate, rate, rest]}
    if schedule:
        name = "linear_schedule" if schedule == "warm" else schedule
        values["lr_schedule"] = {"name": name, "arguments": arguments[schedule], "warmup": warmup}
    found = import_text(yaml.safe_dump(values), "f", "mlx-lm")
    assert not found.warnings
    made = found.experiment()
    back = yaml.safe_load(stock_file(made, data="embedded:players").text)
    assert {key: back[key] for key in values} == values
    # And the preset says the same when it has been written and read.
    from tui_tuner.config import dump_experiment

    again = experiment_from_text(dump_experiment(made), "f")
    assert again == made and stock_file(again, data="embedded:players") == stock_file(made, data="embedded:players")


def test_what_stock_mlx_lm_cannot_do_is_told() -> None:
    made = Experiment.model_validate(
        {
            "model": {"path": "m", "bits": 4, "chat_template": "chatml"},
            "data": {"source": "d", "prompt": ["{a}?"], "completion": ["{b}"]},
            "adapter": {"targets": ["attention"], "rank": 4, "alpha": 8.0},
            "train": {"clip_norm": 1.0, "patience": 3},
            "probes": {"prompts": ["x"]},
        }
    )
    file = stock_file(made)
    assert not file.equal
    for key in ("clip_norm", "patience", "bits", "chat_template", "adapter.targets", "train.mode", "probes", "data:"):
        assert any(key in line for line in file.told), key
    assert file.values["lora_parameters"]["scale"] == 2.0
    plain = made.model_copy(deep=True)
    plain.train.epochs = 2.0
    with pytest.raises(TunerError) as caught:
        stock_file(plain)
    assert caught.value.code == "no-iterations"
    assert stock_file(plain, iters=30).values["iters"] == 30


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"source": "hf:a/b"}, {"data": "a/b"}),
        ({"source": "hf:a/b", "subset": "main", "slice": "train[:1000]"},
         {"hf_dataset": {"path": "a/b", "config": {"name": "main"}, "train_split": "train[:1000]"}}),
        ({"source": "hf:a/b", "valid_share": 0.1}, {"hf_dataset": {"path": "a/b", "valid_split": "train[-10%:]"}}),
        ({"source": "hf:a/b", "valid_share": 0.004}, {"hf_dataset": {"path": "a/b", "valid_split": "train[-1%:]"}}),
        ({"source": "/rows", "prompt": ["{q}"], "completion": ["{a}"]},
         {"data": "/rows", "prompt_feature": "q", "completion_feature": "a"}),
        ({"source": "/rows", "prompt": ["{q}?"], "completion": ["{a}"]}, {"data": "/rows"}),
    ],
)  # fmt: skip
def test_rows_are_named_as_they_are_found(data: dict[str, Any], says: dict[str, Any]) -> None:
    values = stock_file(Experiment.model_validate({"model": {"path": "m"}, "data": data})).values
    told = ("data", "hf_dataset", "prompt_feature", "completion_feature")
    assert {key: values[key] for key in told if key in values} == says


@pytest.mark.parametrize(
    ("evaluation", "rows", "says"),
    [
        ({"enabled": False}, 100, {"test": False}),
        ({"rows": 40}, None, {"test": True, "test_batches": 10}),
        ({"rows": 40}, 10, {"test": True, "test_batches": 2}),
        ({"rows": 0}, None, {"test": True, "test_batches": -1}),  # all of them
        ({"rows": 2}, None, {"test": True, "test_batches": 1}),
        ({"rows": 40}, 3, {"test": False}),  # fewer than a batch of 4: mlx-lm stops there
    ],
)
def test_test_rows_are_asked_in_batches(evaluation: dict[str, Any], rows: int | None, says: dict[str, Any]) -> None:
    given = {"model": {"path": "m"}, "data": {"source": "d"}, "train": {"batch_size": 4}, "evaluation": evaluation}
    file = stock_file(Experiment.model_validate(given), data="rows", test_rows=rows)
    assert {key: file.values[key] for key in ("test", "test_batches") if key in file.values} == says
    few = "evaluation: stock mlx-lm stops at fewer test rows than a batch (3 of 4), so none are asked"
    assert (few in file.told) is (rows == 3)


def test_commands(tuner: Tuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lora.yaml").write_text(STOCK.replace("data: rows", "data: mine"))
    (tmp_path / "mine").mkdir()
    told = tuner("import-config", "lora.yaml", "--to", "brought", "--json").document
    assert told["dialect"] == "mlx-lm" and told["sure"] == "certain" and Path(told["path"]).is_file()
    assert {each["key"] for each in told["entries"]} >= {"model", "lora_parameters.rank"}
    assert "16" in tuner("diff", "brought", "quickstart").out
    assert str(tmp_path / "mine") in tuner("export-config", "brought").out
    again = tuner("import-config", "lora.yaml", "--to", "brought", "--set", "train.iters=400")
    assert again.status == 2 and "--force" in again.err
    out = tuner("export-config", "quickstart", "--set", "scale=none")
    assert out.status == 2
    made = tuner("export-config", "quickstart", "--data", "rows", "--to", "q.yaml", "--json").document
    assert made["commands"]["lora"] == "mlx_lm.lora --config q.yaml"
    assert (tmp_path / "rows" / "train.jsonl").is_file() and made["values"]["data"] == str(tmp_path / "rows")
    assert yaml.safe_load((tmp_path / "q.yaml").read_text())["iters"] == 100
    assert tuner("export-config", "quickstart", "--to", "q.yaml").status == 2
    assert tuner("export-config", "quickstart", "--data", "rows").status == 2
    assert "does not" in tuner("import-config", "nothing.yaml").err or tuner("import-config", "nothing.yaml").status
