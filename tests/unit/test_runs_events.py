"""The event log loses no complete line: not to a kill, not to a full disk, not to what an earlier crash left behind."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, EventTail, read_events
from tui_tuner.runs import events as events_module
from tui_tuner.runs.events import parse_line, read_log
from tui_tuner.runs.vocabulary import EVENT_FIELDS


def written(path: Path, count: int) -> list[dict[str, Any]]:
    with EventLog(path, clock=iter(range(1, count + 1)).__next__) as log:
        return [log.append("train", step=step, loss=1.0 / step) for step in range(1, count + 1)]


# -- writing ----------------------------------------------------------------------------------------------------------
def test_an_event_is_one_line_with_time_and_type_first(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, clock=lambda: 12.5) as log:
        event = log.append("log", level="info", text="two\nlines ≥ 1")
    assert event == {"t": 12.5, "type": "log", "level": "info", "text": "two\nlines ≥ 1"}
    assert path.read_text("utf-8") == '{"t":12.5,"type":"log","level":"info","text":"two\\nlines ≥ 1"}\n'
    assert read_events(path) == [event]


def test_the_time_is_the_logs_own(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl", clock=lambda: 3.0) as log:
        assert log.append("log", t=99.0)["t"] == 3.0


def test_numbers_that_are_not_finite_become_null_and_are_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.append("train", step=1, loss=math.nan, grad_norm=np.float32("inf"), tokens=np.int64(7))
        log.append("evaluation", label="after", metrics={"rouge1": {"value": 0.5, "low": -math.inf}}, n=3)
    assert b"NaN" not in path.read_bytes()
    assert b"Infinity" not in path.read_bytes()
    train, evaluation = read_events(path)
    assert train["loss"] is None
    assert train["grad_norm"] is None
    assert train["tokens"] == 7
    assert train["nonfinite"] == ["loss", "grad_norm"]
    assert evaluation["metrics"]["rouge1"] == {"value": 0.5, "low": None}
    assert evaluation["nonfinite"] == ["metrics.rouge1.low"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
field_names = st.text(min_size=1, max_size=8).filter(lambda name: name not in {"t", "type", "self", "nonfinite"})


@settings(max_examples=60, deadline=None)
@given(
    entries=st.lists(
        st.tuples(st.sampled_from(sorted(EVENT_FIELDS)), st.dictionaries(field_names, json_values, max_size=4)),
        max_size=6,
    )
)
def test_what_is_appended_is_read_back(tmp_path_factory: pytest.TempPathFactory, entries: list[Any]) -> None:
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    with EventLog(path) as log:
        appended = [log.append(kind, **fields) for kind, fields in entries]
    assert [{key: event[key] for key in fields} for event, (_, fields) in zip(appended, entries, strict=True)] == [
        fields for _, fields in entries
    ]
    assert read_events(path) == appended


def test_each_line_is_handed_over_in_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    write = os.write

    def note(descriptor: int, data: Any) -> int:
        writes.append(bytes(data))
        return write(descriptor, data)

    with EventLog(tmp_path / "events.jsonl") as log:
        monkeypatch.setattr(os, "write", note)
        log.append("sample", step=1, prompt="p" * 100_000, text="t")
        log.append("log", text="x")
    assert len(writes) == 2
    assert all(line.endswith(b"\n") and parse_line(line) for line in writes)


def test_threads_of_one_process_may_share_a_log(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        threads = [
            threading.Thread(target=lambda name=name: [log.append("log", text=f"{name} {i}") for i in range(100)])
            for name in "abcd"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    contents = read_log(path)
    assert contents.damaged == 0
    texts = [event["text"] for event in contents.events]
    for name in "abcd":
        assert [text for text in texts if text.startswith(name)] == [f"{name} {i}" for i in range(100)]


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.close()
    log.close()
    with pytest.raises(ValueError, match="closed"):
        log.append("log", text="late")


# -- flushing ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", sorted(EVENT_FIELDS))
def test_milestones_are_flushed_at_once_and_others_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    now = [100.0]
    flushed: list[int] = []
    monkeypatch.setattr(events_module.time, "monotonic", lambda: now[0])
    log = EventLog(tmp_path / "events.jsonl")
    monkeypatch.setattr(events_module, "sync_to_disk", lambda descriptor: flushed.append(descriptor))
    log.append(kind)
    measured = {"behaviour", "canaries", "evaluation", "validation", "verdict"}
    milestones = {"checkpoint", "run_started", "run_finished", *measured}
    assert len(flushed) == (kind in milestones)
    log.append("train", step=1)
    assert len(flushed) == (kind in milestones)
    now[0] += 1.0
    log.append("train", step=2)
    assert len(flushed) == (kind in milestones) + 1
    log.append("train", step=3)
    log.close()
    assert len(flushed) == (kind in milestones) + 2


# -- failing ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("part", [0, 1, 20])
@pytest.mark.parametrize(
    ("errno_", "code"),
    [
        (errno.ENOSPC, "no-space"),
        (errno.EDQUOT, "no-space"),
        (errno.EROFS, "not-writable"),
        (errno.EIO, "write-failed"),
    ],
)
def test_a_failed_write_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, errno_: int, code: str
) -> None:
    path = tmp_path / "events.jsonl"
    events = written(path, 2)
    before = path.read_bytes()
    write = os.write
    failed: list[bool] = []

    def fill_up(descriptor: int, data: Any) -> int:
        if part and not failed:
            failed.append(True)
            return write(descriptor, bytes(data)[:part])
        raise OSError(errno_, os.strerror(errno_))

    with EventLog(path) as log:
        monkeypatch.setattr(os, "write", fill_up)
        with pytest.raises(TunerError) as caught:
            log.append("checkpoint", step=2, path="adapters", best=True)
        assert caught.value.code == code
        assert str(path) in caught.value.sentence()
        assert path.read_bytes() == before
        monkeypatch.setattr(os, "write", write)
        events.append(log.append("log", text="there is space again"))
    assert read_events(path) == events


def test_a_partial_line_that_cannot_be_cut_at_once_is_cut_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    write, truncate = os.write, os.ftruncate
    calls: list[int] = []

    def half(descriptor: int, data: Any) -> int:
        calls.append(descriptor)
        if len(calls) == 1:
            return write(descriptor, bytes(data)[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with EventLog(path) as log:
        monkeypatch.setattr(os, "write", half)
        monkeypatch.setattr(os, "ftruncate", refuse)
        with pytest.raises(TunerError):
            log.append("log", text="lost")
        assert path.stat().st_size == 9
        monkeypatch.setattr(os, "write", write)
        monkeypatch.setattr(os, "ftruncate", truncate)
        kept = log.append("log", text="kept")
    assert read_log(path).events == [kept]
    assert read_log(path).damaged == 0


FULL_DISK = """
import json, resource, sys
from pathlib import Path
from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, read_events
path = Path(sys.argv[1])
log = EventLog(path)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
codes, good = [], 0
for step in range(100):
    try:
        log.append("sample", step=step, prompt="p" * 200, text="")
        good += 1
    except TunerError as error:
        codes.append(error.code)
size = path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.append("run_finished", status="failed", reason="disk full")
log.close()
print(json.dumps({"codes": sorted(set(codes)), "good": good, "size": size, "failed": len(codes)}))
"""


def test_a_file_that_may_not_grow_stays_valid(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    output = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    report = json.loads(output.stdout)
    assert report["codes"] == ["no-space"]
    assert report["good"] > 5
    assert report["failed"] == 100 - report["good"]
    assert report["size"] < 5000
    contents = read_log(path)
    assert contents.damaged == 0
    assert len(contents.events) == report["good"] + 1
    assert contents.events[-1]["type"] == "run_finished"


@pytest.mark.parametrize(
    ("errno_", "code"),
    [(errno.EACCES, "not-writable"), (errno.EROFS, "not-writable"), (errno.ENOSPC, "no-space")],
)
def test_a_log_that_may_not_be_opened_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errno_: int, code: str
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> int:
        raise OSError(errno_, os.strerror(errno_))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(TunerError) as caught:
        EventLog(tmp_path / "events.jsonl")
    assert caught.value.code == code
    assert "events.jsonl" in caught.value.sentence()


def test_a_log_in_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        EventLog(tmp_path / "none" / "events.jsonl")
    assert caught.value.code == "not-found"


# -- reading ----------------------------------------------------------------------------------------------------------
def test_no_log_is_an_empty_log(tmp_path: Path) -> None:
    assert read_events(tmp_path / "events.jsonl") == []


DAMAGED = [
    b"not json",
    b"[1, 2]",
    b'"text"',
    b'{"type": "train"}',
    b'{"t": "now", "type": "train"}',
    b'{"t": true, "type": "train"}',
    b'{"t": 1, "type": 3}',
    b'{"t": NaN, "type": "train"}',
    b'{"t": 1e999, "type": "train"}',
    b'{"t": 1' + b"0" * 400 + b', "type": "train"}',
    b'{"t": 1, "type": "train", "loss": Infinity}',
    b'{"t": 1, "type": "train", "n": ' + b"9" * 5_000 + b"}",
    b'{"t": 1, "type": "\xff"}',
    b"[" * 100_000,
    b"\x00\x00\x00",
]


@pytest.mark.parametrize("line", DAMAGED, ids=lambda line: line[:30].decode("latin-1"))
def test_a_damaged_line_within_is_skipped_and_counted(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "events.jsonl"
    good = b'{"t":1,"type":"log","text":"good"}\n'
    path.write_bytes(good + line + b"\n" + b"\r\n\n" + good)
    contents = read_log(path)
    assert len(contents.events) == 2
    assert contents.damaged == 1
    tail = EventTail(path)
    assert tail.poll() == contents.events
    assert tail.damaged == 1


def test_a_log_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").mkdir()
    for read in (lambda: read_events(tmp_path / "events.jsonl"), EventTail(tmp_path / "events.jsonl").poll):
        with pytest.raises(TunerError) as caught:
            read()
        assert caught.value.code == "not-readable"
