"""One question to the engine's side lane at a time, and its answer: asked again only when the question changed."""

from __future__ import annotations

from collections.abc import Hashable

from tui_tuner.engine.protocol import Engine, JobHandle, JobStatus
from tui_tuner.engine.requests import Request


class Lookup:
    """Remembers what was asked.

    Attributes:
        handle: the job of the last question, or None.
    """

    def __init__(self) -> None:
        self.handle: JobHandle | None = None
        self._key: Hashable = None

    def ask(self, engine: Engine, key: Hashable, request: Request, *, again: bool = False) -> None:
        """Submits `request` unless the same question (by `key`) was asked last; an older one is given up.

        Args:
            again: ask even if the question is the same.
        """
        if self.asked(key) and not again:
            return
        self.forget()
        self._key = key
        self.handle = engine.submit(request)

    def asked(self, key: Hashable) -> bool:
        """Whether this question was the last one."""
        return self.handle is not None and self._key == key

    def forget(self) -> None:
        """Gives the question up."""
        if self.handle is not None and not self.handle.status.ended:
            self.handle.control.stop()
        self.handle = None
        self._key = None

    @property
    def waiting(self) -> bool:
        """Whether the answer is still to come."""
        return self.handle is not None and not self.handle.status.ended

    @property
    def result(self) -> object | None:
        """The answer, or None."""
        done = self.handle is not None and self.handle.status is JobStatus.DONE
        return self.handle.result if done and self.handle is not None else None

    @property
    def problem(self) -> str:
        """Why there will be no answer, as a sentence; empty when that is not so."""
        if self.handle is None or self.handle.status not in (JobStatus.FAILED, JobStatus.STOPPED):
            return ""
        return self.handle.error.sentence() if self.handle.error is not None else "It was stopped."
