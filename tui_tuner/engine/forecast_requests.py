"""What one can ask of the engine about a run that is not started: what it will take, and what would make it fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tui_tuner.engine.lanes import Lane
from tui_tuner.engine.work import Work

if TYPE_CHECKING:
    from tui_tuner.config import Experiment


@dataclass(frozen=True)
class AskForecast:
    """Memory, time and disk of a run, at once and beside whatever else is at work. Result: `Forecast`.

    The rows' lengths are taken from what a scan of the data found before; without one they are taken to be as long as
    the configuration allows, and `known_data` is False. Time is told where the device was timed before.

    Attributes:
        experiment: what would be run.
        base: folder that relative paths are looked for in first.
    """

    experiment: Experiment
    base: Path | None = None
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"forecast {self.experiment.run.name}"


@dataclass(frozen=True)
class ForecastSweep:
    """What each run of a sweep will take, as `AskForecast`. Result: a list of `Forecast`, or of why there is none.

    Attributes:
        experiments: the runs.
    """

    experiments: tuple[Experiment, ...]
    base: Path | None = None
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"forecast {len(self.experiments)} runs"


@dataclass(frozen=True)
class FitForecast:
    """What would make a run fit, and its price. Result: `Fitting`. As `AskForecast`, at once.

    Attributes:
        limit: bytes that it has to fit in; 0 for what a job can have on this machine.
    """

    experiment: Experiment
    base: Path | None = None
    limit: int = 0
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"fit {self.experiment.run.name}"


@dataclass(frozen=True)
class MeasureForecast:
    """The same as `AskForecast`, by real steps on the longest batch and a few others. Result: `Forecast`.

    Nothing is kept of them but how fast the device was, and a base of fewer bits, which the run would make. It waits
    for its turn, as all that touches mlx, and can be stopped between two steps.

    Attributes:
        progress: what is being done, and parts done and in all.
    """

    experiment: Experiment
    base: Path | None = None
    progress: Work = field(default_factory=Work)
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"measure {self.experiment.run.name}"


ForecastQuestion = AskForecast | FitForecast | ForecastSweep
