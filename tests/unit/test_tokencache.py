"""Cached tokens are the tokens; anything that would change them is another entry; damage is no entry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.data import tokencache
from tui_tuner.data.examples import tokenise_all
from tui_tuner.data.tokencache import cache_key, tokenise_cached
from tui_tuner.errors import TunerError

ROWS = [{"prompt": f"what is {n}?", "completion": f"it is {n * n}, naturally – {'ä' * n}"} for n in range(9)]


class Tokenizer:
    """One token a character, and a count of the rows it was asked for."""

    eos_token_id = 3

    def __init__(self, template: str = "plain") -> None:
        self.chat_template, self.asked = template, 0

    def apply_chat_template(self, messages: list[dict[str, Any]], **options: Any) -> list[int]:
        self.asked += 1
        text = "".join(f"<{m['role']}>{m['content']}" for m in messages)
        return [ord(c) for c in text + ("<assistant>" if options.get("add_generation_prompt") else "")]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    return folder


def tokens(model: Path, tokenizer: Tokenizer, cache: Path, **changes: Any) -> Any:
    options: dict[str, Any] = {"rows": ROWS, "mask_prompt": True, "max_length": 200, "where": "train", **changes}
    return tokenise_cached(options.pop("rows"), tokenizer, tokenizer_folder=model, folder=cache, **options)


def test_the_second_time_nothing_is_tokenised(model: Path, tmp_path: Path) -> None:
    first, second = Tokenizer(), Tokenizer()
    expected = tokenise_all(ROWS, Tokenizer(), mask_prompt=True, max_length=200, where="train")
    assert tokens(model, first, tmp_path / "cache") == expected
    assert first.asked == 2 * len(ROWS)
    again = tokens(model, second, tmp_path / "cache")
    assert again == expected
    assert second.asked == 0
    assert type(again[0].tokens[0]) is int
    assert type(again[0].offset) is int
    assert [p.name.startswith("tmp-") for p in (tmp_path / "cache").iterdir()] == [False]


def test_everything_that_matters_is_in_the_key(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(rows: Any = ROWS, template: str = "plain", mask: bool = True) -> str:
        return cache_key(rows, Tokenizer(template), mask_prompt=mask, tokenizer_folder=model)

    keys = {key()}
    assert key() in keys
    assert key([dict(reversed(row.items())) for row in ROWS]) in keys
    for changed in (key(ROWS[:-1]), key([*ROWS[1:], ROWS[0]]), key(template="other"), key(mask=False)):
        assert changed not in keys
        keys.add(changed)
    (model / "tokenizer.json").write_text("{ }")
    assert key() not in keys
    keys.add(key())
    (model / "chat_template.jinja").write_text("x")
    assert key() not in keys
    keys.add(key())
    monkeypatch.setattr(tokencache, "installed", lambda name: "another")
    assert key() not in keys


def test_a_template_with_a_date_is_another_one_tomorrow(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime

    class Tomorrow(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.datetime(2999, 1, 1, tzinfo=tz)

    def keys() -> list[str]:
        return [
            cache_key(ROWS, Tokenizer(template), mask_prompt=True, tokenizer_folder=model)
            for template in ("plain", "{{ strftime_now('%d %b %Y') }}")
        ]

    today = keys()
    monkeypatch.setattr(tokencache.datetime, "datetime", Tomorrow)
    later = keys()
    assert today[0] == later[0]
    assert today[1] != later[1]


def test_rows_are_checked_for_the_length_of_this_run(model: Path, tmp_path: Path) -> None:
    tokens(model, Tokenizer(), tmp_path)
    with pytest.raises(TunerError) as cached:
        tokens(model, Tokenizer(), tmp_path, max_length=20)
    with pytest.raises(TunerError) as fresh:
        tokenise_all(ROWS, Tokenizer(), mask_prompt=True, max_length=20, where="train")
    assert cached.value.sentence() == fresh.value.sentence()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_entry_is_no_entry(damage: str, model: Path, tmp_path: Path) -> None:
    expected = tokens(model, Tokenizer(), tmp_path)
    (path,) = tmp_path.glob("*.npz")
    content = bytearray(path.read_bytes())
    middle = content.index(bytes([ord("w"), 0, 0, 0, ord("h"), 0, 0, 0]))
    content[middle] ^= 0xFF
    damaged = {
        "cut": path.read_bytes()[:-40],
        "flipped": bytes(content),
        "empty": b"",
        "foreign": b"\x93NUMPY not really",
    }[damage]
    path.write_bytes(damaged)
    tokenizer = Tokenizer()
    assert tokens(model, tokenizer, tmp_path) == expected
    assert tokenizer.asked > 0
    tokens(model, mended := Tokenizer(), tmp_path)
    assert mended.asked == 0


def test_the_longest_unused_entries_go_first(model: Path, tmp_path: Path) -> None:
    sets = [[{**row, "prompt": f"{number} {row['prompt']}"} for row in ROWS] for number in range(4)]
    for number, rows in enumerate(sets[:3]):
        tokens(model, Tokenizer(), tmp_path, rows=rows)
        newest = next(p for p in tmp_path.glob("*.npz") if p.stat().st_mtime > 1000)
        os.utime(newest, (number + 1, number + 1))
    tokens(model, Tokenizer(), tmp_path, rows=sets[0])  # used again: now the youngest
    size = max(p.stat().st_size for p in tmp_path.glob("*.npz"))
    tokens(model, Tokenizer(), tmp_path, rows=sets[3], limit=int(2.5 * size))
    assert sum(p.stat().st_size for p in tmp_path.glob("*.npz")) <= 2.5 * size
    kept = []
    for number, rows in enumerate(sets):
        key = cache_key(rows, Tokenizer(), mask_prompt=True, tokenizer_folder=model)
        kept += [number] if (tmp_path / f"{key}.npz").exists() else []
    assert kept == [0, 3]


def test_a_cache_that_cannot_be_written_costs_only_time(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expected = tokens(model, Tokenizer(), tmp_path / "cache")
    assert tokens(model, Tokenizer(), tmp_path / "file" / "cache") == expected
    assert tokens(model, Tokenizer(), tmp_path / "small", limit=10) == expected
    assert not (tmp_path / "small").exists()


def test_it_lies_in_the_cache_folder(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "mine"))
    tokenise_cached(ROWS, Tokenizer(), mask_prompt=False, max_length=99, where="train", tokenizer_folder=model)
    assert len(list((tmp_path / "mine" / "tokens").glob("*.npz"))) == 1


def test_no_rows(model: Path, tmp_path: Path) -> None:
    assert tokens(model, Tokenizer(), tmp_path, rows=[]) == []
