"""What the app writes for a person: runs that are made, noted, put aside, queued. One thread does it, in their order.

A disk may be slow or busy, and the screen must not wait for it. What was asked for is done, whatever becomes of the app
meanwhile: the thread is no daemon, and the process ends only when it has. Callbacks run where messages do, never in the
thread, and not at all once the app is gone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tui_tuner.ui.app import TunerApp


T = TypeVar("T")


class Writer:
    """Does what writes, one after the other."""

    def __init__(self, app: TunerApp) -> None:
        self._app = app
        self._guard = threading.Lock()
        self._todo: deque[tuple[Callable[[], Any], Callable[[Any], object] | None]] = deque()
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether something that was asked for is not written yet."""
        with self._guard:
            return self._thread is not None

    def do(self, work: Callable[[], T], then: Callable[[T], object] | None = None) -> None:
        """Has `work` done after all that was asked for before.

        Args:
            work: called in the thread; what it raises is told as any failure is.
            then: called on the event loop with what `work` gave, when it raised nothing.
        """
        with self._guard:
            self._todo.append((work, then))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="writer")
                self._thread.start()

    def finish(self, timeout: float) -> None:
        """Waits until all that was asked for is written, `timeout` seconds at most: before the process is ended."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _work(self) -> None:
        while True:
            with self._guard:
                if not self._todo:
                    self._thread = None
                    return
                work, then = self._todo.popleft()
            try:
                found = work()
            except Exception as error:
                self._tell(self._app.report, error)
                continue
            if then is not None:
                self._tell(then, found)

    def _tell(self, what: Callable[[Any], object], found: Any) -> None:
        with suppress(RuntimeError):  # the app has ended: nobody is there to be told
            self._app.call_later(what, found)
