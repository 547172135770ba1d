"""The timeline of a run's probes: what the model says to fixed prompts as it learns, step by step.

One scrubs through the steps, sees what changed against the untrained model or the look before, has the probes asked
now, and adds one. It only reads the run's view and asks through the screen it came from; the run goes on behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_tuner.errors import TunerError
from tui_tuner.runs.probes import Timeline, prompt_of, timeline
from tui_tuner.runs.view import RunView
from tui_tuner.ui import probetext
from tui_tuner.ui.probetext import AGAINST, Against
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.words import Hint

_LOOK = 0.5
"""Seconds between looks at the run, which goes on meanwhile."""
_WIDE = 100
_TOLD: dict[Against, str] = {
    "untrained": "than untrained",
    "before": "than the look before",
    "nothing": "",
}


@dataclass(frozen=True)
class ProbeFacts:
    """What the timeline is told of a run.

    Attributes:
        name: of the run.
        view: its view.
        configured: prompts of its configuration.
        listening: whether it can be asked for anything now.
    """

    name: str
    view: RunView
    configured: tuple[str, ...]
    listening: bool


class ProbeTimeline(ModalScreen[None]):
    """The probes of a run over its steps.

    Args:
        facts: gives what is known of the run; asked again and again.
        ask: has the probes asked, or a new one (its text) asked from now on; False when that failed, which it has told.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("left", "scrub(-1)", "Earlier", priority=True),
        Binding("right", "scrub(1)", "Later", priority=True),
        Binding("home", "edge(0)", "Untrained", priority=True),
        Binding("end", "edge(-1)", "Latest", priority=True),
        Binding("d", "against", "Compare with"),
        Binding("a", "ask", "Ask now"),
        Binding("n", "new", "New probe"),
    ]
    DEFAULT_CSS = """
    ProbeTimeline { align: left top; background: $background; }
    ProbeTimeline > #probes { width: 1fr; height: 1fr; padding: 0 1; }
    ProbeTimeline #probe-track, ProbeTimeline #probe-where { height: 1; width: 1fr; }
    ProbeTimeline #probe-prompts { height: 5; }
    ProbeTimeline #probe-prompt { height: auto; max-height: 4; width: 1fr; padding: 0 2; color: $text-muted; }
    ProbeTimeline #probe-new { display: none; border: round $border; height: 3; width: 1fr; }
    ProbeTimeline.-adding #probe-new { display: block; }
    ProbeTimeline #probe-answers, ProbeTimeline #probe-body { height: 1fr; width: 1fr; }
    ProbeTimeline #probe-body { layout: vertical; }
    ProbeTimeline TextPane { width: 1fr; height: 1fr; }
    ProbeTimeline #probe-other { display: none; }
    ProbeTimeline .hint { color: $text-muted; height: 1; padding: 0 2; }
    ProbeTimeline.-wide #probe-body { layout: horizontal; }
    ProbeTimeline.-wide #probe-prompts { width: 32; height: 1fr; }
    ProbeTimeline.-wide.-sides #probe-other { display: block; }
    """

    def __init__(self, facts: Callable[[], ProbeFacts], ask: Callable[[str | None], bool]) -> None:
        super().__init__()
        self._get, self._ask = facts, ask
        self._facts = facts()
        self._found = Timeline([], [], {}, {})
        self._key: object = None
        self._step: int | None = None
        """The step looked at; None is the latest, also when there is a later one."""
        self._against: Against = "untrained"

    def compose(self) -> ComposeResult:
        with Vertical(id="probes", classes="pane"):
            yield Static(id="probe-track", markup=False)
            yield Static(id="probe-where", markup=False)
            with Horizontal(id="probe-body"):
                yield RowList("Probes", id="probe-prompts")
                with Horizontal(id="probe-answers"):
                    yield TextPane(id="probe-other")
                    yield TextPane(id="probe-answer")
            field = Input(placeholder="a prompt to ask from now on", id="probe-new")
            field.border_title = "New probe"
            yield field
            yield Hint(id="probe-hint")

    def on_mount(self) -> None:
        self.query_one(RowList).focus()
        self._look()
        self.set_interval(_LOOK, self._look)

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= _WIDE, "-wide")
        self.call_after_refresh(self._draw)

    # -- what is shown ------------------------------------------------------------------------------------------
    def _look(self) -> None:
        """Takes over what is new of the run."""
        self._facts = facts = self._get()
        view = facts.view
        probing = view.probing
        asked = (probing.get("done"), probing.get("total")) if probing is not None else None
        kept = [len(events) for events in (view.samples, view.controls, view.checkpoints, view.validation)]
        key = (id(view), kept, view.samples[-1:], asked, facts.listening, facts.configured)
        if key != self._key:
            self._key = key
            self._found = timeline(view, facts.configured)
            self._draw()

    @property
    def prompt(self) -> str:
        """The selected probe."""
        at = self.query_one(RowList).cursor
        return self._found.prompts[at] if at < len(self._found.prompts) else ""

    @property
    def step(self) -> int:
        """The step looked at."""
        steps = self._found.steps
        latest = steps[-1] if steps else 0
        return self._step if self._step is not None and self._step in steps else latest

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        found, facts = self._found, self._facts
        listed = self.query_one(RowList)
        listed.show(len(found.prompts), lambda at, width: probetext.prompt_line(found, at, self.step, width))
        box = self.query_one("#probes")
        box.border_title = Content.assemble("Probes · ", clip(facts.name, 40))
        width = max(box.content_size.width, 20)
        track, where = self.query_one("#probe-track", Static), self.query_one("#probe-where", Static)
        if found.steps:
            track.update(probetext.track(found, self.prompt, self.step, width))
            where.update(probetext.where(found, self.step, facts.view.steps))
        else:
            track.update("")
            where.update(Content.styled("  not answered yet", "$text-muted") if found.prompts else "")
        self._draw_answers()
        self._draw_hint()

    def _draw_answers(self) -> None:
        found, prompt, step = self._found, self.prompt, self.step
        answer, other = self.query_one("#probe-answer", TextPane), self.query_one("#probe-other", TextPane)
        self.remove_class("-sides")
        answer.border_subtitle = ""
        if not found.prompts:
            answer.border_title = ""
            answer.draw(lambda _width: probetext.nothing(self._facts.listening))
            return
        answer.border_title = probetext.name_of(step).capitalize() if found.steps else "Answer"
        said = found.answers.get((prompt, step))
        if said is None:
            asked = self._facts.view.probing is not None or not found.steps
            answer.draw(lambda _width: self._asked(prompt, probetext.waiting(asked)))
            return
        against = probetext.compared_step(found, prompt, step, self._against)
        before = None if against is None else found.answers[prompt, against]
        if before is not None and self.has_class("-wide"):
            left, right, much = probetext.sides(before, said)
            self.add_class("-sides")
            other.border_title = probetext.name_of(against or 0).capitalize()
            other.draw(lambda _width: self._asked(prompt, left), keep_place=True)
            answer.draw(lambda _width: self._asked(prompt, right), keep_place=True)
        else:
            content, much = probetext.merged(before, said)
            answer.draw(lambda _width: self._asked(prompt, content), keep_place=True)
        same = much.startswith("=")
        than = _TOLD[self._against] if against is not None else ""
        answer.border_subtitle = Content(f"{much} {than.replace('than', 'as') if same else than}".strip())

    def _asked(self, prompt: str, answer: Content) -> Content:
        """The prompt above an answer."""
        return Content.assemble((f"» {visible(prompt, lines=True)}\n\n", "$text-muted"), answer)

    def _draw_hint(self) -> None:
        probing: dict[str, Any] | None = self._facts.view.probing
        parts: list[tuple[str, str]] = []
        if probing is not None:
            parts.append((f"◌ asking {probing.get('done', 0)} of {probing.get('total', 0)}   ", "$text-primary"))
        keys = [("← →", "steps"), ("↑ ↓", "probes"), ("d", "compare with")]
        if self._facts.listening:
            keys += [("a", "ask now"), ("n", "new")]
        if self.has_class("-adding"):
            keys = [("enter", "asks it after this step and from then on")]
        for key, what in [*keys, ("esc", "back")]:
            parts += [(key, "bold $text-primary"), (f" {what}   ", "$text-muted")]
        self.query_one("#probe-hint", Hint).tell(Content.assemble(*parts))

    # -- what is done -------------------------------------------------------------------------------------------
    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a prompt is typed, its keys are its own."""
        return not (action in ("scrub", "edge", "against", "ask", "new") and self.has_class("-adding"))

    def on_row_list_highlighted(self, _event: RowList.Highlighted) -> None:
        self._draw()

    def action_scrub(self, by: int) -> None:
        steps = self._found.steps
        if steps:
            self._go(min(max(steps.index(self.step) + by, 0), len(steps) - 1))

    def action_edge(self, at: int) -> None:
        if self._found.steps:
            self._go(at % len(self._found.steps))

    def _go(self, at: int) -> None:
        """Looks at a step; at the last one it follows what comes."""
        steps = self._found.steps
        self._step = None if at == len(steps) - 1 else steps[at]
        self._draw()

    def action_against(self) -> None:
        self._against = AGAINST[(AGAINST.index(self._against) + 1) % len(AGAINST)]
        self._draw()

    def action_ask(self) -> None:
        if self._listens() and self._ask(None):
            self._step = None
            self.notify("The probes are asked after the current step.", markup=False)

    def action_new(self) -> None:
        if self._listens():
            self.add_class("-adding")
            self._draw_hint()
            self.query_one(Input).focus()

    def _listens(self) -> bool:
        if not self._facts.listening:
            told = "Training is over or nobody runs this run, so nothing can be asked of it; Chat (6) asks its adapter."
            self.notify(told, severity="warning", markup=False)
        return self._facts.listening

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            prompt = prompt_of(event.value)
        except TunerError as error:
            self.notify(visible(error.sentence()), severity="warning", markup=False)
            return
        if self._ask(prompt):
            self._step = None
            self.notify("The new probe is asked after the current step, and from then on.", markup=False)
        self._leave_field()

    def _leave_field(self) -> None:
        self.remove_class("-adding")
        self._draw_hint()
        self.query_one(Input).clear()
        self.query_one(RowList).focus()

    def action_back(self) -> None:
        if self.has_class("-adding"):
            self._leave_field()
        else:
            self.dismiss(None)
