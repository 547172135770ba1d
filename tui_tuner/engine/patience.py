"""Waits for space on a full disk instead of ending a run for want of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tui_tuner.errors import TunerError
from tui_tuner.runs.control import JobControl

T = TypeVar("T")
_LOOK = 2.0


class Patience:
    """Does what writes to the disk again and again while there is no space, until there is, or a stop is asked.

    Args:
        control: its `trouble` says what is waited for; a stop ends the waiting.
        told: called with the seconds waited, once space is back.
        look: seconds between two tries.
    """

    def __init__(self, control: JobControl, told: Callable[[float], None], look: float = _LOOK) -> None:
        self._control, self._told, self._look = control, told, look

    def __call__(self, action: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """The action's result.

        Raises:
            TunerError: what the action raises for any other reason; the lack of space when a stop is asked.
        """
        started: float | None = None
        while True:
            try:
                result = action(*arguments, **options)
            except TunerError as error:
                if error.code != "no-space":
                    raise
                started = started or time.monotonic()
                self._control.set_trouble(f"{error.sentence()} The run waits for space and then goes on.")
                if self._control.wait_for_stop(self._look):
                    raise
                continue
            if started is not None:
                self._control.set_trouble("")
                self._told(time.monotonic() - started)
            return result
