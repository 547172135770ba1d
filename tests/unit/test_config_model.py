"""What an experiment accepts and refuses, and what each key says of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from tui_tuner.config import (
    DataSection,
    Experiment,
    ModelSection,
    TrainSection,
    describe,
    explain,
    field,
    fields,
    sections,
)
from tui_tuner.config.model import EvaluationSection


def experiment() -> Experiment:
    return Experiment(model=ModelSection(path="m"), data=DataSection(source="d"))


def test_defaults_are_the_contract() -> None:
    made = experiment()
    assert (made.run.name, made.run.seed) == ("experiment", 42)
    assert (made.train.iters, made.train.learning_rate, made.train.optimizer) == (100, 1e-5, "adam")
    assert (made.adapter.rank, made.adapter.scale, made.adapter.layers, made.adapter.targets) == (8, 20.0, 0, [])
    assert made.evaluation.metrics == ["exact_match", "rouge1", "rouge2", "rougeL"]
    assert made.data.mask_prompt is True


def test_defaults_are_not_shared() -> None:
    first, second = experiment(), experiment()
    first.evaluation.metrics.append("rouge1")
    first.data.prompt.append("x")
    assert len(second.evaluation.metrics) == 4
    assert second.data.prompt == []


def test_single_text_becomes_a_list() -> None:
    section = DataSection.model_validate({"source": "d", "prompt": "{q}", "completion": "{a}"})
    assert (section.prompt, section.completion) == (["{q}"], ["{a}"])


@pytest.mark.parametrize("value", [True, "5", 1.5, None, [5]])
def test_whole_numbers_take_nothing_else(value: object) -> None:
    with pytest.raises(ValidationError):
        TrainSection.model_validate({"iters": value})


def test_whole_numbers_take_round_floats() -> None:
    section = TrainSection.model_validate({"iters": 1e3})
    assert section.iters == 1000
    assert type(section.iters) is int


@pytest.mark.parametrize("value", [True, "1e-5", float("nan"), float("inf"), 0.0, -1e-5])
def test_learning_rate_is_a_positive_finite_number(value: object) -> None:
    with pytest.raises(ValidationError):
        TrainSection.model_validate({"learning_rate": value})


def test_numbers_take_integers() -> None:
    assert TrainSection.model_validate({"learning_rate": 1}).learning_rate == 1.0


@pytest.mark.parametrize("value", [1, "true", "yes"])
def test_switches_take_only_true_and_false(value: object) -> None:
    with pytest.raises(ValidationError):
        TrainSection.model_validate({"grad_checkpoint": value})


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"weight_decay": 0.1, "optimizer": "adam"}, "train.weight_decay"),
        ({"weight_decay": 0.1, "optimizer": "adafactor"}, "train.weight_decay"),
        ({"iters": 10, "warmup": 10}, "train.warmup"),
        ({"iters": 10, "warmup": 5, "grad_accumulation": 2}, "train.warmup"),
        ({"iters": 10, "grad_accumulation": 11}, "train.grad_accumulation"),
        ({"eval_batches": 0}, "train.eval_batches"),
        ({"max_seq_length": 1}, "train.max_seq_length"),
    ],
)
def test_impossible_training_names_its_key(values: dict[str, object], key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainSection.model_validate(values)
    assert [problem.key for problem in explain(caught.value, section="train")] == [key]


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_weight_decay_with_an_optimizer_that_has_it(optimizer: str) -> None:
    section = TrainSection.model_validate({"weight_decay": 0.01, "optimizer": optimizer})
    assert section.weight_decay == 0.01


def test_warmup_and_accumulation_at_their_limits() -> None:
    section = TrainSection(iters=10, warmup=4, grad_accumulation=2)
    assert section.warmup == 4
    assert TrainSection(iters=10, grad_accumulation=10).grad_accumulation == 10


@pytest.mark.parametrize(
    ("prompt", "completion", "fine"),
    [
        ([], [], True),
        (["a"], ["x"], True),
        (["a", "b"], ["x"], True),
        (["a", "b"], ["x", "y"], True),
        (["a", "b", "c"], ["x", "y"], False),
        (["a"], ["x", "y"], False),
        ([], ["x"], False),
        (["a"], [], False),
        ([" "], ["x"], False),
    ],
)
def test_templates_pair_up(prompt: list[str], completion: list[str], fine: bool) -> None:
    if fine:
        assert DataSection(source="d", prompt=prompt, completion=completion).prompt == prompt
    else:
        with pytest.raises(ValidationError):
            DataSection(source="d", prompt=prompt, completion=completion)


def test_a_refused_assignment_changes_nothing() -> None:
    made = experiment()
    with pytest.raises(ValidationError) as caught:
        made.train.warmup = 100
    assert made.train.warmup == 0
    problem = explain(caught.value, section="train")[0]
    assert problem.key == "train.warmup"
    assert "100" in problem.message
    made.train.warmup = 99
    assert made.train.warmup == 99


def test_assignment_checks_the_type() -> None:
    made = experiment()
    with pytest.raises(ValidationError) as caught:
        made.train.iters = "many"  # type: ignore[assignment]
    assert explain(caught.value, section="train")[0].message == 'train.iters is "many", which is not a whole number'


def test_metrics_may_be_empty_only_without_evaluation() -> None:
    assert EvaluationSection(enabled=False, metrics=[]).metrics == []
    with pytest.raises(ValidationError):
        EvaluationSection(metrics=[])
    with pytest.raises(ValidationError):
        EvaluationSection(metrics=["rouge1", "rouge1"])


@pytest.mark.parametrize("targets", [["self_attn.qkv_proj", "mlp.down_proj"], ["layers.0.w"], "o_proj"])
def test_targets_are_module_paths(targets: object) -> None:
    made = experiment()
    made.adapter.targets = targets  # type: ignore[assignment]
    assert isinstance(made.adapter.targets, list)


@pytest.mark.parametrize("target", ["a b", "*.q", ".q", "q.", "a..b", "1a", "q\n"])
def test_targets_refuse_what_no_module_is_called(target: str) -> None:
    made = experiment()
    with pytest.raises(ValidationError):
        made.adapter.targets = [target]


@pytest.mark.parametrize("path", ["", "  ", "a\nb", "a\x00b", "\ud800"])
def test_paths_that_cannot_be(path: str) -> None:
    with pytest.raises(ValidationError):
        ModelSection(path=path)


def test_every_key_teaches() -> None:
    for info in fields():
        assert len(info.help.split()) >= 8, f"{info.key} has no help"
        assert info.help.endswith("."), info.key
        assert info.help.count(". ") <= 2, f"{info.key} has too long a help"
    for section in sections():
        assert section.help.endswith(".")


def test_every_default_is_allowed() -> None:
    made = experiment()
    for info in fields():
        value = getattr(getattr(made, info.section), info.name)
        assert info.required or value == info.default, info.key
        if info.low is not None:
            assert value > info.low or (value == info.low and not info.low_open)


def test_described_bounds_are_the_ones_that_hold() -> None:
    """A value just outside the described range is refused, and the bound itself is what `low_open` says."""
    checked = 0
    for info in fields():
        for bound, is_open, outwards in ((info.low, info.low_open, -1), (info.high, info.high_open, 1)):
            if bound is None:
                continue
            checked += 1
            section = type(getattr(experiment(), info.section))
            required = {"source": "d"} if info.section == "data" else {}
            with pytest.raises(ValidationError):
                section.model_validate({**required, info.name: bound + outwards})
            if is_open:
                with pytest.raises(ValidationError):
                    section.model_validate({**required, info.name: bound})
    assert checked > 15


def test_field_descriptions() -> None:
    rate = field("train.learning_rate")
    assert rate is not None
    assert (rate.type, rate.default, rate.allowed) == ("number", 1e-5, "more than 0, at most 10")
    assert (rate.section, rate.name, rate.wanted) == ("train", "learning_rate", "a number, more than 0, at most 10")
    method = field("adapter.method")
    assert method is not None
    assert method.choices == ("lora", "dora", "full")
    assert method.wanted == '"lora", "dora" or "full"'
    path = field("model.path")
    assert path is not None
    assert path.required
    assert path.default_text == "required"
    batches = field("train.eval_batches")
    assert batches is not None
    assert batches.allowed == "-1, or 1 or more"
    assert field("train.nothing") is None


def test_keys_are_all_of_the_experiments() -> None:
    expected = [f"{name}.{key}" for name, values in experiment().model_dump().items() for key in values]
    assert describe.key_names() == expected


def test_importing_config_loads_no_training_library() -> None:
    code = (
        "import sys, tui_tuner.config, tui_tuner.settings, tui_tuner.config.reference; "
        "heavy = {'mlx', 'mlx_lm', 'transformers', 'datasets', 'evaluate', 'textual'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
