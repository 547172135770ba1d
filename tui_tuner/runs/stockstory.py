"""Turns what mlx-lm printed into events: which run is going on, how far it is, and how it ended.

It must not invent: what mlx-lm does not print is absent from the events, and an end is only told where the log shows
one. No files, no times: each event comes with the seconds that it took as far as its figures tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from .stocklines import Found, Kind

_PROOF: Final = frozenset(
    {"setting", "trainable", "begin", "train", "validation", "checkpoint", "bar", "final", "test"}
)
Told = tuple[dict[str, Any], float]


class StockStory:
    """The runs of one log, told in order.

    Args:
        name: what the runs are called.

    Attributes:
        recognised: whether anything was said that only a training log says.
    """

    def __init__(self, name: str) -> None:
        self.recognised = False
        self._name = name
        self._out: list[Told] = []
        self._running = False
        self._announced = False
        self._settings: dict[str, str] = {}
        self._notes: list[str] = []
        self._reset()

    def tell(self, found: Found) -> None:
        """Take in what a line said."""
        self.recognised = self.recognised or found.kind in _PROOF
        handler = _HANDLERS.get(found.kind)
        if handler is not None:
            handler(self, found)

    def pause(self) -> None:
        """All that was written so far is told: an end that shows in the progress bar alone is told now.

        The bar is full before the last report and the last checkpoint are printed, so a full bar alone is no end.
        """
        if self._running and self._bar_full and self._total and self._last_step == self._total:
            self._finish("finished", "")

    def take(self) -> list[Told]:
        """The events since the last call, each with the seconds that what it tells of took."""
        told, self._out = self._out, []
        return told

    # -- the run ------------------------------------------------------------------------------------------------------
    def _reset(self) -> None:
        self._last_step = 0
        self._last_loss = math.inf
        self._last_validation = 0
        self._last_validation_loss = math.inf
        self._trained = 0.0
        self._total = 0
        self._bar_full = False
        self._warned: set[str] = set()

    def _start(self, total: int = 0) -> None:
        self._reset()
        self._running, self._announced = True, False
        settings, notes, self._settings, self._notes = self._settings, self._notes, {}, []
        batch, _, iters = settings.get("batch · iters", "").partition("·")
        self._total = total or _whole(iters)
        self._event(
            "run_started",
            name=self._name,
            steps=self._total,
            model=settings.get("model", ""),
            data=settings.get("dataset", ""),
            method=settings.get("type", "").partition("·")[0].strip(),
            resumed=False,
            from_step=0,
        )
        self._event("stage", name="train", status="running", text="")
        if "optimizer" in settings:
            notes.append(f"{settings['optimizer']} · batch {batch.strip()}")
        for note in notes:
            self._event("log", level="info", text=note)

    def _finish(self, status: str, reason: str) -> None:
        if not self._running:
            return
        self._running = False
        done = status == "finished"
        self._event("stage", name="train", status="done" if done else "failed", text="" if done else reason)
        self._event("run_finished", status=status, reason=reason)

    def _event(self, kind: str, took: float = 0.0, /, **fields: Any) -> None:
        """Keep an event for `take`; as in the event log, numbers that are not finite are None and named."""
        bad = [name for name, value in fields.items() if isinstance(value, float) and not math.isfinite(value)]
        event = {"type": kind, **fields, **dict.fromkeys(bad)}
        if bad:
            event["nonfinite"] = bad
        self._out.append((event, took if math.isfinite(took) and took > 0 else 0.0))

    def _seconds(self, found: Found, tokens: float | None) -> float:
        """How long the steps of a report took, as far as its figures tell."""
        for amount, name in ((found.step - self._last_step, "steps_per_second"), (tokens, "tokens_per_second")):
            rate = found.numbers.get(name, 0.0)
            if amount is not None and amount > 0 and math.isfinite(rate) and rate > 0:
                return amount / rate
        return 0.0


# -- one kind of line each --------------------------------------------------------------------------------------------
def _on_loading(story: StockStory, found: Found) -> None:
    story._running, story._announced = False, True
    story._settings, story._notes = {}, []
    story._reset()


def _on_setting(story: StockStory, found: Found) -> None:
    if found.name == "model":  # the first line of the box that a run begins with
        story._running = False
        story._reset()
    story._settings[found.name] = found.text


def _on_trainable(story: StockStory, found: Found) -> None:
    if story._running:
        story._event("log", level="info", text=found.text)
    else:
        story._notes.append(found.text)


def _on_train(story: StockStory, found: Found) -> None:
    loss = found.numbers["loss"]
    if story._running and found.step == story._last_step and _same(loss, story._last_loss):
        return  # the same line once more, in a log that was put together from two
    if not story._running or found.step <= story._last_step:
        story._start()
    numbers = dict(found.numbers)
    trained = numbers.get("trained_tokens")
    since = None if trained is None else trained - story._trained
    if since is not None and since >= 0 and found.old:
        numbers["tokens"] = since  # the table gives thousands with one place: too coarse for a difference
    story._event("train", story._seconds(found, since), step=found.step, **numbers)
    story._last_step, story._last_loss = found.step, loss
    story._trained = story._trained if trained is None else trained


def _on_validation(story: StockStory, found: Found) -> None:
    loss = found.numbers["loss"]
    if story._running and found.step == story._last_validation and _same(loss, story._last_validation_loss):
        return
    if not story._running or found.step < max(story._last_step, story._last_validation):
        story._start()
    # Early versions validated after the update, and printed the training loss of the iteration first.
    updates = found.step if found.step == story._last_step else found.step - 1
    story._event("validation", found.numbers.get("seconds", 0.0), step=max(updates, 0), **found.numbers)
    story._last_validation, story._last_validation_loss = found.step, loss


def _on_checkpoint(story: StockStory, found: Found) -> None:
    if not story._running and not story._last_step:
        story._start()
    story._event("checkpoint", step=found.step, path=found.text, best=False)


def _on_bar(story: StockStory, found: Found) -> None:
    story._total = int(found.numbers["total"])
    story._bar_full = found.step == story._total


def _on_testing(story: StockStory, found: Found) -> None:
    if story._last_step:
        story._finish("finished", "")
    if found.kind == "test":
        story._event("log", level="info", text=found.text)


def _on_warning(story: StockStory, found: Found) -> None:
    # The same warning comes with every batch, each time with other numbers.
    kind = "".join(sign for sign in found.text if not sign.isdigit())[:40]
    if kind not in story._warned and story._running:
        story._warned.add(kind)
        story._event("log", level="warning", text=found.text)


def _on_death(story: StockStory, found: Found) -> None:
    if story._announced:
        story._start()
    stopped = found.text.startswith("KeyboardInterrupt")
    story._finish("stopped" if stopped else "failed", "interrupted from the keyboard" if stopped else found.text)


_HANDLERS: Final[dict[Kind, Callable[[StockStory, Found], None]]] = {
    "loading": _on_loading,
    "setting": _on_setting,
    "trainable": _on_trainable,
    "begin": lambda story, found: story._start(_whole(found.text)),
    "train": _on_train,
    "validation": _on_validation,
    "checkpoint": _on_checkpoint,
    "bar": _on_bar,
    "final": lambda story, found: story._finish("finished", f"saved {found.text}"),
    "testing": _on_testing,
    "test": _on_testing,
    "warning": _on_warning,
    "death": _on_death,
}


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def _whole(text: str) -> int:
    digits = text.replace(",", "").strip()
    return int(digits) if digits.isdecimal() else 0
