"""Counts in sentences. No formatting but that of whole numbers."""

from __future__ import annotations


def many(count: int, one: str, more: str) -> str:
    """`1 row is` or `1,200 rows are`: the count with the words that go with it."""
    return f"{count:,} {one if count == 1 else more}"
