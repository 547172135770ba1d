"""The data stage of a run: every row is looked at before the first step, and what blocks training ends the run here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui_tuner.config import Experiment
from tui_tuner.data.draft import Draft
from tui_tuner.data.lint.linter import ALLOWABLE
from tui_tuner.data.scan import scan_draft
from tui_tuner.errors import TunerError
from tui_tuner.runs.progress import Emit, Throttle


def lint_or_refuse(made: Draft, experiment: Experiment, tokenizer: Any, emit: Emit, check: Callable[[], None]) -> None:
    """Tells of every problem of the rows in `log` events.

    Args:
        check: called between portions of rows; it may raise to end the work.

    Raises:
        TunerError: for a problem that blocks training and is not allowed by name in `data.allow`.
    """
    tell = Throttle(emit, "data", sum(map(len, made.parts.values())))
    report = scan_draft(made, experiment, tokenizer, tell=lambda done, _total: tell(done), check=check)
    for problem in report.problems:
        if problem.severity != "error":
            level = "warning" if problem.severity == "warning" else "info"
            emit("log", level=level, text=f"data ({problem.code}): {problem.message}; {problem.fix}")
    if not report.errors:
        return
    first, more = report.errors[0], len(report.errors) - 1
    source = experiment.data.source
    lines = ", ".join(f"{line:,}" for line in first.lines[:5])
    raise TunerError(
        first.message + (f" (and {more} more; `tui-tuner check` lists them)" if more else ""),
        code=first.code,
        where=f"{source}, line {lines}" if lines else source,
        fix=first.fix + (f', or allow it: data.allow = ["{first.code}"]' if first.code in ALLOWABLE else ""),
    )
