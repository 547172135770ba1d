"""Colours can be read where they stand, also on the line under the cursor."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from tui_tuner.ui import themes

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
