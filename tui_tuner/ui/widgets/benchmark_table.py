"""Draws figures of a benchmark: a line per metric, a line per result, and what a verdict says. Pure functions to text.

Numbers come from the run's files and events as they are: nothing is computed here but where a bar starts and ends. A
verdict is told by sign and word, never by colour alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from textual.content import Content

from tui_tuner.evaluation.board import Result
from tui_tuner.evaluation.metrics import METRICS
from tui_tuner.evaluation.stored import Pair
from tui_tuner.ui.format import count
from tui_tuner.ui.status import VERDICTS
from tui_tuner.ui.text import clip, clip_middle, visible
from tui_tuner.ui.widgets.benchmark_rows import DUST
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, notice, wrap

_SHORT = {"squad_exact_match": "EM (SQuAD)", "token_f1": "F1 (SQuAD)", "numeric_accuracy": "Right number"}
"""Labels for the width of a column."""
_OUTCOMES = (("wins", "won"), ("ties", "tied"), ("losses", "lost"))
MINUS = "−"
WIDE = 106
"""Cells from which the table has room for p, wins and the verdict in words."""
_NAME, _SIDE, _GAP, _P, _WINS = 12, 18, 21, 8, 12
_NUMBER = (int, float)
_OPENING = re.compile(r"^(?:<\|[^|<>]{1,60}\|>|<s>|\s)+")
"""What templates put before a prompt: the same in every row, so a list need not show it."""
_UNJUDGED = ("·", "", "$text-muted")


def known(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number; events write others as null, which readers give back as NaN."""
    return isinstance(value, _NUMBER) and math.isfinite(value)


def label(metric: str) -> str:
    """A metric's name as people write it."""
    spec = METRICS.get(metric)
    return _SHORT.get(metric) or (spec.label if spec is not None else visible(metric))


def score(value: object) -> str:
    """A score with three decimals; fewer where it is far from 1."""
    if not known(value):
        return "–"
    size = abs(value)
    return f"{value:.3f}" if size < 9.9995 else f"{value:.2f}" if size < 99.995 else f"{value:,.0f}"


def signed(value: object) -> str:
    """A difference with its sign; 0 has none."""
    if not known(value):
        return "–"
    text = score(abs(value))
    return text if float(text.replace(",", "")) == 0 else f"{'+' if value > 0 else MINUS}{text}"


def p_value(value: object) -> str:
    """A p value the way papers write it."""
    if not known(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval(figures: Mapping[str, Any] | None, width: int) -> Content:
    """A value with its 95 % interval."""
    if not figures:
        return cell("–", width, style="$text-muted")
    low, high = figures.get("low"), figures.get("high")
    between = f" {score(low)}–{score(high)}" if known(low) and known(high) else ""
    return cell(Content.assemble((score(figures.get("value")), "bold"), (between, "$text-muted")), width)


def gap(figures: Mapping[str, Any] | None, width: int) -> Content:
    """A difference with its 95 % interval, in the colour of its verdict."""
    if not figures:
        return cell("–", width, style="$text-muted")
    low, high = figures.get("low"), figures.get("high")
    between = f" {signed(low)}…{signed(high)}" if known(low) and known(high) else ""
    style = verdict_of(figures)[2]
    return cell(Content.assemble((signed(figures.get("difference")), style), (between, "$text-muted")), width)


def side_of(told: Mapping[str, Any], side: str) -> dict[str, Any] | None:
    """The value of one side, `a` or `b`, over the rows that were judged; None when the verdict does not tell."""
    if not known(told.get(side)):
        return None
    return {"value": told[side], "low": told.get(f"{side}_low"), "high": told.get(f"{side}_high")}


def verdict_of(figures: Mapping[str, Any] | None) -> tuple[str, str, str]:
    """Sign, word and style of a metric's verdict."""
    word = str((figures or {}).get("verdict", ""))
    if word not in VERDICTS:
        return _UNJUDGED
    sign, style = VERDICTS[word]
    return sign, word, f"bold {style}"


# -- a line per metric --------------------------------------------------------------------------------------------


def metric_header(names: tuple[str, str], width: int) -> Content:
    """The heading of the table of metrics; `names` are those of the two sides."""
    a, b = (clip(name, _SIDE - 1) for name in names)
    change = f"{a} → {b}" if names != ("before", "after") else "after − before"
    titles = [("metric", _NAME), (a, _SIDE), (b, _SIDE), (clip(change, _GAP - 1), _GAP)]
    bars = _bars(width)
    titles += [("p", _P), ("won/tie/lost", _WINS + (3 if bars else 0))] if width >= WIDE else []
    head = [cell(title, cells) for title, cells in titles]
    if bars:
        head += [Content("0" + f"○ {a}  ● {b}".center(bars - 2) + "1"), Content("  ")]
    return Content.assemble(*head)


def metric_line(
    metric: str, a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, told: Mapping[str, Any] | None, width: int
) -> Content:
    """One metric: both sides with intervals, the difference, and what it means.

    Args:
        a, b: {"value", "low", "high"} of both sides.
        told: the verdict's entry.
        width: cells; see `WIDE`; still wider, there are bars of the intervals.
    """
    sign, word, style = verdict_of(told)
    parts = [
        cell(clip(label(metric), _NAME - 1), _NAME, style="bold"),
        interval(a, _SIDE),
        interval(b, _SIDE),
        gap(told, _GAP),
    ]
    bars = _bars(width)
    if width >= WIDE:
        parts += [cell(p_value((told or {}).get("p")), _P), cell(wins(told), _WINS + (3 if bars else 0))]
    if bars:
        parts += [interval_bars(a, b, bars), Content("  ")]
    room = width - sum(part.cell_length for part in parts)
    parts.append(Content.styled(f"{sign} {word}" if room >= len(word) + 2 else sign, style))
    return Content.assemble(*parts)


def _bars(width: int) -> int:
    """Cells of the bars; 0 where there is no room for them."""
    room = min(width - 118, 60)
    return room if room >= 20 else 0


def wins(figures: Mapping[str, Any] | None) -> str:
    """Wins, ties and losses of the second side against the first."""
    if not figures or figures.get("wins") is None:
        return "–"
    return f"{count(figures['wins'])}/{count(figures['ties'])}/{count(figures['losses'])}"


def interval_bars(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, width: int) -> Content:
    """Both intervals on one axis from 0 to 1: the first as a thin line with ○, the second as a thick one with ●.

    Figures beyond that axis are not drawn.
    """
    cells: list[tuple[str, str]] = [("·", "$foreground 20%")] * width
    for figures, line, dot, style in ((a, "─", "○", "$text-muted"), (b, "━", "●", "bold $text-primary")):
        ends = [(figures or {}).get(key) for key in ("value", "low", "high")]
        value, low, high = (_place(end, width) for end in (ends[0], ends[1] or ends[0], ends[2] or ends[0]))
        if value is None or low is None or high is None:
            continue
        for at in range(low, high + 1):
            cells[at] = (line, style)
        cells[value] = (dot, style)
    return Content.assemble(*cells)


def _place(value: object, width: int) -> int | None:
    if not known(value) or not -1e-9 <= value <= 1 + 1e-9:
        return None
    return min(max(round(float(value) * (width - 1)), 0), width - 1)


def outcome(figures: Mapping[str, Any]) -> str:
    """p, and how many rows were won, tied and lost."""
    p = p_value(figures.get("p"))
    rows = ", ".join(f"{count(figures.get(key))} {word}" for key, word in _OUTCOMES)
    return f"p {p if p.startswith('<') else f'= {p}'} · {rows}"


# -- one metric in full -------------------------------------------------------------------------------------------


def metric_detail(
    metric: str,
    told: Mapping[str, Any] | None,
    meant: Mapping[str, Any],
    splits: Sequence[tuple[str, Mapping[str, Any]]],
    width: int,
) -> Content:
    """What the verdict on a metric says, the parts apart, and what the metric is.

    Args:
        told: the verdict's entry; None when it was not judged.
        meant: what the metric is: `definition`, `options`, `version`, `higher_is_better`.
        splits: part → {"n", "a", "b", "told"} where results tell the parts apart.
    """
    parts: list[Content] = []
    sign, _, style = verdict_of(told)
    if told:
        parts.append(notice(sign, str(told.get("sentence") or ""), style, width))
        parts.append(_wrapped(f"{outcome(told)} · {_size(told)}", width))
    elif meant.get("judged") is False:
        parts.append(_wrapped("It describes the answers, and is not judged to be better or worse.", width))
    else:
        parts.append(_wrapped("Not judged: it takes two results over the same rows.", width))
    if splits:
        parts += [Content(""), split_table(splits, width)]
    parts += [Content(""), _definition(metric, meant, width)]
    return lines(parts)


def _size(told: Mapping[str, Any]) -> str:
    effect, rows = told.get("effect"), told.get("rows_to_settle")
    size = f"effect {signed(effect)} standard deviations" if known(effect) else "effect –"
    return f"{size} · about {count(rows)} rows would settle it" if known(rows) else size


def split_table(splits: Sequence[tuple[str, Mapping[str, Any]]], width: int) -> Content:
    """The parts of the test rows, each judged by itself."""
    name = min(max(len(visible(split)) for split, _ in splits) + 2, 20)
    wide = width >= name + 7 + 2 * _SIDE + _GAP + 4
    titles = [("part", name), ("rows", 7), *([("first", _SIDE), ("second", _SIDE)] if wide else []), ("change", _GAP)]
    out = [Content.assemble(*(cell(title, cells, style="bold $text-muted") for title, cells in titles))]
    for split, found in splits:
        told = found.get("told")
        sign, word, style = verdict_of(told)
        sides = [interval(found.get("a"), _SIDE), interval(found.get("b"), _SIDE)] if wide else []
        out.append(
            Content.assemble(
                cell(clip(split, name - 1), name), cell(count(found.get("n")), 7), *sides, gap(told, _GAP),
                (f"{sign} {word}" if width >= name + 7 + len(sides) * _SIDE + _GAP + len(word) + 2 else sign, style),
            )
        )  # fmt: skip
    return lines(out)


def _definition(metric: str, meant: Mapping[str, Any], width: int) -> Content:
    better = "higher is better" if meant.get("higher_is_better", True) else "lower is better"
    direction = "" if meant.get("judged") is False else f" · {better}"
    head = Content.assemble((label(metric), "bold $text-primary"), (direction, "$text-muted"))
    found = [head]
    if meant.get("definition"):
        found.append(_wrapped(str(meant["definition"]), width))
    options = meant.get("options")
    told = [f"{key} {value}" for key, value in options.items()] if isinstance(options, Mapping) else []
    told += [f"version {meant['version']}"] if meant.get("version") else []
    if told:
        found.append(_wrapped(" · ".join(told), width))
    return lines(found)


def _wrapped(text: str, width: int) -> Content:
    return lines(Content.styled(line, "$text-muted") for line in wrap(visible(text), width))


# -- a line per result --------------------------------------------------------------------------------------------


def result_header(metrics: Sequence[str], width: int) -> Content:
    """The heading of the table of results."""
    parts = [cell("", 3), cell("result", 18), cell("rows", 6, right=True), Content("  ")]
    return Content.assemble(*parts, *(cell(label(metric), _SIDE + 1) for metric in fitting(metrics, width)))


def fitting(metrics: Sequence[str], width: int) -> Sequence[str]:
    """As many metrics as have room with their intervals."""
    return metrics[: max((width - 29) // (_SIDE + 1), 1)]


def result_line(result: Result, metrics: Sequence[str], sides: tuple[str, str], width: int) -> Content:
    """One model or adapter: which side of the comparison it is, its rows, and its metrics with their intervals."""
    mark = {sides[0]: "○", sides[1]: "●"}.get(result.label, "")
    figures = [interval(result.metrics.get(metric), _SIDE + 1) for metric in fitting(metrics, width)]
    return Content.assemble(
        cell(mark, 3, style="bold $text-primary"), cell(clip_middle(result.label, 17), 18, style="bold"),
        cell(count(result.n or None), 6, right=True, style="$text-muted"), "  ", *figures,
    )  # fmt: skip


# -- a line per row -----------------------------------------------------------------------------------------------


def row_header(names: tuple[str, str], width: int) -> Content:
    """The heading of the list of rows."""
    a, b = names
    return Content.assemble(
        cell("row", 6, right=True), " ", cell(clip(a, 8), 8, right=True), cell(clip(b, 7), 8, right=True),
        cell("change", 10, right=True), "  ", cell("prompt", max(width - 35, 4)),
    )  # fmt: skip


def row_line(pair: Pair, metric: str, width: int, higher_is_better: bool = True) -> Content:
    """One row of the list: its scores on the metric and the start of its prompt."""
    difference = pair.difference(metric)
    if difference is None or abs(difference) < DUST:
        sign, style = (" ", "$text-muted") if difference is None else ("=", "$text-muted")
    else:
        gained = (difference > 0) == higher_is_better
        sign, style = ("▲", "$text-success") if gained else ("▼", "$text-error")
    notes = ("✂" if pair.capped else "") + ("∅" if pair.empty else "")
    room = max(width - 35, 4)
    prompt = visible(_OPENING.sub("", pair.prompt))
    return Content.assemble(
        cell(str(pair.index), 6, right=True, style="$text-muted"),
        cell(score(pair.a.scores.get(metric)) if pair.a else "–", 9, right=True),
        cell(score(pair.b.scores.get(metric)) if pair.b else "–", 8, right=True),
        cell(f"{signed(difference)} {sign}", 10, right=True, style=style), "  ",
        cell(f"{notes} {prompt}" if notes else prompt, room),
    )  # fmt: skip


def sentence(text: str, width: int) -> Content:
    """The overall verdict, wrapped."""
    return lines(Content.styled(line, "bold") for line in wrap(visible(text), width))


def rate(figures: Mapping[str, Any] | None, width: int) -> Content:
    """A share with its 95 % interval: `83 % 61–94 %`."""
    if not figures or not known(figures.get("rate")):
        return cell("–", width, style="$text-muted")
    low, high = figures.get("low"), figures.get("high")
    between = f" {100 * low:.0f}–{100 * high:.0f} %" if known(low) and known(high) else ""
    return cell(Content.assemble((f"{100 * figures['rate']:.0f} %", "bold"), (between, "$text-muted")), width)
