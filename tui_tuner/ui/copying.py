"""Copying: what a person means by "this" on a screen, as text, and its way to the clipboard.

The terminal is asked to take it (OSC 52), which also works over ssh; macOS's own clipboard is used where the app runs
on the Mac in front of one, because the Terminal of macOS does not listen. Text is copied as it is, so it must never be
shown or obeyed here.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Callable

from textual.screen import Screen
from textual.selection import SELECT_ALL
from textual.widget import Widget
from textual.widgets import DataTable, Input, OptionList, TextArea

from tui_tuner.ui.text import clip

_SHOWN = 40


def copied(screen: Screen[object]) -> tuple[str, str]:
    """What a person means on a screen, and its text.

    The text that was selected with the mouse; else what the focused widget offers (its `copy_text`), the line of a list
    or table under the cursor, or all text of the focused pane; and without a focus all that the screen shows.
    """
    selected = screen.get_selected_text()
    if selected:
        return "the selected text", selected
    focused = screen.focused
    if focused is None or not focused.is_on_screen:
        body = next(iter(screen.query("#body, .dialog")), screen)
        return "what the screen shows", shown_in(screen, body)
    offer: Callable[[], tuple[str, str]] | None = getattr(focused, "copy_text", None)
    if callable(offer):
        return offer()
    if isinstance(focused, DataTable):
        return _row(focused)
    if isinstance(focused, OptionList):
        at = focused.highlighted
        return ("the line", "" if at is None else _plain(focused.get_option_at_index(at).prompt).strip())
    if isinstance(focused, Input):
        return "the field", focused.value
    if isinstance(focused, TextArea):
        return "the text", focused.selected_text or focused.text
    scrolled = focused.max_scroll_y > 0
    return "the pane", (_whole(focused) if scrolled else "") or shown_in(screen, focused)


def _row(table: DataTable[object]) -> tuple[str, str]:
    """The cells of the row under the cursor, apart by tabs, so that a spreadsheet takes them."""
    if not table.row_count:
        return "the line", ""
    cells = table.get_row_at(table.cursor_row)
    return "the line", "\t".join(_plain(cell).strip() for cell in cells).strip()


def _plain(cell: object) -> str:
    plain = getattr(cell, "plain", None)
    return plain if isinstance(plain, str) else str(cell)


def _whole(pane: Widget) -> str:
    """All text below a pane, also what is scrolled out of sight."""
    parts = []
    for widget in pane.walk_children(Widget):
        if widget.display and not widget.children:
            with contextlib.suppress(Exception):  # a widget that has no text to select
                found = widget.get_selection(SELECT_ALL)
                parts += [found[0]] if found is not None else []
    return "\n".join(line.rstrip() for line in "\n".join(parts).splitlines()).strip()


def shown_in(screen: Screen[object], widget: Widget) -> str:
    """The text that stands in a widget on the screen, line by line."""
    region = widget.content_region
    strips = screen._compositor.render_strips()[region.y : region.bottom]
    lines = [strip.crop(region.x, region.right).text.rstrip() for strip in strips]
    return "\n".join(lines).strip("\n")


def told(what: str, text: str) -> str:
    """What is said after copying."""
    lines = text.rstrip("\n").count("\n") + 1
    size = f"{lines:,} lines" if lines > 1 else f"{len(text):,} character{'' if len(text) == 1 else 's'}"
    first = next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "")
    return f"Copied {what} ({size}): {clip(first, _SHOWN)}"


def hand_to_system(text: str) -> None:
    """Gives text to macOS's clipboard, where this process runs on the Mac that a person sits at; else does nothing."""
    if platform.system() != "Darwin" or any(name in os.environ for name in ("SSH_CONNECTION", "SSH_TTY")):
        return
    with contextlib.suppress(OSError, subprocess.SubprocessError):  # the terminal was asked, too
        subprocess.run(["/usr/bin/pbcopy"], input=text.encode("utf-8"), timeout=5, check=False)


__all__ = ["copied", "hand_to_system", "shown_in", "told"]
