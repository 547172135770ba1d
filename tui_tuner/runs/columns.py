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
_MOST_COLUMNS = 64  # a log that invents field names must not eat the memory


class Columns:
    """A table with one row a step, in strictly rising order of `step`, and a float64 column for each number reported.

    Args:
        names: the columns that are there from the beginning; others appear when an event brings them.
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self._length = 0
        self._capacity = _FIRST_CAPACITY
        self._columns: dict[str, NDArray[np.float64]] = {}
        self._last = -math.inf
        self.version = 0
        """Rises with every change, so that a screen can tell whether to draw."""
        for name in ("step", *names):
            self._add_column(name)

    def __len__(self) -> int:
        return self._length

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are, `step` first."""
        return tuple(self._columns)

    @property
    def last_step(self) -> float:
        """The step of the last row; minus infinity when there is none."""
        return self._last

    def column(self, name: str) -> NDArray[np.float64]:
        """The values of one column, shape (rows,); all NaN for a column that nobody reported.

        It is a read-only view: later rows do not appear in it, and a resumed run may overwrite its overtaken end, so
        who keeps it across an `extend` copies it.
        """
        column = self._columns.get(name)
        view = np.full(self._length, np.nan) if column is None else column[: self._length]
        view.flags.writeable = False
        return view

    def last(self, name: str) -> float:
        """The value of a column in the last row; NaN when there is none."""
        column = self._columns.get(name)
        return float(column[self._length - 1]) if column is not None and self._length else math.nan

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
        if row == self._capacity:
            self._grow()
        columns = self._columns
        for name, value in fields.items():
            if (type(value) is float and value - value == 0.0) or type(value) is int:
                column = columns.get(name)
                if column is None:
                    if len(columns) >= _MOST_COLUMNS:
                        continue
                    column = self._add_column(name)
                try:
                    column[row] = value
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
        keep = int(np.searchsorted(self._columns["step"][: self._length], step, side="left"))
        for column in self._columns.values():
            column[keep : self._length] = np.nan
        self._length = keep
        self.version += 1
        self._last = float(self._columns["step"][keep - 1]) if keep else -math.inf
        return True

    def cut_after(self, step: float) -> bool:
        """Drop all rows beyond `step`; returns whether there were any."""
        return self.cut_from(math.nextafter(step, math.inf))

    def _add_column(self, name: str) -> NDArray[np.float64]:
        column = np.full(self._capacity, np.nan)
        self._columns[name] = column
        return column

    def _grow(self) -> None:
        self._capacity *= 2
        for name, column in self._columns.items():
            larger = np.full(self._capacity, np.nan)
            larger[: self._length] = column[: self._length]
            self._columns[name] = larger


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
