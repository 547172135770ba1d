"""Cases of a test that differ in a setting: a few are run always, all of them by `make test-all`."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def twins(cases: Iterable[Any], quick: Container[Any]) -> list[Any]:
    """Cases for `parametrize`, those that are not quick marked slow; each is one value, or a tuple of several."""
    marked = []
    for case in cases:
        values = case if isinstance(case, tuple) else (case,)
        marked.append(case if case in quick else pytest.param(*values, marks=pytest.mark.slow))
    return marked
