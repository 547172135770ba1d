"""What `?` shows: what the screen is for, and every key that works on it, from the one table of actions."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.ui.actions import Action, actions_of, app_actions, key_text, mode_label
from tui_tuner.ui.text import inert, visible

WIDTH = 84
"""Cells of the panel, where the window has them."""
_MOST = 14
"""Keys of a widget that are listed."""
Row = tuple[str, str]
"""Keys and what they do."""


class HelpPanel(ModalScreen[None]):
    """The help of one screen.

    Args:
        title: the heading.
        intro: plain text before the keys; may be empty.
        groups: heading → rows of keys and explanations, in order.
    """

    BINDINGS = [("escape,question_mark,q,f1", "dismiss", "Close")]  # noqa: RUF012
    DEFAULT_CSS = """
    HelpPanel VerticalScroll { height: auto; max-height: 100%; scrollbar-size-vertical: 1; }
    HelpPanel Static { height: auto; }
    """

    def __init__(self, title: str, intro: str, groups: dict[str, list[Row]]) -> None:
        super().__init__()
        self._title, self._intro, self._groups = title, intro, groups

    @classmethod
    def of(cls, screen: Screen[Any], mode: str) -> HelpPanel:
        """The help for a screen as it is now: the focused widget's keys first."""
        groups: dict[str, list[Row]] = {}
        own, moving = ([], []) if screen.focused is None else _widget_rows(screen.focused)
        if own and screen.focused is not None:
            groups[f"In the {_kind(screen.focused)} that has the focus"] = own
        for action in [*actions_of(mode), *app_actions()]:
            groups.setdefault(action.group, []).append((action.all_keys_text, action.help))
        more = getattr(screen, "help_groups", None)
        if callable(more):
            groups.update(more())
        groups["Go to"] = [_mode_row(action) for action in app_actions() if action.group == "Go to"]
        if moving and screen.focused is not None:
            groups[f"Moving in the {_kind(screen.focused)}"] = moving
        text = getattr(screen, "help_text", None)
        return cls(f"Help · {mode_label(mode)}", str(text()) if callable(text) else "", groups)

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = self._title
        box.border_subtitle = "esc closes"
        with box, VerticalScroll():
            yield Static()

    def on_resize(self) -> None:
        self.query_one(Static).update(self._content(min(WIDTH, self.size.width * 94 // 100) - 8))

    def _content(self, room: int) -> Content:
        """All of it, for `room` cells."""
        parts: list[Content] = []
        if self._intro:
            parts += [inert(self._intro, lines=True), Content("")]
        for heading, rows in self._groups.items():
            parts.append(Content.styled(heading, "bold $text-primary"))
            width = min(14, max(len(keys) for keys, _ in rows))
            for keys, about in rows:
                first, *more = wrap(visible(about), max(20, room - width - 4)) or [""]
                parts.append(Content.assemble("  ", (keys.ljust(width), "bold"), "  ", first))
                parts += [Content(" " * (width + 4) + line) for line in more]
            parts.append(Content(""))
        return Content("\n").join(parts[:-1])

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()


def _mode_row(action: Action) -> Row:
    """A row of the navigation keys; the alt variants are the same for all and not worth a column."""
    if action.id == "app.back":
        return action.key_text, action.help
    return action.key_text, f"{action.label}: {action.help[0].lower()}{action.help[1:]}"


def _widget_rows(widget: Widget) -> tuple[list[Row], list[Row]]:
    """The keys that a focused widget brings along: its own, and those of every such widget of Textual."""
    usual = {
        binding.action if isinstance(binding, Binding) else binding[1]
        for base in type(widget).__mro__
        if base.__module__.startswith("textual.")
        for binding in base.__dict__.get("BINDINGS", ())
    }
    rows: dict[tuple[str, str], list[str]] = {}
    for key, binding in widget._bindings:
        if isinstance(binding, Binding) and binding.description:
            about = binding.tooltip or binding.description
            shown = rows.setdefault((binding.action, about), [])
            if (name := binding.key_display or key_text(key)) not in shown:
                shown.append(name)
    told = [(action, (" ".join(keys), f"{about}.")) for (action, about), keys in rows.items()]
    own = [row for action, row in told if action not in usual]
    return own[:_MOST], [row for action, row in told if action in usual][:_MOST]


def _kind(widget: Widget) -> str:
    name = type(widget).__name__
    for part, word in (("Chart", "chart"), ("Table", "table"), ("List", "list"), ("Input", "field"), ("Area", "text")):
        if part in name:
            return word
    return "widget"
