"""What the Runs screen does to the runs under the cursor or marked: note, pin, archive, delete and bring back, compare.

Nothing here is final: a deleted run comes back with one key as long as the app lives, and by command afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.errors import TunerError
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import clip_middle

if TYPE_CHECKING:
    from tui_tuner.runs.catalogue import RunSummary
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.runs.queue import RunQueue
    from tui_tuner.ui.notedialog import Note


class RunsWorkScreen(WorkbenchScreen):
    """A screen on which runs are noted, put aside and queued. What is selected says the screen itself."""

    def __init__(self) -> None:
        super().__init__()
        self.marked: set[str] = set()
        self._gone: list[list[str] | Path] = []

    # -- what the screen has to say -----------------------------------------------------------------------------

    @property
    def current(self) -> RunSummary | None:
        """The run under the cursor."""
        raise NotImplementedError

    @property
    def chosen(self) -> list[RunSummary]:
        """The marked runs, else that under the cursor."""
        raise NotImplementedError

    def look(self) -> None:
        """Has the runs read anew."""
        raise NotImplementedError

    # -- noting -------------------------------------------------------------------------------------------------

    def action_mark(self) -> None:
        run = self.current
        if run is not None:
            self.marked ^= {run.run}
            self.look()

    def action_compare(self) -> None:
        """Shows the marked runs side by side; of one alone it says what is missing."""
        from tui_tuner.runs.folder import RunFolder

        if len(self.marked) < 2:
            self.tuner.notice("Mark two runs or more with space, then v compares them.", "warning")
            return
        self.tuner.compare_runs([RunFolder.open(run.path) for run in self.chosen])

    def action_note(self) -> None:
        from tui_tuner.ui.notedialog import NoteDialog

        run = self.current
        if run is None:
            return
        before = set(run.labels.tags)

        def answered(note: Note | None) -> None:
            if note is not None:
                tags = set(note.tags)
                self._label([run], add=tags - before, remove=before - tags, note=note.text)

        self.app.push_screen(NoteDialog(run.run, run.labels), answered)

    def action_pin(self) -> None:
        runs = self.chosen
        if runs:
            self._label(runs, pinned=not all(run.labels.pinned for run in runs))

    def action_archive(self) -> None:
        """Puts the chosen runs out of the list, or back into it."""
        runs = self.chosen
        if not runs:
            return
        archived = not all(run.labels.archived for run in runs)
        told = f"{_called(runs)}: archived; / and is:archived shows what is." if archived else ""
        self._label(runs, told, archived=archived)

    def _label(self, runs: list[RunSummary], told: str = "", **changes: object) -> None:
        """Labels runs; `told` is said when all of them are."""
        from tui_tuner.runs.folder import RunFolder
        from tui_tuner.runs.labels import change_labels

        def label(run: RunSummary) -> None:
            change_labels(RunFolder.open(run.path), **changes)  # type: ignore[arg-type]

        def done(through: list[RunSummary]) -> None:
            if told and len(through) == len(runs):
                self.tuner.notice(told, "information")
            self.look()

        self._each(label, runs, done)

    def _each(
        self, act: Callable[[RunSummary], object], runs: list[RunSummary], then: Callable[[list[RunSummary]], None]
    ) -> None:
        """Writes something of every run, up to the first that fails, which is told; `then` gets those before it."""

        def work() -> tuple[list[RunSummary], TunerError | None]:
            through: list[RunSummary] = []
            for run in runs:
                try:
                    act(run)
                except TunerError as error:
                    return through, error
                through.append(run)
            return through, None

        def done(found: tuple[list[RunSummary], TunerError | None]) -> None:
            if found[1] is not None:
                self.tuner.report(found[1])
            then(found[0])

        self.tuner.writer.do(work, done)

    # -- deleting -----------------------------------------------------------------------------------------------

    def action_delete(self) -> None:
        """Puts the chosen runs aside; the same session brings them back with one key."""
        from tui_tuner.runs.folder import RunFolder
        from tui_tuner.runs.trash import delete_run

        self._each(lambda run: delete_run(RunFolder.open(run.path)), self.chosen, self._told_gone)

    def _told_gone(self, runs: list[RunSummary]) -> None:
        if runs:
            names = [run.run for run in runs]
            if self.tuner.state.run is not None and self.tuner.state.run.path in [run.path for run in runs]:
                self.tuner.leave_run()
            self._gone.append(names)
            self.marked -= set(names)
            self.tuner.notice(f"{_called(runs)}: deleted; z brings it back.", "information")
        self.look()

    def action_undelete(self) -> None:
        from tui_tuner.runs.trash import restore_run

        if not self._gone:
            return
        gone = self._gone.pop()
        if isinstance(gone, Path):
            self.tuner.desk.change(lambda queue: queue.put_back(gone), lambda _: self.look())
            return
        for name in gone:
            self.tuner.writer.do(lambda name=name: restore_run(name, self.tuner.runs_dir))  # type: ignore[misc]
        self.tuner.writer.do(lambda: None, lambda _: self.look())

    # -- the queue ----------------------------------------------------------------------------------------------

    def action_queue(self) -> None:
        self.tuner.desk.toggle()

    def action_sooner(self) -> None:
        self._in_queue(lambda queue, run: queue.move(run, "up"))

    def action_later(self) -> None:
        self._in_queue(lambda queue, run: queue.move(run, "down"))

    def action_remove(self) -> None:
        """Takes the run out of the queue, and says how it comes back."""
        run = self.current
        if run is None:
            return

        def told(aside: Path | None) -> None:
            if aside is not None:
                self._gone.append(aside)
            key = "a" if aside is None else "z"
            self.tuner.notice(f"{run.run}: out of the queue; {key} puts it in again, at the end.", "information")
            self.look()

        self.tuner.desk.change(lambda queue: queue.remove(run.run), told)

    def action_enqueue(self) -> None:
        folder = self.folder()
        if folder is not None:
            self.tuner.desk.change(lambda queue: queue.add(folder))

    def _in_queue(self, act: Callable[[RunQueue, str], object]) -> None:
        run = self.current
        if run is not None:
            self.tuner.desk.change(lambda queue: act(queue, run.run), lambda _: self.look())

    def folder(self) -> RunFolder | None:
        """The folder of the run under the cursor."""
        from tui_tuner.runs.folder import RunFolder

        run = self.current
        return None if run is None else RunFolder.open(run.path)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.is_mounted and action == "undelete":
            return bool(self._gone)
        if self.is_mounted and action in ("mark", "note", "compare"):
            return self.current is not None
        if self.is_mounted and action in ("pin", "archive", "delete"):
            return bool(self.chosen)
        return super().check_action(action, parameters)


def _called(runs: list[RunSummary]) -> str:
    return clip_middle(runs[0].run, 40) if len(runs) == 1 else f"{len(runs)} runs"
