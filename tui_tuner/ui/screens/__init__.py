"""One module and one style sheet per mode. Imported on the first visit of the mode, never before."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from textual.screen import Screen

SCREENS: dict[str, str] = {
    "home": "tui_tuner.ui.screens.home:HomeScreen",
    "models": "tui_tuner.ui.screens.models:ModelsScreen",
    "data": "tui_tuner.ui.screens.data:DataScreen",
    "config": "tui_tuner.ui.screens.config:ConfigScreen",
    "train": "tui_tuner.ui.screens.train:TrainScreen",
    "benchmark": "tui_tuner.ui.screens.benchmark:BenchmarkScreen",
    "chat": "tui_tuner.ui.screens.chat:ChatScreen",
    "runs": "tui_tuner.ui.screens.runs:RunsScreen",
}
"""Mode name → module and class of its screen."""


def factory(mode: str) -> Callable[[], Screen[Any]]:
    """What builds a mode's screen on its first visit. A screen that cannot be imported is replaced by its error."""

    def build() -> Screen[Any]:
        module, _, name = SCREENS[mode].partition(":")
        try:
            return getattr(import_module(module), name)()  # type: ignore[no-any-return]
        except Exception as error:
            from tui_tuner.ui.screens.broken import BrokenScreen

            return BrokenScreen(mode, error)

    return build
