"""A text editor for the experiment's TOML: colours, the selected key, and the lines that are wrong.

It only shows and takes text. Signs and underlines say what colours say. Highlighting is by lines and regular
expressions; a text of several lines is told apart well enough, and nothing hangs on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.widgets import TextArea

from tui_tuner.ui.text import visible

_KEY = re.compile(r"^(\s*)([\w.\"'-]+)(\s*=)")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'')
_COMMENT = re.compile(r"#.*$")


class TomlEditor(TextArea):
    """The text of an experiment."""

    DEFAULT_CSS = """
    TomlEditor { border: round $border-blurred; border-title-color: $text-muted; padding: 0; }
    TomlEditor { scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    TomlEditor:focus { border: round $border; border-title-color: $text-primary; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(
            id=id, classes=f"pane {classes or ''}", soft_wrap=False, tab_behavior="focus", show_line_numbers=True
        )
        self._wrong: frozenset[int] = frozenset()
        self._marked = -1

    def show(self, text: str) -> None:
        """Shows a text; what stands there already is left alone, cursor and undo with it."""
        if text != self.text:
            place = self.cursor_location
            self.load_text(text)
            row = min(place[0], self.document.line_count - 1)
            self.move_cursor((row, min(place[1], len(self.document.get_line(row)))))

    def mark(self, line: int, wrong: Sequence[int] = ()) -> None:
        """Underlines the line of the selected key (-1 for none), and those that are wrong."""
        if (line, frozenset(wrong)) != (self._marked, self._wrong):
            self._marked, self._wrong = line, frozenset(wrong)
            self.notify_style_update()
            self.refresh()

    def reveal(self, line: int) -> None:
        """Scrolls a line into sight."""
        top, height = int(self.scroll_offset.y), self.scrollable_content_region.height
        if height > 0 and not top <= line < top + height:
            self.scroll_to(y=max(line - height // 2, 0), animate=False, force=True)

    def centre(self) -> None:
        """Scrolls the cursor's line into the middle, as far as the text goes."""
        height = self.scrollable_content_region.height
        self.scroll_to(y=max(self.cursor_location[0] - height // 2, 0), animate=False, force=True)

    def get_line(self, line_index: int) -> Text:
        """A line with its colours."""
        text = super().get_line(line_index)
        text.plain = one_to_one(text.plain)
        colours = self.app.theme_variables
        plain = text.plain
        if plain.lstrip().startswith("["):
            text.stylize(Style(color=_hex(colours, "text-primary"), bold=True))
        elif (key := _KEY.match(plain)) is not None:
            text.stylize(Style(color=_hex(colours, "text-accent")), key.start(2), key.end(2))
        strings = [match.span() for match in _STRING.finditer(plain)]
        for start, end in strings:
            text.stylize(Style(color=_hex(colours, "text-success")), start, end)
        for match in re.finditer("#", plain):
            if not any(start < match.start() < end for start, end in strings):
                text.stylize(Style(dim=True, italic=True), match.start(), len(plain))
                break
        if line_index in self._wrong:
            text.stylize(Style(color=_hex(colours, "text-error"), bold=True, underline=True))
        elif line_index == self._marked:
            text.stylize(Style(bold=True, underline=True))
        return text


def one_to_one(text: str) -> str:
    """`text` made visible with a sign for a character, so that places stay what they are."""
    if text.isprintable():
        return text
    return "".join(_sign(character) for character in text)


def _sign(character: str) -> str:
    if character == "\t" or (character.isprintable() and visible(character) == character):
        return character
    shown = visible(character)
    return shown if len(shown) == 1 and shown.isprintable() else "◊"


def _hex(colours: dict[str, str], name: str) -> str | None:
    """A colour of the theme as Rich takes it."""
    found = colours.get(name, "")
    return found if re.fullmatch(r"#[0-9A-Fa-f]{6}", found) else None
