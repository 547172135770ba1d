"""What a person may type for another learning rate, and what is refused in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.config import describe
from tui_tuner.errors import TunerError
from tui_tuner.runs.rates import HIGHEST, RateWish


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("1e-5", RateWish(1e-5)),
        ("0.00005", RateWish(5e-5)),
        (" 5E-6 ", RateWish(5e-6)),
        (".5", RateWish(0.5)),
        ("1.", RateWish(1.0)),
        ("x0.5", RateWish(0.5, relative=True)),
        ("×2", RateWish(2.0, relative=True)),
        ("X 0.1", RateWish(0.1, relative=True)),
        ("*3", RateWish(3.0, relative=True)),
        ("/2", RateWish(0.5, relative=True)),
        ("/ 4", RateWish(0.25, relative=True)),
    ],
)
def test_what_is_understood(text: str, wish: RateWish) -> None:
    assert RateWish.parse(text) == wish
    assert RateWish.read(wish.value) == wish


@pytest.mark.parametrize(
    "text",
    ["", "x", "/", "fast", "-1e-5", "0", "x0", "/0", "1e999", "/1e-999", "1e-5 2", "0,5", "x-2", "nan", "٣", "11"],
)
def test_what_is_refused_says_what_to_write(text: str) -> None:
    with pytest.raises(TunerError) as caught:
        RateWish.parse(text)
    error = caught.value
    assert (error.code, error.usage) == ("bad-rate", True)
    assert "5e-6" in error.fix and "x0.5" in error.fix


@pytest.mark.parametrize("value", [None, True, [], {}, float("inf"), float("nan"), 0, -1])
def test_a_request_with_something_else_is_refused(value: object) -> None:
    with pytest.raises(TunerError):
        RateWish.read(value)


def test_a_factor_is_of_the_rate_in_force() -> None:
    assert RateWish.parse("x0.5").rate(9.999999747378752e-05) == 5e-5
    assert RateWish.parse("2e-5").rate(123.0) == 2e-5
    for factor, present in (("x100", 1.0), ("x0.5", 0.0)):
        with pytest.raises(TunerError, match="would make a rate of"):
            RateWish.parse(factor).rate(present)


def test_the_highest_rate_is_that_of_the_configuration() -> None:
    field = describe.field("train.learning_rate")
    assert field is not None
    assert (field.low, field.low_open, field.high, field.high_open) == (0, True, HIGHEST, False)


@given(st.floats(1e-12, HIGHEST), st.booleans())
def test_a_wish_survives_its_way_through_a_request(amount: float, relative: bool) -> None:
    wish = RateWish(amount, relative)
    assert RateWish.read(wish.value) == wish
