"""The first screen: what can be started, and what was done last. One list; enter does what the line says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.ui import format as fmt
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.status import ACTIVE, RUN_STATES
from tui_tuner.ui.text import clip, clip_middle, inert, visible

if TYPE_CHECKING:
    from tui_tuner.config.presets import Preset
    from tui_tuner.runs.catalogue import RunSummary

RECENT = 8
"""How many runs are listed; the runs screen has all of them."""
QUEUED = 4
"""How many runs of the queue are listed."""
QUICKSTART = "quickstart"


@dataclass(frozen=True)
class Entry:
    """A line of the list.

    Attributes:
        label: what it is called.
        about: a few words beside it.
        detail: what the panel says while it is highlighted.
        act: what enter does.
        sign: one cell before the label.
        style: colour of the sign.
    """

    label: str
    about: str
    detail: Content
    act: Callable[[], None]
    sign: str = "▸"
    style: str = "$text-primary"


class HomeScreen(WorkbenchScreen):
    """Quickstart, presets, recent runs."""

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
        self._read_last: tuple[list[Preset], list[RunSummary]] = ([], [])

    def compose_body(self) -> ComposeResult:
        yield Static(_WELCOME, id="welcome")
        with Horizontal(id="split"):
            yield OptionList(id="choices", markup=False)
            with VerticalScroll(id="detail-box", classes="pane", can_focus=False):
                yield Static(id="detail")

    def on_mount(self) -> None:
        self.query_one("#detail-box").border_title = "About"
        self.query_one(OptionList).focus()
        self._fill([], [])
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Reads only once the first frame is out: what it takes to read presets must not delay it."""
        self._load()
        self.set_interval(2.0, self._load)

    def on_experiment_changed(self) -> None:
        self._fill(*self._read_last)

    def on_resize(self) -> None:
        self._fill(*self._read_last)

    # -- the list -----------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Reads presets and runs in a thread: a folder on a slow disk must not hold up the screen."""
        if self.is_current and not self.app.stopping:  # type: ignore[attr-defined]
            self.run_worker(self._read, thread=True, exit_on_error=False, exclusive=True, group="home")

    def _read(self) -> None:
        try:
            from tui_tuner.config.presets import list_presets
            from tui_tuner.runs.catalogue import list_runs

            presets, runs = list_presets(), list_runs(self.tuner.runs_dir)
            self.call_later(self._fill, presets, runs)
        except Exception as error:
            self.call_later(self.tuner.report, error)

    def _fill(self, presets: list[Preset], runs: list[RunSummary]) -> None:
        """Shows the lists; the highlighted line stays the one it was."""
        self._read_last = (presets, runs)
        experiment = self.tuner.state.experiment
        ready = None if experiment is None else (experiment.run.name, experiment.train.iters)
        desk = self.tuner.desk
        queued = (desk.entries, desk.paused, desk.waits, [(r.run, r.state, r.step) for r in runs if desk.place(r.run)])
        recent = [(r.run, r.state, r.step) for r in runs[:RECENT]]
        version = (ready, [p.name for p in presets], recent, queued, self.size.width)
        if version == self._shown:
            return
        self._shown = version
        groups = [("Start", self._starts())]
        waiting = self._queue_entries({run.run: run for run in runs})
        if waiting:
            groups.append((f"Queue: {desk.told()}", waiting))
        if presets:
            groups.append(("Presets", {f"preset:{p.name}": self._preset_entry(p) for p in presets}))
        if others := [run for run in runs if f"queue:{run.run}" not in waiting][:RECENT]:
            groups.append(("Recent runs", {f"run:{run.run}": self._run_entry(run) for run in others}))
        self._entries = {key: entry for _, entries in groups for key, entry in entries.items()}
        options: list[Option | None] = []
        label_width = min(34, max(len(visible(e.label)) for e in self._entries.values()))
        for number, (heading, entries) in enumerate(groups):
            if number:
                options.append(Option("", disabled=True))
            options.append(Option(Content.styled(heading.upper(), "bold $text-muted"), disabled=True))
            options += [Option(self._line(entry, label_width), id=key) for key, entry in entries.items()]
        choices = self.query_one(OptionList)
        at = choices.highlighted
        before = choices.get_option_at_index(at).id if at is not None and at < choices.option_count else None
        choices.clear_options().add_options(options)
        wanted = before if before in self._entries else next(iter(self._entries))
        choices.highlighted = choices.get_option_index(wanted)
        if not any(entry for key, entry in self._entries.items() if key == before):
            choices.scroll_home(animate=False)

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

    def _starts(self) -> dict[str, Entry]:
        experiment = self.tuner.state.experiment
        ready = {}
        if experiment is not None:
            name = visible(experiment.run.name)
            detail = Content.assemble(
                (f"{name}\n\n", "bold"),
                f"{visible(experiment.model.path)} on {visible(experiment.data.source)}, "
                f"{experiment.train.iters:,} steps of {experiment.train.batch_size} rows.\n\n",
                ("enter starts it now; 2 shows its data, 3 its settings.", "$text-primary"),
            )
            ready["ready"] = Entry(f"Start {name}", "the experiment that is set up", detail, self.tuner.start_run)
        return ready | {
            "quickstart": Entry("Quickstart", "the whole loop, in two minutes", _QUICKSTART, self.action_quickstart),
            "new": Entry("New experiment", "your own model and data", _NEW, self._new),
        }

    def _queue_entries(self, runs: dict[str, RunSummary]) -> dict[str, Entry]:
        """The first runs of the queue: what runs, and what comes next."""
        desk = self.tuner.desk
        entries = {}
        for place, entry in enumerate(desk.entries[:QUEUED], 1):
            run = runs.get(entry.run)
            if run is not None:
                shown = self._run_entry(run)
                going = run.state in ACTIVE[1:]
                word = f"{run.state.value} · {fmt.percent(run.step, run.steps)}" if going else f"waits at place {place}"
                keys = "p goes on with the queue" if desk.paused or desk.asks else "p pauses the queue"
                detail = Content("\n").join([shown.detail, Content.styled(f"{keys}; 7 has the rest.", "$text-primary")])
                entries[f"queue:{run.run}"] = replace(shown, about=word, detail=detail)
        return entries

    def _preset_entry(self, preset: Preset) -> Entry:
        detail = Content("\n\n").join(
            [inert(preset.title, "bold"), inert(preset.description, lines=True), inert(str(preset.path), "$text-muted"),
             Content.styled("enter loads it; f5 then starts the run.", "$text-primary")]
        )  # fmt: skip
        return Entry(preset.name, preset.title, detail, lambda: self._load_preset(preset), "◆", "$text-secondary")

    def _run_entry(self, run: RunSummary) -> Entry:
        sign, style = RUN_STATES[run.state]
        lines = [
            inert(run.run, "bold"),
            Content.assemble((f"{sign} {run.state.value}", style), f" · step {run.step:,} of {run.steps:,}"),
            Content.assemble("Model  ", inert(run.model)),
            Content(f"Best validation loss  {fmt.number(run.best)}"),
            Content.assemble("Verdict  ", inert(run.verdict or "none yet")),
            Content.styled(_NEXT.get(run.state.value, "enter opens it."), "$text-primary"),
        ]
        about = f"{run.state.value} · {fmt.percent(run.step, run.steps)} · {fmt.ago(run.created)}"
        return Entry(run.run, about, Content("\n").join(lines), lambda: self._open(run), sign, style)

    # -- what lines do ------------------------------------------------------------------------------------------

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        entry = self._entries.get(event.option_id or "")
        if entry is not None:
            self.query_one("#detail", Static).update(entry.detail)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        entry = self._entries.get(event.option_id or "")
        if entry is not None:
            entry.act()

    def action_queue(self) -> None:
        self.tuner.desk.toggle()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        desk = self.tuner.desk
        return bool(desk.entries) or desk.paused if action == "queue" else True

    def on_engine_changed(self) -> None:
        self._fill(*self._read_last)
        self._load()

    def action_quickstart(self) -> None:
        """Loads the embedded experiment and starts it."""
        self.tuner.load_preset(QUICKSTART)
        self.tuner.start_run()

    def _new(self) -> None:
        self.tuner.go("models")

    def _load_preset(self, preset: Preset) -> None:
        self.tuner.load_preset(str(preset.path))
        self.tuner.notice(f"{preset.name} is loaded: press 2 to see its data, f5 to start.")
        self.tuner.go("config")

    def _open(self, run: RunSummary) -> None:
        from tui_tuner.runs.folder import RunFolder

        self.tuner.select_run(RunFolder.open(run.path))
        self.tuner.go("train")


_WELCOME = Content.assemble(
    ("Fine-tune a language model, and know whether it got better.", "bold"),
    ("\n↑ ↓ choose   enter go   1–7 screens   ? help", "$text-muted"),
)
_QUICKSTART = Content.assemble(
    ("Quickstart", "bold"),
    "\n\nTrains a tiny embedded model on an embedded table of players: check, baseline, training with live curves, "
    "evaluation, verdict. Then you can talk to it.\n\nNeeds no network, no graphics card and about two minutes.\n\n",
    ("enter starts it now.", "$text-primary"),
)
_NEW = Content.assemble(
    ("New experiment", "bold"),
    "\n\nOne step after the other:\n\n  1  Models   choose the model\n  2  Data     choose the data and look at it\n"
    "  3  Config   everything else\n  f5          start\n\n",
    ("enter begins with the model.", "$text-primary"),
)
_NEXT = {
    "running": "enter watches it.",
    "paused": "enter opens it; space goes on.",
    "interrupted": "enter opens it; r resumes it exactly where it was.",
    "stopped": "enter opens it; r resumes it exactly where it was.",
    "failed": "enter shows what went wrong.",
    "finished": "enter shows the result; 6 talks to it.",
}
