"""What a run writes down of its machine: how often, what not, and that it never stands in the run's way."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.engine.recorder import FIRST, LAST, MlxMemory, Recorder, distance
from tui_tuner.errors import TunerError
from tui_tuner.machine.figures import FIGURES, Reading
from tui_tuner.models import device
from tui_tuner.runs import EventLog, RunView, read_events


class Steps:
    """A clock, and a way to wait that lets a given time pass; after `ends` seconds it is over."""

    def __init__(self, ends: float) -> None:
        self.now, self.ends = 0.0, ends
        self.waited: list[float] = []
        self.done = threading.Event()

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now += seconds
        if self.now > self.ends:
            self.done.set()
        return self.now > self.ends


class Machine:
    def __init__(self, **values: float) -> None:
        self.values, self.asked = values, 0

    def sample(self) -> Reading:
        self.asked += 1
        return Reading(0.0, self.values)


def recorded(machine: Machine, ends: float, append: Any) -> Steps:
    steps = Steps(ends)
    with Recorder(append, machine, steps.clock, steps.wait):
        assert steps.done.wait(20)
    return steps


def test_readings_become_events_of_few_digits(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        recorded(Machine(cpu=0.123456, memory=12_345_678_901.0, gpu_power=41.23456), 5.0, log.append)
    events = read_events(tmp_path / "events.jsonl")
    assert [event["type"] for event in events] == ["machine", "machine"]
    assert {k: v for k, v in events[0].items() if k not in ("t", "type")} == {
        "cpu": 0.123, "memory": 12_345_678_901, "gpu_power": 41.235,
    }  # fmt: skip
    view = RunView()
    view.extend(events)
    assert view.machine.last("memory") == 12_345_678_901


def test_a_long_run_writes_ever_less() -> None:
    day, week = 86_400.0, 7 * 86_400.0
    counts = {}
    for ends in (60.0, 3600.0, day, week):
        steps = Steps(ends)
        while not steps.wait(distance(steps.now)):
            pass
        counts[ends] = len(steps.waited)
    assert counts[60.0] == len(recorded(Machine(cpu=0.5), 60.0, lambda *args, **fields: None).waited)
    assert counts[60.0] == 31
    assert counts[3600.0] < 700
    assert counts[day] < 2200
    assert counts[week] < 11_000  # one a minute, about 250 bytes each
    assert (distance(0), distance(1000), distance(week)) == (FIRST, 5.0, LAST)


def test_an_event_of_everything_is_short(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    machine = Machine(**{name: 123_456_789_012.0 if f.unit == "bytes" else 0.987654 for name, f in FIGURES.items()})
    recorded(machine, 3.0, log.append)
    assert len((tmp_path / "events.jsonl").read_bytes()) < 600


def test_nothing_known_is_no_event() -> None:
    written: list[str] = []
    recorded(Machine(), 60.0, lambda kind, **fields: written.append(kind))
    assert written == []


@pytest.mark.parametrize("code", ["no-space", "not-writable"])
def test_a_disk_that_takes_nothing_is_left_to_the_run(code: str) -> None:
    tried = []

    def full(kind: str, **fields: Any) -> None:
        tried.append(kind)
        raise TunerError("the disk is full", code=code)

    recorded(Machine(cpu=0.5), 7.0, full)
    assert tried == ["machine"] * 3


def test_nothing_is_written_after_it_was_closed() -> None:
    asking, answer = threading.Event(), threading.Event()
    written: list[str] = []

    class Slow:
        asked = 0

        def sample(self) -> Reading:
            self.asked += 1
            if self.asked == 2:
                asking.set()
                answer.wait(20)
            return Reading(0.0, {"cpu": 0.5})

    slow = Slow()
    watcher = Recorder(lambda kind, **fields: written.append(kind), slow, wait=lambda seconds: False)
    watcher._thread.join = lambda timeout: None  # type: ignore[method-assign]
    with watcher:
        assert asking.wait(20)
    answer.set()
    threading.Thread.join(watcher._thread, 20)
    assert written == [] and not watcher._thread.is_alive()


def test_mlxs_memory_is_read_beside_the_job_without_a_thread_of_mlxs(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx
    import psutil

    mx.eval(mx.ones((1000, 1000)))
    found: list[Any] = []
    before = psutil.Process().num_threads()
    for _ in range(5):
        thread = threading.Thread(target=lambda: found.append(MlxMemory().read()))
        thread.start()
        thread.join()
    assert psutil.Process().num_threads() < before + 5, "one for each that asked; other tests' threads come and go"
    assert found[0]["mlx_peak"] >= 4_000_000
    assert set(found[0]) == {"mlx_active", "mlx_cache", "mlx_peak"}
    monkeypatch.setattr(mx, "get_active_memory", lambda: (_ for _ in ()).throw(RuntimeError("no device")))
    assert device.memory_in_use() == {}


def test_by_itself_it_reads_this_process() -> None:
    written: list[dict[str, Any]] = []
    steps = Steps(3.0)
    with Recorder(lambda kind, **fields: written.append(fields), None, steps.clock, steps.wait):
        assert steps.done.wait(20)
    assert written[0]["process_memory"] > 1_000_000
    assert "mlx_active" in written[0]
