"""What the whole workbench shares: the experiment being set up and the run being looked at.

Screens read it; only the app's own methods (`set_experiment`, `select_run`) write it, because they also tell the
visible screen. Nothing here may be stored twice: all that is known of a run is in its folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.chat.sampling import GREEDY, Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.ui.history import SetUp

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment
    from tui_tuner.config.presets import Preset
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.ui.follower import Follower


@dataclass(frozen=True)
class ChatTarget:
    """A model, and perhaps an adapter on it, that somebody asked to talk to by name.

    Attributes:
        model: the model's folder or hub name.
        adapter: the adapter's folder, or None for the model alone.
        system: a system message before every conversation; empty for none.
        sampling: the settings of its answers.
        template: as `model.chat_template` has it.
        plain: whether the bare text goes in, without the chat template.
        columns: who is asked side by side; none asks the model, or its adapter.
    """

    model: str
    adapter: Path | None = None
    system: str = ""
    sampling: Sampling = GREEDY
    template: str = "auto"
    plain: bool = False
    columns: tuple[Voice, ...] = ()


@dataclass
class WorkbenchState:
    """The workbench's state.

    Attributes:
        experiment: what would be run next, or None before anything was chosen.
        preset: the preset that the experiment came from, or None.
        base: the folder that relative paths of the experiment start from, or None for the working folder.
        overrides: `key=value` settings from the command line, already applied to the experiment.
        run: the run being looked at, or None; None also while a log of another program is watched.
        follower: reads the events of that run or log, or None.
        origin: the experiment as preset and overrides, or the run, have it; None where it was not made of one.
        edited: whether the experiment differs from the preset and overrides it came from.
        chat: whom to talk to instead of the experiment's and the run's models; None once one of those is chosen.
    """

    experiment: Experiment | None = None
    preset: Preset | None = None
    base: Path | None = None
    overrides: tuple[str, ...] = ()
    run: RunFolder | None = None
    follower: Follower | None = None
    origin: Experiment | None = None
    edited: bool = False
    chat: ChatTarget | None = None

    @property
    def set_up(self) -> SetUp | None:
        """What is set up, to come back to; None when nothing is."""
        if self.experiment is None:
            return None
        return SetUp(self.experiment, self.preset, self.base, self.overrides, self.origin)
