"""Doubles for the interface's tests: an engine that does only what a test releases, and a builder of run folders.

Nothing here sleeps or starts a thread; whatever happens, happens because the test said so.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.errors import TunerError
from tui_tuner.runs.folder import RunFolder

START = 1_760_000_000.0
"""When the made-up runs began, in seconds since the epoch."""


class FakeEngine:
    """An engine whose jobs begin and end when the test says so.

    Attributes:
        submitted: every request, in order.
        may_end: `shutdown` waits for it; set from the start, so that only tests about waiting clear it.
        shut_down: whether `shutdown` was called.
        answer: called with each new handle; for tests that want some requests answered at once.
    """

    def __init__(self, answer: Callable[[JobHandle], None] | None = None) -> None:
        self.submitted: list[Any] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.shut_down = False
        self.started = False
        self.answer = answer
        self._handles: list[JobHandle] = []
        self._callbacks: list[Callable[[], None]] = []

    def start(self) -> None:
        self.started = True

    def submit(self, request: Any) -> JobHandle:
        handle = JobHandle(id=len(self._handles) + 1, request=request)
        self._handles.append(handle)
        self.submitted.append(request)
        handle.control.on_change(self.tell)
        if self.active(request.lane) is None:
            handle.status = JobStatus.RUNNING
        if self.answer is not None:
            self.answer(handle)
        self.tell()
        return handle

    def handles(self) -> list[JobHandle]:
        return list(self._handles)

    def active(self, lane: str = "mlx") -> JobHandle | None:
        running = (h for h in self._handles if h.status is JobStatus.RUNNING and h.request.lane == lane)
        return next(running, None)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def shutdown(self, timeout: float = 30.0) -> bool:
        self.shut_down = True
        return self.may_end.wait(timeout)

    # -- what tests call ------------------------------------------------------------------------------------------
    def tell(self) -> None:
        for callback in list(self._callbacks):
            callback()

    def end(
        self,
        handle: JobHandle,
        result: Any = None,
        *,
        error: TunerError | None = None,
        status: JobStatus = JobStatus.DONE,
    ) -> None:
        """Ends a job: done with a result, failed with an error, or stopped; the next of its lane begins."""
        handle.result, handle.error = result, error
        handle.status = JobStatus.FAILED if error is not None else status
        handle.finished.set()
        waiting = (h for h in self._handles if h.status is JobStatus.QUEUED and h.request.lane == handle.request.lane)
        handle.ended = handle.started
        following = next(waiting, None)
        if following is not None:
            following.status = JobStatus.RUNNING
        self.tell()


def metric(value: float, spread: float = 0.04) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - spread), "high": min(1.0, value + spread)}


class RunBuilder:
    """Writes a run folder event by event, with a clock of its own.

    Each method adds what the pipeline would have written at that point and returns the builder.
    """

    def __init__(self, runs_dir: Path, name: str = "players", stamp: str = "20251009-085320", steps: int = 120) -> None:
        path = runs_dir / f"{name}-{stamp}"
        for sub in ("data", "adapters", "state", "evaluation", "chats"):
            (path / sub).mkdir(parents=True, exist_ok=True)
        (path / "events.jsonl").touch()
        self.folder = RunFolder.open(path)
        self.name, self.steps, self.now = name, steps, START
        (path / "meta.json").write_text(json.dumps({"name": name, "created": START}), encoding="utf-8")

    def add(self, type: str, after: float = 0.0, **fields: Any) -> RunBuilder:
        self.now += after
        line = json.dumps({"t": self.now, "type": type, **fields})
        with self.folder.events.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        return self

    def begin(self, *, resumed: bool = False, from_step: int = 0) -> RunBuilder:
        return self.add(
            "run_started", name=self.name, steps=self.steps, seed=42, model="embedded:phi3-tiny",
            data="embedded:players", method="lora", resumed=resumed, from_step=from_step,
            device="the processor with OpenBLAS", device_advice="", memory_limit=17_179_869_184,
        )  # fmt: skip

    def stage(self, name: str, status: str, after: float = 0.0, seconds: float | None = None) -> RunBuilder:
        fields = {} if seconds is None else {"seconds": seconds}
        return self.add("stage", after, name=name, status=status, **fields)

    def prepared(self, *, before: dict[str, dict[str, float]] | None = None) -> RunBuilder:
        """Check, data and baseline are done, training has begun."""
        self.begin()
        for name, seconds in (("check", 0.4), ("data", 0.2), ("baseline", 6.3)):
            self.stage(name, "running").stage(name, "done", seconds, seconds)
            if name == "data":
                self.add("log", level="info", text="480 rows of 240 records: 360 train, 40 valid, 40 test")
                self.add("plan", steps=self.steps, rows=360, batches_per_epoch=45, mode="fast",
                         padding_fraction=0.031, stock_padding_fraction=0.284, eval_every=30)  # fmt: skip
        self.add("evaluation", label="before", n=40, metrics=before or BEFORE)
        return self.stage("train", "running")

    def train(self, first: int, last: int, every: int = 5) -> RunBuilder:
        """Training steps with a falling loss, validations every 30 steps, and a checkpoint every 60."""
        reported = first - 1
        for step in range(first, last + 1):
            if step % every == 0 or step == 1:
                self.add("train", 0.4 * (step - reported), step=step, **train_fields(step, self.steps))
                reported = step
            if step % 30 == 0 or step == 1:
                self.add("validation", 0.8, step=step, loss=validation_loss(step), tokens=2210, seconds=0.8)
            if step % 60 == 0:
                self.add("checkpoint", step=step, path=f"{step:07d}_adapters.safetensors", best=True)
                self.add("sample", step=step, prompt="Report this game: Nora Winslow, Herons v Wolves.",
                         text="FT W | Herons 4-2 Wolves | Winslow, Nora | G3 A1 | 52'")  # fmt: skip
        return self

    def evaluated(self) -> RunBuilder:
        """Training is done, the result is measured and judged."""
        self.stage("train", "done", 0.2, 48.7)
        self.stage("evaluate", "running").add("progress", 2.0, stage="evaluate", done=20, total=40, text="")
        self.stage("evaluate", "done", 2.1, 4.1)
        self.add("evaluation", label="after", n=40, metrics=AFTER)
        self.stage("verdict", "running").add("verdict", metrics=VERDICT, sentence=SENTENCE)
        return self.stage("verdict", "done", 0.1, 0.1)

    def finish(self, status: str = "finished", reason: str = "") -> RunBuilder:
        return self.add("run_finished", 0.1, status=status, reason=reason)


def train_fields(step: int, steps: int) -> dict[str, float | int]:
    wobble = math.sin(step * 1.7) * 0.06 + math.sin(step * 0.61) * 0.04
    loss = 0.18 + 3.1 * math.exp(-step / 22) + wobble * math.exp(-step / 80)
    return {
        "loss": max(0.02, loss), "tokens": 1740 + 40 * (step % 7), "trained_tokens": step * 620,
        "tokens_per_second": 4300 + 180 * math.sin(step / 5), "steps_per_second": 2.5,
        "learning_rate": 3e-3 * (min(1.0, step / 10) * (0.5 + 0.5 * math.cos(math.pi * step / steps))),
        "grad_norm": 0.6 + 2.4 * math.exp(-step / 30) + abs(wobble), "peak_memory": 412e6 + 9e5 * min(step, 40),
        "padding_fraction": 0.031,
    }  # fmt: skip


def validation_loss(step: int) -> float:
    return 0.22 + 3.0 * math.exp(-step / 24)


BEFORE = {"exact_match": metric(0.0), "rouge1": metric(0.31), "rouge2": metric(0.118), "rougeL": metric(0.287)}
AFTER = {"exact_match": metric(0.925), "rouge1": metric(0.991, 0.012), "rouge2": metric(0.982, 0.02),
         "rougeL": metric(0.988, 0.015)}  # fmt: skip
VERDICT = {
    name: {
        "difference": AFTER[name]["value"] - BEFORE[name]["value"], "low": AFTER[name]["low"] - BEFORE[name]["high"],
        "high": AFTER[name]["high"] - BEFORE[name]["low"], "p": 0.0001, "wins": 37, "ties": 3, "losses": 0,
        "verdict": "better", "sentence": f"{name} is better.",
    }
    for name in AFTER
}  # fmt: skip
SENTENCE = "Training made the model better on all 4 metrics: exact match rose from 0 % to 92 % on 40 rows never seen."


def going(engine: FakeEngine, builder: RunBuilder) -> RunBuilder:
    """Has the engine of this process work on a run."""
    engine.submit(RunExperiment(builder.folder.path))
    return builder
