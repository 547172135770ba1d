"""Entries of the cache: arrays under a name that says what they were made of, in folders that must not grow for ever.

An entry is whole or none: damage is found by the archive's checksums. The longest unused go first. It must never remove
the file that was just made, nor fail over one that somebody else removed meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """An entry's arrays, which count as used just now; None when there is no such entry, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return found


def write_arrays(path: Path, arrays: Arrays, limit: int) -> None:
    """Writes an entry under a temporary name and renames it; gives up quietly where that cannot be.

    Args:
        limit: bytes that all entries of the folder may take together.
    """
    if sum(array.nbytes for array in arrays.values()) > limit:
        return
    temporary = path.with_name(f"tmp-{secrets.token_hex(6)}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
        trim(path.parent, limit, keep=path, pattern="*.npz")
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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
