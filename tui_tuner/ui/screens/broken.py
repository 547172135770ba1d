"""Stands in for a screen that could not be built, so that one damaged screen does not take the others along."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import inert


class BrokenScreen(WorkbenchScreen):
    """Says which screen is missing and why.

    Args:
        mode: the mode whose screen it stands in for.
        error: what was raised while the screen was built.
    """

    def __init__(self, mode: str, error: Exception) -> None:
        self.MODE = mode
        self._error = error
        super().__init__()

    def compose_body(self) -> ComposeResult:
        reason = f"{type(self._error).__name__}: {self._error}"
        yield Static(
            inert(f"The {self.MODE} screen could not be opened.\n{reason}\n\nThe other screens work.", lines=True),
            classes="empty",
        )

    def on_mount(self) -> None:
        self.tuner.report(self._error)
