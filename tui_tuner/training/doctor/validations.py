"""What the validation losses tell, beside the training losses: overfitting, and validations that tell nothing."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from . import changes, words
from .case import Advice, Case, Severity
from .robust import difference_error, median_error, noise

_RISE: Final = 0.05
_RISE_OF_SAMPLES: Final = 0.10
_RISE_FLOOR: Final = 0.01  # nats per token
_RISE_SIGMAS: Final = 3.0
_TRAIN_FALL: Final = 0.02
_GAP: Final = 0.5
_FEW_TOKENS: Final = 400
_ENOUGH_TOKENS: Final = 2_500
_SAME: Final = 1e-6
_BELOW: Final = 0.7
_BELOW_FLOOR: Final = 0.05  # nats per token


def overfitting(case: Case) -> Advice | None:
    """Validation has risen from its minimum while the training loss goes on falling.

    The lowest of the last (up to three) validations after the minimum must lie above it by 5 % of it and by 0.01 nats:
    with all rows counted each time, the same weights give the same loss, and neighbouring checkpoints of a healthy run
    differ by 1 to 2 %. Where only some batches are validated (train.eval_batches), 10 %, as samples of the same
    weights differ by up to that. From 6 validations on, it must also exceed 3 sigmas of their own noise.

    The training loss must meanwhile have fallen by 2 % and by 2 standard errors, comparing medians of the first and
    the last third of the reports since the minimum (first and last one when there are fewer than six); or, without
    rising, have come below half of the best validation loss, which is what rows known by heart look like.

    It is an error once half of what validation had gained is lost again.
    """
    steps, losses = case.validation.steps, case.validation.losses
    if len(losses) < 2:
        return None
    best = int(np.argmin(losses))
    later = losses[best + 1 :]
    if not len(later):
        return None
    lowest, last, first = float(losses[best]), float(losses[-1]), float(losses[0])
    rise = float(later[-3:].min()) - lowest
    # The steep fall at the start is no noise: it is left out.
    sigma = noise(losses[1:]) if len(losses) >= 6 else 0.0
    share = _RISE_OF_SAMPLES if _sampled(case) else _RISE
    if rise < max(share * lowest, _RISE_FLOOR, _RISE_SIGMAS * sigma):
        return None
    fall = _training_fell(case, float(steps[best]), lowest)
    if fall is None:
        return None
    gained = first - lowest
    severity: Severity = "error" if best > 0 and last - lowest >= 0.5 * gained else "warning"
    text = (
        f"Validation loss has risen from {words.loss(lowest)} at step {words.step(steps[best])} to {words.loss(last)} "
        f"at step {words.step(steps[-1])} while training loss went from {words.loss(fall[0])} to "
        f"{words.loss(fall[1])}: the model learns the rows by heart. {_what_to_keep(case, float(steps[best]))}"
    )
    evidence = {
        "best_step": float(steps[best]),
        "best": lowest,
        "last_step": float(steps[-1]),
        "last": last,
        "rise": rise,
        "noise": sigma,
        "train_before": fall[0],
        "train_now": fall[1],
    }
    return Advice("overfitting", severity, text, _shorter(case, best), evidence)


def _sampled(case: Case) -> bool:
    return case.experiment is not None and case.experiment.train.eval_batches > 0


def _training_fell(case: Case, best_step: float, best: float) -> tuple[float, float] | None:
    """The training loss at the best validation and now, if it fell in between or is very low; else None."""
    start = max(0, int(np.searchsorted(case.train.steps, best_step + 1, side="right")) - 1)
    since = case.train.losses[start:]
    if len(since) < 2:
        return None
    sigma = noise(case.train.losses[-max(len(since), 10) :])
    part = len(since) // 3 if len(since) >= 6 else 1
    before, now = float(np.median(since[:part])), float(np.median(since[-part:]))
    error = difference_error(sigma, part, part)
    if before - now >= max(_TRAIN_FALL * before, 2 * error):
        return before, now
    by_heart = now <= _GAP * best and now - before <= max(_TRAIN_FALL * before, 2 * error)
    return (before, now) if by_heart else None


def _what_to_keep(case: Case, best_step: float) -> str:
    if best_step <= 0:
        return "It was lowest before training: a lower learning rate may help, or more rows like those of validation."
    saved = [int(c["step"]) for c in case.view.checkpoints if abs(c["step"] - best_step) <= 1]
    if saved:
        return f"Use the checkpoint of step {words.step(saved[-1])}, or stop another run there."
    return f"Stop another run at step {words.step(best_step)}, or validate and save more often to catch the minimum."


def _shorter(case: Case, best: int) -> dict[str, Any]:
    """Stop at the best step, and look often enough around it; from the untrained model on, train more gently."""
    best_step = int(case.validation.steps[best])
    if best_step <= 0:
        return changes.other_rate(case, 1 / 3)
    change = changes.stop_at(case, best_step)
    if case.experiment is not None:
        change["train.eval_every"] = max(1, min(case.experiment.train.eval_every, best_step // 4))
        change["train.save_every"] = max(1, min(case.experiment.train.save_every, best_step))
    return change


def not_a_number(case: Case) -> Advice | None:
    """A validation loss was not finite though the training losses were.

    No threshold: one validation row without a single token to learn (its prompt fills max_seq_length) makes the whole
    loss NaN, every time.
    """
    losses, steps = case.view.validation.column("loss"), case.view.validation.column("step")
    bad = ~np.isfinite(losses)
    if not bad.any() or not np.isfinite(case.view.train.column("loss")).all():
        return None
    text = (
        f"The validation loss was not a number at step {words.step(steps[int(np.argmax(bad))])} though training went "
        "well: a validation row has nothing to learn, most likely because its prompt fills train.max_seq_length."
    )
    change = {"train.max_seq_length": 2 * case.experiment.train.max_seq_length} if case.experiment else {}
    return Advice("validation-not-finite", "warning", text, change, {"validations": float(bad.sum())})


def constant(case: Case) -> Advice | None:
    """Three or more validations in a row, at different steps, gave the same loss to one part in a million.

    Any update of the weights changes a loss by more than that, so nothing that validation sees was trained. Two equal
    values may be one measurement told twice, hence three.
    """
    losses = case.validation.losses
    if len(losses) < 3:
        return None
    last = losses[-3:]
    if float(np.ptp(last)) > _SAME * abs(float(last[-1])):
        return None
    text = (
        f"The last three validations gave the same loss, {words.loss(float(last[-1]))}, up to step "
        f"{words.step(float(case.validation.steps[-1]))}: training changes nothing that validation sees. "
        "Check adapter.targets and the learning rate."
    )
    return Advice("validation-constant", "warning", text, _unfrozen(case), {"loss": float(last[-1])})


def _unfrozen(case: Case) -> dict[str, Any]:
    return {"adapter.targets": [], "adapter.layers": 0} if case.experiment is not None else {}


def too_small(case: Case) -> Advice | None:
    """Fewer than 400 validation tokens, and checkpoints that differ by less than such a set can tell.

    The loss of single tokens spreads about as widely as their mean, so the mean over n tokens has a standard error of
    about 1 / sqrt(n) of itself: 5 % at 400 tokens, which is what overfitting is judged by. It is said only when all
    validations after the first (three at least, two of them trained) lie within one such error of each other: on the
    same rows two checkpoints err alike, so their difference is surer than either (twice as sure, where nine tenths of
    the error are shared), and more than that is real even on few tokens. 2,500 tokens bring the error to 2 %.
    """
    curve, tokens = case.validation, case.view.validation.last("tokens")
    if len(curve) < 3 or not 0 < tokens < _FEW_TOKENS:
        return None
    trained = curve.losses[1:]
    spread, level = float(np.ptp(trained)), float(np.median(trained))
    error = level / math.sqrt(tokens)
    if spread > error:
        return None
    text = (
        f"The validation set has only {tokens:,.0f} tokens, so its loss is sure to about ±{words.loss(2 * error)}; "
        f"the last {len(trained)} validations differ by {words.loss(spread)}, which may be chance."
    )
    change: dict[str, Any] = {}
    if case.experiment is not None and case.experiment.data.valid > 0:
        change["data.valid"] = math.ceil(case.experiment.data.valid * _ENOUGH_TOKENS / tokens)
    evidence = {"tokens": tokens, "spread": spread, "error": error}
    return Advice("validation-too-small", "info", text, change, evidence)


def below_training(case: Case) -> Advice | None:
    """Validation is far easier than training, again and again.

    The last three validations of trained weights must each lie below 0.7 of the median of the (up to five) training
    reports that follow, by 0.05 nats, and by 3 standard errors of that median (so there must be 8 reports, for a noise
    to be known). The reports after it are of better weights, so the lag of a report cannot make
    the difference; dropout, which only training suffers, raises its loss by 5 to 15 %. What is left is rows of the
    training set among those of validation, or rows of another, easier kind.
    """
    if len(case.train) < 8 or float(case.train.losses.min()) <= 0:
        return None
    sigma = noise(np.log(case.train.losses))
    pairs: list[tuple[float, float]] = []
    for step, validation in zip(case.validation.steps[::-1], case.validation.losses[::-1], strict=True):
        after = case.train.after(float(step) + 1).losses[:5]
        if not len(after):
            continue
        training = float(np.median(after))
        limit = training * min(_BELOW, math.exp(-3 * median_error(sigma, len(after))))
        if step <= 0 or validation > limit or training - validation < _BELOW_FLOOR:
            return None
        pairs.append((float(validation), training))
        if len(pairs) == 3:
            break
    if len(pairs) < 3:
        return None
    validation, training = pairs[0]
    text = (
        f"Validation loss ({words.loss(validation)}) is {words.percent(1 - validation / training)} below training loss "
        f"({words.loss(training)}), as it was before: validation rows may also be in the training set, or be of an "
        "easier kind."
    )
    return Advice("validation-below-training", "info", text, {}, {"validation": validation, "train": training})
