"""Talks to the base model, to the adapter of the run being looked at, or to both in turn.

Answers stream through a sink that is looked into fifteen times a second while one is on its way; the engine's mlx lane
does the work. It must never send one message per token, and never lose what was said.
"""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static, TextArea

from tui_tuner.chat.sampling import MAX_TOKENS, Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.config.reading import CHAT_TEMPLATES
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.errors import TunerError
from tui_tuner.paths import find_local, resolve_model
from tui_tuner.runs.view import RunView
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.format import count
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.state import ChatTarget
from tui_tuner.ui.text import clip, clip_middle, visible
from tui_tuner.ui.widgets.chat_input import ChatInput
from tui_tuner.ui.widgets.chat_log import ChatLog
from tui_tuner.ui.widgets.chat_session import ChatSession
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_pane import lines, wrap

RATE = 15.0
"""Looks into the sink per second while an answer is on its way."""


class ChatScreen(WorkbenchScreen):
    """The chat. The conversation lives as long as the app, whichever run is looked at."""

    MODE = "chat"
    EMPTY = "There is no model to talk to yet.\n\nChoose a preset on Home (0), or open a run (7)."
    INTRO = (
        "Ask the base model and the adapter the same thing and see what training changed. The probe prompts of the "
        "experiment are one key away. With memory on, a voice is told its own part of the conversation."
    )
    CSS_PATH = "chat.tcss"
    AUTO_FOCUS = "ChatInput"
    BINDINGS = bindings("chat")

    def __init__(self) -> None:
        super().__init__()
        self._subjects = Subjects()
        self._session: ChatSession | None = None
        self._subject: Subject | None = None
        self._wish = ""  # base, adapter or both, once somebody has chosen
        self._memory_chosen = False
        self._timer: Timer | None = None

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="chat-empty", markup=False)
        yield Static("", id="chat-head", markup=False)
        yield ChatLog(id="chat-log")
        yield ChatInput(id="chat-input")

    def on_mount(self) -> None:
        self._timer = self.set_interval(1 / RATE, self._poll, pause=True)
        self._input.border_title = Content("You")

    # -- hooks --------------------------------------------------------------------------------------------------

    def on_run_changed(self, view: RunView | None) -> None:
        self._look()

    def on_experiment_changed(self) -> None:
        self._look()

    def on_engine_changed(self) -> None:
        self._poll()
        self._draw_head()

    def on_resize(self, event: events.Resize) -> None:
        self._draw_head()
        self._greet()

    # -- actions ------------------------------------------------------------------------------------------------

    def on_chat_input_sent(self, event: ChatInput.Sent) -> None:
        voices = self._voices()
        if not voices or self._session is None:
            self.tuner.notice(self.EMPTY.replace("\n\n", " "), "warning")
            return
        target = self.tuner.state.chat
        if target is None:
            tokens = self._subject.experiment.evaluation.max_tokens if self._subject is not None else 0
            target = ChatTarget("", sampling=Sampling(max_tokens=max(MAX_TOKENS, tokens)))
        self._session.system = target.system
        exchange = self._session.ask(event.text, voices, target.sampling)
        self._input.text = ""
        self.query_one(ChatLog).add(exchange, self._waiting)
        if self._timer is not None:
            self._timer.resume()
        self._poll()
        self._draw_head()

    def on_text_area_changed(self, _event: TextArea.Changed) -> None:
        self.refresh_bars()

    def action_stop(self) -> None:
        if self._session is not None:
            self._session.stop()

    def action_voice(self) -> None:
        """Base or adapter; says what to do when there is no adapter."""
        if self._adapter is None:
            self.tuner.notice(self._no_adapter, "warning")
            return
        self._wish = "base" if self._speaking == "adapter" else "adapter"
        self._draw_head()

    def action_both(self) -> None:
        if self._adapter is None:
            self.tuner.notice(self._no_adapter, "warning")
            return
        self._wish = "adapter" if self._speaking == "both" else "both"
        self._draw_head()

    def action_probe(self) -> None:
        self._input.focus()
        if not self._input.offering:
            self.tuner.notice("The input is not empty; send or clear it first.", "warning")
        elif not self._input.offer(1):
            self.tuner.notice("The experiment has no probe prompts; set probes.prompts to have some here.", "warning")

    def action_memory(self) -> None:
        if self._session is not None:
            self._memory_chosen = True
            self._session.memory = not self._session.memory
            self._draw_head()

    def action_clear(self) -> None:
        if self._session is not None:
            self._session.clear()
            self.query_one(ChatLog).clear()
            self._draw_head()

    def action_write(self) -> None:
        self._input.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        busy = self._session is not None and self._session.busy
        if action == "stop":
            return busy
        if action == "clear":
            return self._session is not None and bool(self._session.exchanges)
        if action in ("voice", "both", "memory"):
            return self._subject is not None
        if action == "probe":
            return bool(self._input.suggestions) if self.is_mounted else False
        if action == "write":
            return self._subject is not None and self.focused is not self._input
        return super().check_action(action, parameters)

    # -- who speaks ---------------------------------------------------------------------------------------------

    @property
    def _input(self) -> ChatInput:
        return self.query_one(ChatInput)

    @property
    def _adapter(self) -> Voice | None:
        """The adapter that was asked for by name, or that of the run being looked at, if there is one yet."""
        run, subject, target = self.tuner.state.run, self._subject, self.tuner.state.chat
        if target is not None and subject is not None:
            if target.adapter is None:
                return None
            label = f"adapter · {clip_middle(str(target.adapter), 40)}"
            return Voice(self._model(subject), target.adapter, label, self._template(subject))
        if run is None or subject is None or not subject.is_run:
            return None
        if not (run.adapters / "adapters.safetensors").is_file():
            return None
        label = f"adapter · {clip_middle(run.name, 40)}"
        return Voice(self._model(subject), run.adapters, label, self._template(subject))

    @property
    def _speaking(self) -> str:
        if self._adapter is None:
            return "base"
        return self._wish or "adapter"

    @property
    def _no_adapter(self) -> str:
        if self.tuner.state.chat is not None:
            return "There is no adapter: this chat was opened with a model alone."
        if self.tuner.state.run is None:
            return "There is no adapter yet: start a run with f5, or open a finished one on Runs (7)."
        return "This run has no adapter yet: it is written with the first checkpoint."

    def _model(self, subject: Subject) -> str:
        try:
            return resolve_model(subject.experiment.model.path, subject.base)
        except TunerError:
            return subject.experiment.model.path  # The engine says what is wrong with it.

    def _template(self, subject: Subject) -> str:
        """The chat template in which both voices are asked: the one that was trained with, else the chosen one."""
        run, target = self.tuner.state.run, self.tuner.state.chat
        trained = target.adapter if target is not None else run.adapters if run is not None and subject.is_run else None
        if trained is not None and (trained / "chat_template.jinja").is_file():
            return str(trained / "chat_template.jinja")
        chosen = subject.experiment.model.chat_template
        found = None if chosen in CHAT_TEMPLATES else find_local(chosen, subject.base)
        return str(found or chosen)

    def _voices(self) -> list[Voice]:
        if self._subject is None:
            return []
        base = Voice(self._model(self._subject), None, "base", self._template(self._subject))
        adapter = self._adapter
        if adapter is None or self._speaking == "base":
            return [base]
        return [adapter] if self._speaking == "adapter" else [base, adapter]

    # -- what is shown ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Takes up the run being looked at, or else the experiment."""
        state = self.tuner.state
        found = self._subjects.found(state)
        subject = self._subjects.of_chat(state) or self._subjects.of_run(state) or (found[0] if found else None)
        self.set_class(subject is None, "-empty")
        if subject is None:
            self._subject = None
            text = self._subjects.problem or self.EMPTY
            self.query_one("#chat-empty", Static).update(Content(visible(text, lines=True)))
            return
        if self._session is None:
            self._session = ChatSession(self.tuner.engine)
            self._input.focus()
        if subject != self._subject:
            self._subject = subject
            self._input.suggestions = list(subject.experiment.probes.prompts)
            self._input.placeholder = self._hint(subject)
            if not self._memory_chosen:
                # Rows of prompt and answer train single turns: more than one would be a new kind of input to the model.
                self._session.memory = not subject.experiment.data.completion
            self._greet()
        self._draw_head()

    def _hint(self, subject: Subject) -> Content:
        probes = "   ↓ offers a probe prompt" if subject.experiment.probes.prompts else ""
        return Content.styled(
            f"Ask something.   enter sends   esc leaves the field   shift+enter new line{probes}", "$text-disabled"
        )

    def _greet(self) -> None:
        """What the log shows before anything was said: the probes, ready to be asked."""
        if self._subject is None:
            return
        width = max(self.size.width - 8, 20)
        out = [Content.styled("Nothing was said yet.", "$text-muted"), Content("")]
        if self._input.suggestions:
            offer = "Probe prompts, to see what training changes (↓ puts one into the input):"
            out.append(Content.styled(offer, "$text-muted"))
            for prompt in self._input.suggestions[:8]:
                out.append(Content.assemble(("• ", "$text-accent"), clip(prompt, width - 2)))
        if self._adapter is None:
            out += [Content(""), *(Content.styled(line, "$text-muted") for line in wrap(self._no_adapter, width))]
        self.query_one(ChatLog).hello(lines(out))

    def _draw_head(self) -> None:
        """The selector, the model, and whether the conversation is remembered."""
        if self._subject is None or self._session is None:
            return
        width = max(self.size.width - 4, 20)
        parts: list[tuple[str, str] | str | Content] = []
        for name, mark in (("base", "○"), ("adapter", "●"), ("both", "◐")):
            on = name == self._speaking
            off = "$text-disabled" if self._adapter is None and name != "base" else "$text-muted"
            parts += [(f" {mark} {name} ", "bold reverse $text-primary" if on else off), " "]
        model = self._subject.experiment.model.path
        adapter = self._adapter
        who = f" {clip_middle(model, 30)}"
        if adapter is not None:
            who += f" + {clip_middle(self._subject.title, 34)}" if self._speaking != "base" else ""
        memory = "on" if self._session.memory else "off"
        if width > 100:
            memory += ", it remembers the conversation" if self._session.memory else ", each question stands alone"
        left = Content.assemble(*parts, (visible(who), "$foreground"))
        right = Content.styled(" · ".join([*_manner(self.tuner.state.chat), f"memory: {memory}"]), "$text-muted")
        if left.cell_length + right.cell_length + 2 > width:
            left = left.truncate(max(width - right.cell_length - 2, 10), ellipsis=True)
        line = left + Content(" " * max(2, width - left.cell_length - right.cell_length)) + right
        self.query_one("#chat-head", Static).update(line)
        self.refresh_bars()

    @property
    def _waiting(self) -> str:
        """Why a question has not been taken up yet."""
        active = self.tuner.engine.active("mlx")
        if active is None or not isinstance(active.request, RunExperiment):
            return "waits for its turn …"
        name = clip_middle(active.request.folder.name, 36)
        view, run = self.view, self.tuner.state.run
        step = ""
        if view is not None and run is not None and run.path == active.request.folder and view.steps:
            step = f" (step {count(view.step)} of {count(view.steps)})"
        return f"waits for the run {name}{step}; escape takes the question back"

    def _poll(self) -> None:
        """Draws what has come; rests when nothing is on its way."""
        session = self._session
        if session is None:
            return
        was_busy = session.busy
        changed = session.poll()
        waiting = [answer for exchange in session.exchanges[-1:] for answer in exchange.answers if not answer.ended]
        self.query_one(ChatLog).draw([*changed, *waiting], self._waiting)
        if not session.busy and self._timer is not None:
            self._timer.pause()
        if was_busy and not session.busy:
            self._draw_head()


def _manner(target: ChatTarget | None) -> list[str]:
    """How answers are asked for, as far as somebody wanted it otherwise than usual."""
    if target is None:
        return []
    return [
        *(["system message"] if target.system else []),
        *([f"temperature {target.sampling.temperature:g}"] if target.sampling.temperature else []),
        *([f"at most {count(target.sampling.max_tokens)} tokens"] if target.sampling.max_tokens != MAX_TOKENS else []),
    ]
