"""Conditions: what they compare, how values count, and that nothing else can happen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.data.conditions import Condition
from tui_tuner.errors import TunerError

RECORD: dict[str, Any] = {
    "yards": "12",
    "share": 0.5,
    "won": True,
    "none": None,
    "blank": " ",
    "name": "Ann Lee",
    "code": "007",
    "club": {"city": "Bern"},
    "tags": ["a", "b"],
    "First name": "Ann",
    "negative": "-3",
    "huge": 10**400,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("yards > 9", True),  # as numbers, though the file has texts: "12" < "9" as texts
        ("yards >= 12 and yards <= 12", True),
        ("yards != 12", False),
        ("negative < 0", True),
        ("code == 7", True),
        ('code == "7"', False),
        ('code == "007"', True),
        ("share == 0.5", True),
        ("won", True),
        ("not won", False),
        ("won == true", True),
        ("none == null", True),
        ("missing == null", True),
        ("blank", False),
        ("none < 5", False),
        ("not (yards > 9 and won)", False),
        ('name contains "Lee"', True),
        ('name not contains "Lee"', False),
        ('name startswith "Ann" or name endswith "x"', True),
        ('club.city == "Bern"', True),
        ('club.city in ("Basel", "Bern")', True),
        ('club.city not in ("Basel", "Bern")', False),
        ("length(name) > 5 and length(tags) == 2", True),
        ('`First name` == "Ann"', True),
        ('name == "Ann \\"Lee\\""', False),
        ("yards > 9 or missing > 9 and none", True),
        ("not not won", True),
        ("huge > 1e300 and huge != 5", True),
    ],
)
def test_conditions_hold_or_not(text: str, holds: bool) -> None:
    assert Condition.parse(text).holds(RECORD) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty (character 1)"),
        ("yards >", "breaks off (character 8)"),
        ("yards > 9 9", 'has "9" where it should end (character 11)'),
        ("(yards", 'breaks off where ")" should be'),
        ("yards in 9", 'has "9" where "(" should be (character 10)'),
        ("== 9", 'has "==" where a column or a value should be (character 1)'),
        ("(" * 60 + "a" + ")" * 60, "is nested too deeply"),
        ("length(" * 60 + "a" + ")" * 60, "is nested too deeply"),
    ],
)
def test_what_cannot_be_read_names_the_place(text: str, message: str) -> None:
    with pytest.raises(TunerError) as caught:
        Condition.parse(text)
    assert message in caught.value.message
    assert caught.value.code == "bad-condition"


def test_the_columns_it_looks_at_are_known() -> None:
    assert Condition.parse('a.b > 1 and `c d` == "e" or length(f)').paths == {"a.b", "c d", "f"}


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        condition = Condition.parse(text)
    except TunerError:
        return
    assert condition.holds(RECORD) in (True, False)


@pytest.mark.parametrize("text", ["__import__('os')", "name.__class__", "yards.real", "(lambda: 1)()"])
def test_nothing_can_be_run(text: str) -> None:
    try:
        assert Condition.parse(text).holds(RECORD) is False
    except TunerError as error:
        assert error.code == "bad-condition"
