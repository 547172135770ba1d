"""A preset's [sweep]: what it expands to, in which order, and everything that is refused before a run is made."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_tuner.config import experiment_from_text, load_preset
from tui_tuner.config.sweep import Trial, load_sweep, tell
from tui_tuner.config.sweep_table import MOST
from tui_tuner.errors import TunerError

BASE: dict[str, Any] = {
    "run": {"name": "tried"},
    "model": {"path": "embedded:phi3-tiny"},
    "data": {"source": "embedded:players", "prompt": ["Who is {name}?"], "completion": ["{team}"]},
}
AXES = {
    "adapter.rank": [1, 2, 4, 8, 16],
    "train.learning_rate": [1e-5, 1e-4, 1e-3],
    "train.iters": [50, 100, 200, 400],
    "train.schedule": ["constant", "cosine", "linear"],
    "adapter.dropout": [0.0, 0.1],
}


def preset(folder: Path, sweep: dict[str, Any] | str) -> str:
    """A preset file with a sweep; lines of the sweep are counted from its own heading when it is a text."""
    path = folder / "tried.toml"
    text = tomli_w.dumps(BASE)
    path.write_text(text + (sweep if isinstance(sweep, str) else tomli_w.dumps({"sweep": sweep})), encoding="utf-8")
    return str(path)


def shown(trials: list[Trial]) -> list[str]:
    return [tell(trial.values) for trial in trials]


axes = st.dictionaries(st.sampled_from(sorted(AXES)), st.integers(1, 5), min_size=1, max_size=4).map(
    lambda wanted: {key: AXES[key][:count] for key, count in wanted.items()}
)
once = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@once
@given(values=axes)
def test_a_grid_is_every_combination_once_in_the_order_of_the_file(tmp_path: Path, values: dict[str, Any]) -> None:
    combinations = [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]
    if len(combinations) > MOST:
        with pytest.raises(TunerError, match=f"more than {MOST}"):
            load_sweep(preset(tmp_path, {"values": values}))
        return
    _, trials, _ = load_sweep(preset(tmp_path, {"values": values}))
    assert [trial.values for trial in trials] == combinations
    assert [trial.number for trial in trials] == list(range(1, len(combinations) + 1))
    names = [trial.experiment.run.name for trial in trials]
    assert names == [f"tried-{number:0{max(2, len(str(len(names))))}}" for number in range(1, len(names) + 1)]
    for trial in trials:
        for key, value in trial.values.items():
            section, name = key.split(".")
            assert getattr(getattr(trial.experiment, section), name) == value


@once
@given(values=axes, seed=st.integers(0, 2**32 - 1), share=st.floats(0.05, 1.0))
def test_a_random_sweep_draws_different_combinations_and_the_same_ones_again(
    tmp_path: Path, values: dict[str, Any], seed: int, share: float
) -> None:
    total = 1
    for each in values.values():
        total *= len(each)
    runs = min(MOST, max(1, int(share * total)))
    path = preset(tmp_path, {"method": "random", "runs": runs, "seed": seed, "values": values})
    _, trials, _ = load_sweep(path)
    assert len({json.dumps(trial.values) for trial in trials}) == len(trials) == runs
    assert all(trial.values[key] in allowed for trial in trials for key, allowed in values.items())
    assert shown(load_sweep(path)[1]) == shown(trials)


@once
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_drawn_from_a_range_lies_in_it(tmp_path: Path, seed: int) -> None:
    ranges = {
        "train.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "adapter.rank": {"low": 2, "high": 5},
        "adapter.dropout": {"low": 0.0, "high": 0.3},
    }
    _, trials, _ = load_sweep(preset(tmp_path, {"method": "random", "runs": 20, "seed": seed, "values": ranges}))
    for trial in trials:
        assert 1e-5 <= trial.experiment.train.learning_rate <= 1e-3
        assert trial.experiment.adapter.rank in (2, 3, 4, 5)
        assert 0.0 <= trial.experiment.adapter.dropout <= 0.3


def test_the_draws_are_those_of_python_s_generator_for_good(tmp_path: Path) -> None:
    # random.Random(7).random() begins 0.3238…, 0.1508…, 0.6509…, 0.0724… in every version since 3.2.
    values = {"adapter.rank": [1, 2, 4, 8], "train.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}}
    _, trials, _ = load_sweep(preset(tmp_path, {"method": "random", "runs": 2, "seed": 7, "values": values}))
    assert shown(trials) == [
        "adapter.rank=2, train.learning_rate=2e-05",
        "adapter.rank=4, train.learning_rate=1.4e-05",
    ]


def test_keys_may_be_quoted_or_dotted(tmp_path: Path) -> None:
    quoted = load_sweep(preset(tmp_path, '\n[sweep.values]\n"adapter.rank" = [2, 4]\n'))[1]
    dotted = load_sweep(preset(tmp_path, "\n[sweep.values]\nadapter.rank = [2, 4]\n"))[1]
    assert shown(quoted) == shown(dotted) == ["adapter.rank=2", "adapter.rank=4"]


def test_an_override_fixes_a_key_and_changes_the_sweep_itself(tmp_path: Path) -> None:
    path = preset(tmp_path, {"values": {"adapter.rank": [2, 4], "train.iters": [50, 100]}})
    assert shown(load_sweep(path, ["adapter.rank=16"])[1]) == ["train.iters=50", "train.iters=100"]
    assert {trial.experiment.adapter.rank for trial in load_sweep(path, ["adapter.rank=16"])[1]} == {16}
    assert len(load_sweep(path, ["sweep.method=random", "sweep.runs=3"])[1]) == 3
    assert shown(load_sweep(path, ["sweep.values.adapter.rank=[8]", "train.iters=60"])[1]) == ["adapter.rank=8"]
    assert load_sweep(path, ["sweep.metric=loss"])[0].metric == "loss"


def test_a_sweep_may_be_given_to_a_preset_that_has_none(tmp_path: Path) -> None:
    path = preset(tmp_path, "")
    with pytest.raises(TunerError) as caught:
        load_sweep(path)
    assert (caught.value.code, caught.value.usage) == ("no-sweep", True)
    assert shown(load_sweep(path, ["sweep.values.adapter.rank=[2, 4]"])[1]) == ["adapter.rank=2", "adapter.rank=4"]


def test_a_preset_with_a_sweep_is_itself_where_it_is_run(tmp_path: Path) -> None:
    experiment, _ = load_preset(preset(tmp_path, {"values": {"adapter.rank": [2, 4]}}), ["train.iters=7"])
    assert (experiment.run.name, experiment.train.iters, experiment.adapter.rank) == ("tried", 7, 8)


@pytest.mark.parametrize(
    ("sweep", "line", "message"),
    [
        ('method = "gird"', 2, 'sweep.method is "gird"'),
        ("rnus = 3", 2, 'has no key "rnus"; did you mean runs?'),
        ("runs = 3", 2, "no meaning for a grid"),
        ('method = "random"', 1, "does not say how many"),
        ('method = "random"\nruns = 1000', 3, "sweep.runs is 1000; set it to a whole number, 1 to 100"),
        ("seed = -1", 2, "sweep.seed is -1"),
        ('metric = "rougel"', 2, 'did you mean "rougeL"?'),
        ("adapter.rank = [2]", 2, "write what is tried under [sweep.values]"),
        ("values.adapter.rnk = [2]", 2, 'there is no key "adapter.rnk"; did you mean adapter.rank'),
        ("values.adapter.rank = 2", 2, "sweep.values.adapter.rank is 2, not a list"),
        ("values.adapter.rank = []", 2, "not a list"),
        ("values.adapter.rank = [2, 4, 2]", 2, "names 2 twice"),
        ('values.run.name = ["a"]', 2, "run.name cannot be swept"),
        ("values.adapter.rank = { low = 1, high = 4 }", 2, "a range, which a grid cannot try"),
        ('method = "random"\nruns = 2\nvalues.adapter.rank = { low = 4, high = 1 }', 4, "make low less than high"),
        ('method = "random"\nruns = 2\nvalues.adapter.rank = { low = 0, high = 4, log = true }', 4, "no logarithm"),
        ('method = "random"\nruns = 2\nvalues.adapter.rank = { low = 1.5, high = 4 }', 4, "no whole numbers"),
        ('method = "random"\nruns = 2\nvalues.train.schedule = { low = 1, high = 4 }', 4, "give it a list"),
        ('method = "random"\nruns = 9\nvalues.adapter.rank = [1, 2]', 4, "hardly more than 2 different"),
        ("", 1, "[sweep] tries nothing"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, sweep: str, line: int, message: str) -> None:
    rest = "" if "values" in sweep or not sweep or "adapter" in sweep else "\n[sweep.values]\nadapter.rank = [2]"
    path = preset(tmp_path, f"\n[sweep]\n{sweep}{rest}\n")
    first = Path(path).read_text().splitlines().index("[sweep]")
    with pytest.raises(TunerError) as caught:
        load_sweep(path)
    assert message in caught.value.sentence()
    assert f"line {first + line}" in caught.value.sentence().lower()


def test_a_broken_sweep_is_an_error_of_the_preset_wherever_it_is_read(tmp_path: Path) -> None:
    text = Path(preset(tmp_path, "\n[sweep]\nrnus = 3\n[sweep.values]\nadapter.rank = [2]\n")).read_text()
    with pytest.raises(TunerError, match="rnus"):
        experiment_from_text(text, "p.toml")


def test_all_impossible_combinations_are_named_at_once(tmp_path: Path) -> None:
    values = {"train.iters": [50, 0], "adapter.rank": [2, -1, 4]}
    with pytest.raises(TunerError) as caught:
        load_sweep(preset(tmp_path, {"values": values}))
    said = caught.value.message
    assert caught.value.code == "bad-sweep"
    assert said.startswith("4 of 6 combinations are impossible, so nothing is queued.")
    assert "Number 2 (train.iters=50, adapter.rank=-1): adapter.rank is -1" in said
    assert "Number 4 (train.iters=0, adapter.rank=2) and 1 more: train.iters is 0" in said


def test_what_is_wrong_with_the_preset_itself_keeps_its_line(tmp_path: Path) -> None:
    path = Path(preset(tmp_path, {"values": {"adapter.rank": [2, 4]}}))
    path.write_text(path.read_text() + "\n[train]\niters = 0\n")
    with pytest.raises(TunerError) as caught:
        load_sweep(str(path))
    assert caught.value.message == "train.iters is 0, which is too small"
    assert caught.value.where.endswith(f"line {len(path.read_text().splitlines())}")


def test_a_metric_that_is_not_measured_is_refused(tmp_path: Path) -> None:
    path = preset(tmp_path, {"metric": "bleu", "values": {"adapter.rank": [2, 4]}})
    with pytest.raises(TunerError, match="do not measure"):
        load_sweep(path)
    assert load_sweep(path, ['evaluation.metrics=["bleu"]'])[0].metric == "bleu"


def test_the_preset_of_facts_has_a_sweep_at_both_scales() -> None:
    large, tiny = load_sweep("facts-phi3.5")[1], load_sweep("facts-phi3.5", ["scale=tiny"])[1]
    assert {trial.values["model.bits"] for trial in large} == {0, 4}
    assert set(large[0].values) == {"model.bits", "adapter.rank", "train.learning_rate", "train.iters"}
    assert len(tiny) == 4
    assert {trial.experiment.model.path for trial in tiny} == {"embedded:phi3-tiny"}
