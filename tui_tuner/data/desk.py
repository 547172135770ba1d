"""The data sets that are being looked at, read once and kept: every question is answered from the same rows.

Several threads ask at a time: one reads, the others wait for it. What is kept is known by what it was made of
(settings, seed, and the content of the source), so a file that changed is read again and nothing has to be declared
stale. It must never hold more than a few sets.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.data.draft import Draft, draft
from tui_tuner.data.fingerprints import fingerprint
from tui_tuner.data.opening import open_source

if TYPE_CHECKING:
    from tui_tuner.config import DataSection

_MOST = 2
Key = tuple[str, int, Path | None, str]


@dataclass
class _Place:
    """Where a draft is laid down; its lock is held by whoever makes it."""

    made: Draft | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Desk:
    """Holds the last drafts. Safe to use from several threads.

    Args:
        most: drafts that are held; the one that was not asked for longest goes first.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._places: OrderedDict[Key, _Place] = OrderedDict()

    def draft(
        self, data: DataSection, seed: int, base: Path | None = None, check: Callable[[], None] = lambda: None
    ) -> Draft:
        """As `data.draft.draft`; what is held already is given again, and nobody may change it.

        Raises:
            TunerError: what `draft` raises; a draft that failed is not held.
        """
        key = _key(data, seed, base)
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            while len(self._places) > self._most:
                self._places.popitem(last=False)
        with place.lock:
            if place.made is None:
                place.made = draft(data, seed, base, check)
            return place.made

    def __len__(self) -> int:
        with self._lock:
            return sum(place.made is not None for place in self._places.values())

    def clear(self) -> None:
        """Lets go of all of them."""
        with self._lock:
            self._places.clear()


def _key(data: DataSection, seed: int, base: Path | None) -> Key:
    """What a draft depends on.

    Raises:
        TunerError: the source is not there, or cannot be read.
    """
    source = open_source(data, base)
    try:
        return data.model_dump_json(), seed, base, fingerprint(source)
    finally:
        source.close()
