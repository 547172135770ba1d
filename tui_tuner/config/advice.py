"""What an experienced person would say of an experiment before it is started, with the change that they would make.

Each rule is a pure function of the configuration and of what is known of model and data, and says nothing where what it
needs is not known. It must never repeat what is an error elsewhere, and rather stay silent than cry wolf: a preset that
comes with the project gets no warning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tui_tuner.config.describe import in_toml
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import with_overrides
from tui_tuner.errors import TunerError

SMALL = 100_000_000
"""Below so many parameters a model is small: it bears, and needs, ten times the learning rate."""


@dataclass(frozen=True)
class Known:
    """What is known of model and data; None and 0 for what is not.

    Attributes:
        parameters: of the model.
        layers: of the model.
        per_rank: trainable numbers that each unit of rank brings, over all adapted modules and layers.
        train, valid: rows of the splits.
        tokens: tokens that the loss looks at in one epoch.
        longest: the longest row in tokens.
        steps_per_epoch: iterations that go once through the training rows.
        texts: whether the rows are whole texts, without a prompt to be masked.
    """

    parameters: int | None = None
    layers: int | None = None
    per_rank: int | None = None
    train: int | None = None
    valid: int | None = None
    tokens: int | None = None
    longest: int | None = None
    steps_per_epoch: int | None = None
    texts: bool = False


@dataclass(frozen=True)
class Hint:
    """One thing to think over before the start.

    Attributes:
        code: stable name of the rule.
        severity: "warning" costs quality or time; "info" may be ignored.
        text: one or two sentences.
        change: keys and their new values; empty where it is the person's choice.
    """

    code: str
    severity: Literal["warning", "info"]
    text: str
    change: Mapping[str, Any] = field(default_factory=dict)

    @property
    def overrides(self) -> list[str]:
        """The change as `key=value` texts."""
        return [f"{key}={in_toml(value)}" for key, value in self.change.items()]

    @property
    def fix(self) -> str:
        """The change as a person would say it."""
        return f"set {' and '.join(self.overrides)}" if self.change else ""


_Rule = Callable[[Experiment, Known], Hint | None]


def advise(experiment: Experiment, known: Known | None = None) -> list[Hint]:
    """What there is to say of an experiment, warnings first."""
    facts = known or Known()
    hints = [_possible(hint, experiment) for rule in RULES if (hint := rule(experiment, facts)) is not None]
    return sorted(hints, key=lambda hint: hint.severity != "warning")


def _possible(hint: Hint, experiment: Experiment) -> Hint:
    """The hint, without its change when the experiment would not accept it."""
    if hint.change:
        try:
            with_overrides(experiment, hint.overrides)
        except TunerError:
            return replace(hint, change={})
    return hint


def iterations(experiment: Experiment, known: Known) -> int | None:
    """How many iterations the run takes; None where that depends on rows that are not known."""
    train = experiment.train
    if train.epochs and not known.steps_per_epoch:
        return None
    return train.iterations(known.steps_per_epoch or 1)


def _epochs(experiment: Experiment, known: Known) -> float | None:
    if experiment.train.epochs:
        return experiment.train.epochs
    return experiment.train.iters / known.steps_per_epoch if known.steps_per_epoch else None


# -- learning rate and rank -------------------------------------------------------------------------------------------

_HIGHEST = {"lora": 5e-4, "dora": 5e-4, "full": 5e-5}
_LOWEST = {"lora": 2e-6, "dora": 2e-6, "full": 2e-7}
_USUAL = {"lora": 1e-4, "dora": 1e-4, "full": 1e-5}


def rate_for_method(experiment: Experiment, known: Known) -> Hint | None:
    """A learning rate far from what the method usually takes.

    QLoRA trained 7 to 65 billion parameters with 1e-4 to 2e-4 (Dettmers et al. 2023), full fine-tuning takes about a
    tenth (Schulman et al., "LoRA without regret", 2025). Small models bear more; "sgd" and "muon" have other scales.
    """
    train, method = experiment.train, experiment.adapter.method
    if train.optimizer in ("sgd", "muon") or known.parameters is None:
        return None
    factor = 10.0 if known.parameters < SMALL else 1.0
    high, low, usual = (table[method] * factor for table in (_HIGHEST, _LOWEST, _USUAL))
    what = "full fine-tuning" if method == "full" else "an adapter"
    if train.learning_rate > high:
        text = (
            f"a learning rate of {train.learning_rate:g} is high for {what} on a model of this size: the loss may jump"
        )
    elif train.learning_rate < low:
        text = f"a learning rate of {train.learning_rate:g} is so low for {what} that little will be learned"
    else:
        return None
    return Hint("rate-for-method", "warning", text, {"train.learning_rate": usual})


def rank_for_data(experiment: Experiment, known: Known) -> Hint | None:
    """A rank with far more room than the data has to tell.

    Text holds about one bit a token that can be learned, and an adapter stores about two bits a number (Schulman et al.
    2025; Allen-Zhu & Li 2024). Said when an eighth of the rank would hold it all.
    """
    rank = experiment.adapter.rank
    if experiment.adapter.method == "full" or rank < 32 or not known.per_rank or not known.tokens:
        return None
    enough = max(8, math.ceil(known.tokens / (2 * known.per_rank)))
    if rank < 8 * enough:
        return None
    text = (
        f"rank {rank} has room for {2 * known.per_rank * rank:,} bits, and the answers hold about {known.tokens:,}: "
        f"it learns them by heart sooner, and rank {enough} would hold them"
    )
    change: dict[str, Any] = {"adapter.rank": enough}
    if experiment.adapter.alpha:  # the factor shall stay what it is
        divisor = math.sqrt(enough) if experiment.adapter.rslora else enough
        change["adapter.alpha"] = float(f"{experiment.adapter.effective_scale * divisor:.6g}")
    return Hint("rank-for-data", "info", text, change)


def layers_of_model(experiment: Experiment, known: Known) -> Hint | None:
    """More layers are asked for than the model has."""
    asked = experiment.adapter.layers
    if not known.layers or asked <= known.layers:
        return None
    text = f"adapter.layers is {asked}, and the model has {known.layers}; 0 trains all of them"
    return Hint("layers-of-model", "warning", text, {"adapter.layers": 0})


# -- length of the run ------------------------------------------------------------------------------------------------


def too_many_epochs(experiment: Experiment, known: Known) -> Hint | None:
    """Rows are gone through so often that they are learned by heart; which is what facts are for."""
    epochs = _epochs(experiment, known)
    if epochs is None or experiment.data.split == "facts" or known.train is None:
        return None
    most = 20.0 if known.train < 100 else 10.0 if known.train < 1000 else 5.0
    if epochs <= most:
        return None
    text = (
        f"the run goes {epochs:.3g} times through {known.train:,} rows; past {most:g} times they are learned by heart, "
        "and answers to new ones get worse"
    )
    if experiment.train.patience:
        return None  # it ends by itself when validation turns
    change = {"train.epochs": 3.0} if experiment.train.epochs else {"train.iters": 3 * (known.steps_per_epoch or 1)}
    return Hint("too-many-epochs", "warning", text, change)


def too_few_epochs(experiment: Experiment, known: Known) -> Hint | None:
    """Rows that are never seen, or facts that are told too seldom to stay."""
    epochs = _epochs(experiment, known)
    if epochs is None or not known.steps_per_epoch:
        return None
    if experiment.data.split == "facts":
        if epochs >= 5:
            return None
        text = f"each fact is told {epochs:.2g} times in each wording; facts take ten and more to be remembered"
        return Hint("too-few-epochs", "warning", text, {"train.epochs": 15.0})
    if epochs >= 0.9:
        return None
    text = f"the run sees {epochs:.0%} of the training rows; one epoch takes {known.steps_per_epoch:,} iterations"
    return Hint("too-few-epochs", "info", text, {"train.epochs": 1.0})


def warmup_of_run(experiment: Experiment, known: Known) -> Hint | None:
    """A warm-up that takes a large part of the run."""
    steps = iterations(experiment, known)
    if not steps or not experiment.train.warmup:
        return None
    updates = max(steps // experiment.train.grad_accumulation, 1)
    share = experiment.train.warmup / updates
    if share <= 0.3:
        return None
    text = f"the warm-up takes {share:.0%} of the run, so the full learning rate is hardly used"
    return Hint("warmup-of-run", "warning", text, {"train.warmup": max(updates // 20, 1)})


# -- rows -------------------------------------------------------------------------------------------------------------


def masking_texts(experiment: Experiment, known: Known) -> Hint | None:
    """The prompt shall be masked, and whole texts have none."""
    if not experiment.data.mask_prompt or not (known.texts or experiment.data.shape == "text"):
        return None
    text = "data.mask_prompt is on, and rows of whole texts have no prompt that could be masked"
    return Hint("masking-texts", "warning", text, {"data.mask_prompt": False})


def batch_of_rows(experiment: Experiment, known: Known) -> Hint | None:
    """A batch that takes all there is, so that every step is the same."""
    size = experiment.train.batch_size * experiment.train.grad_accumulation
    if not known.train or known.train < 2 or size <= known.train / 4 or size == 1:
        return None
    text = f"each update takes {size} of {known.train:,} rows; with so few updates an epoch little is learned"
    fewer = max(known.train // 16, 1)
    change = {"train.batch_size": min(experiment.train.batch_size, fewer)}
    if experiment.train.grad_accumulation > 1:
        change["train.grad_accumulation"] = 1
    return Hint("batch-of-rows", "info", text, change)


def length_of_rows(experiment: Experiment, known: Known) -> Hint | None:
    """The limit of length cuts rows at their answer."""
    limit = experiment.train.max_seq_length
    if not known.longest or known.longest <= 4 * limit:
        return None
    text = f"the longest row has {known.longest:,} tokens, and what is above {limit:,} is cut off, the answer first"
    return Hint("length-of-rows", "info", text)


# -- looking at it ----------------------------------------------------------------------------------------------------

_FORWARD = 0.35
"""What a validation batch costs of a training batch: the forward pass, about a third."""


def validation_seldom(experiment: Experiment, known: Known) -> Hint | None:
    """Too few validations to see the loss turn."""
    steps, train = iterations(experiment, known), experiment.train
    if steps is None or steps < 60 or steps / train.eval_every >= 3:
        return None
    often = steps / train.eval_every
    times = "only before and after the run" if often < 1 else f"{math.floor(often)} times while it trains"
    text = f"validation is measured {times}: where it turns cannot be seen, and the best checkpoint is one of few"
    return Hint("validation-seldom", "info", text, {"train.eval_every": _round(steps / 8)})


def validation_dear(experiment: Experiment, known: Known) -> Hint | None:
    """Validation takes a large part of the time."""
    train = experiment.train
    if not known.valid:
        return None
    batches = math.ceil(known.valid / train.batch_size)
    if train.eval_batches > 0:
        batches = min(batches, train.eval_batches)
    cost = batches * _FORWARD
    share = cost / (cost + train.eval_every)
    if share <= 0.3:
        return None
    text = (
        f"about {share:.0%} of the time goes into validation: {batches:,} batches every {train.eval_every} iterations"
    )
    return Hint("validation-dear", "warning", text, {"train.eval_every": _round(4 * cost, up=True)})


def patience_of_run(experiment: Experiment, known: Known) -> Hint | None:
    """A patience that can never run out."""
    steps, train = iterations(experiment, known), experiment.train
    if not train.patience or steps is None or train.patience * train.eval_every < steps:
        return None
    text = f"a patience of {train.patience} validations never runs out: the run has {steps // train.eval_every} of them"
    return Hint("patience-of-run", "info", text, {"train.eval_every": _round(steps / (4 * train.patience))})


def saving_seldom(experiment: Experiment, known: Known) -> Hint | None:
    """No checkpoint before the end, so that a crash costs everything."""
    steps, train = iterations(experiment, known), experiment.train
    if steps is None or steps < 200 or train.save_every < steps:
        return None
    text = f"the first checkpoint comes at the end, after {steps:,} iterations: a crash would cost all of them"
    return Hint("saving-seldom", "warning", text, {"train.save_every": _round(steps / 10)})


def _round(value: float, *, up: bool = False) -> int:
    """The next handy number below a value, or above it: 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(max(value, 1)))
    steps = [int(step * power) for step in (1, 2, 5, 10)]
    return next(step for step in steps if step >= value) if up else max(step for step in steps if step <= max(value, 1))


RULES: Sequence[_Rule] = (
    rate_for_method,
    layers_of_model,
    masking_texts,
    too_many_epochs,
    too_few_epochs,
    warmup_of_run,
    validation_dear,
    saving_seldom,
    rank_for_data,
    batch_of_rows,
    length_of_rows,
    validation_seldom,
    patience_of_run,
)
CODES = (
    "rate-for-method",
    "layers-of-model",
    "masking-texts",
    "too-many-epochs",
    "too-few-epochs",
    "warmup-of-run",
    "validation-dear",
    "saving-seldom",
    "rank-for-data",
    "batch-of-rows",
    "length-of-rows",
    "validation-seldom",
    "patience-of-run",
)
"""Every code, in the order of the rules."""
