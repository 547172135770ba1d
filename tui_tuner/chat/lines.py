"""What a transcript's lines say, both ways: exchanges as fields, and fields that may hold anything as exchanges.

An adapter that lies below the folder of the transcript's folder (the run, or the folder of runs) is written relative to
it, so that a run that is moved keeps its voices. Reading refuses what does not fit (`ValueError`, `TypeError`,
`KeyError` or `TunerError`), and must never take a value of another kind for what it is not.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from tui_tuner.chat.conversation import Answer, AnswerState, Exchange
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.sampling import GREEDY, Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.errors import TunerError

VERSION = 1
"""Of the format; fields and types are added to it without a new one."""
_USUAL = {name: value for name, value in GREEDY.as_json().items() if name != "stop"}
_ENDS = (AnswerState.DONE, AnswerState.STOPPED, AnswerState.FAILED)


def voice_fields(voice: Voice, home: Path) -> dict[str, Any]:
    """A voice as a line has it.

    Args:
        home: what a relative adapter is relative to, absolute.
    """
    adapter: str | None = None
    if voice.adapter is not None:
        inside = voice.adapter.is_relative_to(home)
        adapter = str(voice.adapter.relative_to(home) if inside else voice.adapter)
    return {"model": voice.model, "adapter": adapter, "label": voice.label, "template": voice.template}


def voice_of_fields(found: Any, home: Path) -> Voice:
    """The voice that a line tells of."""
    adapter = found["adapter"]
    if adapter is not None and not _text(adapter):
        raise ValueError("an adapter without a name")
    place = None if adapter is None else home / adapter
    return Voice(_text(found["model"]), place, _text(found.get("label", "")), _text(found.get("template", "auto")))


def asked_fields(exchange: Exchange, home: Path) -> dict[str, Any]:
    """What is written when a question is asked."""
    return {
        "exchange": exchange.number,
        "parent": exchange.parent,
        "question": exchange.question,
        "voices": [voice_fields(answer.voice, home) for answer in exchange.answers],
        "system": exchange.system,
        "sampling": exchange.sampling.as_json(),
        "memory": exchange.memory,
        "plain": exchange.plain,
        "reference": exchange.reference,
        "source": exchange.source,
    }


def exchange_of_fields(line: dict[str, Any], home: Path) -> Exchange:
    """The exchange that such a line begins; its answers wait."""
    voices = line["voices"]
    if not isinstance(voices, list) or not voices:
        raise ValueError("a question to nobody")
    return Exchange(
        number=_whole(line["exchange"], 1),
        parent=_whole(line["parent"], 0),
        question=_text(line["question"]),
        answers=[Answer(voice_of_fields(voice, home)) for voice in voices],
        system=_text(line.get("system", "")),
        sampling=_sampling(line.get("sampling", {})),
        memory=_switch(line.get("memory", True)),
        plain=_switch(line.get("plain", False)),
        reference=_text(line.get("reference", "")),
        source=_text(line.get("source", "")),
        asked=_moment(line["t"]),
    )


def ended_fields(exchange: Exchange, column: int, *, replace: bool) -> dict[str, Any]:
    """What is written when an answer has ended.

    Args:
        replace: its text is not what was written of it so far, and stands in the line as a whole.
    """
    answer = exchange.answers[column]
    found: dict[str, Any] = {"exchange": exchange.number, "answer": column, "state": answer.state.value}
    if answer.problem:
        found["problem"] = answer.problem
    if replace:
        found["text"] = answer.text
    if answer.reply is not None:
        reply = answer.reply.as_json()
        del reply["text"]
        found |= {"reply": reply, "token_ids": list(answer.reply.token_ids)}
    return found


def end_answer(answer: Answer, line: dict[str, Any]) -> None:
    """Takes in what such a line says."""
    state = AnswerState(_text(line["state"]))
    if state not in _ENDS:
        raise ValueError("an end that is none")
    text = _text(line["text"]) if "text" in line else answer.text
    reply = _reply(line["reply"], text, line.get("token_ids", [])) if "reply" in line else None
    problem = _text(line.get("problem", ""))
    answer.text, answer.state, answer.reply, answer.problem = text, state, reply, problem


def vote_of(line: dict[str, Any], exchange: Exchange) -> tuple[int | None, bool]:
    """The column that was voted for, -1 for neither, None for a vote taken back; and whether it was blind."""
    vote = line["vote"]
    if vote is not None and _whole(vote, -1) >= len(exchange.answers):
        raise ValueError("a vote for a column that is not there")
    return vote, _switch(line.get("blind", False))


def number_in(line: dict[str, Any], key: str) -> int:
    """A number of an exchange or an answer."""
    return _whole(line[key], 0)


def text_in(line: dict[str, Any], key: str) -> str:
    """A text."""
    return _text(line[key])


def _reply(found: Any, text: str, token_ids: Any) -> ChatReply:
    if not isinstance(found, dict):
        raise TypeError("a reply is an object")
    if not isinstance(token_ids, list):
        raise TypeError("tokens are a list")
    return ChatReply(
        text=text,
        prompt_tokens=_whole(found.get("prompt_tokens", 0), 0),
        tokens=_whole(found.get("tokens", 0), 0),
        tokens_per_second=_number(found.get("tokens_per_second")),
        finish=_text(found.get("finish", "")),
        time_to_first_token=_number(found.get("time_to_first_token")),
        reused=_whole(found.get("reused", 0), 0),
        context=_whole(found.get("context", 0), 0),
        memory=_whole(found.get("memory", 0), 0),
        token_ids=[_whole(token, 0) for token in token_ids],
        plain=_switch(found.get("plain", False)),
    )


def _sampling(found: Any) -> Sampling:
    """The settings; one that is out of its bounds is left at its default."""
    if not isinstance(found, dict):
        raise TypeError("settings are an object")
    sampling = GREEDY
    for name, usual in _USUAL.items():
        if found.get(name, usual) == usual:  # most of them, and quick
            continue
        try:
            sampling = sampling.changed(name, repr(found[name]))
        except TunerError:
            continue
    stop = found.get("stop", [])
    texts = tuple(text for text in stop if isinstance(text, str) and text) if isinstance(stop, list) else ()
    return replace(sampling, stop=texts) if texts else sampling


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _whole(value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("no whole number")
    if not least <= value < 2**63:
        raise ValueError("a number out of bounds")
    return value


def _number(value: Any) -> float:
    """A number; null, which stands for one that was not finite, is 0."""
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("no number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _moment(value: Any) -> float:
    if value is None:
        raise TypeError("no moment")
    return _number(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value
