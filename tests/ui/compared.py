"""Three runs to compare: other rates, losses and answers; the third is damaged and has answered other rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.ui.fakes import RunBuilder, metric, train_fields, validation_loss
from tests.ui.workshop import HOSTILE, experiment, with_config, write_answers
from tui_tuner.runs.folder import RunFolder

ROWS = 40
_WORDS = ("Herons", "Wolves", "won", "lost", "four", "two", "Winslow", "scored", "late", "home")


def answers(right: float, seed: int, rows: int = ROWS, prompts: str = "Game") -> list[dict[str, Any]]:
    """Rows of five words, each of them kept with probability `right`."""
    sentences, random = np.random.default_rng(3), np.random.default_rng(seed)
    found = []
    for index in range(rows):
        words = [str(word) for word in sentences.choice(_WORDS, 5)]
        said = [word if random.random() < right else str(random.choice(_WORDS)) for word in words]
        found.append({"index": index, "prompt": f"{prompts} {index}: {HOSTILE}", "reference": " ".join(words),
                      "prediction": " ".join(said), "scores": {}, "tokens": 7, "finish": "stop"})  # fmt: skip
    return found


def result(folder: Path, label: str, value: float) -> None:
    figures = {
        "exact_match": {**metric(value, 0.1), "label": "Exact match"},
        "rouge1": {**metric(value + 0.05, 0.06), "label": "ROUGE-1"},
    }
    document = {"label": label, "n": ROWS, "model": "embedded:phi3-tiny", "metrics": figures, "settings": {}}
    (folder / f"{label}.json").write_text(json.dumps(document), encoding="utf-8")


def trained(builder: RunBuilder, factor: float, **keys: Any) -> RunBuilder:
    """A run of 120 steps whose losses are those of the fakes times a factor."""
    with_config(builder, experiment(run_name=builder.name, **keys))
    builder.begin().stage("train", "running")
    for step in range(5, 121, 5):
        fields = train_fields(step, 120)
        builder.add("train", 2.0 / factor, step=step, **{**fields, "loss": fields["loss"] * factor})
        if step % 30 == 0:
            builder.add("validation", 1.0, step=step, loss=validation_loss(step) * factor, tokens=2210, seconds=1.0)
            builder.add("sample", step=step, prompt=f"Report {HOSTILE}", text=f"FT {step} of {builder.name} {HOSTILE}")
    return builder.finish()


def compared(runs_dir: Path) -> list[RunFolder]:
    """The three runs."""
    first = trained(RunBuilder(runs_dir, "steady"), 1.0)
    second = trained(RunBuilder(runs_dir, "hot", "20251009-091500"), 1.6, train_learning_rate=1e-2, adapter_rank=32)
    third = trained(RunBuilder(runs_dir, "other-rows", "20251009-100000"), 0.8, train_iters=90)
    for builder, right, seed in ((first, 0.9, 1), (second, 0.5, 2)):
        write_answers(builder.folder.evaluation, "after", answers(right, seed))
        result(builder.folder.evaluation, "after", right)
    others = [{**row, "reference": f"other {row['index']}"} for row in answers(0.9, 5, prompts="Another")]
    write_answers(third.folder.evaluation, "after", others)
    with third.folder.events.open("a", encoding="utf-8") as log:
        log.write("{torn\n")
    return [first.folder, second.folder, third.folder]
