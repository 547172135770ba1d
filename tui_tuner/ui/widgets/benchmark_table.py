"""Draws the before/after table, the verdict, and one row's answers with what changed. Pure functions to text.

Numbers come from the run's events as they are: nothing is computed here but where a bar starts and ends. A verdict is
told by sign and word, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textual.content import Content

from tui_tuner.ui.format import count
from tui_tuner.ui.status import VERDICTS
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.benchmark_rows import Answer, Pair
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, notice, wrap
from tui_tuner.ui.worddiff import word_diff

_LABELS = {"exact_match": "Exact match", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
_OUTCOMES = (("wins", "won"), ("ties", "tied"), ("losses", "lost"))
MINUS = "−"
WIDE = 112
"""Cells from which the table has room for p, wins and the verdict in words."""


def label(metric: str) -> str:
    """A metric's name as people write it."""
    return _LABELS.get(metric) or visible(metric)


def score(value: object) -> str:
    """A score between 0 and 1 with three decimals."""
    return f"{value:.3f}" if isinstance(value, (int, float)) else "–"


def signed(value: object) -> str:
    """A difference with its sign; 0 has none."""
    if not isinstance(value, (int, float)):
        return "–"
    text = f"{abs(value):.3f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else MINUS}{text}"


def p_value(value: object) -> str:
    """A p value the way papers write it."""
    if not isinstance(value, (int, float)):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval(figures: Mapping[str, Any] | None, width: int) -> Content:
    """A value with its 95 % interval."""
    if not figures:
        return cell("–", width, style="$text-muted")
    low, high = figures.get("low"), figures.get("high")
    between = "" if low is None or high is None else f" {score(low)}–{score(high)}"
    return cell(Content.assemble((score(figures.get("value")), "bold"), (between, "$text-muted")), width)


def gap(figures: Mapping[str, Any] | None, width: int) -> Content:
    """A difference with its 95 % interval, in the colour of its verdict."""
    if not figures:
        return cell("–", width, style="$text-muted")
    low, high = figures.get("low"), figures.get("high")
    between = "" if low is None or high is None else f" {signed(low)}…{signed(high)}"
    style = verdict_of(figures)[2]
    return cell(Content.assemble((signed(figures.get("difference")), style), (between, "$text-muted")), width)


def verdict_of(figures: Mapping[str, Any] | None) -> tuple[str, str, str]:
    """Sign, word and style of a metric's verdict."""
    word = str((figures or {}).get("verdict", ""))
    if word not in VERDICTS:
        return "·", "", "$text-muted"
    sign, style = VERDICTS[word]
    return sign, word, f"bold {style}"


def table(
    metrics: Sequence[str],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    verdict: Mapping[str, Any],
    width: int,
    selected: str = "",
) -> Content:
    """A line per metric: both sides with intervals, the difference, and what it means.

    Args:
        before, after: metric → `{"value", "low", "high"}`.
        verdict: metric → the `verdict` event's entry.
        width: cells; see `WIDE`; still wider, there are bars of the intervals.
        selected: the metric that the list of rows is ordered by; it carries a mark.
    """
    wide = width >= WIDE
    bars = min(width - WIDE - 2, 60) if width >= WIDE + 24 else 0
    muted = "bold $text-muted"
    titles = [("", 2), ("metric", 12), ("before", 18), ("after", 18), ("after − before", 21)]
    titles += [("p", 9), ("won/tied/lost", 15)] if wide else []
    head = [cell(title, cells, style=muted) for title, cells in titles]
    if bars:
        head += [_axis(bars), Content("  ")]
    out = [Content.assemble(*head)]
    for metric in metrics:
        told = verdict.get(metric)
        sign, word, style = verdict_of(told)
        chosen = metric == selected
        parts = [
            Content.styled("▸ ", "bold $text-accent") if chosen else Content("  "),
            cell(label(metric), 12, style="bold" if chosen else ""),
            interval(before.get(metric), 18), interval(after.get(metric), 18), gap(told, 21),
        ]  # fmt: skip
        if wide:
            parts += [cell(p_value((told or {}).get("p")), 9), cell(wins(told), 15)]
        if bars:
            parts += [interval_bars(before.get(metric), after.get(metric), bars), Content("  ")]
        room = width - sum(part.cell_length for part in parts)
        parts.append(Content.styled(f"{sign} {word}" if room >= len(word) + 2 else sign, style))
        out.append(Content.assemble(*parts))
    return lines(out)


def _axis(width: int) -> Content:
    return Content.styled("0" + "○ before  ● after".center(width - 2) + "1", "$text-muted")


def wins(figures: Mapping[str, Any] | None) -> str:
    """Wins, ties and losses of after against before."""
    if not figures or figures.get("wins") is None:
        return "–"
    return f"{count(figures['wins'])}/{count(figures['ties'])}/{count(figures['losses'])}"


def interval_bars(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, width: int) -> Content:
    """Both intervals on one axis from 0 to 1: before as a thin line with ○, after as a thick one with ●."""
    cells: list[tuple[str, str]] = [("·", "$foreground 20%")] * width
    for figures, line, dot, style in ((before, "─", "○", "$text-muted"), (after, "━", "●", "bold $text-primary")):
        if not figures or figures.get("value") is None:
            continue
        value = _place(figures["value"], width)
        low, high = (_place(figures.get(end, figures["value"]), width) for end in ("low", "high"))
        for at in range(low, high + 1):
            cells[at] = (line, style)
        cells[value] = (dot, style)
    return Content.assemble(*cells)


def _place(value: object, width: int) -> int:
    number = float(value) if isinstance(value, (int, float)) else 0.0
    return min(max(round(number * (width - 1)), 0), width - 1)


def outcome(figures: Mapping[str, Any]) -> str:
    """p, and how many rows were won, tied and lost."""
    p = p_value(figures.get("p"))
    rows = ", ".join(f"{count(figures.get(key))} {word}" for key, word in _OUTCOMES)
    return f"p {p if p.startswith('<') else f'= {p}'} · {rows}"


def metric_line(figures: Mapping[str, Any] | None, width: int) -> Content:
    """What the selected metric's verdict says, in words."""
    sign, _, style = verdict_of(figures)
    return notice(sign, str((figures or {}).get("sentence") or ""), style, width)


def row_header(width: int) -> Content:
    """The heading of the list of rows."""
    return Content.assemble(
        cell("row", 6, right=True), cell("before", 9, right=True), cell("after", 8, right=True),
        cell("change", 10, right=True), "  ", cell("prompt", max(width - 35, 4)),
    )  # fmt: skip


def row_line(pair: Pair, metric: str, width: int) -> Content:
    """One row of the list: its scores on the metric and the start of its prompt."""
    difference = pair.difference(metric)
    if difference is None or abs(difference) < 5e-4:
        sign, style = (" ", "$text-muted") if difference is None else ("=", "$text-muted")
    else:
        sign, style = ("▲", "$text-success") if difference > 0 else ("▼", "$text-error")
    room = max(width - 35, 4)
    return Content.assemble(
        cell(str(pair.index), 6, right=True, style="$text-muted"),
        cell(score(pair.before.scores.get(metric)) if pair.before else "–", 9, right=True),
        cell(score(pair.after.scores.get(metric)) if pair.after else "–", 8, right=True),
        cell(f"{signed(difference)} {sign}", 10, right=True, style=style), "  ",
        cell(visible(pair.prompt), room),
    )  # fmt: skip


LABEL = 11
"""Cells of the label column of the row in full."""


def detail(pair: Pair, width: int, *, against_reference: bool, tight: bool = False) -> Content:
    """The row in full. Words that the other text lacks are struck out (before) or bold and underlined (after).

    Args:
        against_reference: mark in both answers what the reference has too, instead of what changed between them.
        tight: without blank lines between the parts.
    """
    first, second = pair.before, pair.after
    texts: list[Content | None] = [None, None]
    remark = ""
    if against_reference:
        texts = [_found(first, pair.reference), _found(second, pair.reference)]
        remark = "Underlined: words that the reference has too."
    elif first is not None and second is not None:
        changed = word_diff(visible(first.prediction, lines=True), visible(second.prediction, lines=True))
        if changed is None:
            remark = "The answers are too long to compare word by word."
        elif first.prediction == second.prediction:
            remark = "= Both answers are the same."
        else:
            texts = [_styled(changed[0], "strike $text-error"), _styled(changed[1], "bold underline $text-success")]
    parts = [
        _part("Prompt", Content(visible(pair.prompt, lines=True)), width),
        _part("Reference", Content.styled(visible(pair.reference, lines=True), "italic"), width),
        *_answer("Before", first, texts[0], width),
        *_answer("After", second, texts[1], width),
    ]
    if remark:
        parts.append(Content.styled(remark, "$text-muted"))
    return (Content("\n") if tight else Content("\n\n")).join(parts)


def _found(answer: Answer | None, reference: str) -> Content | None:
    if answer is None:
        return None
    pieces = word_diff(visible(answer.prediction, lines=True), visible(reference, lines=True))
    if pieces is None:
        return None
    return Content.assemble(
        *((text, "underline $text-success" if same and text.strip() else "$text-muted") for text, same in pieces[0])
    )


def _styled(pieces: Sequence[tuple[str, bool]], style: str) -> Content:
    return Content.assemble(*((text, "" if same else style) for text, same in pieces))


def _answer(title: str, answer: Answer | None, marked: Content | None, width: int) -> list[Content]:
    if answer is None:
        return [_part(title, Content.styled("not answered yet", "$text-muted"), width)]
    notes = " · ".join(f"{label(name)} {score(value)}" for name, value in answer.scores.items())
    if answer.tokens:
        notes += f" · {count(answer.tokens)} tokens"
    if answer.finish == "length":
        notes += " · ▲ cut off at the token limit"
    body = marked if marked is not None else Content(visible(answer.prediction, lines=True))
    if not answer.prediction:
        body = Content.styled("(an empty answer)", "italic $text-muted")
    return [lines([_part(title, body, width), _part("", Content.styled(notes, "$text-muted"), width)])]


def _part(title: str, body: Content, width: int) -> Content:
    """A label and its text, wrapped under itself."""
    rows = [row for line in body.split("\n", allow_blank=True) for row in line.wrap(max(width - LABEL, 12))]
    first, *rest = rows or [Content("")]
    head = Content.assemble((title.ljust(LABEL), "bold $text-primary"), first)
    return lines([head, *(Content.assemble(" " * LABEL, row) for row in rest)])


def sentence(text: str, width: int) -> Content:
    """The overall verdict, wrapped."""
    return lines(Content.styled(line, "bold") for line in wrap(visible(text), width))
