"""Sweeps at their edges: too many and too few combinations, ranges, changes of the sweep itself, and what is said."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tui_tuner.config.sweep import load_sweep, tell
from tui_tuner.config.sweep_table import MOST
from tui_tuner.errors import TunerError

BASE = '[run]\nname = "s"\n[model]\npath = "org/model"\n[data]\nsource = "rows.jsonl"\n[train]\niters = 100\n'


def preset(tmp_path: Path, sweep: str) -> str:
    path = tmp_path / "swept.toml"
    path.write_text(BASE + sweep)
    return str(path)


def refused(tmp_path: Path, sweep: str, *overrides: str) -> TunerError:
    with pytest.raises(TunerError) as caught:
        load_sweep(preset(tmp_path, sweep), overrides)
    assert "\n" not in caught.value.sentence()
    return caught.value


def values(tmp_path: Path, sweep: str, *overrides: str) -> list[str]:
    return [tell(trial.values) for trial in load_sweep(preset(tmp_path, sweep), overrides)[1]]


def test_a_grid_that_is_too_large_says_how_large_and_what_else_there_is(tmp_path: Path) -> None:
    axes = f"'train.iters' = {list(range(101, 131))}\n'run.seed' = {list(range(30))}\n"
    error = refused(tmp_path, f"[sweep.values]\n{axes}")
    assert f"the grid has 900 combinations (30 × 30), more than {MOST}" in error.message
    assert error.fix == 'name fewer values, or set method = "random" with runs'
    assert ", line 9" in error.where
    drawn = values(tmp_path, f'[sweep]\nmethod = "random"\nruns = 3\n[sweep.values]\n{axes}')
    assert len(set(drawn)) == 3


def test_every_combination_is_drawn_where_as_many_are_wanted_as_there_are(tmp_path: Path) -> None:
    text = (
        '[sweep]\nmethod = "random"\nruns = 12\n[sweep.values]\n"adapter.rank" = [2, 4, 8]\n"run.seed" = [1, 2, 3, 4]\n'
    )
    drawn = values(tmp_path, text)
    assert len(set(drawn)) == 12
    error = refused(tmp_path, text, "sweep.runs=13")
    assert "sweep.runs is 13, but there are hardly more than 12 different combinations" in error.message
    assert error.fix == "lower it, or widen the values"


def test_a_narrow_range_of_whole_numbers_has_no_more_than_it_holds(tmp_path: Path) -> None:
    text = '[sweep]\nmethod = "random"\nruns = 3\n[sweep.values]\n"adapter.rank" = {low = 2, high = 4}\n'
    assert sorted(values(tmp_path, text)) == ["adapter.rank=2", "adapter.rank=3", "adapter.rank=4"]
    assert "hardly more than 3" in refused(tmp_path, text, "sweep.runs=4").message


def test_rates_are_drawn_by_their_logarithm_with_digits_that_can_be_read(tmp_path: Path) -> None:
    text = (
        '[sweep]\nmethod = "random"\nruns = 40\n[sweep.values]\n'
        '"train.learning_rate" = {low = 1e-6, high = 1e-2, log = true}\n'
    )
    rates = [trial.values["train.learning_rate"] for trial in load_sweep(preset(tmp_path, text))[1]]
    assert all(1e-6 <= rate <= 1e-2 and float(f"{rate:.3g}") == rate for rate in rates)
    below = sum(math.log10(rate) < -4 for rate in rates)
    assert 10 <= below <= 30, "half of them lie below the middle of the exponents"


@pytest.mark.parametrize("text", ["sweep.runs", "sweep.runs=", "sweep.runs= "])
def test_a_change_of_the_sweep_has_a_form(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, '[sweep.values]\n"run.seed" = [1, 2]\n', text)
    assert (error.code, error.where, error.usage) == ("bad-override", f"--set {text}", True)


def test_a_key_that_is_fixed_is_swept_no_more_however_it_is_written(tmp_path: Path) -> None:
    dotted = "[sweep.values.train]\nlearning_rate = [1e-3, 1e-4]\niters = [10, 20]\n"
    assert values(tmp_path, dotted, "train.iters=50") == ["train.learning_rate=0.001", "train.learning_rate=0.0001"]
    quoted = '[sweep.values]\n"train.iters" = [10, 20]\n"run.seed" = [1, 2]\n'
    assert values(tmp_path, quoted, "train.iters=50") == ["run.seed=1", "run.seed=2"]
    added = values(tmp_path, quoted, "sweep.values.train.iters=[7]")
    assert added == ["run.seed=1, train.iters=7", "run.seed=2, train.iters=7"]
    error = refused(tmp_path, quoted, "train.iters=50", "run.seed=1")
    assert "tries nothing" in error.message


def test_names_count_on_with_as_many_digits_as_it_takes(tmp_path: Path) -> None:
    trials = load_sweep(preset(tmp_path, f'[sweep.values]\n"run.seed" = {list(range(100))}\n'))[1]
    assert [trials[at].experiment.run.name for at in (0, 9, 99)] == ["s-001", "s-010", "s-100"]
    assert trials[99].experiment.run.seed == 99 and trials[0].experiment.train.iters == 100


def test_what_is_impossible_in_some_is_told_once_for_all_alike(tmp_path: Path) -> None:
    error = refused(tmp_path, '[sweep.values]\n"adapter.rank" = [-1, -2, 4]\n"run.seed" = [1, 2]\n')
    assert error.message.startswith(
        "4 of 6 combinations are impossible, so nothing is queued. Number 1 (adapter.rank=-1"
    )
    assert error.code == "bad-sweep"


def test_a_preset_without_a_sweep_says_how_to_add_one(tmp_path: Path) -> None:
    error = refused(tmp_path, "")
    assert error.code == "no-sweep" and "sweep.values.train.learning_rate=[1e-4, 3e-4]" in error.fix
    for value in ("5", '"text"', "[1, 2]"):
        (tmp_path / "odd.toml").write_text(f"sweep = {value}\n{BASE}")
        with pytest.raises(TunerError) as caught:
            load_sweep(str(tmp_path / "odd.toml"), ["sweep.runs=3"])
        assert "sweep" in caught.value.sentence()


@pytest.mark.parametrize(
    ("metric", "evaluation", "measured"),
    [
        ("validation_loss", "enabled = false", True),
        ("loss", "enabled = false", False),
        ("loss", "enabled = true", True),
        ("rouge1", 'metrics = ["rouge1"]', True),
        ("bleu", 'metrics = ["rouge1"]', False),
    ],
)
def test_runs_are_compared_by_what_they_measure(tmp_path: Path, metric: str, evaluation: str, measured: bool) -> None:
    text = f'[evaluation]\n{evaluation}\n[sweep]\nmetric = "{metric}"\n[sweep.values]\n"run.seed" = [1, 2]\n'
    if measured:
        assert len(values(tmp_path, text)) == 2
        return
    error = refused(tmp_path, text)
    assert f"sweep.metric is {metric}, which these runs do not measure" in error.message
    assert error.where.endswith(", line 12")
