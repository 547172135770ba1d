"""The linter: every rule finds what it is for, and stays silent on sound rows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.data.findings import Problem
from tui_tuner.data.lint import LintContext, Linter, RowFacts, allowed, texts_of
from tui_tuner.data.lint.near import NearDuplicates
from tui_tuner.data.lint.sets import smallest_difference
from tui_tuner.data.rows import Row, row_kind
from tui_tuner.data.table import Fault, Place
from tui_tuner.errors import TunerError

BOS, END = 1, 2
CONTEXT = LintContext(model="phi", specials=frozenset({"<|end|>"}), bos=BOS, ends=frozenset({END}), max_length=50)
SOUND = [
    "Why is the sky blue? Because of Rayleigh scattering.",
    "Grüße aus Zürich – schöne Öfen, daß naïve Façade: Ångström, Ćevapčići, Łódź.",
    "Привет, как дела? Ça va très bien, merci. Ñandú. Âge d'or. Ðakovo.",
    "日本語の文章です。中文也可以。한국어도 됩니다. مرحبا ไทย हिन्दी",
    r"\nabla \cdot E = \rho / \epsilon_0, and C:\new\notes.txt, re.split(r'\n', text)",
    'print("a\\n", end="")  # {"x": "a\\nb"}',
    "List<String> xs; a < b > c; [1, 2]; <div>Hi</div>; x@y; foo@example.com",
    "The token [NAME] lives at <address>; sk-ip this.",
]


def facts(
    row: Row, split: str = "train", number: int = 0, tokens: list[int] | None = None, offset: int = 3
) -> RowFacts:
    kind = row_kind(row)
    prompt, answer = texts_of(row, kind)
    ids = tuple(tokens or [BOS, 5, 6, 7, END])
    return RowFacts(split, number, number + 1, row, kind, prompt, answer, len(ids), offset, ids[:2], ids[-3:])


def pair(prompt: str, completion: str) -> Row:
    return {"prompt": prompt, "completion": completion}


def linted(rows: list[RowFacts], context: LintContext = CONTEXT) -> dict[str, Problem]:
    linter = Linter(context)
    for row in rows:
        linter.take(row)
    return {problem.code: problem for problem in linter.finish()}


def one(row: Row, **changes: Any) -> dict[str, Problem]:
    return linted([facts(row, **changes)])


QUIET = {"no-validation", "small-test"}


@pytest.mark.parametrize("text", SOUND)
def test_sound_rows_are_left_alone(text: str) -> None:
    assert set(one(pair("A question?", text))) <= QUIET
    assert set(one(pair(text, "An answer."))) <= QUIET


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("foreign-special-tokens", "<|im_start|>user\nhi<|im_end|>"),
        ("foreign-special-tokens", "[INST] hi [/INST]"),
        ("foreign-special-tokens", "<start_of_turn>model"),
        ("foreign-special-tokens", "<|eot_id|>"),
        ("foreign-special-tokens", "the end</s>"),
        ("special-tokens-in-text", "stop here <|end|> and go on"),
        ("literal-newlines", "First line.\\nSecond line.\\n\\nThird."),
        ("literal-newlines", "Steps:\\n1. Stir"),
        ("mojibake", "SchÃ¶ne GrÃ¼ÃŸe"),
        ("mojibake", "it doesnâ€™t matter"),
        ("replacement-characters", "caf\ufffd"),
        ("secrets", "aws AKIAIOSFODNN7EXAMPLE ok"),
        ("secrets", "key: sk-proj-abcdefghijklmnopqrstuvwx12"),
        ("secrets", "-----BEGIN RSA PRIVATE KEY-----"),
        ("secrets", 'password = "correcthorse"'),
        ("addresses", "write to jane.doe@company.org"),
        ("placeholders", "Hello! I am {{name}}, made by {{ author }}."),
    ],
)
def test_damaged_texts_are_found(code: str, text: str) -> None:
    found = one(pair("A question?", text))
    assert code in found, list(found)
    assert found[code].count == 1
    assert found[code].rows == (("train", 0),)
    assert found[code].lines == (1,)


def test_a_secret_is_not_spread_by_its_message() -> None:
    problem = one(pair("q", "AKIAIOSFODNN7EXAMPLE"))["secrets"]
    assert "AKIAIO…" in problem.message and "EXAMPLE" not in str(problem)


def test_a_row_without_a_token_to_train_on_is_an_error() -> None:
    """The cause of losses that are not a number: a prompt that fills the whole length."""
    found = one(pair("q", "a"), tokens=[BOS, *[5] * 60, END], offset=60)
    assert found["no-trainable-tokens"].severity == "error"
    assert "truncated" not in found
    assert "no-trainable-tokens" not in one(pair("q", "a"), tokens=[BOS, 5, 6, END], offset=3)


def test_cut_rows_tell_what_they_lose() -> None:
    found = linted([facts(pair("q", "a"), tokens=[BOS, *[5] * 60, END]), facts(pair("q2", "a b"))])
    assert "is cut at 50 tokens and loses 12 tokens" in found["truncated"].message
    assert "missing-eos" not in found  # the cut is the cause, and is told


def test_a_row_that_does_not_end_is_found() -> None:
    assert "missing-eos" in one(pair("q", "a"), tokens=[BOS, 5, 6, 7, 8, 9])
    assert "missing-eos" not in one(pair("q", "a"), tokens=[BOS, 5, 6, END, 13])  # a line break after it
    assert "doubled-bos" in one(pair("q", "a"), tokens=[BOS, BOS, 5, 6, END])


def turns(*roles: str) -> Row:
    return {"messages": [{"role": role, "content": f"{role} {n}"} for n, role in enumerate(roles)]}


@pytest.mark.parametrize(
    ("roles", "example"),
    [
        (("user", "user", "assistant"), "user after user"),
        (("assistant", "user", "assistant"), "the assistant begins"),
        (("user", "system", "assistant"), "system in the middle"),
        (("system", "user", "assistant"), ""),
        (("user", "assistant", "tool", "assistant"), ""),
    ],
)
def test_turns_out_of_order_are_named(roles: tuple[str, ...], example: str) -> None:
    found = one(turns(*roles))
    assert ("role-order" in found) is bool(example)
    assert example in (found["role-order"].message if example else "")


def test_earlier_answers_that_are_masked_are_counted() -> None:
    found = one(turns("user", "assistant", "user", "assistant", "user", "assistant"))
    assert "2 before it are context" in found["only-last-turn"].message


# --- the whole set


def split(train: list[Row], test: list[Row] | None = None, valid: list[Row] | None = None) -> list[RowFacts]:
    parts = {"train": train, "valid": valid or [], "test": test or []}
    return [facts(row, name, number) for name, rows in parts.items() for number, row in enumerate(rows)]


def numbered(count: int, start: int = 0) -> list[Row]:
    return [pair(f"What is the {n}th thing?", f"It is thing {n}.") for n in range(start, start + count)]


def test_copies_in_training_are_counted() -> None:
    found = linted(split([*numbered(30), pair("what  IS the 3th thing?", "It is thing 3.")]))
    assert found["duplicates"].rows == (("train", 30),)
    assert found["duplicates"].step == "drop-duplicates"


def test_a_split_that_overlaps_training_is_an_error() -> None:
    """One real project's train and evaluation sets overlapped by 60 %."""
    found = linted(split(numbered(50), [*numbered(6, 20), *numbered(4, 90)]))
    assert found["leakage"].severity == "error"
    assert "6 held-out rows stand in training too (60% of 10)" in found["leakage"].message
    few = linted(split(numbered(50), [*numbered(1, 20), *numbered(40, 90)]))
    assert few["leakage"].severity == "warning"


def test_questions_that_training_asks_too_are_found() -> None:
    found = linted(split([pair("Who?", "Ann.")], [pair("who?", "Bob.")]))
    assert found["leaked-questions"].rows == (("test", 0),)


LONG = "The quick brown fox jumps over the lazy dog while the slow green turtle walks along the old stone wall"


def test_near_copies_are_found_across_splits_and_within() -> None:
    found = linted(split([pair(LONG, "Yes."), pair(LONG + " today", "Yes.")], [pair("Well, " + LONG, "Yes.")]))
    assert found["near-duplicates"].rows == (("train", 1),)
    assert found["near-leakage"].rows == (("test", 0),)


def test_rows_that_differ_in_a_number_are_other_facts() -> None:
    rows = [pair(f"{LONG} {n} times", "Yes.") for n in range(20)]
    assert "near-duplicates" not in linted(split(rows))


def test_most_answers_being_the_same_is_found() -> None:
    """In one real project 85 of 120 answers were "0 yards"."""
    rows = [pair(f"Yards of player {n}?", "0 yards" if n < 85 else f"{n} yards") for n in range(120)]
    found = linted(split(rows))
    assert '85 of 120 training answers are the same ("0 yards")' in found["dominant-answer"].message


def test_held_out_facts_that_training_never_shows_are_explained() -> None:
    """The same project's validation loss could only mislead: its questions asked other facts."""
    rows = [pair(f"Yards of player {n}?", f"{n + 100} yards") for n in range(60)]
    context = replace(CONTEXT, shape="table", templated=True)
    found = linted(split(rows[:50], rows[50:]), context)
    assert 'data.split = "facts"' in found["unseen-facts"].fix
    assert "unseen-facts" not in linted(split(rows[:50], rows[50:]), replace(context, split="facts"))


def test_a_form_that_restates_its_question_is_no_unseen_fact() -> None:
    rows = [pair(f"Report: player {n} threw {n * 7} yards.", f"P{n}: {n * 7}") for n in range(60)]
    assert "unseen-facts" not in linted(split(rows[:50], rows[50:]), replace(CONTEXT, shape="table", templated=True))


def test_bare_texts_with_a_chat_template_are_a_mismatch() -> None:
    """Trained in one form, asked in another: in one real project 80 of 100 answers ran into the token cap."""
    found = linted([facts({"text": "Article: … Summary: …"}, offset=0)])
    assert "chat template" in found["template-mismatch"].message


def test_a_number_that_is_always_the_same_makes_numeric_accuracy_blind() -> None:
    rows = [pair(f"Yards of {n}?", f"{n * 7} yards in week 1.") for n in range(20)]
    numeric = replace(CONTEXT, numeric=True)
    found = linted(split([], rows), numeric)["same-number"]
    assert "is 1 in 20 of 20" in found.message
    assert "same-number" not in linted(split([], rows), CONTEXT)
    turned = [pair(f"Yards of {n}?", f"In week 1: {n * 7} yards.") for n in range(20)]
    assert "same-number" not in linted(split([], turned), numeric)


def test_texts_with_the_models_own_turn_tokens_are_not_bare() -> None:
    text = "<|user|>\nHello<|end|>\n<|assistant|>\nHi.<|end|>\n"
    own = replace(CONTEXT, specials=frozenset({"<|user|>", "<|end|>", "<|assistant|>"}))
    assert "template-mismatch" not in linted([facts({"text": text}, offset=0)], own)
    assert "template-mismatch" in linted([facts({"text": text}, offset=0)], replace(CONTEXT, specials=frozenset()))
    mixed = linted([facts({"text": text}, offset=0), facts({"text": "Bare."}, offset=0)], own)
    assert mixed["template-mismatch"].count == 1


def test_texts_of_another_family_are_named_with_their_fix() -> None:
    """The recipes project's texts carry ChatML, whatever model reads them."""
    text = "<|im_start|>user\nI have rice.<|im_end|>\n<|im_start|>assistant\nFried rice.<|im_end|>"
    assert one({"text": text}, offset=0)["foreign-special-tokens"].step == "messages-from-tokens"


def test_questions_with_several_answers_are_found() -> None:
    found = linted(split([pair("Who?", "Ann."), pair("Who?", "Bob."), pair("Where?", "Here.")]))
    assert "1 question has different answers in training (2 rows)" in found["contradictions"].message


def test_fewer_rows_than_a_batch_stop_only_the_mode_that_needs_one() -> None:
    few = split(numbered(3))
    assert linted(few, replace(CONTEXT, batch_size=4))["fewer-rows-than-batch"].severity == "warning"
    stock = linted(few, replace(CONTEXT, batch_size=4, drops_remainder=True))["fewer-rows-than-batch"]
    assert (stock.severity, stock.change) == ("error", (("train.batch_size", 3),))


def test_small_tests_say_what_they_can_tell() -> None:
    assert smallest_difference(196) == pytest.approx(0.1)
    found = linted(split(numbered(50), numbered(49, 100)))
    assert "with 49 test rows a difference below about 20% cannot be told from chance; 196 rows" in (
        found["small-test"].message
    )
    assert "small-test" not in linted(split(numbered(50), numbered(200, 100)))


def test_guesses_that_are_not_sure_are_said() -> None:
    assert "70% confidence" in linted(split(numbered(5)), replace(CONTEXT, confidence=0.7))["unsure-shape"].message


# --- what cannot be used


def test_damaged_and_refused_records_are_listed_by_code() -> None:
    linter = Linter(CONTEXT)
    place = Place(Path("x.jsonl"), 7, 6)
    linter.fault(Fault(place, "bad-json", "the JSON has single quotes", "put texts in double quotes"))
    for line in (9, 12):
        where = Place(Path("x.jsonl"), line, line - 1)
        linter.refusal(where, TunerError('"completion" is empty', code="bad-row", where=str(where), fix="fill it in"))
    problems = {problem.code: problem for problem in linter.finish()}
    assert problems["bad-json"].lines == (7,)
    assert problems["bad-row"].lines == (9, 12)
    assert problems["bad-row"].severity == "error"
    assert "2 records can't be used" in problems["bad-row"].message and "line 9" in problems["bad-row"].message
    assert problems["bad-row"].step == "drop-unusable"


def test_an_allowed_error_no_longer_blocks_where_training_is_possible() -> None:
    leaked = list(linted(split(numbered(50), numbered(10, 20))).values())
    assert any(problem.severity == "error" for problem in leaked)
    assert not any(problem.severity == "error" for problem in allowed(leaked, ["leakage"]))
    assert allowed(leaked, ["another"]) == leaked
    impossible = list(one(pair("q", "a"), tokens=[BOS, *[5] * 60, END], offset=60).values())
    *kept, told = allowed(impossible, ["no-trainable-tokens"])
    assert kept == impossible and (told.code, told.severity) == ("not-allowable", "warning")


def test_errors_come_first() -> None:
    linter = Linter(CONTEXT)
    for row in split([pair("q", "caf\ufffd")] * 5):
        linter.take(row)
    linter.refusal(Place(Path("x"), 1, 0), TunerError("no", code="bad-row"))
    severities = [problem.severity for problem in linter.finish()]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


@given(st.text(max_size=60), st.text(min_size=1, max_size=60))
def test_any_text_can_be_linted(prompt: str, answer: str) -> None:
    assert isinstance(one(pair(prompt, answer)), dict)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=40))
def test_the_same_words_are_always_like_each_other(words: list[str]) -> None:
    found = NearDuplicates()
    found.add(" ".join(words))
    found.add("  ".join(words))
    assert list(found.pairs()) == [(1, 0)]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "é", "x1", "12", "7", "_", "…", "\x00", "b\x00c"]), max_size=30), max_size=40
    )
)
def test_words_and_numbers_are_found_in_portions_as_one_by_one(texts: list[list[str]]) -> None:
    together, alone = NearDuplicates(), NearDuplicates()
    for words in texts:
        together.add(" ".join(words))
        alone.add(" ".join(words))
        alone.settle()
    together.settle()
    assert [ids.tolist() for ids in together.words] == [ids.tolist() for ids in alone.words]
    numbers = [re.findall(r"\d+", " ".join(re.findall(r"\w+", " ".join(words)))) for words in texts]
    assert [list(found) for found in together.numbers] == numbers
