"""Draws what the linter found: a line in the list, all of one problem, and the whole in a few words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, notice, wrap

if TYPE_CHECKING:
    from tui_tuner.data.findings import Problem

SIGNS = {"error": ("✗", "$text-error"), "warning": ("▲", "$text-warning"), "info": ("·", "$text-muted")}
_WORDS = {"error": ("error", "errors"), "warning": ("warning", "warnings"), "info": ("hint", "hints")}


def summary(problems: Sequence[Problem]) -> Content:
    """How many problems of each severity, in one line."""
    if not problems:
        return Content.assemble(("✓ ", "bold $text-success"), ("no problems found in any row", "$text-success"))
    parts: list[str | tuple[str, str]] = []
    for severity, (sign, style) in SIGNS.items():
        number = sum(problem.severity == severity for problem in problems)
        if number:
            parts += [(f"{sign} {number} {_WORDS[severity][number > 1]}", f"bold {style}"), "   "]
    return Content.assemble(*parts, ("o", "bold $text-primary"), (" lists them", "$text-muted"))


def header(width: int) -> Content:
    """The heading of the list of problems."""
    return Content.assemble("  ", cell("problem", max(width - 11, 8)), cell("rows", 9, right=True))


def line(problem: Problem, width: int) -> Content:
    """One problem of the list."""
    sign, style = SIGNS[problem.severity]
    return Content.assemble(
        (f"{sign} ", f"bold {style}"),
        cell(visible(problem.code), max(width - 11, 8)),
        cell(count(problem.count), 9, right=True),
    )


def about(problem: Problem, width: int, *, applied: bool, can_apply: bool) -> Content:
    """All of a problem: what it is, what to do, where, and what a key would do.

    Args:
        applied: whether the program's fix is in `data.fixes` already.
        can_apply: whether it can be put there (not for a run's own data).
    """
    sign, style = SIGNS[problem.severity]
    parts = [notice(sign, _sentence(problem.message), f"bold {style}", width), Content("")]
    if problem.severity == "error":
        parts += [Content.styled("It blocks training.", "bold $text-error"), Content("")]
    if problem.fix:
        parts += [notice("→", _sentence(problem.fix), "$text-primary", width), Content("")]
    if problem.change:
        changes = "   ".join(f"{key} = {_toml(value)}" for key, value in problem.change)
        parts += [Content.assemble(("  setting  ", "$text-muted"), (visible(changes), "bold")), Content("")]
    if problem.step:
        fix = Content.assemble(("  fix  ", "$text-muted"), (visible(problem.step), "bold"))
        if applied:
            fix += Content.styled("  is applied; x takes it back", "$text-success")
        elif can_apply:
            fix += Content.styled("  x applies it", "$text-primary")
        parts += [fix, Content("")]
    elif problem.change and can_apply:
        parts += [Content.styled("  x makes this setting", "$text-primary"), Content("")]
    if problem.rows:
        parts += [Content.styled(f"enter shows the rows ({count(len(problem.rows))} of them listed)", "$text-muted")]
    if problem.lines:
        numbers = ", ".join(f"{number:,}" for number in problem.lines[:200])
        more = " …" if problem.count > 200 else ""
        parts += [Content(""), Content.styled("Lines of the file", "bold"), *map(Content, wrap(numbers + more, width))]
    return lines(parts)


def _sentence(text: str) -> str:
    shown = visible(text)
    return shown[:1].upper() + shown[1:] + ("" if shown.endswith((".", "…")) else ".")


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else clip(str(value), 40)
