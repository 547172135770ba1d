"""The commands of the queue and of sweeps, and the process that works on one run of the queue."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Json, Name, RunsDir, Set, find
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.engine.queueing import Outcome
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.runs.queue import RunQueue


class Act(StrEnum):
    """What can be done with the queue, as the command line calls it."""

    LIST = "list"
    ADD = "add"
    MOVE = "move"
    REMOVE = "remove"
    PAUSE = "pause"
    RESUME = "resume"
    RUN = "run"
    CLEAR = "clear"


class To(StrEnum):
    """Where a run can be moved."""

    UP = "up"
    DOWN = "down"
    TOP = "top"
    BOTTOM = "bottom"


_TAKES = {Act.ADD: (0, 1), Act.MOVE: (2, 2), Act.REMOVE: (1, 1)}


What = Annotated[
    str | None,
    typer.Argument(
        help="For add: a preset. For move and remove: a run, or its place.",
        show_default=False,
        autocompletion=completing.queueable,
    ),
]
Existing = Annotated[
    str | None,
    typer.Option(
        "--existing",
        metavar="RUN",
        help="For add: a run that was stopped, or never began.",
        autocompletion=completing.runs,
    ),
]
StopOnFailure = Annotated[
    bool, typer.Option("--stop-on-failure", help="For run: end at the first run that does not finish.")
]

NoCheck = Annotated[
    bool, typer.Option("--no-check", help="Queue without looking first whether model and data can be used.")
]


def queue(
    act: Annotated[Act, typer.Argument(help="What to do.")] = Act.LIST,
    what: What = None,
    to: Annotated[To | None, typer.Argument(help="For move: where to.", show_default=False)] = None,
    overrides: Set = None,
    name: Name = None,
    existing: Existing = None,
    no_check: NoCheck = False,
    stop_on_failure: StopOnFailure = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """The runs that are to come, one after the other: list, add, move, remove, pause, resume, run, clear."""
    from tui_tuner.paths import runs_dir as runs_place
    from tui_tuner.runs.queue import RunQueue

    least, most = _TAKES.get(act, (0, 0))
    given = sum(each is not None for each in (what, to))
    if not least <= given <= most or (act is Act.ADD and (what is None) == (existing is None)):
        raise TunerError(
            _USAGE[act], code="usage", where=f"queue {act}", fix="see `tui-tuner queue --help`", usage=True
        )
    if act is not Act.ADD and (overrides or name or existing or no_check):
        message = "--set, --name, --existing and --no-check say what to add, and how"
        raise TunerError(message, code="usage", fix="leave them out", usage=True)
    if stop_on_failure and act is not Act.RUN:
        raise TunerError("--stop-on-failure belongs to run", code="usage", fix="leave it out", usage=True)
    with opened(json=json, debug=debug) as output:
        there = RunQueue(runs_place(runs_dir))
        if act is Act.RUN:
            return _run(there, output, stop_on_failure=stop_on_failure)
        if act is Act.ADD:
            folder = _added(there, what, overrides or (), name, existing, check=not no_check)
            place = there.read().place(folder.name)
            _told(output, there, run=folder.name, place=place, text=f"{folder.name} is queued at place {place}")
        elif act is Act.MOVE and what is not None and to is not None:
            run = _find(there, what)
            _told(output, there, run=run, place=there.move(run, to.value), text=f"{run} was moved {_MOVED[to]}")
        elif act is Act.REMOVE and what is not None:
            run = _find(there, what)
            aside = there.remove(run)
            where = f"; its folder was put aside into {aside.parent}" if aside else "; its folder stays"
            _told(output, there, run=run, aside=str(aside) if aside else None, text=f"{run} was taken out{where}")
        elif act is Act.CLEAR:
            runs = there.clear()
            _told(output, there, runs=runs, text=f"{len(runs)} {_runs(len(runs))} taken out")
        elif act in (Act.PAUSE, Act.RESUME):
            there.pause(act is Act.PAUSE)
            text = "the queue is paused: what runs goes on, nothing more is begun"
            _told(output, there, text=text if act is Act.PAUSE else "the queue goes on")
        else:
            _list(there, output)
    return 0


def sweep(
    preset: Annotated[
        str | None,
        typer.Argument(
            help="Name of a preset with a table [sweep], or path of a TOML file.", autocompletion=completing.presets
        ),
    ] = None,
    overrides: Set = None,
    work: Annotated[bool, typer.Option("--run", help="Work the runs off now, and compare them at the end.")] = False,
    no_check: NoCheck = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be queued, and queue nothing.")] = False,
    results: Annotated[
        str | None,
        typer.Option(
            "--results",
            metavar="SWEEP",
            help="Compare the runs of a sweep: its id, or one of its runs.",
            autocompletion=completing.runs,
        ),
    ] = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Queues a run for every combination of a preset's [sweep]; with --run works them off and compares them."""
    from tui_tuner.paths import runs_dir as runs_place
    from tui_tuner.runs.queue import RunQueue

    if (preset is None) == (results is None) or (results is not None and (work or dry or overrides)) or (work and dry):
        raise TunerError(
            "sweep takes a preset, or --results with a sweep that was queued",
            code="usage",
            fix="see `tui-tuner sweep --help`",
            usage=True,
        )
    with opened(json=json, debug=debug) as output:
        there = RunQueue(runs_place(runs_dir))
        if results is not None:
            _compare(there, results, output)
            return 0
        return _sweep(there, preset or "", overrides or (), output, work=work, dry=dry, check=not no_check)


def work(folder: Annotated[Path, typer.Argument()]) -> int:
    """One run of the queue, begun as soon as whoever works the queue off says so."""
    from tui_tuner.cli.headless import run_folder
    from tui_tuner.engine.queueing import GO
    from tui_tuner.runs import RunFolder

    if sys.stdin.readline().strip() != GO:
        return 1  # who would have said so is gone
    with opened() as output:
        document = run_folder(RunFolder.open(folder), output)
        return 0 if document["status"] == "finished" else 1


# -- add and list -----------------------------------------------------------------------------------------------------
def _added(
    there: RunQueue, what: str | None, overrides: Sequence[str], name: str | None, existing: str | None, *, check: bool
) -> RunFolder:
    """Queues a preset or a run, after a look whether it can work; one that has begun looks at all of it itself."""
    if what is None:
        if overrides or name:
            message = "a run that exists keeps its configuration and its name"
            raise TunerError(message, code="usage", fix="leave --set and --name out", usage=True)
        folder = find(existing or "", there.runs_dir)
        there.add(folder)
        return folder
    from tui_tuner.config import load_preset
    from tui_tuner.engine.queueing import queue_experiment

    experiment, preset = load_preset(what, overrides)
    if check:
        from tui_tuner.engine.beforehand import must_work

        must_work([experiment], preset.base)
    return queue_experiment(experiment, there, name, preset.base)


def _find(there: RunQueue, what: str) -> str:
    """The queued run that a person means: its place, its name, or the beginning of one."""
    from tui_tuner.runs.queue import not_queued

    names = [entry.run for entry in there.read().entries]
    if what in names:
        return what
    if what.isdecimal() and 1 <= int(what) <= len(names):
        return names[int(what) - 1]
    fitting = [name for name in names if what and name.startswith(what)]
    if len(fitting) > 1:
        raise TunerError(
            f"{len(fitting)} queued runs begin with “{what}”",
            code="run-ambiguous",
            fix="give more of the name, or its place in `tui-tuner queue list`",
            usage=True,
        )
    if not fitting:
        raise not_queued(what)
    return fitting[0]


def _told(output: Output, there: RunQueue, *, text: str, **fields: Any) -> None:
    if output.json:
        output.document({**fields, "paused": there.read().paused})
    else:
        output.say(text)


def _list(there: RunQueue, output: Output) -> None:
    document = queue_document(there)
    if output.json:
        output.document(document)
        return
    if document["paused"]:
        output.say("the queue is paused; `tui-tuner queue resume` goes on with it")
    for each in document["ended"]:
        if each["state"] != "finished":
            output.say(f"    {each['run']}  {each['state']}  {each['reason']}".rstrip())
    for each in document["entries"]:
        steps = f"{each['step']}/{each['steps']}" if each["steps"] else ""
        output.say(f"{each['place']:>3} {each['run']}  {each['state']:<11}  {steps}".rstrip())
    if not document["entries"]:
        output.say("nothing is queued; `tui-tuner queue add` puts a preset at the end")
    elif document["runner"] is None:
        output.say("nobody works it off; `tui-tuner queue run` does, and so does the open workbench")


def queue_document(there: RunQueue) -> dict[str, Any]:
    """What `queue list --json` prints."""
    from tui_tuner.runs.catalogue import summarise
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.runs.lock import holder
    from tui_tuner.runs.queue import runner_place

    found = there.read()
    entries = []
    for place, entry in enumerate(found.entries, 1):
        summary = summarise(RunFolder(there.runs_dir / entry.run))
        entries.append(
            {
                "place": place,
                "run": entry.run,
                "state": summary.state.value,
                "step": summary.step,
                "steps": summary.steps,
                "sweep": entry.sweep or None,
                "added": entry.added,
            }
        )
    ended = []
    for run in found.ended:
        with contextlib.suppress(TunerError):
            summary = summarise(RunFolder.open(there.runs_dir / run))
            ended.append({"run": run, "state": summary.state.value, "reason": summary.reason})
    owner = holder(runner_place())
    return {
        "paused": found.paused,
        "runner": None if owner is None else {"pid": owner.pid, "host": owner.host},
        "entries": entries,
        "ended": ended,
    }


# -- working it off ---------------------------------------------------------------------------------------------------
def _run(there: RunQueue, output: Output, *, stop_on_failure: bool = False, only: Sequence[str] | None = None) -> int:
    outcomes = _work_off(there, output, stop_on_failure=stop_on_failure, only=only)
    if output.json:
        output.document([{"run": one.run, "state": one.state.value, "reason": one.reason} for one in outcomes])
    else:
        for one in outcomes:
            output.say(f"{one.run}  {one.state.value}  {one.reason}".rstrip())
        if not outcomes:
            output.say("nothing was queued")
    return _status(outcomes)


def _status(outcomes: Sequence[Outcome]) -> int:
    return 0 if all(one.state.value == "finished" for one in outcomes) else 1


def _work_off(
    there: RunQueue, output: Output, *, stop_on_failure: bool = False, only: Sequence[str] | None = None
) -> list[Outcome]:
    from tui_tuner.cli.headless import stopping, told
    from tui_tuner.engine.queueing import Runner

    runner = Runner(there, output.note, lambda folder: told(folder, output), stop_on_failure=stop_on_failure, only=only)
    with stopping(runner.stop, lambda: runner.stop("again")):  # the run's process, too, ends at a second word
        outcomes = runner.run()
    if runner.stopped:
        left = len(there.read().entries)
        stays = "1 run stays queued" if left == 1 else f"{left} runs stay queued"
        output.note(f"stopped; {stays}, and `tui-tuner queue run` goes on")
    return outcomes


# -- sweeps -----------------------------------------------------------------------------------------------------------
def _sweep(
    there: RunQueue, preset: str, overrides: Sequence[str], output: Output, *, work: bool, dry: bool, check: bool
) -> int:
    from tui_tuner.config.sweep import load_sweep, tell
    from tui_tuner.engine.queueing import queue_sweep

    found, trials, made_of = load_sweep(preset, overrides)
    width = max(len(trial.experiment.run.name) for trial in trials)
    if dry:
        runs = [{"name": trial.experiment.run.name, "values": trial.values} for trial in trials]
        if output.json:
            output.document({"sweep": None, "metric": found.metric, "runs": runs})
        for trial in trials if not output.json else ():
            output.say(f"{trial.experiment.run.name.ljust(width)}  {tell(trial.values)}")
        return 0
    if check:
        from tui_tuner.engine.beforehand import must_work

        must_work([trial.experiment for trial in trials], made_of.base, [tell(trial.values) for trial in trials])
    identity, folders = queue_sweep(found, trials, there, made_of.path, made_of.base)
    for trial, folder in zip(trials, folders, strict=True):
        output.note(f"queued {folder.name}  {tell(trial.values)}")
    if not work:
        runs = [{"run": f.name, "values": t.values} for t, f in zip(trials, folders, strict=True)]
        if output.json:
            output.document({"sweep": identity, "metric": found.metric, "runs": runs})
        else:
            output.say(f"{len(folders)} runs are queued as the sweep {identity}")
            output.say(f"  tui-tuner queue run\n  tui-tuner sweep --results {identity}")
        return 0
    outcomes = _work_off(there, output, only=[folder.name for folder in folders])
    _compare(there, identity, output)
    return _status([one for one in outcomes if one.run in {folder.name for folder in folders}])


def _compare(there: RunQueue, what: str, output: Output) -> None:
    from tui_tuner.evaluation.sweeps import find_sweep, sweep_document, sweep_lines

    document = sweep_document(find_sweep(what, there.runs_dir))
    if output.json:
        output.document(document)
    else:
        for line in sweep_lines(document):
            output.say(line)


_MOVED = {To.UP: "up", To.DOWN: "down", To.TOP: "to the top", To.BOTTOM: "to the bottom"}
_USAGE = {
    Act.ADD: "add takes a preset, or --existing with a run",
    Act.MOVE: "move takes a run and one of up, down, top and bottom",
    Act.REMOVE: "remove takes a run",
    **{act: f"{act} takes nothing more" for act in (Act.LIST, Act.PAUSE, Act.RESUME, Act.RUN, Act.CLEAR)},
}


def _runs(count: int) -> str:
    return "run was" if count == 1 else "runs were"
