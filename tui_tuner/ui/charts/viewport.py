"""Which part of the x axis is shown: zoom, pan, and following the tail of a growing run.

The view starts as *all of the data*. Zooming leaves a window of its own; while that window *follows*, its right edge
stays at the newest point as the run grows. Panning away from the tail stops following, panning back resumes it.

This module must never import textual; the widget turns keys and wheel clicks into the calls below.
"""

from __future__ import annotations

from dataclasses import dataclass

DEEPEST = 1e-5
"""The narrowest window, as a fraction of the data's extent."""


@dataclass(slots=True)
class Viewport:
    """The window onto the data's x range. ``span`` None shows everything."""

    low: float = 0.0
    high: float = 1.0
    span: float | None = None
    right: float = 1.0
    follow: bool = True

    def set_extent(self, low: float, high: float) -> None:
        """Tell the view how far the data reaches (low ≤ high)."""
        if low > high:
            raise ValueError(f"an extent cannot run from {low} to {high}")
        self.low, self.high = low, high
        if self.span is not None:
            self._settle()

    @property
    def zoomed(self) -> bool:
        """Whether anything of the data lies outside the window."""
        return self.span is not None

    @property
    def window(self) -> tuple[float, float]:
        """The x range to show; equal ends when the data has no extent."""
        if self.span is None:
            return self.low, self.high
        return self.right - self.span, self.right

    def zoom(self, factor: float, anchor: float | None = None) -> None:
        """Show ``1/factor`` of the present window, with ``anchor`` (default: the tail, or else the middle) in place."""
        if not factor > 0:
            raise ValueError(f"a zoom factor is above zero, not {factor}")
        extent = self.high - self.low
        start, end = self.window
        if not extent > 0:
            return
        pinned = anchor is None and self.follow
        if anchor is None:
            anchor = end if self.follow else (start + end) / 2
        span = max((end - start) / factor, extent * DEEPEST)
        if span >= extent * (1 - 1e-9):
            self.reset()
            return
        share = (anchor - start) / (end - start)
        self.span = span
        self.right = anchor + (1 - share) * span
        self.follow = pinned or self._at_tail()
        self._settle()

    def pan(self, share: float) -> None:
        """Move the window by a share of its width, to the right when positive; it stays on the data."""
        if self.span is None:
            return
        self.right += share * self.span
        self.follow = self._at_tail()
        self._settle()

    def show_tail(self, span: float | None) -> None:
        """Follow the tail with a window of ``span`` (None: everything)."""
        self.follow = True
        extent = self.high - self.low
        if span is None or not span > 0:
            self.span = None
            return
        self.span = max(span, extent * DEEPEST)
        self._settle()

    def toggle_follow(self) -> None:
        """Follow the tail with the present window, or hold the window where it is."""
        self.follow = not self.follow
        if self.span is None and not self.follow and self.high > self.low:
            self.span, self.right = self.high - self.low, self.high
        elif self.span is not None:
            self._settle()

    def reset(self) -> None:
        """Show everything and follow the tail."""
        self.span = None
        self.follow = True

    def mirror(self, other: Viewport) -> None:
        """Show what another view shows, whatever of it this one has data for."""
        self.low, self.high = other.low, other.high
        self.span, self.right, self.follow = other.span, other.right, other.follow

    def reveal(self, x: float) -> None:
        """Move the window just so far that ``x`` is inside."""
        start, end = self.window
        if self.span is None or start <= x <= end:
            return
        self.right += x - start if x < start else x - end
        self.follow = self._at_tail()
        self._settle()

    def _at_tail(self) -> bool:
        return self.span is not None and self.right >= self.high - self.span * 1e-6

    def _settle(self) -> None:
        """Put the window back onto the data; a window wider than the data ends at the tail."""
        if self.span is None:
            return
        if self.follow:
            self.right = self.high
        else:
            self.right = min(max(self.right, self.low + self.span), max(self.high, self.low + self.span))
