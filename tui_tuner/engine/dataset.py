"""Everything about the data of an experiment: rows, tokens, problems, padding; what command and screen show.

It reads and computes; it must never write anything but caches, and never load weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tui_tuner.config import Experiment
from tui_tuner.data.chatforms import template_text
from tui_tuner.data.draft import Draft, draft
from tui_tuner.data.examples import Example
from tui_tuner.data.scan import Report, scan
from tui_tuner.data.scancache import keep_report, kept_report, scan_key
from tui_tuner.data.statistics import token_figures
from tui_tuner.engine.consent import allow_code
from tui_tuner.models.folder import check_folder, locate
from tui_tuner.models.load import load_tokenizer
from tui_tuner.training.fast.order import FastOrder


@dataclass(frozen=True)
class DataFacts:
    """What was found about a data set.

    Attributes:
        report: rows and problems.
        tokens: figures of the lengths, see `token_figures`; with `model`, and of training `padding` (its shares in
            both modes and the speed-up between them) and `steps_per_epoch`.
    """

    report: Report
    tokens: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The document that `tui-tuner data --json` prints."""
        report = self.report
        return {
            "source": report.source,
            "rows": report.records,
            "format": report.guess.shape,
            "confidence": report.guess.confidence,
            "why": report.guess.why,
            "mapping": dict(report.guess.mapping),
            "file": report.format,
            "columns": report.columns,
            "splits": report.counts,
            "notes": report.notes,
            "problems": [problem.as_json() for problem in report.problems],
            "tokens": self.tokens,
        }


def data_facts(
    experiment: Experiment,
    base: Path | None = None,
    *,
    tell: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
    make: Callable[..., Draft] = draft,
) -> DataFacts:
    """Looks at every row of an experiment's data with its model's tokenizer, or knows what was found the last time.

    Args:
        experiment: the data, model and training sections matter.
        base: folder that relative paths are looked for in first.
        tell: called with rows done and rows in all.
        check: called now and then; it may raise to end the work.
        make: makes the draft, or gives the one that is held.

    Raises:
        TunerError: the model or the source cannot be read.
    """
    allow_code(experiment)
    folder = locate(experiment.model.path, base)
    check_folder(folder)
    template = template_text(experiment.model.chat_template, base)
    key = scan_key(experiment, folder, base, template)
    report = kept_report(key)
    if report is None:
        report = scan(experiment, load_tokenizer(folder, template), base, tell=tell, check=check, make=make)
        if scan_key(experiment, folder, base, template) == key:  # nothing changed while it was looked at
            keep_report(key, report)
    train = experiment.train
    tokens = token_figures(report, train.max_seq_length)
    if tokens:
        tokens["model"] = experiment.model.path
        tokens |= _batches(report, train.batch_size, train.max_seq_length, train.mode)
    return DataFacts(report, tokens)


def _batches(report: Report, batch_size: int, max_length: int, mode: str) -> dict[str, Any]:
    """Padding and steps of an epoch, by the very order that training takes."""
    chosen = report.of("train") & (report.lengths > 0)
    if not np.any(chosen):
        return {}
    # Only lengths matter here: a range stands for the tokens of a row.
    examples = [
        Example(range(length), offset)  # type: ignore[arg-type]
        for length, offset in zip(report.lengths[chosen].tolist(), report.offsets[chosen].tolist(), strict=True)
    ]
    order = FastOrder(examples, [], batch_size=batch_size, max_length=max_length, seed=0)
    padding = order.padding
    steps = order.batches_per_epoch if mode == "fast" else max(len(examples) // batch_size, 1)
    return {
        "padding": {
            "batch_size": batch_size,
            "fast": padding.fast,
            "stock": padding.stock,
            "speedup": padding.speedup,
        },
        "steps_per_epoch": steps,
    }
