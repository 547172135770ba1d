"""How much of the model's context what is being typed would take: counted by the engine while one types.

Nothing is asked before the first answer unless the text is long, because reading a tokenizer holds the interpreter for
two seconds the first time. It only counts; what follows from a figure is the screen's to say.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from tui_tuner.chat.voices import Voice
from tui_tuner.engine.protocol import Engine
from tui_tuner.engine.requests import CountTokens
from tui_tuner.engine.results import ContextUse
from tui_tuner.ui.widgets.chat_session import ChatSession
from tui_tuner.ui.widgets.data_lookup import Lookup

LONG = 2_000
"""Characters from which on a text is counted before the first answer."""


@dataclass(frozen=True)
class Use:
    """What a question would take.

    Attributes:
        tokens, context: as in `ContextUse`; `context` is 0 where it is not known.
        exact: whether this very text was counted.
        plain: whether it was counted without a chat template.
    """

    tokens: int = 0
    context: int = 0
    exact: bool = False
    plain: bool = False


class Counter:
    """Counts what is typed, one question at a time."""

    def __init__(self) -> None:
        self._lookup = Lookup()
        self._asked: Hashable = None

    def ask(self, engine: Engine, session: ChatSession, voice: Voice, typed: str, after: int | None) -> None:
        """Has a text counted as the next question, if that is due."""
        answered = any(answer.reply is not None for exchange in session.exchanges for answer in exchange.answers)
        if not typed or session.busy or not (answered or len(typed) >= LONG):
            return
        key = self._key(session, voice, typed, after)
        if not self._lookup.asked(key):
            messages = session.conversation.messages(
                voice, typed, system=session.system, memory=session.memory, after=after
            )
            self._lookup.ask(engine, key, CountTokens(voice, messages, session.plain))

    def use(self, session: ChatSession, voice: Voice | None, typed: str, after: int | None) -> Use:
        """What is known of a text: the count where there is one, else what the conversation took when last answered."""
        found = self._lookup.result
        if voice is not None and isinstance(found, ContextUse) and self._lookup.asked(
            self._key(session, voice, typed, after)
        ):  # fmt: skip
            return Use(found.tokens, found.context, True, found.plain)
        last, context = 0, 0
        for exchange in session.conversation.path(after):
            replies = [answer.reply for answer in exchange.answers if answer.reply is not None]
            if replies:
                last = max(reply.prompt_tokens + reply.tokens for reply in replies)
                context = min((reply.context for reply in replies if reply.context), default=context)
        return Use(last if session.memory else 0, context, not typed and session.memory)

    @staticmethod
    def _key(session: ChatSession, voice: Voice, typed: str, after: int | None) -> Hashable:
        place = session.conversation.at if after is None else after
        return voice, typed, place, len(session.exchanges), session.memory, session.system, session.plain
