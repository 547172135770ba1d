"""The runs of a sweep side by side: ranked by one metric, and the best judged against each other one on the test rows.

Every figure is one that the runs measured, or that `compare` gives of the same two results; nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tui_tuner.config.describe import in_toml
from tui_tuner.config.sweep_table import VALIDATION
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.board import read_board
from tui_tuner.evaluation.comparing import compare_document, read_result
from tui_tuner.evaluation.metrics.specs import metric_spec
from tui_tuner.evaluation.stored import AFTER
from tui_tuner.runs.catalogue import LAST, RunSummary, find_run, list_runs, summarise
from tui_tuner.runs.files import read_object
from tui_tuner.runs.folder import RunFolder, stem_of
from tui_tuner.runs.state import RunState

SEED: Final = "run.seed"

OTHER_ROWS: Final = ("data.", "model.path", "model.chat_template", "train.max_seq_length", "train.mode", SEED)
"""Keys whose values may change which tokens validation counts, so that its losses are no longer of the same."""


def find_sweep(what: str, runs_dir: Path) -> list[RunFolder]:
    """The runs of a sweep, in its order.

    Args:
        what: the sweep's id, the beginning of one that no other shares, any of its runs, or `last` for the newest.
        runs_dir: where the runs are.

    Raises:
        TunerError: there is no such sweep or run, or the run belongs to none.
    """
    summaries = [summary for summary in list_runs(runs_dir) if summary.sweep]
    identities = list(dict.fromkeys(summary.sweep for summary in summaries))  # newest first
    fitting = [identity for identity in identities if what and identity.startswith(what)]
    if what == LAST and identities:
        identity = identities[0]
    elif what in identities or len(fitting) == 1:
        identity = what if what in identities else fitting[0]
    else:
        folder = find_run(what, runs_dir)
        identity = summarise(folder).sweep
        if not identity:
            raise TunerError(
                "belongs to no sweep",
                code="no-sweep",
                where=folder.name,
                fix="name a sweep's id as `tui-tuner sweep` said it, or one of its runs",
                usage=True,
            )
    folders = [RunFolder(summary.path) for summary in summaries if summary.sweep == identity]
    return sorted(folders, key=lambda folder: (_number(_note(folder)), folder.name))


def sweep_document(folders: Sequence[RunFolder], *, seed: int = 0, judged: bool = True) -> dict[str, Any]:
    """What `sweep --results --json` prints.

    Args:
        folders: the runs of one sweep.
        seed: of the intervals and tests.
        judged: whether the best is judged against the others, which takes seconds.
    """
    notes = {folder.name: _note(folder) for folder in folders}
    about = next(iter(notes.values()), {})
    metric = str(about.get("metric") or VALIDATION)
    higher = metric != VALIDATION and metric_spec(metric).higher_is_better
    rows = [_row(folder, notes[folder.name], metric) for folder in folders]
    measured = [row for row in rows if row["state"] == RunState.FINISHED and row["value"] is not None]
    measured.sort(key=lambda row: (-row["value"] if higher else row["value"], row["number"]))
    for rank, row in enumerate(measured, 1):
        row["rank"] = rank
    best = measured[0] if measured else None
    unjudged: list[str] = []
    if best is not None and judged:
        place = {folder.name: folder for folder in folders}
        for row in measured[1:]:
            try:
                row["best_against_it"] = _judged(place[row["run"]], place[best["run"]], seed)
            except TunerError as error:  # one of many must not cost the others' figures
                unjudged.append(f"{best['run']} is not judged against {row['run']}: {_why_not(error)}")
    left = [row for row in rows if row["rank"] is None]
    return {
        "sweep": about.get("id"),
        "preset": about.get("preset"),
        "metric": metric,
        "higher_is_better": higher,
        "runs": [*measured, *left],
        "best": best["run"] if best is not None else None,
        "over_seeds": sorted(_over_seeds(measured), key=lambda one: -one["mean"] if higher else one["mean"]),
        "notes": [*_doubts(metric, rows, len(left), int(about.get("of") or 0)), *unjudged],
    }


def sweep_markdown(document: Mapping[str, Any], width: int | None = None) -> str:
    """The document as Markdown: the table as a block that keeps its columns, then a sentence for each comparison.

    Args:
        width: how wide the table may be; it is then told as `sweep_lines` does it for so many columns.
    """
    lines = sweep_lines(document, None if width is None else width - len("| "))
    table, rest = lines[: len(document["runs"]) + 1], lines[len(document["runs"]) + 1 :]
    about = f"ranked by {document['metric']}, {'highest' if document['higher_is_better'] else 'lowest'} first"
    return "\n".join([f"# {document['sweep']}: {about}", "", *(f"| {line}" for line in table), "", *rest])


def sweep_lines(document: Mapping[str, Any], width: int | None = None) -> list[str]:
    """The document as lines for people: the table, and what the best is against each other one.

    Args:
        width: how wide the table may be. Runs go without their moment then, and of the metrics that the runs are not
            ranked by those that there is no room for are left out, and named below.
    """
    runs = document["runs"]
    metric = document["metric"]
    others = [name for name in dict.fromkeys(name for row in runs for name in row["metrics"]) if name != metric]
    shown = list(others)
    lines = _table(document, shown, short=width is not None)
    while width is not None and shown and max(map(len, lines)) > width:
        shown.pop()
        lines = _table(document, shown, short=True)
    if left := others[len(shown) :]:
        lines.append(f"{', '.join(left)}: no room here, `tui-tuner sweep --results {document['sweep']}` tells them")
    if document["over_seeds"]:
        lines.append(f"{metric} over the seeds: mean, lowest to highest")
        lines += [f"  {_settings(one['values'])}: {_spread(one)}" for one in document["over_seeds"]]
    judged = [row for row in runs if row["best_against_it"]]
    if judged:
        lines.append(f"{document['best']} on the test rows, against")
        lines += [f"  {row['run']}: {row['best_against_it']['sentence']}" for row in judged]
    return lines + [f"note: {note}" for note in document["notes"]]


def _table(document: Mapping[str, Any], others: Sequence[str], *, short: bool) -> list[str]:
    """A line for the heads and one for each run, with these metrics beside the one that ranks."""
    runs, metric = document["runs"], document["metric"]
    keys = list(dict.fromkeys(key for row in runs for key in row["values"]))
    head = ["", "run", *keys, metric, *([VALIDATION] if metric != VALIDATION else []), *others, "state"]
    table = [head]
    for row in runs:
        figures = [row["value"], *([row[VALIDATION]] if metric != VALIDATION else [])]
        figures += [row["metrics"].get(name) for name in others]
        values = [in_toml(row["values"][key]) if key in row["values"] else "" for key in keys]
        rank = "" if row["rank"] is None else str(row["rank"])
        told = ["–" if figure is None else f"{figure:.4f}" for figure in figures]
        table.append([rank, stem_of(row["run"]) if short else row["run"], *values, *told, row["state"]])
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _over_seeds(measured: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What runs that differ in nothing but their seed come to together; empty where several seeds were not tried, or
    no two such runs have a figure.

    Of so few runs no interval is made up: the lowest and the highest say how far the seed alone takes a figure.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in measured:
        groups.setdefault(_settings(_unseeded(row)), []).append(row)
    if all(len(rows) < 2 for rows in groups.values()) or any(SEED not in row["values"] for row in measured):
        return []
    found: list[dict[str, Any]] = []
    for rows in groups.values():
        values = [row["value"] for row in rows]
        spread = {"mean": sum(values) / len(values), "lowest": min(values), "highest": max(values)}
        found.append({"values": _unseeded(rows[0]), "runs": [row["run"] for row in rows], **spread})
    return found


def _unseeded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row["values"].items() if key != SEED}


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={in_toml(value)}" for key, value in values.items()) or "all runs"


def _spread(one: Mapping[str, Any]) -> str:
    many = len(one["runs"])
    if many == 1:
        return f"{one['mean']:.4f} (1 run)"
    return f"{one['mean']:.4f}, {one['lowest']:.4f} to {one['highest']:.4f} ({many} runs)"


def _why_not(error: TunerError) -> str:
    return "they answered other rows" if error.code == "different-rows" else error.message


def _row(folder: RunFolder, note: Mapping[str, Any], metric: str) -> dict[str, Any]:
    summary = summarise(folder)
    measured = read_board(folder.evaluation).results.get(AFTER)
    figures = measured.metrics if measured is not None else {}
    told = {name: figure.get("value") for name, figure in figures.items() if figure.get("judged") is not False}
    figure = figures.get(metric, {})
    return {
        "rank": None,
        "run": folder.name,
        "number": _number(note),
        "state": summary.state.value,
        "reason": _reason(summary),
        "values": dict(note["values"]) if isinstance(note.get("values"), dict) else {},
        "value": summary.best if metric == VALIDATION else figure.get("value"),
        "low": None if metric == VALIDATION else figure.get("low"),
        "high": None if metric == VALIDATION else figure.get("high"),
        VALIDATION: summary.best,
        "metrics": told,
        "best_against_it": None,
    }


def _reason(summary: RunSummary) -> str:
    return "" if summary.state is RunState.FINISHED else summary.reason


def _judged(other: RunFolder, best: RunFolder, seed: int) -> dict[str, Any] | None:
    """What `compare` says of the two results; None where one has no answers to test rows."""
    paths = [folder.evaluation / f"{AFTER}.jsonl" for folder in (other, best)]
    if not all(path.is_file() for path in paths):
        return None
    a, b = (read_result(path, need_reference=False) for path in paths)
    found = compare_document(a, b, seed=seed)
    return {key: found[key] for key in ("n", "metrics", "sentence", "notes")}


def _doubts(metric: str, rows: Sequence[Mapping[str, Any]], left: int, of: int) -> list[str]:
    """What the figures do not show by themselves."""
    swept = {key for row in rows for key in row["values"]}
    notes = []
    if left:
        notes.append(f"{left} of {len(rows)} runs have no rank, because they have not finished with a figure")
    if of > len(rows):
        notes.append(f"{of - len(rows)} of the sweep's {of} runs are no longer there")
    if metric == VALIDATION and (unlike := sorted(key for key in swept if key.startswith(OTHER_ROWS))):
        differ = "differs" if len(unlike) == 1 else "differ"
        notes.append(f"validation losses may be of different rows or tokens, because {', '.join(unlike)} {differ}")
    if metric != VALIDATION and len(rows) > 1:
        notes.append(
            "the best was chosen by the rows that it is judged by, so its figure is a little too good; "
            "ranking by validation_loss avoids that"
        )
    elif any(row["best_against_it"] for row in rows):
        notes.append("each comparison stands by itself: of many, some come out by chance")
    return notes


def _note(folder: RunFolder) -> dict[str, Any]:
    note = read_object(folder.meta).get("sweep")
    return note if isinstance(note, dict) else {}


def _number(note: Mapping[str, Any]) -> int:
    """Which of the sweep's combinations a run is, from 1; 0 where its note does not tell."""
    number = note.get("number")
    return number if isinstance(number, int) else 0
