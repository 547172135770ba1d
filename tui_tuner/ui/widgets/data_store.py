"""Rows by their place, as far as they have come: what is to be seen is asked for in windows, what is far forgotten.

A row carries its tokens, so a million of them cannot be held. The store keeps those that were looked at last, counted
in tokens. It must never ask twice for a row that the engine did not give.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from tui_tuner.engine.protocol import Engine, JobHandle, JobStatus
from tui_tuner.engine.requests import PreviewData
from tui_tuner.engine.results import DataPreview, PreviewRow
from tui_tuner.ui.widgets.data_listing import Listing, Place

MOST_TOKENS = 400_000
"""Tokens of all rows that are kept; more only where a single window has more."""
WINDOW = 24
"""Rows before and after those in sight that are asked for with them."""


class RowStore:
    """A cache of rows in front of the engine.

    Attributes:
        missed: whether a row was asked for that is not here (and not known to be missing).
    """

    def __init__(self) -> None:
        self.missed = False
        self._rows: OrderedDict[Place, PreviewRow] = OrderedDict()
        self._gone: set[Place] = set()
        self._tokens = 0
        self._asked: tuple[JobHandle, tuple[Place, ...]] | None = None

    def reset(self, rows: Iterable[PreviewRow] = ()) -> None:
        """Forgets everything (the data is another), and begins with these rows."""
        if self._asked is not None and not self._asked[0].status.ended:
            self._asked[0].control.stop()
        self._asked = None
        self._rows.clear()
        self._gone.clear()
        self._tokens = 0
        self.missed = False
        self._take(rows)

    def row(self, place: Place) -> PreviewRow | None:
        """The row at a place, or None when it is not here (yet)."""
        found = self._rows.get(place)
        if found is not None:
            self._rows.move_to_end(place)
        elif place not in self._gone:
            self.missed = True
        return found

    def is_gone(self, place: Place) -> bool:
        """Whether the engine was asked for the row and had none: it cannot be rendered."""
        return place in self._gone

    def take_answer(self) -> bool:
        """Takes over what has come; whether anything has."""
        if self._asked is None or not self._asked[0].status.ended:
            return False
        handle, places = self._asked
        self._asked = None
        if isinstance(handle.result, DataPreview):
            self._take(handle.result.rows)
            handle.result = None  # the engine remembers its last jobs, and rows are large
        if handle.status is not JobStatus.STOPPED:
            self._gone.update(place for place in places if place not in self._rows)
        return True

    def ask(self, engine: Engine, request: PreviewData, listing: Listing, sight: range, cursor: int) -> None:
        """Asks for the rows around those in sight that are not here, one window at a time.

        Args:
            request: names the data; its `only` is filled in.
            sight: positions of the listing that are to be seen.
            cursor: the selected position, which may be out of sight.
        """
        self.missed = False
        if self._asked is not None:
            self.missed = True  # asked again when that answer is here
            return
        places = self._wanted(listing, sight, cursor)
        if places:
            only = PreviewData(request.experiment, request.base, only=places)
            self._asked = engine.submit(only), places

    def _wanted(self, listing: Listing, sight: range, cursor: int) -> tuple[Place, ...]:
        def lacking(start: int, stop: int) -> list[Place]:
            places = (listing.place(at) for at in range(max(start, 0), min(stop, len(listing))))
            return [place for place in places if place not in self._rows and place not in self._gone]

        seen = lacking(sight.start, sight.stop)
        around = lacking(sight.start - WINDOW, sight.stop + WINDOW) if seen else []
        return tuple(around if cursor in sight else [*lacking(cursor, cursor + 1), *around])

    def _take(self, rows: Iterable[PreviewRow]) -> None:
        fresh = list(rows)
        for row in fresh:
            place = row.split, row.index
            self._forget(place)
            self._rows[place] = row
            self._tokens += len(row.tokens)
        self._shrink(len(fresh))

    def _forget(self, place: Place) -> None:
        old = self._rows.pop(place, None)
        if old is not None:
            self._tokens -= len(old.tokens)

    def _shrink(self, keep: int) -> None:
        """Forgets what was not looked at for the longest time, but never what has just come."""
        while self._tokens > MOST_TOKENS and len(self._rows) > keep:
            _, old = self._rows.popitem(last=False)
            self._tokens -= len(old.tokens)


def held(rows: Sequence[PreviewRow]) -> list[Place]:
    """The places of rows."""
    return [(row.split, row.index) for row in rows]
