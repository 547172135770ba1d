"""The experiment that was edited last, kept beside the person's settings, so that leaving the app does not lose it.

It is written a second after the last change, in a thread, whole or not at all. A file that cannot be read or written
costs nothing but this: it must never get in the way of the app.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.errors import TunerError
from tui_tuner.paths import config_dir

if TYPE_CHECKING:
    from textual.timer import Timer

    from tui_tuner.config.model import Experiment
    from tui_tuner.ui.app import TunerApp

DELAY = 1.0
"""Seconds without a change before it is written."""


@dataclass(frozen=True)
class Draft:
    """An experiment as it was edited last.

    Attributes:
        name: what it is called.
        changed: seconds since the epoch.
        text: it, as TOML.
        base: the folder that its relative paths start from, or None for the working folder.
    """

    name: str
    changed: float
    text: str
    base: Path | None

    def experiment(self) -> Experiment:
        """It, to be set up. Raises `TunerError` when it is no longer right."""
        from tui_tuner.config.toml import experiment_from_text

        return experiment_from_text(self.text, str(draft_path()))


def draft_path() -> Path:
    """Where it is kept; the file need not exist."""
    return config_dir() / "draft.json"


def read_draft() -> Draft | None:
    """The experiment that was edited last, or None."""
    from tui_tuner.runs.files import read_json

    try:
        kept = read_json(draft_path())
    except (OSError, ValueError, TunerError):
        return None
    if not isinstance(kept, dict):
        return None
    name, changed, text, base = (kept.get(key) for key in ("name", "changed", "text", "base"))
    if not (isinstance(name, str) and isinstance(changed, int | float) and isinstance(text, str)):
        return None
    return Draft(name, float(changed), text, Path(base) if isinstance(base, str) else None)


class DraftDesk:
    """Notes changes and writes the last one."""

    def __init__(self, app: TunerApp) -> None:
        self._app = app
        self._timer: Timer | None = None

    def note(self) -> None:
        """The experiment was changed, or another was loaded; only an edited one is kept, and only for a person with
        settings of their own."""
        if self._app.settings is None or not self._app.state.edited:
            return
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._app.set_timer(DELAY, self._begin)

    def _begin(self) -> None:
        self._timer = None
        work = self._work()
        if work is not None:
            self._app.run_worker(lambda: _write(work), thread=True, exit_on_error=False, group="draft")

    def close(self) -> None:
        """The app is left: what is not written yet is."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
            if (work := self._work()) is not None:
                _write(work)

    def _work(self) -> tuple[Experiment, float, Path | None] | None:
        state = self._app.state
        if state.experiment is None or not state.edited:
            return None
        return state.experiment, self._app.clock(), state.base


def _write(work: tuple[Experiment, float, Path | None]) -> None:
    from tui_tuner.config.toml import dump_experiment
    from tui_tuner.runs.files import write_json

    experiment, now, base = work
    kept: dict[str, Any] = {"name": experiment.run.name, "changed": now, "text": dump_experiment(experiment)}
    kept["base"] = None if base is None else str(base)
    with contextlib.suppress(OSError, TunerError):
        draft_path().parent.mkdir(parents=True, exist_ok=True)
        write_json(draft_path(), kept)
