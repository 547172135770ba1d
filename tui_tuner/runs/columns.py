"""Numbers by step, in numpy columns that grow at their end.

A curve of a hundred thousand points must be appended to and drawn without copying it each time. This module never drops
or averages a value: what a column holds is what the run reported, NaN where it reported nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST_CAPACITY = 256
_GROWTH = 1.25
"""By which the room grows. A long curve is the one thing that a run's memory grows with, so little is kept in stock."""
_MOST_COLUMNS = 64  # a log that invents field names must not eat the memory


class Columns:
    """A table with one row a step, in strictly rising order of `step`, and a float64 column for each number reported.

    Args:
        names: the columns that are there from the beginning; others appear when an event brings them.
        closed: whether no others appear, for who needs a few columns only.
    """

    def __init__(self, names: tuple[str, ...] = (), *, closed: bool = False) -> None:
        self._length = 0
        self._places = {name: place for place, name in enumerate(("step", *names))}
        self._most = len(self._places) if closed else max(_MOST_COLUMNS, len(self._places))
        self._table: NDArray[np.float64] = np.empty((len(self._places), _FIRST_CAPACITY))
        self._last = -math.inf
        self.version = 0
        """Rises with every change, so that a screen can tell whether to draw."""

    def __len__(self) -> int:
        return self._length

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are, `step` first."""
        return tuple(self._places)

    @property
    def last_step(self) -> float:
        """The step of the last row; minus infinity when there is none."""
        return self._last

    def column(self, name: str) -> NDArray[np.float64]:
        """The values of one column, shape (rows,); all NaN for a column that nobody reported.

        It is a read-only view: later rows do not appear in it, and a resumed run may overwrite its overtaken end, so
        who keeps it across an `extend` copies it.
        """
        place = self._places.get(name)
        view = np.full(self._length, np.nan) if place is None else self._table[place, : self._length]
        view.flags.writeable = False
        return view

    def last(self, name: str) -> float:
        """The value of a column in the last row; NaN when there is none."""
        place = self._places.get(name)
        return float(self._table[place, self._length - 1]) if place is not None and self._length else math.nan

    def append(self, fields: Mapping[str, Any]) -> bool:
        """Add the row that an event describes; rows at its step and beyond are replaced by it.

        Args:
            fields: an event's fields; `step` is its place, other numbers go to the column of their name, all else
                is left out.

        Returns:
            Whether there was a usable step, and so a row.
        """
        step = number(fields.get("step"))
        if step is None:
            return False
        if step <= self._last:
            self.cut_from(step)
        row = self._length
        if row == self._table.shape[1]:
            self._resize(len(self._places), int(row * _GROWTH))
        self._table[:, row] = np.nan
        for name, value in fields.items():
            if (type(value) is float and value - value == 0.0) or type(value) is int:
                place = self._place(name)
                if place is None:
                    continue
                try:
                    self._table[place, row] = value
                except OverflowError:  # an integer beyond all floats: as good as nothing reported
                    pass
        self._length = row + 1
        self.version += 1
        self._last = step
        return True

    def cut_from(self, step: float) -> bool:
        """Drop all rows at `step` and beyond; returns whether there were any."""
        if self._last < step:
            return False
        self._length = keep = int(np.searchsorted(self.column("step"), step, side="left"))
        self.version += 1
        self._last = float(self._table[0, keep - 1]) if keep else -math.inf
        return True

    def cut_after(self, step: float) -> bool:
        """Drop all rows beyond `step`; returns whether there were any."""
        return self.cut_from(math.nextafter(step, math.inf))

    def _place(self, name: str) -> int | None:
        """A column's place in the table, a new one for a new name; None when there is no room for another."""
        place = self._places.get(name)
        if place is None and len(self._places) < self._most:
            place = self._places[name] = len(self._places)
            self._resize(place + 1, self._table.shape[1])
            self._table[place] = np.nan
        return place

    def _resize(self, columns: int, rows: int) -> None:
        larger = np.empty((columns, rows))
        had, room = self._table.shape
        larger[:had, :room] = self._table
        self._table = larger


def number(value: Any) -> float | None:
    """`value` as a finite float, or None when it is no such number (a truth value is none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def count(value: Any) -> int:
    """`value` as a count; 0 when it is none."""
    result = number(value)
    return max(0, int(result)) if result is not None else 0


def means(values: NDArray[np.float64], most: int) -> tuple[float, ...]:
    """A column in at most so many pieces of like length, each its mean; NaN where a piece has no numbers.

    Args:
        values: shape (rows,).
    """
    out = []
    for piece in np.array_split(values, min(most, len(values))) if len(values) else []:
        finite = piece[np.isfinite(piece)]
        out.append(float(finite.mean()) if len(finite) else math.nan)
    return tuple(out)
