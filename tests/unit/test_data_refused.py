"""Rows that cannot be trained on are refused one by one, in a sentence that says what is wrong with which message."""

from __future__ import annotations

from typing import Any

import pytest

from tui_tuner.data.rows import checked_row
from tui_tuner.errors import TunerError

Q, A = {"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hi."}


@pytest.mark.parametrize(
    ("row", "kind", "sentence"),
    [
        ({"prompt": 3, "completion": "a"}, "completion",
         '"prompt" is a number, not text; put it in quotes, or build the text with a template.'),
        ({"prompt": "q", "completion": None}, "completion",
         '"completion" is null, not text; put it in quotes, or build the text with a template.'),
        ({"prompt": True, "completion": "a"}, "completion",
         '"prompt" is true or false, not text; put it in quotes, or build the text with a template.'),
        ({"prompt": " ", "completion": "a"}, "completion", '"prompt" is empty; fill it in or take the row out.'),
        ({"text": "ab\ud800"}, "text",
         '"text" holds half of a surrogate pair at character 3, which is no text; repair the escaped character '
         "(\\ud800 to \\udfff come in pairs)."),
        ({"text": "a"}, "chat", "the rows before are chat rows, but this one is a text row; give every row the same "
         "keys."),
        ({"a": 1, "b": 2}, "text", "the rows before are text rows, but this one is no row of a known shape (columns: "
         "a, b); give every row the same keys."),
        ({}, "text", "the rows before are text rows, but this one is no row of a known shape (columns: none); give "
         "every row the same keys."),
        ({"messages": "[]"}, "chat",
         '"messages" is text, not a list; write the list itself, not a string that holds one.'),
        ({"messages": {"role": "user"}}, "chat", '"messages" is an object, not a list.'),
        ({"messages": []}, "chat", '"messages" is empty; take the row out.'),
        ({"messages": [Q]}, "chat",
         'the conversation ends with role "user", so there is no answer to learn; end it with the assistant\'s '
         "answer."),
        ({"messages": [A]}, "chat",
         'the conversation has no message of role "user"; add the question that is answered.'),
        ({"messages": [Q, "Hi."]}, "chat", "message 2 is text, not an object with role and content."),
        ({"messages": [{"from": "human", "value": "Hi?"}, A]}, "chat",
         'message 1 has no role (its keys: from, value); rename "from" to "role" and "value" to "content".'),
        ({"messages": [{"content": "Hi?"}, A]}, "chat", 'message 1 has no role (its keys: content); add a "role".'),
        ({"messages": [Q, {"role": "assistant"}]}, "chat", "message 2 has no content."),
        ({"messages": [Q, {"role": "assistant", "content": [{"text": "Hi."}]}]}, "chat",
         "the content of message 2 is a list of parts; join its texts into one string."),
        ({"messages": [Q, {"role": "assistant", "content": ""}]}, "chat",
         "the content of message 2 is empty; fill it in or take the row out."),
        ({"messages": [Q, A], "tools": "[{}]"}, "chat",
         '"tools" is text, not a list; write the list itself, not a string that holds one.'),
        ({"messages": [Q, A], "tools": [3]}, "chat", '"tools" is not a list of objects.'),
    ],
)  # fmt: skip
def test_a_row_is_refused(row: dict[str, Any], kind: Any, sentence: str) -> None:
    with pytest.raises(TunerError) as caught:
        checked_row(row, kind, "rows.jsonl, line 7")
    assert caught.value.sentence() == f"rows.jsonl, line 7: {sentence}"
    assert caught.value.code == ("mixed-rows" if "is a text row" in sentence else "bad-row")


def test_a_role_that_no_template_knows_is_named() -> None:
    with pytest.raises(TunerError) as caught:
        checked_row({"messages": [{"role": "wizard", "content": "Hi?"}, A]}, "chat", "l")
    assert caught.value.message == 'message 1 has the role "wizard", which no chat template knows'
    assert caught.value.fix.startswith("use one of ") and "assistant" in caught.value.fix


def test_what_is_sound_is_cut_down_to_its_kind() -> None:
    assert checked_row({"prompt": "q", "completion": "a", "id": 7}, "completion", "l") == {
        "prompt": "q", "completion": "a"
    }  # fmt: skip
    calling = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]}
    named = {**Q, "name": "ann"}
    made = checked_row({"messages": [named, calling], "tools": [], "n": 1}, "chat", "l")
    assert made == {"messages": [named, {**calling, "content": ""}]}  # templates join it to texts; no tools are none
