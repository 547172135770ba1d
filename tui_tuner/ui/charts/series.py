"""The data behind one curve: points in order of x, their smoothed twin, and look-ups by x.

Arrays are borrowed, never copied and never written to: whoever hands them in may append to the buffer behind them but
must not change a point in place. This module must never import textual.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tui_tuner.ui.charts.raster import Reduced, reduce_curve
from tui_tuner.ui.charts.smooth import Ema

Floats = NDArray[np.float64]
Style = Literal["line", "points"]

_FARTHEST = 1e300
"""x beyond this counts as not finite, so that the extent of the data always is."""

GLYPHS = "●▲■◆★○△□◇☆"
"""The marker of each slot: curves differ by these wherever colour is missing. Slots beyond start over."""


def ordered(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """x and y as float arrays with x finite and never decreasing.

    Points are sorted (stably) when needed. A point whose x is not finite cannot be placed; it ends the stroke there.
    Raises ValueError unless both are one-dimensional and equally long.
    """
    across, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if across.ndim != 1 or across.shape != values.shape:
        raise ValueError(f"x and y must be equally long lists of numbers, not shapes {across.shape} and {values.shape}")
    placed = np.abs(across) <= _FARTHEST
    if not placed.all():
        values = np.where(placed, values, np.nan)
        source = np.maximum.accumulate(np.where(placed, np.arange(len(across)), -1))
        across, values = across[source[source >= 0]], values[source >= 0]
    if len(across) > 1 and bool((across[1:] < across[:-1]).any()):
        order = np.argsort(across, kind="stable")
        across, values = across[order], values[order]
    return across, values


@dataclass(slots=True)
class Series:
    """One named curve. ``slot`` picks its marker and, unless ``color`` is given, its colour; ``dash`` its line."""

    name: str
    slot: int
    style: Style = "line"
    color: str | None = None
    smooth: bool = True
    dash: int = 0
    x: Floats = field(default_factory=lambda: np.empty(0))
    y: Floats = field(default_factory=lambda: np.empty(0))
    _finite: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    _whole: bool = True
    _smoother: Ema | None = None

    @property
    def glyph(self) -> str:
        """The marker that stands for this curve."""
        return GLYPHS[self.slot % len(GLYPHS)]

    def set_points(self, x: ArrayLike, y: ArrayLike) -> None:
        """Replace the points."""
        self.x, self.y = ordered(x, y)
        self._finite = np.isfinite(self.y)
        self._whole = bool(self._finite.all())

    def smoothed(self, weight: float) -> Floats | None:
        """The smoothed y values, or None where smoothing is off or makes no sense (single points)."""
        if weight <= 0 or not self.smooth or self.style == "points" or not len(self.y):
            return None
        if self._smoother is None or self._smoother.weight != weight:
            self._smoother = Ema(weight)
        return self._smoother.update(self.y)

    def part(self, low: float, high: float) -> slice:
        """The points inside ``low..high`` and one more on either side, so that lines reach the edges."""
        start = int(np.searchsorted(self.x, low, side="left"))
        stop = int(np.searchsorted(self.x, high, side="right"))
        return slice(max(0, start - 1), min(len(self.x), stop + 1))

    def inside(self, low: float, high: float) -> slice:
        """The points inside ``low..high``."""
        return slice(int(np.searchsorted(self.x, low, "left")), int(np.searchsorted(self.x, high, "right")))

    def usable(self, part: slice, log: bool) -> NDArray[np.bool_]:
        """Which points of a part can be drawn: the finite ones, and on a log axis only those above zero."""
        finite = self._finite[part]
        return finite & (self.y[part] > 0) if log else finite

    def extremes(self, window: tuple[float, float], log: bool) -> tuple[float, float] | None:
        """Lowest and highest drawable y in the window, or around it when it falls between two points."""
        part = self.inside(*window)
        if part.start == part.stop:
            part = self.part(*window)
        values = self.y[part]
        if log or not self._whole:
            values = values[self.usable(part, log)]
        return (float(values.min()), float(values.max())) if len(values) else None

    def reduced(self, values: Floats, window: tuple[float, float], width: int, log: bool) -> Reduced:
        """``values`` (y or its smoothed twin) in the window, reduced to ``width`` dot columns."""
        part = self.part(*window)
        chosen, usable = values[part], self._finite[part]
        return reduce_curve(self.x[part], chosen, usable & (chosen > 0) if log else usable, window, width)

    def at(self, x: float) -> tuple[int, bool] | None:
        """Index of the newest finite point at or before ``x``, and whether it lies exactly there; None if none does.

        Nothing is interpolated: what a readout shows was measured.
        """
        index = int(np.searchsorted(self.x, x, side="right")) - 1
        while index >= 0 and not np.isfinite(self.y[index]):
            index -= 1
        return (index, bool(self.x[index] == x)) if index >= 0 else None

    def last(self) -> int | None:
        """Index of the last finite point."""
        found = self.at(float("inf"))
        return found[0] if found else None
