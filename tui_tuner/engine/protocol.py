"""What a face needs of an engine. The app is written against this, so that tests can drive it with a gated double."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from tui_tuner.engine.requests import Request
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import JobControl


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (JobStatus.DONE, JobStatus.STOPPED, JobStatus.FAILED)


@dataclass(eq=False)
class JobHandle:
    """A submitted request and what became of it. Written by the engine, read by anyone.

    `submitted`, `started` and `ended` are seconds since the epoch; `error` is set when the status is `failed`,
    `result` when it is `done` or `stopped`.
    """

    id: int
    request: Request
    control: JobControl = field(default_factory=JobControl)
    status: JobStatus = JobStatus.QUEUED
    error: TunerError | None = None
    result: Any = None
    submitted: float = 0.0
    started: float | None = None
    ended: float | None = None
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def title(self) -> str:
        return self.request.title


class Engine(Protocol):
    """Runs requests, one at a time per lane, in the order they came."""

    def start(self) -> None:
        """Starts the workers; asking twice does no harm."""

    def submit(self, request: Request) -> JobHandle:
        """Queues a request and returns at once."""

    def handles(self) -> list[JobHandle]:
        """The jobs of this session, oldest first; all that are open, and at least the last few that have ended."""

    def active(self, lane: str = "mlx") -> JobHandle | None:
        """The job that a lane is working on."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` (from worker threads) whenever a job changes; returns the way to unsubscribe."""

    def shutdown(self, timeout: float = 30.0) -> bool:
        """Asks every job to stop and waits for the workers; False when they did not end within `timeout` seconds."""
