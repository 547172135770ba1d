"""The run at a glance: where it is, whether it is healthy, when it is done, and what can be done.

It shows any run folder in any state, live or long finished, and asks the engine only through the app's jobs. It must
never read a file itself, and never redraw what did not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from tui_tuner.runs.state import RunState
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.advising import offer
from tui_tuner.ui.machine import tiles_of_machine
from tui_tuner.ui.numbers import tiles_of, tiles_of_log
from tui_tuner.ui.reading import banner_of, banner_of_log, progress_of, progress_of_log
from tui_tuner.ui.screens.gauging import GaugedScreen
from tui_tuner.ui.status import ACTIVE
from tui_tuner.ui.text import inert, visible
from tui_tuner.ui.widgets.advicelist import AdviceList
from tui_tuner.ui.widgets.losschart import LossChart
from tui_tuner.ui.widgets.machine import MachinePanel
from tui_tuner.ui.widgets.panels import Panels
from tui_tuner.ui.widgets.progress import ProgressLine
from tui_tuner.ui.widgets.stagelist import StageList
from tui_tuner.ui.widgets.story import Story
from tui_tuner.ui.widgets.tiles import Tiles

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView


class TrainScreen(GaugedScreen):
    """Stages, curves, numbers, story and result of the run being looked at."""

    MODE = "train"
    BINDINGS = bindings("train")
    CSS_PATH = "train.tcss"
    INTRO = (
        "A run goes through six stages: check, data, baseline, train, evaluate, verdict. The curve is the loss in nats "
        "per token: train is measured on the batches being learned, validation on rows the model never learns from. "
        "When validation turns up while train goes on down, the model has begun to learn by heart."
    )

    def __init__(self) -> None:
        super().__init__()
        self._chosen = False
        self._followed: object = None
        self._drawn: object = None
        self._told: object = None
        self._figures: object = None

    def compose_body(self) -> ComposeResult:
        yield Static(id="empty", classes="empty")
        with Vertical(id="run"):
            yield ProgressLine(id="progress")
            yield Static(id="banner")
            yield StageList(id="stage-line")
            with Horizontal(id="middle"):
                with Container(id="loss-box", classes="pane"):
                    yield LossChart(id="loss")
                with Vertical(id="side"):
                    with Container(id="stages-box", classes="pane"):
                        yield StageList(id="stages")
                    with Container(id="tiles-box", classes="pane"):
                        yield Tiles(id="tiles")
            yield MachinePanel(id="machine")
            yield Tiles(id="tile-line")
            yield Panels(id="metrics")
            with Horizontal(id="lower"):
                yield Story(["result"], id="result")
                yield Story(["log", "samples", "advice"], id="story")

    def on_mount(self) -> None:
        self.query_one("#stages-box").border_title = "Stages"
        self.query_one("#tiles-box").border_title = "Now"
        chart = self.query_one(LossChart)
        chart.smoothing = getattr(self.tuner.settings, "smoothing", 0.6)
        chart.focus()

    def on_resize(self) -> None:
        self.when_shown(lambda: self.call_hook("run"))

    # -- drawing ------------------------------------------------------------------------------------------------

    def on_run_changed(self, view: RunView | None) -> None:
        state = self.state
        log = self.outside
        nothing = view is None or (log is not None and log.problem is not None and view.started is None)
        self.query_one("#empty").display = nothing
        self.query_one("#run").display = not nothing
        if view is None or state is None or nothing:
            self.query_one("#empty", Static).update(self._nothing())
            self.tuner.machine.want(None)
            return
        self.set_class(log is not None, "-outside")
        if self.tuner.state.follower is not self._followed:
            self._followed, self._chosen = self.tuner.state.follower, False
        if view is not self._drawn:
            self._drawn, self._figures = view, None
            self.query_one(Panels).start_over()
            self.query_one(LossChart).start_over()
            self.query_one(MachinePanel).start_over()
        job, now = self.job, self.tuner.clock()
        progress = progress_of(view, state, job, now) if log is None else progress_of_log(log, now)
        self.query_one(ProgressLine).show(progress)
        self._tell_banner(banner_of(view, state, job) if log is None else banner_of_log(log))
        ended = "" if state in ACTIVE else "failed" if state is RunState.FAILED else "stopped"
        wide = self.has_class("-wide")
        boxed = wide and self.has_class("-tall")
        self.query_one("#stages" if boxed else "#stage-line", StageList).show(view.stages, ended)
        self._draw_figures(view, state, wide)
        if view.device_advice and job is not None and state in ACTIVE:
            self.tuner.tell_once("device", f"This run computes on {view.device}. {_sentence(view.device_advice)}")
        self._tell_story(view)

    def _tell_banner(self, banner: Content) -> None:
        """Changes the banner only when it says something else: its height may change, and with it all of the layout."""
        said = (banner.plain, banner.spans)
        if said != self._told:
            self._told = said
            self.query_one("#banner", Static).update(banner)

    def _draw_figures(self, view: RunView, state: RunState, wide: bool) -> None:
        """Redraws curves and numbers when there are new ones, and only those that are to be seen."""
        self.query_one(LossChart).show(view)
        panels = self.has_class("-huge") and self.has_class("-towering")
        outside = self.outside is not None
        now = self.draw_machine(view, state)
        tiled = self.has_class("-gauges")
        machine = (view.machine.version, now) if tiled else None
        figures = (view.train.version, view.validation.version, view.started, view.plan, wide, machine)
        if figures != self._figures:
            self._figures = figures
            if tiled:
                tiles = tiles_of_machine(view, now, looked_at=self.looks_at_machine)
            else:
                tiles = tiles_of_log(view) if outside else tiles_of(view)
            box, title = self.query_one("#tiles-box"), "Machine" if tiled else "Now"
            if box.border_title != title:  # setting it draws the box, also when it is the same
                box.border_title = title
            self.query_one("#tiles" if wide else "#tile-line", Tiles).show(tiles)
        if panels:
            hurry = self.tuner.pace.attended or state not in ACTIVE
            frame = self.query_one(LossChart).viewport
            self.query_one(Panels).show(view, frame, all_of_them=not outside, hurry=hurry)

    def help_text(self) -> str:
        """What the screen is for, and what this run computes on."""
        text, view = super().help_text(), self.view
        if view is None or not view.device:
            return text
        advice = f" {_sentence(view.device_advice)}" if view.device_advice else ""
        return f"{text}\n\nThis run computes on {visible(view.device)}.{visible(advice)}"

    def on_engine_changed(self) -> None:
        self.on_run_changed(self.view)

    def on_experiment_changed(self) -> None:
        if self.view is None:
            self.query_one("#empty", Static).update(self._nothing())

    def _tell_story(self, view: RunView) -> None:
        """Fills the two panes below; in a narrow window there is only one, with all views."""
        story = self.query_one("#story", Story)
        narrow = self.has_class("-narrow")
        self.set_class(view.verdict is not None, "-judged")
        if self.outside is not None:
            beside, views = "about", ["log", "advice"]
        else:
            beside, views = "result", ["log", "samples", "advice"]
        self.query_one("#result", Story).choose([beside], beside)
        if narrow:
            views = [*views, beside] if self.outside is not None else [beside, *views]
        wanted = "result" if narrow and view.verdict is not None else "log"
        story.choose(views, story.current if self._chosen and story.current in views else wanted)
        for name in ("#result", "#story"):
            self.query_one(name, Story).show(view)
        self._make_room()

    def _make_room(self) -> None:
        """Advice gets more room than a log does while it is looked at, and has a key of its own."""
        shown = self._advice is not None
        if shown != self.has_class("-advising"):
            self.set_class(shown, "-advising")
            self.refresh_bars()

    @property
    def _advice(self) -> AdviceList | None:
        """The list of advice, while it is shown."""
        part = self.query_one("#story", Story).part
        return part if isinstance(part, AdviceList) else None

    def _nothing(self) -> Content:
        state = self.tuner.state
        if self.outside is not None and self.outside.problem is not None:
            return Content.assemble(
                inert(self.outside.problem.sentence(), "$text-warning"),
                "\n\nIt is shown as soon as it can be read.    ", ("7", "bold $text-primary"), " shows all runs",
            )  # fmt: skip
        if state.follower is not None:
            return Content.styled(f"Reading the {'run' if self.outside is None else 'log'} …", "$text-muted")
        if state.experiment is not None:
            return Content.assemble(
                inert(state.experiment.run.name, "bold"),
                " is set up and has not been started.\n\n",
                ("f5", "bold $text-primary"), " starts it    ",
                ("3", "bold $text-primary"), " changes its settings    ",
                ("2", "bold $text-primary"), " shows its data",
            )  # fmt: skip
        return Content.assemble(
            "No run is open.\n\n",
            ("0", "bold $text-primary"), " goes home to the quickstart and presets    ",
            ("7", "bold $text-primary"), " shows all runs",
        )  # fmt: skip

    # -- actions ------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("log_scale", "smoothing", "next_panel"):
            return self.is_mounted and bool(self.query_one("#run").display) and self.view is not None
        if action == "advice":
            return self.view is not None and bool(self.view.advice)
        if action == "mark_advice":
            listed = self._advice if self.is_mounted else None
            return listed is not None and any(one.change for one in listed.advice)
        return super().check_action(action, parameters)

    def action_log_scale(self) -> None:
        self.query_one(LossChart).action_toggle_log()

    def action_smoothing(self) -> None:
        self.query_one(LossChart).action_cycle_smoothing()

    def action_next_panel(self) -> None:
        self._chosen = True
        self.query_one("#story", Story).step()
        self.call_hook("run")

    def on_story_chosen(self, event: Story.Chosen) -> None:
        self._chosen = True
        event.story.choose(event.story.views, event.view)
        self.call_hook("run")

    def action_advice(self) -> None:
        """Shows the advice; when it is shown already, offers to follow what is chosen of it."""
        listed = self._advice
        if listed is not None:
            offer(self.tuner, listed.chosen)
            return
        self._chosen = True
        story = self.query_one("#story", Story)
        story.choose(story.views, "advice")
        self.call_hook("run")
        if (listed := self._advice) is not None:
            listed.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_advice()

    def action_mark_advice(self) -> None:
        if (listed := self._advice) is not None:
            listed.mark()


def _sentence(words: str) -> str:
    """A piece of advice as a sentence of its own."""
    return f"{words[:1].upper()}{words[1:]}."
