"""Each value of another tool's file is told in one line: what it became here, and why, or why it has no counterpart.

What the keys mean is taken from transformers' TrainingArguments (steps are updates of the weights; from version 5 on a
`warmup_steps` below 1 is a share), PEFT's LoraConfig and the configuration references of Axolotl and LLaMA-Factory.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_tuner.config.interchange import import_text
from tui_tuner.config.interchange.report import Imported


def line(found: Imported, key: str) -> str:
    (one,) = [each for each in found.entries if each.key == key]
    return one.line()


@pytest.mark.parametrize(
    ("dialect", "text", "key", "told"),
    [
        # Steps are updates there, iterations here.
        ("axolotl", "max_steps: 50\ngradient_accumulation_steps: 4", "max_steps",
         "~ max_steps = 50 → train.iters = 200: 50 updates of 4 iterations each"),
        ("axolotl", "max_steps: 50", "max_steps", "= max_steps = 50 → train.iters = 50"),
        ("axolotl", "max_steps: -1", "max_steps", "✗ max_steps = -1: it asks for nothing"),
        ("axolotl", "max_steps: 0", "max_steps", "✗ max_steps = 0: it asks for nothing"),
        ("axolotl", "eval_steps: 0.1", "eval_steps",
         "! eval_steps = 0.1: a share of the run; set train.eval_every in iterations"),
        ("axolotl", "save_steps: 20\ngradient_accumulation_steps: 2", "save_steps",
         "~ save_steps = 20 → train.save_every = 40: 20 updates of 2 iterations each"),
        ("axolotl", "max_steps: 30\nnum_epochs: 2", "num_epochs", "✗ num_epochs = 2: max_steps comes before it"),
        ("axolotl", "num_epochs: 2", "num_epochs", "= num_epochs = 2 → train.epochs = 2.0"),
        # Warm-up: a number, a share, and both.
        ("axolotl", "max_steps: 100\nwarmup_ratio: 0.1", "warmup_ratio",
         "~ warmup_ratio = 0.1 → train.warmup = 10: of 100 updates"),
        ("axolotl", "max_steps: 25\nwarmup_ratio: 0.03", "warmup_ratio",
         "~ warmup_ratio = 0.03 → train.warmup = 1: of 25 updates"),
        ("axolotl", "max_steps: 25\ngradient_accumulation_steps: 4\nwarmup_ratio: 0.1", "warmup_ratio",
         "~ warmup_ratio = 0.1 → train.warmup = 3: of 25 updates"),
        ("axolotl", "max_steps: 100\nwarmup_steps: 0.2", "warmup_steps",
         "~ warmup_steps = 0.2 → train.warmup = 20: of 100 updates"),
        ("axolotl", "warmup_steps: 7\nwarmup_ratio: 0.1", "warmup_ratio",
         "✗ warmup_ratio = 0.1: warmup_steps comes before it"),
        ("axolotl", "num_epochs: 2\nwarmup_ratio: 0.1", "warmup_ratio",
         "! warmup_ratio = 0.1: 10% of the run's updates: set train.warmup when `tui-tuner check` has told the steps"),
        # Schedules and optimizers.
        ("axolotl", "lr_scheduler: cosine_with_min_lr", "lr_scheduler",
         '! lr_scheduler = "cosine_with_min_lr" → train.schedule = "cosine": it falls to 0 here'),
        ("axolotl", "lr_scheduler: constant_with_warmup", "lr_scheduler",
         '~ lr_scheduler = "constant_with_warmup" → train.schedule = "constant": the same by another name'),
        ("axolotl", "lr_scheduler: inverse_sqrt", "lr_scheduler",
         '! lr_scheduler = "inverse_sqrt": schedules here are constant, cosine and linear'),
        ("axolotl", "optimizer: adamw_torch\nweight_decay: 0.1", "optimizer",
         '~ optimizer = "adamw_torch" → train.optimizer = "adamw": the same by another name'),
        ("axolotl", "optimizer: adamw_torch\nweight_decay: 0.1", "weight_decay",
         "= weight_decay = 0.1 → train.weight_decay = 0.1"),
        ("axolotl", "optimizer: paged_adamw_8bit\nweight_decay: 0.1", "optimizer",
         '~ optimizer = "paged_adamw_8bit" → train.optimizer = "adamw": paged_adamw_8bit without its savings of '
         "memory"),
        ("axolotl", "optimizer: adamw_torch", "optimizer",
         '~ optimizer = "adamw_torch" → train.optimizer = "adam": AdamW without decay is Adam'),
        ("axolotl", "optimizer: lion_8bit\nweight_decay: 0.1", "optimizer",
         '! optimizer = "lion_8bit": mlx has adam, adamw, adafactor, sgd and muon'),
        ("axolotl", "optimizer: lion_8bit\nweight_decay: 0.1", "weight_decay",
         "! weight_decay = 0.1: it belongs to the optimizer"),
        ("axolotl", "optimizer: adafactor\nweight_decay: 0.1", "weight_decay",
         "! weight_decay = 0.1: adafactor has no weight decay in mlx"),
        ("axolotl", "optimizer: muon\nweight_decay: 0.0", "weight_decay",
         "! weight_decay = 0.0: 0 means mlx's own decay of 0.01 here"),
        # The base, and the adapter on it.
        ("axolotl", "base_model: unsloth/Llama-3-8b-bnb-4bit", "base_model",
         '! base_model = "unsloth/Llama-3-8b-bnb-4bit" → model.path = "unsloth/Llama-3-8b-bnb-4bit": its weights are '
         "in a form that mlx cannot read; name the model that it was made from"),
        ("axolotl", "load_in_4bit: false", "load_in_4bit", "= load_in_4bit = false: the base is taken as it is"),
        ("axolotl", "load_in_8bit: true", "load_in_8bit",
         "~ load_in_8bit = true → model.bits = 8: mlx's own quantization"),
        ("axolotl", "adapter: llama-adapter", "adapter",
         '! adapter = "llama-adapter": adapters here are lora and dora'),
        ("axolotl", "lora_target_linear: true\nlora_target_modules: [q_proj]", "lora_target_modules",
         '✗ lora_target_modules = ["q_proj"]: lora_target_linear takes every linear module'),
        ("peft", "target_modules: all-linear\nr: 8", "target_modules",
         '~ target_modules = "all-linear" → adapter.targets = []: every linear module, which is the empty list here'),
        ("peft", "target_modules: '.*_proj$'\nr: 8", "target_modules",
         '! target_modules = ".*_proj$": it is a pattern; name the modules in adapter.targets'),
        ("peft", "target_modules: 'q_proj, v_proj'\nr: 8", "target_modules",
         '~ target_modules = "q_proj, v_proj" → adapter.targets = ["q_proj", "v_proj"]'),
        ("peft", "peft_type: IA3", "peft_type", '! peft_type = "IA3": adapters here are lora and dora, not IA3'),
        ("peft", "r: 4\nuse_dora: false", "use_dora", "= use_dora = false: off here, too"),
        ("peft", "r: 4\nuse_dora: true", "use_dora",
         '~ use_dora = true → adapter.method = "dora": a method of its own here'),
        # Rows.
        ("axolotl", "val_set_size: 0", "val_set_size",
         "! val_set_size = 0: validation rows are always held back: 10 %, or data.valid of them"),
        ("axolotl", "val_set_size: 200", "val_set_size", "= val_set_size = 200 → data.valid = 200"),
        ("axolotl", "val_set_size: 0.05", "val_set_size", "= val_set_size = 0.05 → data.valid_share = 0.05"),
        ("axolotl", "train_on_inputs: true", "train_on_inputs",
         "~ train_on_inputs = true → data.mask_prompt = false: the other way round"),
        ("axolotl", "datasets: [{path: json, data_files: mine.json}]", "datasets.0.data_files",
         '= datasets.0.data_files = "mine.json" → data.source = "mine.json"'),
        ("axolotl", "datasets: [{path: a/b, split: 'train[:10%]'}]", "datasets.0.split",
         '= datasets.0.split = "train[:10%]" → data.slice = "train[:10%]"'),
        ("axolotl", "datasets: [{path: a/b, type: my_own}]", "datasets.0.type",
         '! datasets.0.type = "my_own": the shape is recognised; look at the Data screen whether it was'),
        ("axolotl", "chat_template: my-own", "chat_template",
         '! chat_template = "my-own": the model\'s own template is taken'),
        ("axolotl", "rl: dpo", "rl", '! rl = "dpo": only supervised fine-tuning is trained here'),
        # LLaMA-Factory and Unsloth.
        ("llama-factory", "stage: dpo", "stage", '! stage = "dpo": only supervised fine-tuning (sft) is trained here'),
        ("llama-factory", "finetuning_type: freeze", "finetuning_type",
         '! finetuning_type = "freeze": methods here are lora, dora and full'),
        ("llama-factory", "lora_rank: 32", "lora_alpha",
         "+ lora_alpha = 64.0 → adapter.alpha = 64.0: the file leaves it to the default, 2 times lora_rank"),
        ("llama-factory", "dataset: one", "dataset",
         '! dataset = "one": a name in LLaMA-Factory\'s dataset_info.json: set data.source to the file or set that it '
         "stands for"),
        ("llama-factory", "eval_dataset: held", "eval_dataset",
         '! eval_dataset = "held": it belongs to LLaMA-Factory\'s own list of sets'),
        ("unsloth", "seed: 1\nrandom_state: 2", "random_state",
         "! random_state = 2: one seed decides everything here, and seed is it"),
        ("unsloth", "random_state: 3407", "random_state", "= random_state = 3407 → run.seed = 3407"),
        ("unsloth", "dataset_text_field: body", "dataset_text_field",
         '! dataset_text_field = "body": look at the Data screen whether the column was found'),
        ("unsloth", "use_gradient_checkpointing: unsloth", "use_gradient_checkpointing",
         '~ use_gradient_checkpointing = "unsloth" → train.grad_checkpoint = true: whose way of it mlx has not, but '
         "the same memory is saved"),
    ],
)  # fmt: skip
def test_a_value_is_told_in_a_line(dialect: str, text: str, key: str, told: str) -> None:
    assert line(import_text(text, "f", dialect), key) == told


def test_qlora_is_lora_on_four_bits() -> None:
    found = import_text("adapter: qlora\n", "f", "axolotl")
    assert found.tables["model"]["bits"] == 4 and found.tables["adapter"]["method"] == "lora"
    assert "adapter: qlora trains on a base of 4 bits, so model.bits is 4" in found.notes
    found = import_text("adapter: qlora\nload_in_8bit: true\n", "f", "axolotl")
    assert found.tables["model"]["bits"] == 8  # what the file says itself comes first


def test_a_file_beside_it_is_no_set_on_the_hub(tmp_path: Path) -> None:
    text = "datasets: [{path: org/rows}]"
    assert import_text(text, "f", "axolotl", tmp_path).tables["data"]["source"] == "hf:org/rows"
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "rows").mkdir()
    assert not str(import_text(text, "f", "axolotl", tmp_path).tables["data"]["source"]).startswith("hf:")
