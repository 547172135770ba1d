"""Training that starts from a saved adapter: what mlx-lm makes of it, what is refused, and that it stays repeatable."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.exactness import curve, same, stop_after, weights
from tests.support.models import make_rows
from tests.support.twins import twins
from tui_tuner.config import AdapterSection, Experiment
from tui_tuner.engine.new_run import create_run
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import attach, write_adapter_config
from tui_tuner.models.load import fresh_tree, load_base
from tui_tuner.models.start import locate_start, start_from
from tui_tuner.runs import RunFolder, read_events
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx

SEED = 11
ROWS = make_rows(30, seed=3)


# -- the same as mlx-lm -----------------------------------------------------------------------------------------------
@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A folder of rows that both mlx-lm and a run read."""
    place = tmp_path / "rows"
    place.mkdir()
    for name, part in (("train", ROWS[:18]), ("valid", ROWS[18:26]), ("test", ROWS[26:])):
        (place / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return place


def stock(model: Path, rows: Path, into: Path, method: str, iters: int, resume: Path | None = None) -> tuple[Any, Any]:
    """What `mlx_lm.lora` trains, with its own sets, order and loss: train and validation losses."""
    import mlx_lm.lora as lora
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.datasets import load_dataset
    from mlx_lm.utils import load

    losses: list[float] = []
    validations: list[float] = []

    class Keep(TrainingCallback):
        def on_train_loss_report(self, info: dict[str, Any]) -> None:
            losses.append(info["train_loss"])

        def on_val_loss_report(self, info: dict[str, Any]) -> None:
            validations.append(info["val_loss"])

    arguments = {
        **lora.CONFIG_DEFAULTS, "model": str(model), "data": str(rows), "train": True, "fine_tune_type": method,
        "seed": SEED, "num_layers": -1, "iters": iters, "val_batches": -1, "learning_rate": 1e-3, "steps_per_report": 1,
        "steps_per_eval": 5, "resume_adapter_file": None if resume is None else str(resume), "adapter_path": str(into),
        "max_seq_length": 128, "lora_parameters": {"rank": 4, "dropout": 0.0, "scale": 10.0}, "mask_prompt": True,
    }  # fmt: skip
    arguments = SimpleNamespace(**arguments)
    np.random.seed(SEED)
    tree, tokenizer = load(str(model))
    train, valid, _ = load_dataset(arguments, tokenizer)
    lora.train_model(arguments, tree, train, valid, Keep())
    return losses, validations


@pytest.mark.parametrize(
    ("method", "bits"),
    twins([("lora", None), ("dora", None), ("full", None), ("lora", 4)], [("full", None), ("lora", 4)]),
)
def test_it_goes_on_as_mlx_lm_does(
    method: str, bits: int | None, model_of: Callable[..., Path], rows: Path, tmp_path: Path
) -> None:
    model, first = model_of("phi3", bits), tmp_path / "first"
    stock(model, rows, first, method, 6)
    losses, validations = stock(model, rows, tmp_path / "second", method, 9, first / "adapters.safetensors")
    folder = create_run(
        Experiment.model_validate(
            {
                "run": {"name": "on", "seed": SEED},
                "model": {"path": str(model)},
                "data": {"source": str(rows), "mask_prompt": True},
                "adapter": {"method": method, "rank": 4, "scale": 10.0, "start_from": str(first)},
                "train": {
                    "mode": "stock", "iters": 9, "learning_rate": 1e-3, "report_every": 1, "eval_every": 5,
                    "max_seq_length": 128, "keep": "last",
                },
                "evaluation": {"enabled": False},
            }
        ),
        tmp_path / "runs",
    )  # fmt: skip
    run_experiment(folder, JobControl(), ModelShelf())
    ours, our_validations = curve(folder)
    assert ours == losses
    assert our_validations[: len(validations)] == validations
    theirs = {name: np.array(value) for name, value in load_weights(tmp_path / "second" / "adapters.safetensors")}
    mine = weights(folder)
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(value, mine[name]) for name, value in theirs.items())


def load_weights(path: Path) -> Iterator[tuple[str, Any]]:
    import mlx.core as mx

    return iter(mx.load(str(path)).items())


@pytest.mark.parametrize("mode", twins(["fast", "stock"], ["fast"]))
@pytest.mark.parametrize("named", ["run", "adapters", "file"])
def test_the_first_validation_is_the_last_one_of_the_run_before(
    mode: str, named: str, new_run: Callable[..., RunFolder]
) -> None:
    train = {"mode": mode, "keep": "last", "iters": 6}
    first = new_run(train=train)
    run_experiment(first, JobControl(), ModelShelf())
    start = {"run": first.path, "adapters": first.adapters, "file": first.adapters / "0000006_adapters.safetensors"}
    second = new_run(train=train, adapter={"start_from": str(start[named])})
    run_experiment(second, JobControl(), ModelShelf())
    (_, before), (_, after) = curve(first), curve(second)
    assert after[0] == before[-1]
    assert before[0] != before[-1] != after[-1]


def test_it_is_told_noted_and_measured_before_training(new_run: Callable[..., RunFolder]) -> None:
    train = {"keep": "last", "iters": 8, "learning_rate": 1e-2}
    first = new_run(train=train)
    run_experiment(first, JobControl(), ModelShelf())
    file = first.adapters / "adapters.safetensors"
    second = new_run(train=train, adapter={"start_from": str(first.adapters)})
    run_experiment(second, JobControl(), ModelShelf())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert json.loads(second.meta.read_text())["start_from"] == {"path": str(file), "sha256": digest}
    (told,) = [e for e in read_events(second.events) if e["type"] == "log" and "starts from the weights" in e["text"]]
    assert str(file) in told["text"] and digest[:12] in told["text"]
    assert "optimizer, schedule, order of rows and steps begin anew" in told["text"]
    answers = [
        [json.loads(line)["prediction"] for line in (folder.evaluation / f"{label}.jsonl").read_text().splitlines()]
        for folder, label in ((first, "before"), (first, "after"), (second, "before"))
    ]
    assert answers[2] == answers[1] != answers[0], "the benchmark before is of the weights that training starts from"


# -- exact resume -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", twins(["lora", "full"], ["lora"]))
def test_such_a_run_resumes_exactly_when_the_file_has_gone(
    method: str, new_run: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = new_run(adapter={"method": method}, train={"iters": 4})
    run_experiment(first, JobControl(), ModelShelf())
    start = shutil.copytree(first.adapters, tmp_path / "start")
    adapter = {"method": method, "start_from": str(start)}
    whole, broken = new_run(adapter=adapter), new_run(adapter=adapter)
    run_experiment(whole, JobControl(), ModelShelf())
    stop_after(broken, "train", 6, monkeypatch)
    shutil.rmtree(start)
    assert run_experiment(broken, JobControl(), ModelShelf())["status"] == "finished"
    same(whole, broken)
    for folder in (whole, broken):
        assert run_experiment(folder, JobControl(), ModelShelf())["status"] == "finished"


def test_before_the_first_checkpoint_the_file_must_be_as_it_was(
    new_run: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlx.core as mx

    first = new_run(train={"iters": 4})
    run_experiment(first, JobControl(), ModelShelf())
    start = shutil.copytree(first.adapters, tmp_path / "start")
    file = start / "adapters.safetensors"
    whole, broken = (new_run(adapter={"start_from": str(start)}) for _ in range(2))
    run_experiment(whole, JobControl(), ModelShelf())
    stop_after(broken, "progress", 0, monkeypatch)  # while the baseline answers
    kept = file.read_bytes()
    mx.save_safetensors(str(file), {name: value * 1.01 for name, value in load_weights(file)})
    with pytest.raises(TunerError) as caught:
        run_experiment(broken, JobControl(), ModelShelf())
    assert (caught.value.code, caught.value.where) == ("start-changed", str(file))
    file.unlink()
    with pytest.raises(TunerError) as caught:
        run_experiment(broken, JobControl(), ModelShelf())
    assert caught.value.code == "adapter-not-found"
    file.write_bytes(kept)
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)


# -- what is refused --------------------------------------------------------------------------------------------------
def saved(model: Path, folder: Path, **section: Any) -> Path:
    """An adapter folder with an untrained adapter."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    adapter = AdapterSection(**{"rank": 4, **section})
    tree = fresh_tree(load_base(model))
    attached = attach(tree, adapter)
    folder.mkdir(parents=True)
    write_adapter_config(folder, adapter, attached, "org/its-model", {})
    mx.save_safetensors(str(folder / "adapters.safetensors"), dict(tree_flatten(tree.trainable_parameters())))
    return folder / "adapters.safetensors"


def started(model: Path, file: Path, **section: Any) -> tuple[Any, Any]:
    adapter = AdapterSection(**{"rank": 4, **section})
    tree = fresh_tree(load_base(model))
    attach(tree, adapter)
    return start_from(file, tree, adapter), tree


@pytest.mark.parametrize(
    ("theirs", "ours", "said", "fix"),
    [
        ({"method": "dora"}, {}, "the method dora, and adapter.method is lora", 'set adapter.method = "dora"'),
        ({}, {"method": "full"}, "the method lora, and adapter.method is full", 'set adapter.method = "lora"'),
        ({"method": "full"}, {}, "the method full, and adapter.method is lora", 'set adapter.method = "full"'),
        ({"rank": 8}, {}, "has rank 8, and adapter.rank is 4", "set adapter.rank = 8"),
        ({"scale": 10.0}, {}, "scale 10, and here it would be 20", "set adapter.scale = 10"),
        (
            {"scale": 10.0},
            {"alpha": 16.0},
            "scale 10, and here it would be 4",
            "adapter.scale = 10 and adapter.alpha = 0",
        ),
        ({"layers": 2}, {}, "is on layers 1 to 2, and the configuration trains layers 0 to 2", "adapter.layers = 2"),
        ({}, {"layers": 1}, "is on layers 0 to 2, and the configuration trains layer 2", "set adapter.layers = 0"),
        ({"layer_numbers": [0, 2]}, {}, "is on layers 0 and 2", "set adapter.layer_numbers = [0, 2]"),
        (
            {"targets": ["mlp.down_proj"]},
            {"targets": ["o_proj"]},
            "is on mlp.down_proj, and the configuration trains self_attn.o_proj",
            'set adapter.targets = ["mlp.down_proj"]',
        ),
        ({"method": "full", "layers": 1}, {"method": "full"}, "is on layer 2, and the conf", "set adapter.layers = 1"),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_what_was_made_in_another_way_is_one_sentence(
    theirs: dict[str, Any], ours: dict[str, Any], said: str, fix: str, beside: bool, tiny_model: Path, tmp_path: Path
) -> None:
    file = saved(tiny_model, tmp_path / "a", **theirs)
    if not beside:
        (tmp_path / "a" / "adapter_config.json").unlink()
        if "scale" in theirs:
            start, _ = started(tiny_model, file, **ours)
            (doubt,) = start.doubts
            assert "no adapter_config.json beside adapters.safetensors tells the scale" in doubt
            return
    with pytest.raises(TunerError) as caught:
        started(tiny_model, file, **ours)
    assert (caught.value.code, caught.value.where) == ("adapter-mismatch", str(file))
    assert said in caught.value.message and fix in caught.value.fix, caught.value.sentence()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("phi3", {"layers": 5}, "it is on layer 4, and this one has layers 0 to 2"),
        ("phi3", {"hidden": 32}, "has the shape (4, 32), and here it is (4, 64)"),
        ("qwen2", {}, "this one has no mlp.gate_proj"),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_an_adapter_of_another_model_is_one_sentence(
    kind: str, options: dict[str, Any], said: str, beside: bool, tiny_model: Path, tmp_path: Path
) -> None:
    from tests.support.models import make_model

    file = saved(make_model(tmp_path / "other", kind, **options), tmp_path / "a")
    if not beside:
        (tmp_path / "a" / "adapter_config.json").unlink()
    with pytest.raises(TunerError) as caught:
        started(tiny_model, file)
    assert caught.value.code == "adapter-mismatch"
    assert caught.value.message.startswith("the adapter to start from was made for another model: ")
    assert said in caught.value.message
    assert ("org/its-model" if beside else "not recorded") in caught.value.fix


def test_weights_that_are_missing_strange_or_no_numbers_are_refused_and_change_nothing(
    tiny_model: Path, tmp_path: Path
) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten

    file = saved(tiny_model, tmp_path / "a")
    whole = dict(load_weights(file))
    name = sorted(whole)[0]
    adapter = AdapterSection(rank=4)
    tree = fresh_tree(load_base(tiny_model))
    attach(tree, adapter)
    before = dict(tree_flatten(tree.parameters()))
    for arrays, said, code in (
        ({key: value for key, value in whole.items() if key != name}, f"it has no weights for {name}", "mismatch"),
        ({**whole, "lm_head.lora_a": whole[name]}, "lm_head.lora_a has no place in this one", "mismatch"),
        ({**whole, name: whole[name] * mx.inf}, f"a number that is not finite, in {name}", "damaged"),
    ):
        mx.save_safetensors(str(file), arrays)
        with pytest.raises(TunerError) as caught:
            start_from(file, tree, adapter)
        assert (caught.value.code, said in caught.value.message) == (f"adapter-{code}", True), caught.value.sentence()
    after = dict(tree_flatten(tree.parameters()))
    assert all(mx.array_equal(value, before[key]) for key, value in after.items())
    file.write_bytes(b"half a file")
    with pytest.raises(TunerError) as caught:
        start_from(file, tree, adapter)
    assert caught.value.code == "adapter-damaged"


def test_a_place_without_weights_is_one_sentence_at_the_check(
    new_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "peft").mkdir()
    (tmp_path / "peft" / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    (tmp_path / "old.npz").touch()
    for place, code, said in (
        ("none", "adapter-not-found", "there is no such adapter to start from"),
        ("empty", "adapter-not-found", "holds no adapters.safetensors"),
        ("peft", "adapter-format", "not one of mlx-lm's"),
        ("old.npz", "adapter-format", "is no .safetensors file"),
    ):
        folder = new_run(adapter={"start_from": str(tmp_path / place)})
        with pytest.raises(TunerError) as caught:
            run_experiment(folder, JobControl(), ModelShelf())
        assert (caught.value.code, said in caught.value.message) == (code, True), caught.value.sentence()
        stages = [(e["name"], e["status"]) for e in read_events(folder.events) if e["type"] == "stage"]
        assert stages == [("check", "running"), ("check", "failed")]


def test_a_path_counts_from_the_presets_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "presets" / "a").mkdir(parents=True)
    (tmp_path / "presets" / "a" / "adapters.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    expected = tmp_path / "presets" / "a" / "adapters.safetensors"
    assert locate_start("a", tmp_path / "presets") == expected
    assert locate_start("a/adapters.safetensors", tmp_path / "presets") == expected
    with pytest.raises(TunerError):
        locate_start("a", None)
