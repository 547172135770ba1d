"""From a source to rows: wordings, splits, refusals, and the files that keep them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.recipes import PLAYERS, folder, jsonl, prepared_from, section
from tui_tuner.data.prepare import (
    Prepared,
    messages_of,
    prepare,
    read_prepared,
    reference_of,
    row_kind,
    write_prepared,
)
from tui_tuner.errors import TunerError

CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}


def test_every_wording_stays_within_its_split(tmp_path: Path) -> None:
    done = prepared_from(
        tmp_path,
        PLAYERS,
        prompt=["How far did {name} throw?", "{name}: yards?"],
        completion=["{yards or 0} yards"],
        train=10,
        valid=5,
        test=6,
    )
    assert [len(part) for part in (done.train, done.valid, done.test)] == [20, 10, 12]

    def names(rows: list[dict[str, Any]]) -> set[str]:
        return {
            row["prompt"].removeprefix("How far did ").removesuffix(" throw?").removesuffix(": yards?") for row in rows
        }

    assert [len(names(part)) for part in (done.train, done.valid, done.test)] == [10, 5, 6]
    assert not names(done.train) & names(done.valid)
    assert not (names(done.train) | names(done.valid)) & names(done.test)
    assert {row["completion"] for row in done.train} <= {f"{row['yards'] or 0} yards" for row in PLAYERS}
    assert done.notes == [
        "19 records are not used, because data.train asks for 10",
        "every record is asked in 2 wordings, all within the same split",
    ]


def test_each_wording_may_have_its_own_answer(tmp_path: Path) -> None:
    done = prepared_from(
        tmp_path, PLAYERS, prompt=["{name}?", "Team of {name}?"], completion=["{yards or 0}", "{team}"]
    )
    row = done.train[0], done.train[1]
    player = next(player for player in PLAYERS if player["name"] + "?" == row[0]["prompt"])
    assert row == (
        {"prompt": f"{player['name']}?", "completion": player["yards"] or "0"},
        {"prompt": f"Team of {player['name']}?", "completion": player["team"]},
    )


def test_the_seed_decides(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "a.jsonl", [{"text": f"row {n}"} for n in range(30)])
    first, again, other = (prepare(section(source), seed, None) for seed in (1, 1, 2))
    assert first == again
    assert first.test != other.test


def test_empty_values_written_as_nothing_are_noted(tmp_path: Path) -> None:
    done = prepared_from(tmp_path, PLAYERS, prompt=["{name}?"], completion=["{yards} yards"])
    assert done.notes == ['"yards" is empty in 10 of 40 records, written as nothing; {yards or 0} would write 0']


def test_a_column_that_no_record_has_is_refused_even_with_a_default(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match=r'no column "yard" .*did you mean \{yards\}'):
        prepared_from(tmp_path, PLAYERS, prompt=["{name}?"], completion=["{yard or 0}"])


def test_an_answer_without_text_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        prepared_from(tmp_path, PLAYERS, prompt=["{name}?"], completion=["{yards}"])
    assert caught.value.where == f"{tmp_path / 'rows.jsonl'}, line 1 (row 1)"
    assert caught.value.message == 'the template "{yards}" gives no text here (10 of 40 rows can\'t be used)'
    assert "{yards or 0}" in caught.value.fix


def test_rows_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "completion": "c", "id": n} for n in range(10)]
    done = prepared_from(tmp_path, rows)
    assert sorted(row["prompt"] for row in done.train + done.valid + done.test) == [f"p{n}" for n in range(10)]
    assert all(set(row) == {"prompt", "completion"} for row in done.train)
    assert done.notes == ["columns that are not used: id"]


def test_a_question_and_its_answer_come_before_a_text_that_holds_both(tmp_path: Path) -> None:
    """mlx-lm's own reader would take the text without a word."""
    rows = [{"instruction": "i", "output": f"o{n}", "text": f"t{n}"} for n in range(5)]
    done = prepared_from(tmp_path, rows)
    assert set(done.train[0]) == {"prompt", "completion"}
    assert done.notes[:2] == [
        "taken as alpaca: the columns are instruction, input and output",
        "columns that are not used: text",
    ]


def test_tools_stay_with_their_conversation(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    rows = [{**CHAT, "tools": tools, "n": n} for n in range(3)]
    rows = [{**row, "messages": [{"role": "user", "content": str(row["n"])}, CHAT["messages"][1]]} for row in rows]
    assert prepared_from(tmp_path, rows).train[0]["tools"] == tools


def test_copies_of_held_out_records_are_not_trained_on(tmp_path: Path) -> None:
    rows = [{"text": f"row {n % 10}"} for n in range(30)]
    done = prepared_from(tmp_path, rows, valid=2, test=2)
    kept = {row["text"] for row in done.train}
    assert not kept & {row["text"] for row in done.valid + done.test}
    assert (len(done.train), len(done.valid), len(done.test)) == (18, 2, 2)
    assert done.notes == [
        "20 records are copies of others (30 in all)",
        "8 copies of held-out records left out of training",
    ]


def test_questions_asked_in_training_too_are_noted(tmp_path: Path) -> None:
    rows = [{"prompt": "the same", "completion": f"answer {n}"} for n in range(10)]
    assert prepared_from(tmp_path, rows).notes == [
        "1 validation row asks what a training row asks too (1 in all)",
        "1 test row asks what a training row asks too (1 in all)",
    ]


def test_a_folders_splits_are_used_as_they_are(tmp_path: Path) -> None:
    done = prepare(section(folder(tmp_path, train=5, validation=3, test=2)), 42, None)
    assert [row["text"] for row in done.train] == [f"train {n}" for n in range(5)]
    assert [row["text"] for row in done.valid] == [f"validation {n}" for n in range(3)]
    assert [row["text"] for row in done.test] == ["test 0", "test 1"]
    assert done.notes == []


def test_templates_apply_to_a_folders_splits(tmp_path: Path) -> None:
    source = folder(tmp_path, train=2, test=1)
    done = prepare(section(source, prompt=["Say it"], completion=["{text}!"]), 42, None)
    assert done.test == [{"prompt": "Say it", "completion": "test 0!"}]
    assert done.notes[0] == "the folder has no valid file, so there are no valid rows"


def test_counts_take_that_many_of_a_folders_split(tmp_path: Path) -> None:
    source = folder(tmp_path, train=50, valid=5)
    done = prepare(section(source, train=10), 42, None)
    assert len(done.train) == 10 and len(done.valid) == 5
    assert done.train == prepare(section(source, train=10), 42, None).train
    assert done.train != prepare(section(source, train=10), 43, None).train
    with pytest.raises(TunerError, match=r"data\.valid asks for 6 records, but the folder has 5 records for valid"):
        prepare(section(source, valid=6), 42, None)
    with pytest.raises(TunerError, match="the folder has no such file for test"):
        prepare(section(source, test=1), 42, None)


def test_a_table_of_facts_is_answered_with_a_template(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        prepared_from(tmp_path, [{"name": f"n{n}", "yards": n, "team": "A", "won": True} for n in range(5)])
    assert caught.value.code == "unknown-shape"
    assert "the columns are name, yards, team, won" in caught.value.message
    assert 'completion = "{yards}"' in caught.value.fix


def test_prompts_without_answers_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match="prompts but no answers") as caught:
        prepared_from(tmp_path, [{"question": f"What is {n}?", "id": n} for n in range(9)])
    assert caught.value.code == "no-answers"


def test_the_advised_template_works(tmp_path: Path) -> None:
    rows = [{"instruction": f"i{n}", "input": "in" if n % 2 else "", "output": "o"} for n in range(9)]
    done = prepared_from(tmp_path, rows, prompt=["{instruction}\n\n{input or ''}"], completion=["{output}"])
    assert {row["prompt"][2:] for row in done.train} == {"\n\nin", "\n\n"}


BAD_ROWS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"prompt": "a", "completion": "b"}, {"prompt": "a"}, 'the row has no "completion" (its columns: prompt)'),
    ({"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": None}, '"completion" is empty'),
    ({"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": {"x": 1}}, '"completion" is an object'),
    ({"prompt": "a", "completion": "b"}, {"prompt": " \n", "completion": "b"}, '"prompt" is empty'),
    ({"prompt": "a", "completion": "b"}, {"prompt": "\ud800", "completion": "b"}, "surrogate"),
    ({"prompt": "a", "completion": "b"}, {"text": "a"}, "completion rows, but this one is a text row"),
    ({"text": "a"}, {"text": {"a": 1}}, '"text" is an object'),
    ({"text": "a"}, {"text": ""}, '"text" is empty'),
    (CHAT, {"messages": "[]"}, "the conversation is empty"),
    (CHAT, {"messages": "x"}, "text that is not the JSON of a list"),
    (CHAT, {"messages": {}}, '"messages" is missing or empty'),
    (CHAT, {"messages": []}, '"messages" is missing or empty'),
    (CHAT, {"messages": ["a"]}, "message 1 is not an object with role and content"),
    (CHAT, {"messages": [{"value": "a"}]}, "message 1 has no role (its keys: value)"),
    (CHAT, {"messages": [{"role": "narrator", "content": "a"}]}, 'message 1 has the role "narrator"'),
    (CHAT, {"messages": [{"role": ["user"], "content": "a"}]}, "message 1 has the role"),
    (CHAT, {"messages": [{"role": "user"}]}, "message 1 has no content"),
    (CHAT, {"messages": [{"role": "user", "content": None}]}, "message 1 has no content"),
    (
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
        "the content of message 1 has a part that is no text (image)",
    ),
    (CHAT, {"messages": [{"role": "user", "content": "a"}]}, 'ends with role "user"'),
    (CHAT, {"messages": [{"role": "assistant", "content": "a"}]}, 'no message of role "user"'),
    ({**CHAT, "tools": [{"a": 1}]}, {**CHAT, "tools": "[]x"}, "tools is text that is not the JSON of a list"),
    ({**CHAT, "tools": [{"a": 1}]}, {**CHAT, "tools": [1]}, '"tools" is not a list of objects'),
]


@pytest.mark.parametrize(("good", "bad", "message"), BAD_ROWS)
def test_rows_that_cannot_be_trained_on_are_named(
    tmp_path: Path, good: dict[str, Any], bad: dict[str, Any], message: str
) -> None:
    with pytest.raises(TunerError) as caught:
        prepared_from(tmp_path, [good, good, bad, good, good])
    assert message in caught.value.message
    assert caught.value.where == f"{tmp_path / 'rows.jsonl'}, line 3 (row 3)"
    assert caught.value.code in ("bad-row", "mixed-rows", "not-text")


@pytest.mark.parametrize(
    ("prompt", "completion", "message"),
    [
        (["{first}"], [], r"data\.prompt is set and data\.completion is not"),
        (["a", "b", "c"], ["a", "b"], r"3 wordings and data\.completion 2"),
    ],
)
def test_one_template_without_the_other_is_refused(prompt: list[str], completion: list[str], message: str) -> None:
    half = section("embedded:players").model_copy(update={"prompt": prompt, "completion": completion})  # unchecked
    with pytest.raises(TunerError, match=message):
        prepare(half, 1, None)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    odd = "Köln \u2028 \x85 {{x}} [red]\r\n\ttab"
    rows = Prepared([{"prompt": odd, "completion": odd}], [], [{"prompt": "p", "completion": "c"}], ["a note"])
    target = tmp_path / "run" / "data"
    write_prepared(rows, target)
    assert sorted(path.name for path in target.iterdir()) == ["test.jsonl", "train.jsonl"]
    assert read_prepared(target) == Prepared(rows.train, [], rows.test, [])
    # As stock mlx-lm reads it: text mode, one json.loads a line.
    with (target / "train.jsonl").open(encoding="utf-8") as stream:
        assert [json.loads(line) for line in stream] == rows.train


def test_writing_again_leaves_no_older_split_behind(tmp_path: Path) -> None:
    write_prepared(Prepared([{"text": "a"}], [{"text": "b"}], []), tmp_path)
    write_prepared(Prepared([{"text": "c"}], [], []), tmp_path)
    assert read_prepared(tmp_path) == Prepared([{"text": "c"}], [], [])


def test_damaged_prepared_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match="does not exist"):
        read_prepared(tmp_path)
    write_prepared(Prepared([{"text": "a"}, {"text": "b"}], [], []), tmp_path)
    path = tmp_path / "train.jsonl"
    path.write_text(path.read_text().replace('"b"', '""'))
    with pytest.raises(TunerError, match=r"train\.jsonl, line 2 .*empty"):
        read_prepared(tmp_path)
    path.write_text('{"other": 1}\n')
    with pytest.raises(TunerError, match=r"neither prompt/completion"):
        read_prepared(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TunerError) as caught:
        write_prepared(Prepared([{"text": "a"}], [], []), tmp_path / "file" / "data")
    assert str(tmp_path / "file") in caught.value.where


def test_questions_and_answers_of_each_kind() -> None:
    row = {"prompt": "p", "completion": "c"}
    assert (row_kind(row), reference_of(row)) == ("completion", "c")
    assert messages_of(row) == [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}]
    assert (row_kind(CHAT), reference_of(CHAT), messages_of(CHAT)) == ("chat", "b", CHAT["messages"])
    messages_of(CHAT)[0]["content"] = "changed"
    assert CHAT["messages"][0]["content"] == "a"
    assert row_kind({"text": "t"}) == "text"
    with pytest.raises(TunerError, match="no prompt and no answer"):
        reference_of({"text": "t"})
    with pytest.raises(TunerError, match="neither"):
        row_kind({"q": "t"})


def test_the_embedded_players_prepare_with_their_preset() -> None:
    from tui_tuner.config.presets import load_preset

    experiment, _ = load_preset("quickstart")
    done = prepare(experiment.data, experiment.run.seed, None)
    wordings = len(experiment.data.prompt)
    assert len(done.train) == experiment.data.train * wordings
    assert len(done.test) == experiment.data.test * wordings
    assert not {row["prompt"] for row in done.train} & {row["prompt"] for row in done.test}
