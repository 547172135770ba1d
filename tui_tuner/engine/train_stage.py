"""The training stage of a run: from rows and a base to a trainer that knows its run.

What the loop may not know lives here: the run folder, the metric that the best checkpoint is chosen by, the requests of
an earlier part of the run, and what a chat between two steps is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.config import AdapterSection, Experiment, TrainSection
from tui_tuner.data.examples import Example, prompt_tokens
from tui_tuner.data.prepare import Row, reference_of, row_kind
from tui_tuner.engine.losses import LossChoice
from tui_tuner.engine.new_run import keep_start, read_base
from tui_tuner.engine.patience import Patience
from tui_tuner.engine.probes import Probes
from tui_tuner.engine.ranks.alike import check_alike, check_same, ranks_text
from tui_tuner.engine.run_store import RunStore, checkpoints
from tui_tuner.evaluation.generate import greedy_answers
from tui_tuner.evaluation.metrics import scored
from tui_tuner.models.adapters import Attached, attach, write_adapter_config
from tui_tuner.models.load import Base, fresh_tree
from tui_tuner.models.start import Start, locate_start, start_from
from tui_tuner.runs import Event, RunFolder
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.progress import Emit
from tui_tuner.training.advice import Advice
from tui_tuner.training.batches import StockOrder
from tui_tuner.training.checkpoint import CheckpointStore, Snapshot
from tui_tuner.training.fast.order import FastOrder
from tui_tuner.training.loop import Trainer
from tui_tuner.training.optimizers import build_optimizer
from tui_tuner.training.parts import Hooks, Order, TrainOutcome
from tui_tuner.training.randomness import first_key, set_random_key
from tui_tuner.training.ranks import ALONE, Ranks

# A validation may find the best, or end a run's patience.
_REPLAYED = ("learning_rate", "finish_epoch", "evaluate", "probe")


@dataclass(frozen=True)
class LiveModel:
    """What a small task gets that is let in between two training steps.

    Attributes:
        base: the base model, untouched by training.
        model: the tree in training, with its adapter as it is at this moment.
        adapters: the run's adapter folder, which this model is the newest state of.
    """

    base: Base
    model: Any
    adapters: Any


def make_order(experiment: Experiment, train: list[Example], valid: list[Example], ranks: int = 1) -> Order:
    """Which rows come when, by the configured mode; every one of the ranks is given whole batches.

    Raises:
        TunerError: when there are fewer rows than the mode can make a batch of.
    """
    size, length, seed = experiment.train.batch_size, experiment.train.max_seq_length, experiment.run.seed
    if experiment.train.mode == "stock":
        return StockOrder(train, valid, batch_size=size, max_length=length, seed=seed)
    return FastOrder(train, valid, batch_size=size, max_length=length, seed=seed, ranks=ranks)


def settled(train: TrainSection, order: Order) -> TrainSection:
    """The section with `iters` settled: what epochs make of it, the remainder counted."""
    return train.model_copy(update={"iters": train.iterations(order.batches_per_epoch), "epochs": 0.0})


def put_start(folder: RunFolder, tree: Any, adapter: AdapterSection) -> Start:
    """Puts the weights that a run starts from into its tree, and keeps in the run's folder which they were.

    Raises:
        TunerError: they are not there, do not fit, or are others than those that the run began with.
    """
    start = start_from(locate_start(adapter.start_from, read_base(folder)), tree, adapter)
    keep_start(folder, start)
    return start


def requests_to_replay(events: Sequence[Event], from_step: int) -> list[tuple[int, str, Any]]:
    """Requests that were taken after the checkpoint of `from_step`, and so are not part of it.

    A request taken at the checkpoint's own step, before it was written, is part of it. A person's newer wish makes an
    older one void that lies further on: it came from a session that a later one has overtaken.
    """
    found: list[tuple[int, str, Any]] = []
    for event in events:
        if event["type"] == "checkpoint" and event.get("step") == from_step:
            found = []
        elif event["type"] == "control" and event.get("what") in _REPLAYED:
            step, what, value = event.get("step"), str(event["what"]), event.get("value")
            if not isinstance(step, int) or step < from_step:
                continue
            if event.get("by") != "replay":
                found = [r for r in found if r[1] != what or r[0] <= step]
            elif (step, what, value) in found:
                continue  # taken in one session and again in the next, it is one wish
            found.append((step, what, value))
    # A stop may come in a validation or an answer, when all else of its step must have been taken.
    return sorted(found, key=lambda r: r[1] in ("evaluate", "probe"))


class TrainStage:
    """Trains a run's model from where its last checkpoint stands."""

    def __init__(
        self,
        folder: RunFolder,
        experiment: Experiment,
        base: Base,
        order: Order,
        valid_rows: list[Row],
        *,
        emit: Emit,
        advise: Callable[[Advice], None],
        control: JobControl,
        patience: Patience,
        ranks: Ranks = ALONE,
    ) -> None:
        self._folder, self._experiment, self._base, self._order = folder, experiment, base, order
        self._valid_rows, self._ranks = valid_rows, ranks
        self._emit, self._advise = emit, advise
        self._control, self._patience = control, patience

    def run(
        self, store: CheckpointStore | None = None, snapshot: Snapshot | None = None, events: Sequence[Event] = ()
    ) -> TrainOutcome:
        """Trains to the end or to a stop. Rank 0 says from where; the others need nothing.

        Args:
            store: where checkpoints are.
            snapshot: the newest of them, None to begin.
            events: requests and checkpoints of the run's log, for what must be taken again, and the probes' answers.

        Raises:
            TunerError: when training fails, or this rank has another model or other rows than rank 0.
        """
        train, ranks = settled(self._experiment.train, self._order), self._ranks
        if ranks.size > 1:
            check_alike(ranks, self._folder, self._base.path)
        shared = RunStore(store, lambda: checkpoints(self._folder, train), self._patience, ranks)
        snapshot = shared.follow(snapshot)
        from_step = snapshot.progress.step if snapshot else 0
        replay = ranks.lead(lambda: requests_to_replay(events, from_step))
        tree = self._tree(snapshot)
        choice = LossChoice(
            tree,
            self._order,
            self._base.path,
            train,
            self._experiment.adapter,
            from_step=from_step,
            ranks=ranks,
            emit=self._emit,
            advise=self._advise,
        )
        optimizer, rate = build_optimizer(train)
        trainer = Trainer(
            tree,
            optimizer,
            rate,
            self._order,
            choice.loss(),
            train,
            emit=self._emit,
            control=self._control,
            store=shared,
            hooks=Hooks(
                probes=self._probes(tree, events, from_step),
                score=lambda: self._score(tree),
                interlude=LiveModel(self._base, tree, self._folder.adapters),
                replay=[(int(step), str(what), value) for step, what, value in replay],
            ),
            guarded=self._experiment.adapter.method != "full",
            ranks=ranks,
        )
        if snapshot is not None:
            trainer.restore(snapshot)
        return trainer.run()

    def _tree(self, snapshot: Snapshot | None) -> Any:
        """The base with the adapter to train, and this rank's draws at their beginning.

        Args:
            snapshot: what will be restored; None to begin, from the weights to start from where there are some.
        """
        import mlx.core as mx

        adapter, seed = self._experiment.adapter, self._experiment.run.seed
        tree = fresh_tree(self._base)
        mx.random.seed(seed)
        attached = attach(tree, adapter)
        if adapter.start_from and snapshot is None:
            self._put_start(tree)
        if self._ranks.rank == 0:
            self._write_adapter_config(attached)
            self._tell_of_other_ranks(snapshot)
        else:
            set_random_key(first_key(seed, self._ranks.rank))
        return tree

    def _put_start(self, tree: Any) -> None:
        """Puts the weights to start from into the tree; the run's folder is rank 0's to write."""
        adapter, ranks = self._experiment.adapter, self._ranks
        if ranks.rank == 0:
            start = put_start(self._folder, tree, adapter)
        else:
            start = start_from(locate_start(adapter.start_from, read_base(self._folder)), tree, adapter)
        check_same(ranks, "start", start.sha256, start.path)

    def _write_adapter_config(self, attached: Attached) -> None:
        self._folder.adapters.mkdir(parents=True, exist_ok=True)
        # Stock tools look the base up by this path, so an absolute one is written.
        write_adapter_config(
            self._folder.adapters,
            self._experiment.adapter,
            attached,
            str(self._base.path.resolve()),
            {"seed": self._experiment.run.seed, "max_seq_length": self._experiment.train.max_seq_length},
        )

    def _tell_of_other_ranks(self, snapshot: Snapshot | None) -> None:
        """Says so when another number of ranks goes on with what some have trained."""
        if snapshot is None or snapshot.ranks == self._ranks.size:
            return
        drops = self._experiment.adapter.dropout > 0
        text = (
            f"trained by {ranks_text(snapshot.ranks)} so far, and by {ranks_text(self._ranks.size)} from here on: "
            + (
                "dropout draws other numbers, so this is no longer bit for bit the run that was interrupted"
                if drops
                else "sums are rounded in another order, so losses may differ in their last digits"
            )
        )
        self._emit("log", level="warning" if drops else "info", text=text)

    def _probes(self, tree: Any, events: Sequence[Event], from_step: int) -> Probes:
        """What asks the run's probes: of the model as it was before training, and of the tree in training."""
        adapter = self._experiment.adapter

        def untrained() -> Any:
            if not adapter.start_from:
                return self._base.model
            begun = fresh_tree(self._base)
            attach(begun, adapter)
            put_start(self._folder, begun, adapter)
            begun.eval()
            return begun

        return Probes(
            self._experiment,
            self._base.tokenizer,
            tree,
            untrained=untrained,
            events=events,
            from_step=from_step,
            emit=self._emit,
            control=self._control,
        )

    def _score(self, model: Any) -> float | None:
        """The task metric on the first validation rows, None when they have no answers to compare with."""
        rows = self._valid_rows[: self._experiment.train.best_rows]
        if not rows or row_kind(rows[0]) == "text":
            return None
        settings, predictions = self._experiment.evaluation, [""] * len(rows)
        model.eval()
        try:
            for answer in greedy_answers(
                model,
                self._base.tokenizer,
                [prompt_tokens(row, self._base.tokenizer) for row in rows],
                max_tokens=settings.max_tokens,
                batch_size=min(len(rows), settings.batch_size),
                control=self._control,
            ):
                predictions[answer.index] = answer.text
        finally:
            model.train()
        metric = self._experiment.train.best_by
        value = scored(metric, predictions, [reference_of(row) for row in rows]).value
        return value if math.isfinite(value) else None  # of rows without a number there is no numeric accuracy
