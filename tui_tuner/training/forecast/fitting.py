"""What would make a run fit: the changes to a configuration, dearest last, and the price of each.

A change that costs nothing but a moment comes before one that costs time, and that before one that costs quality. Rows
are never cut without a word: a shorter length says how many it cuts, and is taken last but one. Closed form only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from tui_tuner import units
from tui_tuner.config import Experiment, with_overrides
from tui_tuner.models.facts import NEAR
from tui_tuner.models.memory import adapted
from tui_tuner.models.shape import ModelShape
from tui_tuner.training.forecast.cost import training_work
from tui_tuner.training.forecast.forecast import Forecast, forecast_run
from tui_tuner.training.forecast.speed import Speed
from tui_tuner.training.forecast.workload import RowLengths, longest_rows, workload

_BITS = (8, 4)
_LENGTHS = (8192, 4096, 3072, 2048, 1536, 1024, 768, 512, 384, 256, 192, 128)


@dataclass(frozen=True)
class Change:
    """A change to the configuration.

    Attributes:
        overrides: `section.key=value`, as `--set` takes them.
        what: in words.
        price: what it costs, in words.
        time_factor: how many times as long a run takes with it.
        truncated: training rows that are cut with it, of those that were whole before.
        quality: what it may do to the result, in words; empty for nothing.
        bits: that the base is stored in with it, 0 for as before.
    """

    overrides: tuple[str, ...]
    what: str
    price: str
    time_factor: float = 1.0
    truncated: int = 0
    quality: str = ""
    bits: int = 0

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "overrides": list(self.overrides)}


@dataclass(frozen=True)
class Fitting:
    """What was found.

    Attributes:
        fits: whether the run fits with the changes.
        limit: bytes that it had to fit in.
        changes: in the order in which they were taken; none where it fits as it is.
        before, after: forecasts without and with them.
    """

    fits: bool
    limit: int
    changes: list[Change]
    before: Forecast
    after: Forecast

    @property
    def overrides(self) -> list[str]:
        """All that `--set` has to be given."""
        return [each for change in self.changes for each in change.overrides]

    def as_json(self) -> dict[str, Any]:
        """The document of `tui-tuner forecast --fit --json`."""
        return {
            "fits": self.fits,
            "limit": self.limit,
            "changes": [change.as_json() for change in self.changes],
            "overrides": self.overrides,
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "sentence": self.sentence(),
        }

    def sentence(self) -> str:
        """What was found, in a sentence."""
        if self.fits and not self.changes:
            return f"It fits as it is: {units.size(self.before.peak)} of {units.size(self.limit)}."
        short = f"{units.size(self.before.peak)} → {units.size(self.after.peak)}, limit {units.size(self.limit)}"
        if self.fits:
            return f"With these changes it fits: {short}."
        return f"Nothing makes it fit; this is nearest: {short}. Take a smaller model."


@dataclass(frozen=True)
class _State:
    experiment: Experiment
    shape: ModelShape
    changes: tuple[Change, ...] = ()


def make_it_fit(
    experiment: Experiment,
    shape: ModelShape,
    lengths: RowLengths | None = None,
    *,
    limit: int,
    speed: Speed | None = None,
) -> Fitting:
    """The largest configuration that fits, by the least changes.

    Steps of ever higher price are taken until it fits: smaller batches with as many more accumulated, checkpointing,
    fewer bits, fewer layers, shorter rows. In the last one, the largest value that fits is chosen; then the changes
    before it that turn out not to be needed are taken back.

    Args:
        limit: bytes that the device gives a job; a tenth of it is left free.

    Raises:
        TunerError: the adapter does not fit the model.
    """

    known: dict[tuple[Change, ...], Forecast] = {}

    def told(state: _State) -> Forecast:
        if state.changes not in known:
            known[state.changes] = forecast_run(state.experiment, state.shape, lengths, usable=limit, speed=speed)
        return known[state.changes]

    def suits(state: _State) -> bool:
        return told(state).peak <= NEAR * limit

    def eased(state: _State) -> _State:
        """The state with fewer rows answered at once, where it is the benchmark that has no room."""
        if told(state).answering <= NEAR * limit or told(state).memory.peak > NEAR * limit:
            return state
        tried = list(_answering(state))
        return next((each for each in tried if suits(each)), tried[-1] if tried else state)

    start = _State(experiment, shape)
    before = told(start)
    if suits(start):
        return Fitting(True, limit, [], before, before)
    state, best = start, start
    if suits(eased(start)):
        state = eased(start)
        return Fitting(True, limit, list(state.changes), before, told(state))
    for options in (_batches, _checkpointing, _bits, _layers, _lengths):
        tried = [eased(each) for each in options(state, lengths)]
        for candidate in tried:
            if suits(candidate):
                kept = _without_needless(candidate, start, suits)
                return Fitting(True, limit, list(kept.changes), before, told(kept))
        state = min([state, *tried], key=lambda one: told(one).peak)
        best = min(best, state, key=lambda one: told(one).peak)
    return Fitting(False, limit, list(best.changes), before, told(best))


def _without_needless(state: _State, start: _State, suits: Any) -> _State:
    """The state with as few of its changes as still make it fit, the dearest looked at first."""
    for change in sorted(state.changes, key=lambda one: (not one.bits, -one.time_factor)):
        rest = tuple(each for each in state.changes if each is not change)
        fewer = _replayed(start, rest)
        if suits(fewer):
            state = fewer
    return state


def _replayed(start: _State, changes: tuple[Change, ...]) -> _State:
    overrides = [each for change in changes for each in change.overrides]
    shape = start.shape
    for change in changes:
        shape = shape.stored(change.bits) if change.bits else shape
    return _State(with_overrides(start.experiment, overrides), shape, changes)


def _with(state: _State, change: Change, shape: ModelShape | None = None) -> _State:
    changed = with_overrides(state.experiment, change.overrides) if change.overrides else state.experiment
    return replace(state, experiment=changed, shape=shape or state.shape, changes=(*state.changes, change))


def _answering(state: _State) -> Iterator[_State]:
    size = state.experiment.evaluation.batch_size
    for batch in sorted({size // 2, size // 4, 1} - {0, size}, reverse=True):
        what = f"{batch} test rows answered at once instead of {size}"
        change = Change((f"evaluation.batch_size={batch}",), what, "a slower benchmark, the same answers")
        yield _with(state, change)


def _batches(state: _State, lengths: RowLengths | None) -> Iterator[_State]:
    train = state.experiment.train
    size = train.batch_size
    for batch in sorted({each for each in range(1, size) if size % each == 0}, reverse=True):
        more = train.grad_accumulation * (size // batch)
        overrides = [f"train.batch_size={batch}", f"train.grad_accumulation={more}"]
        times = size // batch  # what counts iterations goes on meaning the same rows
        often = {name: getattr(train, name) * times for name in ("eval_every", "save_every", "report_every")}
        overrides += [f"train.{name}={value}" for name, value in often.items()]
        if not train.epochs:
            overrides.append(f"train.iters={train.iters * times}")
        what = f"batches of {batch} instead of {size}, {more} accumulated"
        yield _priced(state, tuple(overrides), what, lengths, "", "the same rows an update")


def _checkpointing(state: _State, lengths: RowLengths | None) -> Iterator[_State]:
    if not state.experiment.train.grad_checkpoint:
        yield _priced(state, ("train.grad_checkpoint=true",), "activations are computed anew", lengths)


def _bits(state: _State, lengths: RowLengths | None) -> Iterator[_State]:
    asked = state.experiment.model.bits
    if state.experiment.adapter.method == "full" or (state.shape.quantized is not None and not asked):
        return  # whole weights cannot be trained when they are quantized, and what is quantized stays as it is
    for bits in _BITS:
        if not asked or bits < asked:
            price = "quantized once before the run, which takes some disk"
            quality = "hardly any loss" if bits == 8 else "a perplexity about 1 % higher before training"
            change = Change((f"model.bits={bits}",), f"the base in {bits} bits", price, 1.0, 0, quality, bits)
            yield _with(state, change, state.shape.stored(bits))


def _layers(state: _State, lengths: RowLengths | None) -> Iterator[_State]:
    if state.experiment.adapter.layer_numbers:
        return
    present = adapted(state.shape, state.experiment.adapter).layers
    for count in sorted({present * part // 8 for part in (6, 4, 3, 2, 1)} | {1}, reverse=True):
        if 0 < count < present:
            what = f"the last {count} layers are trained instead of {present}"
            quality = "it learns less; for form and style few layers are often enough"
            yield _priced(state, (f"adapter.layers={count}",), what, lengths, quality)


def _lengths(state: _State, lengths: RowLengths | None) -> Iterator[_State]:
    train = state.experiment.train
    longest = int(lengths.train.max()) if lengths is not None and len(lengths.train) else train.max_seq_length
    for most in _LENGTHS:
        if most < min(train.max_seq_length, longest):
            what = f"rows of {most:,} tokens at the most instead of {train.max_seq_length:,}"
            yield _priced(state, (f"train.max_seq_length={most}",), what, lengths, "longer rows lose their end")


def _priced(
    state: _State, overrides: tuple[str, ...], what: str, lengths: RowLengths | None, quality: str = "", more: str = ""
) -> _State:
    """The state with a change whose price is reckoned from what it computes and cuts."""
    changed = with_overrides(state.experiment, overrides)
    before, after = _labour(state.experiment, state.shape, lengths), _labour(changed, state.shape, lengths)
    factor = after[0] / max(before[0], 1e-12)
    cut = after[1] - before[1] if lengths is not None else 0
    words = [f"{factor:.2f} times the time"] if abs(factor - 1) >= 0.02 else ["the same time"]
    words += [f"{cut:,} rows more are cut"] if cut else []
    words += [more] if more else []
    return _with(state, Change(overrides, what, ", ".join(words), factor, cut, quality))


def _labour(experiment: Experiment, shape: ModelShape, lengths: RowLengths | None) -> tuple[float, int]:
    """What training computes in all (in no unit), and how many rows are cut."""
    rows = lengths if lengths is not None and len(lengths.train) else longest_rows(experiment.train)
    work = workload(rows, experiment.train)
    done = training_work(shape, adapted(shape, experiment.adapter), experiment.train, work)
    return done.flops, work.truncated
