"""What the rates and the memory tell: padding, a machine that slows down, memory that runs out."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tui_tuner import units
from tui_tuner.runs.columns import number

from . import changes, words
from .case import Advice, Case, Severity
from .robust import difference_error, noise

_PADDING: Final = 0.35
_MUCH_PADDING: Final = 0.5
_PADDING_REPORTS: Final = 50
_WORTH_SAVING: Final = 0.1
_SLOW: Final = 0.6
_SWAP: Final = 256 * 1024 * 1024  # bytes
_NEAR: Final = 0.9
_AT: Final = 0.98


def padding(case: Case) -> Advice | None:
    """A large share of the computed tokens is padding.

    The median of the last 50 reports (5 at least, as each tells of one batch). 35 % is what mlx-lm's order was measured
    to waste where batches of equal lengths waste 9 %: below it there is little to gain. From 50 % on, half of the time
    is lost, and it is a warning.

    In stock mode the fast mode is what helps: the plan tells how much padding its batches of the same rows would have,
    and it is only named where that saves 10 % of the computed tokens, which is more than the warmth of a machine does.
    In fast mode rows of a batch are of like length already, so only smaller batches are left. A batch of one row has
    no other row to be padded to: there it is not named, unless the stock mode's rounding (to a multiple of 32 tokens)
    is what wastes.
    """
    shares = case.reported("padding_fraction")[-_PADDING_REPORTS:]
    if len(shares) < 5:
        return None
    share = float(np.median(shares))
    if share < _PADDING:
        return None
    severity: Severity = "warning" if share >= _MUCH_PADDING else "info"
    text = f"{words.percent(share)} of the tokens computed are padding"
    evidence = {"padding_fraction": share}
    if case.experiment is None:
        text += ", because short rows share batches with long ones: batches of rows of like length waste less."
        return Advice("padding", severity, text, {}, evidence)
    train = case.experiment.train
    if train.mode == "fast":
        if train.batch_size == 1:
            return None
        text += " though rows of like length share batches: smaller batches with more accumulation waste less."
        return Advice("padding", severity, text, changes.smaller_batch(case), evidence)
    planned = _planned_padding(case)
    if planned is None:
        if train.batch_size == 1:
            return None
        text += ", because short rows share batches with long ones: the fast mode batches rows of like length."
        return Advice("padding", severity, text, {"train.mode": "fast"}, evidence)
    stock, fast = planned
    saved = 1 - (1 - stock) / (1 - fast)
    if saved < _WORTH_SAVING:
        return None
    text += (
        f". The fast mode batches rows of like length: with these rows it would have {words.percent(fast)} padding and "
        f"compute {words.percent(saved)} fewer tokens."
    )
    evidence.update(fast_padding_fraction=fast, saved=saved)
    return Advice("padding", severity, text, {"train.mode": "fast"}, evidence)


def _planned_padding(case: Case) -> tuple[float, float] | None:
    """The shares of padding in mlx-lm's batches and in the fast mode's by the run's plan; None where it has none."""
    plan = case.view.plan or {}
    stock, fast = number(plan.get("stock_padding_fraction")), number(plan.get("fast_padding_fraction"))
    if stock is None or fast is None or not (0 <= stock < 1 and 0 <= fast < 1):
        return None
    return stock, fast


def slowed_down(case: Case) -> Advice | None:
    """The run has become slower than it was itself.

    From 12 reports on: the median tokens per second of the last 8 (a quarter of the reports if that is fewer, 3 at
    least) is below 0.6 of the median of all before them, leaving out the first two, which compile. A machine that is
    merely warm loses 10 to 25 %; 40 % is throttling, swapping, or another program. It must also lie 4 standard errors
    of the (logarithmic) rates away, as batches of varied lengths make rates vary. The swap tells which it is: growth by
    256 MiB is more than a system does in passing.
    """
    rates = case.reported("tokens_per_second")[2:]
    rates = np.log(rates[rates > 0])
    if len(rates) < 10:
        return None
    recent = max(3, min(8, len(rates) // 4))
    before, now = float(np.median(rates[:-recent])), float(np.median(rates[-recent:]))
    error = difference_error(noise(rates), len(rates) - recent, recent)
    if now - before > min(math.log(_SLOW), -4 * error):
        return None
    text = (
        f"Training has slowed down from {math.exp(before):,.0f} to {math.exp(now):,.0f} tokens per second "
        f"({words.percent(1 - math.exp(now - before))} less)"
    )
    evidence = {"before": math.exp(before), "now": math.exp(now)}
    growth = case.machine.swap_growth if case.machine is not None else None
    if growth is not None:
        evidence["swap_growth"] = float(growth)
    if growth is not None and growth >= _SWAP:
        text += f", and {units.size(growth)} went to swap since it began: memory is short."
        return Advice("slowed-down", "warning", text, changes.less_memory(case), evidence)
    text += ": the machine may be too hot or on battery, or another program is taking its share"
    text += "." if growth is not None else ", or memory is being swapped."
    return Advice("slowed-down", "warning", text, {}, evidence)


def memory_near_limit(case: Case) -> Advice | None:
    """The most memory in use so far comes near what the machine can give.

    From 90 % on a warning: the longest batch may still be to come, and forecasts are off by up to that. From 98 % on
    an error: on Metal running out can end the process at once. Unknown limits are not judged.
    """
    peaks = case.reported("peak_memory")
    if case.machine is None or case.machine.memory_limit <= 0 or not len(peaks):
        return None
    peak, limit = float(peaks.max()), float(case.machine.memory_limit)
    share = peak / limit
    if share < _NEAR:
        return None
    text = (
        f"Training has used up to {units.size(peak)} of the {units.size(limit)} that the machine can give "
        f"({words.percent(share)}): a longer batch may run out of memory."
    )
    severity: Severity = "error" if share >= _AT else "warning"
    return Advice(
        "memory", severity, text, changes.less_memory(case), {"peak_memory": peak, "limit": limit, "share": share}
    )
