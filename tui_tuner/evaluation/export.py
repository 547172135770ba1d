"""What was measured of a run as one document, and as Markdown, CSV, JSON or a page to hand on; so are comparisons.

Everything that the Benchmark screen shows is in the document. Writing never replaces a file that is there, unless it
is told to; texts of data and models are quoted so that they stay text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tui_tuner.config import Experiment, load_experiment
from tui_tuner.errors import TunerError
from tui_tuner.evaluation import stored
from tui_tuner.evaluation.board import Board, read_board
from tui_tuner.evaluation.csvtext import csv_text
from tui_tuner.evaluation.curves import FINE, training_curves
from tui_tuner.evaluation.pairing import judge_pairs
from tui_tuner.evaluation.stored import AFTER, BEFORE, Answer, Pair, Pairs
from tui_tuner.models.card import public_name
from tui_tuner.runs import RunView, read_events
from tui_tuner.runs.files import plain_json, read_failure, write_atomic

if TYPE_CHECKING:
    from tui_tuner.runs.folder import RunFolder

Format = Literal["md", "html", "csv", "json"]
FORMATS: tuple[Format, ...] = ("md", "html", "csv", "json")


def report_document(
    folder: RunFolder, view: RunView | None = None, sides: tuple[str, str] = (BEFORE, AFTER)
) -> dict[str, Any]:
    """All that was measured of a run.

    Args:
        folder: the run.
        view: its events, for runs that kept no files of their figures.
        sides: labels of the two results whose rows stand beside each other.

    Returns:
        {"run", "sides", "results": {label: …}, "verdict", "training", "curves", "behaviour", "canaries",
        "checkpoints", "rows", "damaged", "settings"}.

    Raises:
        TunerError: nothing was measured, there is no such result, or a file cannot be read.
    """
    if view is None:
        view = RunView()
        view.extend(read_events(folder.events))
    board = read_board(folder.evaluation, view)
    if board.empty:
        raise TunerError(
            "was not benchmarked yet",
            code="no-benchmark",
            where=folder.name,
            fix="run or resume it with evaluation.enabled=true",
        )
    for label in sides:
        if sides != (BEFORE, AFTER) and label not in board.results:
            known = ", ".join(board.results)
            raise TunerError(
                f'has no result "{label}"', code="no-result", where=folder.name, fix=f"choose from {known}", usage=True
            )
    files = [stored.rows_file(folder.evaluation, label) for label in sides]
    try:
        pairs = stored.read_pairs(files[0], files[1])
    except OSError as error:
        raise read_failure(error, Path(error.filename or files[0])) from error
    judged = board.verdict if sides == (BEFORE, AFTER) else judge_pairs(pairs)
    return {**document_of(folder.name, board, pairs, sides, judged, view), "settings": _settings(folder)}


def document_of(
    run: str,
    board: Board,
    pairs: Pairs,
    sides: tuple[str, str],
    verdict: Mapping[str, Any],
    view: RunView | None = None,
) -> dict[str, Any]:
    """The document, of what was read and judged already."""
    return {
        "run": run,
        "sides": list(sides),
        "results": {label: _result(board, label) for label in board.results},
        "verdict": dict(verdict),
        "training": training_curves(view) if view is not None else {},
        "curves": training_curves(view, FINE) if view is not None else {},
        "behaviour": board.behaviour,
        "canaries": board.canaries,
        "checkpoints": board.checkpoints,
        "rows": [_row(pair) for pair in pairs.rows],
        "damaged": pairs.damaged,
    }


def settings_of(experiment: Experiment) -> list[tuple[str, str]]:
    """What was done, as name and value; model and data by names that tell no place."""
    adapter, train, evaluation = experiment.adapter, experiment.train, experiment.evaluation
    layers = f"the last {adapter.layers} layers" if adapter.layers else "all layers"
    size = "" if adapter.method == "full" else f", rank {adapter.rank}, scale {adapter.scale:g}"
    steps = f"{train.iters} iterations of {train.batch_size} rows, {train.optimizer}"
    return [
        ("model", public_name(experiment.model.path)),
        ("data", public_name(experiment.data.source)),
        ("method", f"{adapter.method}{size}, {layers}"),
        ("training", f"{steps}, learning rate {train.learning_rate:g}"),
        ("answers", f"greedy, at most {evaluation.max_tokens} tokens"),
        ("seed", str(experiment.run.seed)),
    ]


def _settings(folder: RunFolder) -> list[list[str]]:
    """What was done in a run; nothing where its configuration cannot be read."""
    try:
        return [[name, value] for name, value in settings_of(load_experiment(folder.config))]
    except TunerError:
        return []


def _result(board: Board, label: str) -> dict[str, Any]:
    result = board.results[label]
    keys = ("model", "adapter", "n", "metrics", "splits", "settings")
    return {key: getattr(result, key) for key in keys}


def _row(pair: Pair) -> dict[str, Any]:
    names = dict.fromkeys(name for answer in pair.answers for name in answer.scores)
    differences = {name: pair.difference(name) for name in names}
    return {
        "index": pair.index,
        "split": pair.split,
        "prompt": pair.prompt,
        "reference": pair.reference,
        "a": _answer(pair.a),
        "b": _answer(pair.b),
        "difference": {name: value for name, value in differences.items() if value is not None},
    }


def _answer(answer: Answer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {"text": answer.prediction, "tokens": answer.tokens, "finish": answer.finish, "scores": answer.scores}


def rendered(document: Mapping[str, Any], form: Format) -> str:
    """The document as text: Markdown or a page with tables and samples, CSV with a line per row, or JSON with
    everything.

    Args:
        document: of a run, or of several as `together.together_document` makes it.
    """
    several = "runs" in document
    if form == "csv":
        from tui_tuner.evaluation.sidebyside import comparison_csv

        return comparison_csv(document) if several else as_csv(document)
    if form == "json":
        plain, _ = plain_json(dict(document))
        return json.dumps(plain, ensure_ascii=False, indent=2) + "\n"
    from tui_tuner.evaluation.blocks import as_markdown
    from tui_tuner.evaluation.markdown import report_blocks
    from tui_tuner.evaluation.page import as_page
    from tui_tuner.evaluation.sidebyside import comparison_blocks

    blocks = (
        comparison_blocks(document) if several else report_blocks(document, settings=document.get("settings") or ())
    )
    return as_page(blocks) if form == "html" else as_markdown(blocks)


def as_csv(document: Mapping[str, Any]) -> str:
    """A line per row: texts, tokens and scores of both sides, and the differences.

    Texts stand as they are; a program that takes a text beginning with `=` for a formula must be told not to.
    """
    rows: Sequence[Mapping[str, Any]] = document["rows"]
    a, b = document["sides"]
    scored = [side["scores"] for row in rows for side in (row["a"], row["b"]) if side]
    metrics = list(dict.fromkeys(name for scores in scored for name in scores))
    parts = ("text", "tokens", "finish")
    head = ["index", "split", "prompt", "reference"]
    head += [f"{label}_{part}" for label in (a, b) for part in (*parts, *metrics)]
    head += [f"difference_{name}" for name in metrics]
    lines: list[Sequence[object]] = [head]
    for row in rows:
        line = [row["index"], row["split"], row["prompt"], row["reference"]]
        for side in (row["a"], row["b"]):
            line += [side[part] if side else "" for part in parts]
            line += [side["scores"].get(name, "") if side else "" for name in metrics]
        lines.append([*line, *(row["difference"].get(name, "") for name in metrics)])
    return csv_text(lines)


def write_export(path: Path, document: Mapping[str, Any], form: Format, *, replace: bool = False) -> Path:
    """Writes the document; returns where.

    Raises:
        TunerError: `exists` when something is there and `replace` is false, or it cannot be written.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise TunerError("is a folder", code="in-the-way", where=str(path), fix="name a file in it")
    if path.exists() and not replace:
        raise TunerError("is there already", code="exists", where=str(path), fix="choose another name, or replace it")
    write_atomic(path, rendered(document, form))
    return path.absolute()
