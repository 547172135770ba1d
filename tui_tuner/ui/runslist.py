"""What the table of runs shows: which runs in which order, sweeps as groups, and the cells of a line.

It knows neither table nor screen. A query that is not understood changes nothing of the list.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from textual.content import Content

from tui_tuner.runs.catalogue import RunSummary
from tui_tuner.runs.folder import stem_of
from tui_tuner.ui import format as fmt
from tui_tuner.ui.status import RUN_STATES
from tui_tuner.ui.text import clip, clip_middle, inert
from tui_tuner.ui.widgets.tiles import sparkline

COLUMNS = (
    ("mark", " ", 2), ("state", "State", 13), ("run", "Run", 27), ("steps", "Steps", 11), ("best", "Val. loss", 9),
    ("created", "Created", 10), ("curve", "Loss", 10), ("verdict", "Verdict", 18), ("tags", "Tags", 12),
    ("rate", "Rate", 8), ("time", "Took", 8), ("model", "Model", 24),
)  # fmt: skip
"""Key, heading and width of each column; those that have room are shown, the first ones first."""

SORTS = ("", "sort:best", "sort:-created", "sort:name", "sort:state", "sort:-duration")
"""What `s` steps through, as a query has it; empty is the list's own order, the newest first."""

_LEAST_TAIL = 6
"""Cells of a run's moment that are left of it at least: hour, minute and second."""


@dataclass(frozen=True)
class Line:
    """One line of the table: a run, or the heading of a sweep.

    Attributes:
        key: its own in the table.
        run: None for a heading.
        sweep: the sweep that it is the heading of, or that its run belongs to as part of a group; else empty.
        members: the runs below a heading.
        last: whether it is the last of its group.
    """

    key: str
    run: RunSummary | None = None
    sweep: str = ""
    members: tuple[RunSummary, ...] = field(default=())
    last: bool = False


def arranged(runs: list[RunSummary], folded: Collection[str], *, grouped: bool = True) -> list[Line]:
    """The lines of a list of runs. The runs of a sweep stand below a heading, where the first of them would be.

    Args:
        folded: sweeps of which only the heading is shown.
        grouped: False lists every run by itself.
    """
    sweeps: dict[str, list[RunSummary]] = {}
    for run in runs:
        if run.sweep:
            sweeps.setdefault(run.sweep, []).append(run)
    out: list[Line] = []
    done: set[str] = set()
    for run in runs:
        members = sweeps.get(run.sweep, []) if grouped else []
        if len(members) < 2:
            out.append(Line(run.run, run))
        elif run.sweep not in done:
            done.add(run.sweep)
            out.append(Line(f"sweep {run.sweep}", None, run.sweep, tuple(members)))
            if run.sweep not in folded:
                out += [Line(each.run, each, run.sweep, last=each is members[-1]) for each in members]
    return out


def cells_of(
    line: Line, widths: dict[str, int], *, marked: bool, folded: bool, place: int | None = None
) -> dict[str, Content]:
    """The cells of a line, by column.

    Args:
        widths: of the columns that are shown.
        place: in the queue; None for a run that is not in it.
    """
    if line.run is None:
        return _heading(line, widths, folded)
    run = line.run
    sign, style = RUN_STATES[run.state]
    word = f"queued {place}" if place is not None and run.state.value == "queued" else run.state.value
    steps = f"{run.step:,}/{run.steps:,}" if run.steps else fmt.DASH
    name = ("└ " if line.last else "├ ") if line.sweep else ""
    rate = run.settings.get("train.learning_rate")
    mark = Content.styled("▣", "$text-accent") if marked else Content("")
    if run.labels.pinned:
        mark = mark + Content.styled("★", "$text-warning")
    return {
        "mark": mark,
        "state": Content.styled(f"{sign} {word}", style),
        "run": Content.styled(name, "$text-muted") + inert(called(run.run, widths.get("run", 30) - len(name))),
        "steps": Content(steps.rjust(11)),
        "best": Content(fmt.number(run.best).rjust(7)),
        "curve": Content.styled(sparkline(run.curve, widths.get("curve", 10)), "$text-primary"),
        "verdict": inert(clip(run.verdict or fmt.DASH, widths.get("verdict", 20))),
        "tags": inert(clip(" ".join(f"#{tag}" for tag in run.labels.tags), widths.get("tags", 12)), "$text-accent"),
        "rate": Content(fmt.rate(rate) if isinstance(rate, float | int) else fmt.DASH),
        "time": Content(fmt.duration(run.duration) if run.duration else fmt.DASH),
        "created": Content(fmt.ago(run.created)),
        "model": inert(clip_middle(run.model, widths.get("model", 24)), "$text-muted"),
    }


def called(run: str, width: int) -> str:
    """A run's name within `width` cells: of its date and time goes first what does not fit, for the runs of a sweep are
    told apart by the number before it."""
    stem = stem_of(run)
    tail = width - len(stem) - 1
    if stem == run or tail < _LEAST_TAIL or len(run) <= width or not run.isascii():
        return clip_middle(run, width)
    return f"{stem}…{run[-tail:]}"


def _heading(line: Line, widths: dict[str, int], folded: bool) -> dict[str, Content]:
    """A sweep in a line: how many of its runs are through, and the best figure of them."""
    through = sum(run.state.value == "finished" for run in line.members)
    known = [run.best for run in line.members if run.best is not None and math.isfinite(run.best)]
    name = f"{'▸' if folded else '▾'} sweep {line.sweep}"
    cells = dict.fromkeys((key for key, _, _ in COLUMNS), Content(""))
    return {
        **cells,
        "state": Content.styled(f"{through} of {len(line.members)} done", "bold"),
        "run": inert(clip_middle(name, widths.get("run", 30)), "bold"),
        "best": Content.styled(fmt.number(min(known)).rjust(7) if known else "", "bold"),
        "created": Content(fmt.ago(max(run.created for run in line.members))),
    }


def fitting(room: int) -> list[tuple[str, str, int]]:
    """The columns that have room, with what is left over shared by run and verdict.

    Args:
        room: cells in all; each column takes two more than its width.
    """
    chosen = []
    for key, label, width in COLUMNS:
        if room < width + 2:
            continue
        chosen.append((key, label, width))
        room -= width + 2
    wide = min(12, room)
    spare = {"run": wide, "verdict": room - wide}
    return [(key, label, width + spare.get(key, 0)) for key, label, width in chosen]
