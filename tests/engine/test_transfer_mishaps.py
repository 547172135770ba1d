"""Files on their way from a hub on this machine: servers that send otherwise, other processes, and stops in between."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fakemodels import ModelHub, at, digest, model_hub
from tui_tuner.errors import TunerError
from tui_tuner.models.hub import Watch, fetch, plan_download, transfer
from tui_tuner.models.hub.watch import Plan, RemoteFile
from tui_tuner.runs.control import StopRequested

NAME, WEIGHTS = "acme/small", "model.safetensors"
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    with model_hub({NAME: {"config.json": b"{}", WEIGHTS: CONTENT, "model-empty.safetensors": b""}}) as hub:
        at(hub, tmp_path / "hub", monkeypatch)
        monkeypatch.setattr(transfer, "_first_wait", 0.001)
        yield hub


def weights(plan: Plan) -> RemoteFile:
    return next(file for file in plan.files if file.path == WEIGHTS)


def begun(content: bytes) -> tuple[Plan, Path]:
    """A plan, and the part that an earlier attempt has left of the weights."""
    plan = plan_download(NAME)
    part = transfer.part_of(NAME, weights(plan))
    part.parent.mkdir(parents=True)
    part.write_bytes(content)
    return plan_download(NAME), part


def whole(plan: Plan) -> bytes:
    return transfer.part_of(NAME, weights(plan)).with_name(weights(plan).hash).read_bytes()


@pytest.mark.parametrize("path", [WEIGHTS, "config.json"])
def test_a_server_that_has_no_parts_sends_the_file_anew(path: str, hub: ModelHub) -> None:
    """Of a large file and of a small one, whose hashes are made in different ways."""
    hub.undivided.add(path)
    content = hub.files[NAME][path]
    plan = plan_download(NAME)
    file = next(file for file in plan.files if file.path == path)
    part = transfer.part_of(NAME, file)
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:1])
    told: list[tuple[int, int]] = []
    transfer.transfer(plan_download(NAME), Watch(tell=lambda *counts: told.append(counts)))
    assert hub.ranges(path) == ["bytes=1-"], "what came is taken, though it is more than was asked for"
    assert part.with_name(file.hash).read_bytes() == content and not part.exists()
    assert told[-1] == (plan.bytes, plan.bytes), "no byte is counted twice"


def test_a_part_that_is_whole_is_not_asked_for_again(hub: ModelHub) -> None:
    plan, part = begun(CONTENT)
    assert plan.to_come == 2
    transfer.transfer(plan, Watch())
    assert hub.ranges(WEIGHTS) == [] and whole(plan) == CONTENT and not part.exists()


def test_a_part_that_is_too_long_is_thrown_away(hub: ModelHub) -> None:
    plan, _ = begun(CONTENT + b"more")
    transfer.transfer(plan, Watch())
    assert hub.ranges(WEIGHTS) == [""] and whole(plan) == CONTENT


def test_an_empty_file_is_a_file(hub: ModelHub) -> None:
    assert (fetch(NAME) / "model-empty.safetensors").read_bytes() == b""


def test_what_another_process_has_brought_meanwhile_is_taken(hub: ModelHub) -> None:
    plan, part = begun(b"half")
    with part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waited: list[int] = []

        def check() -> None:
            waited.append(1)
            if len(waited) == 2:
                part.with_name(weights(plan).hash).write_bytes(CONTENT)
                fcntl.flock(other, fcntl.LOCK_UN)

        transfer.transfer(plan, Watch(check=check))
    assert hub.ranges(WEIGHTS) == [] and whole(plan) == CONTENT and not part.exists()


@pytest.mark.parametrize("held", [True, False])
def test_a_stop_is_heard_while_another_process_is_waited_for(held: bool, hub: ModelHub) -> None:
    plan, part = begun(b"half")
    before = threading.active_count()

    def check() -> None:
        raise StopRequested("test")

    with part.open("rb") as other:
        if held:
            fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StopRequested):
            transfer.transfer(plan, Watch(check=check))
        for thread in threading.enumerate():
            if thread.daemon and "work" in thread.name:
                thread.join(10)
    assert threading.active_count() <= before + 1
    assert part.exists() or whole(plan) == CONTENT, "what had come stays"


@pytest.mark.parametrize(("status", "code"), [(503, "hub-failed"), (429, "hub-busy")])
def test_a_hub_in_trouble_is_asked_again_and_then_told(status: int, code: str, hub: ModelHub) -> None:
    hub.statuses[f"resolve/{hub.commit(NAME)}/{WEIGHTS}"] = [status, status]
    assert (fetch(NAME) / WEIGHTS).read_bytes() == CONTENT and len(hub.ranges(WEIGHTS)) == 3
    hub.files[NAME][WEIGHTS] = CONTENT[::-1]
    hub.statuses[f"resolve/{hub.commit(NAME)}/{WEIGHTS}"] = [status] * 9
    with pytest.raises(TunerError) as caught:
        fetch(NAME, newest=True)
    assert caught.value.code == code


def test_a_refusal_is_not_asked_again(hub: ModelHub) -> None:
    hub.statuses[f"resolve/{hub.commit(NAME)}/{WEIGHTS}"] = [403] * 9
    with pytest.raises(TunerError) as caught:
        fetch(NAME)
    assert caught.value.code == "hub-forbidden" and len(hub.ranges(WEIGHTS)) == 1


def test_hashes_are_those_of_git(hub: ModelHub) -> None:
    """`git hash-object` of a file with the two letters {} gives this one."""
    plan = plan_download(NAME)
    (config,) = [file for file in plan.files if file.path == "config.json"]
    assert (
        config.hash == digest("config.json", b"{}") == "9e26dfeeb6e641a33dae4961196235bdb965b21b" and not config.large
    )
