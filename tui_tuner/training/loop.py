"""The training loop: stock arithmetic and order, with control between any two steps.

It reports every figure as an event, honours stop and pause within one step, and saves what exact resume needs. It must
never print, never touch numpy's global generator, and never leave a layer's class patched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tui_tuner.config import TrainSection
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import JobControl, StopRequested
from tui_tuner.runs.progress import Emit, Throttle
from tui_tuner.training.batches import StockOrder
from tui_tuner.training.checkpoint import CheckpointStore, Progress, Snapshot
from tui_tuner.training.step import checkpointed_layers, compile_step, stock_loss, to_arrays, validate


@dataclass(frozen=True)
class TrainOutcome:
    """How training ended: `finished` or `stopped`, after which step, and the lowest validation loss (nats/token)."""

    status: str
    step: int
    best_loss: float | None
    best_step: int | None


class Trainer:
    """Trains what is trainable of a model.

    Args:
        model: a module tree with an adapter attached (or layers unfrozen).
        optimizer: of `build_optimizer`, not yet used.
        order: which rows come when.
        train: the configuration's section.
        emit: where events go.
        control: looked at between steps and between validation batches.
        store: where checkpoints go; None to save nothing.
        after_validation: called with the step after each validation, while the model is in training mode; for samples.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        order: StockOrder,
        train: TrainSection,
        *,
        emit: Emit,
        control: JobControl,
        store: CheckpointStore | None = None,
        after_validation: Callable[[int], None] | None = None,
    ) -> None:
        self._model, self._optimizer, self._order, self._train = model, optimizer, order, train
        self._emit, self._control, self._store = emit, control, store
        self._after_validation = after_validation
        self._loss = stock_loss()
        self._progress = Progress()
        self._gradients: Any = None
        self._validated_at: int | None = None
        self._saved_at: int | None = None

    def restore(self, snapshot: Snapshot) -> None:
        """Goes to a checkpoint's position, bit for bit: weights, optimizer, gradients, order, random key."""
        import mlx.core as mx
        from mlx.utils import tree_unflatten

        self._model.load_weights(list(snapshot.weights.items()), strict=False)
        self._optimizer.init(self._model.trainable_parameters())
        self._optimizer.state = tree_unflatten(list(snapshot.optimizer.items()))
        self._gradients = tree_unflatten(list(snapshot.gradients.items())) if snapshot.gradients else None
        self._progress = replace(snapshot.progress)
        self._order.restore(snapshot.progress.order)
        high, low = (int(word) for word in snapshot.key.tolist())
        mx.random.seed((high << 32) | low)
        self._saved_at = self._progress.step

    def run(self) -> TrainOutcome:
        """Trains to the configured number of iterations, or until a stop is asked for.

        Raises:
            TunerError: when a checkpoint cannot be written, or a step fails inside mlx.
        """
        import mlx.core as mx

        mx.reset_peak_memory()
        self._model.train()
        status = "finished"
        with checkpointed_layers(self._model, self._train.grad_checkpoint):
            step = compile_step(self._model, self._optimizer, self._loss, self._train.grad_accumulation)
            try:
                while self._progress.step < self._train.iters:
                    self._between_steps()
                    self._one_step(step)
                self._validate(self._order.state(), final=True)
            except StopRequested:
                status = "stopped"
        self._save()
        progress = self._progress
        return TrainOutcome(status, progress.step, progress.best_loss, progress.best_step)

    def _between_steps(self) -> None:
        if self._control.paused:
            self._save()
            self._control.wait_while_paused()
        self._control.check()

    def _one_step(self, step: Callable[..., Any]) -> None:
        import mlx.core as mx

        progress, train = self._progress, self._train
        position = self._order.state() if self._validation_is_due(progress.step + 1) else None
        batch = self._order.next()
        if position is not None:
            self._validate(position)
        number = progress.step + 1
        started = time.perf_counter()
        try:
            value, tokens, self._gradients, norm = step(
                to_arrays(batch), self._gradients, number % train.grad_accumulation == 0
            )
        except (RuntimeError, ValueError) as error:
            raise TunerError(
                f"step {number} failed inside mlx ({str(error).splitlines()[0][:200]})",
                code="step-failed",
                where=f"rows {', '.join(str(r + 1) for r in batch.rows)} of train.jsonl",
                fix="resume the run; if it was memory, lower train.batch_size or set train.grad_checkpoint = true",
            ) from error
        progress.step = number
        progress.window_seconds += time.perf_counter() - started
        # Summed in float32, as mlx-lm does, so that reported means agree to the last bit.
        progress.window_loss = float((mx.array(progress.window_loss) + value).item())
        progress.window_tokens += int(tokens.item())
        progress.window_steps += 1
        if number % train.report_every == 0 or number == train.iters:
            self._report(float(norm.item()), batch.padding)
        if number % train.save_every == 0:
            self._save()

    def _report(self, norm: float, padding: float) -> None:
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
            padding_fraction=padding,
        )
        progress.window_loss, progress.window_tokens = 0.0, 0
        progress.window_steps, progress.window_seconds = 0, 0.0

    def _validation_is_due(self, number: int) -> bool:
        """mlx-lm validates before its first step, before every eval_every-th, and before its last."""
        if not self._order.validation_count(self._train.eval_batches):
            return False
        return number in (1, self._train.iters) or number % self._train.eval_every == 0

    def _validate(self, position: dict[str, Any], *, final: bool = False) -> None:
        """Validates after `progress.step` updates; `position` is the order's before this step's draw."""
        progress, limit = self._progress, self._train.eval_batches
        total = self._order.validation_count(limit)
        if not total or (final and self._validated_at == progress.step):
            return
        started = time.perf_counter()

        tell = Throttle(self._emit, "validation", total)

        def between(done: int) -> None:
            tell(done)
            self._control.wait_while_paused()
            if self._control.stop_requested:
                # This step's rows were drawn already: the checkpoint must stand before the draw.
                self._save(position=position)
                self._control.check()

        loss, tokens = validate(self._model, self._order.validation(limit), self._loss, between)
        self._emit("validation", step=progress.step, loss=loss, tokens=tokens, seconds=time.perf_counter() - started)
        self._validated_at = progress.step
        if loss == loss and (progress.best_loss is None or loss < progress.best_loss):
            progress.best_loss, progress.best_step = loss, progress.step
            if progress.step:
                self._save(position=position, best=True)
        if self._after_validation is not None:
            self._after_validation(progress.step)

    def _save(self, *, position: dict[str, Any] | None = None, best: bool = False) -> None:
        """Saves the position between two steps, unless this very one is saved already."""
        if self._store is None or (self._saved_at == self._progress.step and not best):
            return
        import mlx.core as mx
        from mlx.utils import tree_flatten

        snapshot = Snapshot(
            replace(self._progress, order=position or self._order.state()),
            dict(tree_flatten(self._model.trainable_parameters())),
            dict(tree_flatten(self._optimizer.state)),
            dict(tree_flatten(self._gradients)) if self._gradients is not None else {},
            mx.random.state[0],
        )
        path = self._store.save(snapshot, best=best)
        self._saved_at = self._progress.step
        self._emit("checkpoint", step=self._progress.step, path=path.name, best=best)
