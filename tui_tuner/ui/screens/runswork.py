"""What the Runs screen does to the runs under the cursor or marked: note, pin, archive, delete and bring back, compare.

Nothing here is final: a deleted run comes back with one key as long as the app lives, and by command afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
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
        self._deleted: list[list[str]] = []

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
        self._label(runs, archived=archived)
        if archived:
            self.tuner.notice(f"{_called(runs)}: archived; / and is:archived shows what is.", "information")

    def _label(self, runs: list[RunSummary], **changes: object) -> None:
        from tui_tuner.runs.folder import RunFolder
        from tui_tuner.runs.labels import change_labels

        for run in runs:
            try:
                change_labels(RunFolder.open(run.path), **changes)  # type: ignore[arg-type]
            except TunerError as error:
                self.tuner.report(error)
                break
        self.look()

    # -- deleting -----------------------------------------------------------------------------------------------

    def action_delete(self) -> None:
        """Puts the chosen runs aside; the same session brings them back with one key."""
        from tui_tuner.runs.folder import RunFolder
        from tui_tuner.runs.trash import delete_run

        gone: list[str] = []
        runs = self.chosen
        for run in runs:
            try:
                delete_run(RunFolder.open(run.path))
            except TunerError as error:
                self.tuner.report(error)
                break
            gone.append(run.run)
            if self.tuner.state.run is not None and self.tuner.state.run.path == run.path:
                self.tuner.leave_run()
        if gone:
            self._deleted.append(gone)
            self.marked -= set(gone)
            self.tuner.notice(f"{_called(runs[: len(gone)])}: deleted; z brings it back.", "information")
        self.look()

    def action_undelete(self) -> None:
        from tui_tuner.runs.trash import restore_run

        if not self._deleted:
            return
        for name in self._deleted.pop():
            try:
                restore_run(name, self.tuner.runs_dir)
            except TunerError as error:
                self.tuner.report(error)
        self.look()

    # -- the queue ----------------------------------------------------------------------------------------------

    def action_queue(self) -> None:
        self.tuner.desk.toggle()

    def action_sooner(self) -> None:
        self._in_queue(lambda queue, run: queue.move(run, "up"))

    def action_later(self) -> None:
        self._in_queue(lambda queue, run: queue.move(run, "down"))

    def action_remove(self) -> None:
        """Takes the run out of the queue, and says where its folder is when it never began."""
        self._in_queue(lambda queue, run: queue.remove(run))

    def action_enqueue(self) -> None:
        folder = self.folder()
        if folder is not None:
            self.tuner.desk.change(lambda queue: queue.add(folder))

    def _in_queue(self, act: Callable[[RunQueue, str], object]) -> None:
        run = self.current
        if run is not None:
            self.tuner.desk.change(lambda queue: act(queue, run.run))
            self.look()

    def folder(self) -> RunFolder | None:
        """The folder of the run under the cursor."""
        from tui_tuner.runs.folder import RunFolder

        run = self.current
        return None if run is None else RunFolder.open(run.path)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.is_mounted and action == "undelete":
            return bool(self._deleted)
        if self.is_mounted and action in ("mark", "note", "compare"):
            return self.current is not None
        if self.is_mounted and action in ("pin", "archive", "delete"):
            return bool(self.chosen)
        return super().check_action(action, parameters)


def _called(runs: list[RunSummary]) -> str:
    return clip_middle(runs[0].run, 40) if len(runs) == 1 else f"{len(runs)} runs"
