"""The conversation on screen: a block per question, with its answers below one another or side by side.

It draws what a `ChatSession` holds and decides nothing. All text goes through `inert` or `visible`.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui_tuner.chat.conversation import Answer, AnswerState, Exchange
from tui_tuner.chat.reply import ChatReply
from tui_tuner.ui.format import count
from tui_tuner.ui.text import visible


def figures(reply: ChatReply) -> str:
    """A reply's numbers in one line."""
    parts = [
        f"{count(reply.tokens)} tokens at {reply.tokens_per_second:.1f}/s",
        f"first after {reply.time_to_first_token:.2f} s",
        f"prompt {count(reply.prompt_tokens)}",
    ]
    return " · ".join(parts)


def drawn(answer: Answer, waiting: str) -> Content:
    """An answer: who says it, what was said so far, and how it stands.

    Args:
        waiting: why it has not begun, as a sentence.
    """
    style = "$text-secondary" if answer.voice.adapter is None else "$text-accent"
    mark = "○" if answer.voice.adapter is None else "●"
    parts = [Content.styled(f"{mark} {visible(answer.voice.label)}", f"bold {style}")]
    said = Content(visible(answer.text, lines=True))
    if answer.state is AnswerState.RUNNING and answer.text:
        said = said + Content.styled("▍", style)
    if answer.text:
        parts.append(said)
    elif answer.state is AnswerState.DONE:
        parts.append(Content.styled("(an empty answer)", "italic $text-muted"))
    parts.append(_foot(answer, waiting))
    return Content("\n").join([part for part in parts if part])


def _foot(answer: Answer, waiting: str) -> Content:
    if answer.state is AnswerState.WAITING:
        return Content.styled(f"◌ {visible(waiting)}", "$text-warning")
    if answer.state is AnswerState.RUNNING:
        return Content("") if answer.text else Content.styled("◌ reading the prompt …", "$text-muted")
    if answer.state is AnswerState.FAILED:
        return Content.styled(f"✗ {visible(answer.problem)}", "bold $text-error")
    parts: list[tuple[str, str] | Content] = []
    if answer.state is AnswerState.STOPPED:
        parts.append(("■ stopped  ", "bold $text-warning"))
    elif answer.reply is not None and answer.reply.finish == "length":
        parts.append(("▲ cut off at the token limit  ", "bold $text-warning"))
    if answer.reply is not None:
        parts.append((figures(answer.reply), "$text-muted"))
    return Content.assemble(*parts)


class AnswerView(Static):
    """One answer."""

    def __init__(self, answer: Answer, waiting: str) -> None:
        super().__init__(drawn(answer, waiting), markup=False, classes=f"answer -{answer.voice.name}")
        self.answer = answer

    def draw(self, waiting: str) -> None:
        self.update(drawn(self.answer, waiting))


class ExchangeView(Vertical):
    """A question and its answers."""

    def __init__(self, exchange: Exchange, waiting: str) -> None:
        super().__init__(classes="exchange")
        self._exchange = exchange
        self._waiting = waiting

    def compose(self) -> ComposeResult:
        asked = visible(self._exchange.question, lines=True)
        yield Static(Content.assemble(("❯ ", "bold $text-primary"), (asked, "bold")), markup=False, classes="question")
        with Horizontal(classes="answers"):
            for answer in self._exchange.answers:
                yield AnswerView(answer, self._waiting)


class ChatLog(VerticalScroll, can_focus=True):
    """All exchanges; it stays at the end while an answer is written, unless somebody scrolled away."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")

    def compose(self) -> ComposeResult:
        yield Static("", id="chat-hello", markup=False)

    def hello(self, content: Content) -> None:
        """What stands there while nothing was said."""
        self.query_one("#chat-hello", Static).update(content)

    def add(self, exchange: Exchange, waiting: str) -> None:
        """Shows a new exchange and goes to its end."""
        self.query_one("#chat-hello").display = False
        self.mount(ExchangeView(exchange, waiting))
        self._go_to_end()

    def draw(self, answers: Sequence[Answer], waiting: str) -> None:
        """Redraws these answers."""
        at_end = self.is_vertical_scroll_end
        changed = {id(answer) for answer in answers}
        for view in self.query(AnswerView):
            if id(view.answer) in changed:
                view.draw(waiting)
        if changed and at_end:
            self._go_to_end()

    def _go_to_end(self) -> None:
        before = self.scroll_y

        def go() -> None:
            if self.scroll_y >= before:  # else somebody has scrolled up in the meantime, to read there
                self.scroll_end(animate=False, immediate=True)

        # Not by `anchor`: it scrolls a log that is not full yet to below its end.
        self.call_after_refresh(go)

    def clear(self) -> None:
        """Back to the beginning."""
        self.query(ExchangeView).remove()
        self.query_one("#chat-hello").display = True
