"""The probes of a run as its events tell them: which prompts there are, and who said what after how many steps.

Like the view it reads, it must never fail on an event, whatever is in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..errors import TunerError
from .events import Event

PROMPT_LIMIT: Final = 20_000
"""The longest prompt that can be added to a run, in characters."""


def prompt_of(value: Any) -> str:
    """A text that somebody wants to be asked, as a prompt.

    Raises:
        TunerError: `bad-probe` when it is no text, empty, or too long.
    """
    if not isinstance(value, str) or not value.strip():
        raise _bad("a probe is a text, and this is none", "write the prompt that shall be answered")
    if len(value) > PROMPT_LIMIT:
        raise _bad(f"the probe has {len(value):,} characters", f"keep it to {PROMPT_LIMIT:,} or fewer")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _bad("the probe holds what is no UTF-8 text", "write it as UTF-8") from error
    return value


def _bad(message: str, fix: str) -> TunerError:
    return TunerError(message, code="bad-probe", fix=fix, usage=True)


def added_prompts(events: Iterable[Event]) -> list[str]:
    """The prompts that were added to a run while it went on, in the order in which they came."""
    found: dict[str, None] = {}
    for event in events:
        value = event.get("value")
        if event.get("type") == "control" and event.get("what") == "probe" and isinstance(value, str):
            found[value] = None
    return list(found)
