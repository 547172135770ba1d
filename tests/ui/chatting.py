"""What the tests of the chat's log share: a conversation to look at, and the screen with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from tests.ui.looking import until
from tests.ui.workshop import experiment, open_mode
from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.voices import Voice
from tui_tuner.ui.widgets.chat_input import ChatInput
from tui_tuner.ui.widgets.chat_log import ChatLog
from tui_tuner.ui.widgets.chat_view import LogView

BASE = Voice("m", None, "base")
TUNED = Voice("m", Path("a"), "players-20260101-1200")
STEP = Voice("m", Path("b"), "players:step 120")
OTHER = Voice("m", Path("c"), "longer-answers:best")

REPORT = """# Report
The Herons won **4 to 2**, and *Nora Winslow* had `three` goals; see [the report](https://example.org/x).

- a first item that is rather long, so that it has to be folded somewhere in the middle of it, and goes on below
  1. nested one
- [x] done

| Team | Goals | Note |
|------|:-----:|------|
| Herons | 4 | *home* |
| Wolves | 2 | away, and with a long remark about the weather that day |

> what somebody said

```python
def goals(team):
    return 4  # not more
```
The end."""
THOUGHT = "<think>The user asks who played.\nI need to recall.</think>\n\nNora Winslow played."
CALL = 'Let me look.\n<tool_call>{"name": "search", "arguments": {"team": "Herons"}}</tool_call>'


def said(
    voice: Voice, text: str, state: AnswerState = AnswerState.DONE, *, finish: str = "stop", **more: Any
) -> Answer:
    """An answer as it stands when it is in this state."""
    answered = state in (AnswerState.DONE, AnswerState.STOPPED)
    reply = ChatReply(text, 25, 12, 84.31, finish, 0.12) if answered else None
    return Answer(voice, text, state, reply, **more)


def asked(talk: Conversation, question: str, *answers: Answer, **more: Any) -> Exchange:
    """The next exchange of a conversation."""
    return talk.add(Exchange(talk.next_number, talk.at, question, list(answers), **more))


async def log_with(pilot: Pilot[Any], talk: Conversation, view: LogView | None = None) -> ChatLog:
    """The chat's screen with this conversation in its log."""
    await open_mode(pilot, "chat", made=experiment())
    log = pilot.app.screen.query_one(ChatLog)
    await until(pilot, lambda: log.size.width > 0)
    pilot.app.screen.query_one(ChatInput).cursor_blink = False
    log.show(talk, view)
    await pilot.pause()
    return log
