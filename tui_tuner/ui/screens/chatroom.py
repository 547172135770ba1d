"""What the rooms of the chat screen have in common: how the conversation is drawn, and that what comes is looked at.

A room is a part of the screen's work; each says what it does. None of them may lose what was said.
"""

from __future__ import annotations

from textual.content import Content
from textual.timer import Timer

from tui_tuner.engine.requests import RunExperiment
from tui_tuner.ui.chatcontext import Use
from tui_tuner.ui.chathead import head, limits, manner
from tui_tuner.ui.format import count
from tui_tuner.ui.pace import Pace
from tui_tuner.ui.screens.chatstate import LETTERS, ChatState
from tui_tuner.ui.text import clip_middle
from tui_tuner.ui.widgets.bar import Line

__all__ = ["LETTERS", "ChatRoom"]

QUICKEST = 0.1
"""Seconds from one drawing of an answer on its way to the next, where drawing costs little."""
_SLOWEST = 0.35
"""Seconds from one drawing to the next where it costs much."""
_SHARE = 0.01
"""The share of one core that drawing an answer may take: a drawing takes as long as some tokens of a small model."""
_LOOK = 1.0
"""Seconds between looks at whether the transcript is being written."""


class ChatRoom(ChatState):
    """The common part of the chat screen."""

    def __init__(self) -> None:
        super().__init__()
        self._next: Timer | None = None  # look at what is on its way
        self.pace = Pace(quick=QUICKEST, slow=_SLOWEST, share=_SHARE, attention=0)
        self._trouble = ""  # with the transcript, as it was told last
        self._limits = ("", False)
        self._blinks = True  # the cursor of the input, while nothing is on its way

    def on_mount(self) -> None:
        self.set_interval(_LOOK, self._look_at_transcript)

    # -- drawing --------------------------------------------------------------------------------------------------

    def redraw(self) -> None:
        """Draws the whole branch: it is another one, or is looked at in another way."""
        self.log_widget.show(self.session.conversation, self.view_of_log)
        self.draw_head()

    def draw_head(self) -> None:
        """Who answers, and in which manner; below the input, how full the context is; and which keys there are now."""
        self.draw_who()
        if self.speakers.subject is not None:
            self.refresh_bars()

    def draw_who(self) -> None:
        """As `draw_head`, where bars are seen to already."""
        if self.speakers.subject is None:
            return
        width = max(self.size.width - 4, 20)
        how = manner(self.sampling, self.session, width)
        self.query_one("#chat-head", Line).tell(head(self.speakers, how, width))
        self.draw_limits()

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
        if (line, grave) != self._limits:  # setting it draws the input anew, whatever it was before
            self._limits = line, grave
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

    def _look_again(self) -> None:
        self.pace.drawn()
        self.poll()
        if self._next is not None:
            self._look_later()

    def _look_later(self) -> None:
        # One timer at a time, and none more often than there is to draw: each wakes the thread that draws, and the
        # model has to let go of the interpreter for it.
        self._next = self.set_timer(self.pace.interval, self._look_again)

    def poll(self) -> None:
        """Draws what has come; rests when nothing is on its way."""
        session = self.session
        was_busy = session.busy
        changed = session.poll()
        waiting = [answer for exchange in session.exchanges[-1:] for answer in exchange.answers if not answer.ended]
        self.log_widget.draw([*changed, *waiting], self.waiting)
        if not session.busy and self._next is not None:
            self._next.stop()
            self._next = None
            self.input.cursor_blink = self._blinks
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
        if self._next is None:
            self._blinks = self.input.cursor_blink
            # A blink far from where text grows has all that lies between drawn again.
            self.input.cursor_blink = False
        else:
            self._next.stop()
        self.pace.hurry()
        self._look_later()
        self.poll()
        self.draw_head()
