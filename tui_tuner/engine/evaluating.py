"""What one asks of models and runs besides training and chatting: a benchmark, behaviour cases, canaries.

Called on the MLX thread. Whatever adds to a run holds its lock meanwhile, so that nobody else writes it, and tells of
it in the run's log. It must never touch what a run measured itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tui_tuner.config import Experiment, load_experiment, with_overrides
from tui_tuner.config.describe import in_toml
from tui_tuner.config.overrides import by_key
from tui_tuner.data.draft import PARTS, draft
from tui_tuner.data.fingerprints import file_hash
from tui_tuner.data.opening import open_source
from tui_tuner.data.prepare import Row, prepared_of, read_prepared, row_kind
from tui_tuner.engine.evaluate_stage import LABELS, Examiner, TestRows
from tui_tuner.engine.new_run import model_fingerprint, read_base
from tui_tuner.engine.output import printing_to
from tui_tuner.engine.requests import Benchmark, RunBehaviour, RunCanaries
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.subject import Target, subject_of, target_of
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import WEIGHTS
from tui_tuner.models.device import working_memory
from tui_tuner.models.folder import locate
from tui_tuner.models.libraries import ready
from tui_tuner.paths import runs_dir, safe_name
from tui_tuner.runs import EventLog, RunFolder
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.files import read_json, write_failure
from tui_tuner.runs.lock import RunLock

SPLITS = ("test", "valid", "train", "unseen")


def run_benchmark(request: Benchmark, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """Answers rows with a model and scores the answers; what was measured so before is read back.

    Raises:
        StopRequested: when asked to stop; finished rows stay, and the same request goes on from there.
        TunerError: the model, the rows or the place for the result cannot be had.
    """
    ready()
    runs = runs_dir(request.runs_dir)
    target = target_of(request.target, request.adapter, runs)
    host = RunFolder.open(request.run) if request.run is not None else None
    if host is not None:
        _check_label(request.label)
    experiment = _experiment(request, target, host)
    rows = _rows(request, experiment, target.run or host)
    label = safe_name(request.label) if request.label else "result"
    key = _key(target, experiment, rows, request.overrides)
    folder = host.evaluation if host else runs / "evaluations" / f"{safe_name(Path(request.target).name)}-{key}"

    def emit(type: str, **fields: Any) -> None:
        if type == "progress":
            request.progress(int(fields["done"]), int(fields["total"]))

    adding = adding_to(host) if host is not None else contextlib.nullcontext()
    with adding as log, printing_for(host, folder), working_memory():
        known = _known(folder, label, key)
        if known is not None:
            return _told(folder, label, known)
        subject = subject_of(target, shelf)
        examiner = Examiner(experiment, folder, emit=emit, control=control, key=key)
        result = examiner.answer(subject, TestRows(rows), label, "evaluate")
        if log is not None:
            log.append("evaluation", label=label, metrics=result.metrics, n=len(rows))
        return _told(folder, label, read_json(folder / f"{label}.json"))


def run_suite(request: RunBehaviour | RunCanaries, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """Asks the behaviour cases or the canaries of a run anew and keeps what comes of it in the run's folder.

    Raises:
        StopRequested: when asked to stop.
        TunerError: the run has no cases, is being run, or its model cannot be had.
    """
    ready()
    run = RunFolder.open(request.run)
    experiment = load_experiment(run.config)
    if isinstance(request, RunBehaviour) and not experiment.behaviour.cases:
        raise TunerError(
            "the run's configuration has no behaviour cases",
            code="no-cases",
            where=str(run.config),
            fix="add [[behaviour.cases]] to the preset and run it",
        )
    which = "base" if request.label == LABELS[0] else request.label.removeprefix("step-")
    name = str(run.path) if request.label == LABELS[1] else f"{run.path}:{which}"
    target = target_of(name, None, run.path.parent)
    with adding_to(run) as log, printing_for(run, run.evaluation), working_memory():
        subject = subject_of(target, shelf)
        examiner = Examiner(experiment, run.evaluation, emit=log.append, control=control)
        ask = examiner.behaviour if isinstance(request, RunBehaviour) else examiner.canaries
        return ask(subject, safe_name(request.label), "evaluate", request.progress)


def _check_label(label: str) -> None:
    if not label:
        raise TunerError(
            "a result in a run needs a label", code="usage", fix='give one, such as "step-200"', usage=True
        )
    if safe_name(label) in LABELS or safe_name(label) in ("summary", "verdict", "checkpoints"):
        raise TunerError(
            f'the label "{label}" belongs to the run itself',
            code="label-taken",
            fix="choose another one",
            usage=True,
        )


def _experiment(request: Benchmark, target: Target, host: RunFolder | None) -> Experiment:
    """The configuration that the benchmark goes by: the run's, or the defaults, with what was asked for."""
    known = target.experiment or (load_experiment(host.config) if host is not None else None)
    if known is None:
        source = request.data or "none"
        known = Experiment.model_validate({"model": {"path": target.model}, "data": {"source": source}})
    changes: dict[str, Any] = {"model.path": target.model}
    if request.data:
        changes |= {"data.source": request.data, "data.slice": ""}
        changes |= {f"data.{count}": 0 for count in ("train", "valid", "test", "unseen", "sample")}
    asked = {"max_tokens": request.max_tokens, "batch_size": request.batch_size, "metrics": list(request.metrics)}
    changes |= {f"evaluation.{key}": value for key, value in asked.items() if value}
    if request.raw_prompt:
        changes["evaluation.raw_prompt"] = True
    return with_overrides(known, [*(f"{key}={in_toml(value)}" for key, value in changes.items()), *request.overrides])


def _key(target: Target, experiment: Experiment, rows: list[Row], overrides: Sequence[str]) -> str:
    """What tells a result from every other: the weights, the rows and the settings, whatever they were called.

    What a loss counts follows from the run, or from the defaults, unless an override says otherwise.

    Raises:
        TunerError: the model or the adapter is not there.
    """
    model = locate(target.model, read_base(target.run) if target.run is not None else None)
    adapter = target.adapter
    if adapter is not None:
        adapter = adapter if adapter.is_file() else adapter / WEIGHTS
    told = experiment.evaluation
    parts = {
        "model": model_fingerprint(model),
        "adapter": file_hash(adapter) if adapter is not None else "",
        "untrained": str(target.run.path) if target.untrained and target.run is not None else "",
        "template": experiment.model.chat_template,
        "settings": [told.metrics, told.max_tokens, told.raw_prompt],
        "rows": rows,
    }
    if {"data.mask_prompt", "train.max_seq_length"} & by_key(overrides).keys():
        parts["counted"] = [experiment.data.mask_prompt, experiment.train.max_seq_length]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _rows(request: Benchmark, experiment: Experiment, run: RunFolder | None) -> list[Row]:
    """The rows that are asked for, at most `limit`.

    Raises:
        TunerError: there are none, or they have no prompt to answer.
    """
    if request.split not in SPLITS:
        raise TunerError(
            f'there is no split "{request.split}"', code="usage", fix=f"choose from {', '.join(SPLITS)}", usage=True
        )
    if request.data:
        rows = _source_rows(request, experiment, None)
    elif run is not None:
        rows = list(getattr(read_prepared(run.data), request.split))
    else:
        raise TunerError("a model by itself brings no rows", code="usage", fix="give --data, or name a run", usage=True)
    rows = rows[: request.limit] if request.limit else rows
    where = request.data or (run.name if run is not None else "")
    if not rows:
        raise TunerError(
            f'there are no rows in the split "{request.split}"', code="no-rows", where=where, fix="take another split"
        )
    if row_kind(rows[0]) == "text":
        raise TunerError(
            "rows with only `text` have no prompt to answer",
            code="no-prompt",
            where=where,
            fix="give data.prompt and data.completion templates with --set",
        )
    return rows


def _source_rows(request: Benchmark, experiment: Experiment, base: Path | None) -> list[Row]:
    """All rows of a source that is one table, or of the split that is asked for."""
    data = experiment.data
    source = open_source(data, base)
    splits = list(source.tables)
    source.close()
    if len(splits) > 1:
        if request.split not in splits:
            raise TunerError(
                f'the source has no split "{request.split}"',
                code="no-rows",
                where=request.data,
                fix=f"it has {', '.join(splits)}",
                usage=True,
            )
        data.slice = request.split
    made = draft(data, experiment.run.seed, base)
    if made.faults or made.refused:
        prepared_of(made)  # says which record cannot be used, and why
    return list(made.some(sorted(origin for part in PARTS for origin in made.parts.get(part, ()))))


@contextlib.contextmanager
def adding_to(run: RunFolder) -> Iterator[EventLog]:
    """The log of a run, with its lock held.

    Raises:
        TunerError: somebody runs it (code "run-locked").
    """
    with RunLock(run), EventLog(run.events) as log:
        yield log


@contextlib.contextmanager
def printing_for(run: RunFolder | None, folder: Path) -> Iterator[None]:
    """Sends what libraries print to a run's log, or to one in the folder of a result, which is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_failure(error, folder) from error
    with printing_to(run.log if run is not None else folder / "engine.log"):
        yield


def _known(folder: Path, label: str, key: str) -> dict[str, Any] | None:
    """A result that was made of the same; None when there is none.

    Raises:
        TunerError: the label is taken by a result that was made otherwise.
    """
    path = folder / f"{label}.json"
    if not path.is_file():
        return None
    found = read_json(path)
    settings = found.get("settings") if isinstance(found, dict) else None
    if isinstance(settings, dict) and settings.get("key") == key:
        return dict(found)
    raise TunerError(
        f'the run has a result called "{label}" that was made otherwise',
        code="label-taken",
        where=str(path),
        fix="choose another label",
    )


def _told(folder: Path, label: str, document: dict[str, Any]) -> dict[str, Any]:
    """What `tui-tuner evaluate --json` prints."""
    figures = {
        name: {bound: each.get(bound) for bound in ("value", "low", "high")}
        for name, each in document["metrics"].items()
    }
    return {
        "label": label,
        "n": document["n"],
        "metrics": figures,
        "rows": str(folder / f"{label}.jsonl"),
        "document": str(folder / f"{label}.json"),
        "model": document["model"],
        "adapter": document["adapter"],
        "splits": document["splits"],
    }
