"""What the recipe adds to rows: a system message, a filter, a sample, shares, groups, and wordings held back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipes import folder, prepared_from, section
from tui_tuner.data.prepare import (
    prepare,
    read_prepared,
    row_kind,
    write_prepared,
)
from tui_tuner.errors import TunerError


def test_a_system_message_goes_before_every_prompt(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}?", "answer": "a b", "style": "short"} for n in range(6)]
    done = prepared_from(tmp_path, rows, system="Be {style}.")
    assert [turn["role"] for turn in done.train[0]["messages"]] == ["system", "user", "assistant"]
    assert done.train[0]["messages"][0]["content"] == "Be short."


def test_records_outside_the_filter_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "completion": "c", "n": str(n)} for n in range(20)]
    done = prepared_from(tmp_path, rows, filter=["n >= 10", 'not prompt endswith "9"'])
    assert sorted(row["prompt"] for row in done.train + done.valid + done.test) == [f"p{n}" for n in range(10, 19)]
    assert done.notes[0] == "the filter leaves out 11 records of 20"


def test_a_filter_that_nothing_passes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match="no record meets the conditions"):
        prepared_from(tmp_path, [{"prompt": "p", "completion": "c"}] * 5, filter=['prompt == "x"'])


def test_a_filter_on_a_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match="no column") as caught:
        prepared_from(tmp_path, [{"prompt": "p", "completion": "c"}] * 5, filter=["promt"])
    assert "prompt" in caught.value.fix


def test_a_sample_is_drawn_by_seed_before_the_split(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "completion": "c"} for n in range(100)]
    done = prepared_from(tmp_path, rows, sample=20)
    assert (len(done.train), len(done.valid), len(done.test)) == (16, 2, 2)
    assert done == prepared_from(tmp_path, rows, sample=20)


def test_shares_hold_back_that_part_of_the_records(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "completion": "c"} for n in range(200)]
    done = prepared_from(tmp_path, rows, valid_share=0.05, test_share=0.2)
    assert (len(done.train), len(done.valid), len(done.test)) == (150, 10, 40)


def test_groups_never_straddle_splits(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "completion": "c", "doc": f"d{n % 12}"} for n in range(96)]
    done = prepared_from(tmp_path, rows, split="grouped", group=["doc"], valid=10, test=20)
    docs = [{int(row["prompt"][1:]) % 12 for row in part} for part in (done.train, done.valid, done.test)]
    assert not docs[0] & docs[1] and not docs[0] & docs[2] and not docs[1] & docs[2]
    assert (len(done.train), len(done.valid), len(done.test)) == (56, 16, 24)
    assert "stay together (12 groups)" in " ".join(done.notes)


WORDINGS = ["How far did {name} throw?", "{name}'s passing yards?", "Yards of {name}?"]


def test_facts_are_trained_in_some_words_and_asked_in_others(tmp_path: Path) -> None:
    rows = [{"name": f"P{n}", "yards": str(n)} for n in range(30)]
    done = prepared_from(
        tmp_path, rows, prompt=WORDINGS, completion=["{yards}"], split="facts", test=25, valid=25, unseen=5
    )
    trained = {row["prompt"] for row in done.train}
    assert len(done.train) == 25 and len(done.valid) == 25 and len(done.test) == 25 and len(done.unseen) == 15
    assert all(text.startswith("How far did") for text in trained)
    assert all("passing yards" in row["prompt"] for row in done.valid)
    assert all(row["prompt"].startswith("Yards of") for row in done.test)
    names = [{row["prompt"].split(word)[-1] for row in part} for part, word in ((done.train, "did "),)]
    assert {text.removesuffix(" throw?") for text in names[0]} == {
        row["prompt"].removeprefix("Yards of ").removesuffix("?") for row in done.test
    }
    unseen = {row["completion"] for row in done.unseen}
    assert unseen.isdisjoint(row["completion"] for part in (done.train, done.valid, done.test) for row in part)
    write_prepared(done, tmp_path / "out")
    assert read_prepared(tmp_path / "out").unseen == done.unseen


def test_a_source_with_splits_of_its_own_is_not_divided_again(tmp_path: Path) -> None:
    source = folder(tmp_path, train=5, validation=3, test=2)
    with pytest.raises(TunerError, match="brings its own splits"):
        prepare(section(source, test_share=0.5), 42, None)


def test_rows_with_and_without_a_system_message_become_one_kind(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "completion": "c", "system": "Be kind." if n % 2 else ""} for n in range(10)]
    done = prepared_from(tmp_path, rows)
    assert {row_kind(row) for part in (done.train, done.valid, done.test) for row in part} == {"chat"}


def test_the_first_refused_record_is_named_before_a_split_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match='"completion" is empty'):
        prepared_from(tmp_path, [{"prompt": "p", "completion": "c"}, {"prompt": "p", "completion": ""}])
