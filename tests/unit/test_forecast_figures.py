"""What a forecast counts and says: work against products counted by hand, spans and rooms in words, and speeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_forecast import SPEED, experiment, rows
from tests.unit.test_forecast_memory import CONFIG, tensors
from tui_tuner.config import with_overrides
from tui_tuner.config.model import TrainSection
from tui_tuner.models.facts import NEAR
from tui_tuner.models.memory import BatchSize, Memory, adapted
from tui_tuner.models.shape import ModelShape, shape_from
from tui_tuner.runs.files import read_json
from tui_tuner.training.forecast import speed as speeds
from tui_tuner.training.forecast.cost import Work, answer_work, answers, forward_work, step_work, training_work
from tui_tuner.training.forecast.fitting import Change, make_it_fit
from tui_tuner.training.forecast.forecast import Disk, Forecast, Span, forecast_run, with_steps
from tui_tuner.training.forecast.speed import Speed, known_speed, learn, measured_speed
from tui_tuner.training.forecast.workload import RowLengths, Workload, largest, longest_rows, workload


@pytest.fixture(scope="module")
def shape() -> ModelShape:
    return shape_from(CONFIG, tensors())


def forecast(shape: ModelShape, *overrides: str, **options: Any) -> Forecast:
    options = {"usable": 10**12, "speed": SPEED, **options}
    return forecast_run(experiment(*overrides), shape, rows(), **options)


# -- products ----------------------------------------------------------------------------------------------------------
def test_a_forward_pass_counts_each_weight_twice_and_attention_whole(shape: ModelShape) -> None:
    """2 flops a multiplication and addition; scores and their sum are width × width × queries, each twice."""
    batch = BatchSize(3, 10, 7)
    train = TrainSection(mode="fast")
    chosen = adapted(shape, experiment().adapter)
    found = forward_work(shape, chosen, train, batch).flops
    tokens = 30
    matrices = 2 * tokens * shape.active_weights * shape.layers
    attention = 4 * tokens * 10 * shape.queries * shape.layers
    head = 2 * 7 * shape.vocabulary * shape.hidden
    assert found == pytest.approx(matrices + attention + head, rel=1e-12)
    stock = forward_work(shape, chosen, train.model_copy(update={"mode": "stock"}), batch).flops
    assert stock - found == pytest.approx(2 * (30 - 7) * shape.vocabulary * shape.hidden, rel=1e-9)


def test_what_trains_more_computes_more(shape: ModelShape) -> None:
    train, batch = TrainSection(), BatchSize(4, 32, 64)
    chosen = {name: adapted(shape, experiment(*keys).adapter) for name, keys in WAYS.items()}
    cost = {name: step_work(shape, one, train, batch).flops for name, one in chosen.items()}
    again = train.model_copy(update={"grad_checkpoint": True})
    assert cost["one layer"] < cost["all layers"] < cost["whole"]
    assert step_work(shape, chosen["all layers"], again, batch).flops > cost["all layers"]
    # Training's backward pass makes a step dearer than a forward pass, but no more than four times.
    once = forward_work(shape, chosen["whole"], train, batch).flops
    assert 2 * once < cost["whole"] < 4 * once


WAYS = {
    "one layer": ("adapter.layers=1",),
    "all layers": ("adapter.layers=0",),
    "whole": ("adapter.layers=0", 'adapter.method="full"'),
}


@given(st.integers(1, 8), st.integers(1, 64), st.integers(1, 5))
@settings(max_examples=25)
def test_work_adds_up_and_scales_with_its_rows(count: int, width: int, times: int) -> None:
    shape = shape_from(CONFIG, tensors())
    train, chosen = TrainSection(), adapted(shape, experiment().adapter)
    one = step_work(shape, chosen, train, BatchSize(count, width, count))
    many = step_work(shape, chosen, train, BatchSize(count * times, width, count * times))
    assert many.flops == pytest.approx(one.flops * times, rel=1e-9)
    assert many.moved == pytest.approx(one.moved * times, rel=1e-9)
    assert (one + one) == one * 2
    assert Work() + one == one


def test_training_is_as_many_steps_as_there_are(shape: ModelShape) -> None:
    train, chosen = TrainSection(iters=30), adapted(shape, experiment().adapter)
    work = Workload({BatchSize(2, 8, 6): 2, BatchSize(2, 16, 10): 1}, {}, 30, 0, 2, 0, True)
    sizes = [BatchSize(2, 8, 6), BatchSize(2, 8, 6), BatchSize(2, 16, 10)]
    by_hand = sum(step_work(shape, chosen, train, size).flops for size in sizes) * 10
    assert training_work(shape, chosen, train, work).flops == pytest.approx(by_hand, rel=1e-12)


# -- answers -----------------------------------------------------------------------------------------------------------
def test_a_benchmark_asks_the_first_rows_with_answers_as_long_as_the_references() -> None:
    lengths, prompts = np.array([10, 20, 30, 40]), np.array([4, 8, 30, 10])
    section = experiment("evaluation.rows=3", "evaluation.max_tokens=7", "evaluation.batch_size=2").evaluation
    asked = answers(section, lengths, prompts, besides=5)
    assert asked is not None
    # Answers of 6, 12 and 0 tokens, cut at 7 and one at least.
    assert asked.expected == pytest.approx((6 + 7 + 1) / 3)
    assert (asked.rows, asked.longest, asked.most, asked.together, asked.all) == (3, 30, 7, 2, 8)
    assert asked.prompt == 42 * 8 // 3


@pytest.mark.parametrize("overrides", [("evaluation.enabled=false",), ()])
def test_without_a_benchmark_nothing_is_answered(overrides: tuple[str, ...]) -> None:
    none = np.zeros(0, np.int64)
    lengths = np.array([10]) if overrides else none
    assert answers(experiment(*overrides).evaluation, lengths, lengths) is None


def test_longer_answers_read_the_weights_more_often(shape: ModelShape) -> None:
    lengths = np.array([40, 50])
    asked = answers(experiment("evaluation.batch_size=1").evaluation, lengths, lengths // 2)
    assert asked is not None
    short, long = (answer_work(shape, asked, tokens) for tokens in (1.0, 11.0))
    assert long.moved - short.moved == pytest.approx(10 * (2 * shape.bytes + 2 * 40.0 * shape.hidden))
    together = answer_work(shape, replace(asked, together=2), 11.0)
    assert together.moved < long.moved
    assert together.flops == long.flops


# -- lengths -----------------------------------------------------------------------------------------------------------
def test_what_is_not_known_is_as_long_as_can_be() -> None:
    section = TrainSection(batch_size=3, max_seq_length=200)
    lengths = longest_rows(section)
    work = workload(lengths, section)
    assert not work.known
    assert work.sizes == {BatchSize(3, 199, 3 * 199): 1}
    assert (work.validations, work.truncated) == (0, 0)


@pytest.mark.parametrize("mode", ["fast", "stock"])
def test_a_set_without_rows_has_no_batches(mode: str) -> None:
    none = np.zeros(0, np.int64)
    work = workload(RowLengths(none, none), TrainSection(mode=mode, iters=5))
    assert (work.sizes, work.steps_per_epoch, work.traces) == ({}, 0, 0)
    assert work.epochs == work.steps == 5


@pytest.mark.parametrize(
    ("iters", "every", "valid", "looks"), [(10, 5, 4, 3), (10, 100, 4, 2), (11, 5, 4, 4), (10, 5, 0, 0)]
)
def test_validations_are_before_between_and_after(iters: int, every: int, valid: int, looks: int) -> None:
    lengths = rows(16)
    some = replace(lengths, valid=lengths.train[:valid], valid_prompts=lengths.train_prompts[:valid])
    assert workload(some, TrainSection(iters=iters, eval_every=every)).validations == looks


def test_of_many_validation_batches_only_as_many_as_are_asked_for_count() -> None:
    lengths = rows(64)
    many = replace(lengths, valid=lengths.train, valid_prompts=lengths.train_prompts)
    section = TrainSection(batch_size=1, max_seq_length=512)
    whole = sum(workload(many, section.model_copy(update={"eval_batches": -1})).valid.values())
    some = sum(workload(many, section.model_copy(update={"eval_batches": 16})).valid.values())
    assert whole == 64
    assert some < 64
    assert workload(many, section.model_copy(update={"eval_batches": 200})).valid.keys() == set(
        workload(many, section.model_copy(update={"eval_batches": -1})).valid
    )


def test_the_largest_batch_is_among_those_that_are_looked_at() -> None:
    sizes = {BatchSize(1, width, slots): 1 for width, slots in ((8, 8), (64, 1), (32, 32), (60, 60), (9, 2))}
    work = Workload(sizes, {}, 1, 0, 1, 0, True)
    chosen = largest(work, weigh=3)
    assert len(chosen) == len(set(chosen))
    assert {BatchSize(1, 64, 1), BatchSize(1, 60, 60)} <= set(chosen)


# -- words -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span(40.0, 40.0, 40.0), "40 s"),
        (Span(600.0, 300.0, 1200.0), "10 min (5 min to 20 min)"),
        (Span(7200.0, 3600.0, 14400.0), "2 h 0 min (60 min to 4 h 0 min)"),
    ],
)
def test_a_span_is_told_with_its_bounds_where_it_has_any(span: Span, text: str) -> None:
    assert span.text() == text
    assert span.as_json() == {"seconds": span.seconds, "low": span.low, "high": span.high}


@pytest.mark.parametrize(
    ("usable", "fits", "words"),
    [
        (10**15, "fits", "which fits in"),
        (1000, "too large", "which does not fit in 1.0 kB"),
        (0, None, "estimated"),
    ],
)
def test_the_room_is_told_where_it_is_known(usable: int, fits: str | None, words: str, shape: ModelShape) -> None:
    found = forecast(shape, usable=usable)
    assert found.fits == fits
    assert words in found.lines()[0]
    assert ("in " in found.lines()[0].partition("estimated")[2]) is bool(usable)


def test_a_forecast_for_a_person_tells_what_its_document_tells(shape: ModelShape) -> None:
    found = forecast(shape, "train.iters=1234", "train.max_seq_length=100")
    text, document = "\n".join(found.lines()), found.as_json()
    assert f"steps    1,234, {found.steps_per_epoch:,} an epoch" in text
    assert document["steps"] == 1234
    assert "rows are longer than 100 tokens and are cut" in text
    assert document["truncated"] > 0
    assert document["disk"] == sum(document["disk_parts"].values())
    assert document["peak_memory"] == max(document["memory"]["training"], document["memory"]["answering"])
    assert sum(document["stages"].values()) == pytest.approx(document["seconds"])
    assert document["seconds_low"] <= document["seconds"] <= document["seconds_high"]


def test_a_device_that_was_never_measured_is_said_to_be_so(shape: ModelShape) -> None:
    found = forecast(shape, speed=None)
    assert "time     not measured on this device yet" in found.lines()
    assert (found.span, found.as_json()["seconds"], found.seconds) == (None, None, {})


def test_a_run_that_does_not_fit_is_told_so_in_a_sentence(shape: ModelShape) -> None:
    text = forecast(shape, usable=10**6).too_large()
    assert text.startswith("it will take about ")
    assert "a job can have 1.0 MB on this machine" in text


def test_without_a_benchmark_there_are_no_answers_in_it(shape: ModelShape) -> None:
    found = forecast(shape, "evaluation.enabled=false")
    assert found.answering == 0
    assert set(found.seconds) == {"training", "validation", "traces"}
    assert not any("answering" in line for line in found.lines())


def test_disk_counts_checkpoints_reused_layers_and_a_base_made_for_the_run(shape: ModelShape) -> None:
    plain = forecast(shape).disk
    assert (plain.reused, plain.base) == (0, 0)
    assert forecast(shape, "model.bits=4").disk.base == shape.bytes
    assert forecast(shape, "train.keep_checkpoints=7").disk.checkpoints > plain.checkpoints
    assert forecast(shape, 'train.optimizer="sgd"').disk.checkpoints < plain.checkpoints
    assert forecast(shape, "train.reuse_frozen=true", "adapter.layers=1").disk.reused > 0
    assert forecast(shape, "train.reuse_frozen=true", "adapter.layers=1", 'train.mode="stock"').disk.reused == 0
    assert Disk(1, 2, 3, 4).total == 10


def test_steps_that_were_taken_replace_what_was_estimated(shape: ModelShape) -> None:
    found = forecast(shape)
    peak = found.memory.weights + found.memory.trained + found.memory.optimizer + found.memory.activations + 1000
    measured = with_steps(found, peak, {"training": 100.0, "validation": 20.0}, 1.5)
    assert measured.memory.peak == peak
    assert measured.memory.working == 1000
    assert measured.span == Span(120.0, 80.0, 180.0)
    assert measured.measured
    assert not found.measured
    small = with_steps(found, peak - found.memory.activations - 500, {"training": 1.0}, 1.0)
    assert (small.memory.activations, small.memory.working) == (500, 0)
    assert "measured" in measured.lines()[0]


# -- speeds ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path))
    return tmp_path / "speeds.json"


def test_a_device_is_timed_once(shape: ModelShape, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[int] = []
    monkeypatch.setattr(speeds, "_timed", lambda shape: timed.append(1) or (2e9, 3e9))
    assert known_speed(shape) is None
    assert measured_speed(shape) == measured_speed(shape) == known_speed(shape) == Speed(2e9, 3e9)
    assert len(timed) == 1
    assert len(read_json(cache)) == 1


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "\x00"])
def test_a_cache_that_is_none_is_no_cache(content: str, shape: ModelShape, cache: Path) -> None:
    cache.write_text(content)
    assert known_speed(shape) is None


@pytest.mark.parametrize("kept", ['{"flops": "fast", "moved": 1}', '{"unknown": 1}', "[1, 2]", "3"])
def test_figures_of_another_version_are_passed_over(kept: str, shape: ModelShape, cache: Path) -> None:
    cache.write_text(f'{{"{speeds._key(shape)}": {kept}}}')
    assert known_speed(shape) is None


@pytest.mark.parametrize(
    ("told", "taken", "factor"), [(10.0, 20.0, 2.0), (1.0, 1e6, 50.0), (1e6, 1.0, 0.02), (4.0, 2.0, 0.5)]
)
def test_real_steps_teach_a_factor_within_reason(
    told: float, taken: float, factor: float, shape: ModelShape, cache: Path
) -> None:
    learn(shape, Speed(1e9, 1e9), told, taken)
    learned = known_speed(shape)
    assert learned is not None
    assert learned.factor == pytest.approx(factor)
    assert learned.spread < Speed(1e9, 1e9).spread  # what was learned is surer
    assert learned.seconds(1e9, 0) == pytest.approx(factor)


@pytest.mark.parametrize(("told", "taken"), [(0.0, 1.0), (1.0, 0.0), (1.0, float("inf")), (1.0, float("nan"))])
def test_steps_without_a_time_teach_nothing(told: float, taken: float, shape: ModelShape, cache: Path) -> None:
    learn(shape, Speed(1e9, 1e9), told, taken)
    assert known_speed(shape) is None


def test_each_way_of_storing_has_a_speed_of_its_own(shape: ModelShape, cache: Path) -> None:
    learn(shape, Speed(1e9, 1e9), 1.0, 2.0)
    assert known_speed(shape.stored(4)) is None
    learn(shape.stored(4), Speed(1e9, 1e9), 1.0, 3.0)
    assert [one.factor for each in (shape, shape.stored(4)) if (one := known_speed(each))] == [2.0, 3.0]


def test_a_cache_that_cannot_be_written_costs_nothing(shape: ModelShape, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "file"))
    learn(shape, Speed(1e9, 1e9), 1.0, 2.0)
    assert known_speed(shape) is None


@pytest.mark.mlx
def test_a_timing_gives_figures_that_time_can_be_told_by(
    shape: ModelShape, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds, "_LONG_ENOUGH", 0.0)
    for each in (shape, shape.stored(4)):
        found = measured_speed(each)
        assert 1e6 < found.flops < 1e17
        assert 1e6 < found.moved < 1e15


# -- what makes it fit -------------------------------------------------------------------------------------------------
def test_the_sentence_says_what_was_found(shape: ModelShape) -> None:
    plain = experiment("train.batch_size=8")
    before = forecast_run(plain, shape, rows(), usable=0).peak
    fits = make_it_fit(plain, shape, rows(), limit=2 * before)
    assert fits.sentence().startswith("It fits as it is: ")
    assert fits.overrides == []
    less = make_it_fit(plain, shape, rows(), limit=before)
    assert less.sentence().startswith("With these changes it fits: ")
    assert less.as_json()["overrides"] == less.overrides
    never = make_it_fit(plain, shape, rows(), limit=1000)
    assert never.sentence().endswith("Take a smaller model.")
    assert not never.fits


def test_a_benchmark_without_room_answers_fewer_rows_at_once(shape: ModelShape) -> None:
    overrides = ("evaluation.batch_size=512", "evaluation.max_tokens=2000", "train.batch_size=1")
    lengths = rows(low=10, high=20)
    many = RowLengths(lengths.train, lengths.train_prompts, test=np.full(600, 300), test_prompts=np.full(600, 200))
    plain = experiment(*overrides)
    before = forecast_run(plain, shape, many, usable=0)
    assert before.answering > before.memory.peak
    half = forecast_run(with_overrides(plain, ["evaluation.batch_size=256"]), shape, many, usable=0).answering
    found = make_it_fit(plain, shape, many, limit=int((half + before.answering) / 2 / NEAR))
    assert found.fits
    assert [change.overrides[0].partition("=")[0] for change in found.changes] == ["evaluation.batch_size"]
    assert found.changes[0].what == "256 test rows answered at once instead of 512"
    assert with_overrides(plain, found.overrides).evaluation.batch_size == 256


def test_chosen_layers_and_what_is_quantized_already_stay_as_they_are(shape: ModelShape) -> None:
    chosen = make_it_fit(experiment("adapter.layer_numbers=[0, 1]", "model.bits=4"), shape, rows(), limit=1000)
    assert not [key for key in chosen.overrides if key.startswith(("adapter.layers=", "model.bits="))]
    stored = make_it_fit(experiment(), shape.stored(4), rows(), limit=1000)
    assert not [key for key in stored.overrides if key.startswith("model.bits=")]
    assert isinstance(chosen.changes[0], Change)
    assert isinstance(chosen.before.memory, Memory)
