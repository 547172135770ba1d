"""The forecast of a run: what it goes through, its time and disk, and what makes it fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.test_forecast_memory import CONFIG, tensors
from tui_tuner.config import Experiment, with_overrides
from tui_tuner.config.model import TrainSection
from tui_tuner.data.examples import Example
from tui_tuner.models.memory import BatchSize
from tui_tuner.models.shape import ModelShape, shape_from
from tui_tuner.training.batches import StockOrder
from tui_tuner.training.fast.order import FastOrder
from tui_tuner.training.forecast.fitting import Fitting, make_it_fit
from tui_tuner.training.forecast.forecast import Forecast, forecast_run
from tui_tuner.training.forecast.speed import Speed, known_speed, learn
from tui_tuner.training.forecast.workload import RowLengths, lengths_from, workload

SPEED = Speed(1e9, 1e9)


@pytest.fixture
def shape() -> ModelShape:
    return shape_from(CONFIG, tensors())


def experiment(*overrides: str) -> Experiment:
    plain = Experiment.model_validate({"model": {"path": "m"}, "data": {"source": "d"}})
    return with_overrides(plain, list(overrides))


def rows(count: int = 64, low: int = 20, high: int = 400) -> RowLengths:
    rng = np.random.default_rng(0)
    lengths = rng.integers(low, high, count)
    return RowLengths(lengths, lengths // 2, lengths[:8], lengths[:8] // 2, lengths[:6], lengths[:6] // 2)


def examples(lengths: RowLengths) -> list[Example]:
    pairs = zip(lengths.train.tolist(), lengths.train_prompts.tolist(), strict=True)
    return [Example(list(range(length)), offset) for length, offset in pairs]


@pytest.mark.parametrize("batch", [1, 4, 7])
def test_batches_are_those_of_the_orders(batch: int) -> None:
    lengths = rows()
    made = examples(lengths)
    stock = StockOrder(made, [], batch_size=batch, max_length=300, seed=0)
    section = TrainSection(batch_size=batch, max_seq_length=300, mode="stock")
    told = workload(lengths, section)
    sizes = [BatchSize(*size) for size in stock.batch_sizes()]
    assert {size: sizes.count(size) for size in sizes} == told.sizes
    assert told.truncated == int((lengths.train > 300).sum())
    fast = FastOrder(made, [], batch_size=batch, max_length=300, seed=0)
    told = workload(lengths, section.model_copy(update={"mode": "fast"}))
    assert told.steps_per_epoch == fast.batches_per_epoch
    # Merged shapes are a little wider; the widest is the same.
    assert max(size.width for size in told.sizes) == max(size.width for size in fast.shapes)
    cells = sum(size.tokens * count for size, count in told.sizes.items())
    assert cells <= fast.size().train <= 1.1 * cells


def test_a_batch_by_its_number_leaves_the_position() -> None:
    made = examples(rows())
    for order in (
        FastOrder(made, [], batch_size=4, max_length=300, seed=0),
        StockOrder(made, [], batch_size=4, max_length=300, seed=0),
    ):
        before = order.state()
        sizes = order.batch_sizes()
        for number in (0, len(sizes) - 1):
            batch = order.batch(number)
            assert batch.tokens.shape == (sizes[number].rows, sizes[number].width + 1)
        assert order.state() == before


def test_steps_and_validations_are_counted() -> None:
    section = TrainSection(batch_size=4, epochs=2.5, eval_every=10)
    told = workload(rows(64), section)
    assert (told.steps_per_epoch, told.steps) == (16, 40)
    assert told.validations == 5  # at 0, 10, 20, 30 and 40
    assert workload(rows(64), TrainSection(iters=40, eval_every=100)).validations == 2
    few = workload(rows(64), TrainSection(batch_size=1, eval_batches=2))
    assert sum(few.valid.values()) <= 8
    assert lengths_from(examples(rows()), [], []).train.tolist() == rows().train.tolist()


def test_a_forecast_tells_of_memory_time_and_disk(shape: ModelShape) -> None:
    found = forecast_run(experiment(), shape, rows(), usable=10**9, speed=SPEED)
    assert found.fits == "fits" and found.known_data and not found.measured
    told = found.as_json()
    assert told["peak_memory"] == max(told["memory"]["training"], told["memory"]["answering"])
    assert set(told["stages"]) == {"training", "validation", "traces", "baseline", "evaluate"}
    assert told["seconds"] == pytest.approx(sum(told["stages"].values()))
    assert told["seconds_low"] < told["seconds"] < told["seconds_high"]
    # Six checkpoints, each with the weights twice and two arrays of state: 4 bytes of 8 × 1,024 numbers a layer.
    assert found.disk.checkpoints == 6 * 4 * (4 * 3 * 8 * 1_024)
    assert found.batch.width <= 400
    text = "\n".join(found.lines())
    assert "fits in 1.0 GB" in text and "estimated" in text


def test_without_data_rows_are_as_long_as_can_be(shape: ModelShape) -> None:
    unknown = forecast_run(experiment("train.max_seq_length=256"), shape)
    assert not unknown.known_data and unknown.batch.width == 255 and unknown.span is None
    assert unknown.peak > forecast_run(experiment("train.max_seq_length=256"), shape, rows(high=100)).peak


def test_time_grows_with_work(shape: ModelShape) -> None:
    def seconds(*overrides: str) -> float:
        span = forecast_run(experiment(*overrides), shape, rows(), speed=SPEED).span
        assert span is not None
        return span.seconds

    plain = seconds()
    assert seconds("train.iters=200") > plain < seconds("train.grad_checkpoint=true")
    assert seconds("evaluation.enabled=false") < plain
    assert seconds("adapter.layers=1") < plain


def test_what_steps_taught_is_remembered(shape: ModelShape, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path))
    assert known_speed(shape) is None
    learn(shape, SPEED, told=2.0, taken=3.0)
    found = known_speed(shape)
    assert found is not None and found.factor == pytest.approx(1.5) and found.spread < SPEED.spread
    learn(shape, found, told=1.5, taken=0.0)  # a clock that stood still teaches nothing
    assert known_speed(shape) == found
    (tmp_path / "speeds.json").write_text("{ torn")
    assert known_speed(shape) is None


def fitting(shape: ModelShape, limit: float, *overrides: str) -> tuple[Forecast, Fitting]:
    whole = forecast_run(experiment(*overrides), shape, rows())
    return whole, make_it_fit(experiment(*overrides), shape, rows(), limit=int(limit * whole.peak), speed=SPEED)


def test_what_fits_is_left_alone(shape: ModelShape) -> None:
    _, found = fitting(shape, 2.0)
    assert found.fits and not found.changes and "fits as it is" in found.sentence()


@pytest.mark.parametrize("share", [1.0, 0.8, 0.6, 0.4, 0.3])
def test_what_is_found_fits_and_applies(shape: ModelShape, share: float) -> None:
    whole, found = fitting(shape, share)
    assert found.fits and found.changes
    assert found.after.peak <= 0.9 * found.limit
    # The overrides by themselves, and the conversions, make what was told.
    changed, stored = with_overrides(experiment(), found.overrides), shape
    for change in found.changes:
        stored = stored.stored(change.bits) if change.bits else stored
    assert forecast_run(changed, stored, rows()).peak == found.after.peak < whole.peak


def test_an_update_still_sees_as_many_rows(shape: ModelShape) -> None:
    _, found = fitting(shape, 0.7, "train.batch_size=8", "train.iters=300")
    train = with_overrides(experiment("train.batch_size=8", "train.iters=300"), found.overrides).train
    assert train.batch_size * train.grad_accumulation == 8
    assert train.iters * train.batch_size == 300 * 8
    assert train.eval_every * train.batch_size == 200 * 8


def test_less_room_never_takes_less_from_it(shape: ModelShape) -> None:
    peaks = [fitting(shape, share)[1].after.peak for share in (0.95, 0.8, 0.6, 0.45, 0.3)]
    assert peaks == sorted(peaks, reverse=True)


def test_needless_changes_are_taken_back(shape: ModelShape) -> None:
    _, found = fitting(shape, 0.3)
    for dropped in found.changes:
        if dropped.bits:
            continue
        rest = [each for change in found.changes if change is not dropped for each in change.overrides]
        stored = shape
        for change in found.changes:
            stored = stored.stored(change.bits) if change.bits else stored
        assert forecast_run(with_overrides(experiment(), rest), stored, rows()).peak > 0.9 * found.limit


def test_cut_rows_are_priced(shape: ModelShape) -> None:
    _, found = fitting(shape, 0.12)
    shorter = [change for change in found.changes if any("max_seq_length" in each for each in change.overrides)]
    for change in shorter:
        (length,) = [int(each.split("=")[1]) for each in change.overrides]
        assert change.truncated == int((rows().train > length).sum()) and "rows more are cut" in change.price


def test_when_nothing_fits_the_nearest_is_told(shape: ModelShape) -> None:
    whole, found = fitting(shape, 0.001)
    assert not found.fits and found.after.peak < whole.peak
    assert "Nothing makes it fit" in found.sentence() and found.as_json()["fits"] is False


def test_whole_weights_are_not_quantized(shape: ModelShape) -> None:
    _, found = fitting(shape, 0.2, "adapter.method=full")
    assert not any(change.bits for change in found.changes)
