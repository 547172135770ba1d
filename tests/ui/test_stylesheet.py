"""Texts of styles are parsed once, each theme gets its own, and what is wrong harms nothing that was right."""

from __future__ import annotations

import pytest
from textual.css import stylesheet as textual_stylesheet
from textual.css.errors import StylesheetError
from textual.css.stylesheet import Stylesheet, StylesheetParseError
from textual.css.tokenizer import TokenError

from tests.ui.conftest import Drive
from tests.ui.looking import until
from tui_tuner.ui.stylesheet import SharedStylesheet

TEXT = "Label { background: $ground; } #one Label { color: $ink; }"


def rules(sheet: Stylesheet) -> list[str]:
    return [rule.css for rule in sheet.rules]


def sheet_of(kind: type[Stylesheet], ground: str, text: str = TEXT) -> Stylesheet:
    made = kind(variables={"ground": ground, "ink": "white"})
    made.add_source(text, ("a file", ""))
    return made


@pytest.fixture
def parsings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that Textual parses."""
    parsed, parse = list[str](), textual_stylesheet.parse

    def noted(scope: str, css: str, *args: object, **kwargs: object) -> object:
        parsed.append(css)
        return parse(scope, css, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(textual_stylesheet, "parse", noted)
    return parsed


def test_a_text_is_parsed_once_for_a_theme_and_says_what_textual_reads_in_it(parsings: list[str]) -> None:
    text = TEXT + " .parsed_once { width: 3; }"
    for ground in ("red", "blue", "red", "blue"):
        made = sheet_of(SharedStylesheet, ground, text)
        assert rules(made)
        made.reparse()
    assert parsings == [text, text]
    assert rules(sheet_of(SharedStylesheet, "red", text)) == rules(sheet_of(Stylesheet, "red", text))
    assert rules(sheet_of(SharedStylesheet, "red", text)) != rules(sheet_of(SharedStylesheet, "blue", text))


def test_other_variables_are_in_force_after_a_parsing() -> None:
    made = sheet_of(SharedStylesheet, "red")
    red = rules(made)
    made.set_variables({"ground": "blue", "ink": "white"})
    made.reparse()
    assert rules(made) == rules(sheet_of(Stylesheet, "blue")) != red
    made.set_variables({"ground": "red", "ink": "white"})
    made.reparse()
    assert rules(made) == red


def test_one_text_from_two_places_is_two() -> None:
    made = sheet_of(SharedStylesheet, "red")
    made.add_source(TEXT, ("another", ""), is_default_css=True, tie_breaker=3)
    assert [(rule.is_default_rules, rule.tie_breaker) for rule in made.rules] == [(False, 0)] * 2 + [(True, 3)] * 2


@pytest.mark.parametrize("wrong", ["Label { colour: red; }", "Label { color: $unknown; }", "Label { ! }"])
def test_a_wrong_source_leaves_the_rules_and_is_told_each_time(wrong: str) -> None:
    made = sheet_of(SharedStylesheet, "red")
    before = rules(made)
    made.add_source(wrong, ("wrong", ""))
    for _ in range(2):
        with pytest.raises((StylesheetError, StylesheetParseError, TokenError)):
            made.reparse()
    assert [rule.css for rule in made._rules] == before


async def test_a_second_app_parses_nothing(drive: Drive, parsings: list[str]) -> None:
    for first in (True, False):
        async with drive() as (app, pilot):
            app.go("train")
            await until(pilot, lambda app=app: app.screen.query("#body"), "the screen is there")
            await pilot.pause()
            assert isinstance(app.stylesheet, SharedStylesheet)
            if not first:
                assert parsings == []
            parsings.clear()
