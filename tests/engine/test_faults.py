"""Whatever goes wrong inside a job of whatever kind: it ends as failed with a sentence, and the next one goes well."""

from __future__ import annotations

import dataclasses
import errno
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from tui_tuner.chat.voices import Voice
from tui_tuner.config import Experiment
from tui_tuner.engine import worker
from tui_tuner.engine.model_requests import AskDevice
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import Request
from tui_tuner.engine.work import Work
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.models.learned.methods import Learned

TOKEN = "hf_" + "s3cr3tS3CR3Ts3cr3t" * 2
FAILURES = [
    RuntimeError(f"[metal] went wrong\nTraceback: {TOKEN}"), MemoryError(), OSError(errno.ENOSPC, "No space left"),
    OSError(errno.EROFS, "Read-only file system"), RecursionError("maximum recursion depth exceeded"), KeyError("x"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), KeyboardInterrupt(), SystemExit(3),
    ExceptionGroup("several", [ValueError("a"), ValueError("b")]), StopIteration(), AssertionError(),
]  # fmt: skip


def _members(kind: Any) -> Iterator[type]:
    if isinstance(kind, types.UnionType) or get_origin(kind) is typing.Union:
        for each in get_args(kind):
            yield from _members(each)
    else:
        yield kind


NAMES: dict[str, Any] = {"Experiment": Experiment, "Voice": Voice, "Learned": Learned, "Work": Work}
"""What the modules of requests import for the type checker only."""
KINDS = list(dict.fromkeys(_members(Request)))


def _value(kind: Any, place: Path) -> Any:
    """A value of a type that stands for something that is not there."""
    origin = get_origin(kind)
    if isinstance(kind, types.UnionType) or origin is typing.Union:
        return None if type(None) in get_args(kind) else _value(get_args(kind)[0], place)
    if origin is typing.Literal:
        return get_args(kind)[0]
    if origin is not None:
        return {} if origin is dict else () if origin is tuple else []
    if kind is Path:
        return place / "nothing here"
    if kind in (str, int, float, bool):
        return {str: str(place / "nothing here"), int: 1, float: 1.0, bool: False}[kind]
    if dataclasses.is_dataclass(kind):
        return _made(kind, place)
    if kind.__name__ == "Experiment":
        return kind.model_validate({"model": {"path": str(place / "none")}, "data": {"source": str(place / "none")}})
    return kind()


def _made(kind: Any, place: Path) -> Any:
    hints = get_type_hints(kind, vars(sys.modules[kind.__module__]) | NAMES)
    needed = [
        field
        for field in dataclasses.fields(kind)
        if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    return kind(**{field.name: _value(hints[field.name], place) for field in needed})


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    made = LocalEngine()
    made.start()
    yield made
    assert made.shutdown(60)


def done(engine: LocalEngine, request: Any) -> JobHandle:
    handle = engine.submit(request)
    assert handle.finished.wait(60), f"{type(request).__name__} never ended"
    return handle


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_exception_in_every_kind_of_job(
    kind: type, engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    wrong: list[BaseException] = []

    def fail(_performer: object, _handle: JobHandle) -> Any:
        raise wrong[0]

    perform = worker._Performer._perform
    for failure in FAILURES:
        wrong[:] = [failure]
        monkeypatch.setattr(worker._Performer, "_perform", fail)
        handle = done(engine, _made(kind, tmp_path))
        assert handle.status is JobStatus.FAILED and handle.error is not None and handle.result is None
        sentence = handle.error.sentence()
        assert type(failure).__name__ in sentence and "\n" not in sentence and TOKEN not in sentence
        assert handle.ended is not None and engine.active(handle.request.lane) is None
        sink = getattr(handle.request, "sink", None)
        assert sink is None or sink.done
    monkeypatch.setattr(worker._Performer, "_perform", perform)
    assert done(engine, AskDevice()).status is JobStatus.DONE


@pytest.mark.mlx
def test_every_kind_of_job_on_what_is_not_there(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends with one sentence that names what to do, or with nothing to tell; none is an unexpected error."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TUI_TUNER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    for kind in KINDS:
        handle = done(engine, _made(kind, tmp_path))
        assert handle.status in (JobStatus.FAILED, JobStatus.DONE), kind.__name__
        if handle.error is not None:
            assert handle.error.code != "internal", f"{kind.__name__}: {handle.error.sentence()}"
            assert handle.error.sentence().endswith((".", "!", "?"))
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("config", "cache", "runs")] == []
