"""What can be begun from a screen: the quickstart, a new experiment, a preset, a draft, a run or a chat gone on with.

Nothing is started that the line did not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_tuner.ui.screens.base import WorkbenchScreen

if TYPE_CHECKING:
    from tui_tuner.chat.library import ChatSummary
    from tui_tuner.config.presets import Preset
    from tui_tuner.runs.catalogue import RunSummary
    from tui_tuner.ui.drafts import Draft

QUICKSTART = "quickstart"


class StartWorkScreen(WorkbenchScreen):
    """A screen whose lines begin or open something."""

    def action_quickstart(self) -> None:
        """Loads the embedded experiment and starts it."""
        self.tuner.load_preset(QUICKSTART)
        self.tuner.start_run()

    def _new(self) -> None:
        self.tuner.go("models")

    def _load_preset(self, preset: Preset) -> None:
        self.tuner.load_preset(str(preset.path))
        self.tuner.notice(f"{preset.name} is loaded: press 2 to see its data, f5 to start.")
        self.tuner.go("config")

    def _take_draft(self, draft: Draft) -> None:
        self.tuner.set_experiment(draft.experiment(), base=draft.base, edited=True)
        self.tuner.notice(f"{draft.name} is set up as you left it: f5 starts it.")
        self.tuner.go("config")

    def _open(self, run: RunSummary) -> None:
        from tui_tuner.runs.folder import RunFolder

        self.tuner.select_run(RunFolder.open(run.path))
        self.tuner.go("train")

    def _talk(self, chat: ChatSummary) -> None:
        from tui_tuner.ui.continuing import go_on_with

        go_on_with(self.tuner, chat)
