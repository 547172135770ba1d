"""The application: modes, the run being followed, and the way between screens and engine.

Everything it needs is handed in, so that tests drive it with a double. It must stay light: screens are imported on
their first visit, and nothing here may import a heavy library, wait for a job, or read a long file on the event loop.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.message import Message
from textual.screen import Screen

from tui_tuner.errors import TunerError
from tui_tuner.ui import themes
from tui_tuner.ui.actions import MODES, bindings
from tui_tuner.ui.commands import WorkbenchCommands
from tui_tuner.ui.jobs import Jobs
from tui_tuner.ui.messages import EngineChanged, ExperimentChanged, RunChanged, RunSelected
from tui_tuner.ui.screens import factory
from tui_tuner.ui.state import WorkbenchState
from tui_tuner.ui.text import visible

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment
    from tui_tuner.config.presets import Preset
    from tui_tuner.engine.protocol import Engine
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.settings import Settings
    from tui_tuner.ui.follower import RunFollower

BEAT = 0.2
"""Seconds between looks at the events of an active run; an idle run is looked at every fifth time."""


class TunerApp(App[int]):
    """The workbench.

    Args:
        engine: runs the jobs; the app starts it after the first frame, and shuts it down when it leaves.
        runs_dir: where run folders are made and listed.
        preset: name or path of a preset to load.
        overrides: `key=value` settings for it.
        autostart: begin a run of the preset right after the first frame.
        run: a run folder to look at.
        settings: the person's settings; None means defaults that are not stored.
        stop_timeout: seconds that leaving waits for the engine.

    Attributes:
        state: what all screens share.
        jobs: the engine as screens should use it.
        stopping: whether the app is waiting for the engine to come to an end.
        clock: seconds since the epoch; tests freeze it.
        mishaps: exceptions that were turned into notices; tests look here.
    """

    TITLE = "tui_tuner"
    CSS_PATH = "app.tcss"
    BINDINGS = bindings(None)
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {mode: factory(mode) for mode in MODES}
    DEFAULT_MODE = "home"
    COMMANDS = {WorkbenchCommands}  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(
        self,
        *,
        engine: Engine,
        runs_dir: Path,
        preset: str | None = None,
        overrides: Sequence[str] = (),
        autostart: bool = False,
        run: Path | None = None,
        settings: Settings | None = None,
        stop_timeout: float = 30.0,
    ) -> None:
        super().__init__()
        self.state = WorkbenchState(overrides=tuple(overrides))
        self.jobs = Jobs(engine)
        self.engine = engine
        self.runs_dir = runs_dir
        self.settings = settings
        self.stop_timeout = stop_timeout
        self.stopping = False
        self.clock: Callable[[], float] = time.time
        self.mishaps: list[Exception] = []
        self._wanted = (preset, autostart, run)
        self._unsubscribe: Callable[[], None] = lambda: None
        self._beats = 0
        for theme in themes.THEMES:
            self.register_theme(theme)
        wish = getattr(settings, "theme", "")
        self.theme = wish if wish in self.available_themes and wish != "textual-dark" else themes.DARK

    # -- life ---------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Draws the first frame before anything else is done."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        preset, autostart, run = self._wanted
        self._unsubscribe = self.engine.subscribe(self._engine_spoke)
        self.engine.start()
        self.set_interval(BEAT, self.beat)
        try:
            if preset is not None:
                self.load_preset(preset, self.state.overrides)
            if run is not None:
                from tui_tuner.runs.folder import RunFolder

                self.select_run(RunFolder.open(run))
                self.go("train")
            if autostart:
                self.start_run()
        except Exception as error:
            self.report(error)

    def _engine_spoke(self) -> None:
        """Called on worker threads: says that something changed, and no more."""
        self.post_message(EngineChanged())

    def on_unmount(self) -> None:
        """Lets go of the engine."""
        self._unsubscribe()

    def beat(self) -> None:
        """Looks at the run being followed; five times a second while it is active, else once."""
        follower = self.state.follower
        self._beats += 1
        if follower is None or not follower.ready or (self._beats % 5 and not follower.active):
            return
        try:
            if follower.poll() or (follower.active and not self._beats % 5):
                self.post_message(RunChanged(follower.view.version))
        except Exception as error:
            self.report(error)

    # -- what screens ask for -----------------------------------------------------------------------------------

    def go(self, mode: str) -> None:
        """Shows a mode's screen."""
        self.switch_mode(mode)

    def set_experiment(
        self,
        experiment: Experiment | None,
        *,
        preset: Preset | None = None,
        base: Path | None = None,
        edited: bool = False,
    ) -> None:
        """Makes `experiment` the one that would be run next.

        Args:
            experiment: the new experiment; for an edit, the edited copy.
            preset: where it came from; for an edit, pass `state.preset` on.
            base: the folder its relative paths start from; for an edit, pass `state.base` on.
            edited: whether it differs from what `preset` and the overrides say.
        """
        state = self.state
        state.experiment, state.preset, state.base, state.edited = experiment, preset, base, edited
        self.post_message(ExperimentChanged())

    def load_preset(self, name: str, overrides: Sequence[str] = ()) -> None:
        """Loads a preset by name or path. Raises `TunerError` when it is not there or not right."""
        from tui_tuner.config.presets import load_preset

        experiment, preset = load_preset(name, overrides)
        self.state.overrides = tuple(overrides)
        self.set_experiment(experiment, preset=preset, base=preset.path.parent)

    def select_run(self, folder: RunFolder) -> None:
        """Makes `folder` the run being looked at; a long event file is first read in a thread."""
        from tui_tuner.ui.follower import RunFollower

        self.state.run = folder
        follower = RunFollower(folder, queued=lambda path: self.jobs.of(path) is not None)
        self.state.follower = follower
        if follower.is_large:
            self.run_worker(lambda: self._first_read(follower), thread=True, exit_on_error=False, group="first-read")
        else:
            follower.poll()
        self.post_message(RunSelected())

    def _first_read(self, follower: RunFollower) -> None:
        try:
            follower.poll()
        except Exception as error:
            self.call_from_thread(self.report, error)
        self.post_message(RunSelected())

    def start_run(self) -> None:
        """Makes a run of the experiment, selects it, and shows it; queued when another run is going."""
        before = self.jobs.running()
        folder = self.jobs.start(self.state, self.runs_dir)
        self.select_run(folder)
        self.go("train")
        if before is not None:
            self.notice(f"Queued: it starts when {before.request.folder.name} has ended.")  # type: ignore[union-attr]

    def resume_run(self, folder: RunFolder) -> None:
        """Goes on with a stopped or interrupted run, selects it, and shows it."""
        self.jobs.submit(folder)
        self.select_run(folder)
        self.go("train")

    # -- notices ------------------------------------------------------------------------------------------------

    def notice(self, text: str, severity: str = "information") -> None:
        """Shows one sentence for a few seconds; the text is inert."""
        self.notify(visible(text), severity=severity, markup=False)  # type: ignore[arg-type]

    def report(self, error: Exception) -> None:
        """Turns an exception into a notice. What is no `TunerError` is a defect of ours, and is kept in `mishaps`."""
        if isinstance(error, TunerError):
            self.notice(_capital(error.sentence()), "error")
            return
        self.mishaps.append(error)
        self.log.error(repr(error))
        where = MODES.get(self.current_mode, ("", "app", ""))[1]
        what = f"{type(error).__name__}: {error}"
        self.notice(f"Something in {where} went wrong ({what}); runs are not affected.", "error")
        if os.environ.get("TUI_TUNER_DEBUG"):
            raise error

    async def run_action(self, *args: Any, **kwargs: Any) -> bool:
        """Keeps an exception in an action (a key, a click, a command) from ending the app."""
        try:
            return await super().run_action(*args, **kwargs)
        except Exception as error:
            self.report(error)
            return True

    async def _on_message(self, message: Message) -> None:
        try:
            await super()._on_message(message)
        except Exception as error:
            self.report(error)

    # -- changes ------------------------------------------------------------------------------------------------

    def on_tuner_run_changed(self) -> None:
        self._tell("run")

    def on_tuner_run_selected(self) -> None:
        self._tell("run")

    def on_tuner_experiment_changed(self) -> None:
        self._tell("experiment")

    def on_tuner_engine_changed(self) -> None:
        for handle in self.jobs.new_failures():
            if handle.error is not None:
                self.report(handle.error)
        self._tell("engine")

    def _tell(self, hook: str) -> None:
        """Calls a hook of the visible mode's screen, also when a dialog lies over it."""
        from tui_tuner.ui.screens.base import WorkbenchScreen

        for screen in self.screen_stack:
            if isinstance(screen, WorkbenchScreen):
                screen.call_hook(hook)
                screen.refresh_bars()

    # -- actions ------------------------------------------------------------------------------------------------

    def action_mode(self, mode: str) -> None:
        self.go(mode)

    def action_start_run(self) -> None:
        self.start_run()

    async def action_back(self) -> None:
        from tui_tuner.ui.screens.base import WorkbenchScreen

        screen = self.screen
        if isinstance(screen, WorkbenchScreen) and not screen.go_back():
            self.go("home")

    def action_help(self) -> None:
        from tui_tuner.ui.widgets.helppanel import HelpPanel

        if not isinstance(self.screen, HelpPanel):
            self.push_screen(HelpPanel.of(self.screen, self.current_mode))

    def action_next_theme(self) -> None:
        """Switches theme and stores the choice."""
        self.theme = themes.LIGHT if self.current_theme.dark else themes.DARK
        if self.settings is not None:
            from tui_tuner.settings import save_settings

            self.settings.theme = self.theme
            save_settings(self.settings)

    def action_save_picture(self) -> None:
        """Saves the screen as SVG in the working folder."""
        path = self.save_screenshot()
        self.notice(f"Saved {path}.")

    async def action_quit(self) -> None:
        """Leaves at once when nothing is going, else asks."""
        from tui_tuner.ui.leaving import leave

        leave(self)


def _capital(sentence: str) -> str:
    """A sentence with its first letter raised, unless it starts with a path or a key."""
    first = sentence.split(" ", 1)[0]
    return sentence if any(mark in first for mark in "/._:") else sentence[:1].upper() + sentence[1:]
