"""The bottom line: the keys that do something here and now."""

from __future__ import annotations

from functools import cache

from textual.content import Content
from textual.style import Style

from tui_tuner.ui.actions import Action, actions_of, app_actions
from tui_tuner.ui.widgets.bar import Bar


class KeyBar(Bar):
    """Keys of the screen on the left, of the app on the right; what does not fit or does not apply is left out."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self._mode = mode

    def content(self) -> Content:
        right = [_item(action) for action in app_actions() if action.footer]
        end = Content("  ").join(right) + Content(" ")
        room = self.size.width - end.cell_length - 3
        line = Content(" ")
        for action in actions_of(self._mode):
            if not action.footer or not self._applies(action):
                continue
            item = _item(action)
            if line.cell_length + item.cell_length + 2 > room:
                break
            line = line + item + Content("  ")
        return line + Content(" " * max(1, self.size.width - line.cell_length - end.cell_length)) + end

    def _applies(self, action: Action) -> bool:
        if len(action.in_force.split(",")[0]) == 1 and getattr(self.screen, "letters_are_text", False):
            return False
        owner = self.app if action.action.startswith("app.") else self.screen
        return owner.check_action(*action.call) is True


def _item(action: Action) -> Content:
    return _drawn(action, action.key_text)


@cache
def _drawn(action: Action, key_name: str) -> Content:
    name = action.action
    if not name.startswith("app."):
        name = f"screen.{name}" if action.where else f"app.{name}"
    key = (key_name.replace("ctrl+", "^"), "bold $text-primary")
    return Content.assemble(key, f" {action.label}").stylize(Style.from_meta({"@click": name}))
