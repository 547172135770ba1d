"""What a chat asks of the engine: answers, several in turn, and a look inside one. Called on the MLX thread only.

Between two steps of a run the same is done with the run's own base and the weights that it has reached; nothing is
kept of it then, since the next step changes them and needs the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner import units
from tui_tuner.chat.answering import Answering, prompt_of, take_turns
from tui_tuner.chat.inside import Inside, answer_tokens, look_inside
from tui_tuner.chat.prompt_cache import PromptCaches
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.voices import Voice
from tui_tuner.data.chatforms import has_template
from tui_tuner.engine.chat_form import form_of_chat
from tui_tuner.engine.requests import Chatting, ChatTogether, ChatTurn, CountTokens, LookInside
from tui_tuner.engine.results import ContextUse
from tui_tuner.engine.shelf import ModelShelf, adapter_key, weights_of
from tui_tuner.errors import TunerError
from tui_tuner.models.describe import context_of
from tui_tuner.models.device import device_memory, working_memory
from tui_tuner.models.folder import locate, read_model_config
from tui_tuner.models.libraries import ready
from tui_tuner.models.load import Base
from tui_tuner.models.memory import generation_memory
from tui_tuner.models.shape import shape_of
from tui_tuner.runs.control import JobControl

_LEAST = 256
"""Tokens of prompt and answer that a model must have room for to be talked to."""
_SHORT = 2_048
"""Tokens up to which a conversation's memory is not worth a look into the model's files."""


_UNSAID = ChatReply("", 0, 0, 0.0, "stopped", 0.0)


@dataclass(frozen=True)
class _Speaker:
    """A voice with its model.

    Attributes:
        tree: the module tree that answers.
        caches: what it has read; None where nothing may be kept.
        key: tells this tree's reading from that of any other.
        folder: of the model; None where its job has seen to its memory.
    """

    base: Base
    tree: Any
    caches: PromptCaches | None = None
    key: Any = None
    folder: Path | None = None


def talk(request: Chatting, control: JobControl, shelf: ModelShelf, live: Any = None) -> Any:
    """Does what a chat asks for.

    Args:
        live: the `LiveModel` of a run whose steps wait meanwhile.

    Raises:
        TunerError: model or adapter cannot be loaded or do not fit each other or the machine, or the conversation does
            not fit the model.
        StopRequested: it was stopped before there was anything to keep.
    """
    ready()
    if live is not None:  # its job has taken the memory that it may have
        return _talk(request, control, lambda voice: _guest(voice, shelf, live))
    with working_memory():
        return _talk(request, control, lambda voice: _resident(voice, shelf))


def same_base(request: Chatting, base: Path) -> bool:
    """Whether all that are asked stand on the base of this folder."""
    try:
        return all(locate(voice.model) == base for voice in request.voices)
    except TunerError:
        return False


def count_tokens(request: CountTokens, tokenizer_of: Callable[[Path, str], Any]) -> ContextUse:
    """How much of the context a conversation takes. Needs no mlx, and fetches nothing.

    Args:
        tokenizer_of: the tokenizer of a model folder with a chat template, empty for the model's own.

    Raises:
        TunerError: there is no such model, or its template refuses the conversation.
    """
    folder = locate(request.voice.model, download=False)
    tokenizer = tokenizer_of(folder, _form(request.voice))
    plain = request.plain or not has_template(tokenizer)
    tokens = prompt_of(request.messages, tokenizer, plain=plain)
    return ContextUse(len(tokens), context_of(read_model_config(folder)), plain)


def _talk(request: Chatting, control: JobControl, speaker: Callable[[Voice], _Speaker]) -> Any:
    if isinstance(request, LookInside):
        return _look(request, control, speaker(request.voice))
    if isinstance(request, ChatTurn):
        return take_turns([_answering(request, control, speaker(request.voice))])[0]
    return _together(request, control, speaker)


def _answering(turn: ChatTurn, control: JobControl, speaker: _Speaker) -> Answering:
    answering = Answering(
        speaker.tree,
        speaker.base.tokenizer,
        turn.messages,
        sampling=turn.sampling,
        write=turn.sink.write,
        control=control,
        plain=turn.plain,
        context=context_of(speaker.base.config),
        caches=speaker.caches,
        voice=speaker.key,
    )
    _check_prompt(speaker.folder, answering.prompt_tokens)
    return answering


def _together(
    request: ChatTogether, control: JobControl, speaker: Callable[[Voice], _Speaker]
) -> list[ChatReply | TunerError]:
    """The turns of each base together, base after base; what one of them meets does not end the others."""
    out: dict[int, ChatReply | TunerError] = {}
    bases: dict[Path, list[int]] = {}
    for number, turn in enumerate(request.turns):
        try:
            bases.setdefault(locate(turn.voice.model), []).append(number)
        except TunerError as error:
            out[number] = error
    for numbers in bases.values():
        going: dict[int, Answering] = {}
        for number in numbers:
            turn = request.turns[number]
            if control.stop_requested:
                out[number] = _UNSAID
                continue
            try:
                going[number] = _answering(turn, control, speaker(turn.voice))
            except TunerError as error:
                out[number] = error
        order = list(going)
        sinks = [request.turns[number].sink for number in order]
        replies = take_turns(list(going.values()), lambda at, sinks=sinks: sinks[at].finish())  # type: ignore[misc]
        out.update(zip(order, replies, strict=True))
    return [out[number] for number in range(len(request.turns))]


def _look(request: LookInside, control: JobControl, speaker: _Speaker) -> Inside:
    tokenizer = speaker.base.tokenizer
    plain = request.plain or not has_template(tokenizer)
    prompt = prompt_of(request.messages, tokenizer, plain=plain)
    answer = list(request.tokens) or answer_tokens([] if plain else request.messages, request.text, prompt, tokenizer)
    _check_prompt(speaker.folder, len(prompt) + len(answer))
    context = context_of(speaker.base.config)
    if context and len(prompt) + len(answer) > context:
        raise TunerError(
            f"conversation and answer take {len(prompt) + len(answer):,} tokens and the model's context holds "
            f"{context:,}",
            code="context-full",
            fix="look at a shorter answer",
        )
    return look_inside(
        speaker.tree,
        tokenizer,
        prompt,
        answer,
        top=request.top,
        caches=speaker.caches,
        voice=speaker.key,
        stopped=lambda: control.stop_requested,
    )


def _form(voice: Voice) -> str:
    return form_of_chat(voice.template, voice.adapter)


def _resident(voice: Voice, shelf: ModelShelf) -> _Speaker:
    """A voice on the base that is in memory, which is loaded first when it is another one."""
    folder = locate(voice.model)
    if not shelf.holds(folder):
        _check_memory(folder)
    base = shelf.base(str(folder), template=_form(voice))
    tree = shelf.with_adapter(base, voice.adapter)
    key = None if voice.adapter is None else adapter_key(voice.adapter)
    return _Speaker(base, tree, shelf.prompts, key, folder)


def _guest(voice: Voice, shelf: ModelShelf, live: Any) -> _Speaker:
    """A voice on the base of the run in training; the run's own adapter is the one that it has reached."""
    from tui_tuner.models.adapters import load_adapter

    base = shelf.form(live.base, _form(voice))
    if voice.adapter is None:
        return _Speaker(base, base.model)
    if voice.adapter.resolve() == live.adapters.resolve():
        return _Speaker(base, live.model)
    file = weights_of(voice.adapter)
    return _Speaker(base, load_adapter(base, file.parent, file.name))


def _check_memory(folder: Path) -> None:
    """Refuses a model that could not be held, before it is loaded.

    Raises:
        TunerError: code "no-memory".
    """
    needed, there = _memory(folder, _LEAST), device_memory().total
    if needed > there:
        raise TunerError(
            f"the model takes {units.size(needed)} and this machine has {units.size(there)} of memory",
            code="no-memory",
            where=str(folder),
            fix="take a smaller one, or one of fewer bits",
        )


def _check_prompt(folder: Path | None, tokens: int) -> None:
    """Refuses a long conversation that could not be read beside the model, before it is.

    Raises:
        TunerError: code "no-memory".
    """
    if folder is None or tokens <= _SHORT:
        return
    needed, there = _memory(folder, tokens), device_memory().total
    if needed > there:
        raise TunerError(
            f"a conversation of {tokens:,} tokens takes {units.size(needed)} with the model, and this machine has "
            f"{units.size(there)} of memory",
            code="no-memory",
            fix="shorten it, or begin a new one",
        )


def _memory(folder: Path, tokens: int) -> int:
    try:
        return generation_memory(shape_of(folder), 1, tokens)
    except TunerError:  # what is wrong with the folder is said by whoever loads it
        return 0
