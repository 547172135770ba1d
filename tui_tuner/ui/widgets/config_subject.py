"""Which experiment a screen is about: the one being set up, or that of the run being looked at.

Two are known at the same time when somebody looks at an old run while setting up a new one. It only reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tui_tuner.config.model import Experiment
from tui_tuner.config.toml import load_experiment
from tui_tuner.errors import TunerError
from tui_tuner.paths import noted_base
from tui_tuner.ui.state import WorkbenchState


@dataclass(frozen=True)
class Subject:
    """An experiment to look at.

    Attributes:
        experiment: the experiment itself.
        base: the folder its relative paths start from, or None for the working folder.
        title: what to call it: the experiment's name, or the run folder's.
        is_run: whether it is that of a run, and so will not change any more.
    """

    experiment: Experiment
    base: Path | None
    title: str
    is_run: bool


class Subjects:
    """Finds the subjects of the workbench; a run's configuration is read once.

    Attributes:
        problem: why the run's configuration could not be read; empty when it could.
    """

    def __init__(self) -> None:
        self._read: tuple[Path, Experiment] | None = None
        self.problem = ""

    def found(self, state: WorkbenchState) -> list[Subject]:
        """What there is to look at: the experiment being set up first, then the run's where it is another."""
        out: list[Subject] = []
        if state.experiment is not None:
            out.append(Subject(state.experiment, state.base, state.experiment.run.name, False))
        of_run = self.of_run(state)
        if of_run is not None and not (out and of_run.experiment == out[0].experiment):
            out.append(of_run)
        return out

    def of_chat(self, state: WorkbenchState) -> Subject | None:
        """An experiment that names no more than the model somebody asked to talk to, or None when nobody did."""
        target = state.chat
        if target is None:
            return None
        # Its data is never read: a chat takes from it only what the configuration has by default.
        model = {"path": target.model, "chat_template": target.template}
        experiment = Experiment.model_validate({"model": model, "data": {"source": target.model}})
        return Subject(experiment, None, str(target.adapter or target.model), False)

    def of_run(self, state: WorkbenchState) -> Subject | None:
        """The experiment of the run being looked at, or None."""
        self.problem = ""
        if state.run is None:
            return None
        path = state.run.config
        if self._read is None or self._read[0] != path:
            try:
                self._read = (path, load_experiment(path))
            except TunerError as error:
                self.problem = error.sentence()
                return None
        return Subject(self._read[1], noted_base(state.run.path), state.run.name, True)
