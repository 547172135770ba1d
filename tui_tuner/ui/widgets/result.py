"""Before against after: one row a metric, and the verdict in a sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from textual.content import Content

from tui_tuner.ui import format as fmt
from tui_tuner.ui.status import VERDICTS
from tui_tuner.ui.text import clip, inert

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView

NAMES = {"exact_match": "exact match", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
"""How the metrics are written."""


def result_content(view: RunView, width: int) -> Content:
    """The table of a run as far as it has come, and the verdict when there is one.

    Args:
        view: the run.
        width: cells that there are; with fewer than 70 the intervals are left out.
    """
    before, after = view.evaluations.get("before", {}), view.evaluations.get("after", {})
    if not before and not after:
        return Content.styled("The baseline is measured before training, the result after it.", "$text-muted")
    verdicts = (view.verdict or {}).get("metrics", {})
    wide = width >= 70
    rows = [view.evaluation_rows.get(label, 0) for label in ("before", "after") if view.evaluation_rows.get(label)]
    title = f"{rows[-1]} rows" if rows else ""
    value_width = 20 if wide else 9
    lines: list[Content] = []
    sentence = (view.verdict or {}).get("sentence", "")
    if sentence:
        lines.append(_headline(verdicts, sentence))
    heads = ["before".rjust(value_width), "after".rjust(value_width), "change".rjust(10)]
    lines.append(Content.styled(f"{title:<13}" + "".join(heads), "$text-muted"))
    for name in [*before, *(name for name in after if name not in before)]:
        label = inert(clip(NAMES.get(name, name), 12).ljust(13), "bold")
        cells = Content.assemble(
            _value(name, before.get(name), wide).rjust(value_width),
            _value(name, after.get(name), wide).rjust(value_width),
        )
        lines.append(label + cells + _change(name, verdicts.get(name, {})))
    if not after:
        lines.append(Content.styled("The same rows are measured again after training.", "$text-muted"))
    return Content("\n").join(lines)


def _headline(verdicts: dict[str, Any], sentence: str) -> Content:
    words = {str(metric.get("verdict")) for metric in verdicts.values()}
    word = "worse" if "worse" in words else "better" if "better" in words else "no measurable change"
    if {"worse", "better"} <= words:
        word = ""
    sign, style = VERDICTS.get(word, ("◆", "$text-warning"))
    return Content.assemble((f"{sign} ", f"bold {style}"), inert(sentence, f"bold {style}"))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _written(name: str, value: float) -> str:
    """A share of the rows, or a score out of 1, in percent; any other metric in its own unit."""
    from tui_tuner.evaluation.metrics import METRICS

    spec = METRICS.get(name)
    return f"{100 * value:.1f}" if spec is not None and spec.bounds == (0.0, 1.0) else fmt.number(value)


def _value(name: str, metric: dict[str, Any] | None, wide: bool) -> str:
    """`92.5 (80.0–97.0)`: the value and its interval."""
    value, low, high = (_number((metric or {}).get(key)) for key in ("value", "low", "high"))
    if not math.isfinite(value):
        return "–"
    if wide and math.isfinite(low) and math.isfinite(high):
        return f"{_written(name, value)} ({_written(name, low)}–{_written(name, high)})"
    return _written(name, value)


def _change(name: str, metric: dict[str, Any]) -> Content:
    difference = _number(metric.get("difference"))
    if not math.isfinite(difference):
        return Content("–".rjust(10), [])
    word = str(metric.get("verdict", ""))
    sign, style = VERDICTS.get(word, ("", "$text-muted"))
    changed = f"{'+' if difference >= 0 else '-'}{_written(name, abs(difference))}"
    return Content.assemble((changed.rjust(10), "bold"), "  ", (f"{sign} ", f"bold {style}"), inert(word, style))
