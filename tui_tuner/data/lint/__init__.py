"""Finding every problem of a data set before a step is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_tuner.lazy import lazily

if TYPE_CHECKING:
    from tui_tuner.data.lint.facts import LintContext, RowFacts, texts_of
    from tui_tuner.data.lint.linter import Linter, allowed

__all__ = ["LintContext", "Linter", "RowFacts", "allowed", "texts_of"]

__getattr__ = lazily(
    __name__,
    {"LintContext": "facts", "Linter": "linter", "RowFacts": "facts", "allowed": "linter", "texts_of": "facts"},
)
