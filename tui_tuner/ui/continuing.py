"""Going on where one was: with a conversation that was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui_tuner.chat.library import ChatSummary
    from tui_tuner.ui.app import TunerApp


def go_on_with(app: TunerApp, chat: ChatSummary) -> None:
    """Opens a conversation on the chat screen, with the run that it belongs to."""
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.ui.screens.chat import ChatScreen

    def opened() -> None:
        if isinstance(app.screen, ChatScreen):
            app.screen.go_on_with(chat)

    try:
        run = app.state.run
        if chat.run and (run is None or run.name != chat.run):
            app.select_run(RunFolder.open(app.runs_dir / chat.run))
        app.go("chat")
    except Exception as error:
        app.report(error)
        return
    app.call_after_refresh(opened)
