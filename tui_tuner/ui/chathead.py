"""The lines around a conversation: who answers and in which manner, and how much of the model's context is used.

Pure: state in, content out. What was not counted yet is not put into a figure.
"""

from __future__ import annotations

from dataclasses import replace

from textual.content import Content

from tui_tuner.chat.sampling import GREEDY, MAX_TOKENS, Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.ui.chatcontext import Use
from tui_tuner.ui.chatvoices import Speakers
from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, clip_middle, visible
from tui_tuner.ui.widgets.chat_session import ChatSession


def head(speakers: Speakers, manner: str, width: int) -> Content:
    """Who answers, at the left; the manner, at the right."""
    left = _columns(speakers, width) if speakers.chosen else _switch(speakers)
    right = Content.styled(manner, "$text-muted")
    if left.cell_length + right.cell_length + 2 > width:
        left = left.truncate(max(width - right.cell_length - 2, 10), ellipsis=True)
    return left + Content(" " * max(2, width - left.cell_length - right.cell_length)) + right


def _columns(speakers: Speakers, width: int) -> Content:
    room = max(width * 2 // 3 // len(speakers.chosen) - 6, 8)
    parts = [
        Content.assemble((f" {letter} ", "bold reverse $text-primary"), f" {short(voice, room)}  ")
        for letter, voice in zip("ABCD", speakers.chosen, strict=False)
    ]
    return Content("").join(parts)


def short(voice: Voice, room: int) -> str:
    """A voice's name in so many cells: of a long one, the checkpoint's or the kind."""
    name = visible(voice.label or voice.name)
    if Content(name).cell_length > room:
        name = name.rpartition(":")[2] if ":" in name else name.partition(" · ")[0]
    return clip_middle(name, room)


def _switch(speakers: Speakers) -> Content:
    parts: list[tuple[str, str] | str | Content] = []
    speaking, adapter = speakers.speaking, speakers.adapter
    for name, mark in (("base", "○"), ("adapter", "●"), ("both", "◐")):
        off = "$text-disabled" if adapter is None and name != "base" else "$text-muted"
        parts += [(f" {mark} {name} ", "bold reverse $text-primary" if name == speaking else off), " "]
    subject = speakers.subject
    if subject is None:
        return Content.assemble(*parts)
    who = f" {clip_middle(subject.experiment.model.path, 30)}"
    if adapter is not None and speaking != "base":
        who += f" + {clip_middle(subject.title, 34)}"
    return Content.assemble(*parts, (visible(who), "$foreground"))


def manner(sampling: Sampling, session: ChatSession, width: int) -> str:
    """How answers are asked for, as far as somebody wanted it otherwise than usual, and the memory."""
    usual = replace(GREEDY, max_tokens=sampling.max_tokens, seed=sampling.seed)
    out = ["system message"] if session.system else []
    out += replace(sampling, max_tokens=GREEDY.max_tokens, seed=0 if sampling.greedy else sampling.seed).told()
    if sampling == usual and width > 140:
        out.append("greedy")
    if sampling.max_tokens != MAX_TOKENS:
        out.append(f"at most {count(sampling.max_tokens)} tokens")
    replies = [answer.reply for exchange in session.exchanges[-1:] for answer in exchange.answers]
    if session.plain or any(reply is not None and reply.plain for reply in replies):
        out.append("plain completion, no chat template")
    if session.together:
        out.append("together")
    memory = "on" if session.memory else "off"
    if width > 100:
        memory += ", it remembers the conversation" if session.memory else ", each question stands alone"
    return " · ".join([*out, f"memory: {memory}"])


def limits(use: Use, typed: bool, sampling: Sampling, width: int) -> tuple[str, bool]:
    """How full the context is with what is typed, and what happens at its end.

    Returns:
        The sentence, clipped to `width` cells, and whether it is a warning. Empty while nothing is known.
    """
    if not use.tokens:
        return "", False
    if not use.context:
        return clip(f"{count(use.tokens)} tokens{'' if use.exact else ' so far'}", width), False
    share = f"{count(use.tokens)}{'' if use.exact or not typed else ' + this'} of {count(use.context)} tokens"
    room = use.context - use.tokens
    if room <= 0:
        return clip(f"▲ {share}: it would be refused; /undo, /clear or /memory makes room", width), True
    if room < sampling.max_tokens:
        return clip(f"▲ {share}: the answer would be cut after {count(room)}", width), True
    return clip(share, width), False
