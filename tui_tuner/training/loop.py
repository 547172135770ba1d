"""The training loop: one step after another, with control between any two.

It reports every figure as an event, honours stop and pause within one step, takes requests, lets small tasks in between
steps, undoes steps that gave no numbers, and saves what exact resume needs. It must never print, never touch numpy's
global generator, and never leave a layer's class patched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tui_tuner.config import TrainSection
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import Heard, JobControl, StopRequested
from tui_tuner.runs.progress import Emit, Throttle
from tui_tuner.training.batches import Batch
from tui_tuner.training.checkpoint import Progress, Snapshot
from tui_tuner.training.guard import Before, Guard, is_sound
from tui_tuner.training.optimizers import Rate
from tui_tuner.training.parts import Hooks, Order, Store, TrainOutcome, look_is_due
from tui_tuner.training.randomness import key_kept, set_random_key
from tui_tuner.training.ranks import ALONE, Ranks
from tui_tuner.training.step import Loss, StepResult, checkpointed_layers, compile_step, validate
from tui_tuner.training.wishes import Wishes

_ROLLBACKS = 3
_ROLLBACK_FACTOR = 0.5


class _FinishEarly(Exception):  # noqa: N818 - no error: a way out of the loop
    """Ends training before its last iteration, as finished."""


class Trainer:
    """Trains what is trainable of a model.

    Args:
        model: a module tree with an adapter attached (or layers unfrozen).
        optimizer, rate: of `build_optimizer`, not yet used.
        order: which rows come when.
        loss: what is minimised.
        train: the configuration's section, with `iters` settled.
        emit: where events go.
        control: looked at between steps and between validation batches.
        store: where checkpoints go; None to save nothing.
        guarded: whether a bad step can be undone; off for full fine-tuning, where that would cost much memory.
        ranks: who trains together; every one of them runs this loop, with the same order and section.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        rate: Rate,
        order: Order,
        loss: Loss,
        train: TrainSection,
        *,
        emit: Emit,
        control: JobControl,
        store: Store | None = None,
        hooks: Hooks | None = None,
        guarded: bool = True,
        ranks: Ranks = ALONE,
    ) -> None:
        self._model, self._optimizer, self._rate = model, optimizer, rate
        self._order, self._train, self._ranks = order, train, ranks
        self._loss = ranks.loss(loss, equal=train.mode == "stock")
        self._validation_loss = ranks.loss(loss)
        self._emit, self._store = emit, store
        self._hooks = hooks or Hooks()
        self._wishes = Wishes(control, ranks, self._hooks.replay)
        self._progress = Progress()
        self._gradients: Any = None
        self._step: Callable[..., StepResult] | None = None
        self._validated_at: int | None = None
        self._saved_at: int | None = None
        self._drawn_from: dict[str, Any] | None = None  # the order's position before the draw of a step not yet done
        self._paused = False
        optimizer.init(model.trainable_parameters())
        self._guard = Guard(model, optimizer) if guarded else None

    # -- position -------------------------------------------------------------------------------------------------
    def restore(self, snapshot: Snapshot) -> None:
        """Goes to a checkpoint's position, bit for bit: weights, optimizer, gradients, order, random key."""
        from mlx.utils import tree_map_with_path, tree_unflatten

        kept = snapshot.gradients_of(self._ranks.rank, self._ranks.size)
        self._model.load_weights(list(snapshot.weights.items()), strict=False)
        self._optimizer.state = tree_unflatten(list(snapshot.optimizer.items()))
        self._optimizer.init(self._model.trainable_parameters())
        # In the very shape of the next ones, to which they are added: a flat tree has lost its empty branches.
        trained = self._model.trainable_parameters()
        self._gradients = tree_map_with_path(lambda path, _: kept[path], trained) if kept else None
        self._progress = snapshot.progress.copy()
        self._rate.set_factor(self._progress.rate_factor)
        self._order.restore(self._progress.order)
        set_random_key(snapshot.key_of(self._ranks.rank))
        self._saved_at = self._progress.step
        self._validated_at = None
        self._step = None  # a compiled step and a guard hold the containers of the state they were made with
        self._guard = Guard(self._model, self._optimizer) if self._guard is not None else None

    def _snapshot(self) -> Snapshot:
        import mlx.core as mx
        from mlx.utils import tree_flatten

        progress = self._progress.copy()
        progress.order = self._drawn_from or self._order.state()
        progress.rate_factor = self._rate.factor
        return Snapshot(
            progress,
            dict(tree_flatten(self._model.trainable_parameters())),
            dict(tree_flatten(self._optimizer.state)),
            dict(tree_flatten(self._ranks.gather(self._gradients))) if self._gradients is not None else {},
            self._ranks.gather(mx.random.state[0]),
        )

    def _save(self, *, value: float | None = None, best: bool = False) -> None:
        """Saves the position between two steps, unless this very one is saved already."""
        if self._store is None or (self._saved_at == self._progress.step and value is None):
            return
        if self._ranks.align(self._model, self._optimizer):
            self._warn(
                [f"after step {self._progress.step} the ranks' weights differed; all go on with those of rank 0"]
            )
        path = self._store.save(self._snapshot(), value=value, best=best)
        self._saved_at = self._progress.step
        self._emit("checkpoint", step=self._progress.step, path=path.name, best=best)

    # -- the loop -------------------------------------------------------------------------------------------------
    def run(self) -> TrainOutcome:
        """Trains to the configured number of iterations, an early end, or a stop.

        Raises:
            TunerError: when a checkpoint cannot be written, a step fails inside mlx, or the loss stays no number.
        """
        import mlx.core as mx

        mx.reset_peak_memory()
        self._model.train()
        status, reason = "finished", ""
        with checkpointed_layers(self._model, self._train.grad_checkpoint):
            try:
                while self._progress.step < self._last_step():
                    self._between_steps()
                    if self._progress.step < self._last_step():
                        self._one_step()
                self._look(extra=True)
            except _FinishEarly as early:
                reason = str(early)
            except StopRequested as stop:
                status, reason = "stopped", str(stop)
        self._save()
        if status == "finished" and self._store is not None:
            self._warn(self._store.settle(self._train.keep, self._train.average_best))
        return TrainOutcome(status, self._progress.step, reason, self._progress.best.step)

    def _warn(self, texts: list[str]) -> None:
        for text in texts:
            self._emit("log", level="warning", text=text)

    def _last_step(self) -> int:
        asked = self._progress.finish_at
        return self._train.iters if asked is None else min(asked, self._train.iters)

    def _between_steps(self) -> None:
        for what, value in self._wishes.due(self._progress.step):
            self._obey(what, value, by="replay")
        heard = self._attend()
        while heard.paused and heard.stop is None:
            if not self._paused:
                self._paused = True
                self._save()
                self._emit("control", what="pause", by="user", value=None, step=self._progress.step)
            self._wishes.wait()
            heard = self._attend()
        if self._paused:
            self._paused = False
            self._emit("control", what="proceed", by="user", value=None, step=self._progress.step)
        heard.check()

    def _attend(self) -> Heard:
        """Lets the small tasks in, and takes the requests, that were left since the last look."""
        if tasks := self._wishes.tasks():
            with key_kept():
                self._model.eval()
                try:
                    for task in tasks:
                        task(self._hooks.interlude)
                finally:
                    self._model.train()
        heard = self._wishes.hear()
        for what, value in heard.requests:
            self._obey(what, value, by="user")
        return heard

    def _obey(self, what: str, value: Any, *, by: str) -> None:
        progress, more = self._progress, {}
        if what == "learning_rate":
            try:
                more["before"], value = self._rate.take(self._optimizer, value)
            except TunerError as error:  # a wish of another process may be any text
                self._emit("log", level="warning", text=f"the learning rate stays: {error.sentence()}")
                return
        elif what == "finish_epoch":
            size = self._order.batches_per_epoch
            progress.finish_at = -(-max(progress.step, 1) // size) * size
        elif what == "probe":
            probes = self._hooks.probes
            if probes is None or not self._ranks.lead(lambda: probes.admit(value)):
                return
        elif what not in ("evaluate", "checkpoint"):
            return
        self._emit("control", what=what, by=by, value=value, step=progress.step, **more)
        if what == "evaluate":
            self._look(extra=True)
        elif what == "probe":
            self._ask()
        elif what == "checkpoint":
            self._save()

    def _one_step(self) -> None:
        progress = self._progress
        due = look_is_due(self._train, progress.step)
        # Whatever is saved until the step is done must stand before its draw.
        self._drawn_from = self._order.state() if due else None
        batch = self._order.next()
        if due:
            self._look()
            self._drawn_from = None
        number = progress.step + 1
        before = self._guard.remember(self._gradients) if self._guard is not None else None
        started = time.perf_counter()
        result = self._compute(batch, number)
        loss, norm = float(result.loss.item()), float(result.norm.item())
        if not is_sound(loss, norm):
            self._after_bad_step(number, batch, before, loss, norm)
            return
        self._gradients = result.gradients
        progress.count(number, loss, int(result.tokens.item()), time.perf_counter() - started, batch)
        progress.skipped_in_a_row = 0
        self._give_memory_back()
        if number % self._train.report_every == 0 or number == self._train.iters:
            self._report(norm)
        if number % self._train.save_every == 0:
            self._save()

    def _compute(self, batch: Batch, number: int) -> StepResult:
        if self._step is None:
            self._step = compile_step(
                self._model,
                self._optimizer,
                self._loss,
                accumulation=self._train.grad_accumulation,
                clip_norm=self._train.clip_norm,
                extra_state=self._rate.state,
                add_up=self._ranks.sum,
            )
        try:
            return self._step(self._loss.arrays(batch), self._gradients, number % self._train.grad_accumulation == 0)
        except (RuntimeError, ValueError) as error:
            raise self._ranks.lost(error) or TunerError(
                f"step {number} failed inside mlx ({str(error).splitlines()[0][:200]})",
                code="step-failed",
                where=_rows(batch),
                fix="resume the run; if it was memory, lower train.batch_size or set train.grad_checkpoint = true",
            ) from error

    def _report(self, norm: float) -> None:
        import mlx.core as mx

        progress = self._progress
        seconds = max(progress.window_seconds, 1e-9)
        progress.trained_tokens += progress.window_tokens
        self._emit(
            "train",
            step=progress.step,
            loss=progress.window_loss / progress.window_steps,
            tokens=progress.window_tokens,
            trained_tokens=progress.trained_tokens,
            tokens_per_second=progress.window_tokens / seconds,
            steps_per_second=progress.window_steps / seconds,
            learning_rate=float(self._optimizer.learning_rate.item()),
            grad_norm=norm,
            peak_memory=int(mx.get_peak_memory()),
            padding_fraction=progress.window_padding / max(progress.window_places, 1),
        )
        progress.start_window()

    def _give_memory_back(self) -> None:
        """As mlx-lm does after each step: buffers kept for other shapes than the next batch's are only memory lost."""
        import mlx.core as mx

        if mx.get_cache_memory() > self._train.clear_cache_threshold * 1e9:
            mx.clear_cache()

    # -- bad steps ------------------------------------------------------------------------------------------------
    def _after_bad_step(self, number: int, batch: Batch, before: Before | None, loss: float, norm: float) -> None:
        """Undoes a step whose loss or gradient is no number; too many in a row roll the run back or end it."""
        progress = self._progress
        what = "loss" if not is_sound(loss) else "gradient"
        self._emit("skipped_step", step=number, reason=f"the {what} is not a number", rows=batch.rows)
        if before is not None and self._guard is not None:
            self._gradients = self._guard.put_back(before)
            progress.step = number
            progress.skipped += 1
            progress.skipped_in_a_row += 1
            if progress.skipped_in_a_row < self._train.max_skipped:
                return
        self._roll_back(batch)

    def _roll_back(self, batch: Batch) -> None:
        progress = self._progress
        loaded = self._store.load() if self._store is not None else None
        if self._train.when_nonfinite == "stop" or loaded is None or progress.rollbacks >= _ROLLBACKS:
            tried = f" after {progress.rollbacks} rollbacks" if progress.rollbacks else ""
            raise TunerError(
                f"the loss or gradient was not a number in {max(progress.skipped_in_a_row, 1)} steps in a row{tried}",
                code="not-finite",
                where=_rows(batch),
                fix="lower train.learning_rate, set train.clip_norm = 1, and look at these rows",
            )
        self._warn(loaded[1])
        snapshot, rollbacks = loaded[0], progress.rollbacks + 1
        present = float(self._optimizer.learning_rate.item())
        self.restore(snapshot)
        if self._hooks.probes is not None:
            self._hooks.probes.rewind(self._progress.step)
        self._progress.rollbacks = rollbacks
        self._progress.skipped_in_a_row = 0
        rate = self._rate.in_force(self._optimizer) if self._rate.state else present
        lower = rate * _ROLLBACK_FACTOR
        self._rate.change(self._optimizer, lower)
        self._emit("control", what="rollback", by="guard", value=lower, before=present, step=self._progress.step)
        self._saved_at = None
        self._save()  # what was rolled back, and at which rate it goes on, must outlast a kill

    # -- looks: validation and probes -----------------------------------------------------------------------------
    def _look(self, *, extra: bool = False) -> None:
        """Validates, asks the probes and judges, after `progress.step` updates.

        `extra` marks a look that mlx-lm would not have taken; it must leave the order of training alone.
        """
        if extra and self._validated_at == self._progress.step:
            return
        loss = self._validate(extra=extra)
        self._ask()
        if loss is not None:
            self._judge(loss)

    def _ask(self) -> None:
        """Has the probes answered; training does not notice."""
        probes, step = self._hooks.probes, self._progress.step
        if probes is not None:
            with key_kept():
                self._ranks.lead(lambda: probes.ask(step))

    def _validate(self, *, extra: bool) -> float | None:
        """The validation loss, in nats per token; None when there are no rows to validate on."""
        progress, limit = self._progress, self._train.eval_batches
        total = self._order.validation_count(limit)
        if not total:
            return None
        started = time.perf_counter()
        tell = Throttle(self._emit, "validation", total)

        def between(done: int) -> None:
            tell(done)
            self._wishes.pass_by()

        batches = self._order.validation(limit, extra=extra)
        loss, tokens = validate(self._model, batches, self._validation_loss, between, self._ranks.total)
        self._emit("validation", step=progress.step, loss=loss, tokens=tokens, seconds=time.perf_counter() - started)
        self._validated_at = progress.step
        return loss

    def _judge(self, loss: float) -> None:
        progress, train = self._progress, self._train
        value = loss
        if train.best_by != "loss" and self._hooks.score is not None:
            score = self._ranks.lead(self._hooks.score)
            value = -score if score is not None else float("nan")
        keep = train.average_best if train.keep == "average" else 1
        best, among = progress.best.add(value, progress.step, keep)
        if among and progress.step:
            self._save(value=value, best=best)
        if progress.best.exhausted(train.patience):
            raise _FinishEarly(f"no better validation in {progress.best.waited} in a row")


def _rows(batch: Batch) -> str:
    shown = ", ".join(str(row + 1) for row in batch.rows[:12])
    return f"rows {shown}{' …' if len(batch.rows) > 12 else ''} of train.jsonl"
