"""The engine of a process: order, lanes, failures that stay where they happen, and an end that ends."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.config import Experiment
from tui_tuner.engine import worker
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTurn, PreviewData, RunExperiment
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder, RunState, read_events
from tui_tuner.runs.catalogue import summarise

PATIENCE = 120.0
"""Seconds that a test waits at most; on a quiet machine everything here takes far less."""


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine()
    engine.start()
    yield engine
    assert engine.shutdown(PATIENCE)


@dataclass(eq=False)
class Task:
    """A request that does what a test says, between two gates."""

    lane: str = "mlx"
    act: Callable[[JobHandle], Any] = lambda handle: None
    title: str = "a task"
    begun: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the workers do `Task`s."""

    class Performer:
        def __init__(self, desk: Any) -> None:
            pass

        def __call__(self, handle: JobHandle) -> Any:
            task: Any = handle.request
            task.begun.set()
            assert task.gate.wait(PATIENCE)
            return task.act(handle)

        def close(self) -> None:
            pass

    monkeypatch.setattr(worker, "_Performer", Performer)


def open_task(act: Callable[[JobHandle], Any] = lambda handle: None, lane: str = "mlx") -> Any:
    task = Task(lane, act)
    task.gate.set()
    return task


def ended(handle: JobHandle) -> JobStatus:
    assert handle.finished.wait(PATIENCE)
    return handle.status


# -- the queue ------------------------------------------------------------------------------------------------------


def test_jobs_of_a_lane_run_one_after_another_in_order(tasks: None, engine: LocalEngine) -> None:
    order: list[int] = []
    first: Any = Task()
    handles = [engine.submit(first)]
    handles += [engine.submit(open_task(lambda h: order.append(h.id) or h.id)) for _ in range(5)]
    assert first.begun.wait(PATIENCE)
    assert [h.status for h in handles] == [JobStatus.RUNNING, *[JobStatus.QUEUED] * 5]
    assert engine.active() is handles[0]
    first.gate.set()
    assert [ended(h) for h in handles] == [JobStatus.DONE] * 6
    assert order == [h.id for h in handles[1:]] == [h.result for h in handles[1:]]
    assert engine.handles() == handles
    assert engine.active() is None
    for before, after in itertools.pairwise(handles):
        assert before.ended is not None and after.started is not None
        assert before.submitted <= before.ended <= after.started


def test_jobs_that_ended_long_ago_are_let_go_of(tasks: None, engine: LocalEngine) -> None:
    """A session may last for weeks, and a preview's result is large; an open job is never forgotten."""
    waiting: Any = Task("side")
    first = engine.submit(waiting)
    for _ in range(60):
        assert ended(engine.submit(open_task())) is JobStatus.DONE
    kept = engine.handles()
    assert kept[0] is first
    assert len(kept) <= 34
    assert [h.id for h in kept[1:]] == sorted(h.id for h in kept[1:])
    assert kept[-1].id == 61
    waiting.gate.set()


def test_lanes_do_not_wait_for_each_other(tasks: None, engine: LocalEngine) -> None:
    slow: Any = Task("mlx")
    running = engine.submit(slow)
    assert slow.begun.wait(PATIENCE)
    assert ended(engine.submit(open_task(lane="side"))) is JobStatus.DONE
    assert running.status is JobStatus.RUNNING
    slow.gate.set()
    assert ended(running) is JobStatus.DONE


def raising(error: BaseException) -> Callable[[JobHandle], Any]:
    def act(handle: JobHandle) -> Any:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code"),
    [(TunerError("no", code="own"), "own"), (RuntimeError("mlx"), "internal"), (SystemExit(3), "internal")],
)
def test_a_failing_job_leaves_the_worker_alive_and_the_terminal_alone(
    error: BaseException, code: str, tasks: None, engine: LocalEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    handle = engine.submit(open_task(raising(error)))
    assert ended(handle) is JobStatus.FAILED
    assert handle.error is not None
    assert handle.error.code == code
    assert handle.error is error or handle.error.__cause__ is error
    assert ended(engine.submit(open_task())) is JobStatus.DONE
    assert capfd.readouterr() == ("", "")


def test_a_queued_job_that_is_stopped_ends_at_once(tasks: None, engine: LocalEngine) -> None:
    first: Any = Task()
    running = engine.submit(first)
    turn = ChatTurn(Voice("model"), [])
    queued, last = engine.submit(turn), engine.submit(open_task())
    assert first.begun.wait(PATIENCE)
    queued.control.stop()
    assert ended(queued) is JobStatus.STOPPED
    assert turn.sink.done
    assert running.status is JobStatus.RUNNING
    first.gate.set()
    assert ended(last) is JobStatus.DONE


def obeying(handle: JobHandle) -> None:
    handle.control.pause()
    handle.control.wait_while_paused()  # until the stop
    handle.control.check()


def test_a_running_job_that_is_stopped_ends_stopped(tasks: None, engine: LocalEngine) -> None:
    task = open_task(obeying)
    handle = engine.submit(task)
    assert task.begun.wait(PATIENCE)
    handle.control.stop()
    assert ended(handle) is JobStatus.STOPPED
    assert handle.error is None


def test_a_stop_that_comes_too_late_changes_nothing(tasks: None, engine: LocalEngine) -> None:
    handle = engine.submit(open_task(lambda h: h.control.stop() or {"status": "finished"}))
    assert ended(handle) is JobStatus.DONE


def test_every_change_is_told_until_one_unsubscribes(tasks: None, engine: LocalEngine) -> None:
    seen: list[JobStatus] = []
    handles: list[JobHandle] = []

    def bad() -> None:
        raise RuntimeError("a screen that went away")

    leave_bad = engine.subscribe(bad)
    leave = engine.subscribe(lambda: seen.append(handles[0].status) if handles else None)
    before: Any = Task()
    engine.submit(before)  # holds the lane until the handle is in the list that the watcher reads
    task: Any = Task()
    handles.append(engine.submit(task))
    before.gate.set()
    assert task.begun.wait(PATIENCE)
    task.gate.set()
    assert ended(handles[0]) is JobStatus.DONE
    barrier = engine.submit(open_task())  # when it has begun, all that the first one had to tell is told
    ended(barrier)
    assert JobStatus.RUNNING in seen
    assert seen[-1] is JobStatus.DONE
    leave()
    leave()
    leave_bad()
    count = len(seen)
    ended(engine.submit(open_task()))
    ended(engine.submit(open_task()))
    assert len(seen) == count or seen[count:] == [JobStatus.DONE]  # one call may have been on its way


def test_shutdown_stops_all_and_takes_nothing_more(tasks: None) -> None:
    engine = LocalEngine()
    engine.start()
    engine.start()
    first = open_task(obeying)
    handles = [engine.submit(first), engine.submit(open_task()), engine.submit(open_task())]
    assert first.begun.wait(PATIENCE)
    assert engine.shutdown(PATIENCE)
    assert [h.status for h in handles] == [JobStatus.STOPPED] * 3
    assert all(h.finished.is_set() for h in handles)
    with pytest.raises(TunerError) as caught:
        engine.submit(open_task())
    assert caught.value.code == "shutting-down"
    engine.start()
    assert not any(thread.name.startswith("tui-tuner") for thread in threading.enumerate())


def test_shutdown_waits_no_longer_than_it_was_told(tasks: None) -> None:
    engine = LocalEngine()
    engine.start()
    deaf: Any = Task()
    engine.submit(deaf)
    assert deaf.begun.wait(PATIENCE)
    before = time.monotonic()
    assert not engine.shutdown(0.05)
    assert time.monotonic() - before < PATIENCE
    deaf.gate.set()
    assert engine.shutdown(PATIENCE)


def test_an_engine_that_never_began_shuts_down() -> None:
    assert LocalEngine().shutdown(0.0)


# -- real work ------------------------------------------------------------------------------------------------------


def chat(model: Path, adapter: Path | None = None, **options: Any) -> ChatTurn:
    options.setdefault("max_tokens", 8)
    return ChatTurn(Voice(str(model), adapter), [{"role": "user", "content": "what is the fox?"}], Sampling(**options))


@pytest.mark.mlx
def test_a_chat_streams_what_it_answers(engine: LocalEngine, tiny_model: Path) -> None:
    experiment = Experiment.model_validate({"model": {"path": str(tiny_model)}, "data": {"source": "missing.jsonl"}})
    preview = engine.submit(PreviewData(experiment))
    assert ended(preview) is JobStatus.FAILED
    assert preview.error is not None and preview.error.code != "internal"
    turns = [chat(tiny_model), chat(tiny_model), chat(tiny_model, temperature=1.0), chat(tiny_model, temperature=1.0)]
    handles = [engine.submit(turn) for turn in turns]
    assert [ended(handle) for handle in handles] == [JobStatus.DONE] * 4, handles[0].error
    for turn, handle in zip(turns, handles, strict=True):
        assert turn.sink.done
        assert turn.sink.take() == handle.result.text
        assert handle.result.tokens <= 8
        assert handle.result.finish in ("stop", "length")
        assert handle.result.prompt_tokens > 5
    texts = [handle.result.text for handle in handles]
    assert texts[0] == texts[1] != texts[2] == texts[3]


@pytest.mark.mlx
def test_a_chat_that_is_stopped_keeps_what_it_said(engine: LocalEngine, tiny_model: Path) -> None:
    turn = chat(tiny_model, max_tokens=400)
    write, submitted = turn.sink.write, threading.Event()

    def stopping(text: str) -> None:
        assert submitted.wait(PATIENCE)
        write(text)
        handle.control.stop()

    turn.sink.write = stopping  # type: ignore[method-assign]
    handle = engine.submit(turn)
    submitted.set()
    assert ended(handle) is JobStatus.STOPPED
    assert handle.result.finish == "stopped"
    assert handle.result.text == turn.sink.take()
    assert 0 < handle.result.tokens < 400


@pytest.mark.mlx
def test_a_chat_never_outgrows_the_context(engine: LocalEngine, tiny_model: Path) -> None:
    """The tiny model's context holds 512 tokens."""
    words = " ".join(["fox"] * 480)
    long = ChatTurn(Voice(str(tiny_model)), [{"role": "user", "content": words}], Sampling(max_tokens=400))
    handle = engine.submit(long)
    assert ended(handle) is JobStatus.DONE
    assert handle.result.prompt_tokens + handle.result.tokens <= 512
    too_long = ChatTurn(Voice(str(tiny_model)), [{"role": "user", "content": words * 3}])
    refused = engine.submit(too_long)
    assert ended(refused) is JobStatus.FAILED
    assert refused.error is not None and refused.error.code == "context-full"


@pytest.mark.mlx
@pytest.mark.parametrize("place", ["forward", "step"])
def test_a_failure_inside_mlx_ends_the_run_and_not_the_worker(
    place: str,
    engine: LocalEngine,
    tiny_model: Path,
    new_run: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once in a graph that is being traced, where mlx leaves the model unusable, and once in a step that ran before."""
    from tui_tuner.training import loop

    folder = new_run()
    answer = engine.submit(chat(tiny_model))
    ended(answer)
    with monkeypatch.context() as patch:
        if place == "forward":
            from mlx_lm.models.phi3 import Attention

            patch.setattr(Attention, "__call__", _failing_in_training(Attention.__call__))
        else:
            patch.setattr(loop, "compile_step", _steps_that_fail_at(5, loop.compile_step))
        failed = engine.submit(RunExperiment(folder.path))
        assert ended(failed) is JobStatus.FAILED
    assert failed.error is not None
    assert failed.error.code == "step-failed", folder.log.read_text()
    assert "matmul" in failed.error.message
    events = read_events(folder.events)
    assert [(e["name"], e["status"]) for e in events if e["type"] == "stage"][-1] == ("train", "failed")
    assert events[-1]["type"] == "run_finished"
    assert events[-1]["status"] == "failed"
    assert events[-1]["reason"] == failed.error.sentence()
    assert summarise(folder).state is RunState.FAILED
    again = engine.submit(chat(tiny_model))
    assert ended(again) is JobStatus.DONE, again.error
    assert again.result.text == answer.result.text
    resumed = engine.submit(RunExperiment(folder.path))
    assert ended(resumed) is JobStatus.DONE, resumed.error
    assert resumed.result["status"] == "finished"


@pytest.mark.mlx
def test_a_chat_that_fails_inside_mlx_costs_the_model_in_memory_and_no_more(
    engine: LocalEngine, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.engine import shelf

    loads: list[Path] = []
    load = shelf.load_base
    monkeypatch.setattr(shelf, "load_base", lambda folder, form: loads.append(folder) or load(folder, form))
    answers = [engine.submit(chat(tiny_model)), engine.submit(chat(tiny_model))]
    assert [ended(handle) for handle in answers] == [JobStatus.DONE] * 2
    assert len(loads) == 1
    turn = chat(tiny_model)

    def broken(text: str) -> None:
        raise RuntimeError("[eval] lost")

    turn.sink.write = broken  # type: ignore[method-assign]
    failed = engine.submit(turn)
    assert ended(failed) is JobStatus.FAILED
    assert failed.error is not None and failed.error.code == "internal"
    again = engine.submit(chat(tiny_model))
    assert ended(again) is JobStatus.DONE
    assert again.result.text == answers[0].result.text
    assert len(loads) == 2


def _failing_in_training(forward: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **options: Any) -> Any:
        import mlx.core as mx

        if self.training:
            mx.matmul(mx.zeros((2, 3)), mx.zeros((2, 3)))
        return forward(self, *args, **options)

    return call


def _steps_that_fail_at(number: int, compile_step: Callable[..., Any]) -> Callable[..., Any]:
    def compiled(*args: Any, **options: Any) -> Callable[..., Any]:
        step, count = compile_step(*args, **options), 0

        def run(*arguments: Any) -> Any:
            nonlocal count
            import mlx.core as mx

            count += 1
            if count == number:
                mx.matmul(mx.zeros((2, 3)), mx.zeros((2, 3)))
            return step(*arguments)

        return run

    return compiled
