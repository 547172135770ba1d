"""When a run is done: how long its present stage still takes, how sure that is, and what comes after.

What is left is predicted from what was measured in this run, as a mean with a 95 % prediction interval, which
docs/how-numbers-are-computed.md explains. It must never guess before there is a measurement, and never give an interval
before there are enough of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..shares import student_quantile
from .columns import number

if TYPE_CHECKING:
    from .events import Event
    from .stages import StageStatus
    from .view import RunView

Floats = NDArray[np.float64]

RECENT: Final = 20
"""Reports that always count as recent; of a longer run it is the last third."""
FEWEST: Final = 4
"""Measurements that an interval needs: reports, or whole epochs."""
_LONGEST: Final = 3000  # reports that are looked at: enough for any mean, and quick
_FAR: Final = 3.0  # quartile ranges beyond the others' quartiles that make an outlier (Tukey's far out)
_MOST_EPOCHS = 1_000_000
_FLOOR: Final = 0.01  # share of what is left that is never known better, as a standard deviation
_ONCE: Final = 0.1  # the same for validations of which only one was measured
_Z: Final = 1.959963984540054


@dataclass(frozen=True)
class Outlook:
    """What is expected of a run. All times in seconds.

    Attributes:
        seconds: what the stage at work still takes, counted from `at` on.
        low, high: the interval around `seconds` that holds in 95 of 100 cases; None while it is unknown.
        at: the moment of the last measurement, seconds since the epoch.
        after: what the stages behind it are expected to take; None when that is unknown.
    """

    seconds: float
    low: float | None
    high: float | None
    at: float
    after: float | None

    def left(self, now: float) -> Outlook:
        """The same counted from `now` (seconds since the epoch) on; nothing falls below 0."""
        gone = max(0.0, now - self.at)
        low, high = (None if value is None else max(0.0, value - gone) for value in (self.low, self.high))
        return Outlook(max(0.0, self.seconds - gone), low, high, max(now, self.at), self.after)


def outlook(view: RunView) -> Outlook | None:
    """What is expected of a run that is going on, or None when nothing is known."""
    if view.finished is not None:
        return None
    stage = view.running_stage
    if stage is not None and stage.name != "train":
        return _of_rows(view, stage)
    return _of_training(view)


# -- a stage that counts rows -----------------------------------------------------------------------------------------
def _of_rows(view: RunView, stage: StageStatus) -> Outlook | None:
    spent = stage.updated - stage.started
    if stage.total <= 0 or stage.done <= 0 or not spent > 0:
        return None
    left = spent / stage.done * max(0, stage.total - stage.done)
    return Outlook(left, None, None, stage.updated, _behind(view, stage.name))


def _behind(view: RunView, stage: str) -> float | None:
    """Seconds that the stages after one take: the benchmark after training takes about as long as the one before."""
    if stage not in ("train", "evaluate"):
        return None
    if stage == "evaluate" or "check" not in view.stages:  # only our own pipeline has stages beyond training
        return 0.0
    baseline = view.stages.get("baseline")
    if baseline is None or baseline.status not in ("done", "skipped"):
        return None
    return baseline.seconds if baseline.status == "done" else 0.0


# -- training ---------------------------------------------------------------------------------------------------------
class _Sum(NamedTuple):
    """What a sum of times to come is expected to be: its mean, its variance, and how many values tell of it."""

    mean: float
    variance: float
    known: int

    @property
    def reach_squared(self) -> float:
        return self.variance * student_quantile(_Z, max(1, self.known - 1)) ** 2


def _of_training(view: RunView) -> Outlook | None:
    measured = _Measured.of(view)
    if view.steps <= 0 or measured is None:
        return None
    at, after = _last_moment(view), _behind(view, "train")
    left = max(0, view.steps - view.step)
    parts = [*_steps_ahead(view, measured, left), _validations_ahead(view, measured)]
    mean = sum(part.mean for part in parts)
    if left and parts[0].known < FEWEST:
        return Outlook(mean, None, None, at, after)
    reach = math.sqrt(sum(part.reach_squared for part in parts) + (_Z * _FLOOR * mean) ** 2)
    return Outlook(mean, max(0.0, mean - reach), mean + reach, at, after)


def _steps_ahead(view: RunView, measured: _Measured, left: int) -> list[_Sum]:
    """The seconds that `left` steps take, in parts that vary independently of each other."""
    if not left:
        return [_Sum(0.0, 0.0, RECENT)]
    epoch, size = _epoch(view), measured.size
    of_reports = measured.recent(epoch)
    of_epochs = measured.epochs(epoch)
    if len(of_epochs) < FEWEST:
        return [_sum_ahead(of_reports * size, left / size)]
    # Each epoch has the same batches, so only noise is left between epochs. How the batches fall into the parts of an
    # epoch that are left is chance again: that of drawing without putting back.
    of_a_step = float(of_reports.var(ddof=1)) * size if len(of_reports) > 1 else 0.0
    rest = min(left, -view.step % epoch)
    drawn = sum(part * (1 - part / epoch) for part in (rest, (left - rest) % epoch))
    return [_sum_ahead(of_epochs * epoch, left / epoch), _Sum(0.0, of_a_step * drawn, max(len(of_reports), FEWEST))]


def _validations_ahead(view: RunView, measured: _Measured) -> _Sum:
    """The seconds that the validations take which are due until the last step."""
    costs, due = measured.validations[-RECENT:], _validations_due(view)
    if not due or not len(costs):
        return _Sum(0.0, 0.0, RECENT)
    ahead = _sum_ahead(costs[_usual(costs)], due)
    return ahead if len(costs) > 1 else _Sum(ahead.mean, (_ONCE * ahead.mean) ** 2, FEWEST)


def _validations_due(view: RunView) -> int:
    """How many validations come until the last step: as planned or, failing that, as they came so far."""
    steps, every = view.validation.column("step"), number((view.plan or {}).get("eval_every"))
    if not len(steps):
        return 0
    left = view.steps - float(steps[-1])
    if every is None:
        every = float(np.median(np.diff(steps))) if len(steps) > 1 else 0.0
        left -= 1  # mlx-lm's last validation comes before the last update
    elif every >= 1:
        left += float(steps[-1]) % every  # one that a person asked for puts off none
    # The end is validated even when it is not a multiple.
    return max(0, math.ceil(left / every)) if every >= 1 else 0


def _sum_ahead(values: Floats, count: float) -> _Sum:
    """The sum of `count` further values like these.

    Its variance is that of the sum itself and that of the mean it is reckoned from, s² n (1 + n/m), widened where
    neighbours are alike: m values of which each resembles the one before tell less than m that do not.
    """
    mean, known = float(values.mean()), len(values)
    spread = values - mean
    square = float((spread**2).sum())
    if not square > 0:
        return _Sum(mean * count, 0.0, known)
    alike = float((spread[1:] * spread[:-1]).sum()) / square
    alike = min(max(alike + (1 + 3 * alike) / known, 0.0), 0.8) if known >= RECENT // 2 else 0.0
    variance = square / (known - 1) * (1 + alike) / (1 - alike)
    return _Sum(mean * count, variance * count * (1 + count / known), known)


def _usual(values: Floats) -> NDArray[np.bool_]:
    """All values but the largest, if that alone lies far out: one hiccup frightens nobody, two are a habit."""
    usual = np.ones(len(values), dtype=np.bool_)
    if len(values) >= 3:
        at = int(values.argmax())
        usual[at] = False
        low, middle, high = np.percentile(values[usual], (25, 50, 75))
        far = max(high + _FAR * (high - low), 2 * middle)
        usual[at] = values[at] <= far or bool((values[usual] > far).any())
    return usual


def _epoch(view: RunView) -> int:
    """Steps of an epoch; 0 when unknown."""
    size = (view.plan or {}).get("batches_per_epoch")
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else 0


def _last_moment(view: RunView) -> float:
    """When the last thing happened that the forecast knows of."""
    last = [view.train.last("t"), view.validation.last("t")]
    last += _times(view.controls[-1:], "proceed") + _times([view.started or {}])
    return max((moment for moment in last if math.isfinite(moment)), default=0.0)


def _times(events: list[Event], *kinds: str) -> list[float]:
    """When events were, of some kinds of control or of all."""
    times = [number(event.get("t")) for event in events if not kinds or event.get("what") in kinds]
    return [moment for moment in times if moment is not None]


@dataclass(frozen=True)
class _Measured:
    """What the reports on training say about time.

    Attributes:
        step: after how many steps each report came.
        pace: seconds a step, for each report, what lies between steps (checkpoints, say) included.
        size: steps between two reports.
        validations: what each validation cost, with the probes that follow it.
    """

    step: Floats
    pace: Floats
    size: float
    validations: Floats

    @classmethod
    def of(cls, view: RunView) -> _Measured | None:
        """None when no report says how long its steps took."""
        step, moment = view.train.column("step")[-_LONGEST:], view.train.column("t")[-_LONGEST:]
        if not len(step):
            return None
        size = np.diff(step, prepend=min(0.0, float(step[0]) - 1) if len(step) < _LONGEST else np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            pace = 1.0 / view.train.column("steps_per_second")[-_LONGEST:]
        span = np.diff(moment, prepend=np.nan)
        pace = np.where(np.isfinite(pace) & (pace > 0), pace, span / size)
        excess = np.maximum(span - pace * size, 0.0)
        undisturbed = np.isfinite(excess) & ~_disturbed(view, moment)
        validations = np.bincount(_place(moment, view.validation.column("t")), minlength=len(step) + 1)[: len(step)]
        plain, validated = undisturbed & (validations == 0), undisturbed & (validations == 1)
        between = float(excess[plain].mean()) if plain.any() else 0.0
        pace = pace + np.where(plain, excess, between) / size
        known = np.isfinite(pace) & (pace > 0)
        if known.sum() > 2 and known[0]:
            known[0] = False  # the first steps compile
        if not known.any():
            return None
        known[known] = _usual(pace[known])
        costs = excess[validated]
        if not len(costs):
            said = view.validation.column("seconds")
            costs = said[np.isfinite(said) & (said >= 0)]
        return cls(step[known], pace[known], float(np.nanmedian(size)), costs)

    def recent(self, epoch: int) -> Floats:
        """Seconds a step of the reports that count: the last third, at least 20, of whole epochs where there are any.

        Args:
            epoch: steps of an epoch; 0 when unknown.
        """
        count = max(RECENT, len(self.pace) // 3)
        whole = int((self.step[-1] - self.step[0] + self.size) // epoch) if epoch else 0
        if whole:
            reports = epoch / self.size
            count = max(FEWEST, round(min(math.ceil(count / reports), whole) * reports))
        return self.pace[-count:]

    def epochs(self, epoch: int) -> Floats:
        """Seconds a step of the whole epochs that count: the last third of those measured, at least 4.

        Args:
            epoch: steps of an epoch; 0 when unknown, which gives none.
        """
        start = self.step[0] - self.size
        if epoch and (self.step[-1] - start) / epoch > _MOST_EPOCHS:  # a damaged log, or a stranger's
            return np.empty(0)
        edges = np.arange(math.ceil(start / epoch) * epoch, self.step[-1] + 0.5, epoch) if epoch else np.empty(0)
        edges = edges[-max(FEWEST, len(edges) // 3) - 1 :]
        if len(edges) <= FEWEST:
            return np.empty(0)
        # A report that was left out leaves a gap, which its neighbours' pace fills.
        places = np.concatenate(([start], self.step))
        seconds = np.concatenate(([0.0], np.cumsum(self.pace * np.diff(places))))
        passed: Floats = np.diff(np.interp(edges, places, seconds)) / epoch
        return passed


def _place(moments: Floats, of: Floats) -> NDArray[np.int64]:
    """Which report each moment came before: its index, or the number of reports."""
    return np.searchsorted(moments, of[np.isfinite(of)], side="left")


def _disturbed(view: RunView, moments: Floats) -> NDArray[np.bool_]:
    """Reports before which the run was paused or taken up again, so that their distance in time says nothing."""
    times = _times(view.controls, "pause", "proceed") + _times([view.started or {}])
    found = np.zeros(len(moments) + 1, dtype=np.bool_)
    found[_place(moments, np.array(times, dtype=np.float64))] = True
    return found[:-1]
