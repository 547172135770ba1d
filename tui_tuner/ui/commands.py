"""The command palette: every action of the table, every preset, and the latest runs, found by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.markup import escape

from tui_tuner.ui.actions import ACTIONS, MODES, Action
from tui_tuner.ui.text import visible

if TYPE_CHECKING:
    from tui_tuner.ui.app import TunerApp

Command = tuple[str, str, Callable[[], Any]]
"""Name, explanation, what it does."""


class WorkbenchCommands(Provider):
    """Commands of the workbench."""

    @property
    def tuner(self) -> TunerApp:
        return cast("TunerApp", self.app)

    async def discover(self) -> Hits:
        for name, about, call in self._actions():
            yield DiscoveryHit(Content(visible(name)), call, text=visible(name), help=escape(visible(about)))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, about, call in [*self._actions(), *self._themes(), *self._presets(), *self._runs()]:
            score = matcher.match(name)
            if score > 0:
                shown = _highlighted(visible(name), matcher)
                yield Hit(score, shown, call, text=visible(name), help=escape(visible(about)))

    def _actions(self) -> Iterator[Command]:
        mode = getattr(self.screen, "MODE", "") or self.app.current_mode
        for action in ACTIONS:
            if action.palette and (not action.where or mode in action.where) and self._applies(action):
                yield _name(action), f"{action.help}  ({action.key_text})", partial(self._run, action)

    def _applies(self, action: Action) -> bool:
        """Whether the action does something here and now."""
        owner = self.screen if action.where else self.app
        return owner.check_action(*action.call) is True

    async def _run(self, action: Action) -> None:
        await self.app.run_action(action.action, self.screen if action.where else None)

    def _themes(self) -> Iterator[Command]:
        from tui_tuner.ui.themes import ABOUT

        for name, about in ABOUT.items():
            yield f"Theme {name}", f"Colours: {about}.", partial(self.tuner.choose_theme, name)

    def _presets(self) -> Iterator[Command]:
        from tui_tuner.config.presets import list_presets

        for preset in list_presets():
            yield f"Preset: {preset.name}", preset.title, partial(self._load, str(preset.path))

    def _load(self, name: str) -> None:
        try:
            self.tuner.load_preset(name)
            self.tuner.go("config")
        except Exception as error:
            self.tuner.report(error)

    def _runs(self) -> Iterator[Command]:
        from tui_tuner.runs.catalogue import list_runs

        for run in list_runs(self.tuner.runs_dir)[:30]:
            about = f"{run.state.value}, {run.step}/{run.steps} steps"
            yield f"Run: {run.path.name}", about, partial(self._open, run.path)

    def _open(self, path: Any) -> None:
        from tui_tuner.runs.folder import RunFolder

        try:
            self.tuner.select_run(RunFolder.open(path))
            self.tuner.go("train")
        except Exception as error:
            self.tuner.report(error)


def _name(action: Action) -> str:
    mode = action.id.split(".")[1]
    return f"Go to {action.label}" if action.group == "Go to" and mode in MODES else action.label


def _highlighted(name: str, matcher: Matcher) -> Content:
    """The name with the letters that matched underlined; Textual's own highlighter would read it as markup."""
    content = Content(name)
    _score, offsets = matcher.fuzzy_search.match(matcher.query, name)
    for offset in offsets:
        content = content.stylize(matcher.match_style, offset, offset + 1)
    return content
