"""The commands that measure: a benchmark of a model, an adapter or a run, and the checkpoints of a run."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner import units
from tui_tuner.cli import completing
from tui_tuner.cli.options import Adapter, Debug, Json, Run, RunsDir, Set, Trust, find
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.engine.requests import Progress, RunTasks


class Suite(StrEnum):
    """What can be asked of a run besides its test rows."""

    behaviour = "behaviour"
    canaries = "canaries"


Model = Annotated[
    str,
    typer.Argument(
        help="Model folder, hub name, embedded:phi3-tiny, a run, or RUN:STEP, RUN:best, RUN:base.",
        autocompletion=completing.answering,
    ),
]
Split = Annotated[
    str,
    typer.Option(
        "--split",
        help="Which rows: test, valid, train or unseen.",
        autocompletion=completing.among("test", "valid", "train", "unseen"),
    ),
]
Metrics = Annotated[
    str, typer.Option("--metrics", help="Metrics, with commas between: rouge1,bleu; else those of the run.")
]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=0, help="Cap on an answer's tokens; else that of the run.")]
BatchSize = Annotated[
    int,
    typer.Option("--batch-size", min=0, help="Answers generated at once; they stay the same. Else as the run does."),
]
Label = Annotated[str, typer.Option("--label", help="With a run: keep the result in its folder under this name.")]
Into = Annotated[
    str | None,
    typer.Option(
        "--into",
        help="Keep the result in this run, for a model.",
        show_default=False,
        autocompletion=completing.runs,
    ),
]
RawPrompt = Annotated[bool, typer.Option("--raw-prompt", help="Without the chat template; the result says so.")]
SuiteChoice = Annotated[
    Suite | None, typer.Option("--suite", help="Ask a run's behaviour cases or canaries instead of rows.")
]
Tasks = Annotated[
    str,
    typer.Option("--tasks", help="Run these tasks of the lm-evaluation-harness instead of rows; with commas between."),
]


def evaluate(
    model: Model,
    adapter: Adapter = None,
    data: Annotated[str, typer.Option("--data", help="Source of the rows; a run brings its own.")] = "",
    split: Split = "test",
    metrics: Metrics = "",
    max_tokens: MaxTokens = 0,
    batch_size: BatchSize = 0,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many rows; 0 is all.")] = 0,
    label: Label = "",
    into: Into = None,
    raw_prompt: RawPrompt = False,
    suite: SuiteChoice = None,
    tasks: Tasks = "",
    overrides: Set = None,
    runs_dir: RunsDir = None,
    trust: Trust = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Answers rows with a model, an adapter or a run, and scores the answers; what was begun is gone on with."""
    from tui_tuner.engine.requests import Benchmark, RunTasks

    with opened(json=json, debug=debug) as output:
        if suite is not None:
            return _suite(suite, model, runs_dir, output)
        if tasks:
            return _tasks(
                RunTasks(model, _names(tasks), adapter, limit, None, max_tokens, batch_size or 8, runs_dir), output
            )
        request = Benchmark(
            model, adapter, data, split, _names(metrics), max_tokens, batch_size, limit, label,
            _host(into, label, model, runs_dir), runs_dir, tuple(overrides or ()), raw_prompt,
        )  # fmt: skip
        document = _done(request, output, request.progress, "rows answered")
        if json:
            output.document(document)
        else:
            _tell_scores(model, document, output)
    return 0


def _tell_scores(model: str, document: dict[str, Any], output: Output) -> None:
    output.say(f"{document['n']} rows of {model}")
    for name, metric in document["metrics"].items():
        output.say(f"  {name:<18} {units.interval(metric, 4)}")
    for name, part in document["splits"].items():
        for metric, figures in part["metrics"].items():
            output.say(f"  {name} ({part['n']}): {metric} {units.interval(figures, 4)}")
    output.say(f"rows: {document['rows']}")


def checkpoints(
    run: Run,
    metric: Annotated[
        str,
        typer.Option(
            "--metric", help="What they are scored by, else the run's first metric; loss takes the validation losses."
        ),
    ] = "",
    use: Annotated[
        str,
        typer.Option(
            "--use", help='Make this one the run\'s adapter: a step, or "best".', autocompletion=completing.steps
        ),
    ] = "",
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Scores a run's checkpoints on its validation rows, and makes one of them the run's adapter."""
    from tui_tuner.engine.requests import PickCheckpoint

    with opened(json=json, debug=debug) as output:
        folder = find(run, runs_dir)
        request = PickCheckpoint(folder.path, metric, use)
        document = _done(request, output, request.progress, "answers")
        if json:
            output.document(document)
            return 0
        output.say(f"{document['metric']} on {document['n']} validation rows" if document["n"] else "validation loss")
        for point in document["points"]:
            marks = [
                word
                for word, step in (("best", document["best_step"]), ("in use", document["used"]))
                if step == point["step"]
            ]
            loss = "" if point["validation_loss"] is None else f"  validation loss {point['validation_loss']:.4f}"
            told = f"{units.interval(point, 4) if document['n'] else ''}{loss}  {', '.join(marks)}"
            output.say(f"  step {point['step']:>6}  {told}".rstrip())
        if use:
            output.say(f"the run's adapter has the weights of step {document['used']}; the former ones are kept")
        elif document["best_step"] != document["used"]:
            output.say(
                f"`tui-tuner checkpoints {folder.name} --use best` makes step {document['best_step']} the adapter"
            )
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _tasks(request: RunTasks, output: Output) -> int:
    from tui_tuner.cli.headless import completed

    document = completed(request, lambda: None, "stopped before the tasks began")
    if output.json:
        output.document(document)
        return 0
    for task, figures in document["tasks"].items():
        for name, one in figures.items():
            error = "" if one["stderr"] is None else f"  (standard error {one['stderr']:.4f})"
            output.say(f"{task}: {name} {one['value']:.4f}{error}")
    return 0


def _suite(suite: Suite, text: str, runs_dir: Path | None, output: Output) -> int:
    from tui_tuner.engine.requests import RunBehaviour, RunCanaries
    from tui_tuner.engine.voices import BASE, run_of
    from tui_tuner.paths import runs_dir as runs_place

    folder, which = run_of(text, runs_place(runs_dir))
    if folder is None:
        raise TunerError("suites are asked of runs", code="usage", where=text, fix="name a run", usage=True)
    label = {"": "after", BASE: "before"}.get(which, f"step-{which}")
    kind = RunBehaviour if suite is Suite.behaviour else RunCanaries
    request = kind(folder.path, label)
    document = _done(request, output, request.progress, "answers")
    if output.json:
        output.document(document)
        return 0
    for part in document.get("cases") or document["groups"]:
        count = part["samples"] if "samples" in part else part["n"]
        bounds = f"({part['low']:.0%} to {part['high']:.0%})"
        status = f"  {part['status']}" if part.get("status") else ""
        output.say(f"  {part['name']:<24} {part['passed']} of {count} {bounds}{status}")
    whole = "cases passed" if suite is Suite.behaviour else "answered well"
    output.say(f"{document['passed']} of {document['n']} {whole}")
    return 0


def _host(into: str | None, label: str, model: str, runs_dir: Path | None) -> Path | None:
    """The folder of the run that keeps the result; None where none shall.

    Raises:
        TunerError: there is no such run, or a label without one.
    """
    if into is not None:
        return find(into, runs_dir).path
    return find(_run_part(model, runs_dir), runs_dir).path if label else None


def _run_part(text: str, runs_dir: Path | None) -> str:
    """The run in "RUN" or "RUN:CHECKPOINT".

    Raises:
        TunerError: the text names no run, so that a label would have no place.
    """
    from tui_tuner.engine.voices import run_of
    from tui_tuner.paths import runs_dir as runs_place

    folder, _ = run_of(text, runs_place(runs_dir))
    if folder is None:
        raise TunerError(
            "a label is the name of a result in a run, and this is a model",
            code="usage",
            where=text,
            fix="name the run with --into, or leave --label out",
            usage=True,
        )
    return str(folder.path)


def _done(request: Any, output: Output, progress: Progress, what: str) -> dict[str, Any]:
    """The result of a request, its progress told on the way."""
    from tui_tuner.cli.headless import completed

    fix = "the same command goes on from there"
    return completed(request, _telling(output, progress, what), "stopped before all rows were answered", fix)


def _telling(output: Output, progress: Progress, what: str) -> Callable[[], None]:
    told = -1

    def look() -> None:
        nonlocal told
        tenth = 10 * progress.done // progress.total if progress.total else -1
        if tenth > told:
            told = tenth
            output.note(f"{progress.done} of {progress.total} {what}{progress.pace.told()}")

    return look
