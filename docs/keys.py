"""Writes the tables of keys in screens.md from the one table of actions, and that of the chat's commands from theirs.

    python -m docs.keys [--check]

Each table stands between two marks that name its mode (`app` for what works everywhere, `chart` for what works while a
chart has the focus). With --check nothing is
written, and the status is 1 when the page is not what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from textual.binding import Binding

from tui_tuner.errors import TunerError
from tui_tuner.ui.actions import ACTIONS, MODES, VIEWS, Action, actions_of, app_actions, key_text
from tui_tuner.ui.chatcommands import COMMANDS
from tui_tuner.ui.widgets.losschart import LossChart

PAGE = Path(__file__).resolve().parent / "screens.md"
_HEAD = ("| key | what | in a sentence |", "|---|---|---|")
PLACES = ("app", *MODES, *VIEWS, "chart")
COMMAND_MARKS = "<!-- commands of chat: start -->", "<!-- commands of chat: end -->"


def table(place: str) -> str:
    """The keys of a mode, or those of the app, as a Markdown table."""
    if place == "chart":
        rows = [f"| {keys} | {what} | {about} |" for keys, what, about in chart_keys()]
        return "\n".join([*_HEAD, *rows])
    actions = app_actions() if place == "app" else actions_of(place)
    rows = [f"| {_keys(action)} | {action.label} | {action.help} |" for action in actions]
    return "\n".join([*_HEAD, *rows])


def chart_keys() -> list[tuple[str, str, str]]:
    """Keys, name and sentence of what a chart on the train screen does while it has the focus."""
    bindings = [binding for binding in LossChart.BINDINGS if isinstance(binding, Binding)]
    return [
        (
            f"`{binding.key_display or key_text(binding.key)}`",
            binding.description,
            f"{binding.tooltip}.",
        )
        for binding in bindings
    ]


def filled(page: str) -> str:
    """The page with its tables written anew.

    Raises:
        TunerError: the page has no place for a mode.
    """
    for place in PLACES:
        start, end = marks(place)
        if start not in page or end not in page:
            raise TunerError(f"{PAGE.name} has no place for the keys of {place}", code="no-marks", where=str(PAGE))
        page = _between(page, start, end, table(place))
    start, end = COMMAND_MARKS
    if start not in page or end not in page:
        raise TunerError(f"{PAGE.name} has no place for the commands", code="no-marks", where=str(PAGE))
    return _between(page, start, end, command_table())


def _between(page: str, start: str, end: str, text: str) -> str:
    before, _, rest = page.partition(start)
    return f"{before}{start}\n\n{text}\n\n{end}{rest.partition(end)[2]}"


def command_table() -> str:
    """What can be typed after a slash in the chat, as a Markdown table."""
    keys = {action.id: f"`{action.key_text}`" for action in ACTIONS}
    rows = [f"| {keys.get(each.action, '')} | `{_cell(each.usage)}` | {_cell(each.about)} |" for each in COMMANDS]
    return "\n".join(["| key | command | in a sentence |", "|---|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def marks(place: str) -> tuple[str, str]:
    """What stands before and behind the table of a mode."""
    return f"<!-- keys of {place}: start -->", f"<!-- keys of {place}: end -->"


def main(arguments: Sequence[str]) -> int:
    """Writes the page, or says whether it is up to date."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = filled(page)
    if "--check" in arguments:
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def _keys(action: Action) -> str:
    return " ".join(f"`{key}`" for key in action.all_keys_text.split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
