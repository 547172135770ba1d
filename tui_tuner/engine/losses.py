"""Which loss a run trains with: chosen by its mode, proven on real rows, and a word on what it could not do.

Here it is decided whether what frozen layers compute is kept, and where it is not asked for, whether that would pay.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tui_tuner import units
from tui_tuner.config import AdapterSection, TrainSection
from tui_tuner.engine.new_run import model_fingerprint
from tui_tuner.engine.shelf import file_stamp
from tui_tuner.models.device import device_memory
from tui_tuner.paths import cache_dir
from tui_tuner.runs.progress import Emit
from tui_tuner.training.advice import Advice
from tui_tuner.training.batches import Batch
from tui_tuner.training.distributed import part_of
from tui_tuner.training.fast.activations import ActivationStore
from tui_tuner.training.fast.frozen import FrozenLoss, frozen_layers, frozen_loss, obstacle
from tui_tuner.training.fast.loss import FastLoss, fast_loss
from tui_tuner.training.fast.offer import Offer, hidden_states, work_of, worth_it
from tui_tuner.training.fast.order import FastOrder
from tui_tuner.training.parts import Order
from tui_tuner.training.randomness import key_kept
from tui_tuner.training.ranks import ALONE, Ranks
from tui_tuner.training.step import Loss, StockLoss

_MOST_DISK = 8 << 30  # bytes


class LossChoice:
    """Chooses the loss of a run.

    Args:
        model: with its adapter attached.
        order: which rows come when; left at the position it has.
        base: the base model's folder.
        train: with `iters` settled.
        from_step: where training begins.
        emit: where the log goes.
        advise: takes advice that is for another run.
        ranks: who shares the rows of each batch.
    """

    def __init__(
        self,
        model: Any,
        order: Order,
        base: Path,
        train: TrainSection,
        adapter: AdapterSection,
        *,
        from_step: int,
        emit: Emit,
        advise: Callable[[Advice], None],
        ranks: Ranks = ALONE,
    ) -> None:
        self._model, self._order, self._base = model, order, base
        self._train, self._adapter = train, adapter
        self._epochs = (train.iters - from_step) / order.batches_per_epoch
        self._emit, self._advise = emit, advise
        self._ranks = ranks

    def loss(self) -> Loss:
        """The loss. Draws nothing: neither rows nor random numbers."""
        order, reuse = self._order, self._train.reuse_frozen
        if not isinstance(order, FastOrder):
            if reuse:
                self._log("warning", 'train.reuse_frozen is not done in stock mode, only with train.mode = "fast"')
            return StockLoss()
        position = order.state()
        sample: Batch = order.next()
        order.restore(position)
        if self._ranks.size > 1:
            sample = part_of(sample, self._ranks.rank, self._ranks.size, stock=False)
        with key_kept():
            loss = fast_loss(self._model, sample)
            if loss.reason:
                self._log("warning", loss.reason)
            if reuse:
                return self._reusing(loss, order, sample)
            self._offer(loss, order, sample)
        return loss

    def _reusing(self, loss: FastLoss, order: FastOrder, sample: Batch) -> Loss:
        memory, disk, folder = _room(self._ranks.size)
        # The fingerprint reads large files only at their ends, so the times of change are part of the key.
        fingerprint = f"{model_fingerprint(self._base)}|{file_stamp(self._base)}"
        store = ActivationStore(memory=memory, folder=folder, disk=disk)
        chosen, reason = frozen_loss(self._model, loss, sample, store, fingerprint)
        if not isinstance(chosen, FrozenLoss):
            self._log("warning", reason)
            return chosen
        offer = self._forecast(loss, order, sample, memory + disk)
        place = f"up to {units.size(memory)} in memory, then up to {units.size(disk)} in {folder}"
        text = f"what the lower {chosen.depth} of {len(self._model.layers)} layers compute is kept, {place}"
        self._log("info", f"{text}: {'' if offer.worth else 'this brings little, as '}{offer.sentence}")
        return chosen

    def _offer(self, loss: FastLoss, order: FastOrder, sample: Batch) -> None:
        """Says so when reusing is not asked for and would pay, after the proof that it can be done."""
        if obstacle(self._model, loss):
            return
        memory, disk, _ = _room(self._ranks.size)
        offer = self._forecast(loss, order, sample, memory + disk)
        if not offer.worth or frozen_loss(self._model, loss, sample, ActivationStore(memory=0), "")[1]:
            return
        text = (
            f"The lower {frozen_layers(self._model)} of {len(self._model.layers)} layers are frozen and compute the "
            f"same in every epoch. With it kept, such a run would be {offer.sentence}; its losses stay the same."
        )
        evidence = {"speedup": offer.speedup, "bytes": float(offer.bytes), "epochs": self._epochs}
        self._advise(Advice("reuse-frozen", "info", text, {"train.reuse_frozen": True}, evidence))

    def _forecast(self, loss: FastLoss, order: FastOrder, sample: Batch, budget: int) -> Offer:
        size = order.size(self._train.eval_batches)
        hidden, itemsize = hidden_states(self._model, loss, sample)
        full, recomputed = self._adapter.method == "full", self._train.grad_checkpoint
        work = work_of(self._model, loss, size, hidden, full=full, recomputed=recomputed)
        places = (size.train + size.valid) // self._ranks.size
        return worth_it(work, epochs=self._epochs, places=places, itemsize=itemsize, budget=budget)

    def _log(self, level: str, text: str) -> None:
        self._emit("log", level=level, text=text)


def _room(ranks: int) -> tuple[int, int, Path]:
    """Bytes of memory and of files that one of so many ranks may keep, and the files' folder.

    An eighth of what the device can give, and no more than a quarter of what the model leaves; a quarter of what is
    free on the disk, up to 8 GB.
    """
    import mlx.core as mx

    usable = device_memory().usable
    memory = min(usable // 8, max(usable - int(mx.get_active_memory()), 0) // 4)
    folder = cache_dir() / "activations"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        disk = min(_MOST_DISK, shutil.disk_usage(folder).free // 4)
    except OSError:
        disk = 0
    return memory // ranks, disk // ranks, folder
