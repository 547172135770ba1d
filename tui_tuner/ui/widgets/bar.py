"""A widget of text that is asked often whether it still says the same, and is drawn again only when it does not."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static


def alike(one: Content | None, other: Content) -> bool:
    """Whether two texts look the same: content compares by its letters alone, and the styles count as well."""
    return one is not None and (one.plain, one.spans) == (other.plain, other.spans)


class Line(Static):
    """A line that is told often what it says; drawn when that is another, and it never lays the screen out anew."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._said: Content | None = None

    def tell(self, content: Content) -> None:
        if not alike(self._said, content):
            self._said = content
            self.update(content, layout=False)


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
        if not alike(self._drawn, self.content()):
            self.refresh()

    def render(self) -> Content:
        self._drawn = self.content()
        return self._drawn
