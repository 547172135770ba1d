"""The engine of this process: a thread for each lane, one of which does all that computes with mlx.

mlx ties arrays and streams to the thread that made them, and ends the interpreter when a thread dies with them in hand:
so one long-lived thread does it all, and every thread clears its streams when it ends.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tui_tuner.engine.desk import DataClerk, DataDesk
from tui_tuner.engine.forecast_requests import ForecastQuestion, MeasureForecast
from tui_tuner.engine.hub_requests import HubRequest
from tui_tuner.engine.lanes import LANES, Lane
from tui_tuner.engine.model_requests import ModelQuestion, ModelRequest
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import (
    Benchmark,
    Chatting,
    Evaluating,
    JoinRun,
    PickCheckpoint,
    Request,
    RunExperiment,
    RunTasks,
    TokenLosses,
)
from tui_tuner.engine.results import ChatReply
from tui_tuner.errors import TunerError, brief
from tui_tuner.runs.control import StopRequested

# Silent unless whoever owns the process gives it a place: a stray line would tear a screen.
_log = logging.getLogger("tui_tuner")
_log.addHandler(logging.NullHandler())

_REMEMBERED = 32
"""Jobs that have ended and are still told of. Results can be large, and a session may last for weeks."""


class LocalEngine:
    """Runs requests in this process, in order, one at a time per lane."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._queues: dict[Lane, deque[JobHandle]] = {lane: deque() for lane in LANES}
        self._active: dict[str, JobHandle | None] = dict.fromkeys(LANES)
        self._handles: list[JobHandle] = []
        self._guests: list[JobHandle] = []
        self._numbers = itertools.count(1)
        self._callbacks: list[Callable[[], None]] = []
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._desk = DataDesk()
        self._hosts: Any = None

    def start(self) -> None:
        """Starts the workers, once."""
        with self._lock:
            if self._threads or self._closing:
                return
            # The interpreter hands the lock on every 0.5 ms instead of 5: a screen redrawing beside a thread that makes
            # a token every 2 ms would otherwise take more than half of its time.
            sys.setswitchinterval(0.0005)
            self._threads = [
                threading.Thread(target=self._work, args=(lane,), name=f"tui-tuner-{lane}", daemon=False)
                for lane in LANES
            ]
        for thread in self._threads:
            thread.start()

    def submit(self, request: Request) -> JobHandle:
        """Queues a request.

        Raises:
            TunerError: when the engine is shutting down.
        """
        with self._wake:
            if self._closing:
                raise TunerError("the program is shutting down and takes no new work", code="shutting-down")
            handle = JobHandle(next(self._numbers), request, submitted=time.time())
            self._forget_old()
            self._handles.append(handle)
            host = self._host_of(handle)
            if host is None:
                self._queues[request.lane].append(handle)
                self._wake.notify_all()
            else:
                self._guests.append(handle)
        if host is not None:  # without the lock, which those who hear of it may want
            host.control.submit_interlude(lambda live: self._serve(handle, live))
        handle.control.on_change(lambda: self._withdraw(handle))
        self._changed()
        return handle

    def handles(self) -> list[JobHandle]:
        """The jobs of this session, oldest first; of those that have ended the last few."""
        with self._lock:
            return list(self._handles)

    def active(self, lane: str = "mlx") -> JobHandle | None:
        """The job a lane is working on."""
        with self._lock:
            return self._active.get(lane)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back, from any thread, whenever a job changes; returns the way out."""
        with self._lock:
            self._callbacks.append(callback)

        def unsubscribe() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._callbacks.remove(callback)

        return unsubscribe

    def shutdown(self, timeout: float = 30.0) -> bool:
        """Asks every job to stop, takes no more, and waits; False when one is still busy after `timeout` seconds."""
        with self._wake:
            self._closing = True
            open_jobs = [handle for handle in self._handles if not handle.status.ended]
            self._wake.notify_all()
        for handle in open_jobs:  # without the lock, which those who hear of a stop may want
            handle.control.stop("shutdown")
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def _forget_old(self) -> None:
        """Lets go of jobs that ended long ago; whoever submitted one may keep it. Held under the lock."""
        ended = [handle for handle in self._handles if handle.status.ended]
        old = {handle.id for handle in ended[:-_REMEMBERED]}
        if old:
            self._handles = [handle for handle in self._handles if handle.id not in old]

    def _changed(self) -> None:
        with self._lock:
            callbacks = list(self._callbacks)
        for callback in callbacks:
            try:
                callback()
            except Exception:
                # A watcher that went away must not take the work with it.
                _log.exception("a watcher of the engine failed")

    def _host_of(self, handle: JobHandle) -> JobHandle | None:
        """The run that can let this job in between two of its steps: a chat need not wait for the run's end.

        Held under the lock. A guest whose host ends without having taken it in goes into the queue.
        """
        host = self._active.get("mlx")
        fits = isinstance(handle.request, Chatting) and host is not None and isinstance(host.request, RunExperiment)
        return host if fits else None

    def _serve(self, handle: JobHandle, live: Any) -> None:
        """Answers a guest with the model in training; one that asks for another model has to wait for the run's end."""
        from tui_tuner.engine.chatting import same_base

        request = handle.request
        with self._lock:
            if handle not in self._guests:
                return
        if isinstance(request, Chatting) and same_base(request, live.base.path):
            with self._lock:
                self._guests.remove(handle)
            self._do("guest", handle, lambda _: self._hosts.entertain(handle, request, live))

    def _dismiss_guests(self) -> None:
        """Queues the guests that the run which just ended did not take in. Held under the lock."""
        for handle in reversed(self._guests):
            self._queues["mlx"].appendleft(handle)
        self._guests.clear()

    def _withdraw(self, handle: JobHandle) -> None:
        """Ends a job that is stopped before its turn came, so that nobody waits for it."""
        with self._lock:
            queue = self._guests if handle in self._guests else self._queues[handle.request.lane]
            if not handle.control.stop_requested or handle not in queue:
                return
            queue.remove(handle)
        handle.status = JobStatus.STOPPED
        self._end(handle)

    def _next(self, lane: Lane) -> JobHandle | None:
        with self._wake:
            while not self._queues[lane]:
                if self._closing:
                    return None
                self._wake.wait()
            handle = self._queues[lane].popleft()
            self._active[lane] = handle
            return handle

    def _work(self, lane: Lane) -> None:
        perform = _Performer(self._desk)
        if lane == "mlx":
            self._hosts = perform
        try:
            while (handle := self._next(lane)) is not None:
                self._do(lane, handle, perform)
        finally:
            perform.close()

    def _do(self, lane: str, handle: JobHandle, perform: Callable[[JobHandle], Any]) -> None:
        handle.started = time.time()
        handle.status = JobStatus.RUNNING
        self._changed()
        try:
            handle.control.check()
            handle.result = perform(handle)
            handle.status = JobStatus.STOPPED if _was_stopped(handle.result) else JobStatus.DONE
        except StopRequested:
            handle.status = JobStatus.STOPPED
        except TunerError as error:
            handle.error = error
            handle.status = JobStatus.FAILED
        except BaseException as error:  # a job must never end the worker, whatever a library raises
            _log.exception("%s failed", handle.title)
            handle.error = TunerError(f"an unexpected error: {type(error).__name__}: {brief(error)}", code="internal")
            handle.error.__cause__ = error
            handle.status = JobStatus.FAILED
        finally:
            with self._lock:
                self._active[lane] = None
                if isinstance(handle.request, RunExperiment):
                    self._dismiss_guests()
            self._end(handle)

    def _end(self, handle: JobHandle) -> None:
        if isinstance(handle.request, Chatting):
            for sink in handle.request.sinks:
                sink.finish()
        handle.ended = time.time()
        handle.finished.set()
        self._changed()


def _was_stopped(result: Any) -> bool:
    """Whether a job came back early; one that was asked too late to stop has done all it was to do."""
    if isinstance(result, list):
        return any(_was_stopped(each) for each in result)
    if isinstance(result, ChatReply):
        return result.finish == "stopped"
    return isinstance(result, dict) and result.get("status") == "stopped"


class _Performer:
    """Does the requests of one lane; heavy libraries are imported by the request that needs them."""

    def __init__(self, desk: DataDesk) -> None:
        self._shelf: Any = None
        self._clerk = DataClerk(desk)

    def __call__(self, handle: JobHandle) -> Any:
        from tui_tuner.engine.fetching import heard

        try:
            with heard(handle):
                return self._perform(handle)
        except (StopRequested, TunerError):
            raise
        except BaseException:
            # After a failure inside mlx its model objects are not to be trusted.
            if self._shelf is not None:
                self._shelf.clear()
            raise

    def _perform(self, handle: JobHandle) -> Any:
        request = handle.request
        if isinstance(request, RunExperiment):
            from tui_tuner.engine.takeup import taken_up

            with taken_up(request.folder) as folder:
                from tui_tuner.engine.pipeline import run_experiment

                return run_experiment(folder, handle.control, self._models(), request.place, locked=True)
        if isinstance(request, JoinRun):
            from tui_tuner.engine.ranks.member import join_run
            from tui_tuner.runs.folder import RunFolder

            return join_run(RunFolder.open(request.folder), handle.control, self._models(), request.place)
        if isinstance(request, Chatting):
            from tui_tuner.engine.chatting import talk

            return talk(request, handle.control, self._models(answering=True))
        if isinstance(request, TokenLosses):
            from tui_tuner.engine.row_losses import row_losses

            return row_losses(request, self._models(), handle.control.check)
        if isinstance(request, Evaluating):
            return self._evaluate(handle, request)
        if isinstance(request, ModelRequest):
            from tui_tuner.engine.modeljobs import perform_model_job

            return perform_model_job(request, handle.control, self._models())
        if isinstance(request, HubRequest):
            from tui_tuner.engine.fetching import answer_about_hub

            return answer_about_hub(request, handle.control)
        if isinstance(request, ModelQuestion):
            from tui_tuner.engine.modelshelves import answer_about_models

            return answer_about_models(request)
        if isinstance(request, ForecastQuestion | MeasureForecast):
            from tui_tuner.engine.forecast_measure import perform_forecast

            return perform_forecast(request, handle.control, self._models)
        return self._clerk.answer(request, handle.control.check)

    def _evaluate(self, handle: JobHandle, request: Evaluating) -> Any:
        from tui_tuner.engine.evaluating import run_benchmark, run_suite

        if isinstance(request, Benchmark):
            return run_benchmark(request, handle.control, self._models())
        if isinstance(request, PickCheckpoint):
            from tui_tuner.engine.pick import pick_checkpoint

            return pick_checkpoint(request, handle.control, self._models())
        if isinstance(request, RunTasks):
            from tui_tuner.engine.harness import run_tasks

            return run_tasks(request, handle.control, self._models())
        return run_suite(request, handle.control, self._models())

    def close(self) -> None:
        """Lets go of models and of mlx's streams, in the thread that owns them."""
        if self._shelf is not None:
            self._shelf.clear()
        if "mlx.core" in sys.modules:
            import mlx.core as mx

            mx.clear_streams()

    def entertain(self, handle: JobHandle, request: Chatting, live: Any) -> Any:
        """Does what a guest of a run asks for, between two of its steps."""
        from tui_tuner.engine.chatting import talk

        return talk(request, handle.control, self._models(), live)

    def _models(self, *, answering: bool = False) -> Any:
        """The models in memory; whoever does more than answer needs the memory that answers have left filled."""
        if self._shelf is None:
            from tui_tuner.engine.shelf import ModelShelf

            self._shelf = ModelShelf()
        if not answering:
            self._shelf.forget_prompts()
        return self._shelf
