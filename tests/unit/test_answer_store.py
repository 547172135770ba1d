"""Answers that are kept are what was said, of that model and no other; a torn file and a full cache harm nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.evaluation.answers import AnswerStore, store_key


def model(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def adapter(folder: Path, weights: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapters.safetensors").write_bytes(weights)
    (folder / "0000010_adapters.safetensors").write_bytes(b"ten")
    return folder


def test_what_was_put_is_there_again(tmp_path: Path) -> None:
    with AnswerStore("a", tmp_path) as store:
        assert store.get([1, 2]) is None
        store.put([1, 2], [3, 4], "stop")
        store.put([1, 2, 3], [], "length")
        store.put_loss([1, 2], 1.25, 3)
        assert store.get([1, 2]) == ([3, 4], "stop")
    with AnswerStore("a", tmp_path) as store:
        assert store.get([1, 2]) == ([3, 4], "stop")
        assert store.get([1, 2, 3]) == ([], "length")
        assert store.get([2, 1]) is None
        assert store.loss([1, 2]) == (1.25, 3)
        assert store.loss([1]) is None
    with AnswerStore("b", tmp_path) as store:
        assert store.get([1, 2]) is None


def test_a_torn_line_costs_itself_only(tmp_path: Path) -> None:
    with AnswerStore("a", tmp_path) as store:
        store.put([1], [5], "stop")
    path = tmp_path / "a.jsonl"
    with path.open("ab") as handle:
        handle.write(b'{"p": "x", "t": [1\n[]\n{"p": 3}\n{"p": "y", "t": ["a"], "f": "stop"}\n{"p": "z", "t"')
    with AnswerStore("a", tmp_path) as store:
        assert store.get([1]) == ([5], "stop")
        store.put([2], [6], "length")
    with AnswerStore("a", tmp_path) as store:
        assert store.get([2]) == ([6], "length")


def test_no_key_and_no_right_to_write_keep_nothing(tmp_path: Path) -> None:
    with AnswerStore(None, tmp_path) as store:
        store.put([1], [2], "stop")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with AnswerStore("a", tmp_path / "file") as store:
        store.put([1], [2], "stop")
        store.put([2], [3], "stop")
        assert store.get([2]) == ([3], "stop")


def test_the_longest_unused_stores_go_first(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        with AnswerStore(name, tmp_path, limit=2000) as store:
            for prompt in range(40):
                store.put([prompt], [1], "stop")
        os.utime(tmp_path / f"{name}.jsonl", (number, number))
        assert (tmp_path / f"{name}.jsonl").stat().st_size <= 500
    with AnswerStore("a", tmp_path, limit=1000) as store:  # used again, and so the youngest
        store.put([99], [1], "stop")
        store.put_loss([99], 1.0, 1)
    with AnswerStore("d", tmp_path, limit=1000) as store:
        store.put([1], [1], "stop")
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "d"}


def test_a_key_is_of_the_content(tmp_path: Path) -> None:
    one, same = model(tmp_path / "one"), model(tmp_path / "same")
    other = model(tmp_path / "other", b"Weights")
    settings = {"max_tokens": 8}
    key = store_key(one, None, settings)
    assert key == store_key(same, None, settings)
    assert len({key, store_key(other, None, settings), store_key(one, None, {"max_tokens": 9})}) == 3
    put, again, else_ = (adapter(tmp_path / name, w) for name, w in (("x", b"1"), ("y", b"1"), ("z", b"2")))
    assert store_key(one, put, settings) == store_key(one, again, settings)
    assert len({key, store_key(one, put, settings), store_key(one, else_, settings)}) == 3
    ten = put / "0000010_adapters.safetensors"
    assert store_key(one, ten, settings) not in (None, store_key(one, put, settings))
    assert store_key(tmp_path / "missing", None, settings) is None


@pytest.mark.parametrize(
    "line",
    [
        '{"p": "P", "l": "x", "n": 1}', '{"p": "P", "l": 1}', '{"p": "P", "l": NaN, "n": 1}',
        '{"p": "P", "l": 1e999, "n": 1}',
        '{"p": "P", "l": 1, "n": Infinity}', '"l"', "l", "[" * 99_999,
    ],
    ids=["text", "half", "nan", "infinite", "endless", "string", "word", "deep"],
)  # fmt: skip
def test_a_damaged_loss_does_not_count_and_harms_no_other(line: str, tmp_path: Path) -> None:
    with AnswerStore("a", tmp_path) as store:
        store.put([2], [1], "stop")
        store.put_loss([1], 3.5, 2)
    marks = [json.loads(one)["p"] for one in (tmp_path / "a.jsonl").read_text().splitlines()]
    (tmp_path / "b.jsonl").write_text(
        f"{line.replace('P', marks[1])}\n" + json.dumps({"p": marks[0], "t": [1], "f": "stop"}) + "\n"
    )
    with AnswerStore("b", tmp_path) as store:
        assert store.loss([1]) is None and store.get([2]) == ([1], "stop")
        store.put_loss([1], 3.5, 2)
    with AnswerStore("b", tmp_path) as store:
        assert store.loss([1]) == (3.5, 2)


PROMPTS = st.lists(st.integers(0, 3), min_size=1, max_size=3)


@given(st.lists(st.tuples(PROMPTS, st.lists(st.integers(0, 9), max_size=3), st.integers(0, 12)), max_size=12))
@settings(max_examples=40)
def test_whatever_is_kept_before_a_kill_is_what_was_said_first(said: list[tuple[list[int], list[int], int]]) -> None:
    """Each answer in a session of its own, and after each the file is cut in its last line."""
    import tempfile

    known: dict[tuple[int, ...], list[int]] = {}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.jsonl"
        for prompt, answer, cut in said:
            with AnswerStore("a", Path(place)) as store:
                kept = store.get(prompt)
                assert kept == ((known[tuple(prompt)], "stop") if tuple(prompt) in known else None)
                store.put(prompt, answer, "stop")
            if kept is None:
                known[tuple(prompt)] = answer
                if cut and kept is None:
                    with path.open("r+b") as handle:
                        handle.truncate(path.stat().st_size - 1 - cut)
                    del known[tuple(prompt)]
        with AnswerStore("a", Path(place)) as store:
            assert all(store.get(prompt) == (answer, "stop") for prompt, answer in known.items())
