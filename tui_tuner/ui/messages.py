"""What the app tells itself. These carry no data: what changed is read from the state, so any number of them may be
merged into one. They are handled by the app, which then calls the hooks of the visible screen."""

from __future__ import annotations

from textual.message import Message


class _Merging(Message, bubble=False, namespace="tuner"):
    """A message of which only the newest matters."""

    def can_replace(self, message: Message) -> bool:
        return type(message) is type(self)


class EngineChanged(_Merging, namespace="tuner"):
    """A job was submitted, began, or ended."""


class RunChanged(_Merging, namespace="tuner"):
    """The run being looked at has new events, or another state."""


class ExperimentChanged(_Merging, namespace="tuner"):
    """Another experiment was loaded, or a field of it was edited."""


class RunSelected(_Merging, namespace="tuner"):
    """Another run is being looked at, or none."""
