"""The runner of the queue with processes that only pretend to work: what it makes of every way in which one can end."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tui_tuner.config import Experiment
from tui_tuner.config.sweep import Trial
from tui_tuner.config.sweep_table import Sweep
from tui_tuner.engine import handover, queueing
from tui_tuner.engine.handover import continue_in_background, work_off_in_background
from tui_tuner.engine.queueing import Runner, queue_experiment, queue_sweep
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder, RunLock, RunState
from tui_tuner.runs.catalogue import summarise
from tui_tuner.runs.files import read_json
from tui_tuner.runs.folder import QUEUE_FOLDER
from tui_tuner.runs.queue import RunQueue, runner_lock, runner_place

Pretend = Callable[[str], None]
PYTHON = sys.executable

STARTED = '{"t": 1.0, "type": "run_started", "name": "n"}'
FINISHED = '{"t": 2.0, "type": "run_finished", "status": "finished", "reason": "all done"}'
FAILED = '{"t": 2.0, "type": "run_finished", "status": "failed", "reason": "no memory"}'


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Has a shell's lines run in place of this program; the last argument that it was given is in `$run`."""
    program = tmp_path / "program"

    def become(lines: str) -> None:
        program.write_text(f"#!/bin/sh\nfor run; do :; done\n{lines}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(queueing, "_LOOK", 0.01)
    monkeypatch.setattr(handover, "_LOOK", 0.01)
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    return become


def experiment(name: str) -> Experiment:
    return Experiment.model_validate({"run": {"name": name}, "model": {"path": "m"}, "data": {"source": "d.jsonl"}})


@pytest.fixture
def queue(tmp_path: Path) -> RunQueue:
    return RunQueue(tmp_path / "runs")


def worked_off(queue: RunQueue, **options: Any) -> tuple[Runner, list[str]]:
    said: list[str] = []
    runner = Runner(queue, said.append, lambda folder: lambda: None, **options)
    runner.run()
    return runner, said


def names(queue: RunQueue) -> list[str]:
    return [entry.run.partition("-")[0] for entry in queue.read().entries]


# -- what is put into the queue ----------------------------------------------------------------------------------------
def test_a_queued_run_holds_its_configuration_and_notes(queue: RunQueue, tmp_path: Path) -> None:
    folder = queue_experiment(experiment("a"), queue, "another", tmp_path, notes={"why": "a test"})
    assert folder.name.startswith("another-")
    meta = read_json(folder.meta)
    assert (meta["why"], meta["base"]) == ("a test", str(tmp_path))
    assert meta["model_path"]
    assert names(queue) == ["another"]


def test_a_sweep_s_trials_stand_in_order_under_one_id(queue: RunQueue) -> None:
    sweep = Sweep("grid", None, 0, "validation", ())
    values: list[dict[str, Any]] = [{"train.learning_rate": rate} for rate in (1e-4, 1e-5)]
    trials = [Trial(number, value, experiment(f"lr-{number}")) for number, value in enumerate(values, 1)]
    identity, folders = queue_sweep(sweep, trials, queue, Path("/presets/lr.toml"), None)
    notes = [read_json(folder.meta)["sweep"] for folder in folders]
    assert [(note["number"], note["of"], note["values"]) for note in notes] == [(1, 2, values[0]), (2, 2, values[1])]
    assert {note["id"] for note in notes} == {identity} == {entry.sweep for entry in queue.read().entries}
    assert identity.startswith("lr-")
    assert notes[0]["preset"] == "/presets/lr.toml"
    assert [entry.run for entry in queue.read().entries] == [folder.name for folder in folders]


def test_part_of_a_sweep_is_none(queue: RunQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[RunFolder] = []

    def interrupted(one: Experiment, *rest: Any, **options: Any) -> RunFolder:
        if made:
            raise KeyboardInterrupt
        made.append(queue_experiment(one, *rest, **options))
        return made[-1]

    monkeypatch.setattr(queueing, "queue_experiment", interrupted)
    trials = [Trial(number, {}, experiment(f"lr-{number}")) for number in (1, 2)]
    with pytest.raises(KeyboardInterrupt):
        queue_sweep(Sweep("grid", None, 0, "validation", ()), trials, queue, None, None)
    assert not names(queue) and not made[0].path.exists()  # it was put aside


# -- what becomes of a run ---------------------------------------------------------------------------------------------
def test_runs_are_worked_off_in_order_each_with_its_own_words(pretend: Pretend, queue: RunQueue) -> None:
    pretend(f"read go\necho '{STARTED}' >> $run/events.jsonl\necho '{FINISHED}' >> $run/events.jsonl\necho $go")
    folders = [queue_experiment(experiment(name), queue) for name in "ab"]
    runner, said = worked_off(queue)
    assert [outcome.run for outcome in runner.outcomes] == [folder.name for folder in folders]
    assert {(outcome.state, outcome.reason) for outcome in runner.outcomes} == {(RunState.FINISHED, "all done")}
    assert said == [f"run {folder.name}" for folder in folders]
    assert not queue.read().entries
    assert {folder.log.read_text() for folder in folders} == {"go\n"}  # each was told to begin, and printed there


def test_a_failure_ends_the_work_only_where_that_is_wanted(pretend: Pretend, queue: RunQueue) -> None:
    pretend(f"read go\necho '{STARTED}' >> $run/events.jsonl\necho '{FAILED}' >> $run/events.jsonl")
    for name in "abc":
        queue_experiment(experiment(name), queue)
    stopped, _ = worked_off(queue, stop_on_failure=True)
    assert [(outcome.state, outcome.reason) for outcome in stopped.outcomes] == [(RunState.FAILED, "no memory")]
    assert names(queue) == ["b", "c"]
    rest, _ = worked_off(queue)
    assert len(rest.outcomes) == 2
    assert not names(queue)


def test_a_process_that_ends_without_a_word_is_a_failure_with_the_log_s_place(
    pretend: Pretend, queue: RunQueue
) -> None:
    pretend("read go\nexit 3")
    folder = queue_experiment(experiment("a"), queue)
    runner, _ = worked_off(queue)
    assert runner.outcomes[0].state is RunState.FAILED
    assert runner.outcomes[0].reason == f"it could not be begun; {folder.log} says why"
    assert not names(queue)
    listed = summarise(folder)  # and it is no longer told as one that waits
    assert (listed.state, listed.reason) == (RunState.FAILED, runner.outcomes[0].reason)
    assert queue.read().ended == (folder.name,)


@pytest.mark.parametrize(("number", "stays"), [(9, False), (11, False), (2, True), (15, True)])
def test_a_process_that_is_killed_before_its_first_word_failed_and_one_that_is_stopped_did_not(
    number: int, stays: bool, pretend: Pretend, queue: RunQueue
) -> None:
    pretend(f"read go\nkill -{number} $$\nexec sleep 60")
    folder = queue_experiment(experiment("a"), queue)
    runner, _ = worked_off(queue)
    (outcome,) = runner.outcomes
    assert names(queue) == (["a"] if stays else [])
    listed = summarise(folder)
    assert listed.state is (RunState.QUEUED if stays else RunState.FAILED)
    ending = "; it stays in the queue" if stays else " before the run began"
    assert outcome.reason == f"its process was ended by signal {number}{ending}"
    assert stays or listed.reason == outcome.reason


def test_a_killed_process_leaves_its_run_in_the_queue_and_the_next_is_taken(pretend: Pretend, queue: RunQueue) -> None:
    began = f"echo '{STARTED}' >> $run/events.jsonl"
    pretend(f"read go\n{began}\ncase $run in */a-*) kill -9 $$;; esac\n" + f"echo '{FINISHED}' >> $run/events.jsonl")
    for name in "ab":
        queue_experiment(experiment(name), queue)
    runner, _ = worked_off(queue)
    assert [outcome.run[0] for outcome in runner.outcomes] == ["a", "b"]
    assert runner.outcomes[0].reason == "its process was ended by signal 9; it stays in the queue"
    assert names(queue) == ["a"]


def test_only_the_named_runs_are_waited_for(pretend: Pretend, queue: RunQueue) -> None:
    pretend(f"read go\necho '{STARTED}' >> $run/events.jsonl\necho '{FINISHED}' >> $run/events.jsonl")
    first, *_ = (queue_experiment(experiment(name), queue) for name in "abc")
    second = next(entry.run for entry in queue.read().entries if entry.run.startswith("b"))
    runner, _ = worked_off(queue, only=[second])
    assert [outcome.run for outcome in runner.outcomes] == [first.name, second]  # in turn, and no further
    assert names(queue) == ["c"]


def test_a_stop_ends_the_run_s_process_and_keeps_the_run(pretend: Pretend, queue: RunQueue) -> None:
    pretend("read go\nexec sleep 60")
    queue_experiment(experiment("a"), queue)
    told: list[str] = []

    def watch(folder: RunFolder) -> Callable[[], None]:
        return lambda: runner.stop("SIGTERM")

    runner = Runner(queue, told.append, watch)
    outcomes = runner.run()
    assert outcomes[0].reason == f"its process was ended by signal {signal.SIGTERM.value}; it stays in the queue"
    assert names(queue) == ["a"]
    assert queue.read().entries[0].worker is None


def test_a_stop_before_the_first_run_begins_nothing(pretend: Pretend, queue: RunQueue) -> None:
    pretend("touch $run/begun")
    folder = queue_experiment(experiment("a"), queue)
    runner = Runner(queue, lambda text: None, lambda run: lambda: None)
    runner.stop("SIGINT")
    assert runner.run() == []
    assert not (folder.path / "begun").exists()


def test_what_is_waited_for_is_said_once(pretend: Pretend, queue: RunQueue) -> None:
    pretend(f"read go\necho '{FINISHED}' >> $run/events.jsonl")
    queue_experiment(experiment("a"), queue)
    queue.pause(True)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("waiting"):
            looked.append(1)

    looked: list[int] = []
    runner = Runner(queue, say, lambda run: lambda: None)
    take = queue.take

    def taken(*arguments: Any, **options: Any) -> Any:
        turn = take(*arguments, **options)
        looked.append(1)
        if len(looked) == 5:
            queue.pause(False)
        return turn

    queue.take = taken  # type: ignore[method-assign]
    runner.run()
    assert said[0] == "waiting: the queue is paused"
    assert [text for text in said if text.startswith("waiting")] == said[:1]


def test_a_second_runner_is_refused_with_the_first_one_s_number(pretend: Pretend, queue: RunQueue) -> None:
    lock = runner_lock()
    lock.acquire()
    try:
        with pytest.raises(TunerError) as caught:
            worked_off(queue)
    finally:
        lock.release()
    assert caught.value.code == "queue-busy"
    assert caught.value.message == f"process {os.getpid()} works the queue off already"


# -- handing over ------------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "handed").mkdir()
    return RunFolder.create(tmp_path / "handed", "a")


def lines_that_take(place: Path) -> str:
    """A process in whose name a lock is written as this program's would be, and which stays until it is ended."""
    lines = (
        "import json, os, pathlib",
        "from tui_tuner.runs.lock import process",
        f"place = pathlib.Path('{place}')",
        "place.mkdir(parents=True, exist_ok=True)",
        "holder = json.dumps(dict(vars(process(os.getppid())), token='x'))",
        "(place / 'new').write_text(holder)",
        "(place / 'new').rename(place / 'lock')",
    )
    return f'{PYTHON} -c "{"; ".join(lines)}"\nexec sleep 60'


@pytest.mark.parametrize("which", ["run", "queue"])
def test_the_new_process_is_waited_for_until_it_holds_the_lock(which: str, pretend: Pretend, folder: RunFolder) -> None:
    pretend(lines_that_take(folder.path if which == "run" else runner_place()))
    if which == "run":
        number = continue_in_background(folder)
    else:
        (folder.path / QUEUE_FOLDER).mkdir()
        number = work_off_in_background(folder.path)
    found = psutil.Process(number)
    try:
        assert os.getsid(number) == number  # a session of its own: closing the terminal does not reach it
        assert found.cwd() == "/"
    finally:
        found.kill()


def test_a_process_that_ends_before_it_took_the_run_is_told_with_its_log(pretend: Pretend, folder: RunFolder) -> None:
    pretend("echo there is no such model >&2\nexit 1")
    with pytest.raises(TunerError) as caught:
        continue_in_background(folder)
    assert (caught.value.code, caught.value.where) == ("handover-failed", str(folder.log))
    assert folder.log.read_text() == "there is no such model\n"


def test_a_run_with_nothing_left_to_do_may_be_done_already(pretend: Pretend, folder: RunFolder) -> None:
    pretend("exit 0")
    assert continue_in_background(folder) > 0


def test_a_process_that_never_takes_the_run_is_not_waited_for_for_ever(pretend: Pretend, folder: RunFolder) -> None:
    pretend("echo $$ > $run/number\nexec sleep 60")
    # That somebody has the run is not enough: it must be the new process.
    with RunLock(folder), pytest.raises(TunerError, match="did not take the run over within 0 s") as caught:
        continue_in_background(folder, timeout=0.3)
    assert caught.value.code == "handover-failed"
    psutil.Process(int((folder.path / "number").read_text())).kill()


@pytest.mark.parametrize(("status", "fails"), [(0, False), (2, True)])
def test_a_runner_that_ends_at_once_has_nothing_to_do_or_has_failed(
    status: int, fails: bool, pretend: Pretend, tmp_path: Path
) -> None:
    pretend(f"echo the queue is damaged\nexit {status}")
    (tmp_path / QUEUE_FOLDER).mkdir()
    if not fails:
        assert work_off_in_background(tmp_path) > 0
        return
    with pytest.raises(TunerError, match="did not take the queue over") as caught:
        work_off_in_background(tmp_path)
    assert Path(str(caught.value.where)).read_text() == "the queue is damaged\n"
