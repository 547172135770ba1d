"""Which number a text gives as its answer, and when two numbers are the same."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.evaluation.metrics import score_rows, scored
from tui_tuner.evaluation.metrics.numbers import answer_number, numbers, right_number


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,234", ["1234"]),
        ("$1,234.50", ["1234.5"]),
        ("1.234,50 €", ["1234.5"]),
        ("1.234.567", ["1234567"]),
        ("12,34,567", ["1234567"]),
        ("1\u202f234 and 1'234", ["1234", "1234"]),
        ("2024 300", ["2024", "300"]),
        ("12,5", ["12.5"]),
        ("3,4,5", ["3", "4", "5"]),
        ("in 2024, 5 men", ["2024", "5"]),
        (".5 or 0.50 or 1/2", ["1/2", "1/2", "1/2"]),
        (r"\frac{3}{4} of 1{,}200", ["3/4", "1200"]),
        ("-5, −5, -$5 and $-5", ["-5", "-5", "-5", "-5"]),
        ("3-4 and 5–7", ["3", "4", "5", "7"]),
        ("10 - 3 = 7", ["10", "3", "7"]),
        ("- 5 apples", ["5"]),
        ("10/12/2025 at 12:30", ["10", "12", "2025", "12", "30"]),
        ("1e-5 and 3.2E4", ["0.00001", "32000"]),
        ("US$5, USD 6, Rs. 7", ["5", "6", "7"]),
        ("COVID-19 in Q4", []),
        ("1st, 5km, (7), **8**, $9$", ["1", "5", "7", "8", "9"]),
        ("٣٤", ["34"]),
        ("42.", ["42"]),
        ("007", ["7"]),
        ("1/0", []),
        ("9" * 5000, []),
        ("1e999999999", []),
        ("no number", []),
    ],
)
def test_numbers_of_a_text(text: str, values: list[str]) -> None:
    assert [number.value for number in numbers(text)] == [Fraction(value) for value in values]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("She sold 48/2 = <<48/2=24>>24 clips.\n#### 72", "72"),
        ("#### 1,000 dollars, not 5", "1000"),
        ("####-7", "-7"),
        ("#### **18**", "18"),
        ("#### Step 1\nso it is 9", "9"),
        ("#### 2. Then add 5: 11", "11"),
        (r"so \boxed{\frac{1}{2}}, see page 3", "1/2"),
        ("First 3, then 4.", "4"),
    ],
)
def test_the_number_that_is_the_answer(text: str, value: str) -> None:
    found = answer_number(text)
    assert found is not None and found.value == Fraction(value)


@pytest.mark.parametrize(
    ("said", "right", "same"),
    [
        ("It costs $1,234.50.", "1234.5", 1.0),
        ("3.0", "3", 1.0),
        ("50%", "50", 1.0),
        ("50 %", "0.5", 1.0),
        ("0.5", "50 percent", 1.0),
        ("50 %", "5 %", 0.0),
        ("0.5", "50", 0.0),
        ("-5", "5", 0.0),
        ("12", "#### 12", 1.0),
        ("112", "12", 0.0),
        ("It is 12, I think, out of 20", "12", 0.0),
        ("none", "12", 0.0),
        ("", "12", 0.0),
    ],
)
def test_right_numbers(said: str, right: str, same: float) -> None:
    assert right_number(said, [right]) == same


def test_any_number_may_be_asked_for() -> None:
    assert right_number("It is 12, I think, out of 20", ["12"], "any") == 1.0
    assert right_number("12 or 13", ["#### 14"], "any") == 0.0
    assert right_number("14", ["12", "14"]) == 1.0


def test_rows_whose_reference_has_no_number_do_not_count() -> None:
    result = scored("numeric_accuracy", ["5", "6", "none"], ["5", "7", "a word"])
    assert result.value == 0.5
    assert result.counted is not None and result.counted.tolist() == [True, True, False]
    assert score_rows("numeric_accuracy", ["12 of 20"], ["12"], which="any").tolist() == [1.0]
    assert np.isnan(scored("numeric_accuracy", ["5"], ["five"]).value)


@settings(max_examples=200, deadline=None)
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_a_number_is_found_again_however_it_is_written(value) -> None:
    for text in (f"{value}", f"{value:,}", f"It is {value:,}.", f"{value:,}".replace(",", "'")):
        found = answer_number(text)
        assert found is not None and found.value == Fraction(str(value)), text


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789.,/-−$%eE #'\\{}boxed\u202f"), max_size=40))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    answer_number(text)
    assert right_number(text, [text]) in (1.0, None)
