"""How a job is steered while it runs: stop, pause, requests, interludes.

A `JobControl` is shared by one job and by whoever watches it. The watcher asks from any thread; the job looks between
steps, between generated tokens and between rows, where everything is whole. It never interrupts anything by force and
never knows who runs the job.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple


class StopRequested(Exception):  # noqa: N818 (it is a wish that is granted, no error)
    """Raised inside a job by `JobControl.check` once a stop is asked; the job saves what it has and ends as stopped."""


class Heard(NamedTuple):
    """What a job is asked at one moment.

    Attributes:
        stop: who asked for a stop; None when nobody did.
        paused: whether it is asked to wait.
        requests: the wishes left since they were last taken, oldest first: what, and the value.
    """

    stop: str | None
    paused: bool
    requests: list[tuple[str, Any]]

    def check(self) -> None:
        """Go on, or raise when a stop is asked.

        Raises:
            StopRequested: with the reason as its text.
        """
        if self.stop is not None:
            raise StopRequested(self.stop)


class JobControl:
    """The wishes of those who watch a job, safe to use from any thread.

    A stop is final: the first reason is kept, later ones are ignored, and a paused job wakes to obey it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stop = False
        self._stop_reason = ""
        self._paused = False
        self._requests: list[tuple[str, Any]] = []
        self._interludes: list[Callable[[Any], None]] = []
        self._listeners: list[Callable[[], None]] = []
        self._trouble = ""

    # -- stop ---------------------------------------------------------------------------------------------------------
    def stop(self, by: str = "user") -> None:
        """Ask the job to stop at its next safe point.

        Args:
            by: who or what asks ("user", "signal", "shutdown"); kept as `stop_reason`.
        """
        with self._changed:
            if self._stop:
                return
            self._stop = True
            self._stop_reason = by
            self._changed.notify_all()
        self._tell()

    @property
    def stop_requested(self) -> bool:
        """Whether anybody has asked the job to stop."""
        with self._changed:
            return self._stop

    @property
    def stop_reason(self) -> str:
        """Who asked for the stop; empty before that."""
        with self._changed:
            return self._stop_reason

    def check(self) -> None:
        """Go on, or raise when a stop is asked.

        Raises:
            StopRequested: with the reason as its text.
        """
        with self._changed:
            if self._stop:
                raise StopRequested(self._stop_reason)

    def hear(self, *, take: bool = True) -> Heard:
        """All that is asked at this moment.

        Args:
            take: whether requests are handed out, once and for all; otherwise none are told of.
        """
        with self._changed:
            taken: list[tuple[str, Any]] = []
            if take:
                taken, self._requests = self._requests, taken
            return Heard(self._stop_reason if self._stop else None, self._paused, taken)

    def wait_for_stop(self, timeout: float) -> bool:
        """Block the job's thread for up to `timeout` seconds; returns at once, and True, when a stop is asked."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stop, timeout)

    # -- trouble ------------------------------------------------------------------------------------------------------
    @property
    def trouble(self) -> str:
        """What the job waits for and a person could mend, as a sentence; empty when all is well."""
        with self._changed:
            return self._trouble

    def set_trouble(self, text: str) -> None:
        """The job says what it waits for; empty when that is over."""
        with self._changed:
            if self._trouble == text:
                return
            self._trouble = text
        self._tell()

    # -- pause --------------------------------------------------------------------------------------------------------
    def pause(self) -> None:
        """Ask the job to wait at its next safe point until `proceed` or `stop`."""
        self._set_paused(True)

    def proceed(self) -> None:
        """Let a paused job go on."""
        self._set_paused(False)

    @property
    def paused(self) -> bool:
        """Whether the job is asked to wait."""
        with self._changed:
            return self._paused

    def wait_while_paused(self, timeout: float | None = None) -> None:
        """Block the job's thread while it is asked to wait; returns at once when it is not, or when a stop is asked.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stop or not self._paused, timeout)

    def wait_for_attention(self, timeout: float | None = None) -> bool:
        """Block a paused job until there is anything to do: proceed, stop, a request or an interlude.

        With it a paused job can still answer a chat. Returns at once when the job is not paused.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.

        Returns:
            Whether there is something to do (False only after the timeout).
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: self._stop or not self._paused or bool(self._requests) or bool(self._interludes), timeout
            )

    # -- requests and interludes --------------------------------------------------------------------------------------
    def request(self, what: str, value: Any = None) -> None:
        """Leave a wish for the job's next safe point.

        Args:
            what: "learning_rate", "evaluate", "checkpoint", "finish_epoch" or "probe".
            value: for "learning_rate" the new rate, or a factor such as "x0.5"; for "probe" a new prompt, or None.
        """
        with self._changed:
            self._requests.append((what, value))
            self._changed.notify_all()
        self._tell()

    def take_requests(self) -> list[tuple[str, Any]]:
        """The wishes left since the last call, oldest first; each is handed out once."""
        return self.hear().requests

    def submit_interlude(self, fn: Callable[[Any], None]) -> None:
        """Leave a small task that the job runs between two steps, on its own thread, with what it offers."""
        with self._changed:
            self._interludes.append(fn)
            self._changed.notify_all()
        self._tell()

    def take_interludes(self) -> list[Callable[[Any], None]]:
        """The small tasks left since the last call, oldest first; each is handed out once."""
        with self._changed:
            taken, self._interludes = self._interludes, []
            return taken

    # -- listeners ----------------------------------------------------------------------------------------------------
    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after every change, on the thread that made it and with no lock held.

        Returns:
            A function that ends the subscription.
        """
        with self._changed:
            self._listeners.append(callback)

        def unsubscribe() -> None:
            with self._changed:
                if callback in self._listeners:
                    self._listeners.remove(callback)

        return unsubscribe

    def _set_paused(self, paused: bool) -> None:
        with self._changed:
            if self._paused == paused:
                return
            self._paused = paused
            self._changed.notify_all()
        self._tell()

    def _tell(self) -> None:
        """Tell every listener, also when one of them fails; the first failure is raised once all have heard."""
        with self._changed:
            listeners = list(self._listeners)
        failure: Exception | None = None
        for listener in listeners:
            try:
                listener()
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure
