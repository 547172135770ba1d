"""What the rooms of the chat screen share: the conversation, who answers, in which manner, and how it is drawn.

A room is a part of the screen's work; each says what it does. None of them may lose what was said, and what a person is
to know they say in one sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from tui_tuner.chat.conversation import Answer, Exchange
from tui_tuner.chat.sampling import Sampling
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.errors import TunerError
from tui_tuner.paths import chats_dir
from tui_tuner.ui.chatcontext import Counter, Use
from tui_tuner.ui.chathead import head, limits, manner
from tui_tuner.ui.chatvoices import Speakers
from tui_tuner.ui.format import count
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import clip_middle, inert
from tui_tuner.ui.widgets.chat_input import ChatInput
from tui_tuner.ui.widgets.chat_log import ChatLog
from tui_tuner.ui.widgets.chat_session import ChatSession
from tui_tuner.ui.widgets.chat_view import LogView
from tui_tuner.ui.widgets.config_subject import Subjects

RATE = 15.0
"""Looks into the sink per second while an answer is on its way."""
_LOOK = 1.0
"""Seconds between looks at whether the transcript is being written."""
LETTERS = "ABCD"


Answered = TypeVar("Answered")


class ChatRoom(WorkbenchScreen):
    """The common part of the chat screen."""

    def __init__(self) -> None:
        super().__init__()
        self.subjects = Subjects()
        self._session: ChatSession | None = None
        self._speakers: Speakers | None = None
        self._sampling: Sampling | None = None  # None follows the subject
        self.memory_chosen = self.system_chosen = False  # what a person has set does not follow the subject
        self._timer: Timer | None = None
        self._trouble = ""  # with the transcript, as it was told last
        self.view_of_log = LogView()
        self.counter = Counter()
        self.after: int | None = None
        """The exchange that an edited question follows; None for the last one."""
        self.row_asked: tuple[str, str, str] | None = None
        """The question of a row that was put into the input, its reference, and where it is."""

    def on_mount(self) -> None:
        self._timer = self.set_interval(1 / RATE, self.poll, pause=True)
        self.set_interval(_LOOK, self._look_at_transcript)

    @property
    def session(self) -> ChatSession:
        """The conversation; it lives as long as the app."""
        if self._session is None:
            self._session = ChatSession(self.tuner.engine, self.chats)
        return self._session

    def chats(self) -> Path:
        """Where the transcript of a conversation that begins now is kept: in the run, where one is talked to."""
        run, subject = self.tuner.state.run, self.speakers.subject
        of_run = run is not None and subject is not None and subject.is_run and self.tuner.state.chat is None
        return run.chats if of_run and run is not None else chats_dir(self.tuner.runs_dir)

    @property
    def speakers(self) -> Speakers:
        """Who answers."""
        if self._speakers is None:
            self._speakers = Speakers(self.tuner.state)
        return self._speakers

    @property
    def sampling(self) -> Sampling:
        """How the next answer is drawn."""
        return self._sampling or self.speakers.sampling

    @sampling.setter
    def sampling(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self.draw_head()

    @property
    def input(self) -> ChatInput:
        return self.query_one(ChatInput)

    @property
    def log_widget(self) -> ChatLog:
        return self.query_one(ChatLog)

    def say(self, text: str, grave: bool = False) -> None:
        """Says a sentence over the input, until the next is sent; the text is inert."""
        said = self.query_one("#chat-said", Static)
        said.display = bool(text)
        sign = ("▲ ", "bold $text-warning") if grave else ("", "")
        said.update(Content.assemble(sign, inert(text, "$text-warning" if grave else "$text-muted")))

    def attempt(self, act: Callable[[], None]) -> None:
        """Does something that may say why it cannot be done; what was said before goes."""
        self.say("")
        try:
            act()
        except TunerError as error:
            sentence = error.sentence()
            self.say(f"{sentence[:1].upper()}{sentence[1:]}", grave=True)

    def ask_in(self, dialog: ModalScreen[Answered], taken: Callable[[Answered | None], None]) -> None:
        """Asks in a dialog; what is done with the answer may say why it cannot be done."""

        def answered(answer: Answered | None) -> None:
            self.attempt(lambda: taken(answer))

        self.app.push_screen(dialog, answered)

    def obey_name(self, name: str, rest: str = "") -> None:
        """Does what a command says; the method for it may be in another room."""
        getattr(self, f"do_{name}")(rest)

    # -- which exchange and answer is meant -----------------------------------------------------------------------

    def answer_of(self, exchange: Exchange, letter: str) -> Answer:
        """The answer that a letter names; without one the only one, or the one that was voted for.

        Raises:
            TunerError: it has to be said which.
        """
        letters = LETTERS[: len(exchange.answers)]
        if letter:
            at = letters.find(letter.upper()) if len(letter) == 1 else -1
            if at < 0:
                raise TunerError(
                    f"there is no answer {letter}", code="no-such-turn", fix=f"the answers are {', '.join(letters)}"
                )
            return exchange.answers[at]
        if len(exchange.answers) > 1 and (exchange.vote is None or exchange.vote < 0):
            raise TunerError(
                f"there are {len(exchange.answers)} answers",
                code="no-such-turn",
                fix=f"say which: {' or '.join(letters)}, or vote first",
            )
        return exchange.answers[exchange.vote or 0]

    # -- drawing --------------------------------------------------------------------------------------------------

    def redraw(self) -> None:
        """Draws the whole branch: it is another one, or is looked at in another way."""
        self.log_widget.show(self.session.conversation, self.view_of_log)
        self.draw_head()

    def draw_head(self) -> None:
        """Who answers, and in which manner; below the input, how full the context is."""
        if self.speakers.subject is None:
            return
        width = max(self.size.width - 4, 20)
        how = manner(self.sampling, self.session, width)
        self.query_one("#chat-head", Static).update(head(self.speakers, how, width))
        self.draw_limits()
        self.refresh_bars()

    def use(self) -> Use:
        """What the text in the input would take of the context, as far as it is known."""
        voices = self.speakers.voices
        return self.counter.use(self.session, voices[0] if voices else None, self.question_typed, self.after)

    @property
    def question_typed(self) -> str:
        """What is in the input, if it is a question."""
        text = self.input.full
        return "" if text.startswith("/") and not text.startswith("//") else text.strip()

    def draw_limits(self) -> None:
        """How much of the context is used, and what will happen at its end."""
        line, grave = limits(self.use(), bool(self.question_typed), self.sampling, max(self.size.width - 10, 20))
        self.input.border_subtitle = Content.styled(line, "bold $text-warning" if grave else "$text-muted")

    def count(self) -> None:
        """Has the engine count what is typed."""
        voices = self.speakers.voices
        if voices:
            self.counter.ask(self.tuner.engine, self.session, voices[0], self.question_typed, self.after)

    @property
    def waiting(self) -> str:
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

    def poll(self) -> None:
        """Draws what has come; rests when nothing is on its way."""
        session = self.session
        was_busy = session.busy
        changed = session.poll()
        waiting = [answer for exchange in session.exchanges[-1:] for answer in exchange.answers if not answer.ended]
        self.log_widget.draw([*changed, *waiting], self.waiting)
        if not session.busy and self._timer is not None:
            self._timer.pause()
        if was_busy and not session.busy:
            self.draw_head()

    def _look_at_transcript(self) -> None:
        """Says it for as long as the transcript cannot be written, unless something else is being said."""
        problem = self.session.problem
        said = self.query_one("#chat-said")
        if problem and not said.display:
            self.say(problem, grave=True)
        elif self._trouble and not problem and said.display:
            self.say("")
        self._trouble = problem

    def watch_answers(self) -> None:
        """Something was asked: look for what comes."""
        if self._timer is not None:
            self._timer.resume()
        self.poll()
        self.draw_head()
