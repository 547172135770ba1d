"""What ranks other than the first do beside training: connect, wait, read what rank 0 wrote, compare, and end."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.ranks import on_ranks
from tui_tuner.engine import run_store
from tui_tuner.engine.patience import Patience
from tui_tuner.engine.ranks import launcher, member, wire
from tui_tuner.engine.ranks.alike import check_alike, check_same, ranks_text
from tui_tuner.engine.ranks.member import _training_begins, connect
from tui_tuner.engine.requests import ONE, RankPlace
from tui_tuner.engine.run_store import RunStore
from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, EventTail, RunFolder
from tui_tuner.runs.control import JobControl
from tui_tuner.training.checkpoint import CheckpointStore, Progress, Snapshot
from tui_tuner.training.distributed import Group
from tui_tuner.training.ranks import ALONE

pytestmark = pytest.mark.mlx


# -- connecting --------------------------------------------------------------------------------------------------------
def test_one_process_connects_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    monkeypatch.setattr(mx.distributed, "init", lambda **options: pytest.fail("asked for a group"))
    assert connect(ONE) is ALONE


def test_the_group_that_mlx_gives_is_the_one_that_was_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    asked: list[dict[str, Any]] = []
    given = SimpleNamespace(size=lambda: 2, rank=lambda: 1)

    def init(**options: Any) -> Any:
        asked.append(options)
        return given

    monkeypatch.setattr(mx.distributed, "init", init)
    group = connect(RankPlace(1, 2, "jaccl"))
    assert isinstance(group, Group)
    assert (group.rank, group.size) == (1, 2)
    assert asked == [{"strict": True, "backend": "jaccl"}]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda: 1, "(there are 1 of 2)"),
        (RuntimeError("[ring] Couldn't bind socket\nmore"), "([ring] Couldn't bind socket)"),
        (ValueError("no such backend"), "(no such backend)"),
    ],
)
def test_ranks_that_do_not_find_each_other_say_why(answer: Any, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    def init(**options: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(size=answer, rank=lambda: 0)

    monkeypatch.setattr(mx.distributed, "init", init)
    with pytest.raises(TunerError) as caught:
        connect(RankPlace(0, 2, "ring"))
    assert caught.value.code == "ranks-not-connected"
    assert caught.value.message == f"the ranks could not be connected {says}"
    assert "hosts file" in caught.value.fix


# -- waiting for the training ------------------------------------------------------------------------------------------
def told(tmp_path: Path, events: list[dict[str, Any]]) -> EventTail:
    with EventLog(tmp_path / "events.jsonl") as log:
        for event in events:
            log.append(**event)
    return EventTail(tmp_path / "events.jsonl")


def stage(name: str, status: str = "running") -> dict[str, Any]:
    return {"type": "stage", "name": name, "status": status, "seconds": 0.0, "text": ""}


@pytest.mark.parametrize(
    ("events", "trains"),
    [
        ([stage("check"), stage("data"), stage("train")], True),
        ([stage("train"), stage("evaluate")], False),  # it was done before: rank 0 is beyond it
        ([stage("verdict")], False),
        ([stage("train", "done"), {"type": "run_finished", "status": "finished", "reason": ""}], False),
        ([{"type": "run_finished", "status": "failed", "reason": "no rows"}], False),
        # What an earlier session said counts for nothing once another has begun.
        ([{"type": "run_finished", "status": "stopped"}, {"type": "run_started"}, stage("train")], True),
    ],
)
def test_a_rank_joins_when_rank_0_comes_to_the_training(
    events: list[dict[str, Any]], trains: bool, tmp_path: Path
) -> None:
    assert _training_begins(told(tmp_path, events), JobControl()) is trains


def test_while_nothing_is_said_a_rank_waits_and_a_stop_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "_LOOK", 0.01)
    tail, control = told(tmp_path, [stage("baseline")]), JobControl()
    looks: list[int] = []
    poll = tail.poll

    def counted() -> Any:
        looks.append(1)
        if len(looks) == 3:
            control.stop("launcher")
        return poll()

    tail.poll = counted  # type: ignore[method-assign]
    assert _training_begins(tail, control) is False
    assert len(looks) == 3


# -- the same model and rows -------------------------------------------------------------------------------------------
def folder_with(place: Path, rows: str) -> tuple[RunFolder, Path]:
    model, run = place / "model", RunFolder.create(place / "runs", "a")
    model.mkdir()
    (model / "config.json").write_text("{}")
    run.data.mkdir(exist_ok=True)
    (run.data / "train.jsonl").write_text(rows)
    return run, model


def test_ranks_with_the_same_files_go_on(tmp_path: Path) -> None:
    places = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        places.append(folder_with(tmp_path / name, '{"text": "a"}\n'))
    assert on_ranks(2, lambda group: check_alike(group, *places[group.rank])) == [None, None]


def test_the_rank_with_other_rows_says_what_differs_and_rank_0_goes_on(tmp_path: Path) -> None:
    places = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        places.append(folder_with(tmp_path / name, f'{{"text": "{name}"}}\n'))

    def act(group: Any) -> Any:
        try:
            return check_alike(group, *places[group.rank])
        except TunerError as error:
            return error

    first, second = on_ranks(2, act)
    assert first is None
    assert (second.code, second.where) == ("rank-differs", str(places[1][0].data))
    assert second.message == "the data of rank 1 is not that of rank 0"
    assert second.fix == "give all machines the same data, then resume the run"


def test_a_figure_alone_is_compared_and_alone_nothing_differs() -> None:
    check_same(ALONE, "start", "anything", Path("a"))
    assert [ranks_text(count) for count in (1, 2, 16)] == ["one rank", "2 ranks", "16 ranks"]


# -- checkpoints -------------------------------------------------------------------------------------------------------
def snapshot(step: int) -> Snapshot:
    import mlx.core as mx

    return Snapshot(Progress(step=step), {"w": mx.array([float(step)])}, {}, {}, mx.array([[1, 2], [3, 4]], mx.uint32))


def store_of(path: Path) -> CheckpointStore:
    return CheckpointStore(path / "state", path / "adapters", keep=2)


def test_only_rank_0_writes_and_the_others_read_the_same_checkpoint(tmp_path: Path) -> None:
    def act(group: Any) -> Any:
        own = store_of(tmp_path) if group.rank == 0 else None
        shared = RunStore(own, lambda: store_of(tmp_path), Patience(JobControl(), lambda s: None), group)
        assert shared.load() is None
        name = shared.save(snapshot(7), value=0.5, best=True).name
        group.lead(lambda: None)  # what rank 0 saved is there
        loaded = shared.load()
        assert loaded is not None
        notes = shared.settle("best", 1)
        return name, loaded[0].progress.step, loaded[0].weights["w"].tolist(), loaded[0].key_of(group.rank), notes

    first, second = on_ranks(2, act)
    assert first == ("0000007_adapters.safetensors", 7, [7.0], [1, 2], [])
    assert second == ("0000007_adapters.safetensors", 7, [7.0], [3, 4], [])
    assert len(list((tmp_path / "adapters").glob("0*_adapters.safetensors"))) == 1


def test_a_file_system_that_shows_a_checkpoint_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_of(tmp_path).save(snapshot(3))
    empty, opened = tmp_path / "not yet", list[int]()
    monkeypatch.setattr(run_store, "_LOOK", 0.0)

    def opening() -> CheckpointStore:
        opened.append(1)
        if len(opened) == 2:
            raise TunerError("the index is damaged", code="checkpoints-damaged")  # half of it is there
        return store_of(empty if len(opened) == 1 else tmp_path)

    rank = SimpleNamespace(rank=1, size=2, lead=lambda act: 3)
    shared = RunStore(None, opening, Patience(JobControl(), lambda s: None), rank)  # type: ignore[arg-type]
    found = shared.follow(None)
    assert found is not None
    assert found.progress.step == 3
    assert len(opened) == 3


def test_a_machine_that_never_sees_the_checkpoint_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of(tmp_path).save(snapshot(3))
    monkeypatch.setattr(run_store, "_LOOK", 0.0)
    monkeypatch.setattr(run_store, "_VISIBLE_WITHIN", 0.0)
    rank = SimpleNamespace(rank=1, size=2, lead=lambda act: 8)
    shared = RunStore(None, lambda: store_of(tmp_path), Patience(JobControl(), lambda s: None), rank)  # type: ignore[arg-type]
    with pytest.raises(TunerError, match="rank 1 does not see the checkpoint of step 8") as caught:
        shared.load()
    assert "all machines see the same files" in caught.value.fix


# -- messages ----------------------------------------------------------------------------------------------------------
class Deaf(io.StringIO):
    """A pipe whose other end is closed."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise ValueError("I/O operation on closed file")


def test_a_rank_whose_launcher_does_not_listen_goes_on(tmp_path: Path) -> None:
    tried: list[str] = []

    class Counting(Deaf):
        def write(self, text: str) -> int:
            tried.append(text)
            return super().write(text)

    post = wire.Post(2, Counting())
    post.failed(TunerError("no model"))
    post.ended("failed")
    assert len(tried) >= 2, "the second was tried although the first could not be said"


def test_a_rank_beats_until_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "BEAT", 0.001)
    out = io.StringIO()
    post = wire.Post(1, out)
    beating = threading.Thread(target=post._beat)
    beating.start()
    while out.getvalue().count("alive") < 3:
        pass
    post.ended("finished")
    beating.join(30)
    assert not beating.is_alive()
    messages = [wire.heard(line) for line in out.getvalue().splitlines()]
    assert {message["say"] for message in messages if message} == {"alive", "ended"}
    assert messages[-1] is not None
    assert (messages[-1]["rank"], messages[-1]["status"]) == (1, "finished")


def test_who_asks_after_the_launcher_went_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    post = wire.Post(1, io.StringIO(), stdin=reading)
    os.close(writing)
    post._ended.set()
    post._listen()
    os.close(reading)
    assert not post.wait_for_all()
    lost: list[int] = []
    post.when_lost(lambda: lost.append(1))
    assert lost == [1]


def test_a_descriptor_that_cannot_be_read_counts_as_a_launcher_that_went() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    post = wire.Post(1, io.StringIO(), stdin=reading)
    post._ended.set()
    post._listen()
    assert not post.wait_for_all()


def test_a_rank_that_hangs_after_its_launcher_went_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    ended: list[int] = []
    monkeypatch.setattr(wire, "_PATIENCE", 0.0)
    monkeypatch.setattr(wire.os, "_exit", ended.append)
    wire.Post(1, io.StringIO(), stdin=reading)._listen()
    os.close(reading)
    assert ended == [1]


def test_words_among_noise_are_found_however_they_are_cut() -> None:
    line = json.dumps({"tui-tuner-rank": 3, "say": "alive", "text": "ü → 日本"})
    assert wire.heard(f"\x1b[0m[rank 3] {line}") == {"tui-tuner-rank": 3, "say": "alive", "text": "ü → 日本", "rank": 3}
    assert wire.heard('{"tui-tuner-rank"' + "[" * 100_000) is None
    assert wire.digest_of(Path("/nowhere/config.toml")) == ""


# -- the launcher ------------------------------------------------------------------------------------------------------
def test_the_launcher_is_mlx_s_own_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlx._distributed_utils import launch

    seen: list[list[str]] = []
    watched: list[int] = []
    monkeypatch.setattr(launch, "main", lambda: seen.append(list(launcher.sys.argv)))
    monkeypatch.setattr(launcher, "_watch", watched.append)
    monkeypatch.setattr(launcher.sys, "argv", ["here", "--backend", "ring", "--", "program"])
    launcher.main()
    assert seen == [["mlx.launch", "--backend", "ring", "--", "program"]]


def test_the_launcher_ends_when_who_started_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = iter([77, 77, 1])
    ended: list[int] = []
    slept: list[float] = []
    monkeypatch.setattr(launcher.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(launcher.os, "_exit", ended.append)
    monkeypatch.setattr(launcher.time, "sleep", slept.append)
    launcher._watch(77)
    assert (len(slept), ended) == (2, [1])


# -- a rank that is gone -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "code"), [("[ring] Receiving from rank 0 failed", "rank-lost"), ("[metal::malloc] too much", "")]
)
def test_a_collective_that_fails_says_whether_another_rank_is_gone(
    text: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlx.core as mx

    def fails(*arrays: Any) -> None:
        raise RuntimeError(text)

    group = Group(SimpleNamespace(rank=lambda: 1, size=lambda: 2))
    monkeypatch.setattr(group, "_all_sum", lambda array: array)
    monkeypatch.setattr(mx, "eval", fails)
    with pytest.raises((TunerError, RuntimeError)) as caught:
        group.total({"a": mx.array([1.0])})
    assert getattr(caught.value, "code", "") == code
    if code:
        assert "resume the run with the same ranks" in caught.value.fix  # type: ignore[union-attr]
    else:
        assert caught.value.args == (text,)


def test_what_mlx_is_asked_for_goes_over_the_group_that_it_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    asked: list[Any] = []

    def collective(array: Any, *, group: Any) -> Any:
        asked.append(group)
        return array

    for name in ("all_sum", "all_gather"):
        monkeypatch.setattr(mx.distributed, name, collective)
    own = SimpleNamespace(rank=lambda: 0, size=lambda: 2)
    group = Group(own)
    assert group.total({"a": mx.array([1.5, 2.0])})["a"].tolist() == [1.5, 2.0]
    assert group.gather({"k": mx.array([3.0])})["k"].tolist() == [[3.0]]
    assert asked == [own, own]
