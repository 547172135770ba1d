"""Draws the list of models: name, size, bits, and whether running and training find room on this machine.

Pure functions from plain facts to text. A sign and a word say how it fits, never colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui_tuner.engine.results import ListedModel
from tui_tuner.models.facts import Fit, fit
from tui_tuner.ui.format import DASH, ago, size
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.data_list import cell

SIGNS: dict[Fit | None, tuple[str, str, str]] = {
    "fits": ("✓ ", "fits", "$text-success"),
    "tight": ("▲ ", "tight", "$text-warning"),
    "too large": ("✗ ", "large", "$text-error"),
    None: ("", DASH, "$text-muted"),
}
_HEADS = {
    "embedded": "Comes with the program",
    "local": "On this machine",
    "cache": "In the Hub's cache",
    "absent": "Named, and not on this machine",
}
Row = ListedModel | str
"""A model, or the heading above some."""


def rows_of(models: Sequence[ListedModel]) -> list[Row]:
    """The list as it is shown: a heading above each kind."""
    out: list[Row] = []
    source = ""
    for model in models:
        if model.source != source:
            source = model.source
            out.append(_HEADS[source])
        out.append(model)
    return out


def header(width: int) -> Content:
    """The line above the columns."""
    name = _name_width(width)
    parts = [cell("", name), *((cell(text, room, right=right)) for text, room, right in _columns(width))]
    return Content("").join(parts)


def drawn(row: Row, usable: int, mark: str, width: int) -> Content:
    """One line of the list.

    Args:
        usable: bytes that a job can have; 0 while that is not known.
        mark: what the model is to the workbench, such as "experiment"; empty for nothing.
    """
    if isinstance(row, str):
        return Content.styled(row, "bold $text-muted")
    name = Content.assemble(("● " if mark else "  ", "bold $text-accent"), visible(row.name))
    bits = f"{row.bits:.1f}" if row.bits else DASH
    cells = [size(row.bytes) if row.bytes else DASH, bits]
    if _wide(width):
        kind = row.architecture or DASH
        cells = [visible(kind), *cells]
    texts = [cell(text, room, right=True) for text, (_, room, _) in zip(cells, _columns(width), strict=False)]
    if row.problem:
        verdict = Content.styled("  ✗ see details", "$text-error")
        return Content("").join([cell(name, _name_width(width)), *texts, cell(verdict, 18)])
    fits = [_fit(fit(row.memory.get(use, 0), usable)) for use in ("run", "train")]
    return Content("").join([cell(name, _name_width(width)), *texts, *fits])


def _fit(found: Fit | None) -> Content:
    sign, word, style = SIGNS[found]
    return cell(Content.assemble("  ", (f"{sign}{word}", style)), 9)


def _wide(width: int) -> bool:
    return width >= 70


def _columns(width: int) -> list[tuple[str, int, bool]]:
    kind = [("type", 10, True)] if _wide(width) else []
    return [*kind, ("size", 9, True), ("bits", 6, True), ("  run", 9, False), ("  train", 9, False)]


def _name_width(width: int) -> int:
    return max(width - sum(room for _, room, _ in _columns(width)), 8)


def about(model: ListedModel) -> list[tuple[str, str]]:
    """What the list knows of a model beyond its columns, as labels and values."""
    rows = [("Called", model.path)]
    if model.made_as:
        rows.append(("Converted", f"here, as {model.made_as}"))
    if model.source == "cache":
        rows.append(("In the cache", f"{size(model.on_disk)} on disk, all versions"))
        if model.used is not None:
            rows.append(("Last used", ago(model.used)))
    if model.named_by:
        more = f" and {len(model.named_by) - 4} more" if len(model.named_by) > 4 else ""
        rows.append(("Named by", ", ".join(model.named_by[:4]) + more))
    return rows
