"""Draws a data set at a glance: rows per split, lengths in tokens, what is trained on, and what was noted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui_tuner.engine.results import DataPreview, PreviewRow
from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, notice
from tui_tuner.ui.widgets.data_row import prompt_start

if TYPE_CHECKING:
    from tui_tuner.engine.dataset import DataFacts

SPLITS = ("train", "valid", "test")
_SPLIT_STYLE = {"train": "$text-primary", "valid": "$text-warning", "test": "$text-accent"}
_KINDS = {"completion": "prompt → answer", "chat": "conversations", "text": "plain text"}


def counts(preview: DataPreview, width: int) -> Content:
    """Rows per split with a proportional bar of as many cells as are left."""
    parts: list[str | Content | tuple[str, str]] = []
    for split in SPLITS:
        rows = preview.counts.get(split, 0)
        known = count(rows) if rows or preview.complete else "…"
        parts.extend([(f"{split} ", _SPLIT_STYLE[split]), (known, "bold"), "   "])
    head = Content.assemble(*parts, (_KINDS.get(preview.kind, preview.kind), "$text-muted"))
    room = width - head.cell_length - 3
    return head if room < 10 else Content.assemble(head, "   ", bar(preview.counts, min(room, 48)))


def bar(rows: dict[str, int], width: int) -> Content:
    """The splits' shares as a bar; each split has its own texture, so colour is not needed to tell them apart."""
    held = [(split, glyph, rows[split]) for split, glyph in zip(SPLITS, "█▓░", strict=True) if rows.get(split)]
    total = sum(some for _, _, some in held)
    parts: list[tuple[str, str]] = []
    left = width
    for at, (split, glyph, some) in enumerate(held):
        after = len(held) - at - 1  # Splits still to come: each of them gets a cell, however few rows it has.
        cells = min(max(round(width * some / total), 1), left - after) if after else left
        parts.append((glyph * cells, _SPLIT_STYLE[split]))
        left -= cells
    return Content.assemble(*parts)


def lengths(preview: DataPreview, facts: DataFacts | None, context: int, width: int) -> Content:
    """Token lengths and trainable tokens, in one line.

    Args:
        facts: what was found in all rows, once that is known.
        context: train.max_seq_length; 0 when not known.
    """
    figures: dict[str, float] = dict(preview.token_lengths)
    trained = preview.trainable_tokens
    if facts is not None and facts.tokens:
        figures, trained = facts.tokens, facts.tokens["trainable"]
    if not figures.get("max"):
        return Content.styled("tokens are counted with the linter's pass", "$text-muted")
    parts: list[str | tuple[str, str]] = [("tokens a row  ", "$text-muted")] if width >= 100 else []
    for key, name in (("min", "shortest"), ("median", "median"), ("p95", "95 %"), ("max", "longest")):
        if key in figures:
            over = key == "max" and 0 < context < figures[key]
            parts.extend([
                (f"{name} ", "$text-muted"),
                (f"{'▲ ' if over else ''}{count(figures[key])}", "bold $text-warning" if over else "bold"),
                "   ",
            ])  # fmt: skip
    parts.append(("trained on ", "$text-muted"))
    parts.append((f"{count(trained)}", "bold $text-success"))
    parts.append((" tokens", "$text-muted"))
    return Content.assemble(*parts)


def notes(preview: DataPreview, width: int, most: int) -> Content:
    """What the preparation noted, a sentence each: at most `most`, and how many are left out."""
    shown = [notice("•", text, "$text-accent", width) for text in preview.notes[:most]]
    left = len(preview.notes) - most
    if left > 0:
        more = Content.styled(f"  +{left} more note{'s' if left > 1 else ''}", "$text-muted")
        shown[-1] = cell(shown[-1], width - more.cell_length) + more if most == 1 else lines([shown[-1], more])
    return lines(shown)


_FIGURES = 24
"""Cells of a row's line before its text."""


def row_header(width: int) -> Content:
    """The heading of the list of rows."""
    return Content.assemble(cell("split", 6), cell("row", 8, right=True), cell("tokens", 8, right=True), "  ",
                            cell("begins", max(width - _FIGURES, 4)))  # fmt: skip


def row_line(row: PreviewRow, width: int) -> Content:
    """One row of the list."""
    cut = "▲" if row.truncated else " "
    room = max(width - _FIGURES, 4)
    return Content.assemble(
        *_where(row.split, row.index),
        cell(count(len(row.tokens)) if row.tokens else "–", 8, right=True),
        (cut, "bold $text-warning"), " ",
        cell(clip(prompt_start(row.row), room), room),
    )  # fmt: skip


def absent_line(place: tuple[str, int], length: int, why: str, width: int) -> Content:
    """A row of the list that is not here (yet), with its length in tokens where that is known."""
    tokens = cell(count(length) if length else "", 8, right=True)
    return Content.assemble(*_where(*place), tokens, "  ", cell(why, max(width - _FIGURES, 4), style="$text-muted"))


def _where(split: str, number: int) -> tuple[Content, Content]:
    return (
        cell(visible(split), 6, style=_SPLIT_STYLE.get(split, "")),
        cell(count(number), 8, right=True, style="$text-muted"),
    )
