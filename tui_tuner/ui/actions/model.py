"""What an action is. One table of them feeds key bindings, footer, help and command palette."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.actions import parse
from textual.binding import Binding


@dataclass(frozen=True)
class Action:
    """Something a person can do with a key.

    Attributes:
        id: stable name, `mode.what`; also the binding's id, so that keys can be remapped.
        keys: Textual key names, comma separated; the first is the one shown.
        action: the Textual action it calls, resolved on the screen (or on the app with the prefix `app.`).
        label: one or two words for the footer.
        help: one sentence for the help panel and the palette.
        group: heading in the help panel.
        where: the modes it works in; empty means all of them.
        footer: whether the footer shows it (when there is room).
        priority: whether it works even while a text field has the focus.
        palette: whether the command palette offers it.
    """

    id: str
    keys: str
    action: str
    label: str
    help: str
    group: str
    where: frozenset[str] = frozenset()
    footer: bool = False
    priority: bool = False
    palette: bool = True

    @property
    def call(self) -> tuple[str, tuple[object, ...]]:
        """Name and parameters of what it calls, without the namespace."""
        _, name, parameters = parse(self.action)
        return name, parameters

    @property
    def in_force(self) -> str:
        """The keys that call it: its own, or those of a person's settings."""
        return _rebound.get(self.id, self.keys)

    @property
    def key_text(self) -> str:
        """The first key as people write it: `ctrl+p`, `space`, `?`."""
        return key_text(self.in_force.split(",")[0])

    @property
    def all_keys_text(self) -> str:
        """Every key, as people write them."""
        return " ".join(key_text(key) for key in self.in_force.split(","))

    def binding(self) -> Binding:
        """The Textual binding of this action."""
        return Binding(
            self.keys,
            self.action,
            self.label,
            show=self.footer,
            priority=self.priority,
            tooltip=self.help,
            id=self.id,
        )


_rebound: dict[str, str] = {}


def rebind(keys: Mapping[str, str]) -> None:
    """Says which actions are called by other keys than their own, by id; all others by their own."""
    _rebound.clear()
    _rebound.update(keys)


_SIGNS = {
    "question_mark": "?",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "comma": ",",
    "semicolon": ";",
    "full_stop": ".",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "underscore": "_",
}


def key_text(key: str) -> str:
    """A Textual key name as people write it."""
    *modifiers, name = key.strip().split("+")
    return "+".join([*modifiers, _SIGNS.get(name, name)])
