"""How a conversation is looked at: what the log shows beside the words, as plain values.

What the log (`chat_log.ChatLog`) offers whoever owns it:

    log.hello(content)               what stands there while nothing was said
    log.show(conversation, view)     the present branch, all of it; cheap to call again: what did not change is kept
    log.add(exchange, waiting)       one more at the end, and goes there
    log.draw(answers, waiting)       these have grown, ended or failed; never more than twenty times a second
    log.clear()                      back to the greeting
    log.find(number)                 goes to the exchange of this number
    log.step(by), log.leave()        the cursor over the tokens of an answer one looks inside; left and right do it, too
    log.looked                       the answer and the token under the cursor, or None

The conversation decides what is true; the log never changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tui_tuner.chat.conversation import Answer


@dataclass(frozen=True, eq=False)
class LogView:
    """How the log shows what it is given.

    Attributes:
        wide: answers stand side by side where there is room; else they always stand below one another.
        blind: answers are headed A, B, … in the order of `Exchange.answers`, without figures or colours, until the
            exchange has a vote. Whoever asks blindly shuffles the voices before asking.
        diff: words that another column has not are marked, against the exchange's first answer.
        unfold: reasoning is shown in full, else its first line and how long it is.
        raw: no Markdown, the letters as they came.
        inside: answers whose tokens are coloured by how probable they were (`Inside` of the engine).
        references: for an answer, the same for the exchange's reference as the answer's voice sees it.
    """

    wide: bool = True
    blind: bool = False
    diff: bool = False
    unfold: bool = False
    raw: bool = False
    inside: Mapping[Answer, Any] = field(default_factory=dict)
    references: Mapping[Answer, Any] = field(default_factory=dict)
