"""The application: the experiment that is set up, and the way between screens and engine.

Everything it needs is handed in, so that tests drive it with a double. It must stay light: screens are imported on
their first visit, and nothing here may import a heavy library, wait for a job, or read a long file on the event loop.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events

from tui_tuner.errors import TunerError
from tui_tuner.paths import noted_base
from tui_tuner.ui.drafts import DraftDesk
from tui_tuner.ui.history import History
from tui_tuner.ui.jobs import Jobs
from tui_tuner.ui.leaving import leave, obey_signals
from tui_tuner.ui.machinewatch import MachineWatch
from tui_tuner.ui.messages import EngineChanged, ExperimentChanged
from tui_tuner.ui.queueing import LOOK, QueueDesk
from tui_tuner.ui.state import ChatTarget, WorkbenchState
from tui_tuner.ui.watching import WatchingApp
from tui_tuner.ui.writing import Writer

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment
    from tui_tuner.config.presets import Preset
    from tui_tuner.engine.protocol import Engine
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.settings import Settings

BEAT = 0.2
"""Seconds between looks at the events of an active run; an idle run is looked at every fifth time. How often what they
bring is drawn is another matter: see `pace`."""


class TunerApp(WatchingApp):
    """The workbench.

    Args:
        engine: runs the jobs; the app starts it after the first frame, and shuts it down when it leaves.
        runs_dir: where run folders are made and listed.
        preset: name or path of a preset to load.
        overrides: `key=value` settings for it.
        autostart: begin a run of the preset right after the first frame.
        run: a run folder to look at.
        log: a training log of another program to look at.
        chat: whom to talk to right after the first frame.
        settings: the person's settings; None means defaults that are not stored.
        stop_timeout: seconds that leaving waits for the engine.

    Attributes:
        state: what all screens share.
        history: what was set up before.
        jobs: the engine as screens should use it.
        leaving: whether it is to be left as soon as what was asked for is written.
        stopping: whether the app is waiting for the engine to come to an end.
        clock: seconds since the epoch; tests freeze it.
        pace: how often a run that goes on is drawn.
        desk: the queue, and the app's part in working it off.
        drafts: keeps the experiment that was edited last.
        machine: looks at this machine while somebody wants to see it.
        writer: makes, notes and deletes runs off the event loop.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        runs_dir: Path,
        preset: str | None = None,
        overrides: Sequence[str] = (),
        autostart: bool = False,
        run: Path | None = None,
        log: Path | None = None,
        chat: ChatTarget | None = None,
        settings: Settings | None = None,
        stop_timeout: float = 30.0,
    ) -> None:
        super().__init__(WorkbenchState(overrides=tuple(overrides), chat=chat), Jobs(engine), settings)
        self.history = History()
        self.engine = engine
        self.runs_dir = runs_dir
        self.stop_timeout = stop_timeout
        self.leaving = self.stopping = False
        self._wanted = (preset, autostart, run, log)
        self._unsubscribe: Callable[[], None] = lambda: None
        self._forget_signals: Callable[[], None] = lambda: None
        self.desk = QueueDesk(self)
        self.drafts = DraftDesk(self)
        self.machine = MachineWatch()
        self.writer = Writer(self)

    # -- life ---------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Draws the first frame before anything else is done."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if not gc.isenabled():  # it waited for this frame; what was made for it stays, and need not be looked through
            gc.freeze()
            gc.enable()
        preset, autostart, run, log = self._wanted
        self._unsubscribe = self.engine.subscribe(self._engine_spoke)
        self.engine.start()
        self._forget_signals = obey_signals(self)
        self.set_interval(BEAT, self.beat)
        self.set_interval(LOOK, self.desk.look)
        self.tell_of_settings()
        try:
            if preset is not None:
                self.load_preset(preset, self.state.overrides)
            if run is not None:
                from tui_tuner.runs.folder import RunFolder

                self.select_run(RunFolder.open(run))
                self.go("train")
            if log is not None:
                self.watch_log(log)
            if self.state.chat is not None:
                self.go("chat")
            if autostart:
                self.start_run()
        except Exception as error:
            self.report(error)

    def _engine_spoke(self) -> None:
        """Called on worker threads: says that something changed, and no more."""
        self.post_message(EngineChanged())

    def on_unmount(self) -> None:
        """Lets go of the engine and of the system's signals, and writes what was edited last."""
        self.machine.want(None)
        self._unsubscribe()
        self._forget_signals()
        self.drafts.close()

    async def on_event(self, event: events.Event) -> None:
        """Notes that somebody is at the keys; all else is textual's."""
        if isinstance(event, events.InputEvent):
            self.pace.touch()
        await super().on_event(event)

    # -- what screens ask for -----------------------------------------------------------------------------------

    def set_experiment(
        self,
        experiment: Experiment | None,
        *,
        preset: Preset | None = None,
        base: Path | None = None,
        edited: bool = False,
        merge: str = "",
    ) -> None:
        """Makes `experiment` the one that would be run next; what was set up before can be come back to.

        Args:
            experiment: the new experiment; for an edit, the edited copy.
            preset: where it came from; for an edit, pass `state.preset` on.
            base: the folder its relative paths start from; for an edit, pass `state.base` on.
            edited: whether it differs from what `preset` and the overrides say.
            merge: a name by which changes in a row are one step of the history.
        """
        state = self.state
        if state.set_up is not None and experiment != state.experiment:
            self.history.note(state.set_up, merge)
        if not edited:
            state.origin = experiment
        elif (preset, base) != (state.preset, state.base):
            state.origin = None
        state.experiment, state.preset, state.base = experiment, preset, base
        state.edited = edited and experiment != state.origin
        state.chat = None
        self.post_message(ExperimentChanged())

    def step_back(self, *, forth: bool = False) -> bool:
        """Takes the last change of the experiment back, or makes it again; False where there is none."""
        state = self.state
        if state.set_up is None:
            return False
        found = (self.history.redo if forth else self.history.undo)(state.set_up)
        if found is None:
            return False
        state.experiment, state.preset, state.base = found.experiment, found.preset, found.base
        state.overrides, state.origin, state.edited = found.overrides, found.origin, found.edited
        state.chat = None
        self.post_message(ExperimentChanged())
        return True

    def load_preset(self, name: str, overrides: Sequence[str] = ()) -> None:
        """Loads a preset by name or path. Raises `TunerError` when it is not there or not right."""
        from tui_tuner.config.presets import load_preset

        experiment, preset = load_preset(name, overrides)
        self.set_experiment(experiment, preset=preset, base=preset.base)
        self.state.overrides = tuple(overrides)

    def load_run(self, folder: RunFolder) -> None:
        """Makes a run's configuration the experiment to edit and start; raises `TunerError` when it cannot be read."""
        from tui_tuner.config.toml import load_experiment

        self.set_experiment(load_experiment(folder.config), base=noted_base(folder.path))

    def compare_runs(self, folders: Sequence[RunFolder]) -> None:
        """Shows runs side by side, over the screen that asks; the first is the one that others are judged against.

        Raises:
            TunerError: it is no two.
        """
        if len(folders) < 2:
            raise TunerError("a comparison needs two runs", code="one-run", fix="mark another one", usage=True)
        from tui_tuner.ui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(folders))

    def start_run(self) -> None:
        """Makes a run of the experiment, selects it, and shows it; queued when another run is going.

        Raises:
            TunerError: there is no experiment.
        """
        self.writer.do(self.jobs.maker(self.state, self.runs_dir), self._begin_run)

    def _begin_run(self, folder: RunFolder) -> None:
        if self.stopping:
            return  # it can be started from Runs
        before = self.jobs.running()
        self.resume_run(folder)
        if before is not None:
            self.notice(f"Queued: it starts when {before.request.folder.name} has ended.")  # type: ignore[union-attr]

    def resume_run(self, folder: RunFolder) -> None:
        """Goes on with a stopped or interrupted run, selects it, and shows it."""
        self.jobs.submit(folder)
        self.select_run(folder)
        self.go("train")

    # -- changes ------------------------------------------------------------------------------------------------

    def on_tuner_experiment_changed(self) -> None:
        self.drafts.note()
        self.tell("experiment")

    def on_tuner_engine_changed(self) -> None:
        for handle in self.jobs.new_failures():
            if handle.error is not None:
                self.report(handle.error)
        self.tell("engine")

    # -- actions ------------------------------------------------------------------------------------------------

    def action_start_run(self) -> None:
        self.start_run()

    def action_enqueue(self) -> None:
        """Puts a run of the experiment at the end of the queue."""
        self.desk.enqueue()

    async def action_back(self) -> None:
        from tui_tuner.ui.screens.base import WorkbenchScreen

        screen = self.screen
        if isinstance(screen, WorkbenchScreen) and not screen.go_back():
            self.go("home")

    async def action_quit(self) -> None:
        """Leaves at once when nothing is going, else asks."""
        leave(self)
