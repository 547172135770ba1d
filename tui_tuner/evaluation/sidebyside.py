"""The comparison of several runs as a report: who, what differs, figures with verdicts, curves, rows to look at.

Made of the document that `together` gives and of nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tui_tuner import units
from tui_tuner.evaluation.blocks import Block, Chart, Curve, Heading, Quoted, Sentence, Table
from tui_tuner.evaluation.csvtext import csv_text
from tui_tuner.evaluation.markdown import difference, loss_points, number, p_text
from tui_tuner.models.card import public_name

_ROWS = 10
"""Rows in full: those on which the answers differ most."""


def comparison_blocks(document: Mapping[str, Any]) -> list[Block]:
    """The report of a comparison.

    Args:
        document: as `together.together_document` makes it.
    """
    runs: Sequence[Mapping[str, Any]] = document["runs"]
    names = [run["label"] for run in runs]
    parts: list[Block] = [Heading(1, " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0])]
    parts += [Sentence(f"Judged against {_label(document)}."), *(Sentence(f"{note}.") for note in document["notes"])]
    parts += _runs(runs)
    parts += _differences(document["differences"], names)
    parts += _metrics(document, names)
    for which, title in (("train", "Training loss"), ("validation", "Validation loss")):
        curves = [
            Curve(run["label"], loss_points(run["curves"][which]), slot)
            for slot, run in enumerate(runs)
            if which in run["curves"]
        ]
        if curves:
            parts += [Heading(2, title), Chart(title, "step", "nats per token", curves), _ends(curves)]
    return parts + _rows(document, names)


def comparison_csv(document: Mapping[str, Any]) -> str:
    """A line per row of the reference: what was asked, what is right, and of each run its answer and scores."""
    runs, rows = document["runs"], document["rows"]
    scored = [said["scores"] for row in rows for said in row["said"] if said]
    metrics = list(dict.fromkeys(name for scores in scored for name in scores))
    names = [f"{run['label']}_{part}" for run in runs for part in ("text", *metrics)]
    lines: list[Sequence[object]] = [["row", "split", "prompt", "reference", *names]]
    for at, row in enumerate(rows):
        line = [at, row["split"], row["prompt"], row["reference"]]
        for said in row["said"]:
            line += (
                [said["text"], *(said["scores"].get(name, "") for name in metrics)]
                if said
                else [""] * (1 + len(metrics))
            )
        lines.append(line)
    return csv_text(lines)


def _label(document: Mapping[str, Any]) -> str:
    return next(str(run["label"]) for run in document["runs"] if run["run"] == document["reference"])


def _runs(runs: Sequence[Mapping[str, Any]]) -> list[Block]:
    rows = [
        [run["label"], run["state"], public_name(run["model"]), public_name(run["data"]),
         f"{run['step']} of {run['steps']}",
         units.duration(run["seconds"]), number(run["best_validation"], 4), "; ".join(run["problems"]) or "–"]
        for run in runs
    ]  # fmt: skip
    titles = ["run", "state", "model", "data", "steps", "at work", "lowest validation loss", "to know"]
    return [Heading(2, "The runs"), Table(titles, rows)]


def _differences(found: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Block]:
    if not found:
        return [Heading(2, "What differs"), Sentence("Nothing in the configurations that could be read.")]
    rows = [[one["key"], *map(_value, one["values"])] for one in found]
    return [Heading(2, "What differs"), Table(["key", *names], rows)]


def _value(value: str | None) -> str:
    """A setting as strangers may read it: of a path its last name."""
    return "–" if value is None else public_name(value) if value.startswith(("/", "~", ".")) else value


def _metrics(document: Mapping[str, Any], names: Sequence[str]) -> list[Block]:
    rows = []
    for name, told in document["metrics"].items():
        for at, figures in enumerate(told["values"]):
            judged = told["against"][at] if at < len(told["against"]) else None
            counts = "–" if judged is None else f"{judged['wins']} / {judged['ties']} / {judged['losses']}"
            rows.append([
                told["label"] if told["label"] == name else f"{told['label']} ({name})", names[at],
                units.interval(figures), difference(judged or {}), p_text((judged or {}).get("p")), counts,
                str((judged or {}).get("verdict") or "–"),
            ])  # fmt: skip
    if not rows:
        return [Heading(2, "Metrics"), Sentence("None of the runs was benchmarked.")]
    titles = ["metric", "run", "value", "against the reference", "p", "won / tied / lost", "verdict"]
    note = "Intervals are 95 %; p-values are corrected for judging several metrics and runs at once."
    said = []
    for name, one in zip(names, document["verdicts"], strict=True):
        told = [one["sentence"], *(f"{note}." for note in one["notes"])] if one else []
        said += [Sentence(f"{name}: {text}") for text in told if text]
    return [Heading(2, "Metrics"), Table(titles, rows), Sentence(note), *said]


def _ends(curves: Sequence[Curve]) -> Table:
    rows = []
    for curve in curves:
        losses = [y for _, y in curve.points]
        told = (losses[0], min(losses), losses[-1])
        rows.append([curve.name, *(number(loss, 4) for loss in told), f"{curve.points[-1][0]:g}"])
    return Table(["nats per token", "first", "lowest", "last", "step"], rows)


def _rows(document: Mapping[str, Any], names: Sequence[str]) -> list[Block]:
    """The rows that are told apart by the most different answers, the first of those that are alike in that."""
    rows: Sequence[Mapping[str, Any]] = document["rows"]
    differing = sorted((at for at in range(len(rows)) if _kinds(rows[at]) > 1), key=lambda at: (-_kinds(rows[at]), at))[
        :_ROWS
    ]
    if not differing:
        return []
    parts: list[Block] = [Heading(2, "Rows"), Sentence("Of the rows to which not all runs said the same.")]
    for at in sorted(differing):
        row = rows[at]
        parts += [Heading(3, f"Row {at}"), Quoted("prompt", row["prompt"]), Quoted("reference", row["reference"])]
        parts += [Quoted(name, said["text"]) for name, said in zip(names, row["said"], strict=True) if said]
    return parts


def _kinds(row: Mapping[str, Any]) -> int:
    return len({said["text"] for said in row["said"] if said})
