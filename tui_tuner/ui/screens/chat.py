"""Talks to any model and adapter, alone or side by side: the screen itself, what it is put together from, and its keys.

Answers stream through sinks that are looked into some times a second while one is on its way; the engine's mlx lane
does the work. It must never send one message per token, and never lose what was said. What it does stands in its rooms:
`chattalk`, `chatwho`, `chatrows`, `chatjudge`, `chatkeep`. A key, the palette and a slash command are one and the same.
"""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from tui_tuner.runs.view import RunView
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.chatcommands import groups
from tui_tuner.ui.screens.chatjudge import ChatJudge
from tui_tuner.ui.screens.chatkeep import ChatKeep
from tui_tuner.ui.screens.chatrows import ChatRows
from tui_tuner.ui.screens.chattalk import ChatTalk
from tui_tuner.ui.screens.chatwho import ChatWho
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.bar import Line
from tui_tuner.ui.widgets.chat_input import ChatInput
from tui_tuner.ui.widgets.chat_log import ChatLog
from tui_tuner.ui.widgets.chat_offers import ChatOffers
from tui_tuner.ui.widgets.config_subject import Subject
from tui_tuner.ui.widgets.data_pane import lines, wrap

_MORE = (
    "ctrl+o asks base and adapter at once, f2 any model or checkpoint, and f8 says which answer is better. A slash "
    "lists all there is to do; everything said here is kept."
)
_ANSWERED = frozenset({"again", "edit", "undo", "copy", "inside", "keep", "keep_probe", "behaviour", "clear"})
"""What there is to do only when something was said."""


class ChatScreen(ChatTalk, ChatWho, ChatRows, ChatKeep, ChatJudge):
    """The chat. The conversation lives as long as the app, whichever run is looked at."""

    MODE = "chat"
    EMPTY = (
        "There is no model to talk to yet.\n\nPress 0, then q: the quickstart trains one in two minutes.\n"
        "Or choose a preset on Home (0), or open a run (7)."
    )
    INTRO = (
        "Ask base and adapter, or any models and checkpoints, the same thing and see what training changed. A slash in "
        "the input lists commands; esc leaves the input, and then single letters are keys. With memory on, a voice is "
        "told its own part of the conversation. All that is said is kept as it happens: /open lists it."
    )
    CSS_PATH = "chat.tcss"
    AUTO_FOCUS = "ChatInput"
    BINDINGS = bindings("chat")

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="chat-empty", markup=False)
        yield Line(id="chat-head")
        yield ChatLog(id="chat-log")
        yield Static("", id="chat-said", markup=False)
        yield ChatOffers(self.words_after, id="chat-offers")
        yield ChatInput(id="chat-input")

    def on_mount(self) -> None:
        self.input.border_title = "You"
        self.input.offers = self.query_one(ChatOffers)
        self.query_one(ChatOffers).display = self.query_one("#chat-said").display = False

    # -- hooks --------------------------------------------------------------------------------------------------

    def on_run_changed(self, view: RunView | None) -> None:
        self._look()

    def on_experiment_changed(self) -> None:
        self._look()

    def on_engine_changed(self) -> None:
        self.poll()
        self.look_at_rows()
        self.look_inside()
        self.draw_who()

    def on_resize(self, event: events.Resize) -> None:
        self.draw_head()
        self._greet()

    # -- keys and commands ----------------------------------------------------------------------------------------

    def action_do(self, name: str) -> None:
        """Does what the command of this name does, as if it had been typed alone."""
        self.attempt(lambda: self.obey_name(name))

    def action_offer(self) -> None:
        """Puts the next probe prompt into the empty input."""
        self.set_focus(self.input)
        if not self.input.offering:
            self.say("The input is not empty; send or clear it first.", grave=True)
        elif not self.input.offer(1):
            self.say("The experiment has no probe prompts; set probes.prompts to have some here.", grave=True)

    def action_write(self, text: str = "") -> None:
        self.set_focus(self.input)  # at once: keys that came with this one are for the input
        if text and not self.input.text:
            self.input.put(text)

    def do_help(self, _rest: str) -> None:
        self.tuner.action_help()

    def help_groups(self) -> dict[str, list[tuple[str, str]]]:
        """The commands, for the help."""
        return {
            f"/ {heading}": [(command.usage, command.about) for command in commands]
            for heading, commands in groups().items()
        }

    def go_back(self) -> bool:
        """Escape leaves the input for the conversation, where letters are keys and the arrows scroll."""
        if self.letters_are_text:
            self.set_focus(self.log_widget)
            return True
        return super().go_back()

    @property
    def letters_are_text(self) -> bool:
        """Whether somebody is writing, so that keys of one letter do nothing; the key bar leaves them out.

        The bar asks while the screen is being built, too, when there is no input yet.
        """
        return isinstance(self.focused, ChatInput)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "offer":
            return bool(self.input.suggestions) if self.is_mounted else False
        if action == "write":
            return self.speakers.subject is not None and not self.letters_are_text
        if action == "do":
            return self._can(str(parameters[0])) if parameters else False
        return super().check_action(action, parameters)

    def _can(self, name: str) -> bool:
        """Whether a command does something here and now, as far as keys and palette are concerned."""
        if self.speakers.subject is None:
            return False
        session = self.session
        said = bool(session.exchanges)
        if name == "stop":
            return session.busy
        if name == "redo":
            return session.undone
        if name in ("vote", "diff", "blind"):
            return name != "vote" or (said and len(session.exchanges[-1].answers) > 1 and session.exchanges[-1].ended)
        if name == "branch":
            return len(session.conversation.exchanges) > len(session.exchanges)
        if name in _ANSWERED:
            return said and (name in ("clear", "copy") or not session.busy)
        return True

    # -- what is shown ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Takes up the run being looked at, or else the experiment."""
        state, speakers = self.tuner.state, self.speakers
        found = self.subjects.found(state)
        subject = self.subjects.of_chat(state) or self.subjects.of_run(state) or (found[0] if found else None)
        self.set_class(subject is None, "-empty")
        self.input.can_focus = subject is not None  # a hidden field must not take the keys
        if subject is None:
            speakers.subject = None
            text = self.subjects.problem or self.EMPTY
            self.query_one("#chat-empty", Static).update(Content(visible(text, lines=True)))
            self.set_focus(None)
            return
        first = speakers.subject is None
        if speakers.look(subject):
            self._take_up(subject)
        if first:
            self.input.focus()
        self.draw_head()

    def _take_up(self, subject: Subject) -> None:
        """Another experiment or run is talked to."""
        self.input.suggestions = list(subject.experiment.probes.prompts)
        self.input.placeholder = self._hint(subject)
        if not self.memory_chosen:
            # Rows of prompt and answer train single turns: more than one would be a new kind of input to the model.
            self.session.memory = not subject.experiment.data.completion
        if not self.system_chosen:
            self.session.system = self.speakers.system
        if self.tuner.state.chat is not None:
            self.session.plain = self.tuner.state.chat.plain
        self._greet()

    def _hint(self, subject: Subject) -> Content:
        probes = "   ↓ offers a probe prompt" if subject.experiment.probes.prompts else ""
        return Content.styled(
            f"Ask something.   enter sends   / lists commands{probes}   esc for keys", "$text-disabled"
        )

    def _greet(self) -> None:
        """What the log shows before anything was said: the probes, ready to be asked."""
        if self.speakers.subject is None:
            return
        width = max(self.size.width - 8, 20)
        out = [Content.styled("Nothing was said yet.", "$text-muted"), Content("")]
        if self.input.suggestions:
            offer = "Probe prompts, to see what training changes (↓ puts one into the input):"
            out.append(Content.styled(offer, "$text-muted"))
            for prompt in self.input.suggestions[:8]:
                out.append(Content.assemble(("• ", "$text-accent"), clip(prompt, width - 2)))
        more = self.speakers.no_adapter if self.speakers.adapter is None else _MORE
        out += [Content(""), *(Content.styled(each, "$text-muted") for each in wrap(more, width))]
        self.log_widget.hello(lines(out))
