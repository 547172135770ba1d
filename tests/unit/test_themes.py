"""Colours can be read where they stand, also on the line under the cursor, in what was selected, and without colour."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.color import Color
from textual.content import Content
from textual.filter import Monochrome, NoColor
from textual.theme import Theme
from textual.widgets import DataTable, Input, OptionList

import tui_tuner.ui
from tui_tuner.ui import themes
from tui_tuner.ui.linefilters import CursorLine, for_terminal
from tui_tuner.ui.shell import ShellApp
from tui_tuner.ui.widgets.data_list import RowList

LEAST = {themes.CONTRAST: 4.5}
"""WCAG 2.1, success criterion 1.4.3: 4.5 for text, and 3 for large or bold text, which the line under the cursor is."""
LINES = ("block-cursor-background", "block-cursor-blurred-background", "block-hover-background")
WORDS = ("muted", "primary", "secondary", "accent", "warning", "error", "success")


def luminance(color: str) -> float:
    """Relative luminance, 0..1, as WCAG 2.1 defines it."""
    parts = [part / 255 for part in Color.parse(color).rgb]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio, 1..21, as WCAG 2.1 defines it."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_formula_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the grey that just fails, as it is quoted
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


@pytest.mark.parametrize("theme", [one for one in themes.THEMES if not one.ansi], ids=lambda one: one.name)
def test_every_colour_can_be_read_on_the_line_under_the_cursor(theme: Theme) -> None:
    least = LEAST.get(theme.name, 3.0)
    for line in LINES:
        behind = theme.variables[line]
        for word in WORDS:
            found = contrast(theme.variables[f"text-{word}"], behind)
            assert found >= least, f"{theme.name}: text-{word} on {line} is {found:.1f}"
        assert contrast(str(theme.foreground), behind) >= max(least, 4.5)
    focused = contrast(theme.variables["block-cursor-foreground"], theme.variables["block-cursor-background"])
    assert focused >= 7


@pytest.mark.parametrize("theme", [one for one in themes.THEMES if not one.ansi], ids=lambda one: one.name)
def test_every_colour_can_be_read_on_the_page(theme: Theme) -> None:
    """WCAG 2.1, success criteria 1.4.3 and, for high contrast, 1.4.6: 4.5 and 7 for text."""
    least = 7.0 if theme.name == themes.CONTRAST else 4.5
    for page in (theme.background, theme.surface, theme.panel):
        for color in (*(theme.variables[f"text-{word}"] for word in WORDS), theme.foreground):
            assert contrast(str(color), str(page)) >= least, (theme.name, color, page)


KNOWN = [one for one in themes.THEMES if not one.ansi]
BEHIND = ("background", "surface", "panel", *LINES)


def shade(theme: Theme, name: str, behind: str = "") -> Color:
    """A colour of a theme; one that shines through, on what is behind it."""
    text = theme.variables.get(name) or str(getattr(theme, name.replace("-", "_")))
    color, _, share = text.partition(" ")
    found = Color.parse(color)
    return shade(theme, behind) + found.multiply_alpha(float(share.rstrip("%")) / 100) if share else found


@pytest.mark.parametrize("theme", KNOWN, ids=lambda one: one.name)
def test_what_was_selected_can_be_read(theme: Theme) -> None:
    """By mouse, anywhere; by keys, in a text that has colours and stands on the page."""
    for name, pages in (("screen-selection-background", BEHIND[:3]), ("input-selection-background", BEHIND[:1])):
        for page in pages:
            behind = shade(theme, name, page).hex
            for word in WORDS:
                found = contrast(theme.variables[f"text-{word}"], behind)
                assert found >= LEAST.get(theme.name, 3.0), f"{theme.name}: text-{word} on {name} is {found:.1f}"
            assert contrast(str(theme.foreground), behind) >= 4.5


@pytest.mark.parametrize("theme", KNOWN, ids=lambda one: one.name)
def test_every_grey_can_be_read_where_its_colour_stands(theme: Theme) -> None:
    """With `NO_COLOR`; bars are pages, not words."""
    for page in BEHIND:
        for word in WORDS:
            found = contrast(shade(theme, f"text-{word}").monochrome.hex, shade(theme, page).monochrome.hex)
            assert found >= LEAST.get(theme.name, 3.0), f"{theme.name}: text-{word} on {page} is {found:.1f}"
    assert contrast(shade(theme, "background").monochrome.hex, shade(theme, "primary").monochrome.hex) >= 4.5


@pytest.mark.parametrize("theme", KNOWN, ids=lambda one: one.name)
def test_the_screen_that_is_shown_can_be_read_in_the_bar(theme: Theme) -> None:
    assert contrast(str(theme.background), str(theme.primary)) >= 4.5


# -- as it is drawn ---------------------------------------------------------------------------------------------------


class Page(ShellApp):
    """All kinds of lists, each with a line of all colours under its cursor."""

    CSS_PATH = Path(tui_tuner.ui.__file__).with_name("app.tcss")
    MODES = {}  # noqa: RUF012
    DEFAULT_MODE = "_default"

    def __init__(self, theme: str) -> None:
        super().__init__(None)
        self.theme = theme

    def compose(self) -> ComposeResult:
        yield OptionList(colours(), "another")
        yield DataTable(cursor_type="row")
        yield RowList()
        yield Input("typed", select_on_focus=True)

    def on_mount(self) -> None:
        self.query_one(DataTable).add_column("a", width=160)
        self.query_one(DataTable).add_rows([[colours()], ["another"]])
        self.query_one(RowList).show(2, lambda at, width: Content("another") if at else colours())


def colours() -> Content:
    words = ((f"text-{word} ", f"$text-{word}") for word in (*WORDS, "disabled"))
    charts = ((f"chart-{at} ", f"$chart-{at}") for at in range(1, 5))
    return Content.assemble("plain ", *words, *charts, ("badge", "bold reverse $text-primary"))


def drawn(app: Page) -> list[list[Segment]]:
    """What is drawn in each line that has all colours, without blanks and frames."""
    strips = app.screen._compositor.render_strips()
    return [[each for each in strip if each.text.strip(" │▊▎▌")] for strip in strips if "plain " in strip.text]


def pair(style: Style) -> tuple[str, str]:
    """The colours of text and of what is behind it, as the terminal shows them; its own two have a name each."""
    text = "text" if style.color is None or style.color.is_default else style.color.name
    behind = "page" if style.bgcolor is None or style.bgcolor.is_default else style.bgcolor.name
    return (behind, text) if style.reverse else (text, behind)


@pytest.mark.parametrize("no_color", [False, True], ids=["colour", "no colour"])
@pytest.mark.parametrize("theme", themes.THEMES, ids=lambda one: one.name)
async def test_no_text_is_lost_on_the_line_under_the_cursor(
    theme: Theme, no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each kind of list, with and without the focus. Of the terminal's own colours nobody knows how they look, but a
    colour that is one of a pair with the page can be read as well as anywhere."""
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    app = Page(theme.name)
    async with app.run_test(size=(170, 30)) as pilot:
        for kind in (OptionList, DataTable, RowList):
            app.query_one(kind).focus()
            await pilot.pause()
            for line in drawn(app):
                assert len(line) > 1
                for text, style, _ in line:
                    assert style is not None
                    front, behind = pair(style)
                    if theme.ansi:
                        assert {front, behind} & {"page"} and front != behind, (kind.__name__, text, style)
                        assert not no_color or {front, behind} == {"page", "text"}, (kind.__name__, text, style)
                    elif "disabled" not in text:
                        least = LEAST.get(theme.name, 3.0)
                        assert contrast(front, behind) >= least, (kind.__name__, text, style)
            turned = [all(each.style.reverse for each in line if "badge" not in each.text) for line in drawn(app)]
            assert sum(turned) == theme.ansi, "one line is turned round, that under the cursor"
        assert app.mishaps == []


def test_only_the_line_under_the_cursor_stands_on_its_colour() -> None:
    """Whatever stands on it is turned round."""
    theme = next(one for one in themes.THEMES if one.ansi)
    named = {name: value for name, value in theme.variables.items() if value == themes.CURSOR}
    assert set(named) == {"block-cursor-background"}
    assert themes.CURSOR not in (theme.background, theme.surface, theme.panel, theme.boost)


def test_a_line_that_is_not_under_the_cursor_stays_as_it_was() -> None:
    line = [Segment("a", Style.parse("blue")), Segment("b", Style.parse("bold white on blue")), Segment("c")]
    (cursor_line,) = for_terminal([])
    assert isinstance(cursor_line, CursorLine)
    assert cursor_line.apply(line, Color.parse("ansi_default")) == line


def test_without_colour_the_terminals_own_are_left_out_not_made_grey() -> None:
    assert [type(each) for each in for_terminal([Monochrome()])] == [CursorLine, NoColor]
