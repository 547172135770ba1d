"""What a value of the experiment works out to in this model, on these rows; and which values do not go with them.

Pure functions to sentences. Each says only what follows from what is known, and nothing where nothing follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tui_tuner.config.model import Experiment
from tui_tuner.errors import TunerError
from tui_tuner.models.targets import resolve
from tui_tuner.ui.format import count, number, rate, size
from tui_tuner.ui.widgets.config_facts import Facts, Trained, trained

_RATES = {"lora": (1e-5, 2e-4), "dora": (1e-5, 2e-4), "full": (1e-6, 2e-5)}
"""Usual learning rates by method, as the key's help has them."""
_UNUSED_BY_FULL = ("rank", "scale", "alpha", "rslora", "dropout", "targets")


def means(key: str, experiment: Experiment, facts: Facts) -> str:
    """What a key's value works out to, as sentences; empty when there is nothing to work out."""
    section, _, name = key.partition(".")
    if section == "adapter" and name in _UNUSED_BY_FULL and experiment.adapter.method == "full":
        return 'Not used: the method is "full".'
    found = _MEANINGS.get(key)
    return found(experiment, facts) if found is not None else ""


def wrongs(experiment: Experiment, facts: Facts) -> dict[str, str]:
    """Keys whose values this model cannot have, with a sentence for each."""
    out: dict[str, str] = {}
    model, adapter, train = facts.model, experiment.adapter, experiment.train
    if facts.problem:
        out["model.path"] = facts.problem
    if model is None:
        return out
    if model.layers and adapter.layers > model.layers:
        out["adapter.layers"] = f"The model has {model.layers} layers; 0 trains all of them."
    beyond = [layer for layer in adapter.layer_numbers if model.layers and layer >= model.layers]
    if beyond:
        out["adapter.layer_numbers"] = f"There is no layer {beyond[0]}: the model has layers 0 to {model.layers - 1}."
    if model.modules and adapter.method != "full":
        try:
            resolve([path for path, _ in model.modules], adapter.targets)
        except TunerError as error:
            out["adapter.targets"] = _sentence(f"{error.message}; {error.fix}")
    if model.quantization != "none" and adapter.method == "full":
        out["adapter.method"] = 'The model is quantized, so "full" has nothing to train; take "lora" or "dora".'
    if model.context and train.max_seq_length > model.context and facts.lengths.get("max", 0) > model.context:
        out["train.max_seq_length"] = f"The model was made for {count(model.context)} tokens at most."
    return out


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?")) else f"{text}."


# -- adapter ----------------------------------------------------------------------------------------------------------


def _trained(experiment: Experiment, facts: Facts) -> Trained | None:
    return trained(experiment.adapter, facts.model) if facts.model is not None else None


def _size_of(experiment: Experiment, facts: Facts) -> str:
    found = _trained(experiment, facts)
    if found is None or facts.model is None:
        return ""
    share = 100 * found.parameters / facts.model.parameters if facts.model.parameters else 0.0
    what = "weights train" if experiment.adapter.method == "full" else "trainable parameters"
    part = f" ({number(share, 3)} % of the model's)" if share else ""
    return f"{count(found.parameters)} {what}{part}, {size(found.bytes)} as a file."


def _rank(experiment: Experiment, facts: Facts) -> str:
    said = _size_of(experiment, facts)
    found = _trained(experiment, facts)
    if found is None:
        return said
    return f"{said} Each unit of rank brings {count(found.parameters // experiment.adapter.rank)}."


def _scale(experiment: Experiment, facts: Facts) -> str:
    adapter = experiment.adapter
    if adapter.alpha:
        return f"Not used: alpha {adapter.alpha:g} decides, which is scale {adapter.effective_scale:g}."
    return f"Elsewhere this is alpha {adapter.scale * adapter.rank:g} at rank {adapter.rank}."


def _alpha(experiment: Experiment, facts: Facts) -> str:
    adapter = experiment.adapter
    if not adapter.alpha:
        return f"Scale decides: {adapter.scale:g} is alpha {adapter.scale * adapter.rank:g} at rank {adapter.rank}."
    root = "√" if adapter.rslora else ""
    return f"{adapter.alpha:g} / {root}{adapter.rank}: the update is multiplied by {adapter.effective_scale:g}."


def _layers(experiment: Experiment, facts: Facts) -> str:
    adapter = experiment.adapter
    if adapter.layer_numbers:
        return f"Not used: layer_numbers names {len(adapter.layer_numbers)} layers."
    of = facts.model.layers if facts.model is not None else 0
    if not adapter.layers:
        return f"All {of} layers are trained." if of else "All layers are trained."
    if adapter.layers > of > 0:
        return ""
    which = f" of {of}: numbers {of - adapter.layers} to {of - 1}" if of else " are trained"
    return f"The last {adapter.layers} layers{which}."


def _targets(experiment: Experiment, facts: Facts) -> str:
    adapter = experiment.adapter
    found = _trained(experiment, facts)
    if found is None:
        return "" if adapter.targets else "Every linear module of those layers gets an adapter."
    modules = found.targets.modules
    notes = "".join(f" {_sentence(note)}" for note in found.targets.notes)
    return f"{len(modules)} in each of {len(found.layers)} layers: {', '.join(modules)}.{notes}"


def _bits(experiment: Experiment, facts: Facts) -> str:
    model, bits = facts.model, experiment.model.bits
    if model is None or not model.parameters:
        return ""
    now = f"{size(model.bytes)} ({model.quantization})" if model.quantization != "none" else size(model.bytes)
    if not bits:
        return f"The weights take {now}, as they are."
    # A scale and an offset of 16 bits for each group of 64.
    return f"The weights take about {size(model.parameters * (bits + 0.5) / 8)} instead of {now}."


# -- training ---------------------------------------------------------------------------------------------------------


def _batch(experiment: Experiment, facts: Facts) -> str:
    train = experiment.train
    rows = train.batch_size * train.grad_accumulation
    most = min(train.max_seq_length, facts.lengths.get("max", train.max_seq_length))
    typical = facts.lengths.get("median")
    about = f", about {count(rows * typical)}" if typical else ""
    each = f"Each update sees {rows} row{'s' if rows != 1 else ''}{about} and at most {count(rows * most)} tokens."
    steps = facts.iterations(experiment)
    if steps is None:
        return each
    return f"{each} {_seen(steps, experiment, facts)}"


def _seen(steps: int, experiment: Experiment, facts: Facts) -> str:
    batch = experiment.train.batch_size
    total = steps * batch
    rows = facts.rows
    epochs = f", {total / rows:.1f} times the {count(rows)} training rows" if rows else ""
    return f"{count(steps)} iterations of {batch} rows see {count(total)} rows{epochs}."


def _iters(experiment: Experiment, facts: Facts) -> str:
    train, epoch = experiment.train, facts.epoch(experiment)
    if train.epochs:
        steps = facts.iterations(experiment)
        makes = f", which makes {count(steps)} iterations" if steps else ""
        return f"Not used: epochs is {train.epochs:g}{makes}."
    one = f" One epoch is {count(epoch)} iterations." if epoch else ""
    return _seen(train.iters, experiment, facts) + one


def _epochs(experiment: Experiment, facts: Facts) -> str:
    train, epoch = experiment.train, facts.epoch(experiment)
    steps = facts.iterations(experiment)
    if train.epochs:
        return f"{count(steps)} iterations." if steps else "How many iterations that is, the rows say."
    if epoch is None:
        return f"Iters decides: {count(train.iters)} iterations."
    return f"Iters decides: {count(train.iters)} iterations are {train.iters / epoch:.2g} epochs."


def _rate(experiment: Experiment, facts: Facts) -> str:
    train, method = experiment.train, experiment.adapter.method
    if train.optimizer in ("sgd", "muon"):
        return ""
    low, high = _RATES[method]
    where = "above" if train.learning_rate > high else "below" if train.learning_rate < low else "within"
    name = "full fine-tuning" if method == "full" else {"lora": "LoRA", "dora": "DoRA"}[method]
    return f"{rate(train.learning_rate)} is {where} what {name} usually takes: {rate(low)} to {rate(high)}."


def _accumulation(experiment: Experiment, facts: Facts) -> str:
    steps, train = facts.iterations(experiment), experiment.train
    each = f"from {train.batch_size * train.grad_accumulation} rows each"
    if steps is None:
        return f"The weights are updated {each}."
    return f"The weights are updated {count(steps // train.grad_accumulation)} times, {each}."


def _length(experiment: Experiment, facts: Facts) -> str:
    limit, lengths = experiment.train.max_seq_length, facts.lengths
    if not lengths.get("max"):
        return ""
    longest, usual = lengths["max"], lengths.get("p95")
    told = f"The longest row has {count(longest)} tokens, 95 % have at most {count(usual)}: "
    if longest > limit:
        return f"{told}what is above {count(limit)} is cut off."
    return f"{told}none is cut."


def _saving(experiment: Experiment, facts: Facts) -> str:
    steps = facts.iterations(experiment)
    if steps is None:
        return ""
    saves = steps // experiment.train.save_every
    along = f"{count(saves)} checkpoint{'s' if saves != 1 else ''} along the way, and one at the end."
    return along if saves else "One checkpoint, at the end."


def _measuring(experiment: Experiment, facts: Facts) -> str:
    steps = facts.iterations(experiment)
    if steps is None:
        return ""
    return (
        f"Measured at the start, {count((steps - 1) // experiment.train.eval_every)} times in between, and at the end."
    )


def _warmup(experiment: Experiment, facts: Facts) -> str:
    steps, train = facts.iterations(experiment), experiment.train
    if steps is None or not train.warmup:
        return ""
    return f"{100 * train.warmup * train.grad_accumulation / steps:.0f} % of the run."


def _patience(experiment: Experiment, facts: Facts) -> str:
    train = experiment.train
    if not train.patience:
        return ""
    return f"Ends after {count(train.patience * train.eval_every)} iterations without a better validation."


# -- data and evaluation ----------------------------------------------------------------------------------------------


def _prompts(experiment: Experiment, facts: Facts) -> str:
    wordings = len(experiment.data.prompt)
    if not wordings:
        return ""
    return "Each record makes one example." if wordings == 1 else f"Each record makes {wordings} examples."


def _share(split: str) -> Callable[[Experiment, Facts], str]:
    def told(experiment: Experiment, facts: Facts) -> str:
        rows, total = facts.counts.get(split), sum(facts.counts.values())
        if not facts.sure or rows is None or not total:
            return ""
        return f"{count(rows)} of {count(total)} rows ({math.floor(100 * rows / total + 0.5)} %)."

    return told


def _benchmark(experiment: Experiment, facts: Facts) -> str:
    evaluation, test = experiment.evaluation, facts.counts.get("test")
    if not evaluation.enabled:
        return "Not used: evaluation.enabled is false."
    if not test or not facts.sure:
        return ""
    return f"{count(min(evaluation.rows or test, test))} of {count(test)} test rows, before and after training."


_MEANINGS: dict[str, Callable[[Experiment, Facts], str]] = {
    "model.bits": _bits,
    "data.prompt": _prompts,
    "data.train": _share("train"),
    "data.valid": _share("valid"),
    "data.test": _share("test"),
    "adapter.method": _size_of,
    "adapter.rank": _rank,
    "adapter.scale": _scale,
    "adapter.alpha": _alpha,
    "adapter.layers": _layers,
    "adapter.targets": _targets,
    "train.iters": _iters,
    "train.epochs": _epochs,
    "train.batch_size": _batch,
    "train.learning_rate": _rate,
    "train.grad_accumulation": _accumulation,
    "train.max_seq_length": _length,
    "train.save_every": _saving,
    "train.eval_every": _measuring,
    "train.warmup": _warmup,
    "train.patience": _patience,
    "evaluation.rows": _benchmark,
}
