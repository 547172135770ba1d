"""What is asked of a run's model to judge it: the test rows, the behaviour cases, the canaries. Runs on the MLX thread.

The stages "baseline" and "evaluate" of a run, and whatever is measured of it later, go through the same functions, so
that their figures mean the same. What was measured is not measured again; a kill costs the answers in the making.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tui_tuner.config import Experiment
from tui_tuner.config.behaviour_section import BehaviourCase
from tui_tuner.data.prepare import Prepared, Row, row_kind
from tui_tuner.evaluation.behaviour import Manner, answers_to, behaviour_document, case_prompt, manner_of
from tui_tuner.evaluation.benchmark import Asked, BenchmarkResult, answers_key, benchmark, read_result
from tui_tuner.evaluation.canaries import MAX_TOKENS, canary_document, read_before, suite_of
from tui_tuner.evaluation.score import verdict as judge
from tui_tuner.evaluation.score import verdict_by_split, verdict_document
from tui_tuner.models.load import Base
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.files import write_json
from tui_tuner.runs.folder import RunFolder
from tui_tuner.runs.progress import Emit, Throttle

LABELS = ("before", "after")

Tell = Callable[[int, int], None]
"""Hears how many answers are there, and how many there will be."""


@dataclass(frozen=True)
class TestRows:
    """The rows that are answered, and the split that each is reported under; without splits they are one test set."""

    __test__ = False  # no test, whatever its name says to pytest

    rows: list[Row] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def judged(self) -> int:
        """How many of them the figures are about: all but facts that were never trained, which are reported apart."""
        return len(self.rows) - self.splits.count("unseen")


def test_rows(experiment: Experiment, prepared: Prepared, emit: Emit) -> TestRows:
    """The rows of a run's benchmark; none when it is off, or when they have no prompt to answer."""
    if not experiment.evaluation.enabled or not prepared.test:
        return TestRows()
    if row_kind(prepared.test[0]) == "text":
        emit("log", level="warning", text="rows with only `text` have no prompt to answer: not benchmarked")
        return TestRows()
    limit = experiment.evaluation.rows or None
    rows, unseen = prepared.test[:limit], prepared.unseen[:limit]
    if experiment.data.split != "facts":
        return TestRows(rows)
    return TestRows([*rows, *unseen], ["recall"] * len(rows) + ["unseen"] * len(unseen))


test_rows.__test__ = False  # type: ignore[attr-defined]


def check_cases(experiment: Experiment, tokenizer: Any) -> None:
    """Makes sure, before anything is trained, that every behaviour case can be put to the model.

    Raises:
        TunerError: the model's chat template refuses one; names it.
    """
    for case in experiment.behaviour.cases:
        case_prompt(case, tokenizer)


@dataclass(frozen=True)
class Subject:
    """A model to be asked.

    Attributes:
        model: a module tree in evaluation mode.
        adapter: the adapter's folder or weights file on it; None for the base alone.
    """

    base: Base
    model: Any
    adapter: Path | None = None


class Examiner:
    """Asks a model on behalf of a run and keeps what comes of it in the run's folder.

    Args:
        folder: where results lie, as a run's `evaluation/`.
        key: what tells a result from others of the same label; empty for a run's own.
    """

    def __init__(self, experiment: Experiment, folder: Path, *, emit: Emit, control: JobControl, key: str = "") -> None:
        self._experiment, self._folder, self._emit, self._control = experiment, folder, emit, control
        self._of = key

    def known(self, label: str, told: bool = False) -> BenchmarkResult | None:
        """A benchmark that is whole already.

        Args:
            told: whether an event told of it; else a kill may have come between its rows and its figures.
        """
        if not told and not self._has(label):
            return None
        return read_result(self._folder, label, self._experiment.evaluation.metrics)

    def answer(self, subject: Subject, test: TestRows, label: str, stage: str) -> BenchmarkResult:
        """Benchmarks a model on test rows, as the run's configuration says.

        Raises:
            StopRequested: when asked to stop; finished rows stay.
            TunerError: for a folder that cannot be written.
        """
        return benchmark(
            subject.model,
            subject.base.tokenizer,
            test.rows,
            self._asked(subject, test, label),
            folder=self._folder,
            control=self._control,
            emit=self._emit,
            stage=stage,
        )

    @property
    def suites_wanted(self) -> bool:
        """Whether anything is asked besides the test rows."""
        return bool(self._experiment.behaviour.cases) or (
            self._experiment.evaluation.enabled and self._experiment.evaluation.canaries
        )

    def ask_suites(self, subject: Subject, label: str, stage: str) -> None:
        """Asks the behaviour cases and the canaries that the configuration wants, unless that was done.

        Raises:
            StopRequested: when asked to stop.
            TunerError: as `behaviour` and `canaries`.
        """
        if self._experiment.behaviour.cases and not self._has(f"behaviour-{label}"):
            self.behaviour(subject, label, stage)
        if (
            self._experiment.evaluation.enabled
            and self._experiment.evaluation.canaries
            and not self._has(f"canaries-{label}")
        ):
            self.canaries(subject, label, stage)

    def _has(self, name: str) -> bool:
        return (self._folder / f"{name}.json").is_file()

    def behaviour(self, subject: Subject, label: str, stage: str, tell: Tell | None = None) -> dict[str, Any]:
        """Asks the behaviour cases; returns and keeps the document of them.

        Raises:
            StopRequested: when asked to stop.
            TunerError: a case that the model cannot be asked, or a folder that cannot be written.
        """
        settings, cases = self._experiment.evaluation, self._experiment.behaviour.cases
        manner = manner_of(self._experiment.behaviour, settings.max_tokens, settings.batch_size)
        document = behaviour_document(label, cases, self._answers(subject, cases, manner, stage, "behaviour", tell))
        write_json(self._folder / f"behaviour-{label}.json", document)
        self._emit("behaviour", **{key: document[key] for key in ("label", "rate", "low", "high", "n")})
        return document

    def canaries(self, subject: Subject, label: str, stage: str, tell: Tell | None = None) -> dict[str, Any]:
        """Asks the canaries; returns and keeps the document of them, judged against "before" where there is one.

        Raises:
            StopRequested: when asked to stop.
            TunerError: the model's own suite is damaged, or a folder that cannot be written.
        """
        suite = suite_of(subject.base.path)
        cases = [case for group in suite.values() for case in group]
        manner = Manner(1, 0.0, MAX_TOKENS, self._experiment.evaluation.batch_size)
        answers = self._answers(subject, cases, manner, stage, "canaries", tell)
        before = read_before(self._folder) if label != LABELS[0] else None
        document = canary_document(label, suite, answers, before)
        write_json(self._folder / f"canaries-{label}.json", document)
        told = {key: document[key] for key in ("label", "rate", "low", "high", "n")}
        self._emit("canaries", **told, died=document.get("died", []))
        return document

    def _answers(
        self,
        subject: Subject,
        cases: list[BehaviourCase],
        manner: Manner,
        stage: str,
        what: str,
        tell: Tell | None,
    ) -> list[list[str]]:
        throttle: list[Throttle] = []

        def progress(done: int, total: int) -> None:
            if tell is not None:
                tell(done, total)
            elif total:
                throttle[:] = throttle or [Throttle(self._emit, stage, total)]
                throttle[0](done, what)

        if self._experiment.evaluation.reuse_answers:
            asked = Asked("", (), manner.max_tokens, manner.batch_size)
            manner = replace(manner, store=self._key(subject, asked))
        tokenizer = subject.base.tokenizer
        return answers_to(subject.model, tokenizer, cases, manner, control=self._control, tell=progress)

    def _asked(self, subject: Subject, test: TestRows, label: str) -> Asked:
        settings = self._experiment.evaluation
        asked = Asked(
            label,
            settings.metrics,
            settings.max_tokens,
            settings.batch_size,
            model=self._experiment.model.path,
            adapter=str(subject.adapter or ""),
            splits=test.splits,
            raw_prompt=settings.raw_prompt,
            mask_prompt=self._experiment.data.mask_prompt,
            max_length=self._experiment.train.max_seq_length,
            key=self._of,
            settings={"template": self._experiment.model.chat_template, **({"key": self._of} if self._of else {})},
        )
        return asked.kept_under(self._key(subject, asked)) if settings.reuse_answers else asked

    def _key(self, subject: Subject, asked: Asked) -> str | None:
        return answers_key(subject.model, subject.base.tokenizer, subject.base.path, subject.adapter, asked)


def judged(folder: RunFolder, results: dict[str, BenchmarkResult]) -> tuple[dict[str, Any], str]:
    """The verdict on after against before, kept in the run's folder: per metric, and its sentence.

    The same answers give the same figures, here and whenever they are compared again: no seed of the run goes into it.

    Raises:
        TunerError: the folder cannot be written.
    """
    before, after = (results[label] for label in LABELS)
    found = judge(before.scores, after.scores)
    metrics = found.as_json()
    apart = verdict_by_split([{"split": split} for split in before.splits], before.every, after.every)
    n = max((len(values) for values in before.scores.values()), default=0)
    write_json(folder.evaluation / "verdict.json", verdict_document(*LABELS, n, found, apart))
    write_json(
        folder.evaluation / "summary.json",
        {"n": n, **{label: results[label].metrics for label in LABELS}, "verdict": metrics},
    )
    return metrics, found.sentence
