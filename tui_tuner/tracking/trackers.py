"""Trackio and Weights & Biases, as far as they are used: begin or go on with a run, log figures, end.

Each is a thin layer over the library's public interface, which is imported when a run begins. What the libraries
would tell of their own accord (machine, working folder, code, printed text, packages) is switched off.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from tui_tuner.config.tracking_section import TrackerName, TrackingSection
from tui_tuner.errors import TunerError
from tui_tuner.tracking.story import Answer, Figures, Word

TITLES: Final[dict[TrackerName, str]] = {"trackio": "Trackio", "wandb": "Weights & Biases"}
"""What the trackers are called in sentences."""
_STAMP: Final = re.compile(r"\d{8}-\d{6}(-\d+)?$")
_SETTINGS: Final[dict[str, Any]] = {
    **{"console": "off", "silent": True, "save_code": False, "disable_code": True, "disable_git": True},
    **{"disable_job_creation": True, "x_disable_meta": True, "x_disable_stats": True, "x_disable_machine_info": True},
    **{"x_save_requirements": False, "program": "tui-tuner", "host": "", "init_timeout": 60.0, "finish_timeout": 45.0},
}
"""What Weights & Biases is told to leave alone, and for how long it may take (seconds)."""


@dataclass(frozen=True)
class Place:
    """Where and under which names a run is told of.

    Attributes:
        section: as the configuration or the command has it.
        run: the name of the run's folder.
        identity: what no other run has, of letters, digits and hyphens.
        config: what of the configuration is told.
        group: what it belongs to, such as a sweep; empty for nothing.
        files: a folder for what the library writes.
    """

    section: TrackingSection
    run: str
    identity: str
    config: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    files: Path = Path()

    @property
    def name(self) -> str:
        """What the run is called; a name of one's own gets date and time behind it, for runs are told apart by name."""
        if not self.section.name:
            return self.run
        stamp = _STAMP.search(self.run)
        return f"{self.section.name}-{stamp.group() if stamp else self.run}"


class Tracker(Protocol):
    """What is told of a run. Every method may take its time, and may raise whatever the library raises."""

    def begin(self, place: Place) -> str:
        """Begins the run, or goes on with it; returns where a person can look at it, or an empty text."""

    def figures(self, told: Figures) -> None:
        """Numbers of a step."""

    def word(self, told: Word) -> None:
        """A sentence."""

    def answer(self, told: Answer) -> None:
        """A prompt and what was said to it."""

    def finish(self, status: str) -> None:
        """Ends the session, with all that was told delivered: "finished", "stopped", "failed" or "interrupted"."""


class TrackioTracker:
    """Trackio: figures in a database on this machine, or in a Space on the Hub."""

    def __init__(self) -> None:
        self._run: Any = None
        self._library: Any = None

    def begin(self, place: Place) -> str:
        section = place.section
        space = "" if section.offline else section.space
        for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_WEBHOOK_URL"):
            os.environ.pop(name, None)  # where figures go is said by the configuration
        if not space:
            os.environ["HF_HUB_OFFLINE"] = "1"  # it would ask the Hub for the name of its user
        self._library = library("trackio")
        self._run = self._library.init(
            project=section.project,
            name=place.name,
            group=place.group or None,
            space_id=space or None,
            private=True if space else None,
            config={**place.config, **({"tags": list(section.tags)} if section.tags else {})},
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return f"the Space {space}" if space else f"`trackio show --project {section.project}`"

    def figures(self, told: Figures) -> None:
        self._run.log(dict(told.values), step=told.step)

    def word(self, told: Word) -> None:
        self._run.alert(title=told.name, text=told.text, level=self._library.AlertLevel.INFO, step=told.step)

    def answer(self, told: Answer) -> None:
        table = self._library.Table(columns=["step", "prompt", "answer"], data=[[told.step, told.prompt, told.text]])
        self._run.log({f"answers/{told.number}": table}, step=told.step)

    def finish(self, status: str) -> None:
        self._library.finish()  # the run's own would have it finished once more, and told so, when the process ends


class WandbTracker:
    """Weights & Biases: figures on its servers, or in files in the run's folder when it is to stay offline."""

    def __init__(self) -> None:
        self._run: Any = None
        self._library: Any = None

    def begin(self, place: Place) -> str:
        section = place.section
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        os.environ["WANDB_SILENT"] = "true"
        self._library = library("wandb")
        known = getattr(self._library.Settings, "model_fields", _SETTINGS)
        place.files.mkdir(parents=True, exist_ok=True)
        self._run = self._library.init(
            entity=section.entity or None,
            project=section.project,
            dir=str(place.files),
            id=place.identity,
            name=place.name,
            group=place.group or None,
            tags=list(section.tags) or None,
            config=place.config,
            mode="offline" if section.offline else os.environ.get("WANDB_MODE") or "online",
            resume="allow",
            settings=self._library.Settings(**{key: value for key, value in _SETTINGS.items() if key in known}),
        )
        # Steps are a figure of their own: a run that was resumed or rolled back goes through some of them again.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        return str(getattr(self._run, "url", None) or "")

    def figures(self, told: Figures) -> None:
        self._run.log({**told.values, "step": told.step})

    def word(self, told: Word) -> None:
        self._run.summary[told.name] = told.text

    def answer(self, told: Answer) -> None:
        table = self._library.Table(columns=["step", "prompt", "answer"], data=[[told.step, told.prompt, told.text]])
        self._run.log({f"answers/{told.number}": table, "step": told.step})

    def finish(self, status: str) -> None:
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status in ("finished", "stopped") else 1)


MAKERS: Final[dict[TrackerName, type[TrackioTracker] | type[WandbTracker]]] = {
    "trackio": TrackioTracker,
    "wandb": WandbTracker,
}
"""The trackers by the names that the configuration has for them."""


def is_there(name: TrackerName) -> bool:
    """Whether a tracker's library is installed; it is not imported for that."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def missing(name: TrackerName) -> TunerError:
    """What is said when a tracker's library is not there."""
    return TunerError(
        f"{TITLES[name]} is not installed, so nothing is sent to it",
        code="tracker-missing",
        fix=f"install the package {name} into the environment of tui_tuner",
    )


def library(name: TrackerName) -> Any:
    """A tracker's library.

    Raises:
        TunerError: `tracker-missing`.
    """
    if not is_there(name):
        raise missing(name)
    return importlib.import_module(name)
