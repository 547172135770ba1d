"""What the Data screen has asked the engine about one experiment's data, and what has come back so far.

First the beginning of the source, so that rows are there at once; then all of it; then what the linter finds in every
row. It only asks and remembers: nothing here may draw, or wait for an answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.config.data_section import DataSection
from tui_tuner.config.model import Experiment
from tui_tuner.engine.protocol import JobStatus
from tui_tuner.engine.requests import DescribeSource, PreviewData, ScanData
from tui_tuner.engine.results import DataPreview
from tui_tuner.ui.widgets.data_lookup import Lookup

if TYPE_CHECKING:
    from tui_tuner.data.sourcefacts import SourceFacts
    from tui_tuner.engine.dataset import DataFacts
    from tui_tuner.engine.protocol import Engine
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.ui.widgets.config_subject import Subject


class Questions:
    """The questions about one subject.

    Attributes:
        engine: whom to ask.
        experiment: the experiment, for a run with its own prepared rows as the source; None before any was asked about.
        base: the folder that its relative paths start from.
    """

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.experiment: Experiment | None = None
        self.base: Path | None = None
        self._first, self._whole, self._linting, self._source = Lookup(), Lookup(), Lookup(), Lookup()
        self._key: Hashable = None

    def ask(self, engine: Engine, subject: Subject, run: RunFolder | None, *, again: bool = False) -> None:
        """Asks for the first rows of a subject; what the same settings were asked for is kept.

        Args:
            again: ask everything anew.
        """
        self.engine, self.base = engine, subject.base
        former, self.experiment = self.experiment, (experiment := _as_prepared(subject, run))
        if former is not None and former.data.source != experiment.data.source:
            self._source.forget()  # what another source is says nothing about this one
        self._key = (
            experiment.data.model_dump_json(), experiment.model.model_dump_json(), experiment.run.seed,
            experiment.train.max_seq_length, subject.base,
        )  # fmt: skip
        before = self._first.handle
        self._first.ask(engine, self._key, PreviewData(experiment, subject.base, first=True), again=again)
        if self._first.handle is not before:
            self._whole.forget()
        if again:
            self._linting.forget()
            self._source.forget()

    @property
    def has_more_to_ask(self) -> bool:
        """Whether the first question was answered, and the others were not asked yet."""
        return self._first.handle is not None and not self._first.waiting and not self._asked_more()

    def _asked_more(self) -> bool:
        experiment = self.experiment
        if experiment is None or not self._source.asked(self._key):
            return False
        return not isinstance(self._first.result, DataPreview) or self._linting.asked(self._all_rows(experiment))

    def _all_rows(self, experiment: Experiment) -> Hashable:
        """What the linter's findings depend on: batches tell of padding, and whether there are too few rows for one."""
        return self._key, (experiment.train.batch_size, experiment.train.mode)

    def ask_more(self) -> None:
        """Asks what takes longer, once the first rows are there and somebody had time to draw them.

        What answers it imports large libraries, and would keep the first rows from being drawn.
        """
        engine, experiment, key = self.engine, self.experiment, self._key
        if engine is None or experiment is None or self._first.waiting:
            return
        # Also where no row can be made: that is when a person has to say what the records are.
        self._source.ask(engine, key, DescribeSource(experiment, self.base))
        first = self._first.result
        if isinstance(first, DataPreview):
            if not first.complete:
                self._whole.ask(engine, key, PreviewData(experiment, self.base))
            self._linting.ask(engine, self._all_rows(experiment), ScanData(experiment, self.base))

    @property
    def preview(self) -> DataPreview | None:
        """The rows at a glance, as far as they were read."""
        found = self._whole.result or self._first.result
        return found if isinstance(found, DataPreview) else None

    @property
    def source(self) -> SourceFacts | None:
        """What the source is."""
        found = self._source.result
        return found if found is not None and hasattr(found, "guesses") else None  # type: ignore[return-value]

    @property
    def source_problem(self) -> str:
        """Why nothing is known of the source, as a sentence; empty when that is not so."""
        return self._source.problem

    @property
    def reading_problem(self) -> str:
        """Why there are no more rows than the first, as a sentence; empty when that is not so."""
        return self._whole.problem

    @property
    def problem(self) -> str:
        """Why there are no rows, as a sentence; empty when that is not so."""
        return self._first.problem

    @property
    def facts(self) -> DataFacts | None:
        """What the linter found, once it is through."""
        found = self._linting.result
        return found if found is not None and hasattr(found, "report") else None  # type: ignore[return-value]

    @property
    def linting_problem(self) -> str:
        """Why the linter could not go through, as a sentence; empty when that is not so."""
        return self._linting.problem

    @property
    def linting(self) -> bool:
        """Whether the linter is still at work."""
        return self._linting.waiting

    def stop_linting(self) -> None:
        """Ends the linter where it is; asked again, it begins anew."""
        if self._linting.handle is not None:
            self._linting.handle.control.stop()

    @property
    def linting_stopped(self) -> bool:
        """Whether a person has ended the linter."""
        handle = self._linting.handle
        return handle is not None and handle.status is JobStatus.STOPPED

    @property
    def linted(self) -> str:
        """How far the linter is, such as ` 34 %, 31 s left`; empty before its first rows."""
        handle = self._linting.handle
        progress = handle.request.progress if handle is not None and isinstance(handle.request, ScanData) else None
        if progress is None or not progress.done:
            return ""
        return f" {progress.done / progress.total:.0%}{progress.pace.told()}"


def _as_prepared(subject: Subject, run: RunFolder | None) -> Experiment:
    """The experiment, or for a run the same with its own prepared rows as the source."""
    if not subject.is_run or run is None or not (run.data / "train.jsonl").is_file():
        return subject.experiment
    data = DataSection(source=str(run.data), mask_prompt=subject.experiment.data.mask_prompt)
    return subject.experiment.model_copy(update={"data": data})
