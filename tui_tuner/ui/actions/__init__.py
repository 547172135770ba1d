"""The one table of actions: bindings, footer, help panel and command palette are all made from it.

A screen declares `BINDINGS = bindings("its mode")` and has an `action_…` method for every action of that mode; that is
all. No key may be bound anywhere else, but for what a focused widget of Textual brings along.
"""

from __future__ import annotations

from textual.binding import BindingType

from tui_tuner.ui.actions.chat import CHAT_ACTIONS
from tui_tuner.ui.actions.compare import COMPARE_ACTIONS, VIEWS
from tui_tuner.ui.actions.model import Action, key_text
from tui_tuner.ui.actions.shell import APP_ACTIONS, MODES, SHELL_ACTIONS
from tui_tuner.ui.actions.workshop import WORKSHOP_ACTIONS

__all__ = ["ACTIONS", "MODES", "VIEWS", "Action", "actions_of", "app_actions", "bindings", "key_text", "mode_label"]

ACTIONS: list[Action] = [*SHELL_ACTIONS, *WORKSHOP_ACTIONS, *CHAT_ACTIONS, *COMPARE_ACTIONS, *APP_ACTIONS]


def app_actions() -> list[Action]:
    """The actions that work everywhere."""
    return [action for action in ACTIONS if not action.where]


def actions_of(mode: str) -> list[Action]:
    """The actions of one mode alone, in the order of the table."""
    return [action for action in ACTIONS if mode in action.where]


def bindings(mode: str | None) -> list[BindingType]:
    """The bindings of a mode's screen, or those of the app for None."""
    return [action.binding() for action in (app_actions() if mode is None else actions_of(mode))]


def mode_label(mode: str) -> str:
    """A mode's name as the tabs show it, or that of a view that no tab leads to."""
    return VIEWS[mode] if mode in VIEWS else MODES[mode][1]
