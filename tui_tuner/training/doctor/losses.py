"""What the training losses and gradients tell: not finite, rising, jumping, not falling."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from . import changes, words
from .case import Advice, Case, Severity
from .robust import above_before, difference_error, median_error, noise, spread, window_medians

_SKIPPED_SHARE: Final = 0.05
_RISE: Final = 0.25
_RISE_FLOOR: Final = 0.05  # nats per token
_RISE_ERRORS: Final = 6.0
_SPIKE: Final = math.log(1.5)
_SPIKE_SIGMAS: Final = 6.0
_SPIKES: Final = 3
_SPIKE_WINDOW: Final = 100  # reports
_SPIKE_BEFORE: Final = 15
_NORM_GROWTH: Final = 5.0
_FALL: Final = 0.03
_TOO_NOISY: Final = 0.05
_LEARNED: Final = 0.1  # nats per token


def not_finite(case: Case) -> Advice | None:
    """A training loss was NaN or infinite, or steps had to be skipped.

    One such loss is enough, with no threshold: weights that a non-finite gradient has touched stay non-finite. Reports
    that were finite again, or steps that were skipped instead, make it a warning as long as they are at most 5 % of
    what was done: so many lost updates change nothing that could be measured. The rate goes to a tenth, as a third is
    often still too much once numbers overflow. If no loss was ever finite, the rate is not the cause: a batch whose
    rows have nothing to learn from (a prompt as long as max_seq_length) divides zero by zero.
    """
    steps, losses = case.view.train.column("step"), case.view.train.column("loss")
    bad = ~np.isfinite(losses)
    skipped = [event for event in case.view.skipped if isinstance(event.get("step"), int | float)]
    if bad.any():
        first, count = float(steps[int(np.argmax(bad))]), int(bad.sum())
        never = bool(bad.all())
        recovered = not bad[-1] and count <= _SKIPPED_SHARE * len(losses)
        if never:
            cause = (
                "; no report was finite, so a row with nothing to learn is likelier than the learning rate: "
                "look for prompts as long as train.max_seq_length"
            )
            change: dict[str, Any] = (
                {"train.max_seq_length": 2 * case.experiment.train.max_seq_length} if case.experiment else {}
            )
        else:
            kept = [c["step"] for c in case.view.checkpoints if c["step"] < first]
            cause = f"; the checkpoint of step {words.step(max(kept))} is from before it" if kept else ""
            change = changes.gentler_start(case, 0.1)
        text = f"The training loss was not a number at step {words.step(first)}{_of(count, len(losses))}{cause}."
        evidence = {"first_step": first, "reports": float(count)}
        return Advice("not-finite", "warning" if recovered else "error", text, change, evidence)
    if not skipped:
        return None
    share = len(skipped) / max(case.view.step, 1)
    severity: Severity = "error" if share > _SKIPPED_SHARE else "warning"
    many = "1 step was" if len(skipped) == 1 else f"{len(skipped):,} steps were"
    text = f"{many} skipped of {case.view.step:,}, the last at step {words.step(skipped[-1]['step'])}"
    reason = skipped[-1].get("reason")
    text += f" ({reason})." if isinstance(reason, str) and reason else "."
    return Advice(
        "not-finite", severity, text, changes.gentler_start(case, 0.1), {"skipped": float(len(skipped)), "share": share}
    )


def diverging(case: Case) -> Advice | None:
    """The training loss rises and stays up.

    In logarithms, so that errors are shares; medians of windows of a tenth of the reports (4 to 20), from 12 reports
    on. Both of the last two windows must lie above the lowest one before them by 25 %, by 0.05 nats, and by 6 standard
    errors: the lowest of many windows lies 2 to 3 errors low by chance, 6 leaves room for that, batches of harder rows
    move a loss by 10 to 20 %, and a single odd window is no divergence. The error counts 1 + 2 / sqrt(reports) times,
    because few reports leave the noise itself unsure. It is an error once all that was gained since the first window
    is lost.
    """
    known = case.train.losses > 0
    losses, steps = np.log(case.train.losses[known]), case.train.steps[known]
    if len(losses) < 12:
        return None
    width = min(20, max(4, len(losses) // 10))
    medians = window_medians(losses, width)
    best = int(np.argmin(medians[:-2]))
    error = median_error(max(noise(losses), noise(losses[-10 * width :])), width)
    error *= 1 + 2 / math.sqrt(len(losses))
    stays = float(medians[-2:].min()) - float(medians[best])
    lowest, last, first = (math.exp(float(m)) for m in (medians[best], medians[-1], np.median(losses[:width])))
    if stays < max(math.log1p(_RISE), _RISE_ERRORS * error) or math.expm1(stays) * lowest < _RISE_FLOOR:
        return None
    where = float(steps[len(losses) - (len(medians) - best - 1) * width - 1])
    lost = last >= first
    text = (
        f"The training loss has risen from {words.loss(lowest)} around step {words.step(where)} to {words.loss(last)}"
        + (f", no lower than at the start ({words.loss(first)})" if lost else "")
        + f": the run is diverging{_rate(case)}."
    )
    return Advice(
        "diverging",
        "error" if lost else "warning",
        text,
        changes.gentler_start(case, 0.1 if lost else 1 / 3),
        {"lowest": lowest, "last": last, "first": first, "error": error, "step": where},
    )


def rate_too_high(case: Case) -> Advice | None:
    """The loss jumps, or gradients grow while it no longer falls: the learning rate is too high.

    Jumps: in logarithms, so that they are shares. Of the last 100 reports, those count that lie above the median of
    the 15 before them by half of it and by 6 sigmas of the curve; 3 must do so. Losses of single small batches are
    about log-normal, where 6 sigmas hardly ever happen; one or two odd batches are data, three are the rate. The first
    15 reports never count, because they fall steeply and are noisier.

    Gradients: from 20 reports on, the median of the last tenth is 5 times that of the first quarter (adapters start at
    zero, so a factor of 2 or 3 is normal at the start), beyond 4 standard errors, while the last quarter's median loss
    is no more than 2 % below that of the quarter before it. Steps that only accumulate report no gradient and are left
    out.
    """
    return _jumps(case) or _growing_gradients(case)


def _jumps(case: Case) -> Advice | None:
    known = case.train.losses > 0
    losses, steps = np.log(case.train.losses[known]), case.train.steps[known]
    if len(losses) < 2 * _SPIKE_BEFORE:
        return None
    recent = losses[-(_SPIKE_WINDOW + _SPIKE_BEFORE) :]
    above = above_before(recent, _SPIKE_BEFORE)
    limit = max(_SPIKE, _SPIKE_SIGMAS * noise(recent))
    high = above > limit
    count = int(high.sum())
    if count < _SPIKES:
        return None
    where = float(steps[len(steps) - len(above) :][np.flatnonzero(high)[-1]])
    text = (
        f"The training loss jumped in {count} of the last {len(above)} reports, by up to "
        f"{words.percent(math.expm1(float(above.max())))} (last at step {words.step(where)}): "
        f"the learning rate is too high{_rate(case)}."
    )
    evidence = {"jumps": float(count), "largest": math.expm1(float(above.max())), "last_step": where}
    return Advice("learning-rate-too-high", "warning", text, changes.gentler_start(case, 1 / 3), evidence)


def _growing_gradients(case: Case) -> Advice | None:
    norms = case.reported("grad_norm")
    norms = np.log(norms[norms > 0])
    losses = case.train.losses
    if len(norms) < 20 or len(losses) < 20:
        return None
    quarter, tenth = len(norms) // 4, max(5, len(norms) // 10)
    early, late = float(np.median(norms[:quarter])), float(np.median(norms[-tenth:]))
    error = difference_error(noise(norms), quarter, tenth)
    if late - early < max(math.log(_NORM_GROWTH), 4 * error):
        return None
    part = len(losses) // 4
    before, now = float(np.median(losses[-2 * part : -part])), float(np.median(losses[-part:]))
    if now < 0.98 * before:
        return None
    text = (
        f"The gradient has grown from a length of {math.exp(early):.2g} to {math.exp(late):.2g} while the training "
        f"loss no longer falls ({words.loss(before)}, then {words.loss(now)}): the learning rate is too high"
        f"{_rate(case)}."
    )
    evidence = {"early_norm": math.exp(early), "late_norm": math.exp(late), "loss_before": before, "loss_now": now}
    return Advice("learning-rate-too-high", "warning", text, changes.other_rate(case, 1 / 3), evidence)


def not_falling(case: Case) -> Advice | None:
    """The training loss has hardly moved since the start.

    Looked at from 8 reports after the warm-up on, and from half of the run on (from 50 reports on when its length is
    unknown): what has not begun by then will not. The medians of the first and the last quarter must differ by less
    than 3 % with one standard error added, and that error must be below 5 %, so a curve too noisy to tell stays
    unnamed. A run that fell before and now is level has converged and is left alone: that is so when the first report
    lies 4 sigmas above the last quarter, the median of the first three does by 3 of its errors, or the validation loss
    has fallen by 3 %. Below 0.1 nats per token there is nothing left to learn.
    """
    curve = case.train.after(case.warmup_steps + 1)
    losses = curve.losses
    enough = 2 * case.view.step >= case.view.steps if case.view.steps else len(losses) >= 50
    if len(losses) < 8 or not enough:
        return None
    quarter = len(losses) // 4
    first, last = float(np.median(losses[:quarter])), float(np.median(losses[-quarter:]))
    sigma = spread(losses)
    error = difference_error(sigma, quarter, quarter)
    head = case.train.losses[:3]
    fell_before = (
        head[0] - last > max(4 * sigma, _FALL * last)
        or float(np.median(head)) - last > max(3 * median_error(sigma, 3), _FALL * last)
        or _validation_fell(case)
    )
    if last < _LEARNED or fell_before or error > _TOO_NOISY * first or first - last + error >= _FALL * first:
        return None
    text = (
        f"The training loss has hardly moved: {words.loss(first)} in the first quarter of {len(losses)} reports, "
        f"{words.loss(last)} in the last{_rate(case)}."
    )
    return Advice(
        "not-falling",
        "warning",
        text,
        _bolder(case),
        {"first": first, "last": last, "error": error, "reports": float(len(losses))},
    )


def _validation_fell(case: Case) -> bool:
    losses = case.validation.losses
    return len(losses) > 1 and float(losses[1:].min()) < (1 - _FALL) * float(losses[0])


def _bolder(case: Case) -> dict[str, Any]:
    """Three times the learning rate, up to what adapters (1e-3) and whole weights (1e-4) usually bear."""
    rate = case.learning_rate
    if rate is None:
        return {}
    full = case.experiment is not None and case.experiment.adapter.method == "full"
    ceiling = 1e-4 if full else 1e-3
    return changes.other_rate(case, min(3.0, ceiling / rate)) if rate < ceiling else {}


def _rate(case: Case) -> str:
    return "" if case.learning_rate is None else f", with a learning rate of {words.rate(case.learning_rate)}"


def _of(count: int, total: int) -> str:
    return "" if count == 1 else f" and in {count:,} of {total:,} reports"
