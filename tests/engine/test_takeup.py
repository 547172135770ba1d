"""Runs that end before their first word: what is known of them, whoever looks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import Tuner, tuner
from tests.support.jobs import Jobs, jobs
from tests.ui.fakes import RunBuilder
from tui_tuner.cli.headless import attend, one_engine
from tui_tuner.engine import pipeline
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.engine.takeup import note_end, taken_up
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder, RunLock, RunState, StopRequested, read_events
from tui_tuner.runs.catalogue import list_runs, summarise

__all__ = ["jobs", "tuner"]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "a")


def kinds(folder: RunFolder) -> list[str]:
    return [event["type"] for event in read_events(folder.events)]


def test_whoever_takes_a_run_up_is_known_and_alone(folder: RunFolder) -> None:
    with taken_up(folder.path) as taken:
        assert taken.name == folder.name
        assert summarise(folder).state is RunState.QUEUED
        with pytest.raises(TunerError, match="is writing this run"), taken_up(folder.path):
            raise AssertionError
    assert kinds(folder) == ["taken_up"]  # also the one that was refused wrote nothing


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TunerError("the model is broken", code="x", where="m", fix="mend it"), "m: the model is broken; mend it."),
        (ImportError("no mlx here"), "an unexpected error: ImportError: no mlx here"),
        (MemoryError(), "the machine ran out of memory"),
    ],
)
def test_what_fails_before_the_first_word_is_the_run_s_end(
    error: BaseException, reason: str, folder: RunFolder
) -> None:
    with pytest.raises(type(error)), taken_up(folder.path):
        raise error
    listed = summarise(folder)
    assert (listed.state, listed.reason) == (RunState.FAILED, reason)


def test_a_run_that_told_its_end_itself_or_was_stopped_gets_no_other(folder: RunFolder) -> None:
    with pytest.raises(TunerError), taken_up(folder.path):
        with folder.events.open("a") as log:
            log.write('{"t": 1.0, "type": "run_finished", "status": "failed", "reason": "its own"}\n')
        raise TunerError("another", code="x")
    assert summarise(folder).reason == "its own"
    with pytest.raises(StopRequested), taken_up(folder.path):
        raise StopRequested
    assert kinds(folder) == ["taken_up", "run_finished"]


def test_a_run_that_goes_on_and_fails_at_once_is_a_failure_too(tmp_path: Path) -> None:
    folder = RunBuilder(tmp_path).prepared().train(1, 10).finish("stopped", "stopped by user").folder
    with pytest.raises(OSError, match="no such library"), taken_up(folder.path):
        raise OSError("no such library")
    assert (summarise(folder).state, summarise(folder).step) == (RunState.FAILED, 10)
    assert "taken_up" not in kinds(folder)


def test_a_process_that_is_killed_while_libraries_load_leaves_a_failed_run(folder: RunFolder) -> None:
    lines = (
        "import os, signal",
        "from pathlib import Path",
        "from tui_tuner.engine.takeup import taken_up",
        f"with taken_up(Path({str(folder.path)!r})): os.kill(os.getpid(), signal.SIGKILL)",
    )
    assert subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False).returncode == -9
    listed = summarise(folder)
    assert (listed.state, listed.reason) == (RunState.FAILED, "its process ended before the run began")
    note_end(folder, "failed", "signal 9")
    assert summarise(folder).reason == "signal 9"


def failed(folder: RunFolder) -> str:
    """Has an engine run it, and gives the reason of its failure."""
    with one_engine() as engine, pytest.raises(TunerError):
        attend(engine, RunExperiment(folder.path))
    assert not folder.lock.exists()
    assert summarise(folder).state is RunState.FAILED
    return summarise(folder).reason


def test_the_engine_writes_down_why_a_run_could_not_even_begin(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ready() -> None:
        raise ImportError("libmlx.so: cannot open shared object file")

    monkeypatch.setattr(pipeline, "ready", ready)
    assert "libmlx.so" in failed(folder)


def test_a_model_or_data_that_cannot_be_read_is_the_run_s_reason(
    new_run: Callable[..., RunFolder], tiny_model: Path, tmp_path: Path
) -> None:
    broken, bad = tmp_path / "broken", tmp_path / "bad.jsonl"
    shutil.copytree(tiny_model, broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    bad.write_text('{"prompt": "a", "completion": "b"}\n{bad\n')
    assert "model.safetensors" in failed(new_run(model={"path": str(broken)}))
    assert "bad.jsonl, line 2" in failed(new_run(data={"source": str(bad)}))
    settings = new_run()
    settings.config.write_text("[model\n")
    assert "config.toml" in failed(settings)


def test_a_run_that_is_stopped_before_the_engine_comes_to_it_is_a_stopped_one(
    tuner: Tuner, jobs: Jobs, tmp_path: Path
) -> None:
    jobs.answer(None)
    said = tuner("run", "quickstart", "--json")
    assert (said.status, said.document["status"], said.document["steps"]) == (1, "stopped", 0)
    (listed,) = list_runs(tmp_path)
    assert (listed.state, listed.reason) == (RunState.STOPPED, "stopped before it began")


def test_a_run_that_somebody_works_on_is_left_alone(folder: RunFolder) -> None:
    with RunLock(folder):
        note_end(folder, "failed", "x")
    assert kinds(folder) == []


def test_the_list_and_attach_tell_it_in_a_sentence(tuner: Tuner, tmp_path: Path) -> None:
    folder = RunBuilder(tmp_path).add("taken_up", pid=7).folder
    assert tuner("runs").out.split()[:2] == [folder.name, "failed"]
    assert "  its process ended before the run began; " in tuner("runs").out
    followed = tuner("attach", "last", "--follow")
    assert (followed.status, followed.err) == (1, "failed: its process ended before the run began\n")
