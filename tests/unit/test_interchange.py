"""Configurations of other tools: what their keys become, and that none of them vanishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.foreign import AXOLOTL, FILES, LLAMA_FACTORY, PEFT, STOCK, UNSLOTH
from tui_tuner.config.interchange import import_text
from tui_tuner.config.interchange.importing import DIALECTS, detected
from tui_tuner.config.interchange.reading import leaves, parsed
from tui_tuner.config.interchange.report import Imported
from tui_tuner.config.interchange.stock_in import DEFAULTS, LEFT_OUT, PLAIN, SPECIAL
from tui_tuner.errors import TunerError


def flat(found: Imported) -> dict[str, Any]:
    return {f"{section}.{key}": value for section, table in found.tables.items() for key, value in table.items()}


def entry(found: Imported, key: str) -> Any:
    (one,) = [each for each in found.entries if each.key == key]
    return one


@pytest.mark.parametrize("name", FILES)
def test_whose_file_it_is_is_told_by_its_keys(name: str) -> None:
    assert detected(parsed(FILES[name], "f")[0]) == (name, "certain")


def test_stock_values_and_its_number_quirk() -> None:
    found = import_text(STOCK, "lora.yaml")
    values = flat(found)
    expected = {
        "model.path": "org/model", "adapter.method": "dora", "adapter.layers": 0, "adapter.rank": 16,
        "adapter.scale": 10.0, "adapter.dropout": 0.05, "adapter.targets": ["self_attn.q_proj", "self_attn.v_proj"],
        "train.optimizer": "adamw", "train.weight_decay": 0.1, "train.learning_rate": 1e-5, "train.schedule": "cosine",
        "train.warmup": 100, "train.iters": 300, "train.batch_size": 2, "train.eval_batches": 25, "run.seed": 7,
        "train.max_seq_length": 1024, "train.grad_checkpoint": True, "data.mask_prompt": True, "train.mode": "stock",
        "evaluation.enabled": True, "evaluation.rows": 20, "data.source": "rows", "run.name": "adapters",
    }  # fmt: skip
    assert {key: values[key] for key in expected} == expected
    # Plain YAML 1.1 takes a number without a dot for text; mlx-lm, and we, do not.
    assert yaml.safe_load("a: 3.0e-5")["a"] == parsed("a: 3e-5", "f")[0]["a"] == 3e-5
    assert "passes it over beside lr_schedule" in entry(found, "learning_rate").note
    assert entry(found, "optimizer_config.sgd.momentum").fate == "not mapped"
    assert found.warnings == ()


def test_what_the_file_leaves_to_mlx_lm_is_set_to_its_defaults() -> None:
    from mlx_lm.lora import CONFIG_DEFAULTS

    assert {key: CONFIG_DEFAULTS[key] for key in DEFAULTS} == DEFAULTS
    found = import_text("train: true\ndata: rows\n", "f", "mlx-lm")
    values = flat(found)
    wanted = {
        "model.path": "Qwen/Qwen3-0.6b", "adapter.layers": 16, "train.iters": 1000, "train.eval_batches": 25,
        "run.seed": 0, "data.mask_prompt": False,
    }  # fmt: skip
    assert {key: values[key] for key in wanted} == wanted
    experiment = found.experiment()
    ours = {
        "batch_size": experiment.train.batch_size, "learning_rate": experiment.train.learning_rate,
        "steps_per_report": experiment.train.report_every, "steps_per_eval": experiment.train.eval_every,
        "save_every": experiment.train.save_every, "max_seq_length": experiment.train.max_seq_length,
        "grad_checkpoint": experiment.train.grad_checkpoint, "optimizer": experiment.train.optimizer,
        "grad_accumulation_steps": experiment.train.grad_accumulation, "fine_tune_type": experiment.adapter.method,
    }  # fmt: skip
    assert ours == {key: CONFIG_DEFAULTS[key] for key in ours}


def test_every_key_of_mlx_lm_is_known() -> None:
    from mlx_lm.lora import CONFIG_DEFAULTS

    assert set(CONFIG_DEFAULTS) <= {*PLAIN, *SPECIAL, *LEFT_OUT}


@pytest.mark.parametrize(
    ("text", "key", "note", "ours"),
    [
        ("batch-size: 3", "batch-size", "passes this key over, whose name has hyphens", {"train.batch_size": 3}),
        ("lora_layers: 5", "lora_layers", "it is called num_layers", {"adapter.layers": 5}),
        ("num_layers: 3\nlora_layers: 5", "lora_layers", "3 by another key", {"adapter.layers": 3}),
        ("lora_parameters: {rank: 8, alpha: 16, scale: 20.0, dropout: 0.0}", "lora_parameters.alpha",
         "trains with factor 20", {"adapter.scale": 20.0}),
        ("lora_parameters: {rank: 8, alpha: 16, dropout: 0.0}", "lora_parameters.alpha", "stops here",
         {"adapter.alpha": 16.0}),
        ("lora_parameters: {target_modules: [q_proj]}", "lora_parameters.target_modules", "passes this key over",
         {"adapter.targets": ["q_proj"]}),
        ("lora_parameters: {keys: [q_proj]}", "lora_parameters.keys", "would match nothing",
         {"adapter.targets": ["q_proj"]}),
        ("save_path: out/x", "save_path", "passes this key over", {"run.name": "x"}),
        ("itres: 5", "itres", "iters is the nearest", {}),
        ("learning_rate: '1e-5'", "learning_rate", "stock mlx-lm stops", {"train.learning_rate": 1e-5}),
        ("val_batches: 0", "val_batches", "NaN", {}),
        ("use_dora: true", "use_dora", "passes this key over", {"adapter.method": "dora"}),
        ("optimizer: adamw\noptimizer_config: {adamw: {betas: [0.9, 0.9]}}", "optimizer_config.adamw.betas",
         "mlx's own defaults", {}),
        ("lr_schedule: {name: step_decay, arguments: [1e-4, 0.9, 10]}", "lr_schedule.name", "stays constant",
         {"train.learning_rate": 1e-4}),
        ("iters: 50\nlr_schedule: {name: cosine_decay, arguments: [1e-4, 1000, 1e-6]}", "lr_schedule.arguments",
         "it falls over the 50 updates of the run here, not over 1000", {"train.schedule": "cosine"}),
        ("hf_dataset: {name: a/b}", "hf_dataset.name", "calls it path", {"data.source": "hf:a/b"}),
    ],
)  # fmt: skip
def test_what_stock_mlx_lm_would_have_done_is_a_warning(text: str, key: str, note: str, ours: dict[str, Any]) -> None:
    found = import_text(f"train: true\nmodel: m\n{text}\n", "f", "mlx-lm")
    one = entry(found, key)
    assert one.warning and note in one.note
    assert {name: flat(found)[name] for name in ours} == ours


def test_adamw_without_decay_is_adam() -> None:
    found = import_text("optimizer: adamw\noptimizer_config: {adamw: {weight_decay: 0.0}}\n", "f", "mlx-lm")
    assert flat(found)["train.optimizer"] == "adam" and "train.weight_decay" not in flat(found)


def test_keys_of_single_layers_become_their_numbers() -> None:
    keys = [f"model.layers.{at}.self_attn.o_proj" for at in (3, 1)]
    found = flat(import_text(f"lora_parameters: {{keys: {keys}}}\nnum_layers: 2\n", "f", "mlx-lm"))
    assert (found["adapter.layer_numbers"], found["adapter.targets"]) == ([1, 3], ["self_attn.o_proj"])
    assert found["adapter.layers"] == 0


def test_a_set_on_the_hub() -> None:
    found = import_text(
        "data: x/y\nhf_dataset:\n  path: a/b\n  config: {name: en}\n  prompt_feature: q\n  completion_feature: a\n"
        "  train_split: train[:1000]\n  valid_split: train[-10%:]\n",
        "f",
    )
    values = flat(found)
    assert values["data.source"] == "hf:a/b" and values["data.subset"] == "en"
    assert (values["data.prompt"], values["data.completion"]) == (["{q}"], ["{a}"])
    assert (values["data.slice"], values["data.valid_share"]) == ("train[:1000]", 0.1)
    assert "passes it over beside hf_dataset" in entry(found, "data").note


def test_rows_beside_the_file_are_no_set_on_the_hub(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "rows").mkdir()
    for name, text in (("mlx-lm", "data: mine/rows\n"), ("axolotl", "datasets: [{path: mine/rows}]\n")):
        assert flat(import_text(text, "f", name, tmp_path))["data.source"] == "mine/rows"
        assert flat(import_text(text, "f", name))["data.source"] == "hf:mine/rows"


def test_axolotl() -> None:
    found = import_text(AXOLOTL, "f")
    expected = {
        "model.path": "org/llama", "model.bits": 4, "adapter.method": "lora", "data.source": "hf:who/instructions",
        "data.shape": "alpaca", "data.valid_share": 0.1, "train.max_seq_length": 4096, "adapter.rank": 32,
        "adapter.alpha": 16.0, "adapter.targets": [], "train.grad_accumulation": 4, "train.batch_size": 2,
        "train.iters": 400, "train.report_every": 20, "train.warmup": 10, "train.optimizer": "adam",
        "train.schedule": "cosine", "train.learning_rate": 2e-4, "data.mask_prompt": True, "run.name": "out",
        "train.clip_norm": 1.0,
    }  # fmt: skip
    values = flat(found)
    assert {key: values[key] for key in expected} == expected
    assert entry(found, "max_steps").note == "100 updates of 4 iterations each"
    assert entry(found, "datasets.1.path").warning
    assert "--hosts" in entry(found, "deepspeed").note
    assert found.experiment().adapter.effective_scale == 0.5


def test_peft() -> None:
    found = import_text(PEFT, "adapter_config.json")
    values = flat(found)
    expected = {
        "model.path": "org/llama", "adapter.rank": 16, "adapter.alpha": 32.0, "adapter.rslora": True,
        "adapter.dropout": 0.1, "adapter.layer_numbers": [1, 2], "adapter.targets": ["q_proj", "v_proj"],
    }  # fmt: skip
    assert {key: values[key] for key in expected} == expected
    assert found.missing == ("data.source",)
    with pytest.raises(TunerError) as caught:
        found.experiment()
    assert caught.value.code == "import-incomplete" and "--set data.source=" in caught.value.fix
    assert found.experiment(["data.source=embedded:players"]).adapter.effective_scale == 8.0


def test_unsloth() -> None:
    values = flat(found := import_text(UNSLOTH, "f"))
    expected = {
        "model.path": "org/llama", "model.bits": 4, "adapter.rank": 8, "adapter.alpha": 8.0, "run.seed": 3407,
        "train.iters": 240, "train.warmup": 5, "train.optimizer": "adamw", "train.weight_decay": 0.01,
        "train.grad_checkpoint": True, "data.shape": "text", "data.mask_prompt": False, "data.source": "rows.jsonl",
        "train.learning_rate": 2e-4, "train.max_seq_length": 2048, "train.schedule": "linear",
    }  # fmt: skip
    assert {key: values[key] for key in expected} == expected
    assert found.experiment()


def test_llama_factory() -> None:
    found = import_text(LLAMA_FACTORY, "f")
    values = flat(found)
    expected = {
        "model.path": "org/llama", "model.bits": 8, "model.chat_template": "llama-3", "adapter.rank": 8,
        "adapter.alpha": 16.0, "adapter.targets": [], "data.sample": 500, "data.valid": 200, "train.epochs": 3.0,
        "train.max_seq_length": 1024, "train.batch_size": 1, "train.grad_accumulation": 8,
    }  # fmt: skip
    assert {key: values[key] for key in expected} == expected
    assert "train.warmup" not in values and "10% of the run's updates" in entry(found, "warmup_ratio").note
    assert "dataset_info.json" in entry(found, "dataset").note and found.missing == ("data.source",)
    assert entry(found, "lora_alpha").fate == "default"


def test_the_defaults_of_transformers_are_those_of_the_library() -> None:
    import dataclasses

    from transformers import TrainingArguments

    from tui_tuner.config.interchange.foreign import _TRAINER

    theirs = {each.name: each.default for each in dataclasses.fields(TrainingArguments)}
    for key, value in _TRAINER.values():
        assert getattr(theirs[key], "value", theirs[key]) == value


KEYS = sorted(
    {key.rpartition(".")[2] for text in FILES.values() for key, _ in leaves(parsed(text, "f")[0])}
    | {*PLAIN, *SPECIAL, *LEFT_OUT, "batch-size", "rl", "wandb_project", "some_key"}
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5000), st.floats(allow_nan=True), st.text(max_size=12),
    st.sampled_from(["1e-5", "adamw_torch", "cosine", "train[:10]", "a/b", "all", "lora"]),
    st.lists(st.one_of(st.integers(-2, 9), st.text(max_size=4)), max_size=3),
)  # fmt: skip
TREES = st.dictionaries(
    st.one_of(st.sampled_from(KEYS), st.text(max_size=6)),
    st.recursive(
        VALUES,
        lambda inner: st.one_of(
            st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=4)), inner, max_size=4),
            st.lists(st.dictionaries(st.sampled_from(KEYS), inner, max_size=3), max_size=2),
        ),
        max_leaves=8,
    ),
    max_size=10,
)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=60, deadline=None)
@given(values=TREES)
def test_no_key_vanishes_from_the_report(dialect: str, values: dict[str, Any]) -> None:
    found = DIALECTS[dialect](values, None).closed(dialect, "given", "f")
    told = {each.key for each in found.entries}
    assert {key.rpartition(".")[2] for key, _ in leaves(values)} <= {key.rpartition(".")[2] for key in told}
    if dialect != "unsloth":  # whose sections are opened
        assert {key for key, _ in leaves(values)} <= told
    for each in found.entries:
        assert each.line() and (each.note or each.ours)
    try:
        found.experiment(["model.path=m", "data.source=d"])
    except TunerError as error:
        assert error.sentence().count("\n") == 0


BOMB = "\n".join(["a0: &a0 {x: 1, y: 2}", *(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 15))])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2\nb: 3\n", "line 2: it is not valid YAML"),
        ("a:\n\t- b\n", "line 2"),
        ("!!python/object/apply:os.system ['true']\n", "asks for an object of Python"),
        ("a: !!python/name:os.system\n", "line 1: it asks for an object"),
        ("- 1\n- 2\n", "it holds no keys"),
        ("", "it is empty"),
        ("a: &a [*a]\n", "nested too deeply"),
        ("x: " + "[" * 3000, "YAML"),
        (BOMB, "too much"),
    ],
)  # fmt: skip
def test_bad_yaml_is_one_sentence_and_nothing_is_run(text: str, said: str) -> None:
    with pytest.raises(TunerError) as caught:
        import_text(text, "f.yaml")
    assert said in caught.value.sentence() and caught.value.code == "bad-yaml"
    assert "\n" not in caught.value.sentence()


def test_a_key_with_a_dot_is_told_apart_from_a_table() -> None:
    found = import_text('{"a": {"b": 1}, "a.b": 2}', "f", "axolotl")
    assert sorted(each.value for each in found.entries if each.key.startswith("a.b")) == [1, 2]


def test_a_key_given_twice_is_told() -> None:
    found = import_text("train: true\niters: 5\niters: 6\n", "f", "mlx-lm")
    assert any("iters is given twice" in note for note in found.notes) and flat(found)["train.iters"] == 6


def test_a_file_that_tells_nothing_of_its_tool_is_asked_about() -> None:
    for text in ("a: 1\n", "learning_rate: 1e-4\n"):
        with pytest.raises(TunerError) as caught:
            import_text(text, "f")
        assert caught.value.code == "unknown-dialect" and "--as" in caught.value.fix
    with pytest.raises(TunerError, match="no tool"):
        import_text("a: 1\n", "f", "other")
