"""What an answer must hold and must not: words, numbers, expressions, form, length, and what a negation excuses."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tui_tuner.config import experiment_from_text
from tui_tuner.config.behaviour_section import BehaviourCase
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.rules import SECONDS, broken, mentions


def case(**rules: Any) -> BehaviourCase:
    return BehaviourCase.model_validate({"name": "a", "prompt": "b", **rules})


@pytest.mark.parametrize(
    ("words", "text", "there"),
    [
        ("egg", "Two eggs.", True),
        ("egg", "An EGG, beaten", True),
        ("egg", "eggplant", False),
        ("egg*", "eggplant", True),
        ("*berry", "a blueberry", True),
        ("berry", "a blueberry", False),
        ("tomato", "tomatoes", True),
        ("sour cream", "sour\ncream", True),
        ("sour cream", "sour, cream", False),
        ("c++", "in C++ and", True),
        ("é", "café é", True),
        ("*", "anything", False),
    ],
)
def test_words_count_whole_and_in_the_plural(words: str, text: str, there: bool) -> None:
    assert bool(mentions(words, text)) == there


@pytest.mark.parametrize(
    ("text", "excused"),
    [
        ("This has no chicken.", True),
        ("Add chicken.", False),
        ("no beef, chicken or pork", True),
        ("No beef, but chicken is fine", False),
        ("without any chicken", True),
        ("Do not add chicken", True),
        ("No salt, add chicken", False),
        ("a chicken-free soup", True),
        ("free of chicken", True),
        ("Not only chicken, also beef", False),
        ("There is no salt. Chicken is added.", False),
        ("Use tofu instead of chicken", True),
        ("It doesn't contain chicken", True),
        ("It isn't hard: fry the chicken", False),
        ("no meat, fish, eggs, or chicken", True),
        ("without nuts, the chicken is fried", False),
        ("a non-chicken dish", True),
        ("chicken without salt", False),
        ("No problem, chicken it is", False),
        ("Chicken is not used", True),
        ("no chicken at first, then add chicken", False),
    ],
)
def test_a_negation_excuses_when_the_case_says_so(text: str, excused: bool) -> None:
    strict, lenient = case(must_not=["chicken"]), case(must_not=["chicken"], negation=True)
    assert broken(strict, text)
    assert (not broken(lenient, text)) == excused


def test_numbers_stand_by_themselves() -> None:
    assert not broken(case(must=["number:4"]), "It serves 4.")
    assert not broken(case(must=["number:1/2"]), "0.5 l of milk")
    assert broken(case(must=["number:4"]), "It serves 14, at 4.5, Q4 or H4O")
    assert broken(case(must_not=["number:1250"]), "1,250 grams")
    assert not broken(case(must_not=["number:1250"]), "12,500 grams")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1}', ""),
        ('```json\n{"a": 1}\n```', ""),
        ('{"a": 1} and more', "it is no valid JSON"),
        ("{'a': 1}", "it is no valid JSON"),
        ('{"a": NaN}', "it is no valid JSON"),
        ("[" * 100_000, "it is no valid JSON"),
        ("[1]", "it is no JSON object"),
        ('{"b": 1}', 'its JSON has no key "a"'),
    ],
)
def test_json_is_the_whole_answer(text: str, why: str) -> None:
    assert broken(case(keys=["a"]), text) == ([why] if why else [])


def test_length_and_the_whole_answer() -> None:
    assert broken(case(min_words=3), "one two") == ["it has 2 words, fewer than 3"]
    assert broken(case(max_words=1), "one two") == ["it has 2 words, more than 1"]
    assert not broken(case(equals="Yes."), " Yes.\n")
    assert broken(case(equals="Yes."), "yes.")


def test_an_expression_that_never_ends_breaks_its_rule_in_time() -> None:
    """(a|aa)+$ takes ever more steps on a text of n letters that does not match."""
    hostile = "a" * 60 + "!"
    started = time.monotonic()
    for rules in ({"must": ["re:^(a|aa)+$"]}, {"must_not": ["re:^(a|aa)+$"]}):
        assert "took longer" in broken(case(**rules), hostile)[0]
    assert time.monotonic() - started < 20 * SECONDS
    assert not broken(case(must=["re:^(a|aa)+$"]), "aaa")


PRESET = """
[model]
path = "a"
[data]
source = "b"
[[behaviour.cases]]
name = "one"
prompt = "two"
{rule}
"""


@pytest.mark.parametrize(
    ("rule", "message", "fix"),
    [
        ('must = "re:(a"', "is no regular expression", "mend it"),
        ('must = "number:x"', "is no number", "number:42"),
        ('must = "number:1/0"', "is no number", "number:42"),
        ('must = "number:1e-9999999999"', "beyond all measure", "number:42"),
        ("min_words = 5\nmax_words = 2", "is more than max_words (2)", "lower it"),
        ("", "has no rule", "give must or must_not"),
        ("samples = 0.5\nmust = 'a'", "not a whole number", "set it to a whole number"),
        ('musst = "a"', "there is no key", ""),
    ],
)
def test_a_case_that_cannot_be_judged_is_refused_with_its_place(rule: str, message: str, fix: str) -> None:
    with pytest.raises(TunerError) as caught:
        experiment_from_text(PRESET.format(rule=rule), "x.toml")
    assert message in caught.value.message
    assert fix in caught.value.fix
    assert caught.value.where.startswith("x.toml, line")


def test_two_cases_of_one_name_are_refused() -> None:
    text = PRESET.format(rule='must = "a"\n[[behaviour.cases]]\nname = "one"\nprompt = "c"\nmust = "d"')
    with pytest.raises(TunerError, match='two cases called "one"'):
        experiment_from_text(text, "x.toml")
