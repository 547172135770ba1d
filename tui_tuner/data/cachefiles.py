"""Folders of the cache that must not grow for ever: the longest unused files go first.

It must never remove the file that was just made, nor fail over one that somebody else removed meanwhile.
"""

from __future__ import annotations

import contextlib
from pathlib import Path


def trim(folder: Path, limit: int, keep: Path, pattern: str = "*") -> None:
    """Removes the longest unused files of a folder until all together are within `limit` bytes; `keep` stays.

    Raises:
        OSError: the folder can't be listed, or a file not removed.
    """
    entries = []
    for path in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            entries.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries, key=lambda entry: entry[0]):
        if total <= limit:
            return
        if path != keep:
            path.unlink(missing_ok=True)
            total -= size
