"""What was opened last, kept in lists beside the person's settings.

They are a convenience: a file that cannot be read or written costs nothing but the list.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from tui_tuner.errors import TunerError
from tui_tuner.paths import config_dir
from tui_tuner.runs.files import read_json, write_json

MOST = 12


def _file(kind: str) -> Path:
    return config_dir() / f"recent-{kind}.json"


def recent(kind: str) -> list[str]:
    """What was opened last of a kind, the newest first."""
    try:
        found = read_json(_file(kind))
    except (OSError, ValueError, TunerError):
        return []
    listed = found.get(kind) if isinstance(found, dict) else None
    return [text for text in listed if isinstance(text, str) and text][:MOST] if isinstance(listed, list) else []


def remember(kind: str, name: str) -> None:
    """Puts a name to the top of the list of its kind."""
    names = [name, *(other for other in recent(kind) if other != name)][:MOST]
    with contextlib.suppress(OSError, TunerError):
        _file(kind).parent.mkdir(parents=True, exist_ok=True)
        write_json(_file(kind), {kind: names})


def recent_sources() -> list[str]:
    """The sources of data opened last, the newest first."""
    return recent("sources")


def remember_source(source: str) -> None:
    """Puts a source to the top of the list."""
    remember("sources", source)
