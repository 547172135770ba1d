"""What a source holds, as one short text: the same for the same content, another as soon as a byte of it changes.

Hashing a file takes as long as reading it, so a file's hash is kept in the cache folder for as long as name, size, time
of change and inode stay. The cache may be deleted at any time, and it must never fail anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path

from tui_tuner.data.readers.content import changed, identity
from tui_tuner.data.table import Source
from tui_tuner.errors import TunerError
from tui_tuner.paths import cache_dir
from tui_tuner.runs.files import read_failure, read_object, write_json

_MOST = 2000
_SETTLED = 2.0  # seconds; a file may change again within the granularity of its time


def fingerprint(source: Source) -> str:
    """A hash over all files of a source and over which split each belongs to; for a set on the Hub the library's own.

    What is said of the files (a slice, an encoding, a separator) is not in it: that is the configuration's.

    Raises:
        TunerError: a file can't be read, or changes meanwhile.
    """
    digest = hashlib.sha256()
    for split, table in source.tables.items():
        own = getattr(table, "fingerprint", "")
        parts = [own] if own else [file_hash(path) for path in table.files]
        digest.update(json.dumps([split, parts]).encode())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, from the cache where the file is the same as then.

    Raises:
        TunerError: it can't be read, or changes while it is read.
    """
    before = identity(path)
    key = f"{path}|{'|'.join(map(str, before))}"
    store = cache_dir() / "fingerprints.json"
    known = read_object(store)
    if isinstance(told := known.get(key), str):
        return told
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise read_failure(error, path) from None
    if identity(path) != before:
        raise changed(path)
    if time.time() - before[3] / 1e9 > _SETTLED:
        _keep(store, key, found)
    return found


def _keep(store: Path, key: str, found: str) -> None:
    with contextlib.suppress(TunerError, OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        kept = [*read_object(store).items(), (key, found)][-_MOST:]
        write_json(store, dict(kept))
