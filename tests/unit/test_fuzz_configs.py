"""Presets, sweeps, overrides, settings and configurations of other tools, damaged: a sentence, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import yaml

from tests.support.mutations import damaged, odd, survive
from tui_tuner.config.interchange.importing import import_text
from tui_tuner.config.locate import layout
from tui_tuner.config.presets import header
from tui_tuner.config.saving import standing
from tui_tuner.config.sweep import load_sweep
from tui_tuner.config.toml import dump_experiment, experiment_from_text, load_experiment
from tui_tuner.runs.rates import RateWish
from tui_tuner.settings import load_settings, save_settings

ROOT = Path(__file__).parents[2]
PRESETS = [path.read_bytes() for path in sorted((ROOT / "presets").glob("*.toml"))]
SWEEP = PRESETS[0] + (
    b'\n[sweep]\nmethod = "random"\ntrials = 4\nseed = 1\n'
    b'[sweep.values]\n"train.learning_rate" = { low = 1e-5, high = 1e-3, scale = "log" }\n"adapter.rank" = [4, 8]\n'
)
QUICK = pytest.param(0, 1, id="quick")
LONG = [pytest.param(seed, 20, id=f"long-{seed}", marks=pytest.mark.slow) for seed in range(1, 4)]
ROUNDS = pytest.mark.parametrize("seed, times", [QUICK, *LONG])

STOCK = {
    "model": "owner/name",
    "train": True,
    "data": "data",
    "seed": 0,
    "num_layers": 16,
    "batch_size": 4,
    "iters": 100,
    "learning_rate": 1e-5,
    "lora_parameters": {"keys": ["self_attn.q_proj"], "rank": 8, "scale": 20.0, "dropout": 0.0},
    "lr_schedule": {"name": "cosine_decay", "warmup": 10, "warmup_init": 1e-7, "arguments": [1e-5, 100, 1e-7]},
    "fine_tune_type": "lora",
    "optimizer": "adamw",
    "optimizer_config": {"adamw": {"weight_decay": 0.1}},
    "max_seq_length": 512,
    "hf_dataset": {"name": "a/b", "train_split": "train[:10%]", "prompt_feature": "p", "completion_feature": "c"},
    "mask_prompt": True,
    "grad_checkpoint": False,
    "resume_adapter_file": None,
    "save_every": 100,
    "steps_per_eval": 50,
}
AXOLOTL = {
    "base_model": "owner/name",
    "adapter": "lora",
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_target_modules": ["q_proj"],
    "datasets": [{"path": "a/b", "type": "alpaca", "split": "train"}],
    "val_set_size": 0.1,
    "sequence_len": 512,
    "num_epochs": 2,
    "micro_batch_size": 2,
    "gradient_accumulation_steps": 4,
    "learning_rate": "2e-4",
    "lr_scheduler": "cosine",
    "warmup_ratio": 0.1,
    "optimizer": "adamw_torch",
    "load_in_4bit": True,
    "train_on_inputs": False,
    "peft_layers_to_transform": [0, 1],
}
FACTORY = {
    "model_name_or_path": "owner/name",
    "stage": "sft",
    "finetuning_type": "lora",
    "lora_rank": 8,
    "lora_target": "all",
    "dataset": "alpaca_en",
    "template": "phi",
    "cutoff_len": 1024,
    "num_train_epochs": 3.0,
    "warmup_ratio": 0.1,
    "bf16": True,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "learning_rate": 1e-4,
    "quantization_bit": 4,
}
PEFT = {
    "peft_type": "LORA",
    "base_model_name_or_path": "owner/name",
    "r": 8,
    "lora_alpha": 16,
    "target_modules": ["q_proj"],
    "lora_dropout": 0.05,
    "layers_to_transform": [1, 2],
    "use_rslora": False,
    "rank_pattern": {},
    "bias": "none",
}
UNSLOTH = {
    "model": {"model_name": "owner/name", "max_seq_length": 512, "load_in_4bit": True},
    "lora": {"r": 16, "lora_alpha": 16},
    "training": {"per_device_train_batch_size": 2, "max_steps": 60, "learning_rate": 2e-4},
    "dataset": {"name": "a/b"},
}
TOOLS = [("mlx-lm", STOCK), ("axolotl", AXOLOTL), ("llama-factory", FACTORY), ("peft", PEFT), ("unsloth", UNSLOTH)]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@ROUNDS
def test_presets(seed: int, times: int, tmp_path: Path) -> None:
    path = tmp_path / "some.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        layout_of(data)
        header(_text(data))
        standing(str(path), "")
        again = load_experiment(path)
        assert experiment_from_text(dump_experiment(again), "again") == again

    def layout_of(data: bytes) -> None:
        """Where things stand is asked of texts that are TOML."""
        import tomllib

        try:
            tomllib.loads(_text(data))
        except (ValueError, RecursionError):
            return
        layout(_text(data))

    assert (
        survive(read, lambda chance: damaged(chance.choice(PRESETS), chance, PRESETS), 150 * times, seed) > 30 * times
    )


@ROUNDS
def test_presets_with_odd_values(seed: int, times: int, tmp_path: Path) -> None:
    import tomllib

    tables = [tomllib.loads(_text(data)) for data in PRESETS]

    def make(chance: random.Random) -> str | None:
        try:
            made = odd(chance.choice(tables), chance)
            return tomli_w.dumps(made)
        except (TypeError, AttributeError, ValueError):  # None, and keys that TOML cannot write
            return None

    def read(text: str | None) -> None:
        if text is not None:
            experiment_from_text(text.encode("utf-8", "replace").decode(), "some.toml")

    assert survive(read, make, 300 * times, seed) > 30 * times


@ROUNDS
def test_sweeps(seed: int, times: int, tmp_path: Path) -> None:
    path = tmp_path / "some.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        load_sweep(str(path))

    start = SWEEP.index(b"[sweep]")
    survive(read, lambda chance: SWEEP[:start] + damaged(SWEEP[start:], chance), 200 * times, seed)


@ROUNDS
def test_overrides(seed: int, times: int) -> None:
    samples = [
        b"train.iters=50",
        b"adapter.targets=['a', 'b']",
        b"data.prompt='x {y}'",
        b"model.bits=4",
        b"scale=full",
        b"train.learning_rate=1e-4",
        b"probes.prompts=[\"a\", 'b']",
        b"run.name=x",
    ]
    text = _text(PRESETS[0])
    known = experiment_from_text(text, "some.toml")
    assert known is not None

    def read(data: bytes) -> None:
        experiment_from_text(text, "some.toml", [_text(data)])
        RateWish.parse(_text(data))

    survive(read, lambda chance: damaged(chance.choice(samples), chance, samples), 300 * times, seed)


@pytest.mark.parametrize("tool, sample", TOOLS, ids=[tool for tool, _ in TOOLS])
@ROUNDS
def test_configurations_of_other_tools(seed: int, times: int, tool: str, sample: dict[str, Any]) -> None:
    plain = yaml.safe_dump(sample).encode()

    def make(chance: random.Random) -> str:
        if chance.random() < 0.4:
            return _text(damaged(plain, chance, [plain]))
        return yaml.safe_dump(odd(sample, chance), allow_unicode=True)

    def read(text: str) -> None:
        for dialect in (None, tool):
            dump_experiment(import_text(text, "some.yaml", dialect).experiment())

    survive(read, make, 50 * times, seed)


@ROUNDS
def test_settings_never_keep_the_app_from_starting(seed: int, times: int, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    sample = b'theme = "paper"\nruns_dir = "~/runs"\nsmoothing = 0.5\nanimations = false\ntold = ["a"]\nfuture = 1\n'

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = load_settings(path)
        assert found.theme
        save_settings(found, path)
        assert load_settings(path).model_dump() == found.model_dump()

    assert survive(read, lambda chance: damaged(sample, chance), 120 * times, seed) == 0
