"""What a file for stock mlx-lm says of an experiment: each key as mlx-lm means it, and every difference told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import Experiment
from tui_tuner.config.interchange import generate_command, lora_command, stock_file
from tui_tuner.config.interchange.stock_out import StockFile
from tui_tuner.errors import TunerError
from tui_tuner.training.schedule import scheduled_rate, updates_of


def experiment(**sections: dict[str, Any]) -> Experiment:
    values: dict[str, dict[str, Any]] = {"model": {"path": "org/model"}, "data": {"source": "hf:org/set"}}
    for name, section in sections.items():
        values.setdefault(name, {}).update(section)
    return Experiment.model_validate(values)


def stock(experiment: Experiment, **options: Any) -> StockFile:
    return stock_file(experiment, options.pop("data", "rows"), **options)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize(("warmup", "accumulation"), [(0, 1), (10, 1), (5, 4)])
def test_the_rate_is_at_every_update_the_one_of_the_run(schedule: str, warmup: int, accumulation: int) -> None:
    """The reference is mlx-lm's own `build_schedule`."""
    from tui_tuner.models.libraries import ready

    ready()
    from mlx_lm.tuner.utils import build_schedule

    train = {
        "iters": 200, "schedule": schedule, "warmup": warmup, "grad_accumulation": accumulation, "learning_rate": 1e-3,
    }  # fmt: skip
    made = experiment(train=train)
    values = stock(made).values
    if "lr_schedule" not in values:
        assert (schedule, warmup) == ("constant", 0) and values["learning_rate"] == 1e-3
        return
    theirs = build_schedule(values["lr_schedule"])
    for update in range(0, updates_of(made.train), 7):
        rate = float(theirs(update))
        assert rate == pytest.approx(scheduled_rate(made.train, update), rel=1e-4, abs=1e-9), update


def test_epochs_are_counted_in_iterations_or_refused() -> None:
    made = experiment(train={"epochs": 2.0})
    with pytest.raises(TunerError) as caught:
        stock(made)
    assert (caught.value.code, caught.value.where) == ("no-iterations", "train.epochs")
    assert stock(made, iters=77).values["iters"] == 77


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"subset": "en"}, {"hf_dataset": {"path": "org/set", "config": {"name": "en"}}}),
        ({"slice": "train[:10%]"}, {"hf_dataset": {"path": "org/set", "train_split": "train[:10%]"}}),
        (
            {"prompt": ["{q}"], "completion": ["{a}"]},
            {"hf_dataset": {"path": "org/set", "prompt_feature": "q", "completion_feature": "a"}},
        ),
    ],
)
def test_a_set_of_the_hub_is_named_with_its_parts(data: dict[str, Any], says: dict[str, Any]) -> None:
    values = stock_file(experiment(data={"valid_share": 0.0, **data})).values
    assert {key: values[key] for key in ("data", "hf_dataset") if key in values} == says


@pytest.mark.parametrize(("share", "split"), [(0.1, "train[-10%:]"), (0.001, "train[-1%:]"), (0.255, "train[-26%:]")])
def test_a_share_for_validation_is_whole_percents_and_never_none(share: float, split: str) -> None:
    made = stock_file(experiment(data={"valid_share": share}))
    assert made.values["hf_dataset"]["valid_split"] == split


@pytest.mark.parametrize(
    "data", [{"prompt": ["{a} {b}"], "completion": ["{c}"]}, {"prompt": ["{a}"], "completion": ["Answer: {c}"]}]
)
def test_templates_of_more_than_a_column_are_no_names_of_columns(data: dict[str, Any], tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    made = stock_file(experiment(data={**data, "source": str(rows)}))
    assert made.values["data"] == str(rows) and not any(key.endswith("_feature") for key in made.values)
    assert any("data.prompt" in line and "--data FOLDER" in line for line in made.told) and not made.equal


def test_what_is_prepared_is_equal_in_stock_mode_and_only_there() -> None:
    plain = experiment(train={"mode": "stock", "keep": "last"}, evaluation={"enabled": False})
    assert stock(plain).equal and stock(plain).told == ()
    fast = stock(experiment(train={"mode": "fast", "keep": "last"}))
    assert not fast.equal and any(line.startswith("train.mode: ") for line in fast.told)
    kept = stock(experiment(train={"mode": "stock", "keep": "best"}))
    assert kept.equal and "train.keep: stock mlx-lm ends with the last weights" in kept.told


@pytest.mark.parametrize(
    ("section", "value", "equal"),
    [
        ({"train": {"clip_norm": 1.0}}, "train.clip_norm", False),
        ({"train": {"patience": 3, "eval_every": 10}}, "train.patience", False),
        ({"model": {"bits": 4}}, "model.bits", False),
        ({"probes": {"prompts": ["Say hello."]}}, "probes.prompts", True),
    ],
)
def test_what_stock_mlx_lm_has_no_key_for_is_told(section: dict[str, Any], value: str, equal: bool) -> None:
    sections = {"train": {"mode": "stock"}} | section
    sections["train"] = {"mode": "stock", **sections["train"]}
    made = stock(experiment(**sections))
    assert any(line.startswith(f"{value}: ") for line in made.told) and made.equal is equal
    assert f"# {value}: " in made.text


def test_single_layers_and_bare_names_are_known_from_a_runs_adapter_only() -> None:
    numbers = stock(experiment(adapter={"layer_numbers": [1, 3], "layers": 0}))
    assert not numbers.equal and any("adapter.layer_numbers" in line for line in numbers.told)
    bare = stock(experiment(adapter={"targets": ["q_proj"]}))
    assert not bare.equal and any("so q_proj matches nothing" in line for line in bare.told)
    whole = stock(experiment(adapter={"targets": ["self_attn.q_proj"]}, train={"mode": "stock"}))
    assert whole.values["lora_parameters"]["keys"] == ["self_attn.q_proj"] and whole.equal
    config = {"num_layers": 3, "lora_parameters": {"keys": ["self_attn.q_proj"], "rank": 9}}
    by_run = stock(experiment(adapter={"targets": ["q_proj"], "rank": 4}, train={"mode": "stock"}),
                   adapter_config=config)  # fmt: skip
    assert by_run.equal and by_run.values["num_layers"] == 3
    assert by_run.values["lora_parameters"]["keys"] == ["self_attn.q_proj"]
    assert by_run.values["lora_parameters"]["rank"] == 4
    assert "lora_parameters" not in stock(experiment(adapter={"method": "full"})).values


@pytest.mark.parametrize(
    ("start", "file"), [("adapters/mine", "adapters/mine/adapters.safetensors"), ("a/b.safetensors", "a/b.safetensors")]
)
def test_a_start_from_an_adapter_is_its_file(start: str, file: str) -> None:
    assert stock(experiment(adapter={"start_from": start})).values["resume_adapter_file"] == file


def test_weight_decay_belongs_to_its_optimizer_and_is_absent_without() -> None:
    made = stock(experiment(train={"optimizer": "adamw", "weight_decay": 0.1})).values
    assert made["optimizer_config"] == {"adamw": {"weight_decay": 0.1}}
    assert "optimizer_config" not in stock(experiment(train={"optimizer": "adam", "weight_decay": 0.0})).values


def test_commands_are_for_a_shell() -> None:
    assert lora_command("my file.yaml") == "mlx_lm.lora --config 'my file.yaml'"
    asked = generate_command("org/model", None, prompt="What's up?", max_tokens=9)
    assert asked == """mlx_lm.generate --model org/model --prompt 'What'"'"'s up?' --max-tokens 9"""
    assert "--adapter-path 'my adapters'" in generate_command("org/model", "my adapters")
