"""Events as lines for those without a screen; an event of another program is never an error."""

from __future__ import annotations

from typing import Any

import pytest

from tui_tuner.cli.telling import Teller


def told(event: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    Teller(lines.append).tell({"t": 0.0, **event})
    return lines


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            {"type": "behaviour", "label": "after", "rate": 0.5, "low": 0.25, "high": 0.75, "n": 4},
            "  after: 50% of behaviour cases passed (25% to 75%)",
        ),
        (
            {
                "type": "canaries",
                "label": "after",
                "rate": 0.1,
                "low": 0.0,
                "high": 0.2,
                "n": 40,
                "died": ["json", "a"],
            },
            "  after: 10% of canaries answered well (0% to 20%); died: json, a",
        ),
        (
            {"type": "canaries", "label": "before", "rate": 1.0, "low": 0.9, "high": 1.0, "n": 40, "died": []},
            "  before: 100% of canaries answered well (90% to 100%)",
        ),
    ],
)
def test_suites_are_told_in_a_line(event: dict[str, Any], line: str) -> None:
    assert told(event) == [line]


@pytest.mark.parametrize("kind", ["behaviour", "canaries"])
def test_events_without_fields_say_nothing(kind: str) -> None:
    assert told({"type": kind}) == []
    assert told({"type": kind, "rate": "x", "died": 3}) == []
