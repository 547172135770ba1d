"""The first screen: what was going on, what can be started, and what this machine has room for.

One list; enter does what the line says, and the pane beside or below it tells what that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.ui.actions import bindings
from tui_tuner.ui.homelist import RESUMABLE, Acts, Entry, Group, HomeList, Known, machine_detail, machine_line
from tui_tuner.ui.screens.startwork import StartWorkScreen
from tui_tuner.ui.text import clip, clip_middle, visible

if TYPE_CHECKING:
    from tui_tuner.runs.catalogue import RunSummary


class HomeScreen(StartWorkScreen):
    """What to go on with, the queue, what can be started, presets, recent runs."""

    MODE = "home"
    BINDINGS = bindings("home")
    CSS_PATH = "home.tcss"
    INTRO = (
        "Choose what to do and press enter. The quickstart trains a tiny embedded model from end to end, so that you "
        "see the whole loop before you spend an hour on your own data."
    )

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, Entry] = {}
        self._shown: object = None
        self._known = Known()

    def compose_body(self) -> ComposeResult:
        yield Static(id="welcome")
        with Container(id="split"):
            yield OptionList(id="choices", markup=False)
            with VerticalScroll(id="detail-box", classes="pane"):
                yield Static(id="detail")

    def on_mount(self) -> None:
        self.query_one("#detail-box").border_title = "About"
        self.query_one(OptionList).focus()
        self._fill(self._known)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Reads only once the first frame is out: what it takes to read presets must not delay it."""
        self._load()
        self.set_interval(2.0, self._load)

    def on_experiment_changed(self) -> None:
        self._fill(self._known)

    def on_resize(self) -> None:
        self._fill(self._known)

    def help_text(self) -> str:
        """What `?` says first, and what this machine has room for."""
        return "\n\n".join(part for part in (super().help_text(), machine_detail(self._known.machine)) if part)

    # -- the list -----------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Reads what there is in a thread: a folder on a slow disk must not hold up the screen."""
        if self.is_current and not self.tuner.stopping:
            self.run_worker(self._read, thread=True, exit_on_error=False, exclusive=True, group="home")

    def _read(self) -> None:
        try:
            from tui_tuner.chat.library import list_chats
            from tui_tuner.config.presets import list_presets
            from tui_tuner.runs.catalogue import list_runs
            from tui_tuner.ui.drafts import read_draft

            place = self.tuner.runs_dir
            chats = (chat for chat in list_chats(place) if not chat.problem and chat.exchanges)
            known = Known(list_presets(), list_runs(place), next(chats, None), read_draft(), self._known.machine, True)
            self.call_later(self._fill, known)
            if known.machine is None:
                from tui_tuner.models.sizes import this_machine

                self.call_later(self._measured, this_machine())
        except Exception as error:
            self.call_later(self.tuner.report, error)

    def _measured(self, machine: object) -> None:
        from dataclasses import replace

        self._fill(replace(self._known, machine=machine))  # type: ignore[arg-type]

    def _fill(self, known: Known) -> None:
        """Shows the list; the highlighted line stays the one it was, but for the first reading, which brings the first
        line."""
        first = known.read and not self._known.read
        self._known = known
        tuner = self.tuner
        acts = Acts(tuner.start_run, self.action_quickstart, self._new, self._load_preset, self._open, self._talk,
                    self._take_draft)  # fmt: skip
        groups = HomeList(known, tuner.state, tuner.desk, acts).groups()
        entries = {key: entry for _, found in groups for key, entry in found.items()}
        headings = [heading for heading, _ in groups]
        version = (headings, [(k, e.label, e.about, e.keys) for k, e in entries.items()], self.size, known.machine)
        if version == self._shown:
            return
        self._shown, self._entries = version, entries
        self.query_one("#welcome", Static).update(self._welcome())
        choices = self.query_one(OptionList)
        at = choices.highlighted
        before = choices.get_option_at_index(at).id if at is not None and at < choices.option_count else None
        choices.clear_options().add_options(self._options(groups))
        kept = before in entries and not first
        choices.highlighted = choices.get_option_index(str(before) if kept else next(iter(entries)))
        if not kept:
            choices.scroll_home(animate=False)
        self.refresh_bars()

    def _options(self, groups: list[Group]) -> list[Option]:
        width = min(34, max(len(visible(entry.label)) for entry in self._entries.values()))
        options: list[Option] = []
        for number, (heading, entries) in enumerate(groups):
            if number:
                options.append(Option("", disabled=True))
            options.append(Option(Content.styled(heading.upper(), "bold $text-muted"), disabled=True))
            options += [Option(self._line(entry, width), id=key) for key, entry in entries.items()]
        return options

    def _line(self, entry: Entry, width: int) -> Content:
        room = max(10, self.query_one(OptionList).size.width - width - 6)
        return Content.assemble(
            " ",
            (entry.sign, f"bold {entry.style}"),
            " ",
            clip_middle(entry.label, width).ljust(width),
            "  ",
            (clip(entry.about, room), "$text-muted"),
        )

    def _welcome(self) -> Content:
        """What the program is for, or where to begin; the keys; and what this machine has room for."""
        known = self._known
        new = known.read and not known.runs
        head = _FIRST if new else "Fine-tune a language model, and know whether it got better."
        room = max(20, self.size.width - 6)
        lines = [Content.styled(clip(head, room), "bold"), Content.styled(_KEYS, "$text-muted")]
        if line := machine_line(known.machine):
            lines.append(Content.styled(clip(line, room), "$text-muted"))
        return Content("\n").join(lines)

    # -- what lines do ------------------------------------------------------------------------------------------

    @property
    def _highlighted(self) -> Entry | None:
        choices = self.query_one(OptionList)
        at = choices.highlighted
        return None if at is None else self._entries.get(choices.get_option_at_index(at).id or "")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        entry = self._entries.get(event.option_id or "")
        if entry is not None:
            self.query_one("#detail", Static).update(entry.detail)
            box = self.query_one("#detail-box", VerticalScroll)
            box.border_subtitle = Content(entry.keys)
            box.scroll_home(animate=False)
            self.refresh_bars()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        entry = self._entries.get(event.option_id or "")
        if entry is not None:
            entry.act()

    def action_queue(self) -> None:
        self.tuner.desk.toggle()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        desk = self.tuner.desk
        if action == "resume":
            return self.is_mounted and self._resumable is not None
        return bool(desk.entries) or desk.paused if action == "queue" else True

    @property
    def _resumable(self) -> RunSummary | None:
        """The run that one would go on with: the highlighted one, else the one that broke off last."""
        runs = [run for run in self._known.runs if run.state in RESUMABLE and not run.labels.archived]
        runs = [run for run in runs if f"queue:{run.run}" not in self._entries]
        entry = self._highlighted
        return next((run for run in runs if entry is not None and run.run == entry.label), next(iter(runs), None))

    def action_resume(self) -> None:
        from tui_tuner.runs.folder import RunFolder

        run = self._resumable
        if run is not None:
            self.tuner.resume_run(RunFolder.open(run.path))

    def on_engine_changed(self) -> None:
        self._fill(self._known)
        self._load()


_FIRST = "New here? Press q: the quickstart shows the whole loop in two minutes."
_KEYS = "↑ ↓ choose   enter go   1–7 screens   ; jump   ^p all commands   ? help"
