"""Mendings: what each does to a row, that sound rows stay, and that the file is never touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import DataSection
from tui_tuner.data.fixes import FIXES, mended
from tui_tuner.data.prepare import Row, prepare
from tui_tuner.errors import TunerError

HELLO = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}]


def pair(prompt: str, completion: str) -> Row:
    return {"prompt": prompt, "completion": completion}


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("unescape-newlines", "One.\\nTwo.\\n\\nThree", "One.\nTwo.\n\nThree"),
        ("unescape-newlines", r"\nabla and C:\new", r"\nabla and C:\new"),
        ("fix-mojibake", "SchÃ¶ne GrÃ¼ÃŸe, itâ€™s", "Schöne Grüße, it’s"),
        ("fix-mojibake", "Schöne Grüße, Âge", "Schöne Grüße, Âge"),
        ("strip-special-tokens", "<|im_start|>hi<|im_end|> there</s>", "hi there"),
        ("strip-special-tokens", "List<String> and [1]", "List<String> and [1]"),
    ],
)
def test_texts_are_mended_and_sound_ones_stay(name: str, before: str, after: str) -> None:
    assert mended([pair("q", before)], [name]) == [pair("q", after)]
    chat = {"messages": [HELLO[0], {"role": "assistant", "content": before}]}
    assert mended([chat], [name])[0]["messages"][1]["content"] == after


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>user\nHello?<|im_end|>\n<|im_start|>assistant\nHi.<|im_end|>\n",
        "<|start_header_id|>user<|end_header_id|>\n\nHello?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHi.<|eot_id|>",
        "<bos><start_of_turn>user\nHello?<end_of_turn>\n<start_of_turn>model\nHi.<end_of_turn>\n",
        "<|user|>\nHello?<|end|>\n<|assistant|>\nHi.<|end|>\n",
        "<s>[INST] Hello? [/INST] Hi. </s>",
        "### Instruction:\nHello?\n\n### Response:\nHi.",
        "### Human: Hello?\n### Assistant: Hi.",
    ],
)
def test_texts_of_other_families_become_messages(text: str) -> None:
    assert mended([{"text": text}], ["messages-from-tokens"]) == [{"messages": HELLO}]


def test_system_messages_of_other_families_are_kept() -> None:
    text = "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHello? [/INST] Hi. </s>"
    assert mended([{"text": text}], ["messages-from-tokens"])[0]["messages"] == [
        {"role": "system", "content": "Be kind."},
        *HELLO,
    ]


def test_a_text_without_turns_is_refused_not_guessed() -> None:
    with pytest.raises(TunerError, match="no turns"):
        mended([{"text": "Just a text."}], ["messages-from-tokens"])


def test_every_answer_gets_a_row_with_what_came_before() -> None:
    four = [*HELLO, {"role": "user", "content": "And?"}, {"role": "assistant", "content": "So."}]
    rows = mended([{"messages": four, "tools": [{"name": "f"}]}], ["split-turns"])
    assert [row["messages"] for row in rows] == [four[:2], four]
    assert all(row["tools"] for row in rows)


def turns(*said: str) -> list[dict[str, Any]]:
    """Messages written as `u:Hello?`."""
    roles = {"s": "system", "d": "developer", "u": "user", "a": "assistant"}
    return [{"role": roles[each[0]], "content": each[2:]} for each in said]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("fold-system", ["s:Be kind.", "u:Hi?", "a:Hi."], ["u:Be kind.\n\nHi?", "a:Hi."]),
        ("fold-system", ["s:Be kind.", "d:Be brief.", "u:Hi?", "a:Hi."], ["u:Be kind.\n\nBe brief.\n\nHi?", "a:Hi."]),
        ("fold-system", ["u:Hi?", "a:Hi.", "s:Now rhyme.", "u:Go?", "a:So."], ["u:Hi?", "a:Hi.", "u:Now rhyme.\n\nGo?",
         "a:So."]),
        ("fold-system", ["u:Hi?", "a:Hi."], ["u:Hi?", "a:Hi."]),
        ("merge-turns", ["u:Hi?", "u:You there?", "a:Hi.", "a:Yes."], ["u:Hi?\n\nYou there?", "a:Hi.\n\nYes."]),
        ("merge-turns", ["a:Welcome!", "u:Hi?", "a:Hi."], ["u:Hi?", "a:Hi."]),
        ("merge-turns", ["s:Be kind.", "a:Welcome!", "u:Hi?", "a:Hi."], ["s:Be kind.", "u:Hi?", "a:Hi."]),
        ("merge-turns", ["u:Hi?", "a:Hi.", "u:And?", "a:So."], ["u:Hi?", "a:Hi.", "u:And?", "a:So."]),
    ],
)  # fmt: skip
def test_turns_are_put_so_that_a_template_takes_them(name: str, before: list[str], after: list[str]) -> None:
    row = {"messages": turns(*before), "tools": [{"name": "f"}]}
    assert mended([row], [name]) == [{"messages": turns(*after), "tools": [{"name": "f"}]}]
    assert row["messages"] == turns(*before)  # the record that was read stays as it was
    assert mended([pair("q", "a")], [name]) == [pair("q", "a")]


def test_calls_of_tools_are_never_merged() -> None:
    calling = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
    told = [*turns("u:Hi?"), calling, *turns("a:Hi.")]
    assert mended([{"messages": told}], ["merge-turns"]) == [{"messages": told}]


@pytest.mark.parametrize(
    ("name", "said", "message"),
    [
        ("fold-system", ["u:Hi?", "a:Hi.", "s:Now rhyme."], "no question follows a system message that was to be put "
         "before it"),
        ("merge-turns", ["a:Hi."], "nothing is asked before the last answer"),
        ("merge-turns", ["a:Hi.", "u:Hi?"], "nothing is asked before the last answer"),
    ],
)  # fmt: skip
def test_turns_that_cannot_be_put_so_are_refused(name: str, said: list[str], message: str) -> None:
    with pytest.raises(TunerError) as caught:
        mended([{"messages": turns(*said)}], [name])
    assert (caught.value.code, caught.value.message, caught.value.fix) == ("bad-row", message, "take the row out")


def test_rows_with_what_nobody_may_learn_are_left_out() -> None:
    rows = [pair("q", "AKIAIOSFODNN7EXAMPLE"), pair("q", "fine"), pair("caf\ufffd", "x")]
    assert mended(rows, ["drop-secrets", "drop-replaced"]) == [pair("q", "fine")]


def source(folder: Path, rows: list[Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_fixes_are_applied_in_order_and_counted(tmp_path: Path) -> None:
    rows = [pair(f"p{n}", "One.\\nTwo" if n % 2 else "fine") for n in range(20)]
    path = source(tmp_path, [*rows, pair("p0", "fine"), pair("bad", "")])
    before = path.read_bytes()
    section = DataSection(source=str(path), fixes=["drop-unusable", "unescape-newlines", "drop-duplicates"])
    done = prepare(section, 42)
    assert {row["completion"] for row in done.train} == {"fine", "One.\nTwo"}
    assert "drop-unusable: 1 record left out" in done.notes
    assert any("10 records mended" in note for note in done.notes)
    assert len({json.dumps(row) for row in done.train}) == len(done.train)
    assert path.read_bytes() == before


def test_leaks_leave_training(tmp_path: Path) -> None:
    for name, numbers in (("train", range(20)), ("test", range(15, 25))):
        rows = [pair(f"p{n}", "c") for n in numbers]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = prepare(DataSection(source=str(tmp_path), fixes=["drop-leaks"]), 42)
    assert [row["prompt"] for row in done.train] == [f"p{n}" for n in range(15)]
    assert len(done.test) == 10


def test_an_unknown_fix_names_the_nearest(tmp_path: Path) -> None:
    path = source(tmp_path, [pair(f"p{n}", "c") for n in range(9)])
    with pytest.raises(TunerError) as caught:
        prepare(DataSection(source=str(path), fixes=["drop-duplicate"]), 42)
    assert caught.value.code == "unknown-fix"
    assert "drop-duplicates" in caught.value.fix


def test_every_fix_says_what_it_does() -> None:
    assert all(fix.label and fix.name == name for name, fix in FIXES.items())
