"""The queue and sweeps by command, in one process and without training: every act, every option, every refusal."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.support.jobs import Jobs, jobs
from tests.ui.fakes import RunBuilder
from tui_tuner.cli import queueing
from tui_tuner.config import load_experiment
from tui_tuner.engine import beforehand
from tui_tuner.engine import queueing as working
from tui_tuner.engine.queueing import GO, Outcome
from tui_tuner.errors import TunerError
from tui_tuner.runs.lock import RunLock
from tui_tuner.runs.queue import RunQueue, runner_lock
from tui_tuner.runs.state import RunState

__all__ = ["jobs", "tuner"]

SWEEP = """
[model]
path = "embedded:phi3-tiny"
[data]
source = "embedded:players"
[train]
iters = 20
[sweep.values]
"train.learning_rate" = [1e-3, 1e-4]
"adapter.rank" = [4, 8]
"""


@pytest.fixture
def waiting(tmp_path: Path) -> list[str]:
    """Three runs that wait, in this order."""
    queue = RunQueue(tmp_path)
    folders = [RunBuilder(tmp_path, name).folder for name in ("apple", "apricot", "banana")]
    for folder in folders:
        queue.add(folder)
    return [folder.name for folder in folders]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "swept.toml"
    path.write_text(SWEEP)
    return path


@pytest.fixture(autouse=True)
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the commands had looked at beforehand; nothing is found wrong, unless the list is begun with an error."""
    asked: list[Any] = []

    def look(experiments: list[Any], base: Path | None, called: Any = ()) -> None:
        asked.append((len(experiments), base, list(called)))
        if isinstance(asked[0], TunerError):
            raise asked[0]

    monkeypatch.setattr(beforehand, "must_work", look)
    return asked


def order(tuner: Tuner) -> list[str]:
    return [each["run"].partition("-")[0] for each in tuner("queue", "--json").document["entries"]]


def test_an_empty_queue_says_how_to_fill_it(tuner: Tuner) -> None:
    assert tuner("queue").out == "nothing is queued; `tui-tuner queue add` puts a preset at the end\n"
    assert tuner("queue", "list", "--json").document == {"paused": False, "runner": None, "entries": [], "ended": []}
    assert tuner("queue", "clear").out == "0 runs were taken out\n"
    said = tuner("queue", "run")
    assert (said.status, said.out) == (0, "nothing was queued\n")
    assert tuner("queue", "run", "--json").document == []


def test_a_preset_is_queued_with_what_was_set_and_its_name(tuner: Tuner, tmp_path: Path) -> None:
    said = tuner("queue", "add", "quickstart", "--set", "train.iters=20", "--name", "mine", "--json")
    run = said.document["run"]
    assert said.document == {"run": run, "place": 1, "paused": False} and run.startswith("mine-")
    assert load_experiment(tmp_path / run / "config.toml").train.iters == 20
    second = tuner("queue", "add", "quickstart", "--runs-dir", tmp_path).out
    assert second.startswith("quickstart-") and second.endswith(" is queued at place 2\n")


def test_a_run_that_was_stopped_is_queued_as_it_is(tuner: Tuner, tmp_path: Path) -> None:
    run = RunBuilder(tmp_path).prepared().train(1, 10).finish("stopped", "stopped by user").folder.name
    assert tuner("queue", "add", "--existing", "last").out == f"{run} is queued at place 1\n"
    listed = tuner("queue").out.splitlines()
    assert listed[0] == f"  1 {run}  stopped      10/120"
    assert listed[-1].startswith("nobody works it off; `tui-tuner queue run` does")
    entry = tuner("queue", "--json").document["entries"][0]
    assert (entry["place"], entry["state"], entry["step"], entry["steps"], entry["sweep"]) == (
        1, "stopped", 10, 120, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("add",), "add takes a preset, or --existing with a run"),
        (("add", "quickstart", "--existing", "last"), "add takes a preset, or --existing with a run"),
        (("add", "--existing", "last", "--name", "x"), "a run that exists keeps its configuration and its name"),
        (("add", "--existing", "nobody"), "nobody"),
        (("move", "apple"), "move takes a run and one of up, down, top and bottom"),
        (("move", "apple", "sideways"), "sideways"),
        (("remove",), "remove takes a run"),
        (("clear", "apple"), "clear takes nothing more"),
        (("resume", "apple"), "resume takes nothing more"),
        (("run", "apple"), "run takes nothing more"),
        (("remove", "apple", "--set", "a=b"), "--set, --name, --existing and --no-check say what to add"),
        (("run", "--no-check"), "--set, --name, --existing and --no-check say what to add"),
        (("list", "--stop-on-failure"), "--stop-on-failure belongs to run"),
        (("dance",), "dance"),
        (("move", "", "up"), "is not in the queue"),
        (("move", "0", "up"), "is not in the queue"),
        (("move", "4", "up"), "is not in the queue"),
        (("remove", "ap"), "2 queued runs begin with “ap”"),
    ],
)
def test_a_wrong_word_changes_nothing(tuner: Tuner, waiting: list[str], options: tuple[str, ...], said: str) -> None:
    got = tuner("queue", *options)
    assert (got.status, got.out, got.err.count("\n")) == (2, "", 1)
    assert said in got.err
    assert tuner("queue", *options, "--json").document["error"]["code"]
    assert order(tuner) == ["apple", "apricot", "banana"]


def test_runs_are_moved_by_name_beginning_or_place(tuner: Tuner, waiting: list[str]) -> None:
    apple, _, banana = waiting
    assert tuner("queue", "move", "banana", "top").out == f"{banana} was moved to the top\n"
    assert tuner("queue", "move", apple, "bottom").out == f"{apple} was moved to the bottom\n"
    assert order(tuner) == ["banana", "apricot", "apple"]
    assert tuner("queue", "move", "3", "up", "--json").document == {"run": apple, "place": 2, "paused": False}
    assert tuner("queue", "move", "1", "down").out == f"{banana} was moved down\n"
    assert order(tuner) == ["apple", "banana", "apricot"]


def test_what_is_taken_out_is_put_aside_or_stays(tuner: Tuner, waiting: list[str], tmp_path: Path) -> None:
    begun = RunBuilder(tmp_path, "begun").prepared().finish("stopped", "stopped by user").folder.name
    tuner("queue", "add", "--existing", begun)
    said = tuner("queue", "remove", "banana", "--json").document
    assert Path(said["aside"]).is_dir() and not (tmp_path / waiting[2]).exists()
    assert tuner("queue", "remove", begun).out == f"{begun} was taken out; its folder stays\n"
    assert (tmp_path / begun).is_dir()
    assert "; its folder was put aside into " in tuner("queue", "remove", "1").out
    assert tuner("queue", "clear").out == "1 run was taken out\n"
    assert tuner("queue", "clear", "--json").document == {"runs": [], "paused": False}


def test_a_paused_queue_says_so_wherever_it_is_shown(tuner: Tuner, waiting: list[str]) -> None:
    assert tuner("queue", "pause").out == "the queue is paused: what runs goes on, nothing more is begun\n"
    assert tuner("queue").out.splitlines()[0] == "the queue is paused; `tui-tuner queue resume` goes on with it"
    assert tuner("queue", "--json").document["paused"] is True
    assert tuner("queue", "resume").out == "the queue goes on\n"


def test_who_works_it_off_is_named_and_what_is_worked_on_stays(
    tuner: Tuner, waiting: list[str], tmp_path: Path
) -> None:
    with runner_lock() as lock:
        runner = tuner("queue", "--json").document["runner"]
        assert runner.keys() == {"pid", "host"} and lock is not None
        assert "nobody works it off" not in tuner("queue").out
    with RunLock(tmp_path / waiting[0]):
        said = tuner("queue", "remove", waiting[0], "--json")
        assert (said.status, said.document["error"]["code"]) == (2, "run-going")
        assert tuner("queue", "clear", "--json").document["runs"] == waiting[1:]


def test_what_has_ended_badly_stays_in_sight(tuner: Tuner, tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path).prepared()
    tuner("queue", "add", "--existing", "last")
    builder.finish("failed", "the disk is full")
    found = tuner("queue", "--json").document
    assert found["ended"] == [{"run": builder.folder.name, "state": "failed", "reason": "the disk is full"}]
    assert tuner("queue").out.splitlines()[0] == f"    {builder.folder.name}  failed  the disk is full"


# -- working it off ---------------------------------------------------------------------------------------------------
@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the runner comes to, and how it was made."""
    made: list[Any] = []

    class Worker:
        def __init__(self, queue: RunQueue, tell: Any, look: Any, **options: Any) -> None:
            made.append(options)

        stopped = property(lambda self: made[0][-1].state is RunState.STOPPED)

        def stop(self, by: str = "") -> None:
            raise AssertionError

        def run(self) -> list[Outcome]:
            return list(made[0])

    monkeypatch.setattr(working, "Runner", Worker)
    return made


@pytest.mark.parametrize(("state", "status"), [(RunState.FINISHED, 0), (RunState.FAILED, 1), (RunState.STOPPED, 1)])
def test_the_status_is_0_only_if_every_run_finished(
    tuner: Tuner, outcomes: list[Any], state: RunState, status: int
) -> None:
    outcomes.append([Outcome("a", RunState.FINISHED, "Better."), Outcome("b", state, "")])
    said = tuner("queue", "run", "--stop-on-failure")
    assert (said.status, said.out) == (status, f"a  finished  Better.\nb  {state.value}\n")
    assert outcomes[1] == {"stop_on_failure": True, "only": None}
    stopped = "stopped; 0 runs stay queued, and `tui-tuner queue run` goes on\n"
    assert said.err == (stopped if state is RunState.STOPPED else "")
    assert tuner("queue", "run", "--json").document == [
        {"run": "a", "state": "finished", "reason": "Better."}, {"run": "b", "state": state.value, "reason": ""},
    ]  # fmt: skip


@pytest.mark.parametrize(("word", "status"), [(GO, 0), ("", 1), ("stop", 1)])
def test_a_worker_begins_only_when_it_is_told_to(
    word: str, status: int, tmp_path: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunBuilder(tmp_path).folder
    jobs.answer({"run": str(folder.path), "status": "finished", "verdict": {}})
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{word}\n"))
    assert queueing.work(folder.path) == status
    assert len(jobs.asked) == (word == GO)


# -- sweeps -----------------------------------------------------------------------------------------------------------
def test_a_dry_run_says_what_would_be_queued_and_queues_nothing(tuner: Tuner, sweep: Path, tmp_path: Path) -> None:
    said = tuner("sweep", sweep, "--dry-run")
    assert said.status == 0 and len(said.out.splitlines()) == 4
    document = tuner("sweep", sweep, "--dry-run", "--json").document
    assert document["sweep"] is None and document["metric"]
    values = [tuple(run["values"].values()) for run in document["runs"]]
    assert values == [(1e-3, 4), (1e-3, 8), (1e-4, 4), (1e-4, 8)]
    for line, run in zip(said.out.splitlines(), document["runs"], strict=True):
        assert line.startswith(f"{run['name']}  ")
    assert order(tuner) == [] and not list(tmp_path.glob("*/config.toml"))


def test_what_cannot_work_is_not_queued_unless_that_is_wanted(
    tuner: Tuner, sweep: Path, tmp_path: Path, looked: list[Any]
) -> None:
    looked.append(TunerError("the model is gone", code="model-not-found"))
    for words in (("queue", "add", sweep), ("sweep", sweep)):
        said = tuner(*words)
        assert (said.status, said.out, said.err) == (1, "", "tui-tuner: the model is gone.\n")
    assert looked[1][:2] == (1, tmp_path) and looked[2][:2] == (4, tmp_path)
    assert looked[2][2][0] == "train.learning_rate=0.001, adapter.rank=4"
    assert order(tuner) == [] and not list(tmp_path.glob("*/config.toml"))
    assert tuner("sweep", sweep, "--dry-run").status == 0
    assert tuner("queue", "add", sweep, "--no-check").status == tuner("sweep", sweep, "--no-check").status == 0
    assert len(order(tuner)) == 5 and len(looked) == 3


def test_a_sweep_is_queued_and_its_id_finds_it_again(tuner: Tuner, sweep: Path, tmp_path: Path) -> None:
    said = tuner("sweep", sweep, "--set", "adapter.rank=4")
    lines = said.out.splitlines()
    identity = lines[-1].rpartition(" ")[2]
    assert lines[0] == f"2 runs are queued as the sweep {identity}"
    assert lines[1:] == ["  tui-tuner queue run", f"  tui-tuner sweep --results {identity}"]
    assert [line.startswith("queued ") for line in said.err.splitlines()] == [True, True]
    entries = tuner("queue", "--json").document["entries"]
    assert [each["sweep"] for each in entries] == [identity] * 2
    results = tuner("sweep", "--results", identity, "--json").document
    assert results["sweep"] == identity and {run["state"] for run in results["runs"]} == {"queued"}
    assert tuner("sweep", "--results", entries[0]["run"]).status == 0


def test_a_sweep_that_is_worked_off_is_compared_at_the_end(tuner: Tuner, sweep: Path, outcomes: list[Any]) -> None:
    outcomes.append([Outcome("something else", RunState.FAILED, "")])
    said = tuner("sweep", sweep, "--set", "adapter.rank=4", "--run", "--json")
    assert said.status == 0, "what was queued before is not this command's"
    runs = [run["run"] for run in said.document["runs"]]
    assert sorted(outcomes[1]["only"]) == sorted(runs) and len(runs) == 2


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("quickstart", "--results", "last"),
        ("--results", "last", "--run"),
        ("--results", "last", "--dry-run"),
        ("--results", "last", "--set", "a=b"),
        ("quickstart", "--run", "--dry-run"),
    ],
)
def test_a_sweep_is_begun_or_compared_not_both(tuner: Tuner, options: tuple[str, ...]) -> None:
    said = tuner("sweep", *options, "--json")
    assert said.status == 2 and said.document["error"]["fix"] == "see `tui-tuner sweep --help`"


def test_a_run_that_cannot_be_read_leaves_the_list_whole(tuner: Tuner, waiting: list[str], tmp_path: Path) -> None:
    (tmp_path / waiting[0] / "events.jsonl").write_text("{damaged\n")
    assert order(tuner) == ["apple", "apricot", "banana"]
