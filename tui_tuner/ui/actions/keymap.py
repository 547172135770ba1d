"""Other keys for actions, as a person's settings have them: checked once at the start, told wherever a key is named.

A key that cannot be used is left out with a sentence, and the action keeps its own: nothing becomes unreachable.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from textual.keys import _character_to_key

from tui_tuner.ui.actions.model import Action, key_text, rebind

NEVER = ("ctrl+q", "ctrl+c")
"""Keys that stay what they are, so that one always gets out."""


def remap(actions: list[Action], wishes: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Gives actions other keys.

    Args:
        actions: all there are.
        wishes: keys by the action's id, several apart by blanks, such as {"runs.find": "f ctrl+f"}.

    Returns:
        What Textual's keymap shall have (keys by id, apart by commas), and a sentence for each wish that cannot be.
    """
    known = {action.id: action for action in actions}
    keys: dict[str, str] = {}
    said: list[str] = []
    for name, wish in wishes.items():
        action = known.get(name)
        if action is None:
            near = difflib.get_close_matches(name, known, 1)
            said.append(f'keys: there is no action "{name}"' + (f"; did you mean {near[0]}?" if near else ""))
            continue
        wanted = [_named(key) for key in wish.split()]
        taken = next((other for key in wanted if (other := _holder(key, action, actions, keys)) is not None), None)
        if not wanted:
            said.append(f"keys: {name} has no key named, so it keeps {action.key_text}")
        elif any(key in NEVER for key in wanted):
            said.append(f"keys: {wish} always leaves the program, so {name} keeps {action.key_text}")
        elif taken is not None:
            said.append(f"keys: {wish} is {taken} already, so {name} keeps {action.key_text}")
        else:
            keys[name] = ",".join(wanted)
    rebind(keys)
    return keys, said


def _named(key: str) -> str:
    """A key as Textual names it: `/` is `slash`, `ctrl+/` is `ctrl+slash`, `?` is `question_mark`."""
    *modifiers, last = key.split("+") if len(key) > 1 and not key.endswith("+") else [key]
    if key.endswith("++"):
        modifiers, last = key[:-2].split("+"), "+"
    return "+".join(
        [*(each.lower() for each in modifiers), _character_to_key(last) if len(last) == 1 else last.lower()]
    )


def _holder(key: str, action: Action, actions: list[Action], keys: Mapping[str, str]) -> str | None:
    """The action that has a key already where this one works."""
    for other in actions:
        if other.id == action.id or key not in keys.get(other.id, other.keys).split(","):
            continue
        if not action.where or not other.where or action.where & other.where:
            return other.id
    return None


__all__ = ["key_text", "remap"]
