"""Following a log gives each event once, whatever its writer and the file system do in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.runs import EventLog, EventTail


def written(path: Path, count: int) -> list[dict[str, Any]]:
    with EventLog(path, clock=iter(range(1, count + 1)).__next__) as log:
        return [log.append("train", step=step, loss=1.0 / step) for step in range(1, count + 1)]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_tail_gives_the_same_events_however_the_bytes_arrive(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    source = tmp_path_factory.mktemp("log") / "source.jsonl"
    events = written(source, 6)
    raw = source.read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    path = source.with_name("events.jsonl")
    tail = EventTail(path)
    got: list[Any] = list(tail.poll())
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        with path.open("ab") as file:
            file.write(raw[start:end])
        got += tail.poll()
        assert got == events[: raw[:end].count(b"\n")]
    assert got == events
    assert tail.generation == 0
    assert tail.poll() == []


def test_a_tail_does_not_notice_the_repair_of_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = written(path, 2)
    with path.open("ab") as file:
        file.write(b'{"t":3,"type":"log","text":"torn')
    tail = EventTail(path)
    assert tail.poll() == events
    with EventLog(path) as log:
        assert tail.poll() == []
        added = log.append("log", text="after the repair, and longer than what was torn")
    assert tail.poll() == [added]
    assert (tail.generation, tail.damaged) == (0, 0)


@pytest.mark.parametrize("way", ["renamed over", "written in place", "deleted and made again"])
def test_a_tail_starts_over_on_another_log(tmp_path: Path, way: str) -> None:
    path = tmp_path / "events.jsonl"
    written(path, 3)
    tail = EventTail(path)
    assert len(tail.poll()) == 3
    other = tmp_path / "other.jsonl"
    with EventLog(other, clock=lambda: 77.0) as log:
        events = [log.append("log", text=f"other {number}") for number in range(8)]
    if way == "renamed over":
        other.replace(path)
    elif way == "written in place":
        path.write_bytes(other.read_bytes())
    else:
        raw = other.read_bytes()
        path.unlink()
        assert tail.poll() == []
        path.write_bytes(raw)
    assert tail.poll() == events
    assert tail.generation == 1


def test_a_tail_starts_over_on_a_log_that_only_begins_alike(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = written(path, 20)
    tail = EventTail(path)
    tail.poll()
    other = tmp_path / "other.jsonl"
    other.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().split(b"\n")[:10]))
    with EventLog(other) as log:
        others = [log.append("log", text=f"other {number}") for number in range(40)]
    other.replace(path)
    assert tail.poll() == [*events[:10], *others]
    assert tail.generation == 1


def test_a_tail_starts_over_when_the_log_was_cut_below_what_it_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = written(path, 3)
    tail = EventTail(path)
    tail.poll()
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")
    assert tail.poll() == events[:1]
    assert tail.generation == 1
