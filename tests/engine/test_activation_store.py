"""The store of hidden states by itself: what goes in comes out to the bit, and damage costs time and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.training.fast import activations
from tui_tuner.training.fast.activations import ActivationStore, _packed, _unpacked

pytestmark = pytest.mark.mlx
KINDS = ("float32", "float16", "bfloat16", "int8", "uint32")
MUCH = 1 << 20


def array(kind: str = "float32", shape: tuple[int, ...] = (2, 3, 4), seed: int = 0) -> Any:
    import mlx.core as mx

    made = mx.array(np.random.default_rng(seed).normal(size=shape).astype(np.float32) * 100)
    return made.astype(getattr(mx, kind))


def bits(value: Any) -> tuple[Any, ...]:
    import mlx.core as mx

    words = {1: mx.uint8, 2: mx.uint16, 4: mx.uint32}[value.dtype.size]
    return str(value.dtype), tuple(value.shape), np.array(value.view(words)).tobytes()


def on_disk(folder: Path, room: int = MUCH) -> ActivationStore:
    return ActivationStore(memory=0, folder=folder, disk=room)


def only_file(folder: Path) -> Path:
    (found,) = folder.glob("*.hidden")
    return found


# -- what comes back ---------------------------------------------------------------------------------------------------
@given(st.sampled_from(KINDS), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.booleans(), st.integers(0, 99))
@settings(max_examples=25)
def test_an_array_comes_back_as_it_was(kind: str, shape: list[int], memory: bool, seed: int) -> None:
    value = array(kind, tuple(shape), seed)
    head, body = _packed(value)
    assert bits(_unpacked(head + body)) == bits(value)
    if memory:
        store = ActivationStore(memory=MUCH)
        store.put("a", value)
        assert store.get("a") is value
        assert (store.memory_bytes, store.disk_bytes) == (value.nbytes, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_one_run_keeps_another_reads(kind: str, tmp_path: Path) -> None:
    value = array(kind)
    on_disk(tmp_path).put("a", value)
    later = on_disk(tmp_path)
    found = later.get("a")
    assert found is not None
    assert bits(found) == bits(value)
    assert (later.hits, later.misses) == (1, 0)
    assert later.disk_bytes == only_file(tmp_path).stat().st_size


def test_no_numbers_are_kept_as_they_are(tmp_path: Path) -> None:
    import mlx.core as mx

    value = mx.array([float("nan"), float("inf"), -0.0])
    on_disk(tmp_path).put("a", value)
    found = on_disk(tmp_path).get("a")
    assert found is not None
    assert bits(found) == bits(value)


def test_what_is_not_there_is_a_miss_and_what_is_there_is_not_kept_twice() -> None:
    store, first = ActivationStore(memory=MUCH), array(seed=1)
    assert store.get("a") is None
    store.put("a", first)
    store.put("a", array(seed=2))
    assert store.get("a") is first
    assert (store.hits, store.misses, store.memory_bytes) == (1, 1, first.nbytes)


# -- room --------------------------------------------------------------------------------------------------------------
def test_memory_is_filled_first_then_the_disk_then_nothing(tmp_path: Path) -> None:
    size = array().nbytes
    store = ActivationStore(memory=2 * size, folder=tmp_path, disk=size + 200)
    for name in "abcd":
        store.put(name, array())
    assert (store.memory_bytes, len(list(tmp_path.glob("*.hidden")))) == (2 * size, 1)
    assert [store.get(name) is not None for name in "abcd"] == [True, True, True, False]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(0, 400), st.integers(0, 900))
@settings(max_examples=20)
def test_no_budget_is_ever_passed(sizes: list[int], memory: int, disk: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        store = ActivationStore(memory=memory, folder=Path(place), disk=disk)
        for number, size in enumerate(sizes):
            store.put(str(number), array("uint32", (size,)))
            assert store.memory_bytes <= memory
            assert store.disk_bytes <= disk
            assert store.disk_bytes == sum(path.stat().st_size for path in Path(place).glob("*.hidden"))


def test_files_of_others_give_way_the_longest_unused_first(tmp_path: Path) -> None:
    other = on_disk(tmp_path)
    for age, name in enumerate("abc"):
        other.put(name, array())
        os.utime(tmp_path / f"{name}.hidden", (1000.0 + age, 1000.0 + age))
    size = only_size(tmp_path)
    store = on_disk(tmp_path, 3 * size)
    assert store.get("a") is not None  # the oldest, but it is in use now
    store.put("d", array())
    assert sorted(path.stem for path in tmp_path.glob("*.hidden")) == ["a", "c", "d"]
    store.put("e", array())
    store.put("f", array())  # its own are never thrown out for one another
    assert sorted(path.stem for path in tmp_path.glob("*.hidden")) == ["a", "d", "e"]


def only_size(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.glob("*.hidden"))


def test_without_room_on_the_disk_no_folder_is_made(tmp_path: Path) -> None:
    store = ActivationStore(memory=0, folder=tmp_path / "new", disk=0)
    store.put("a", array())
    assert store.get("a") is None
    assert not (tmp_path / "new").exists()


# -- damage ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("at", ["head", "body", "end", "all", "empty"])
def test_a_damaged_file_is_a_miss_and_goes(at: str, tmp_path: Path) -> None:
    on_disk(tmp_path).put("a", array())
    path = only_file(tmp_path)
    content = bytearray(path.read_bytes())
    if at == "head":
        content[1] ^= 0xFF
    elif at == "body":
        content[-5] ^= 1
    elif at == "end":
        content = content[:-3]
    path.write_bytes({"all": b"\x00" * 50, "empty": b""}.get(at, bytes(content)))
    store = on_disk(tmp_path)
    assert store.get("a") is None
    assert not path.exists()
    assert (store.misses, store.disk_bytes) == (1, 0)
    store.put("a", array())
    assert store.get("a") is not None


@pytest.mark.parametrize(
    "change",
    [{"dtype": "float99"}, {"dtype": "eval"}, {"dtype": "int32"}, {"shape": [4, 3, 2]}, {"shape": None}, {"crc32": 0}],
)
def test_a_head_that_says_something_else_is_damage(change: dict[str, Any], tmp_path: Path) -> None:
    on_disk(tmp_path).put("a", array())
    path = only_file(tmp_path)
    head, _, body = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps({**json.loads(head), **change}).encode() + b"\n" + body)
    store = on_disk(tmp_path)
    assert store.get("a") is None
    assert not path.exists()


def test_a_file_that_another_run_removed_is_a_miss(tmp_path: Path) -> None:
    on_disk(tmp_path).put("a", array())
    store = on_disk(tmp_path)
    only_file(tmp_path).unlink()
    assert store.get("a") is None
    assert store.disk_bytes == 0


def test_what_a_kill_left_goes_when_it_is_old_and_stays_while_it_may_be_written(tmp_path: Path) -> None:
    old, new = tmp_path / "tmp-old", tmp_path / "tmp-new"
    for path in (old, new):
        path.write_bytes(b"torn")
    long_ago = time.time() - activations._ABANDONED - 60
    os.utime(old, (long_ago, long_ago))
    on_disk(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_disk_that_fills_up_leaves_no_torn_file_and_what_is_there_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = on_disk(tmp_path)
    store.put("a", array())
    with monkeypatch.context() as patch:

        def full(self: Path, target: Any) -> Path:
            raise OSError(28, "No space left on device")

        patch.setattr(Path, "replace", full)
        store.put("b", array())
    assert [path.name for path in tmp_path.iterdir()] == ["a.hidden"]
    store.put("c", array())  # there is space again, but once is enough
    assert store.get("a") is not None
    assert store.get("b") is None
    assert store.get("c") is None


def test_a_place_that_is_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    store = on_disk(tmp_path / "taken")
    store.put("a", array())
    assert store.get("a") is None
    assert store.disk_bytes == 0
