"""Texts that no tokenizer takes are refused in words of ours, wherever in a conversation they stand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.chat.answering import check_text, prompt_of
from tui_tuner.chat.inside import answer_tokens
from tui_tuner.errors import TunerError


class Letters:
    """A tokenizer of letters, with a template that writes the roles; it takes what UTF-8 can write."""

    chat_template = "letters"
    eos_token_id = 0
    eos_token_ids = (0,)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return list(text.encode("utf-8"))

    def decode(self, ids: list[int]) -> str:
        return bytes(ids).decode("utf-8")

    def apply_chat_template(self, messages: list[dict[str, str]], **options: Any) -> list[int]:
        written = "".join(f"{message['role']}: {message['content']}\n" for message in messages)
        return self.encode(written + ("assistant: " if options.get("add_generation_prompt") else ""))


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


CASES = {
    "pasted": (
        [said("user", "What is \ud83d?")],
        "the question: character 9 is half of a surrogate pair (\\ud83d), which is no text; take it out, or write the "
        "whole character.",
    ),
    "typed in a shell of another encoding": (
        [said("user", "caf\udce9")],
        "the question: character 4 is a byte that is not UTF-8 (0xE9), which is no text; write it in UTF-8.",
    ),
    "the system message": (
        [said("system", "\udfff"), said("user", "Hello")],
        "the system message: character 1 is half of a surrogate pair (\\udfff), which is no text; take it out, or "
        "write the whole character.",
    ),
    "an answer of a kept conversation": (
        [said("user", "Hi"), said("assistant", "x" * 1_500 + "\udbff"), said("user", "and?")],
        "message 2 of the conversation (assistant): character 1,501 is half of a surrogate pair (\\udbff), which is no "
        "text; take it out, or write the whole character.",
    ),
    "an earlier question": (
        [said("user", "\udc80"), said("assistant", "yes"), said("user", "and?")],
        "message 1 of the conversation (user): character 1 is a byte that is not UTF-8 (0x80), which is no text; write "
        "it in UTF-8.",
    ),
}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(("messages", "sentence"), CASES.values(), ids=CASES)
def test_it_is_said_what_is_wrong_where_and_what_to_do(
    messages: list[dict[str, str]], sentence: str, plain: bool
) -> None:
    with pytest.raises(TunerError) as caught:
        prompt_of(messages, Letters(), plain=plain)
    assert (caught.value.code, caught.value.sentence()) == ("no-text", sentence)
    caught.value.sentence().encode("utf-8")  # so that the sentence itself can be printed


def test_an_answer_to_look_inside_is_refused_alike() -> None:
    with pytest.raises(TunerError, match=r"^the answer: character 3 is half"):
        answer_tokens([said("user", "Hi")], "it\ud800", [1], Letters())


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_sound_text_goes_in_as_it_is(text: str) -> None:
    check_text(text, "the question")
    ids = prompt_of([said("user", text)], Letters(), plain=False)
    assert bytes(ids).decode("utf-8") == f"user: {text}\nassistant: "


def test_an_answers_tokens_follow_the_prompt_or_stand_by_themselves() -> None:
    talk = [said("user", "Hi")]
    tokenizer = Letters()
    prompt = prompt_of(talk, tokenizer, plain=False)
    assert tokenizer.decode(answer_tokens(talk, "yes", prompt, tokenizer)).strip() == "yes"
    other = prompt_of([said("user", "Ho")], tokenizer, plain=False)
    assert answer_tokens(talk, "yes", other, tokenizer) == tokenizer.encode("yes"), "the template began it otherwise"

    class Refusing(Letters):
        def apply_chat_template(self, messages: list[dict[str, str]], **options: Any) -> list[int]:
            if messages[-1]["role"] == "assistant":
                raise ValueError("roles must alternate")
            return super().apply_chat_template(messages, **options)

    assert answer_tokens(talk, "yes", prompt, Refusing()) == tokenizer.encode("yes")


def test_what_the_template_adds_behind_an_answer_is_not_the_answer() -> None:
    class Ending(Letters):
        eos_token_ids = (10,)  # the line's end

    tokenizer = Ending()
    talk = [said("user", "Hi")]
    prompt = prompt_of(talk, tokenizer, plain=False)
    assert answer_tokens(talk, "yes", prompt, tokenizer) == tokenizer.encode("yes")
