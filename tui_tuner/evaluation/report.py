"""The report of a run as Markdown: what was done, what came out, how sure that is, and rows to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tui_tuner.config import Experiment
from tui_tuner.evaluation.benchmark import BenchmarkResult
from tui_tuner.runs.files import write_atomic
from tui_tuner.runs.folder import RunFolder

_SAMPLES = 5


def write_report(
    folder: RunFolder,
    experiment: Experiment,
    results: Mapping[str, BenchmarkResult],
    verdict: Mapping[str, Mapping[str, Any]],
    sentence: str,
) -> None:
    """Writes `report.md` of a run that was benchmarked before and after training."""
    parts = [
        f"# {experiment.run.name}",
        "",
        sentence,
        "",
        *_settings(experiment),
        "",
        *_table(results, verdict),
        "",
        *_samples(results),
        "## Again",
        "",
        "    tui-tuner run config.toml",
        "",
    ]
    write_atomic(folder.report, "\n".join(parts))


def _settings(experiment: Experiment) -> list[str]:
    adapter, train = experiment.adapter, experiment.train
    layers = f"the last {adapter.layers} layers" if adapter.layers else "all layers"
    size = "" if adapter.method == "full" else f", rank {adapter.rank}, scale {adapter.scale:g}"
    return [
        "| what | value |",
        "|---|---|",
        f"| model | {_cell(experiment.model.path)} |",
        f"| data | {_cell(experiment.data.source)} |",
        f"| method | {adapter.method}{size}, {layers} |",
        f"| training | {train.iters} iterations of {train.batch_size} rows, {train.optimizer}, "
        f"learning rate {train.learning_rate:g} |",
        f"| seed | {experiment.run.seed} |",
    ]


def _table(results: Mapping[str, BenchmarkResult], verdict: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        "## Before and after, on the same held-out rows",
        "",
        "| metric | before | after | difference | p | wins / ties / losses | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    before, after = results["before"].metrics, results["after"].metrics
    for name, judged in verdict.items():
        difference = f"{judged['difference']:+.3f} ({judged['low']:+.3f} to {judged['high']:+.3f})"
        counts = f"{judged['wins']} / {judged['ties']} / {judged['losses']}"
        lines.append(
            f"| {name} | {_interval(before[name])} | {_interval(after[name])} | {difference} | {judged['p']:.2g} | "
            f"{counts} | {judged['verdict']} |"
        )
    lines += ["", "Intervals are 95 %; p-values are corrected for judging several metrics at once."]
    return lines


def _interval(metric: Mapping[str, float]) -> str:
    return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"


def _samples(results: Mapping[str, BenchmarkResult]) -> list[str]:
    before, after = (_rows(results[label]) for label in ("before", "after"))
    lines = ["## Answers", ""]
    for old, new in list(zip(before, after, strict=True))[:_SAMPLES]:
        lines += [
            f"### Row {old['index'] + 1}",
            "",
            *_block("prompt", old["prompt"]),
            *_block("reference", old["reference"]),
            *_block("before", old["prediction"]),
            *_block("after", new["prediction"]),
        ]
    return lines


def _rows(result: BenchmarkResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.path.read_text(encoding="utf-8").split("\n") if line]


def _block(title: str, text: str) -> list[str]:
    # Indented code is the one form that no text of a model can break out of.
    return [f"{title}:", "", *(f"    {line}" for line in text.splitlines() or [""]), ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
