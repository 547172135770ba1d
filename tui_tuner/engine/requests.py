"""What one can ask of the engine. Plain data: importable, and creatable on any thread, without mlx."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tui_tuner.engine.chat_requests import Chatting as Chatting
from tui_tuner.engine.chat_requests import ChatTogether as ChatTogether
from tui_tuner.engine.chat_requests import ChatTurn as ChatTurn
from tui_tuner.engine.chat_requests import CountTokens as CountTokens
from tui_tuner.engine.chat_requests import LookInside as LookInside
from tui_tuner.engine.forecast_requests import ForecastQuestion, MeasureForecast
from tui_tuner.engine.hub_requests import HubRequest
from tui_tuner.engine.lanes import Lane
from tui_tuner.engine.model_requests import ModelQuestion, ModelRequest
from tui_tuner.engine.work import Pace

if TYPE_CHECKING:
    from tui_tuner.config import Experiment


@dataclass(frozen=True)
class RankPlace:
    """Which of the processes that train together this one is; by itself it is all of them.

    Attributes:
        backend: what they talk over, as mlx names it; empty for one.
    """

    rank: int = 0
    size: int = 1
    backend: str = ""


ONE = RankPlace()


@dataclass(frozen=True)
class RunExperiment:
    """Runs the whole loop of a run folder, or what is left of it: check, baseline, train, evaluate, verdict.

    The job's result is the document that `tui-tuner run --json` prints. With several ranks this is rank 0's.
    """

    folder: Path
    place: RankPlace = ONE
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"run {self.folder.name}"


@dataclass(frozen=True)
class JoinRun:
    """Trains along with rank 0 of a run. The job's result is a dict with the `status` of the training."""

    folder: Path
    place: RankPlace
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"rank {self.place.rank} of {self.folder.name}"


@dataclass(frozen=True)
class PreviewData:
    """Prepares an experiment's data in memory and renders rows as the model will see them. Result: `DataPreview`.

    What was read is held, so that any further rows of it are there at once.

    Attributes:
        limit: how many rows of each split.
        only: (split, number) of the rows to render instead of the first ones.
        first: only the head of the source is read, whatever its size, and the answer is not `complete`.
    """

    experiment: Experiment
    base: Path | None = None
    limit: int = 200
    only: tuple[tuple[str, int], ...] = ()
    first: bool = False
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"preview {self.experiment.data.source}"


@dataclass(frozen=True)
class FindRows:
    """Looks for a text in all rows of an experiment's data. Result: (split, number) of each row that holds it.

    Attributes:
        text: what a prompt or an answer must hold, whatever its case.
    """

    experiment: Experiment
    base: Path | None = None
    text: str = ""
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"find in {self.experiment.data.source}"


@dataclass(frozen=True)
class DescribeSource:
    """Looks at the first records of an experiment's source, whether rows can be made of them or not.

    Result: `SourceFacts`.
    """

    experiment: Experiment
    base: Path | None = None
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"describe {self.experiment.data.source}"


class Progress:
    """How far a job is: rows done and in all. Written by the worker, read by whoever shows it.

    Attributes:
        pace: how long the rest will take.
    """

    def __init__(self) -> None:
        self.done, self.total = 0, 0
        self.pace = Pace()

    def __call__(self, done: int, total: int, now: float | None = None) -> None:
        self.pace.moved(done, total, now)
        self.done, self.total = done, total


@dataclass(frozen=True)
class LoadLibraries:
    """Imports what reading tokens takes, before anybody waits for it. Result: None."""

    lane: ClassVar[Lane] = "data"

    @property
    def title(self) -> str:
        return "get ready to read data"


@dataclass(frozen=True)
class ScanData:
    """Tokenises and lints every row of an experiment's data. Result: `DataFacts`."""

    experiment: Experiment
    base: Path | None = None
    progress: Progress = field(default_factory=Progress)
    lane: ClassVar[Lane] = "data"

    @property
    def title(self) -> str:
        return f"lint {self.experiment.data.source}"


@dataclass(frozen=True)
class TokenLosses:
    """Base against adapter on one test row of a run, token by token. Result: `RowLosses`.

    Attributes:
        run: the run folder.
        index: of the row in the run's test rows.
        reference: its reference, so that another row is not taken for it; empty when it is not known.
    """

    run: Path
    index: int
    reference: str = ""
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"losses of row {self.index} of {self.run.name}"


@dataclass(frozen=True)
class Benchmark:
    """Answers rows with a model and scores the answers. Result: the document that `tui-tuner evaluate --json` prints.

    Attributes:
        target: a model folder, "embedded:NAME" or a repository; a run by name or path, which brings its model, adapter,
            rows and settings; or a run's checkpoint, "RUN:STEP", "RUN:best", "RUN:last" or "RUN:base".
        adapter: an adapter folder, for a target that is a model.
        data: the source of the rows; empty for those of the run.
        split: which rows: "test", "valid", "train" or "unseen".
        metrics: names; empty for those of the run, or all that every machine has.
        max_tokens, batch_size, limit: 0 for the run's own, else the configuration's default; `limit` 0 is all rows.
        label: what the result is called.
        run: the run whose `evaluation/` folder gets the result; None keeps it in a folder of its own.
        runs_dir: where runs live, None for the usual place.
        overrides: further `section.key=value`, such as templates for the data.
        raw_prompt: the bare text of the last turn goes in, without the chat template; the result says so.
        progress: rows done and in all; the rows themselves appear in `<label>.partial.jsonl`.
    """

    target: str
    adapter: Path | None = None
    data: str = ""
    split: str = "test"
    metrics: tuple[str, ...] = ()
    max_tokens: int = 0
    batch_size: int = 0
    limit: int = 0
    label: str = ""
    run: Path | None = None
    runs_dir: Path | None = None
    overrides: tuple[str, ...] = ()
    raw_prompt: bool = False
    progress: Progress = field(default_factory=Progress)
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"benchmark {self.target}"


@dataclass(frozen=True)
class RunBehaviour:
    """Asks the behaviour cases of a run's configuration. Result: the document of `behaviour-<label>.json`.

    Attributes:
        run: a run folder, whose model and cases are taken; the document is kept in its `evaluation/` folder.
        label: "before" asks the model as it was before training, "after" with the run's adapter, "step-200", "best" and
            "last" with that checkpoint.
    """

    run: Path
    label: str = "after"
    progress: Progress = field(default_factory=Progress)
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"behaviour of {self.run.name}"


@dataclass(frozen=True)
class RunCanaries:
    """Asks what a model could do before, in general. Result: the document of `canaries-<label>.json`.

    Attributes:
        run, label: as for `RunBehaviour`; a result other than "before" is judged against "before" when there is one.
    """

    run: Path
    label: str = "after"
    progress: Progress = field(default_factory=Progress)
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"canaries of {self.run.name}"


@dataclass(frozen=True)
class PickCheckpoint:
    """Scores every saved checkpoint of a run on its validation rows. Result: the document of `checkpoints.json`.

    Attributes:
        metric: what they are scored by; empty for the first of the run's own. "loss" takes the validation losses.
        use: a step whose weights become the run's adapter, or "best"; empty only looks. The former adapter is kept, and
            the test rows are answered anew, since the verdict is about the adapter.
    """

    run: Path
    metric: str = ""
    use: str = ""
    progress: Progress = field(default_factory=Progress)
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"checkpoints of {self.run.name}"


@dataclass(frozen=True)
class RunTasks:
    """Runs tasks of the lm-evaluation-harness. Result: the document that `tui-tuner evaluate --tasks --json` prints.

    Attributes:
        target, adapter, runs_dir: as for `Benchmark`.
        tasks: their names, as the harness has them.
        limit: at most so many examples of each; 0 is all.
        shots: examples before each question; None leaves it to the task.
    """

    target: str
    tasks: tuple[str, ...]
    adapter: Path | None = None
    limit: int = 0
    shots: int | None = None
    max_tokens: int = 0
    batch_size: int = 8
    runs_dir: Path | None = None
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"tasks of {self.target}"


Evaluating = Benchmark | RunBehaviour | RunCanaries | PickCheckpoint | RunTasks
"""Requests that ask a model for answers in order to judge them."""

Request = (
    RunExperiment
    | JoinRun
    | PreviewData
    | FindRows
    | DescribeSource
    | LoadLibraries
    | ScanData
    | TokenLosses
    | ChatTurn
    | ChatTogether
    | LookInside
    | CountTokens
    | Benchmark
    | RunBehaviour
    | RunCanaries
    | PickCheckpoint
    | ModelRequest
    | ModelQuestion
    | HubRequest
    | ForecastQuestion
    | MeasureForecast
    | RunTasks
)
