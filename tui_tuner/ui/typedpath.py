"""What a person types, pastes or drops where a file or folder is asked for, as a path.

Whatever that is, nothing raises here: a path that cannot be, or may not be looked at, is told of by who reads or writes
it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tui_tuner.paths import find_local


def dropped(text: str) -> str:
    """The path in what a terminal pastes for a dropped file: quotes, escapes and `file://` taken off."""
    line = next((part.strip() for part in text.splitlines() if part.strip()), "")
    if len(line) > 1 and line[0] == line[-1] and line[0] in "'\"":
        return line[1:-1]
    if line.startswith("file://"):
        return unquote(urlsplit(line).path)
    if os.sep == "/" and "\\" in line and find_local(line, None) is None:
        return re.sub(r"\\(.)", r"\1", line)
    return line


def typed_path(text: str, folder: Path | None = None) -> Path:
    """The path that a text means, from `folder` or the working folder; `~` is one's home, and nobody's stays a name."""
    # Unlike Path's own, this leaves the home of an unknown user as it is written.
    return (folder if folder is not None else Path.cwd()) / os.path.expanduser(text)  # noqa: PTH111


def is_there(path: Path) -> bool:
    """Whether something is in a place, as far as that can be seen."""
    return os.path.exists(path)  # noqa: PTH110  Path's own raises for a name that is too long, or a folder that is shut
