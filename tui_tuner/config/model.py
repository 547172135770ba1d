"""What an experiment holds: every key with its type, range, default and help.

This is the one place that knows. The config form, the command line's `--set`, the reference in docs/ and the comments
in a saved config.toml are all made from it: the text under a key is its help. A rule that needs the model or the data
(does a module exist, are there enough rows) does not belong here: it is checked where those are at hand. This module
must never import a training library.
"""

from __future__ import annotations

import math
import re
from typing import Literal, Self

from pydantic import Field, model_validator

from tui_tuner.config.behaviour_section import BehaviourSection
from tui_tuner.config.data_section import DataSection
from tui_tuner.config.tracking_section import TrackingSection
from tui_tuner.config.types import (
    ConflictError,
    Metric,
    Metrics,
    Name,
    Names,
    Number,
    Section,
    Switch,
    Text,
    TextMetric,
    Texts,
    Whole,
    WholeList,
    form,
)

Method = Literal["lora", "dora", "full"]
Optimizer = Literal["adam", "adamw", "muon", "sgd", "adafactor"]
Schedule = Literal["constant", "cosine", "linear"]
Mode = Literal["fast", "stock"]
WhenNonfinite = Literal["rollback", "stop"]
Keep = Literal["best", "last", "average"]
BestBy = Literal["loss", TextMetric]

USUAL_METRICS: tuple[Metric, ...] = ("exact_match", "rouge1", "rouge2", "rougeL")
DECAYING_OPTIMIZERS: tuple[Optimizer, ...] = ("adamw", "muon", "sgd")

_MODULE_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)


class RunSection(Section):
    """What the run is called and which random numbers it draws."""

    name: Name = Field("experiment", json_schema_extra=form(basic=True))
    """The name of the run; its folder is named after it, with the date and time behind. Change it for every idea you
    try, so that you can tell the runs apart."""
    seed: Whole = Field(42, ge=0)
    """The seed of every random choice: the split, the order of the rows, the adapter's first weights and dropout. The
    same seed repeats a run; a second seed shows how much of a difference is luck."""
    notes: Text = Field("", json_schema_extra=form(basic=True))
    """Free text that is kept with the run: what you expect, and why you try it."""


class ModelSection(Section):
    """The model that is fine-tuned."""

    path: Name = Field(json_schema_extra=form(basic=True))
    """The base model: a folder with config.json and safetensors weights, the name of a repository on the Hugging Face
    Hub, or "embedded:phi3-tiny". A relative path is looked up beside this file first."""
    bits: Whole = Field(0, ge=0, le=8, json_schema_extra=form(basic=True, unit="bits", allowed="0, 2, 3, 4, 5, 6 or 8"))
    """To how many bits the base is quantized before the run (QLoRA); 0 takes it as it is. The quantized model is made
    once and kept with the converted models; 4 needs about a quarter of the memory of half precision."""
    chat_template: Name = "auto"
    """How a conversation is written for the model: "auto" is the model's own chat template; "chatml", "llama-3",
    "llama-2", "mistral", "gemma", "phi-3", "zephyr", "vicuna", "alpaca" and "plain" are formats for models that have
    none or a wrong one; anything else is the path of a Jinja file. Preview, training, benchmark and chat all use it."""
    trust_remote_code: Text = ""
    """Which code that comes with a model or a metric may be run, as NAME@HASH, several with blanks between; empty runs
    none. The refusal spells it, and it holds for exactly these Python files: read them first, for they can do all that
    you can. It counts with `--set` and in a preset in your own folder; in any other preset it is passed over."""

    @model_validator(mode="after")
    def _bits_are_possible(self) -> Self:
        if self.bits in (1, 7):
            raise ConflictError("bits", "mlx cannot do", "set it to 0, 2, 3, 4, 5, 6 or 8")
        return self


class AdapterSection(Section):
    """What is trained: low-rank adapters beside the frozen weights, or the weights themselves."""

    method: Method = Field("lora", json_schema_extra=form(basic=True))
    """How the model is changed: "lora" trains a low-rank update beside each frozen weight matrix, "dora" also trains
    its magnitude (slower, sometimes better at low rank), "full" trains the weights themselves (most memory, no
    quantized base)."""
    rank: Whole = Field(8, ge=1, json_schema_extra=form(basic=True))
    """The rank of the update: how many directions each adapted matrix may change in. Raise it (16 to 64) when the
    training loss stays high, lower it when the model learns the data by heart. Not used by "full"."""
    scale: Number = Field(20.0, gt=0, json_schema_extra=form(basic=True))
    """The factor in front of the update, mlx-lm's `scale`; elsewhere it is alpha / rank: alpha 160 at rank 8 is scale
    20. Lower it when the loss jumps. Not used by "full"."""
    alpha: Number = Field(0.0, ge=0)
    """The same factor as other tools name it; 0 leaves it to scale. Scale is then alpha / rank, or alpha / √rank with
    rslora. Set this one when you copy a recipe that gives alpha."""
    rslora: Switch = False
    """Whether alpha is divided by the square root of the rank (rank-stabilised LoRA, Kalajdzievski 2023), so that high
    ranks learn as fast as low ones. Only with alpha."""
    dropout: Number = Field(0.0, ge=0, lt=1, json_schema_extra=form(basic=True))
    """The share of the adapter's inputs that is set to zero at random while training. Try 0.05 to 0.1 when the
    validation loss rises while the training loss falls. Not used by "full"."""
    layers: Whole = Field(0, ge=0, json_schema_extra=form(basic=True, unit="layers"))
    """How many transformer layers to train, counted from the last; 0 is all of them. Fewer need less memory and
    change the model less."""
    layer_numbers: WholeList = Field(default_factory=list)
    """Which layers to train, by number from 0, when not the last ones; empty leaves it to layers."""
    targets: Names = Field(default_factory=list, json_schema_extra=form(basic=True))
    """The modules inside a layer that get an adapter, such as "self_attn.qkv_proj", or a group: "attention", "mlp",
    "linear"; empty is every linear module. Names of other tools such as q_proj find the fused module that holds them.
    Not used by "full"."""
    start_from: Text = ""
    """A saved adapter whose weights training starts from, by mlx-lm or another run: its folder, or a .safetensors file
    in it; empty starts afresh. Only weights are taken: optimizer, schedule and order begin anew, and the benchmark
    before training is of these weights. To go on with a run exactly, resume it instead."""

    @property
    def effective_scale(self) -> float:
        """The factor in front of the update: scale, or what alpha and rank make of it."""
        if not self.alpha:
            return self.scale
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)

    @model_validator(mode="after")
    def _layers_and_alpha_make_sense(self) -> Self:
        if self.rslora and not self.alpha:
            raise ConflictError("rslora", "needs adapter.alpha", "give adapter.alpha, or set it to false")
        if self.layer_numbers and self.layers:
            raise ConflictError("layer_numbers", "is given beside adapter.layers", "give only one of them")
        if len(set(self.layer_numbers)) < len(self.layer_numbers):
            raise ConflictError("layer_numbers", "names a layer twice", "name each layer once")
        return self

    @model_validator(mode="after")
    def _targets_are_module_paths(self) -> Self:
        for target in self.targets:
            if not _MODULE_PATH.fullmatch(target):
                raise ConflictError(
                    "targets", f'has "{target}", which is no module path', 'write names such as "self_attn.o_proj"'
                )
        if len(set(self.targets)) < len(self.targets):
            raise ConflictError("targets", "names a module twice", "name each module once")
        return self


class TrainSection(Section):
    """How long, how fast and in what portions the model is trained."""

    iters: Whole = Field(100, ge=1, json_schema_extra=form(basic=True, unit="iterations"))
    """How many iterations to train: each one computes the gradient of one batch. One epoch is rows / batch_size
    iterations; one to three epochs are usual. Not used when epochs is given."""
    epochs: Number = Field(0.0, ge=0, le=10_000, json_schema_extra=form(basic=True, unit="epochs"))
    """How often to go through all rows; 0 leaves it to iters. The run then has epochs × rows / batch_size iterations,
    the remainder counted."""
    mode: Mode = "fast"
    """How batches are made and the loss is computed: "fast" batches rows of like length, trains every row, and computes
    the vocabulary only where the loss looks; "stock" repeats mlx_lm.lora loss for loss."""
    batch_size: Whole = Field(4, ge=1, json_schema_extra=form(basic=True, unit="rows"))
    """How many rows each iteration takes. Larger batches make steadier gradients and need more memory; see
    grad_accumulation when memory is short."""
    learning_rate: Number = Field(1e-5, gt=0, le=10, json_schema_extra=form(basic=True))
    """The step size of the optimizer, at its highest. LoRA usually takes 1e-5 to 2e-4, full fine-tuning a tenth of
    that; lower it when the loss jumps or becomes NaN, raise it when the loss hardly moves."""
    optimizer: Optimizer = "adam"
    """The rule that turns gradients into updates. "adam" and "adamw" are the safe choice, "adafactor" keeps less
    state, "muon" orthogonalises the updates of matrices, "sgd" has no state and wants a much higher learning rate."""
    weight_decay: Number = Field(0.0, ge=0, le=1)
    """How strongly the trained weights are pulled towards zero at every update; 0 leaves mlx's own default, which is
    0.01 for "adamw" and "muon" and none for "sgd". No other optimizer has it."""
    schedule: Schedule = Field("constant", json_schema_extra=form(basic=True))
    """How the learning rate goes on after the warm-up: it stays constant, or falls to zero at the last update along a
    cosine or a straight line. Falling schedules usually end at a lower loss."""
    warmup: Whole = Field(0, ge=0, json_schema_extra=form(unit="updates"))
    """Over how many updates the learning rate rises from zero to its full value. Use 5 to 10 % of the run when the
    first losses jump; it must be shorter than the run."""
    max_seq_length: Whole = Field(2048, ge=2, json_schema_extra=form(basic=True, unit="tokens"))
    """The longest row in tokens; what is longer is cut off at its end, answer first. Memory grows with it, so set it
    just above your longest row; the Data screen shows the lengths."""
    grad_accumulation: Whole = Field(1, ge=1, json_schema_extra=form(unit="iterations"))
    """How many iterations' gradients are averaged before the weights are updated. It acts as a batch that many times
    larger without its memory."""
    clip_norm: Number = Field(0.0, ge=0)
    """The largest norm a gradient may have; a larger one is scaled down to it. 0 never clips. 1 is usual and tames
    single bad batches."""
    max_skipped: Whole = Field(3, ge=1, json_schema_extra=form(unit="steps"))
    """After how many steps in a row with a loss or gradient that is not a number the run does something about it. Each
    such step is skipped and named."""
    when_nonfinite: WhenNonfinite = "rollback"
    """What is done then: "rollback" goes back to the last good checkpoint at half the learning rate (three times at
    most), "stop" ends the run as failed."""
    patience: Whole = Field(0, ge=0, json_schema_extra=form(basic=True, unit="validations"))
    """After how many validations in a row without a new best the run ends early; 0 never ends it early."""
    best_by: BestBy = "loss"
    """What makes a checkpoint the best: the validation loss, or a metric of answers to validation rows, which takes
    longer to measure."""
    best_rows: Whole = Field(32, ge=1, json_schema_extra=form(unit="rows"))
    """How many validation rows are answered at each validation when best_by is a metric."""
    keep: Keep = Field("best", json_schema_extra=form(basic=True))
    """Which weights the run ends with: the best checkpoint's, the last step's, or the average of the best few."""
    average_best: Whole = Field(3, ge=2, le=20, json_schema_extra=form(unit="checkpoints"))
    """How many of the best checkpoints are averaged when keep is "average"."""
    reuse_frozen: Switch = False
    """Whether what the frozen layers below the adapters compute for a batch is kept and read again from the second
    epoch on. Pays when only the last few layers are trained for several epochs; the losses stay the same."""
    clear_cache_threshold: Number = Field(0.0, ge=0, json_schema_extra=form(unit="GB"))
    """Above how many GB of unused memory kept by mlx it is given back after a step; 0 gives all back after every step,
    as mlx_lm.lora does. A few GB can save a little time where memory is plenty."""
    grad_checkpoint: Switch = Field(False, json_schema_extra=form(basic=True))
    """Whether to recompute activations in the backward pass instead of keeping them. It saves much memory and costs
    about a third more time; use it when a run does not fit."""
    report_every: Whole = Field(10, ge=1, json_schema_extra=form(unit="iterations"))
    """After how many iterations the training loss and the rates are reported. 1 draws every point of the curve."""
    eval_every: Whole = Field(200, ge=1, json_schema_extra=form(basic=True, unit="iterations"))
    """After how many iterations the validation loss is measured; also before the first and after the last. Measure
    often enough to see it turn, as each measurement takes time."""
    eval_batches: Whole = Field(-1, ge=-1, json_schema_extra=form(unit="batches", allowed="-1, or 1 or more"))
    """How many validation batches a measurement takes; -1 is all of them. Fewer are faster and make the curve
    noisier."""
    save_every: Whole = Field(100, ge=1, json_schema_extra=form(basic=True, unit="iterations"))
    """After how many iterations a checkpoint is saved. A crash costs at most the iterations since the last one."""
    keep_checkpoints: Whole = Field(5, ge=1, json_schema_extra=form(unit="checkpoints"))
    """How many of the latest checkpoints stay on disk; the best one by validation loss is kept besides."""

    def iterations(self, an_epoch: int) -> int:
        """How many iterations a run takes whose rows make so many an epoch: iters, or what epochs come to."""
        return max(math.ceil(self.epochs * an_epoch), self.grad_accumulation) if self.epochs else self.iters

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.weight_decay and self.optimizer not in DECAYING_OPTIMIZERS:
            raise ConflictError(
                "weight_decay",
                f'has no effect with the optimizer "{self.optimizer}"',
                f"set it to 0, or train.optimizer to {_either(DECAYING_OPTIMIZERS)}",
            )
        if self.eval_batches == 0:
            raise ConflictError(
                "eval_batches", "would measure nothing", "set it to -1 for all batches, or to 1 or more"
            )
        if self.epochs:
            return self  # how many iterations that makes is known when the rows are
        if self.grad_accumulation > self.iters:
            raise ConflictError(
                "grad_accumulation",
                f"is more than train.iters ({self.iters}), so that no update would ever happen",
                "lower it, or raise train.iters",
            )
        updates = self.iters // self.grad_accumulation
        if self.warmup >= updates:
            count = f"{updates} updates" if updates > 1 else "1 update"
            how = f"train.iters is {self.iters}"
            if self.grad_accumulation > 1:
                how += f", train.grad_accumulation {self.grad_accumulation}"
            raise ConflictError(
                "warmup", f"is not shorter than the run of {count} ({how})", "lower it, or raise train.iters"
            )
        return self


class EvaluationSection(Section):
    """The benchmark before and after training, on the test rows."""

    enabled: Switch = Field(True, json_schema_extra=form(basic=True))
    """Whether the model answers the test rows before and after training, for a verdict. Switch it off for a quick
    trial."""
    rows: Whole = Field(0, ge=0, json_schema_extra=form(basic=True, unit="rows"))
    """How many test rows to answer; 0 is all. Fewer are faster and make the verdict less sure."""
    max_tokens: Whole = Field(128, ge=1, json_schema_extra=form(basic=True, unit="tokens"))
    """The longest answer in tokens. Set it above the longest reference answer: what is cut off scores lower."""
    batch_size: Whole = Field(8, ge=1, json_schema_extra=form(unit="answers"))
    """How many answers are generated at once. More are faster and need more memory; the answers stay the same."""
    reuse_answers: Switch = True
    """Whether answers that the same model gave to the same prompts, in this run or an earlier one, are taken from the
    cache instead of generated again. Switch it off to measure how long a benchmark takes."""
    raw_prompt: Switch = False
    """Whether test prompts go in bare, without the chat template that training uses. The model then meets a form that
    it was not trained on, and the result says so; leave it off unless you compare with figures made that way."""
    canaries: Switch = False
    """Whether a small suite of general questions is asked before and after training as well, to see what was
    forgotten: knowledge, instructions, JSON, refusals, languages. It takes about forty short answers each time."""
    metrics: Metrics = Field(default_factory=lambda: list(USUAL_METRICS), json_schema_extra=form(basic=True))
    """What the answers are scored by, against the reference: exact matches, shared words (ROUGE, token F1), BLEU, chrF,
    or the right number. "evaluate:NAME" asks the library evaluate for any other. Take few: the more are judged at once,
    the clearer each has to be."""

    @model_validator(mode="after")
    def _metrics_make_sense(self) -> Self:
        if len(set(self.metrics)) < len(self.metrics):
            raise ConflictError("metrics", "names a metric twice", "name each metric once")
        if self.enabled and not self.metrics:
            raise ConflictError("metrics", "is empty", "name a metric, or set evaluation.enabled to false")
        return self


class ProbesSection(Section):
    """Fixed prompts that show what the model says as it learns."""

    prompts: Texts = Field(default_factory=list, json_schema_extra=form(basic=True))
    """Prompts that the untouched model answers first, and the model in training after every eval_every iterations and
    at the end, to watch it change. Two or three short ones tell most: one from the task, one that it should still
    answer as before."""
    max_tokens: Whole = Field(0, ge=0, json_schema_extra=form(unit="tokens"))
    """The longest answer to a probe in tokens; 0 takes evaluation.max_tokens. Lower it when the answers hold the
    training up."""


class Experiment(Section):
    """Everything that decides a run."""

    run: RunSection = Field(default_factory=RunSection)
    model: ModelSection
    data: DataSection
    adapter: AdapterSection = Field(default_factory=AdapterSection)
    train: TrainSection = Field(default_factory=TrainSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    probes: ProbesSection = Field(default_factory=ProbesSection)
    behaviour: BehaviourSection = Field(default_factory=BehaviourSection)
    tracking: TrackingSection = Field(default_factory=TrackingSection)


def _either(words: tuple[str, ...]) -> str:
    quoted = [f'"{word}"' for word in words]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"
