"""An engine behind the commands that answers as a test says: what a command asks for, and what it makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tui_tuner.cli import headless
from tui_tuner.errors import TunerError


class Jobs:
    """Takes every request of a command.

    Attributes:
        asked: the requests, oldest first.
        on_the_way: called with a request one after the other, each followed by a look of whoever waits.
    """

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.on_the_way: list[Callable[[Any], None]] = []
        self._answers: list[Any] = []

    def answer(self, *answers: Any) -> Jobs:
        """Results of the next requests; a `TunerError` is raised, None stands for one that was stopped."""
        self._answers += answers
        return self

    def perform(self, request: Any, look: Callable[[], Any] = lambda: None, begun: Any = None) -> Any:
        """In the place of `headless.perform`."""
        self.asked.append(request)
        for step in self.on_the_way:
            step(request)
            look()
        answer = self._answers.pop(0)
        if isinstance(answer, TunerError):
            raise answer
        return answer


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """The engine of every command that is called from here on."""
    engine = Jobs()
    monkeypatch.setattr(headless, "perform", engine.perform)
    return engine
