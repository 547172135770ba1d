"""A widget of text that is asked often whether it still says the same, and is drawn again only when it does not."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget


class Bar(Widget):
    """Subclasses say what stands there in `content`; `freshen` looks whether that has changed."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.auto_links = False
        self._drawn: Content | None = None

    def content(self) -> Content:
        """What stands there now."""
        raise NotImplementedError

    def freshen(self) -> None:
        """Draws the text anew if it is another one."""
        now = self.content()
        # Content compares by its letters alone; the styles count as well.
        if self._drawn is None or (now.plain, now.spans) != (self._drawn.plain, self._drawn.spans):
            self.refresh()

    def render(self) -> Content:
        self._drawn = self.content()
        return self._drawn
