"""The lines above a plot: the title with its state, and the legend, which doubles as the crosshair's readout.

Values never cover the curves: they are written here. This module must never import textual; names and titles are plain
text and are never read as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from tui_tuner.ui.charts.grid import BASE, LABEL, LEGEND, MARKER, READOUT, SERIES, TITLE, Span, plain, shorten
from tui_tuner.ui.charts.marks import Mark, kinds
from tui_tuner.ui.charts.series import Series
from tui_tuner.ui.charts.units import Unit, format_value

LONGEST_NAME = 24
_GAP = "   "

Entry = list[Span]


@dataclass(frozen=True, slots=True)
class Look:
    """What a chart says about itself, and how it draws."""

    title: str = ""
    unit: Unit = "plain"
    y_label: str = ""
    x_label: str = "step"
    x_unit: Unit = "integer"
    empty: str = "no points yet"
    log_y: bool = False
    smoothing: float = 0.0
    glyphs: str = "braille"
    legend: bool = True


def title_line(look: Look, width: int, share: float | None, follow: bool, near: Sequence[Mark] = ()) -> list[Span]:
    """Title and y label at the left, or the marks under the crosshair; at the right what differs from the plain
    picture."""
    state = []
    if look.log_y:
        state.append("log")
    if look.smoothing > 0:
        state.append(f"~ smoothed {look.smoothing:g}")
    if share is not None:
        state.append(f"{share:.2g}% of x" if share < 10 else f"{share:.0f}% of x")
        state.append("tail" if follow else "held")
    right = " · ".join(state)
    left = [Span(plain(look.title), TITLE)] if look.title else []
    if near:
        told = " · ".join(f"{plain(mark.glyph)} {plain(mark.told)}" for mark in near)
        left.append(Span(f"{'  ' if left else ''}{told}", MARKER))
    elif look.y_label:
        left.append(Span(f"{'  ' if left else ''}{plain(look.y_label)}", LABEL))
    used = sum(cell_len(span.text) for span in left)
    room = width - used - cell_len(right)
    if right and room >= 2:
        left += [Span(" " * room, BASE), Span(right, LABEL)]
    return left


def legend(series: Sequence[Series], look: Look) -> list[Entry]:
    """Marker, name and last value of every series; behind ``~`` the smoothed value."""
    entries: list[Entry] = []
    for index, one in enumerate(series):
        last = one.last()
        entries.append(_entry(one, index, look, last, ""))
    return entries


def explained(shown: Iterable[Mark]) -> list[Entry]:
    """What the signs on the axis mean."""
    return [[Span(f"{plain(glyph)} ", MARKER), Span(plain(label), LABEL)] for glyph, label in kinds(shown)]


def fill(lines: list[list[Span]], entries: Sequence[Entry], width: int) -> None:
    """Put as many further entries on the last line as it still holds."""
    if not lines:
        return
    used = sum(cell_len(span.text) for span in lines[-1])
    for entry in entries:
        size = len(_GAP) + sum(cell_len(span.text) for span in entry)
        if used + size <= width:
            lines[-1] += [Span(_GAP, BASE), *entry]
            used += size


def readout(series: Sequence[Series], look: Look, x: float, marks: Sequence[Mark] = ()) -> list[Entry]:
    """Every series' value at ``x``: the newest one measured there or before, with its own x when that is not ``x``."""
    entries: list[Entry] = [[Span(f"{plain(look.x_label)} {format_value(x, look.x_unit)}".strip(), READOUT)]]
    for index, one in enumerate(series):
        found = one.at(x)
        where = "" if found is None or found[1] else f" @{format_value(float(one.x[found[0]]), look.x_unit)}"
        entries.append(_entry(one, index, look, None if found is None else found[0], where))
    entries += [[Span(f"{plain(mark.glyph)} {plain(mark.told)}".strip(), MARKER)] for mark in marks]
    return entries


def _entry(one: Series, index: int, look: Look, at: int | None, where: str) -> Entry:
    value = format_value(float(one.y[at]), look.unit) if at is not None else "–"
    smooth = one.smoothed(look.smoothing)
    if smooth is not None and at is not None:
        value += f" ~{format_value(float(smooth[at]), look.unit)}"
    name = shorten(plain(one.name), LONGEST_NAME)
    return [Span(f"{one.glyph} {name}", SERIES + 2 * index), Span(f" {value}{where}", LEGEND)]


def wrap(entries: Sequence[Entry], width: int) -> list[list[Span]]:
    """Entries side by side on as few lines as hold them; an entry wider than a line is cut when the line is fitted."""
    lines: list[list[Span]] = []
    used = 0
    for entry in entries:
        size = sum(cell_len(span.text) for span in entry)
        if lines and used + len(_GAP) + size <= width:
            lines[-1] += [Span(_GAP, BASE), *entry]
            used += len(_GAP) + size
        else:
            lines.append(list(entry))
            used = size
    return lines
