"""Progress is told now and then, and its end always."""

from __future__ import annotations

from typing import Any

from tui_tuner.runs.progress import Throttle


def test_progress_is_told_four_times_a_second_at_most_and_at_the_end() -> None:
    now = [0.0]
    told: list[tuple[str, dict[str, Any]]] = []

    def emit(type: str, /, **fields: Any) -> None:
        told.append((type, fields))

    tell = Throttle(emit, "baseline", 1_000, clock=lambda: now[0])
    for done in range(1, 1_001):
        now[0] = done * 0.01
        tell(done, "answering")
    assert {kind for kind, _ in told} == {"progress"}
    steps = [fields["done"] for _, fields in told]
    assert steps[0] == 1
    assert steps[-1] == 1_000
    assert 38 <= len(steps) <= 42
    assert told[-1][1] == {"stage": "baseline", "done": 1_000, "total": 1_000, "text": "answering"}
