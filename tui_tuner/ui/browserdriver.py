"""Textual's driver for a browser, for a window that can go away at any moment.

Textual's own ends its reading quietly when the server is gone, and fails in the middle of a screen's drawing when
nobody takes what it writes. A window that is lost must cost nothing: the app is told, sees to its runs, and leaves.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from textual.drivers.web_driver import WebDriver

if TYPE_CHECKING:
    from tui_tuner.ui.app import TunerApp


class BrowserDriver(WebDriver):
    """Draws through pipes to the server; says when they are broken."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._write = self._write_all  # type: ignore[assignment]
        self._broken = False

    def run_input_thread(self) -> None:
        """Reads until the app leaves or the window is lost."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            from tui_tuner.ui.leaving import window_lost

            try:
                self._loop.call_soon_threadsafe(window_lost, cast("TunerApp", self._app))
            except RuntimeError:
                pass  # the app has ended meanwhile

    def _write_all(self, data: bytes) -> int:
        """Writes a whole packet: half of one would garble all that follow. What nobody takes is dropped."""
        rest = memoryview(data)
        try:
            while rest and not self._broken:
                rest = rest[os.write(self.fileno, rest) :]
        except OSError:
            self._broken = True
        return len(data)
