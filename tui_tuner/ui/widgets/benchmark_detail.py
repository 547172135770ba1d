"""Draws one row of a benchmark in full: prompt, reference, both answers with what changed. Pure functions to text.

What changed is told by strokes and underlines as well as by colour. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui_tuner.evaluation.stored import DEFAULT_SPLIT, Answer, Pair
from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.benchmark_table import label, score
from tui_tuner.ui.widgets.data_pane import lines
from tui_tuner.ui.worddiff import word_diff

LABEL = 11
"""Cells of the label column of the row in full."""


def detail(
    pair: Pair,
    width: int,
    *,
    against_reference: bool,
    tight: bool = False,
    names: tuple[str, str] = ("before", "after"),
) -> Content:
    """The row in full. Words that the other text lacks are struck out (first) or bold and underlined (second).

    Args:
        against_reference: mark in both answers what the reference has too, instead of what changed between them.
        tight: without blank lines between the parts.
        names: of the two sides.
    """
    first, second = pair.a, pair.b
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
    a, b = (clip(name, LABEL - 1).capitalize() for name in names)
    parts = [
        part("Prompt", Content(visible(pair.prompt, lines=True)), width),
        part("Reference", Content.styled(visible(pair.reference, lines=True), "italic"), width),
        *_answer(a, first, texts[0], width),
        *_answer(b, second, texts[1], width),
    ]
    if pair.split != DEFAULT_SPLIT:
        parts.append(part("Part", Content(visible(pair.split)), width))
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
        return [part(title, Content.styled("not answered yet", "$text-muted"), width)]
    told = [f"{label(name)} {score(value)}" for name, value in answer.scores.items()]
    if answer.tokens:
        told.append(f"{count(answer.tokens)} tokens")
    if answer.finish == "length":
        told.append("✂ cut off at the token limit")
    body = marked if marked is not None else Content(visible(answer.prediction, lines=True))
    if not answer.prediction:
        body = Content.styled("∅ (an empty answer)", "italic $text-muted")
    notes = [part("", Content.styled(" · ".join(told), "$text-muted"), width)] if told else []
    return [lines([part(title, body, width), *notes])]


def part(title: str, body: Content, width: int) -> Content:
    """A label and its text, wrapped under itself."""
    rows = [row for line in body.split("\n", allow_blank=True) for row in line.wrap(max(width - LABEL, 12))]
    first, *rest = rows or [Content("")]
    head = Content.assemble((title.ljust(LABEL), "bold $text-primary"), first)
    return lines([head, *(Content.assemble(" " * LABEL, row) for row in rest)])
