"""A conversation as Markdown, to read elsewhere or to hand on.

What was asked and answered stands in fenced blocks, longer than any fence inside, letter for letter but for characters
that act on a terminal or reorder others, which are shown as signs. Names and titles are escaped. Nothing of it may act
where it is shown: no HTML, no links, no headings of a model's making.
"""

from __future__ import annotations

import re
from datetime import datetime

from tui_tuner.chat.conversation import Answer, AnswerState, Exchange
from tui_tuner.chat.transcript import Kept

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~>&<-])")
_BLIND = "the names were hidden"


def as_markdown(kept: Kept, *, title: str = "", branches: bool = True) -> str:
    """A transcript as a document.

    Args:
        title: its heading, where it has no title of its own.
        branches: whether what is not on the present branch follows at the end.
    """
    talk = kept.conversation
    path = talk.path()
    on_path = {exchange.number for exchange in path}
    parts = [f"# {_line(kept.title or title or 'Conversation')}", ""]
    facts = [_moment(kept.created)] if kept.created else []
    facts += [_line(kept.model)] if kept.model else []
    parts += [" · ".join(facts), ""] if facts else []
    system = ""
    for exchange in path:
        parts += _exchange(exchange, system, follows=False)
        system = exchange.system
    others = [exchange for exchange in talk.exchanges.values() if exchange.number not in on_path]
    if others and branches:
        parts += ["# Other branches", ""]
        for exchange in others:
            before = talk.exchanges[exchange.parent].system if exchange.parent else ""
            parts += _exchange(exchange, before, follows=True)
    return "\n".join(parts).rstrip() + "\n"


def _exchange(exchange: Exchange, system: str, *, follows: bool) -> list[str]:
    after = f" (after {exchange.parent or 'the beginning'})" if follows else ""
    parts = [f"## {exchange.number}{after}", ""]
    if exchange.system != system:
        parts += ["**System**", "", *_block(exchange.system or "(none)")]
    told = [f"from {_line(exchange.source)}"] if exchange.source else []
    told += [] if exchange.memory else ["without what came before"]
    told += ["without a chat template"] if exchange.plain else []
    told += [_line(setting) for setting in exchange.sampling.told()]
    parts += [_head("Question", told), "", *_block(exchange.question)]
    if exchange.reference:
        parts += ["**Reference**", "", *_block(exchange.reference)]
    for column, answer in enumerate(exchange.answers):
        parts += [_head(_line(answer.voice.label or answer.voice.name), _figures(answer)), ""]
        parts += _block(answer.text) if answer.text or not answer.problem else []
        parts += [f"It failed: {_line(answer.problem)}", ""] if answer.problem else []
        if exchange.vote == column and len(exchange.answers) > 1:
            parts += [f"✓ found better{f' ({_BLIND})' if exchange.blind else ''}", ""]
    if exchange.vote == -1:
        parts += [f"None was found better{f' ({_BLIND})' if exchange.blind else ''}.", ""]
    return parts


def _head(name: str, told: list[str]) -> str:
    return f"**{name}**" + (f" · {' · '.join(told)}" if told else "")


def _figures(answer: Answer) -> list[str]:
    told = []
    if answer.reply is not None:
        told.append(f"{answer.reply.tokens:,} {'token' if answer.reply.tokens == 1 else 'tokens'}")
        if answer.reply.tokens_per_second:
            told.append(f"{answer.reply.tokens_per_second:,.1f} a second")
        if answer.reply.finish == "length":
            told.append("cut at the cap on tokens")
    return [*told, *(["stopped"] if answer.state is AnswerState.STOPPED else [])]


def _block(text: str) -> list[str]:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [f"{fence}text", _inert(text), fence, ""]


def _line(text: str) -> str:
    """Text inside a line: nothing in it is markup."""
    return _MARKUP.sub(r"\\\1", _inert(" ".join(text.split()))).replace("\\<", "&lt;").replace("\\&", "&amp;")


def _inert(text: str) -> str:
    return _ACTING.sub(_sign, text.replace("\r\n", "\n"))


def _sign(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else f"‹{code:04x}›"


def _moment(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):
        return "at an unknown time"
