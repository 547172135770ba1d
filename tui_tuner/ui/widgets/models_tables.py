"""Draws what was measured: the variants made of a model, and the ways to merge an adapter. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from textual.content import Content

from tui_tuner.ui.format import DASH, number, size
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.data_list import cell

_VARIANT = (("size", 9), ("bits", 6), ("perplexity", 18), ("KL", 9), ("same", 8), ("tokens/s", 10), ("memory", 9))
_WAY = (("size", 9), ("kept", 9), ("KL", 9), ("same", 8), ("loss", 8), ("answers", 9))


def variants_header(width: int) -> Content:
    """The line above the variants."""
    return _line(Content("variant"), [name for name, _ in _VARIANT], _VARIANT, width)


def variant_line(one: Mapping[str, Any], width: int) -> Content:
    """One variant: what it is called, and what it was found to be like beside the model it was made from."""
    before, after = one.get("perplexity_before"), one.get("perplexity")
    moved = DASH if after is None else f"{number(before)} → {number(after)}"
    name = Content.assemble(
        visible(PurePath(str(one["path"])).name), ("  " + visible(str(one["scheme"])), "$text-muted")
    )
    texts = [
        size(one["bytes"]),
        f"{one['bits_per_weight']:.1f}",
        moved,
        number(one.get("kl")),
        _percent(one.get("top1"), 1),
        f"{one['tokens_per_second']:,.0f}",
        size(one["memory"]) if one.get("memory") else DASH,
    ]
    return _line(name, texts, _VARIANT, width)


def variant_said(one: Mapping[str, Any]) -> str:
    """All about one variant, in words: also what a narrow table has no room for."""
    on = one.get("measured_on")
    told = [str(one["scheme"]), f"measured on {on}" if on else "not measured"]
    told.append(f"{one['tokens_per_second']:,.0f} tokens/s")
    if one.get("memory"):
        told.append(f"{size(one['memory'])} while answering")
    if one.get("top1") is not None:
        told.append(f"the same token in {_percent(one['top1'], 1)}")
    if one.get("calibrated_on"):
        told.append(f"learned from {one['calibrated_on']}")
    return visible(f"{', '.join(told)}. {one['path']}")


def ways_header(width: int) -> Content:
    """The line above the ways to merge."""
    return _line(Content("  way"), [name for name, _ in _WAY], _WAY, width)


def way_line(one: Mapping[str, Any], recommended: str, width: int) -> Content:
    """One way to merge: whether it keeps the fine-tune, and by what figures."""
    sign, style = ("✓ ", "bold $text-success") if one["holds"] else ("✗ ", "bold $text-error")
    best = ("  ◀ recommended", "bold $text-accent") if one["way"] == recommended else ""
    exact = one["exact"]
    texts = [
        size(one["bytes"]),
        _percent(one["kept"], 1),
        number(one["kl"]),
        _percent(one["top1_agreement"], 1),
        number(one["loss"]["fused"], 3),
        f"{exact['same']} of {exact['of']}",
    ]
    return _line(Content.assemble((sign, style), visible(str(one["way"])), best), texts, _WAY, width)


def _percent(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{100 * value:.{digits}f} %"


def _line(name: Content, texts: Sequence[str], columns: Sequence[tuple[str, int]], width: int) -> Content:
    """A line of a table; columns at the right give way where there is no room for a name of 18 cells."""
    shown = list(zip(texts, (room for _, room in columns), strict=True))
    while len(shown) > 3 and width - sum(room for _, room in shown) < 18:
        shown.pop()
    rest = max(width - sum(room for _, room in shown), 8)
    return Content("").join([cell(name, rest), *(cell(text, room, right=True) for text, room in shown)])
