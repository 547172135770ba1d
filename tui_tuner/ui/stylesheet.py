"""A stylesheet that parses each text of styles once.

Textual parses all styles anew whenever a screen with a file of its own is opened, whenever a theme comes into force,
and whenever a widget of a new kind brings its own; at the first visit of a screen that is a good part of the wait. What
a text of styles says depends on nothing but the theme's variables and where it stands, so what was parsed is kept
by these, for all apps of the process. Nothing here may change a rule: they are shared.
"""

from __future__ import annotations

from typing import TypeAlias

from textual.cache import LRUCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

Parsed: TypeAlias = LRUCache[tuple[object, ...], list[RuleSet]]

_TEXTS = 1024
"""Texts of styles that are kept for a theme; the app has some 120."""
_parsed: LRUCache[tuple[tuple[str, str], ...], Parsed] = LRUCache(4)
"""What was parsed, by the theme's variables; of the last themes only."""


def _kept(variables: dict[str, str]) -> Parsed:
    """What was parsed with these variables, to be added to."""
    key = tuple(sorted(variables.items()))
    kept = _parsed.get(key)
    if kept is None:
        kept = _parsed[key] = LRUCache(_TEXTS)
    return kept


class SharedStylesheet(Stylesheet):
    """Textual's stylesheet, with a memory that outlives a parsing and an app.

    Args:
        variables: the theme's variables.
    """

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parse_cache = _kept(self._variables)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Puts other variables into force; what was parsed with the old ones stays kept for them."""
        self._parse_cache = LRUCache(1)  # Textual's own method empties it
        super().set_variables(variables)
        self._parse_cache = _kept(variables)

    def reparse(self) -> None:
        """Takes up all sources with the variables in force; a source that is wrong leaves the rules as they were."""
        self._invalid_css = set()
        self.parse()
