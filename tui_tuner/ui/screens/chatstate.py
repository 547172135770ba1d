"""What the chat screen knows: the conversation, who answers, in which manner; and how it says a thing, and asks one.

It draws nothing but the sentence over the input. What a person is to know is one sentence, and the conversation stays.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_tuner.chat.conversation import Answer, Exchange
from tui_tuner.chat.sampling import Sampling
from tui_tuner.errors import TunerError
from tui_tuner.paths import chats_dir
from tui_tuner.ui.chatcontext import Counter
from tui_tuner.ui.chatvoices import Speakers
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.shell import capital
from tui_tuner.ui.text import inert
from tui_tuner.ui.widgets.chat_input import ChatInput
from tui_tuner.ui.widgets.chat_log import ChatLog
from tui_tuner.ui.widgets.chat_session import ChatSession
from tui_tuner.ui.widgets.chat_view import LogView
from tui_tuner.ui.widgets.config_subject import Subjects

LETTERS = "ABCD"


Answered = TypeVar("Answered")


class ChatState(WorkbenchScreen):
    """What the chat screen knows, says and asks."""

    def __init__(self) -> None:
        super().__init__()
        self.subjects = Subjects()
        self._session: ChatSession | None = None
        self._speakers: Speakers | None = None
        self._sampling: Sampling | None = None  # None follows the subject
        self.memory_chosen = self.system_chosen = False  # what a person has set does not follow the subject
        self.view_of_log = LogView()
        self.counter = Counter()
        self.after: int | None = None
        """The exchange that an edited question follows; None for the last one."""
        self.row_asked: tuple[str, str, str] | None = None
        """The question of a row that was put into the input, its reference, and where it is."""

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
        if not text and not said.display:
            return
        said.display = bool(text)
        sign = ("▲ ", "bold $text-warning") if grave else ("", "")
        said.update(Content.assemble(sign, inert(text, "$text-warning" if grave else "$text-muted")))

    def attempt(self, act: Callable[[], None]) -> None:
        """Does something that may say why it cannot be done; what was said before goes."""
        self.say("")
        try:
            act()
        except TunerError as error:
            self.say(capital(error.sentence()), grave=True)

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

    def draw_head(self) -> None:
        """Draws who answers, and in which manner."""
        raise NotImplementedError
