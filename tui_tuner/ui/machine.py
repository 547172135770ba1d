"""A run's machine in figures: where its readings lie on the axes of the charts, and what they come to in words.

Pure functions of a view and of what is known now. A figure that nobody measured appears nowhere, never as 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from textual.content import Content

from tui_tuner.machine.figures import FIGURES, Reading
from tui_tuner.runs.reading import recorded
from tui_tuner.ui import format as fmt
from tui_tuner.ui.widgets.tiles import Tile

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView

Floats = NDArray[np.float64]

_HELD = 120.0
"""Seconds for which a recorded figure still stands beside what is known now."""
_NO_PEAKS = ("battery", "speed_limit")
"""Figures of which the lowest would be the one to know."""


def over_time(view: RunView) -> Floats:
    """Seconds at work at which each reading was taken; NaN for a moment that is none."""
    return view.clock.at(view.machine.column("t"))


def over_steps(view: RunView) -> Floats:
    """The step, with its fraction, at which each reading was taken; NaN for those that were not taken in training.

    Between two reports steps are taken to be equally long. What an overtaken piece of training left has no place.
    """
    moments = view.machine.column("step")
    times, steps = np.fmax.accumulate(view.train.column("t")), view.train.column("step")
    if not len(times) or not len(moments):
        return np.full(len(moments), math.nan)
    stage = view.stages.get("train")
    begun = stage.started if stage is not None else math.nan
    if begun <= times[-1]:
        at = int(np.searchsorted(times, begun))
        floor = view.from_step if view.from_step <= steps[at] else 0.0
        times, steps = np.insert(times, at, begun), np.insert(steps, at, floor)
    placed = np.interp(moments, times, steps, left=math.nan, right=math.nan)
    for start in view.clock.sessions:
        at = int(np.searchsorted(times, start))
        if at:
            until = times[at] if at < len(times) else math.inf
            placed[(moments > times[at - 1]) & (moments < until)] = math.nan
    return placed


def step_to_time(view: RunView, step: float) -> float | None:
    """Seconds at work when a step was reported, None when that is not known."""
    steps = view.train.column("step")
    at = int(np.searchsorted(steps, step, side="right")) - 1
    if at < 0:
        return None
    found = float(view.clock.at(view.train.column("t"))[at])
    return found if math.isfinite(found) else None


def most(view: RunView) -> Mapping[str, float]:
    """The highest value of each figure that the run recorded."""
    found = {}
    for name in FIGURES:
        values = view.machine.column(name)
        if name not in _NO_PEAKS and np.isfinite(values).any():
            found[name] = float(np.nanmax(values))
    return found


def standing(view: RunView, now: Reading | None, *, looked_at: bool = False) -> tuple[str, Mapping[str, float]]:
    """What is told of the machine: of a run that goes on here what is so now, of another what it was at most.

    Args:
        view: the run.
        now: what its machine is at, None when that is not known from here.
        looked_at: whether it is being looked at from here: until that has given a reading, the run's own last one is
            told.

    Returns:
        A word or two on when that was or is, and the values.
    """
    last = recorded(view)
    if now is None and looked_at:
        return "last", {} if last is None else last.values
    if now is None:
        return "at most", most(view)
    held = last.values if last is not None and abs(now.at - last.at) <= _HELD else {}
    return "now", {**{name: value for name, value in held.items() if name.startswith("mlx_")}, **now.values}


def head(view: RunView, now: Reading | None, width: int, *, looked_at: bool = False) -> Content:
    """The figures in a line, as many as fit."""
    when, values = standing(view, now, looked_at=looked_at)
    parts = [part for tell in _TELLERS if (part := tell(values)) is not None]
    if not parts:
        over = view.started is not None and view.finished is not None
        words = "nothing was recorded of this run's machine" if over else "no reading of the machine yet"
        return Content.styled(words, "$text-muted")
    line = Content.styled(f"{when}  ", "$text-muted")
    for number, part in enumerate(parts):
        longer = line + (Content.styled(" · ", "$text-muted") if number else Content("")) + part
        if longer.cell_length > width:
            break
        line = longer
    return line


def tiles_of_machine(view: RunView, now: Reading | None, *, looked_at: bool = False) -> list[Tile]:
    """The figures as tiles, each with how it came about, at most nine."""
    _, values = standing(view, now, looked_at=looked_at)

    def tile(name: str, label: str, note: str = "") -> Tile | None:
        if name not in values:
            return None
        share = values.get(f"{name}_total")
        text = FIGURES[name].text(values[name])
        if share:
            return Tile(label, fmt.size_of(values[name], share), None, note, share=values[name] / share)
        return Tile(label, text, view.machine.column(name), note)

    pressure = values.get("thermal_pressure")
    kept = f"kept {fmt.size(values['mlx_cache'])}" if "mlx_cache" in values else ""
    found = [
        tile("cpu", "processor"),
        tile("process_cpu", "run's share"),
        tile("gpu", "GPU"),
        tile("memory", "memory"),
        tile("process_memory", "run's memory"),
        tile("swap", "swap"),
        tile("gpu_memory", "GPU mem."),
        tile("mlx_active", "mlx", kept),
        None if not pressure else _pressed(pressure, view.machine.column("thermal_pressure")),
        tile("gpu_temperature" if "gpu_temperature" in values else "cpu_temperature", "heat"),
        tile("gpu_power", "GPU power") or tile("power", "power") or tile("cpu_power", "power"),
        tile("battery", "battery"),
        tile("fan", "fan"),
    ]
    return [each for each in found if each is not None][:9] or [Tile("machine", "no reading yet")]


def _pressed(level: float, history: Floats) -> Tile:
    return Tile("heat", f"▲ {FIGURES['thermal_pressure'].text(level)}", history, style="$text-warning")


def _plain(name: str, label: str) -> Callable[[Mapping[str, float]], Content | None]:
    """Tells one figure behind a label."""

    def tell(values: Mapping[str, float]) -> Content | None:
        return _part(label, FIGURES[name].text(values[name])) if name in values else None

    return tell


def _part(label: str, text: str, note: str = "", style: str = "bold") -> Content:
    said = Content.assemble((f"{label} ", "$text-muted") if label else "", (text, style))
    return said + Content.styled(f" ({note})", "$text-muted") if note else said


def _processor(values: Mapping[str, float]) -> Content | None:
    if "cpu" not in values:
        return None
    own = values.get("process_cpu")
    return _part("processor", FIGURES["cpu"].text(values["cpu"]), "" if own is None else f"this run {fmt.share(own)}")


def _memory(values: Mapping[str, float]) -> Content | None:
    if "memory" not in values:
        return None
    own, total = values.get("process_memory"), values.get("memory_total")
    text = fmt.size_of(values["memory"], total) if total else fmt.size(values["memory"])
    return _part("memory", text, "" if own is None else f"this run {fmt.size(own)}")


def _gpu(values: Mapping[str, float]) -> Content | None:
    if "gpu" not in values and "gpu_memory" not in values:
        return None
    if "gpu" not in values:
        return _part("GPU memory", fmt.size(values["gpu_memory"]))
    used, total = values.get("gpu_memory"), values.get("gpu_memory_total")
    note = "" if used is None else fmt.size_of(used, total) if total else fmt.size(used)
    return _part("GPU", FIGURES["gpu"].text(values["gpu"]), note)


def _mlx(values: Mapping[str, float]) -> Content | None:
    if "mlx_active" not in values:
        return None
    kept = values.get("mlx_cache")
    return _part("mlx", fmt.size(values["mlx_active"]), "" if not kept else f"keeps {fmt.size(kept)}")


def _pressure(values: Mapping[str, float]) -> Content | None:
    level = values.get("thermal_pressure")
    if level is None:
        return None
    text = FIGURES["thermal_pressure"].text(level)
    return _part("thermal pressure", f"▲ {text}" if level else text, style="bold $text-warning" if level else "bold")


_TELLERS: tuple[Callable[[Mapping[str, float]], Content | None], ...] = (
    _processor,
    _gpu,
    _memory,
    _plain("swap", "swap"),
    _mlx,
    _pressure,
    _plain("gpu_temperature", "GPU"),
    _plain("cpu_temperature", "processor"),
    _plain("gpu_power", "GPU"),
    _plain("cpu_power", "processor"),
    _plain("power", "machine"),
    _plain("speed_limit", "speed limit"),
    _plain("fan", "fan"),
    _plain("battery", "battery"),
)
