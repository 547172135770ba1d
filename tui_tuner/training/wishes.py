"""What the loop is asked for, heard by all ranks at the same moment: a stop, a pause, and requests, old and new.

Only rank 0's control is asked; what it says is said to all. The loop must ask nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui_tuner.runs.control import Heard, JobControl
from tui_tuner.training.ranks import Ranks


class Wishes:
    """The wishes of those who watch a training, and those that an earlier part of the run took.

    Args:
        control: where they are left; on another rank than 0 nobody listens to it.
        ranks: who hears them.
        replay: (step, what, value) that are to be taken again.
    """

    def __init__(self, control: JobControl, ranks: Ranks, replay: list[tuple[int, str, Any]]) -> None:
        self._control, self._ranks = control, ranks
        self._replay = list(replay)

    def due(self, step: int) -> list[tuple[str, Any]]:
        """What was asked for at this step the last time. Once only: a rollback may come by it again."""
        due = [(what, value) for at, what, value in self._replay if at == step]
        self._replay = [request for request in self._replay if request[0] != step]
        return due

    def hear(self) -> Heard:
        """All that is asked at this moment; of requests of one kind the newest counts, so a repeated one falls away."""
        heard = self._look(take=True)
        new = {what for what, _ in heard.requests}
        self._replay = [request for request in self._replay if request[1] not in new]
        return heard

    def wait(self) -> None:
        """Waits, in a pause, until there may be something to do."""
        self._ranks.idle(self._control.wait_for_attention)

    def pass_by(self) -> None:
        """Waits out a pause; for moments when requests cannot be taken.

        Raises:
            StopRequested: when a stop is asked.
        """
        while (heard := self._look(take=False)).paused and heard.stop is None:
            self._ranks.idle(self._control.wait_while_paused)
        heard.check()

    def tasks(self) -> list[Callable[[Any], None]]:
        """The small tasks that were left for this rank."""
        return self._control.take_interludes()

    def _look(self, *, take: bool) -> Heard:
        stop, paused, requests = self._ranks.lead(lambda: self._control.hear(take=take))
        return Heard(stop, paused, [(what, value) for what, value in requests])
