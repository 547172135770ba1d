"""Actions of the view of several runs, which is pushed over a screen and so is no mode of its own."""

from __future__ import annotations

from tui_tuner.ui.actions.model import Action

VIEWS: dict[str, str] = {"compare": "Compare"}
"""Screens that no tab leads to: name → what they are called."""

_COMPARE = frozenset({"compare"})

COMPARE_ACTIONS: list[Action] = [
    Action("compare.tab", "v", "tab(1)", "Next tab",
           "Goes to the next tab: curves, config, metrics, answers, probes.", "View", _COMPARE, footer=True),
    Action("compare.tab_back", "V", "tab(-1)", "Tab before", "Goes to the tab before.", "View", _COMPARE),
    Action("compare.measure", "m", "measure", "Figure",
           "Steps through what is drawn: losses, learning rate, gradient norm, speed, memory.", "Curves", _COMPARE,
           footer=True),
    Action("compare.axis", "x", "axis", "Axis", "Draws the curves over steps, trained tokens, or time at work.",
           "Curves", _COMPARE, footer=True),
    Action("compare.cross_right", "full_stop", "on_chart('cross', 1)", "Crosshair",
           "Moves the crosshair to the next point; the list tells every run's value there.", "Curves", _COMPARE,
           footer=True),
    Action("compare.cross_left", "comma", "on_chart('cross', -1)", "Crosshair back",
           "Moves the crosshair to the point before.", "Curves", _COMPARE),
    Action("compare.smooth", "s", "on_chart('smooth')", "Smooth",
           "Steps through smoothing weights: off, 0.6, 0.9, 0.97.", "Curves", _COMPARE, footer=True),
    Action("compare.log", "l", "on_chart('log')", "Log",
           "Switches the y axis between linear and logarithmic.", "Curves", _COMPARE, footer=True),
    Action("compare.zoom_in", "plus,equals_sign", "on_chart('zoom', 2.0)", "Zoom in",
           "Shows half as much of the axis, keeping the tail or the crosshair in view.", "Curves", _COMPARE),
    Action("compare.zoom_out", "minus", "on_chart('zoom', 0.5)", "Zoom out", "Shows twice as much of the axis.",
           "Curves", _COMPARE),
    Action("compare.pan_left", "left", "on_chart('pan', -0.25)", "Pan left", "Moves the view a quarter to the left.",
           "Curves", _COMPARE),
    Action("compare.pan_right", "right", "on_chart('pan', 0.25)", "Pan right",
           "Moves the view a quarter to the right.", "Curves", _COMPARE),
    Action("compare.whole", "w", "on_chart('whole')", "Whole", "Shows the whole curves again.", "Curves", _COMPARE),
    Action("compare.hide", "space", "hide", "Hide", "Hides the curve of the run under the cursor, or shows it again.",
           "Runs", _COMPARE, footer=True),
    Action("compare.reference", "r", "reference", "Reference",
           "Judges all runs against the one under the cursor.", "Runs", _COMPARE, footer=True),
    Action("compare.reuse", "u", "reuse", "Use config",
           "Loads the configuration of the run under the cursor as the experiment to edit and start.", "Runs",
           _COMPARE, footer=True),
    Action("compare.differing", "d", "differing", "Differing",
           "Lists only the rows whose answers differ, or all.", "Answers", _COMPARE, footer=True),
    Action("compare.next", "n,j", "row(1)", "Next", "Goes to the next row.", "Answers", _COMPARE, footer=True),
    Action("compare.previous", "p,k", "row(-1)", "Previous", "Goes to the previous row.", "Answers", _COMPARE),
    Action("compare.export", "e", "export", "Export",
           "Writes the comparison into a file: a page with charts, Markdown, CSV or JSON.", "Runs", _COMPARE,
           footer=True),
]  # fmt: skip
