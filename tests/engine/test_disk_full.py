"""A full disk makes a run wait. Stopped then, it says why, has lost no checkpoint, and goes on when there is space."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.exactness import same
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.evaluation import benchmark
from tui_tuner.runs import RunFolder, RunState, read_events
from tui_tuner.runs import files as run_files
from tui_tuner.runs.catalogue import summarise
from tui_tuner.runs.control import JobControl
from tui_tuner.training import checkpoint
from tui_tuner.training.checkpoint import CheckpointStore

pytestmark = pytest.mark.mlx


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: the system's own way to refuse a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def impatient() -> JobControl:
    """A control whose owner stops a run as soon as it says that it waits for something."""
    control = JobControl()
    control.on_change(lambda: control.stop("test") if control.trouble else None)
    return control


def fails(folder: RunFolder) -> TunerError:
    with pytest.raises(TunerError) as caught:
        run_experiment(folder, impatient(), ModelShelf())
    events = read_events(folder.events)
    assert events[-1]["type"] == "run_finished"
    assert events[-1]["status"] == "failed"
    assert events[-1]["reason"] == caught.value.sentence()
    assert summarise(folder).state is RunState.FAILED
    assert not list(folder.path.rglob(".tmp-*"))
    return caught.value


@pytest.mark.parametrize("size", [1000, 40_000], ids=["at once", "half-way"])
def test_a_checkpoint_that_does_not_fit_costs_no_earlier_one(
    size: int, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, short = new_run(), new_run()
    run_experiment(whole, JobControl(), ModelShelf())
    save = CheckpointStore.save

    def limited(self: CheckpointStore, snapshot: Any, **options: Any) -> Path:
        if snapshot.progress.step < 8:
            return save(self, snapshot, **options)
        with files_up_to(size):
            return save(self, snapshot, **options)

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "save", limited)
        patch.setattr(checkpoint.shutil, "disk_usage", lambda path: Usage(1 << 30, 1 << 30, 0))
        error = fails(short)
    assert error.code == "no-space"
    assert error.fix == "free some space and resume the run"
    steps = [e["step"] for e in read_events(short.events) if e["type"] == "checkpoint"]
    assert steps and max(steps) < 8
    kept = {path.name: path.read_bytes() for path in short.adapters.glob("*.safetensors")}
    assert kept
    document = run_experiment(short, JobControl(), ModelShelf())
    assert document["status"] == "finished"
    assert read_events(short.events)[-1]["status"] == "finished"
    same(whole, short)


def test_a_disk_that_fills_while_answers_are_stored(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_run(train={"iters": 2})
    write, lines = run_files.write_all, 0

    def full(descriptor: int, data: bytes) -> None:
        nonlocal lines
        lines += 1
        if lines == 3:
            write(descriptor, data[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(benchmark, "write_all", full)
        error = fails(folder)
    assert error.code == "no-space"
    assert error.where.endswith("before.partial.jsonl")
    document = run_experiment(folder, JobControl(), ModelShelf())
    assert document["status"] == "finished"
    assert len((folder.evaluation / "before.jsonl").read_text().splitlines()) == 6


def test_a_write_that_fails_for_another_reason_is_not_called_a_full_disk(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_run()
    assert shutil.disk_usage(folder.path).free > 1 << 20
    save = CheckpointStore.save

    def limited(self: CheckpointStore, snapshot: Any, **options: Any) -> Path:
        with files_up_to(1000):
            return save(self, snapshot, **options)

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "save", limited)
        error = fails(folder)
    assert error.code == "write-failed"
    assert str(folder.state) in error.where
    assert run_experiment(folder, JobControl(), ModelShelf())["status"] == "finished"
