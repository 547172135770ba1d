"""Data sets as the Data screen meets them: what the linter found in them, and engines that answer every question."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ui.looking import shown
from tests.ui.workshop import HOSTILE, experiment, preview, preview_of
from tui_tuner.config.data_section import DataSection
from tui_tuner.config.model import Experiment
from tui_tuner.data.findings import Problem
from tui_tuner.data.scan import Report
from tui_tuner.data.shapes import Guess
from tui_tuner.data.sourcefacts import SourceFacts, source_facts
from tui_tuner.data.statistics import token_figures
from tui_tuner.engine.dataset import DataFacts
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import DescribeSource, FindRows, PreviewData, ScanData
from tui_tuner.errors import TunerError
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.widgets.data_list import RowList

PROBLEMS = [
    Problem("leakage", "error", 9, "9 held-out rows stand in training too", "take them out", "drop-leaks",
            (("test", 1), ("test", 4)), (12, 57)),
    Problem("truncated", "warning", 1_204, f"1,204 rows are cut {HOSTILE}", "raise train.max_seq_length", "",
            (("train", 3),), (4,), (("train.max_seq_length", 512),)),
    Problem("small-test", "info", 40, "with 40 test rows little can be told", "raise data.test"),
]  # fmt: skip


def linted(problems: list[Problem]) -> DataFacts:
    none = np.zeros(0, np.int32)
    report = Report("x", "jsonl", 440, {}, Guess("text", 1.0), [], [], problems, none.astype(np.int8), *[none] * 4)
    return DataFacts(report, {})


def with_problems(problems: list[Problem]) -> Callable[[JobHandle], None]:
    """Answers a preview at once, one of chosen rows with those, and the linter with these problems."""

    def answer(handle: JobHandle) -> None:
        request = handle.request
        if isinstance(request, ScanData):
            handle.result = linted(problems)
        elif isinstance(request, PreviewData):
            handle.result = preview_of(request, preview())
        handle.status = JobStatus.DONE

    return answer


LENGTHS = {"train": [40, 90, 10, 300, 55, 55], "valid": [20, 70], "test": [30]}


def measured(problems: list[Problem] | None = None, **tokens: Any) -> DataFacts:
    """Facts of nine rows with these lengths; a third of each row is prompt."""
    lengths = np.array([length for some in LENGTHS.values() for length in some], np.int32)
    number = np.array([at for some in LENGTHS.values() for at in range(len(some))], np.int32)
    split = np.array([at for at, some in enumerate(LENGTHS.values()) for _ in some], np.int8)
    counts = {name: len(some) for name, some in LENGTHS.items()}
    report = Report("x", "jsonl", 9, counts, Guess("text", 1.0), [], [], problems or [], split, number,
                    lengths, lengths // 3, number + 1, {"truncated": np.array([1, 3, 7], np.int32)})  # fmt: skip
    return DataFacts(report, {**token_figures(report, 64), **tokens})


def nine_rows(facts: DataFacts, found: tuple[tuple[str, int], ...] = ()) -> Callable[[JobHandle], None]:
    """Answers every question about the nine rows at once."""
    counts = dict(facts.report.counts)
    whole = preview(counts=counts, rows=[])

    def answer(handle: JobHandle) -> None:
        request = handle.request
        if isinstance(request, ScanData):
            handle.result = facts
        elif isinstance(request, FindRows):
            handle.result = found
        elif isinstance(request, PreviewData):
            handle.result = preview_of(request, whole)
        handle.status = JobStatus.DONE

    return answer


def listed(app: TunerApp) -> list[str]:
    """Split and number of the listed rows, as they stand on the screen."""
    region = app.screen.query_one("#data-rows", RowList).content_region
    rows = [line[region.x : region.right] for line in shown(app).splitlines()[region.y + 1 : region.bottom]]
    return [" ".join(row.strip("▌ ").split()[:2]) for row in rows if row.strip()]


FIGURES: dict[str, Any] = {
    "padding": {"batch_size": 8, "fast": 0.031, "stock": 0.284, "speedup": 1.36}, "steps_per_epoch": 3,
    "percentiles": {"50": 55, "75": 70, "90": 132.0, "95": 216, "99": 283.2, "100": 300},
    "labels": {"distinct": 3, "short": True, "top": [["yes", 4], ["[b]no[/]", 1], ["perhaps", 1]]},
}  # fmt: skip


TEAMS = ["Herons", "Wolves", "Foxes", "Badgers", "Otters", "Larks", "Bears", "Moles", "Newts", "Hares"]
RECORDS = [{"question": f"Who won game {at}?", "answer": f"The {TEAMS[at % 10]}.", "yards": at} for at in range(40)]


@pytest.fixture
def games(tmp_path: Path) -> Path:
    """A file of questions and answers."""
    path = tmp_path / "games.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")
    return path


def described(facts: SourceFacts | TunerError) -> Callable[[JobHandle], None]:
    """Answers every question; about the source with these facts, or that it cannot be read."""
    others = nine_rows(measured())

    def answer(handle: JobHandle) -> None:
        if not isinstance(handle.request, DescribeSource):
            others(handle)
        elif isinstance(facts, TunerError):
            handle.status, handle.error = JobStatus.FAILED, facts
        else:
            handle.status, handle.result = JobStatus.DONE, facts

    return answer


def about(path: Path, **keys: Any) -> tuple[Experiment, SourceFacts]:
    """An experiment on a file, and the facts of that file."""
    data = DataSection(source=str(path), **keys)
    return experiment().model_copy(update={"data": data}), source_facts(data)


def set_up(drive: Any) -> DataSection:
    """The data section of the experiment that is set up."""
    assert drive.state.experiment is not None
    return drive.state.experiment.data  # type: ignore[no-any-return]
