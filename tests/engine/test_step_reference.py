"""A training step against arithmetic that numpy does by itself, from published formulas: what is added, cut and moved.

The model is one matrix, so that gradients can be written down: of mean squared error they are 2/n · xᵀ(xW − y).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.config import TrainSection
from tui_tuner.training.batches import Batch
from tui_tuner.training.checkpoint import Progress
from tui_tuner.training.guard import Guard, is_sound
from tui_tuner.training.optimizers import Rate, build_optimizer, build_schedule
from tui_tuner.training.randomness import first_key, key_kept, random_key, set_random_key
from tui_tuner.training.step import checkpointed_layers, compile_step, squared_norm, validate

pytestmark = pytest.mark.mlx
ROWS, WIDTH = 6, 3


@pytest.fixture(autouse=True)
def steps_as_they_are(request: pytest.FixtureRequest) -> Iterator[None]:
    """On a processor mlx compiles a step with the system's compiler, which takes longer than all else here."""
    import mlx.core as mx

    if "compiled" not in request.node.name:
        mx.disable_compile()
    yield
    mx.enable_compile()


class Squares:
    """Mean squared error of a matrix; a batch's rows choose among the numbers given."""

    def __init__(self, x: Any, y: Any) -> None:
        self._x, self._y = x, y

    def arrays(self, batch: Batch) -> tuple[Any, ...]:
        import mlx.core as mx

        return mx.array(self._x[batch.rows]), mx.array(self._y[batch.rows])

    def __call__(self, model: Any, x: Any, y: Any) -> tuple[Any, Any]:
        import mlx.core as mx

        return mx.square(x @ model.weight - y).mean(), mx.array(x.shape[0])


def batch_of(rows: list[int]) -> Batch:
    return Batch(np.zeros((len(rows), 4), np.int32), np.zeros((len(rows), 2), np.int32), rows, 0.25)


def problem(seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    return x, rng.normal(size=(ROWS, 1)).astype(np.float32), rng.normal(size=(WIDTH, 1)).astype(np.float32)


def matrix(weight: Any) -> Any:
    import mlx.core as mx
    import mlx.nn as nn

    class Matrix(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = mx.array(weight)

    return Matrix()


def gradient(x: Any, y: Any, weight: Any) -> Any:
    return 2.0 * x.T @ (x @ weight - y) / len(x)


class Stepped:
    """A matrix in training with some of a section's keys."""

    def __init__(self, x: Any, y: Any, weight: Any, **train: Any) -> None:
        section = TrainSection.model_validate({"learning_rate": 0.1, "iters": 10, "optimizer": "sgd", **train})
        self.model, self.loss = matrix(weight), Squares(x, y)
        self.optimizer, self.rate = build_optimizer(section)
        self.optimizer.init(self.model.trainable_parameters())
        self._accumulation = section.grad_accumulation
        self._step = compile_step(
            self.model,
            self.optimizer,
            self.loss,
            accumulation=section.grad_accumulation,
            clip_norm=section.clip_norm,
            extra_state=self.rate.state,
        )
        self._kept: Any = None
        self._number = 0

    def __call__(self, rows: list[int]) -> tuple[float, float]:
        """Takes a step; gives its loss and the norm of its gradient."""
        self._number += 1
        made = self._step(self.loss.arrays(batch_of(rows)), self._kept, self._number % self._accumulation == 0)
        self._kept = made.gradients
        return float(made.loss.item()), float(made.norm.item())

    @property
    def weight(self) -> Any:
        return np.array(self.model.weight)


ALL = list(range(ROWS))


def test_a_step_of_sgd_goes_down_the_gradient() -> None:
    x, y, weight = problem()
    step = Stepped(x, y, weight)
    loss, norm = step(ALL)
    slope = gradient(x, y, weight)
    assert loss == pytest.approx(float(((x @ weight - y) ** 2).mean()), rel=1e-6)
    assert norm == pytest.approx(float(np.linalg.norm(slope)), rel=1e-6)
    assert np.allclose(step.weight, weight - 0.1 * slope, rtol=1e-5)


def test_accumulated_shares_are_the_whole_batch_and_move_nothing_before() -> None:
    """The mean of gradients of equal shares is the gradient of all rows."""
    x, y, weight = problem(1)
    whole, shares = Stepped(x, y, weight), Stepped(x, y, weight, grad_accumulation=3)
    _, norm = whole(ALL)
    norms = []
    for start in (0, 2, 4):
        assert np.array_equal(shares.weight, weight)
        norms.append(shares([start, start + 1])[1])
    assert norms[:2] == [0.0, 0.0]  # no update, no norm
    assert norms[2] == pytest.approx(norm, rel=1e-5)
    assert np.allclose(shares.weight, whole.weight, rtol=1e-5)


@pytest.mark.parametrize("bound", [0.01, 0.5, 1e6])
def test_a_clipped_step_keeps_its_direction_and_is_no_longer_than_the_bound(bound: float) -> None:
    x, y, weight = problem(2)
    step = Stepped(x, y, weight, clip_norm=bound, learning_rate=1.0)
    _, norm = step(ALL)
    slope = gradient(x, y, weight)
    length = float(np.linalg.norm(slope))
    assert norm == pytest.approx(length, rel=1e-6)  # told before it is cut
    moved = weight - step.weight
    assert np.linalg.norm(moved) == pytest.approx(min(length, bound), rel=1e-4)
    assert np.allclose(moved / np.linalg.norm(moved), slope / length, atol=1e-4)


def test_adamw_is_that_of_its_paper() -> None:
    """Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2, as mlx has it: without the
    correction of the first steps, which is an option there."""
    x, y, weight = problem(3)
    step = Stepped(x, y, weight, optimizer="adamw", weight_decay=0.1)
    expected, m, v = weight.astype(np.float64), np.zeros_like(weight), np.zeros_like(weight)
    for _ in range(4):
        step(ALL)
        slope = gradient(x, y, expected)
        m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope**2
        expected = expected * (1 - 0.1 * 0.1) - 0.1 * m / (np.sqrt(v) + 1e-8)
    assert np.allclose(step.weight, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "decay", "kept"),
    [
        ("sgd", 0.5, 0.95),
        ("sgd", 0.0, 1.0),
        ("adamw", 0.5, 0.95),
        ("adamw", 0.0, 0.999),  # mlx's own decay of 0.01, times the rate
        ("adam", 0.0, 1.0),
    ],
)
def test_without_a_slope_only_decay_moves_a_weight(name: str, decay: float, kept: float) -> None:
    still, aims = np.zeros((ROWS, WIDTH), np.float32), np.zeros((ROWS, 1), np.float32)
    step = Stepped(still, aims, np.ones((WIDTH, 1), np.float32), optimizer=name, weight_decay=decay)
    step(ALL)
    assert np.allclose(step.weight, kept, atol=1e-6)


def test_a_factor_of_the_schedule_reaches_a_step_that_is_compiled_already() -> None:
    x, y, weight = problem(4)
    step = Stepped(x, y, weight, schedule="linear", iters=100)
    step(ALL)
    before = step.weight
    step.rate.change(step.optimizer, 0.0)
    step(ALL)
    assert np.array_equal(step.weight, before)


@given(
    st.integers(1, 400),
    st.sampled_from(["constant", "cosine", "linear"]),
    st.integers(0, 30),
    st.sampled_from([1, 3, 4]),
)
@settings(max_examples=25)
def test_a_schedule_begins_peaks_and_ends_where_it_is_told(
    iters: int, schedule: str, warmup: int, accumulation: int
) -> None:
    import mlx.core as mx

    warmup = min(warmup, max(iters // accumulation, 1) - 1)
    section = TrainSection.model_validate(
        {
            "learning_rate": 2e-4,
            "iters": max(iters, accumulation),
            "schedule": schedule,
            "warmup": warmup,
            "grad_accumulation": accumulation,
        }
    )
    made = build_schedule(section)
    updates = max(section.iters // accumulation, 1)
    if schedule == "constant" and not warmup:
        assert made == 2e-4
        return
    rates = [float(mx.array(made(mx.array(at))).item()) for at in (0, warmup, updates + 1, 10_000)]
    assert rates[0] == pytest.approx(0.0 if warmup else 2e-4, rel=1e-6)
    assert rates[1] == pytest.approx(2e-4, rel=1e-5)
    assert rates[3] == pytest.approx(2e-4 if schedule == "constant" else 0.0, abs=1e-9)
    assert all(-1e-9 <= rate <= 2e-4 * (1 + 1e-6) for rate in rates)  # float32 rounds the end of a line


def test_a_constant_rate_has_no_factor_and_is_simply_replaced() -> None:
    import mlx.optimizers as opt

    rate = Rate(0.5)
    optimizer = opt.SGD(rate.for_optimizer())
    assert (rate.state, rate.factor, rate.in_force(optimizer)) == ({}, 1.0, 0.5)
    rate.set_factor(0.1)  # of a checkpoint that a schedule wrote; there is nothing to multiply
    assert rate.factor == 1.0
    rate.change(optimizer, 0.25)
    assert rate.in_force(optimizer) == 0.25


# -- norms and validations ---------------------------------------------------------------------------------------------
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 60))
@settings(max_examples=25)
def test_the_norm_is_numpy_s_however_arrays_are_put_together(sizes: list[int], together: int) -> None:
    import mlx.core as mx

    from tui_tuner.training import step

    rng = np.random.default_rng(sum(sizes))
    arrays = [rng.normal(size=size).astype(np.float32) for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "_TOGETHER", together)
        found = squared_norm({str(number): mx.array(array) for number, array in enumerate(arrays)}).item()
    assert found == pytest.approx(float(sum((a.astype(np.float64) ** 2).sum() for a in arrays)), rel=1e-5)


def test_no_gradients_have_no_norm() -> None:
    assert squared_norm({}).item() == 0.0


def test_a_validation_weighs_by_rows_and_leaves_the_model_in_training() -> None:
    x, y, weight = problem(5)
    model, seen = matrix(weight), list[int]()
    modes: list[bool] = []
    batches = [batch_of([0, 1, 2, 3]), batch_of([4])]

    def between(done: int) -> None:
        seen.append(done)
        modes.append(model.training)

    loss, rows = validate(model, batches, Squares(x, y), between)
    assert loss == pytest.approx(float(((x[:5] @ weight - y[:5]) ** 2).mean()), rel=1e-5)
    assert (rows, seen, modes, model.training) == (5, [1, 2], [False, False], True)


def test_a_validation_of_nothing_is_no_number() -> None:
    x, y, weight = problem()
    loss, rows = validate(matrix(weight), [], Squares(x, y), lambda done: None)
    assert np.isnan(loss)
    assert rows == 0


def test_a_validation_that_is_broken_off_leaves_the_model_in_training() -> None:
    x, y, weight = problem()
    model = matrix(weight)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        validate(model, [batch_of([0])], Squares(x, y), stop)
    assert model.training


# -- undoing -----------------------------------------------------------------------------------------------------------
def test_what_a_guard_puts_back_is_what_stood_in_the_same_places() -> None:
    x, y, weight = problem(6)
    step = Stepped(x, y, weight, optimizer="adam")
    step(ALL)
    guard = Guard(step.model, step.optimizer)
    places = step.optimizer.state["weight"]
    kept = {name: np.array(value) for name, value in places.items()}
    before, stood = guard.remember({"g": 1}), step.weight
    step(ALL)
    assert not np.array_equal(step.weight, stood)
    assert guard.put_back(before) == {"g": 1}
    assert np.array_equal(step.weight, stood)
    assert step.optimizer.state["weight"] is places
    assert all(np.array_equal(np.array(places[name]), value) for name, value in kept.items())
    # And the step goes on from there as if nothing had been.
    again = Stepped(x, y, weight, optimizer="adam")
    for one in (again, again, step):
        one(ALL)
    assert np.array_equal(step.weight, again.weight)


@pytest.mark.parametrize(
    ("values", "sound"),
    [((1.0, 2.0), True), ((), True), ((float("nan"), 1.0), False), ((1.0, float("inf")), False)],
)
def test_figures_one_can_go_on_with(values: tuple[float, ...], sound: bool) -> None:
    assert is_sound(*values) is sound


@given(st.lists(st.tuples(st.floats(0, 20, width=32), st.integers(1, 500)), min_size=1, max_size=20))
@settings(max_examples=25)
def test_a_window_s_sums_are_those_of_its_steps_and_survive_a_checkpoint(steps: list[tuple[float, int]]) -> None:
    from dataclasses import asdict

    progress = Progress()
    for number, (loss, tokens) in enumerate(steps, 1):
        progress.count(number, loss, tokens, 0.5, batch_of([0, 1]))
    total = np.float32(0.0)
    for loss, _ in steps:
        total = np.float32(total + np.float32(loss))
    assert progress.window_loss == float(total)
    assert (progress.step, progress.window_tokens) == (len(steps), sum(tokens for _, tokens in steps))
    assert progress.window_seconds == pytest.approx(0.5 * len(steps))
    assert (progress.window_places, progress.window_padding) == (8 * len(steps), 2 * len(steps))
    twin = Progress.from_dict(asdict(progress))
    assert twin == progress
    twin.start_window()
    assert (twin.window_steps, twin.window_loss, twin.step) == (0, 0.0, len(steps))
    assert progress.window_steps == len(steps)


# -- random keys and patched layers ------------------------------------------------------------------------------------
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_key_that_is_set_is_the_key_there_is(high: int, low: int) -> None:
    import mlx.core as mx

    set_random_key([high, low])
    assert random_key() == [high, low]
    first = mx.random.normal((3,)).tolist()
    with key_kept():
        mx.random.seed(1)
        mx.eval(mx.random.normal((8,)))
    second = mx.random.normal((3,)).tolist()
    set_random_key([high, low])
    assert [mx.random.normal((3,)).tolist() for _ in range(2)] == [first, second]


def test_keys_of_ranks_follow_from_seed_and_rank_and_are_all_different() -> None:
    keys = [tuple(first_key(seed, rank)) for seed in range(5) for rank in range(1, 9)]
    assert len(set(keys)) == len(keys)
    assert first_key(7, 1) == first_key(7, 1)
    assert all(0 <= word < 2**32 for key in keys for word in key)


def test_checkpointed_layers_are_only_so_while_they_are_asked_to_be() -> None:
    import mlx.core as mx
    import mlx.nn as nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(3, 3)]

    model, original = Model(), nn.Linear.__call__
    given_ = mx.ones((1, 3))
    plain = model.layers[0](given_).tolist()
    with checkpointed_layers(model, False):
        assert nn.Linear.__call__ is original
    with pytest.raises(ZeroDivisionError), checkpointed_layers(model, True):
        assert nn.Linear.__call__ is not original
        assert model.layers[0](given_).tolist() == plain
        raise ZeroDivisionError
    assert nn.Linear.__call__ is original
