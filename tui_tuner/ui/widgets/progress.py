"""How far the run is, in one line: what it does now, a bar, percent, and when it is done."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.widget import Widget

from tui_tuner.ui import format as fmt
from tui_tuner.ui.text import clip

_BAR_LEAST = 8  # cells
PARTS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Progress:
    """What the line says.

    Attributes:
        text: what is being done now, in words.
        done: steps or rows done.
        total: of how many; 0 when unknown.
        elapsed: seconds at work so far.
        left: how long it will still take, in words; empty while unknown.
        until: when all is done, as a time of day; empty while unknown.
        style: colour of bar and text.
        active: whether it is still going; an ended run has no time left.
    """

    text: str = ""
    done: int = 0
    total: int = 0
    elapsed: float | None = None
    left: str = ""
    until: str = ""
    style: str = "$text-primary"
    active: bool = False


def bar(share: float, width: int) -> str:
    """A bar of `width` cells filled to `share` (0 to 1), in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (PARTS[rest] if rest else "")).ljust(width)


class ProgressLine(Widget):
    """Draws a `Progress`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._progress = Progress()

    def show(self, progress: Progress) -> None:
        """Replaces what is shown; nothing is drawn when it is the same."""
        if progress != self._progress:
            self._progress = progress
            self.refresh()

    def render(self) -> Content:
        now, width = self._progress, self.size.width
        text_width = min(22, max(16, width // 5, len(now.text)))
        line = Content.styled(clip(now.text, text_width).ljust(text_width), f"bold {now.style}")
        right = _fitting(_facts(now), width - text_width - (_BAR_LEAST + 9 if now.total else 1))
        room = width - len(right) - 4 - 6 - text_width
        if room >= _BAR_LEAST and now.total:
            share = now.done / now.total
            line += Content.assemble(
                "  ", (bar(share, room), f"{now.style} on $panel"), f" {fmt.percent(now.done, now.total):>5}"
            )
        pad = width - line.cell_length - len(right)
        return line + Content(" " * max(1, pad)) + Content.styled(right, "$text-muted")


def _facts(now: Progress) -> list[tuple[int, str]]:
    """What is said at the right, in order of place, each with its importance (the lowest goes first)."""
    facts = []
    if now.total:
        facts.append((3, f"{now.done:,}/{now.total:,}"))
    if now.elapsed is not None:
        took = fmt.duration(now.elapsed)
        facts.append((1, f"{took} so far") if now.active else (4, f"took {took}"))
    if now.active and now.left:
        facts.append((4, f"{now.left} left"))
    if now.active and now.until:
        facts.append((2, f"done ≈ {now.until}"))
    return facts


def _fitting(facts: list[tuple[int, str]], width: int) -> str:
    """As many facts as fit, side by side."""
    while len(facts) > 1 and len(" · ".join(text for _, text in facts)) > width:
        facts.remove(min(facts))
    return " · ".join(text for _, text in facts)
