"""The command palette: every action there is, with its key, and presets, themes, runs and conversations, found by name.

What works on the screen below comes first and is listed without a search; a search also finds what other screens do,
and goes there to do it. Nothing that has a key may be missing: a test compares it with the bindings in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode
from textual.fuzzy import Matcher
from textual.markup import escape

from tui_tuner.ui.actions import ACTIONS, MODES, VIEWS, Action, key_text
from tui_tuner.ui.text import visible

if TYPE_CHECKING:
    from tui_tuner.ui.app import TunerApp

_IN_WORDS = 0.2
"""Score of a command whose explanation has what was typed, and whose name has not."""
_RUNS, _CHATS = 30, 30


@dataclass(frozen=True)
class Command:
    """Something the palette offers.

    Attributes:
        name: what it is called.
        about: a sentence.
        call: what it does.
        keys: its keys, as people write them; empty for what has none.
    """

    name: str
    about: str
    call: Callable[[], Any]
    keys: str = ""


class WorkbenchCommands(Provider):
    """Commands of the workbench."""

    @property
    def tuner(self) -> TunerApp:
        return cast("TunerApp", self.app)

    async def discover(self) -> Hits:
        for command in self.here():
            yield DiscoveryHit(_shown(command), command.call, text=visible(command.name), help=_help(command))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self.everything():
            score = matcher.match(command.name)
            if score <= 0 and len(query) > 2 and query.casefold() in command.about.casefold():
                score = _IN_WORDS
            if score > 0:
                yield Hit(score, _shown(command, matcher), command.call, text=visible(command.name),
                          help=_help(command))  # fmt: skip

    def everything(self) -> Iterator[Command]:
        """All that can be found."""
        for part in (self.here, self.not_now, self._elsewhere, self._themes, self._presets, self._runs, self._chats):
            yield from part()

    # -- actions --------------------------------------------------------------------------------------------------

    def here(self) -> Iterator[Command]:
        """What does something on the screen below: its actions, the app's, and those of what has the focus."""
        for action in self._own():
            if self._applies(action):
                yield _command(action, partial(self._run, action))
        yield from self._bound()

    def _own(self) -> list[Action]:
        mode = getattr(self.screen, "MODE", "")
        return [action for action in ACTIONS if action.palette and (not action.where or mode in action.where)]

    def _bound(self) -> Iterator[Command]:
        """Keys of dialogs and of the widget that has the focus, which are in no table."""
        known = {action.id for action in ACTIONS}
        keys: dict[tuple[DOMNode, str], tuple[Binding, list[str]]] = {}
        for key, active in self.screen.active_bindings.items():
            node, binding = active.node, active.binding
            ours = type(node).__module__.startswith("tui_tuner.") and node is not self.app
            if ours and binding.description and binding.id not in known and active.enabled:
                keys.setdefault((node, binding.action), (binding, []))[1].append(binding.key_display or key_text(key))
        for (node, action), (binding, names) in keys.items():
            call = partial(self.app.run_action, action, node)
            yield Command(binding.description, f"{binding.tooltip or binding.description}.", call, " ".join(names))

    def _applies(self, action: Action) -> bool:
        """Whether the action does something here and now."""
        owner = self.screen if action.where else self.app
        return owner.check_action(*action.call) is True

    async def _run(self, action: Action) -> None:
        await self.app.run_action(action.action, self.screen if action.where else None)

    def not_now(self) -> Iterator[Command]:
        """Actions of this screen that do nothing at the moment, so that one who looks for them learns that."""
        for action in self._own():
            if not self._applies(action):
                say = partial(self.tuner.notice, f"{action.label} does nothing at the moment. {action.help}")
                yield _command(action, say, ahead="Not now: ")

    def _elsewhere(self) -> Iterator[Command]:
        """Actions of other screens: they are gone to first."""
        here = getattr(self.screen, "MODE", "")
        for action in ACTIONS:
            for mode in sorted(action.where - {here}):
                if action.palette:
                    where = VIEWS[mode] if mode in VIEWS else MODES[mode][1]
                    yield _command(action, partial(self._go_and_run, mode, action), ahead=f"{where}: ")

    def _go_and_run(self, mode: str, action: Action) -> None:
        if mode in VIEWS:
            self.tuner.notice(f"{action.label} works in {VIEWS[mode]}: mark two runs on Runs (7) with space, then v.")
            return
        self.tuner.go(mode)
        self.tuner.call_after_refresh(self._run_there, mode, action)

    async def _run_there(self, mode: str, action: Action) -> None:
        screen = self.app.screen
        if getattr(screen, "MODE", "") != mode:
            return
        if screen.check_action(*action.call) is not True:
            self.tuner.notice(f"{action.label} does nothing here at the moment. {action.help}")
            return
        await self.app.run_action(action.action, screen)

    # -- things ---------------------------------------------------------------------------------------------------

    def _themes(self) -> Iterator[Command]:
        from tui_tuner.ui.themes import ABOUT

        for name, about in ABOUT.items():
            yield Command(f"Theme {name}", f"Colours: {about}.", partial(self.tuner.choose_theme, name))

    def _presets(self) -> Iterator[Command]:
        from tui_tuner.config.presets import list_presets

        for preset in list_presets():
            yield Command(f"Preset: {preset.name}", preset.title, partial(self._load, str(preset.path)))

    def _load(self, name: str) -> None:
        try:
            self.tuner.load_preset(name)
            self.tuner.go("config")
        except Exception as error:
            self.tuner.report(error)

    def _runs(self) -> Iterator[Command]:
        from tui_tuner.runs.catalogue import list_runs

        for run in list_runs(self.tuner.runs_dir)[:_RUNS]:
            about = f"{run.state.value}, {run.step}/{run.steps} steps"
            yield Command(f"Run: {run.path.name}", about, partial(self._open, run.path))

    def _open(self, path: Any) -> None:
        from tui_tuner.runs.folder import RunFolder

        try:
            self.tuner.select_run(RunFolder.open(path))
            self.tuner.go("train")
        except Exception as error:
            self.tuner.report(error)

    def _chats(self) -> Iterator[Command]:
        from tui_tuner.chat.library import list_chats
        from tui_tuner.ui.continuing import go_on_with

        for chat in list_chats(self.tuner.runs_dir)[:_CHATS]:
            if not chat.problem:
                about = f"A conversation, {chat.exchanges:,} questions" + (f", of {chat.run}" if chat.run else "")
                yield Command(f"Chat: {chat.title or chat.name}", f"{about}.", partial(go_on_with, self.tuner, chat))


def _command(action: Action, call: Callable[[], Any], ahead: str = "") -> Command:
    mode = action.id.split(".")[1]
    name = f"Go to {action.label}" if action.group == "Go to" and mode in MODES else action.label
    return Command(f"{ahead}{name}", action.help, call, action.all_keys_text)


def _help(command: Command) -> str:
    return escape(visible(command.about))


def _shown(command: Command, matcher: Matcher | None = None) -> Content:
    """Name and keys, with the letters that matched marked; Textual's own highlighter would read the name as markup."""
    name = visible(command.name)
    content = Content(name)
    if matcher is not None:
        _score, offsets = matcher.fuzzy_search.match(matcher.query, name)
        for offset in offsets:
            content = content.stylize(matcher.match_style, offset, offset + 1)
    return content + Content.styled(f"  {command.keys}", "bold $text-primary") if command.keys else content
