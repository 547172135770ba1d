"""Checkpoints outlast whatever happens to them: a kill between any two writes, damage to any of their files."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.exactness import arrays, events, same, stop_after
from tests.support.twins import twins
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.control import JobControl
from tui_tuner.training import checkpoint
from tui_tuner.training.best import Best
from tui_tuner.training.checkpoint import CheckpointStore, Progress, Snapshot

pytestmark = pytest.mark.mlx


class Killed(BaseException):
    """A kill, as far as one can have it in one's own process."""


def snapshot(step: int, waited: int = 0) -> Snapshot:
    """A position with arrays that name its step; the same step may be saved again after `waited` validations."""
    import mlx.core as mx

    tree = {"layer.lora_a": mx.full((4, 3), float(step)), "layer.lora_b": mx.full((3,), -float(step))}
    return Snapshot(
        Progress(step=step, best=Best(waited=waited)),
        tree,
        {"step": mx.array(step)},
        {},
        mx.array([1, step], mx.uint32),
    )


def store_of(folder: Path, keep: int = 2, keep_best: int = 1) -> CheckpointStore:
    return CheckpointStore(folder / "state", folder / "adapters", keep, keep_best)


@contextmanager
def killed_at(write: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Lets so many changes of the folder happen; the next one, and all that follow, do not. Gives what was changed."""
    done: list[str] = []

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changing(self: Path, *arguments: Any, **options: Any) -> Any:
            if len(done) >= write:
                raise Killed
            if not self.name.startswith(".tmp-") or arguments:  # nothing is lost with a temporary file
                done.append(self.name)
            return change(self, *arguments, **options)

        return changing

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        try:
            yield done
        except Killed:
            pass


@pytest.mark.parametrize("again", [False, True], ids=["the next step", "the same step once more"])
@pytest.mark.parametrize("before", [[], [4], [4, 8], [4, 8, 12]], ids=str)
def test_a_kill_between_any_two_writes_costs_at_most_the_new_checkpoint(
    before: list[int], again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = before[-1] if before else None
    step = old if again and old is not None else (old or 0) + 4
    for write in range(100):
        folder = tmp_path / str(write)
        store = store_of(folder)
        for each in before:
            store.save(snapshot(each), value=1.0 / each, best=True)
        whole = False
        with killed_at(write, monkeypatch) as done:
            store.save(snapshot(step, waited=1), value=0.01, best=True)
            whole = True
        loaded = store_of(folder).load()
        assert loaded is None if old is None and not loaded else loaded is not None
        if loaded is not None:
            assert loaded[1] == []
            found = loaded[0].progress.step
            assert found in ({step} if whole else {old, step})
            assert float(np.array(loaded[0].weights["layer.lora_a"])[0, 0]) == found
        # Whatever a kill left behind, the next checkpoint is saved, found, and all that is left over is gone.
        later = store_of(folder)
        later.save(snapshot(step + 4))
        again_loaded = store_of(folder).load()
        assert again_loaded is not None and again_loaded[0].progress.step == step + 4
        named = {e["file"] for e in json.loads((folder / "state" / "index.json").read_text())}
        assert {p.name for p in (folder / "state").glob("[0-9]*")} == named
        if whole:
            assert write > 4, done
            return
    raise AssertionError("it never came to its end")


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def flip_in(group: str) -> Callable[[Path], None]:
    """Flips a bit of the last array of a group, or of the position in the file's header."""

    def damage(path: Path) -> None:
        raw = path.read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        if group == "progress":
            flip(path, raw.index(b'\\"step\\":') + 9)
            return
        header = json.loads(raw[8 : 8 + length])
        ends = [value["data_offsets"][1] for name, value in header.items() if name.startswith(f"{group}.")]
        flip(path, 8 + length + max(ends) - 3)

    return damage


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "a bit of the weights": flip_in("weights"),
    "a bit of the optimizer": flip_in("optimizer"),
    "a bit of the gradients": flip_in("gradients"),
    "a bit of the position": flip_in("progress"),
    "a bit of the header's length": lambda path: flip(path, 1),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}
ACCUMULATED = {"train": {"grad_accumulation": 3, "optimizer": "adamw"}, "evaluation": {"enabled": False}}


@pytest.fixture(scope="module")
def shelf() -> ModelShelf:
    return ModelShelf()


@pytest.mark.parametrize("what", twins(DAMAGE, ("a bit of the position", "cut in half", "gone")))
def test_of_a_damaged_checkpoint_the_one_before_is_used_and_it_is_said(
    what: str, new_run: Callable[..., RunFolder], shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = new_run(**ACCUMULATED), new_run(**ACCUMULATED)
    run_experiment(whole, JobControl(), shelf)
    stop_after(broken, "train", 8, monkeypatch, shelf)
    newest = sorted(broken.state.glob("*.safetensors"))[-1]
    assert newest.name == "0000008.safetensors"
    DAMAGE[what](newest)
    run_experiment(broken, JobControl(), shelf)
    same(whole, broken)
    assert events(broken, "run_started")[-1]["from_step"] == 5
    warnings = [e["text"] for e in events(broken, "log") if e["level"] == "warning"]
    state = "is missing" if what == "gone" else "is damaged"
    assert f"the checkpoint of step 8 {state}; the one before it is used" in warnings


def test_two_damaged_checkpoints_and_a_damaged_index(
    new_run: Callable[..., RunFolder], shelf: ModelShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = new_run(**ACCUMULATED), new_run(**ACCUMULATED)
    run_experiment(whole, JobControl(), shelf)
    stop_after(broken, "train", 8, monkeypatch, shelf)
    for newest in sorted(broken.state.glob("*.safetensors"))[-2:]:
        flip_in("weights")(newest)
    index = broken.state / "index.json"
    index.write_text(index.read_text()[:40])
    run_experiment(broken, JobControl(), shelf)
    same(whole, broken)
    warnings = [e["text"] for e in events(broken, "log") if e["level"] == "warning"]
    assert [text for text in warnings if "damaged" in text] == [
        "the index of the checkpoints is damaged; its copy is used",
        "the checkpoint of step 8 is damaged; the one before it is used",
        "the checkpoint of step 5 is damaged; the one before it is used",
    ]


def test_when_nothing_is_left_it_is_said_and_nothing_is_touched(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    for step in (4, 8):
        store.save(snapshot(step))
    for path in (tmp_path / "state").glob("0*"):
        flip_in("weights")(path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    with pytest.raises(TunerError) as caught:
        store_of(tmp_path).load()
    assert caught.value.code == "checkpoints-damaged"
    assert "step 8 is damaged" in caught.value.sentence() and "step 4 is damaged" in caught.value.sentence()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")} == before
    for name in ("index.json", "index.copy.json"):
        (tmp_path / "state" / name).write_text("[{]")
    with pytest.raises(TunerError) as caught:
        store_of(tmp_path)
    assert caught.value.code == "checkpoints-damaged"


@pytest.mark.parametrize("keep", ["best", "average", "last"])
def test_damaged_weights_are_written_again_from_the_state(keep: str, tmp_path: Path) -> None:
    def settled(folder: Path, hurt: Callable[[Path], Any] | None) -> dict[str, Any]:
        store = store_of(folder, keep=5, keep_best=2)
        for step, value in ((4, 0.5), (8, 0.3), (12, 0.4)):
            store.save(snapshot(step), value=value, best=step < 12)
        number = 12 if keep == "last" else 8
        if hurt is not None:
            hurt(folder / "adapters" / f"{number:07d}_adapters.safetensors")
        notes = store_of(folder, keep=5, keep_best=2).settle(keep, 2)
        assert len(notes) == (hurt is not None)
        assert all(f"step {number} " in note and "written again from its state" in note for note in notes)
        return {name: value.tolist() for name, value in arrays(folder / "adapters" / "adapters.safetensors").items()}

    expected = settled(tmp_path / "whole", None)
    for number, hurt in enumerate((DAMAGE["cut in half"], DAMAGE["gone"], lambda path: flip(path, -2))):
        assert settled(tmp_path / str(number), hurt) == expected


def test_when_state_and_weights_are_both_damaged_the_next_best_are_taken(tmp_path: Path) -> None:
    store = store_of(tmp_path, keep=5)
    for step, value in ((4, 0.5), (8, 0.3), (12, 0.4)):
        store.save(snapshot(step), value=value, best=step < 12)
    flip(tmp_path / "adapters" / "0000008_adapters.safetensors", -2)
    flip(tmp_path / "state" / "0000008.safetensors", -2)
    notes = store.settle("best", 3)
    assert notes == ["the file with the weights of step 8 is damaged; the next best take their place"]
    kept = arrays(tmp_path / "adapters" / "adapters.safetensors")
    assert kept["layer.lora_a"][0, 0] == 12


def test_an_index_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It has no digest of the weights in `adapters/` and no copy; one of a later version may have more fields."""
    store_of(tmp_path).save(snapshot(4), value=0.5, best=True)
    index = tmp_path / "state" / "index.json"
    entries = json.loads(index.read_text())
    for entry in entries:
        del entry["adapter_sha256"]
        entry["of a later version"] = 1
    index.write_text(json.dumps(entries))
    (tmp_path / "state" / "index.copy.json").unlink()
    store = store_of(tmp_path)
    loaded = store.load()
    assert loaded is not None and loaded[0].progress.step == 4
    assert store.settle("best", 3) == []


def test_a_step_saved_again_keeps_what_its_validation_said(tmp_path: Path) -> None:
    """As after a rollback, which saves the position again, with another learning rate."""
    store = store_of(tmp_path, keep=1)
    store.save(snapshot(4), value=0.5, best=True)
    store.save(snapshot(4))
    store.save(snapshot(8), value=0.7)
    store.save(snapshot(12), value=0.8)
    assert {p.name for p in (tmp_path / "adapters").glob("0*")} == {
        "0000004_adapters.safetensors",
        "0000012_adapters.safetensors",
    }
    assert checkpoint._INDEX in {p.name for p in (tmp_path / "state").iterdir()}
    store.settle("best", 3)
    assert arrays(tmp_path / "adapters" / "adapters.safetensors")["layer.lora_a"][0, 0] == 4
