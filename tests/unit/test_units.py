"""Quantities in words."""

from __future__ import annotations

import pytest

from tui_tuner.units import duration, interval, listed, many, size


@pytest.mark.parametrize(
    ("count", "plain", "fine"),
    [
        (0, "0 B", "0 B"),
        (999, "999 B", "999 B"),
        (999.6, "1.0 kB", "1.00 kB"),
        (5_630_000, "5.6 MB", "5.63 MB"),
        (35.24e6, "35.2 MB", "35.2 MB"),
        (448e6, "448 MB", "448 MB"),
        (999.7e6, "1.0 GB", "1.00 GB"),
        (1.944e9, "1.9 GB", "1.94 GB"),
        (9.996e9, "10.0 GB", "10.0 GB"),
        (120e9, "120 GB", "120 GB"),
        (3e12, "3.0 TB", "3.00 TB"),
        (4e15, "4000.0 TB", "4000.0 TB"),
        (-1.5e6, "-1.5 MB", "-1.50 MB"),
    ],
)
def test_bytes(count: float, plain: str, fine: str) -> None:
    assert (size(count), size(count, fine=True)) == (plain, fine)


def test_seconds() -> None:
    told = [duration(each) for each in (0.2, 40, 89, 720, 5_399, 12_000)]
    assert told == ["0.2 s", "40 s", "89 s", "12 min", "1 h 30 min", "3 h 20 min"]


def test_a_figure_with_its_interval() -> None:
    assert interval({"value": 0.4123, "low": 0.38, "high": 0.4469}) == "0.412 (0.380 to 0.447)"
    assert interval({"value": 0.4123, "low": None, "high": None}, 4) == "0.4123"
    assert interval({"value": 1, "low": float("nan"), "high": 2}) == "1.000"
    assert interval({"value": None}) == interval({"value": "x"}) == interval(None) == "–"


def test_counts_and_words_in_sentences() -> None:
    assert [many(1, "row"), many(1_234, "row"), many(0, "row")] == ["1 row", "1,234 rows", "0 rows"]
    assert [many(1, "copy is", "copies are"), many(2, "copy is", "copies are")] == ["1 copy is", "2 copies are"]
    assert [listed([]), listed("a"), listed("ab"), listed([2, 4, 8], "or")] == ["", "a", "a and b", "2, 4 or 8"]
