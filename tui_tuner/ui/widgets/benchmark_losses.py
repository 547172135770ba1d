"""Draws how surprised base and adapter are by each token of a reference. Pure functions to text.

A token's loss is told by a stroke as well as by colour, and in figures below.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui_tuner.engine.results import RowLosses
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.benchmark_detail import part
from tui_tuner.ui.widgets.benchmark_table import signed
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, wrap

LEVELS = (
    (0.7, "$text-success", "expected (below 0.7)"),
    (2.3, "underline $text-warning", "unsure"),
    (float("inf"), "bold reverse $text-error", "surprised (2.3 and more)"),
)
"""Nats below which a token is shown in a style: a chance of one half, and of one tenth."""
MOST = 400
"""Tokens that are listed one by one."""
_BOUNDARY = ("│", "$foreground 30%")
CHANGE = 0.05
"""A difference in nats below which two losses count as the same."""


def style_of(loss: float) -> str:
    """How a token with this loss looks."""
    return next(style for bound, style, _ in LEVELS if loss < bound)


def drawing(found: RowLosses, prompt: str, width: int) -> Content:
    """The reference under both models, then a line per token."""
    if not found.pieces:
        return Content.styled("The row's reference was cut off: no token of it is left.", "$text-muted")
    base, adapter = (sum(values) / len(values) for values in (found.base, found.adapter))
    means = (
        f"Mean loss of {len(found.pieces)} tokens, in nats: {base:.3f} by the base, {adapter:.3f} with the adapter "
        f"({signed(adapter - base)})."
    )
    legend = Content("  ").join(Content.styled(name, style) for _, style, name in LEVELS)
    parts = [
        lines(Content.styled(line, "bold") for line in wrap(means, width)),
        part("Prompt", Content.styled(clip(prompt, 400), "$text-muted"), width),
        part("Base", _text(found.pieces, found.base), width),
        part("Adapter", _text(found.pieces, found.adapter), width),
        *legend.wrap(width),
        Content(""),
        _table(found, width),
    ]
    return lines(parts)


def _text(pieces: Sequence[str], losses: Sequence[float]) -> Content:
    out: list[tuple[str, str]] = []
    for at, (piece, loss) in enumerate(zip(pieces, losses, strict=True)):
        if at and out[-1][0] != "\n":
            out.append(_BOUNDARY)
        *whole, last = (visible(piece, lines=True) or "∅").split("\n")
        for text in whole:
            out += [(f"{text}↵", style_of(loss)), ("\n", "")]
        if last:
            out.append((last, style_of(loss)))
    return Content.assemble(*out)


def _table(found: RowLosses, width: int) -> Content:
    room = max(width - 31, 6)
    out = [
        Content.assemble(
            cell("token", room, style="bold $text-muted"),
            *(cell(title, 9, right=True, style="bold $text-muted") for title in ("base", "adapter", "change")),
        )
    ]
    listed = zip(found.pieces[:MOST], found.base, found.adapter, strict=False)
    for piece, base, adapter in listed:
        difference = adapter - base
        sign, style = ("=", "$text-muted")
        if abs(difference) >= CHANGE:
            sign, style = ("▲", "$text-success") if difference < 0 else ("▼", "$text-error")
        text = clip(piece.replace("\n", "↵"), room - 2) or "∅"
        out.append(
            Content.assemble(
                cell(Content.styled(text, style_of(adapter)), room),
                cell(f"{base:.3f}", 9, right=True), cell(f"{adapter:.3f}", 9, right=True),
                cell(signed(difference), 9, right=True, style=style), (f" {sign}", style),
            )
        )  # fmt: skip
    if len(found.pieces) > MOST:
        out.append(Content.styled(f"… and {len(found.pieces) - MOST:,} tokens more", "italic $text-muted"))
    return lines(out)
