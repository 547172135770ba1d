"""What the app asks of the engine: start, resume, pause and stop runs, and come to an end.

The engine was handed in and is only ever asked, never reached into. Nothing here may wait on the event loop for a
job: asking to stop returns at once, and the wait for the end happens in a thread that nobody joins.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import Engine, JobHandle
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.ui.state import WorkbenchState


class Jobs:
    """The engine as the app sees it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._told: set[int] = set()

    def maker(self, state: WorkbenchState, runs_dir: Path) -> Callable[[], RunFolder]:
        """What makes a run folder of the experiment as it is now, for `submit`; it writes, so a thread should call it.

        It raises `TunerError` when the folder cannot be made.

        Raises:
            TunerError: there is no experiment.
        """
        from tui_tuner.engine.new_run import create_run

        experiment, base, command = state.experiment, state.base, _command(state)
        if experiment is None:
            raise TunerError(
                "there is nothing to start yet",
                code="no-experiment",
                fix="choose a preset on Home (key 0)",
            )
        return lambda: create_run(experiment, runs_dir, base=base, command=command)

    def submit(self, folder: RunFolder) -> JobHandle:
        """Queues what is left of a run; a run that is queued or going already is not queued twice."""
        from tui_tuner.engine.requests import RunExperiment

        return self.of(folder.path) or self.engine.submit(RunExperiment(folder.path))

    def runs(self) -> list[JobHandle]:
        """Runs of this process that are going or waiting, oldest first."""
        return [h for h in self.engine.handles() if not h.status.ended and _folder_of(h) is not None]

    def of(self, folder: Path) -> JobHandle | None:
        """The job that works on a run folder, or waits to; None when there is none in this process."""
        return next((handle for handle in self.runs() if _folder_of(handle) == folder), None)

    def running(self) -> JobHandle | None:
        """The run that is going now."""
        handle = self.engine.active("mlx")
        return handle if handle is not None and _folder_of(handle) is not None else None

    def steer(self, folder: RunFolder, what: str, value: Any = None) -> None:
        """Asks a run for something at its next safe point, whichever process it runs in.

        Args:
            what: one of the kinds of `runs.requests`, such as `stop` or `evaluate`.
            value: for `learning_rate` the new rate, or a factor such as "x0.5".

        Raises:
            TunerError: nobody runs it.
        """
        from tui_tuner.runs.requests import ask, obey

        handle = self.of(folder.path)
        if handle is not None:
            obey(handle.control, what, value, by="user")
        else:
            ask(folder, what, value)

    def new_failures(self) -> Sequence[JobHandle]:
        """Runs that failed since the last call."""
        ended = [handle for handle in self.engine.handles() if handle.error is not None and handle.id not in self._told]
        failed = [handle for handle in ended if _folder_of(handle) is not None]
        self._told.update(handle.id for handle in failed)
        return failed

    async def shut_down(self, timeout: float) -> bool:
        """Stops everything and waits for it, off the event loop, never longer than `timeout` (and a second).

        The thread is a daemon: an engine that hangs cannot keep the app open.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[bool] = loop.create_future()

        def settle(result: bool) -> None:
            if not ended.done():
                ended.set_result(result)

        def work() -> None:
            try:
                result = self.engine.shutdown(timeout)
            except Exception:
                result = False
            try:
                loop.call_soon_threadsafe(settle, result)
            except RuntimeError:
                pass  # the loop is gone: nobody waits any more

        threading.Thread(target=work, name="engine-shutdown", daemon=True).start()
        try:
            return await asyncio.wait_for(ended, timeout + 1.0)
        except TimeoutError:
            return False


def _folder_of(handle: JobHandle) -> Path | None:
    """The run folder of a job, for jobs that have one."""
    folder = getattr(handle.request, "folder", None)
    return folder if isinstance(folder, Path) else None


def _command(state: WorkbenchState) -> str:
    """The command that repeats the run, for its `meta.json`; empty when the experiment was edited by hand."""
    if state.preset is None or state.edited:
        return ""
    settings = "".join(f" --set {override}" for override in state.overrides)
    return f"tui-tuner run {state.preset.name}{settings}"
