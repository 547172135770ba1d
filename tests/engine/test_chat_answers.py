"""Answers of a chat: the tokens that mlx-lm would give, as they come, alone and together, and what is inside them."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.chat.answering import Answering, answer, prompt_of, take_turns
from tui_tuner.chat.inside import answer_tokens, look_inside, pieces_of
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTogether, ChatTurn, CountTokens, LookInside
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.tokenloss import token_losses
from tui_tuner.models.load import Base
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx
PATIENCE = 120.0
FOX = [{"role": "user", "content": "what is the fox?"}]


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine()
    engine.start()
    yield engine
    assert engine.shutdown(PATIENCE)


def ended(handle: JobHandle) -> JobHandle:
    assert handle.finished.wait(PATIENCE)
    return handle


def asked(base: Base, messages: list[dict[str, str]] = FOX, **options: Any) -> Any:
    """One answer, and what was written of it."""
    control, said = options.pop("control", None) or JobControl(), options.pop("said", [])
    sampling = Sampling(**{"max_tokens": 24, **options})
    return answer(base.model, base.tokenizer, messages, sampling=sampling, write=said.append, control=control)


# -- the tokens -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.9, "seed": 4},
        {"temperature": 1.2, "top_p": 0.6, "min_p": 0.02, "top_k": 40, "seed": 9},
        {"repetition_penalty": 1.4},
        {"temperature": 0.8, "repetition_penalty": 1.3, "seed": 2},
    ],
)
def test_the_tokens_are_those_of_mlx_lm(options: dict[str, Any], base: Base) -> None:
    """Drawn with the seed that `mlx_lm.generate --seed` takes, and penalised over the same tokens."""
    import mlx.core as mx
    from mlx_lm.generate import stream_generate
    from mlx_lm.sample_utils import make_logits_processors, make_sampler

    chosen = Sampling(**options)
    mx.random.seed(chosen.seed)
    prompt = prompt_of(FOX, base.tokenizer, plain=False)
    sampler = make_sampler(chosen.temperature, chosen.top_p, chosen.min_p, top_k=chosen.top_k)
    penalty = make_logits_processors(repetition_penalty=chosen.repetition_penalty)
    stream = stream_generate(
        base.model, base.tokenizer, prompt, max_tokens=24, sampler=sampler, logits_processors=penalty
    )
    responses = list(stream)
    said: list[str] = []
    reply = asked(base, said=said, **options)
    assert reply.token_ids == [r.token for r in responses if r.token not in base.tokenizer.eos_token_ids]
    assert reply.text == "".join(said) == "".join(r.text for r in responses)
    assert (reply.prompt_tokens, reply.finish) == (len(prompt), responses[-1].finish_reason)


def test_drawing_leaves_the_generator_of_mlx_alone(base: Base) -> None:
    import mlx.core as mx

    mx.random.seed(1)
    expected = mx.random.uniform(shape=(3,)).tolist()
    mx.random.seed(1)
    asked(base, temperature=1.0)
    assert mx.random.uniform(shape=(3,)).tolist() == expected


def test_more_candidates_than_there_are_tokens_are_all_of_them(base: Base) -> None:
    assert asked(base, temperature=1.0, top_k=10**6).text == asked(base, temperature=1.0).text


def test_a_stop_text_ends_an_answer_before_it_and_is_never_shown(base: Base) -> None:
    """At every place, within tokens and across their borders."""
    whole = asked(base)
    for start in range(1, len(whole.text) - 4):
        stop = whole.text[start : start + 4]
        first = whole.text.index(stop)
        said: list[str] = []
        reply = asked(base, said=said, stop=("never said", stop))
        assert reply.text == "".join(said) == whole.text[:first]
        assert reply.finish == "stop"
        assert reply.token_ids == whole.token_ids[: len(reply.token_ids)]
        assert first <= len("".join(pieces_of(reply.token_ids, base.tokenizer)))


def test_what_only_began_like_a_stop_text_is_shown_at_the_end(base: Base) -> None:
    whole = asked(base)
    reply = asked(base, stop=(whole.text[-3:] + "beyond",))
    assert reply.text == whole.text
    assert reply.finish == whole.finish


def test_a_stop_is_heard_within_a_token_and_while_the_prompt_is_read(base: Base) -> None:
    control = JobControl()
    written: list[str] = []

    def stopping(text: str) -> None:
        written.append(text)
        control.stop()

    options = {"sampling": Sampling(max_tokens=400), "write": stopping, "control": control}
    reply = answer(base.model, base.tokenizer, FOX, **options)
    assert reply.finish == "stopped"
    assert reply.text == "".join(written)
    assert reply.tokens <= 4  # as many as a first character can take
    before = asked(base, control=control)
    assert (before.finish, before.text, before.tokens, before.time_to_first_token) == ("stopped", "", 0, 0.0)


def test_without_a_template_the_bare_text_goes_in(base: Base) -> None:
    talk = [*FOX, {"role": "assistant", "content": " it is red"}, {"role": "user", "content": "and the owl?"}]
    ids = prompt_of(talk, base.tokenizer, plain=True)
    assert ids == base.tokenizer.encode("what is the fox? it is red\nand the owl?")
    with pytest.raises(TunerError) as caught:
        prompt_of([{"role": "user", "content": ""}], base.tokenizer, plain=True)
    assert caught.value.code == "no-prompt"


# -- together -------------------------------------------------------------------------------------------------------


def test_answers_in_turn_are_the_answers_alone(base: Base) -> None:
    """Of unlike lengths, drawn and not; and mlx's stream is afterwards what it was."""
    import mlx.core as mx

    kinds = [{"max_tokens": 3}, {"temperature": 1.0, "seed": 3}, {"max_tokens": 12}, {"temperature": 1.0, "seed": 3}]
    before = mx.default_stream(mx.default_device())
    written: list[list[str]] = [[] for _ in kinds]
    over: list[int] = []
    answers = [
        Answering(
            base.model,
            base.tokenizer,
            FOX,
            sampling=Sampling(**{"max_tokens": 24, **kind}),
            write=into.append,
            control=JobControl(),
        )
        for kind, into in zip(kinds, written, strict=True)
    ]
    together = take_turns(answers, over.append)
    alone = [asked(base, **kind) for kind in kinds]
    assert [reply.text for reply in together] == [reply.text for reply in alone] == ["".join(w) for w in written]
    assert [reply.token_ids for reply in together] == [reply.token_ids for reply in alone]
    assert over[0] == 0 and sorted(over) == [0, 1, 2, 3]
    assert mx.default_stream(mx.default_device()) == before


def test_columns_are_one_job_and_a_bad_one_leaves_the_others(engine: LocalEngine, tiny_model: Path) -> None:
    voices = [
        Voice(str(tiny_model)),
        Voice(str(tiny_model), Path("/nowhere")),
        Voice("/no/model"),
        Voice(str(tiny_model)),
    ]
    turns = tuple(ChatTurn(voice, FOX, Sampling(max_tokens=6)) for voice in voices)
    handle = ended(engine.submit(ChatTogether(turns)))
    assert handle.status is JobStatus.DONE, handle.error
    first, adapter, model, last = handle.result
    assert first.text == last.text == turns[0].sink.take() == turns[3].sink.take()
    assert isinstance(adapter, TunerError) and adapter.code == "adapter-not-found"
    assert isinstance(model, TunerError) and model.code == "model-not-found"
    assert all(turn.sink.done for turn in turns)


def test_a_stop_ends_all_columns(engine: LocalEngine, tiny_model: Path) -> None:
    turns = tuple(ChatTurn(Voice(str(tiny_model)), FOX, Sampling(max_tokens=400)) for _ in range(3))
    write, submitted = turns[1].sink.write, threading.Event()

    def stopping(text: str) -> None:
        assert submitted.wait(PATIENCE)
        write(text)
        handle.control.stop()

    turns[1].sink.write = stopping  # type: ignore[method-assign]
    handle = engine.submit(ChatTogether(turns))
    submitted.set()
    assert ended(handle).status is JobStatus.STOPPED
    assert [reply.finish for reply in handle.result] == ["stopped"] * 3
    assert [reply.text for reply in handle.result] == [turn.sink.take() for turn in turns]
    assert all(reply.tokens < 10 for reply in handle.result)


# -- inside ---------------------------------------------------------------------------------------------------------


def test_what_is_inside_an_answer(base: Base) -> None:
    reply = asked(base, max_tokens=150)
    prompt = prompt_of(FOX, base.tokenizer, plain=False)
    seen = look_inside(base.model, base.tokenizer, prompt, reply.token_ids, top=5)
    assert "".join(seen.pieces) == reply.text
    assert len(seen.losses) == len(reply.token_ids) > 64  # more than one piece
    assert seen.losses == pytest.approx(token_losses(base.model, [*prompt, *reply.token_ids], len(prompt)), abs=1e-4)
    assert set(seen.rank) == {0}  # it was greedy
    for loss, others in zip(seen.losses, seen.alternatives, strict=True):
        shares = [share for _, share in others]
        assert len(others) == 5
        assert shares == sorted(shares, reverse=True)
        assert shares[0] == pytest.approx(math.exp(-loss), rel=1e-4)
    assert seen.mean == pytest.approx(sum(seen.losses) / len(seen.losses))
    assert seen.perplexity == pytest.approx(math.exp(seen.mean or 0))
    other = look_inside(base.model, base.tokenizer, prompt, reply.token_ids[::-1])
    assert (other.mean or 0) > (seen.mean or 0)
    assert max(other.rank) > 0
    nothing = look_inside(base.model, base.tokenizer, prompt, [])
    assert (nothing.pieces, nothing.mean, nothing.perplexity) == ([], None, None)


def test_a_reference_is_tokenised_as_the_template_sets_it(base: Base) -> None:
    prompt = prompt_of(FOX, base.tokenizer, plain=False)
    for text in ("it is red.", "ünï → 🦊", " leading"):
        ids = answer_tokens(FOX, text, prompt, base.tokenizer)
        assert "".join(pieces_of(ids, base.tokenizer)).strip() == text.strip()
        assert ids == answer_tokens([], text, prompt, base.tokenizer)


def test_the_engine_looks_inside_and_counts(engine: LocalEngine, tiny_model: Path) -> None:
    voice = Voice(str(tiny_model))
    reply = ended(engine.submit(ChatTurn(voice, FOX, Sampling(max_tokens=12)))).result
    seen = ended(engine.submit(LookInside(voice, FOX, reply.text, tuple(reply.token_ids)))).result
    assert "".join(seen.pieces) == reply.text
    assert [len(others) for others in seen.alternatives] == [8] * reply.tokens
    reference = ended(engine.submit(LookInside(voice, FOX, "it is red."))).result
    assert "".join(reference.pieces) == "it is red."
    assert reference.mean > seen.mean
    used = ended(engine.submit(CountTokens(voice, FOX))).result
    assert (used.tokens, used.context, used.plain) == (reply.prompt_tokens, 512, False)
    assert reply.context == 512
    assert reply.memory > 0
    bare = ended(engine.submit(ChatTurn(voice, FOX, Sampling(max_tokens=3), plain=True))).result
    assert bare.plain and bare.prompt_tokens < reply.prompt_tokens
    assert ended(engine.submit(CountTokens(voice, FOX, plain=True))).result.tokens == bare.prompt_tokens
    long = LookInside(voice, FOX, "the fox " * 600)
    assert ended(engine.submit(long)).error.code == "context-full"  # type: ignore[union-attr]
