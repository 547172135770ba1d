"""What a crash left in the event log is set right at the next opening, and no complete line is ever lost."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, read_events
from tui_tuner.runs.events import read_log


def written(path: Path, count: int) -> list[dict[str, Any]]:
    with EventLog(path, clock=iter(range(1, count + 1)).__next__) as log:
        return [log.append("train", step=step, loss=1.0 / step) for step in range(1, count + 1)]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_log_cut_anywhere_keeps_its_complete_lines(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    events = written(path, 5)
    raw = path.read_bytes()
    cut = data.draw(st.integers(0, len(raw)))
    path.write_bytes(raw[:cut])
    complete = raw[:cut].count(b"\n")
    assert read_events(path) == events[:complete]
    torn = raw[:cut][raw[:cut].rfind(b"\n") + 1 :]
    with EventLog(path) as log:
        added = log.append("log", text="again")
    aside = path.with_name("events.torn")
    if torn and torn + b"\n" == raw.splitlines(keepends=True)[complete]:
        assert read_events(path) == [*events[: complete + 1], added]
        assert not aside.exists()
    else:
        assert read_events(path) == [*events[:complete], added]
        assert (aside.read_bytes() if aside.exists() else b"") == (torn + b"\n" if torn else b"")
    assert path.read_bytes().endswith(b"\n")


def test_torn_bytes_of_several_crashes_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for torn in (b'{"t": 1, "ty', b"\x00\x00\x00"):
        with path.open("ab") as file:
            file.write(torn)
        EventLog(path).close()
    assert path.read_bytes() == b""
    assert (tmp_path / "events.torn").read_bytes() == b'{"t": 1, "ty\n\x00\x00\x00\n'


def test_a_long_torn_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = written(path, 3)
    with path.open("ab") as file:
        file.write(b'{"t":4,"type":"log","text":"' + b"x" * 300_000)
    EventLog(path).close()
    assert read_events(path) == events
    assert path.read_bytes().endswith(b"}\n")
    assert (tmp_path / "events.torn").stat().st_size > 300_000


def test_a_torn_line_that_cannot_be_set_aside_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"t":1,')

    def full(descriptor: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(TunerError) as caught:
        EventLog(path)
    assert caught.value.code == "no-space"
    assert path.read_bytes() == b'{"t":1,'


WRITER = """
import sys
from pathlib import Path
from tui_tuner.runs import EventLog
log = EventLog(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    log.append("sample", step=number, prompt="p" * (number % 7) * 20_000, text="t")
    number += 1
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_killed_writers_lose_no_line_that_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    expected = 0
    for killed_after in (1, 7, 40, 23, 90, 11):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(expected)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged = expected
        for _ in range(killed_after):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout.read().split("\n")[:-1])])
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        contents = read_log(path)
        assert contents.damaged == 0
        assert [event["step"] for event in contents.events] == list(range(len(contents.events)))
        assert len(contents.events) >= acknowledged
        EventLog(path).close()
        contents = read_log(path)
        assert not contents.torn
        expected = len(contents.events)
