"""`attach` without a screen: what a run, or the log of another program, says so far, and what comes as it comes.

It only reads, and steers nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tui_tuner.cli import machine
from tui_tuner.cli.output import Output
from tui_tuner.cli.telling import Teller
from tui_tuner.runs import Event, EventTail, RunFolder, RunState, RunView, holder
from tui_tuner.runs.reading import recorded
from tui_tuner.training.watch import LogWatch, word_of
from tui_tuner.ui import format as fmt

_LOOK = 0.5
"""Seconds between looks with `--follow`."""


class Watched(Protocol):
    """What can be told of: a run folder, or a log of another program."""

    kind: str
    """`run` or `log`: the key under which the document names it."""

    @property
    def path(self) -> Path: ...

    @property
    def view(self) -> RunView: ...

    def poll(self) -> list[Event]: ...

    def state(self) -> RunState: ...

    def word(self) -> str: ...


class WatchedRun:
    """A run folder, whoever writes it."""

    kind = "run"

    def __init__(self, folder: RunFolder) -> None:
        self.path, self.view = folder.path, RunView()
        self._tail = EventTail(folder.events)

    def poll(self) -> list[Event]:
        """The events since the last call."""
        events = self._tail.poll()
        self.view.extend(events)
        return events

    def state(self) -> RunState:
        """The run's state."""
        return self.view.state(alive=holder(self.path) is not None)

    def word(self) -> str:
        """The state in a word."""
        return self.state().value


class WatchedLog:
    """A log of another program."""

    kind = "log"

    def __init__(self, path: Path) -> None:
        self._watch = LogWatch(path)
        self.path = self._watch.path

    @property
    def view(self) -> RunView:
        """The last run of the log."""
        return self._watch.view

    def poll(self) -> list[Event]:
        """The events since the last call.

        Raises:
            TunerError: the file is not there, or no log.
        """
        events = self._watch.poll()
        if self._watch.problem is not None:
            raise self._watch.problem
        return events

    def state(self) -> RunState:
        """The run's state as far as the log tells."""
        return self._watch.state(time.time())

    def word(self) -> str:
        """The state in a word that is true of a log."""
        return word_of(self.state())


def tell(watched: Watched, output: Output, *, follow: bool = False) -> int:
    """Says what there is to say; with `follow` also what comes, until the run ends.

    Returns:
        The exit status: with `follow` 1 for a run that did not finish well, else 0.

    Raises:
        TunerError: it cannot be read.
    """
    if follow:
        try:
            _follow(watched, output)
        except KeyboardInterrupt:  # of the watcher; whoever runs it has heard nothing
            goes_on = "" if watched.state().ended else f"; the {watched.kind} goes on"
            output.note(f"no longer followed{goes_on}")
    else:
        watched.poll()
    if output.json:
        output.document(document(watched, time.time()))
    elif not follow:
        for line in summary(watched, time.time()):
            output.say(line)
    return 1 if follow and watched.state() is not RunState.FINISHED else 0


def _follow(watched: Watched, output: Output) -> None:
    """Tells events as they come, until the run has ended; the silence of a log is no end."""
    teller = Teller(output.note if output.json else output.say)
    while True:
        for event in watched.poll():
            teller.tell(event)
        finished = watched.view.finished
        ended = finished is not None or (watched.kind == "run" and watched.state().ended)
        if ended and watched.state() is RunState.FAILED:
            output.note(f"failed: {watched.view.reason or 'it gave no reason'}")
        if ended:
            return
        time.sleep(_LOOK)


def document(watched: Watched, now: float) -> dict[str, Any]:
    """The `--json` document of `attach`; losses in nats per token, `seconds_left` from `now` on.

    Args:
        watched: what is told of, polled.
        now: seconds since the epoch.
    """
    view, state = watched.view, watched.state()
    best_step, best = _best(view)
    reading = recorded(view)
    return {
        watched.kind: str(watched.path),
        "state": watched.word(),
        "model": view.model,
        "step": view.step,
        "steps": view.steps,
        "train_loss": view.train.last("loss"),
        "validation_loss": view.validation.last("loss"),
        "best_validation_loss": best,
        "best_validation_step": best_step,
        "tokens_per_second": view.train.last("tokens_per_second"),
        "seconds": view.elapsed,
        "seconds_left": view.eta_seconds(now) if state is RunState.RUNNING else None,
        "machine": None if reading is None else machine.document(reading),
        "reason": view.reason if state.ended else "",
        "advice": [{key: event.get(key) for key in ("code", "severity", "text", "change")} for event in view.advice],
    }


def summary(watched: Watched, now: float) -> list[str]:
    """The same in a few lines; what is not known is left out."""
    facts = document(watched, now)
    steps = f" of {facts['steps']}" if facts["steps"] else ""
    head = f"{facts['state']}, " + (f"step {facts['step']}{steps}" if facts["step"] else "nothing was reported yet")
    if facts["seconds_left"] is not None:
        head += f", about {fmt.duration(facts['seconds_left'])} left"
    if facts["reason"]:
        head += f" ({facts['reason']})"
    lines = [f"{watched.path.name}: {head}"]
    if len(watched.view.train):
        lines.append(f"train loss       {fmt.number(facts['train_loss'])}")
    if len(watched.view.validation):
        best = "" if facts["best_validation_loss"] is None else (
            f", best {fmt.number(facts['best_validation_loss'])} at step {facts['best_validation_step']}"
        )  # fmt: skip
        lines.append(f"validation loss  {fmt.number(facts['validation_loss'])}{best}")
    if np.isfinite(facts["tokens_per_second"]):
        lines.append(f"speed            {fmt.count(facts['tokens_per_second'])} tokens/s")
    if (reading := recorded(watched.view)) is not None and (told := machine.figures(reading)):
        lines.append(f"machine          {told}")
    lines += [f"{advice['severity']:<16} {advice['text']}" for advice in facts["advice"]]
    return lines


def _best(view: RunView) -> tuple[int | None, float | None]:
    """The step of the lowest validation loss, and that loss."""
    best = view.best_validation
    if best is None:
        return None, None
    at = int(np.flatnonzero(view.validation.column("loss") == best)[0])
    return int(view.validation.column("step")[at]), best
