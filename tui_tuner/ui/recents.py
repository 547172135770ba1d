"""The sources of data that were opened last, kept beside the person's settings.

They are a convenience: a file that cannot be read or written costs nothing but the list.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from tui_tuner.errors import TunerError
from tui_tuner.paths import config_dir
from tui_tuner.runs.files import read_json, write_json

MOST = 12


def _file() -> Path:
    return config_dir() / "recent-sources.json"


def recent_sources() -> list[str]:
    """The sources opened last, the newest first."""
    try:
        found = read_json(_file())
    except (OSError, ValueError, TunerError):
        return []
    listed = found.get("sources") if isinstance(found, dict) else None
    return [text for text in listed if isinstance(text, str) and text][:MOST] if isinstance(listed, list) else []


def remember_source(source: str) -> None:
    """Puts a source to the top of the list."""
    sources = [source, *(other for other in recent_sources() if other != source)][:MOST]
    with contextlib.suppress(OSError, TunerError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_json(_file(), {"sources": sources})
