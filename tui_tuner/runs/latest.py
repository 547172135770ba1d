"""Events of which the latest of a kind counts: a sample of a prompt at a step, a checkpoint at a step.

It finds what a new one replaces without looking through all, and keeps a bounded number of them.
"""

from __future__ import annotations

from collections.abc import Hashable

from .columns import number
from .events import Event


class LatestEvents:
    """Events by step and kind, in the order in which they came.

    Args:
        limit: how many are kept; the oldest go first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: dict[tuple[float, Hashable], Event] = {}
        self._list: list[Event] | None = []

    def add(self, step: float, kind: Hashable, event: Event) -> None:
        """Keep an event at the end, in place of an earlier one of the same step and kind."""
        self._events.pop((step, kind), None)
        self._events[step, kind] = event
        if len(self._events) > self._limit:
            del self._events[next(iter(self._events))]
        self._list = None

    def cut_after(self, step: float) -> None:
        """Drop what lies beyond `step`."""
        if any(key[0] > step for key in self._events):
            self._events = {key: event for key, event in self._events.items() if key[0] <= step}
            self._list = None

    def as_list(self) -> list[Event]:
        """The events, oldest first; the same list until something changes, and not to be changed by the caller."""
        if self._list is None:
            self._list = list(self._events.values())
        return self._list


def step_of(event: Event) -> float | None:
    """The step of an event, or None when it names no usable one."""
    return number(event.get("step"))
