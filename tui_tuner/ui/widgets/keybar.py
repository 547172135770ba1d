"""The bottom line: the keys that do something here and now."""

from __future__ import annotations

from textual.content import Content
from textual.style import Style
from textual.widget import Widget

from tui_tuner.ui.actions import Action, actions_of, app_actions


class KeyBar(Widget):
    """Keys of the screen on the left, of the app on the right; what does not fit or does not apply is left out."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.auto_links = False
        self._mode = mode
        self._shown: list[Action] = []

    def renew(self) -> None:
        """Draws what has changed; nothing when the same keys apply."""
        if self._applicable() != self._shown:
            self.refresh()

    def render(self) -> Content:
        self._shown = self._applicable()
        right = [self._item(action) for action in app_actions() if action.footer]
        end = Content("  ").join(right) + Content(" ")
        room = self.size.width - end.cell_length - 3
        line = Content(" ")
        for action in self._shown:
            item = self._item(action)
            if line.cell_length + item.cell_length + 2 > room:
                break
            line = line + item + Content("  ")
        return line + Content(" " * max(1, self.size.width - line.cell_length - end.cell_length)) + end

    def _applicable(self) -> list[Action]:
        return [action for action in actions_of(self._mode) if action.footer and self._applies(action)]

    def _applies(self, action: Action) -> bool:
        name = action.action.split("(")[0]
        owner = self.app if name.startswith("app.") else self.screen
        return owner.check_action(name.removeprefix("app."), ()) is True

    @staticmethod
    def _item(action: Action) -> Content:
        name = action.action
        if not name.startswith("app."):
            name = f"screen.{name}" if action.where else f"app.{name}"
        key = (action.key_text.replace("ctrl+", "^"), "bold $text-primary")
        return Content.assemble(key, f" {action.label}").stylize(Style.from_meta({"@click": name}))
