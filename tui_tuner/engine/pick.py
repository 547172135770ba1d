"""Which of a run's checkpoints does its task best: each answers the validation rows, and one of them can be used.

They are compared on validation rows and never on test rows: who chooses by the test set has no test set any more. When
another checkpoint becomes the run's adapter, the former weights and their results are kept, and the test rows are
answered anew, because the verdict is about the adapter. Called on the MLX thread.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from pathlib import Path
from typing import Any

from tui_tuner.config import Experiment, load_experiment, with_overrides
from tui_tuner.config.describe import in_toml
from tui_tuner.data.fingerprints import file_hash
from tui_tuner.data.prepare import Row, read_prepared, row_kind
from tui_tuner.engine.evaluate_stage import LABELS, Examiner, Subject, TestRows, judged, test_rows
from tui_tuner.engine.evaluating import adding_to, printing_for
from tui_tuner.engine.requests import PickCheckpoint
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.subject import Target, subject_of
from tui_tuner.engine.voices import checkpoint_of, checkpoints_of
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.benchmark import BenchmarkResult
from tui_tuner.evaluation.metrics import METRICS
from tui_tuner.evaluation.report import write_report
from tui_tuner.models.adapters import WEIGHTS
from tui_tuner.models.device import working_memory
from tui_tuner.models.libraries import ready
from tui_tuner.runs import EventLog, RunFolder, read_events
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.files import read_json, replacing, write_json

LOSS = "loss"
_SUITES = ("behaviour", "canaries")


def pick_checkpoint(request: PickCheckpoint, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """Scores the checkpoints of a run, and makes one of them the run's adapter when that is asked for.

    Raises:
        StopRequested: when asked to stop; what was answered stays.
        TunerError: there are no checkpoints or no validation rows, or somebody runs the run.
    """
    ready()
    run = RunFolder.open(request.run)
    picking = _Picking(run, load_experiment(run.config), request, control, shelf)
    with adding_to(run) as log, printing_for(run, run.evaluation), working_memory():
        document = picking.scored()
        if request.use:
            step = document["best_step"] if request.use == "best" else int(_step(run, request.use))
            picking.use(step, log)
        document["used"] = _used(run)
        write_json(run.evaluation / "checkpoints.json", document)
    return document


def _step(run: RunFolder, text: str) -> str:
    checkpoint_of(run, text)  # says which there are
    if not text.isdecimal():
        raise TunerError("a checkpoint is used by its step", code="usage", fix='give its number, or "best"', usage=True)
    return text


def _used(run: RunFolder) -> int | None:
    """The step whose weights the run's adapter has; None for others, such as an average."""
    place = run.adapters / WEIGHTS
    own = file_hash(place) if place.is_file() else ""
    return next((step for step, path in checkpoints_of(run).items() if file_hash(path) == own), None)


class _Picking:
    def __init__(
        self, run: RunFolder, experiment: Experiment, request: PickCheckpoint, control: JobControl, shelf: ModelShelf
    ) -> None:
        self._run, self._experiment, self._request = run, experiment, request
        self._control, self._shelf = control, shelf
        self._done = self._total = 0

    # -- scores ---------------------------------------------------------------------------------------------------
    def scored(self) -> dict[str, Any]:
        """The document of `checkpoints.json`."""
        steps = checkpoints_of(self._run)
        if not steps:
            raise TunerError(
                "the run has no checkpoints", code="no-checkpoint", where=self._run.name, fix="train it first"
            )
        own: list[str] = [*self._experiment.evaluation.metrics, LOSS]
        metric = self._request.metric or own[0]
        rows = [] if metric == LOSS else self._rows()
        losses = self._validation_losses()
        self._total = len(steps) * len(rows)
        self._request.progress(0, self._total)
        points = []
        for step, path in steps.items():
            loss = losses.get(step)
            value = self._value(metric, step, path, rows) if rows else {"value": loss, "low": None, "high": None}
            points.append({"step": step, **value, "validation_loss": loss})
        higher = metric != LOSS and (METRICS[metric].higher_is_better if metric in METRICS else True)
        return {
            "metric": metric,
            "higher_is_better": higher,
            "rows": "valid",
            "n": len(rows),
            "points": points,
            "best_step": _best(points, higher),
        }

    def _rows(self) -> list[Row]:
        rows = read_prepared(self._run.data).valid
        rows = rows[: self._experiment.evaluation.rows or None]
        if not rows or row_kind(rows[0]) == "text":
            raise TunerError(
                "the run has no validation rows with a prompt to answer",
                code="no-rows",
                where=self._run.name,
                fix="give --metric loss to go by the validation loss",
            )
        return rows

    def _validation_losses(self) -> dict[int, float]:
        """The loss of each step that was validated, as its last validation measured it."""
        events = read_events(self._run.events)
        told = {event["step"]: event["loss"] for event in events if event["type"] == "validation"}
        return {step: loss for step, loss in told.items() if isinstance(loss, float)}

    def _value(self, metric: str, step: int, path: Path, rows: list[Row]) -> dict[str, float]:
        folder, label, key = self._run.evaluation / "checkpoints", f"step-{step}", file_hash(path)[:12]
        experiment = with_overrides(self._experiment, [f"evaluation.metrics={in_toml([metric])}"])
        examiner = Examiner(experiment, folder, emit=self._progress, control=self._control, key=key)
        result = examiner.known(label) if _key_of(folder / f"{label}.json") == key else None
        if result is None:
            subject = self._subject(path)
            result = examiner.answer(subject, TestRows(rows), label, "evaluate")
        self._done += len(rows)
        self._request.progress(self._done, self._total)
        if metric not in result.metrics:
            raise TunerError(
                f"{metric} has no value: no reference of the validation rows holds a number",
                code="no-numbers",
                where=self._run.name,
                fix="give another metric, or --metric loss",
            )
        return dict(result.metrics[metric])

    def _progress(self, type: str, **fields: Any) -> None:
        if type == "progress":
            self._request.progress(self._done + int(fields["done"]), max(self._total, int(fields["total"])))

    def _subject(self, adapter: Path) -> Subject:
        target = Target(self._experiment.model.path, self._run, self._experiment, adapter)
        return subject_of(target, self._shelf)

    # -- use ------------------------------------------------------------------------------------------------------
    def use(self, step: int, log: EventLog) -> None:
        """Makes the weights of a step the run's adapter. Whenever this is cut short, nothing claims what is not so, and
        asking for the same step again measures what is left.
        """
        weights, place = checkpoint_of(self._run, str(step)), self._run.adapters / WEIGHTS
        if place.is_file() and file_hash(place) == file_hash(weights):
            if self._is_unmeasured():
                self._measure_again(log)
            return
        former = self._put_aside(place)
        self._put_results_aside(former)
        with replacing(place) as part:
            shutil.copyfile(weights, part)
        log.append("control", what="use_checkpoint", by="user", step=step, value=weights.name, before=former)
        self._measure_again(log)

    def _put_aside(self, place: Path) -> str:
        """The name under which the present weights stay in the folder: a checkpoint's own, or one made for them."""
        if not place.is_file():
            return ""
        own = file_hash(place)
        for path in sorted(self._run.adapters.glob("*_adapters.safetensors")):
            if file_hash(path) == own:
                return path.name
        number = 1 + len(list(self._run.adapters.glob("former-*_adapters.safetensors")))
        name = f"former-{number}_adapters.safetensors"
        with replacing(self._run.adapters / name) as part:
            shutil.copyfile(place, part)
        return name

    def _put_results_aside(self, former: str) -> None:
        """Gives the results of the former adapter a label of their own."""
        head = former.partition("_")[0]
        label = f"step-{int(head)}" if head.isdecimal() else head or "former"
        folder = self._run.evaluation
        for old in ("after.jsonl", "after.json", *(f"{suite}-after.json" for suite in _SUITES)):
            if (folder / old).is_file():
                (folder / old).replace(folder / old.replace("after", label))
        path = folder / f"{label}.json"
        if path.is_file():
            write_json(path, {**read_json(path), "label": label})
        with contextlib.suppress(OSError):
            (folder / "after.partial.jsonl").unlink(missing_ok=True)

    def _is_unmeasured(self) -> bool:
        """Whether the weights were put in place and a stop or a kill came before all was measured anew."""
        folder = self._run.evaluation
        pairs = [tuple(f"{name}{label}.json" for label in LABELS) for name in ("", *(f"{one}-" for one in _SUITES))]
        if any((folder / before).is_file() and not (folder / after).is_file() for before, after in pairs):
            return True
        told = [event.get("what", event["type"]) for event in read_events(self._run.events)]
        marks = [each for each in told if each in ("use_checkpoint", "verdict")]
        return "verdict" in marks and marks[-1] == "use_checkpoint"

    def _measure_again(self, log: EventLog) -> None:
        """Answers the test rows, asks the suites and judges, where the run had done so."""
        kinds = {event["type"] for event in read_events(self._run.events)}
        if not kinds & {"evaluation", *_SUITES}:
            return
        test = TestRows()
        if "evaluation" in kinds:
            test = test_rows(self._experiment, read_prepared(self._run.data), log.append)
        subject = self._subject(self._run.adapters)

        def emit(type: str, **fields: Any) -> None:
            if type == "progress":
                self._request.progress(int(fields["done"]), int(fields["total"]))
            else:
                log.append(type, **fields)

        examiner = Examiner(self._experiment, self._run.evaluation, emit=emit, control=self._control)
        results: dict[str, BenchmarkResult] = {}
        if test and (before := examiner.known(LABELS[0], told=True)) is not None:
            after = examiner.known(LABELS[1]) or examiner.answer(subject, test, LABELS[1], "evaluate")
            results = {LABELS[0]: before, LABELS[1]: after}
            log.append("evaluation", label=LABELS[1], metrics=results[LABELS[1]].metrics, n=test.judged)
        examiner.ask_suites(subject, LABELS[1], "evaluate")
        if results:
            metrics, sentence = judged(self._run, results)
            log.append("verdict", metrics=metrics, sentence=sentence)
            write_report(self._run, self._experiment)


def _key_of(path: Path) -> str:
    with contextlib.suppress(TunerError, AttributeError, TypeError):
        return str(read_json(path)["settings"]["key"]) if path.is_file() else ""
    return ""


def _best(points: list[dict[str, Any]], higher: bool) -> int | None:
    """The step with the best figure; of several alike the one with the lowest validation loss, then the earliest."""
    measured = [point for point in points if point["value"] is not None]
    if not measured:
        return None

    def order(point: dict[str, Any]) -> tuple[float, float, int]:
        loss = point["validation_loss"]
        return (-point["value"] if higher else point["value"]), math.inf if loss is None else loss, point["step"]

    return int(min(measured, key=order)["step"])
