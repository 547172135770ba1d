"""The run doctor: it names what is wrong with the run's own numbers, and stays silent on healthy runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.support.curves import Pairs, codes, experiment, noisy, one, run
from tui_tuner.runs import RunView
from tui_tuner.training.advice import MachineFacts, diagnose
from tui_tuner.training.doctor import robust

# -- overfitting ------------------------------------------------------------------------------------------------------
PLAYERS: Pairs = [(0, 3.571), (200, 0.443), (400, 0.475)]
"""Validation of a real run: Phi-3.5-mini on 120 rows of player statistics."""


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("known", [False, True])
def test_a_real_overfitted_run_is_named(first: int, known: bool) -> None:
    view = run([(200, 0.201), (400, 0.134)], [(first, 3.571), *PLAYERS[1:]], steps=400)
    found = diagnose(view, experiment(train={"iters": 400, "learning_rate": 1e-4}) if known else None)
    advice = one(found, "overfitting")
    assert advice.severity == "warning"
    for number in ("0.443", "step 200", "0.475", "step 400", "0.201", "0.134"):
        assert number in advice.text
    assert advice.change["train.iters"] == 200
    assert advice.evidence["best_step"] == 200
    assert advice.evidence["rise"] == pytest.approx(0.032)


def test_the_real_run_is_named_with_all_its_reports_too() -> None:
    steps = np.arange(10, 401, 10)
    losses = np.interp(steps, [10, 60, 200, 400], [2.6, 0.5, 0.201, 0.134])
    view = run(noisy(losses, 0.1), PLAYERS, steps=400, every=10)
    assert "overfitting" in codes(diagnose(view))
    before = run(noisy(losses[:20], 0.1), PLAYERS[:2], steps=400, every=10)
    assert diagnose(before) == []


def test_overfitting_names_the_checkpoint_that_is_there() -> None:
    view = run([(200, 0.201), (400, 0.134)], PLAYERS)
    assert "Stop another run at step 200" in diagnose(view)[0].text
    view.extend([{"t": 1.0, "type": "checkpoint", "step": 200, "path": "0000200_adapters.safetensors", "best": True}])
    assert "Use the checkpoint of step 200" in diagnose(view)[0].text


def test_overfitting_that_eats_half_the_gain_is_an_error() -> None:
    view = run([(100, 1.0), (200, 0.4), (300, 0.1)], [(0, 2.0), (100, 1.0), (200, 1.3), (300, 1.6)])
    assert one(diagnose(view), "overfitting").severity == "error"


def test_validation_that_rises_from_the_start_asks_for_a_gentler_rate() -> None:
    view = run([(10, 1.0), (100, 0.5)], [(0, 1.0), (50, 1.2), (100, 1.3)], steps=100)
    advice = one(diagnose(view, experiment(train={"learning_rate": 3e-4, "schedule": "cosine"})), "overfitting")
    assert advice.change == {"train.learning_rate": 1e-4}
    assert "before training" in advice.text


def test_rising_validation_with_rising_training_is_no_overfitting() -> None:
    assert diagnose(run([(200, 0.3), (400, 0.45)], PLAYERS)) == []


def test_rows_known_by_heart_count_as_overfitting_though_training_is_level() -> None:
    train = [0.9, 0.4, 0.1, *noisy(np.full(30, 0.02), 0.05)]
    validation = [(0, 1.5), (3, 1.0), (15, 1.2), (30, 1.3)]
    assert one(diagnose(run(train, validation, steps=33)), "overfitting").evidence["train_now"] < 0.03


def test_validations_of_samples_need_a_larger_rise() -> None:
    view = run([(200, 0.201), (400, 0.134)], PLAYERS)
    assert diagnose(view, experiment(train={"eval_batches": 5})) == []
    assert codes(diagnose(view, experiment(train={"eval_batches": -1}))) == ["overfitting"]


def test_a_single_bad_validation_between_good_ones_is_no_overfitting() -> None:
    losses = [2.0, 1.0, 0.8, 0.9, 0.805, 0.8]
    view = run(np.linspace(2, 0.5, 60), [(10 * i, loss) for i, loss in enumerate(losses)], steps=60)
    assert diagnose(view) == []


# -- losses that do not fall, rise, jump ------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(5))
def test_a_level_loss_is_named(seed: int) -> None:
    view = run(noisy(np.full(100, 2.4), 0.03, seed), steps=1000, every=10)
    advice = one(diagnose(view, experiment(train={"iters": 1000})), "not-falling")
    assert f"{advice.evidence['first']:.3f} in the first quarter of 100 reports" in advice.text
    assert advice.change == {"train.learning_rate": 3e-5}


def test_a_level_loss_is_not_named_before_half_of_the_run() -> None:
    assert diagnose(run(noisy(np.full(40, 2.4), 0.03), steps=1000, every=10)) == []


def test_a_run_that_fell_before_may_be_level() -> None:
    level = noisy(np.full(100, 1.2), 0.03, 1)
    assert codes(diagnose(run(level, steps=100))) == ["not-falling"]
    assert diagnose(run([3.1, *level], steps=101)) == []
    assert diagnose(run([1.9, 1.6, 1.4, *level], steps=103)) == []
    assert diagnose(run(level, [(0, 3.0), (50, 1.25), (100, 1.22)], steps=100)) == []


def test_a_loss_that_is_low_already_has_nothing_to_learn() -> None:
    assert diagnose(run(noisy(np.full(100, 0.02), 0.03), steps=100)) == []


def test_the_warm_up_is_not_held_against_a_run() -> None:
    warm = experiment(train={"iters": 100, "warmup": 60})
    losses = np.concatenate([np.full(60, 2.4), np.linspace(2.4, 2.0, 40)])
    assert codes(diagnose(run(losses[:63], steps=100), warm)) == []
    assert codes(diagnose(run(losses[:63], steps=100), experiment())) == ["not-falling"]


def test_the_rate_is_never_raised_beyond_what_adapters_bear() -> None:
    view = run(np.full(100, 2.0), steps=100)
    assert diagnose(view, experiment(train={"learning_rate": 5e-4, "schedule": "cosine"}))[0].change == {
        "train.learning_rate": 1e-3
    }
    assert diagnose(view, experiment(train={"learning_rate": 2e-3, "schedule": "cosine"}))[0].change == {}
    full = experiment(train={"learning_rate": 9e-5, "schedule": "cosine"}, adapter={"method": "full"})
    assert diagnose(view, full)[0].change == {"train.learning_rate": 1e-4}


@pytest.mark.parametrize("seed", range(5))
def test_a_diverging_run_is_named(seed: int) -> None:
    falling, rising = np.linspace(2.0, 1.0, 50), np.linspace(1.0, 1.7, 40)
    advice = one(diagnose(run(noisy(np.concatenate([falling, rising]), 0.03, seed)), experiment()), "diverging")
    assert advice.severity == "warning"
    assert advice.change["train.learning_rate"] == pytest.approx(3.3e-6)
    assert advice.change["train.warmup"] == 10
    worse = np.concatenate([falling, np.linspace(1.0, 6.0, 40)])
    assert one(diagnose(run(noisy(worse, 0.03, seed))), "diverging").severity == "error"


def test_jumps_name_the_learning_rate() -> None:
    losses = noisy(np.linspace(2.0, 1.0, 120), 0.05)
    assert diagnose(run(losses)) == []
    losses[[50, 80]] *= 2.5
    assert diagnose(run(losses)) == []
    losses[[100]] *= 3
    advice = one(diagnose(run(losses, columns={"learning_rate": 2e-3}), experiment()), "learning-rate-too-high")
    assert "3 of the last" in advice.text
    assert "2e-3" in advice.text  # what somebody set while it ran, not what was configured
    assert advice.change["train.learning_rate"] == pytest.approx(6.7e-4)


def test_growing_gradients_name_the_learning_rate_unless_the_loss_falls() -> None:
    level = np.concatenate([np.linspace(2.0, 1.0, 20), noisy(np.full(60, 1.0), 0.02)])
    norms = noisy(np.concatenate([np.full(40, 0.5), np.linspace(0.5, 6.0, 40)]), 0.2)
    norms[::4] = 0.0  # steps that only accumulated
    advice = one(diagnose(run(level, columns={"grad_norm": norms})), "learning-rate-too-high")
    assert "gradient" in advice.text
    assert advice.change == {}
    falling = np.linspace(2.0, 1.0, 80)
    assert diagnose(run(falling, columns={"grad_norm": norms})) == []
    assert diagnose(run(level, columns={"grad_norm": noisy(np.linspace(0.5, 1.2, 80), 0.2)})) == []


# -- not finite -------------------------------------------------------------------------------------------------------
def test_a_loss_that_became_nan_is_an_error_and_names_the_checkpoint_before() -> None:
    view = run([1.0, 0.9, 0.8, math.nan, math.nan], every=10)
    view.extend({"t": 1.0, "type": "checkpoint", "step": s, "path": f"{s}", "best": False} for s in (20, 30, 40, 50))
    advice = one(diagnose(view, experiment(train={"learning_rate": 1e-4})), "not-finite")
    assert advice.severity == "error"
    assert "step 40 and in 2 of 5 reports" in advice.text
    assert "checkpoint of step 30" in advice.text
    assert advice.change == {"train.learning_rate": 1e-5, "train.warmup": 10}


def test_a_loss_that_was_nan_once_and_recovered_is_a_warning() -> None:
    losses = np.linspace(2, 1, 40)
    losses[20] = math.nan
    assert one(diagnose(run(losses)), "not-finite").severity == "warning"
    losses[30:36] = math.nan
    assert one(diagnose(run(losses)), "not-finite").severity == "error"


def test_a_loss_that_never_was_finite_points_at_the_rows() -> None:
    advice = one(diagnose(run([math.nan] * 3), experiment()), "not-finite")
    assert "max_seq_length" in advice.text
    assert advice.change == {"train.max_seq_length": 4096}


def test_few_skipped_steps_are_a_warning_many_an_error() -> None:
    view = run(np.linspace(2, 1, 100))
    view.extend([{"t": 1.0, "type": "skipped_step", "step": 40, "reason": "a gradient was not finite"}])
    advice = one(diagnose(view), "not-finite")
    assert (advice.severity, "a gradient was not finite" in advice.text) == ("warning", True)
    view.extend({"t": 1.0, "type": "skipped_step", "step": s, "reason": "x"} for s in range(41, 50))
    assert one(diagnose(view), "not-finite").severity == "error"


def test_a_validation_that_is_not_finite_points_at_a_row() -> None:
    view = run([1.0, 0.9], [(0, math.nan), (2, math.nan)])
    advice = one(diagnose(view, experiment()), "validation-not-finite")
    assert advice.change == {"train.max_seq_length": 4096}
    assert codes(diagnose(run([1.0, math.nan], [(0, math.nan)]))) == ["not-finite"]


# -- validations that tell nothing ------------------------------------------------------------------------------------
def test_equal_validations_are_named() -> None:
    train, equal = np.linspace(2, 1, 20), [(0, 1.5), (10, 1.5), (20, 1.5)]
    assert one(diagnose(run(train, equal), experiment(adapter={"layers": 2})), "validation-constant").change == {
        "adapter.layers": 0
    }
    fixed = experiment(adapter={"layers": 2, "start_from": "a"})  # which has the layers that it has
    assert one(diagnose(run(train, equal), fixed), "validation-constant").change == {}
    assert diagnose(run(train, equal[:2])) == []
    assert diagnose(run(train, [(0, 1.5), (10, 1.4999), (20, 1.5)])) == []


def test_few_validation_tokens_are_named_only_where_they_hide_something() -> None:
    train, validation = np.linspace(2, 1, 20), [(0, 3.0), (5, 1.10), (10, 1.05), (20, 1.08)]
    advice = one(
        diagnose(run(train, validation, tokens=100), experiment(data={"source": "d", "valid": 4})),
        "validation-too-small",
    )
    assert advice.severity == "info"
    assert advice.change == {"data.valid": 100}
    assert diagnose(run(train, validation, tokens=4000)) == []
    assert diagnose(run(train, [(0, 3.0), (5, 1.20), (10, 1.10), (20, 1.05)], tokens=100)) == []


def test_validation_far_below_training_is_named() -> None:
    train = noisy(np.full(60, 1.0), 0.02)
    low = [(0, 1.5), (15, 0.5), (30, 0.45), (45, 0.44)]
    assert one(diagnose(run([2.0, *train], low)), "validation-below-training").change == {}
    assert diagnose(run([2.0, *train], [(0, 1.5), (15, 0.9), (30, 0.85), (45, 0.84)])) == []


# -- the machine ------------------------------------------------------------------------------------------------------
def test_padding_is_named_where_the_batch_can_do_something_about_it() -> None:
    train = np.linspace(2, 1, 20)
    four = experiment(train={"batch_size": 4, "iters": 100})
    advice = one(diagnose(run(train, columns={"padding_fraction": 0.4}), four), "padding")
    assert advice.severity == "info"
    assert advice.change == {"train.batch_size": 2, "train.grad_accumulation": 2, "train.iters": 200}
    assert one(diagnose(run(train, columns={"padding_fraction": 0.6}), four), "padding").severity == "warning"
    assert diagnose(run(train, columns={"padding_fraction": 0.3}), four) == []
    single = experiment(train={"batch_size": 1})
    assert diagnose(run(train, columns={"padding_fraction": 0.6}), single) == []


def planned(view: RunView, stock: float, fast: float | None) -> RunView:
    """The view with a plan that tells what padding each mode's batches have."""
    more = {} if fast is None else {"fast_padding_fraction": fast}
    plan = {"t": 0.5, "type": "plan", "steps": 100, "mode": "stock", "padding_fraction": stock, **more}
    view.extend([{**plan, "stock_padding_fraction": stock}])
    return view


def test_padding_of_the_stock_mode_is_cured_by_the_fast_mode_with_the_saving_that_was_measured() -> None:
    train, half = np.linspace(2, 1, 20), {"padding_fraction": 0.5}
    stock = experiment(train={"mode": "stock", "iters": 100})
    advice = one(diagnose(planned(run(train, columns=half), 0.5, 0.05), stock), "padding")
    # alpaca at batch 4, of docs/fast-mode.md: 50 % and 5 %, 1.9 times fewer places for the same tokens
    assert advice.change == {"train.mode": "fast"}
    assert advice.evidence["saved"] == pytest.approx(1 - 1 / 1.9)
    assert "50 % of the tokens computed are padding" in advice.text
    assert "would have 5 % padding and compute 47 % fewer tokens" in advice.text
    unplanned = one(diagnose(planned(run(train, columns=half), 0.5, None), stock), "padding")
    assert (unplanned.change, "fewer" in unplanned.text) == ({"train.mode": "fast"}, False)
    assert diagnose(planned(run(train, columns=half), 0.5, 0.46), stock) == []  # nothing to gain: lengths are to blame
    alone = experiment(train={"mode": "stock", "iters": 100, "batch_size": 1})
    assert diagnose(run(train, columns=half), alone) == []
    rounded = one(diagnose(planned(run(train, columns=half), 0.5, 0.1), alone), "padding")
    assert rounded.change == {"train.mode": "fast"}
    assert one(diagnose(run(train, columns=half)), "padding").change == {}  # a log alone


def test_a_change_counts_in_what_the_run_counts_in() -> None:
    """With epochs given, iterations alone would change nothing; and a warm-up must fit the shorter run."""
    view = planned(run([(200, 0.201), (400, 0.134)], PLAYERS), 0.1, 0.1)
    change = one(diagnose(view, experiment(train={"epochs": 2.0})), "overfitting").change
    assert (change["train.iters"], change["train.epochs"]) == (200, 0.0)
    warm = experiment(train={"iters": 400, "warmup": 200})
    assert one(diagnose(run([(200, 0.201), (400, 0.134)], PLAYERS), warm), "overfitting").change["train.warmup"] == 20
    padded = run(np.linspace(2, 1, 20), columns={"padding_fraction": 0.4})
    assert one(diagnose(padded, experiment(train={"epochs": 1.0})), "padding").change == {
        "train.batch_size": 2,
        "train.grad_accumulation": 2,
    }
    nan = planned(run([1.0, 0.9, math.nan]), 0.1, 0.1)
    assert one(diagnose(nan, experiment(train={"epochs": 3.0, "iters": 7})), "not-finite").change["train.warmup"] == 10


def test_a_slower_machine_is_named_and_swap_told_from_heat() -> None:
    train = np.linspace(2, 1, 60)
    rates = noisy(np.concatenate([np.full(45, 1000.0), np.full(15, 450.0)]), 0.1)
    view = run(train, columns={"tokens_per_second": rates})
    assert "or memory is being swapped" in one(diagnose(view), "slowed-down").text
    hot = one(diagnose(view, experiment(), MachineFacts(swap_growth=0)), "slowed-down")
    assert ("too hot" in hot.text, hot.change) == (True, {})
    short = one(diagnose(view, experiment(), MachineFacts(swap_growth=3 * 10**9)), "slowed-down")
    assert "3.0 GB went to swap" in short.text
    assert short.change == {"train.grad_checkpoint": True}
    warm = noisy(np.concatenate([np.full(45, 1000.0), np.full(15, 800.0)]), 0.1)
    assert diagnose(run(train, columns={"tokens_per_second": warm})) == []


def test_memory_near_the_limit_is_named() -> None:
    view = run(np.linspace(2, 1, 5), columns={"peak_memory": [1e9, 9.2e9, 9.2e9, 9.2e9, 9.2e9]})
    advice = one(diagnose(view, experiment(), MachineFacts(memory_limit=10**10)), "memory")
    assert (advice.severity, advice.change) == ("warning", {"train.grad_checkpoint": True})
    tight = MachineFacts(memory_limit=int(9.3e9))
    small = experiment(train={"batch_size": 4, "iters": 50, "grad_checkpoint": True})
    assert one(diagnose(view, small, tight), "memory").severity == "error"
    assert diagnose(view, small, tight)[0].change == {
        "train.batch_size": 2,
        "train.grad_accumulation": 2,
        "train.iters": 100,
    }
    single = experiment(train={"batch_size": 1, "grad_checkpoint": True, "max_seq_length": 512})
    assert diagnose(view, single, tight)[0].change == {"train.max_seq_length": 256}
    for unknown in (None, MachineFacts(), MachineFacts(memory_limit=2 * 10**10)):
        assert diagnose(view, experiment(), unknown) == []


# -- the statistics ---------------------------------------------------------------------------------------------------
def test_noise_is_measured_beside_a_trend_and_outliers() -> None:
    rng = np.random.default_rng(3)
    values = np.linspace(10, 0, 4000) + rng.normal(0, 0.5, 4000)
    values[::50] += 30
    assert robust.noise(values) == pytest.approx(0.5, rel=0.1)
    assert robust.noise(np.array([1.0, 5.0, 2.0, 8.0])) == 0.0


def test_median_error_is_that_of_simulated_medians() -> None:
    medians = np.median(np.random.default_rng(4).normal(0, 2, (4000, 50)), axis=1)
    assert robust.median_error(2.0, 50) == pytest.approx(float(medians.std()), rel=0.05)


def test_windows_are_aligned_to_the_end() -> None:
    assert robust.window_medians(np.arange(8.0), 3).tolist() == [3.0, 6.0]
    assert robust.above_before(np.array([1.0, 3.0, 2.0, 9.0]), 3).tolist() == [7.0]
    assert len(robust.window_medians(np.arange(2.0), 3)) == len(robust.above_before(np.arange(3.0), 3)) == 0
