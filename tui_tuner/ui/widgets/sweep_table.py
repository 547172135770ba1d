"""The runs of a sweep that is not started: what each of them has, and what it will take. It only draws."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui_tuner.config.describe import in_toml
from tui_tuner.config.sweep import Trial
from tui_tuner.errors import TunerError
from tui_tuner.training.forecast.forecast import Forecast
from tui_tuner.ui.format import expected, size
from tui_tuner.ui.status import FITS
from tui_tuner.ui.text import clip, inert
from tui_tuner.ui.widgets.data_pane import lines

_WIDEST = 24
"""Cells of a value at the most."""

Told = Sequence[Forecast | TunerError]


def drawn(trials: Sequence[Trial], told: Told, width: int) -> Content:
    """The table, a run a line; where the columns have no room, keys are told by their last part.

    Args:
        told: what each run will take, in their order; empty while that is not known.
    """
    keys = list(dict.fromkeys(key for trial in trials for key in trial.values))
    table = [["", *keys, "time", "memory"]]
    for number, trial in enumerate(trials):
        values = [clip(in_toml(trial.values[key]) if key in trial.values else "", _WIDEST) for key in keys]
        table.append([str(trial.number), *values, *_takes(told[number] if number < len(told) else None)])
    if _width(table) > width:
        table[0][1:-2] = [key.rpartition(".")[2] for key in keys]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    out = [_line(table[0], widths, width, "$text-muted")]
    for number, row in enumerate(table[1:]):
        found = told[number] if number < len(told) else None
        style = FITS[found.fits][1] if isinstance(found, Forecast) and found.fits == "too large" else ""
        out.append(_line(row, widths, width, style))
    problems = [each for each in told if isinstance(each, TunerError)]
    if problems:
        out += inert(f"✗ {problems[0].sentence()}", "$text-error").wrap(max(width, 12))
    return lines(out)


def summed(trials: Sequence[Trial], told: Told) -> str:
    """How many runs, how long they take together, and the most memory that one of them takes."""
    many = "1 run" if len(trials) == 1 else f"{len(trials)} runs"
    known = [each for each in told if isinstance(each, Forecast)]
    if not told:
        return f"{many}; how long they take is being reckoned"
    spans = [each.span for each in known if each.span is not None]
    if len(spans) == len(trials):
        parts = ([getattr(span, name) for span in spans] for name in ("seconds", "low", "high"))
        time = f"about {expected(*(sum(part) for part in parts))} in all"
    else:
        time = "how long they take is not known here yet (m on the form measures it)"
    if not known:
        return f"{many}; there is no forecast for them"
    largest = max(known, key=lambda each: each.peak)
    of = f" of {size(largest.usable)}" if largest.usable else ""
    return f"{many}, {time}; at most {size(largest.peak)}{of}"


def _takes(found: Forecast | TunerError | None) -> tuple[str, str]:
    if found is None:
        return "…", "…"
    if isinstance(found, TunerError):
        return "–", "✗"
    sign = f"{FITS[found.fits][0]} " if found.fits else ""
    return expected(found.span.seconds) if found.span is not None else "–", f"{sign}{size(found.peak)}"


def _width(table: Sequence[Sequence[str]]) -> int:
    return sum(max(len(row[column]) for row in table) + 2 for column in range(len(table[0]))) - 2


def _line(row: Sequence[str], widths: Sequence[int], width: int, style: str) -> Content:
    first = row[0].rjust(widths[0])
    rest = [cell.ljust(room) for cell, room in zip(row[1:], widths[1:], strict=True)]
    return inert(clip("  ".join([first, *rest]).rstrip(), width), style)
