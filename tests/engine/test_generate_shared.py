"""Batches of many architectures, behind a common beginning, give the tokens that mlx-lm gives one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.architectures import ARCHITECTURES, SLIDING, VOCABULARY, build
from tests.support.twins import twins
from tui_tuner.evaluation import generate
from tui_tuner.evaluation.generate import Drawing, common_prefix, greedy_answers, in_float32
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx

END = 7


class Ids:
    """A tokenizer as far as answering needs one: its texts are its ids."""

    eos_token_ids = frozenset({END})

    @staticmethod
    def decode(tokens: list[int]) -> str:
        return " ".join(map(str, tokens))


def prompts(count: int, shared: int, seed: int = 1) -> list[list[int]]:
    rng = random.Random(seed)
    head = [rng.randrange(8, VOCABULARY) for _ in range(shared)]
    return [[*head, *(rng.randrange(8, VOCABULARY) for _ in range(rng.randint(1, 30)))] for _ in range(count)]


def one_by_one(model: Any, asked: list[list[int]], cap: int) -> list[list[int]]:
    import mlx.core as mx
    from mlx_lm.generate import generate_step

    answers = []
    for prompt in asked:
        tokens = []
        for token, _ in generate_step(mx.array(prompt), model, max_tokens=cap):
            if token == END:
                break
            tokens.append(token)
        answers.append(tokens)
    return answers


def together(model: Any, asked: list[list[int]], cap: int, **options: Any) -> list[list[int]]:
    found = greedy_answers(
        model, Ids(), asked, max_tokens=cap, batch_size=options.pop("batch", 4), control=JobControl(), **options
    )
    return [answer.tokens for answer in sorted(found, key=lambda answer: answer.index)]


@pytest.mark.parametrize("shared", twins([0, 20], [20]))
@pytest.mark.parametrize("name", twins([*ARCHITECTURES, *SLIDING], {*ARCHITECTURES, *SLIDING} - {"qwen3_5"}))
def test_every_architecture_answers_as_one_by_one(name: str, shared: int) -> None:
    """Eleven prompts in batches of four, so that rows come and go; with a window of 12 tokens all of it rotates."""
    model = build(name)
    asked = prompts(11, shared)
    assert common_prefix(asked) >= shared
    assert together(model, asked, 24) == one_by_one(model, asked, 24)


def test_quantized_weights_in_float32_answer_as_one_by_one() -> None:
    model = build("llama", bits=4)
    assert in_float32(model)
    asked = prompts(9, 16)
    assert together(model, asked, 24) == one_by_one(model, asked, 24)


def test_an_architecture_that_cannot_be_batched_is_answered_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlx_lm.generate import BatchGenerator

    model, asked = build("llama"), prompts(5, 0)
    expected = one_by_one(model, asked, 6)
    real, calls = BatchGenerator.next_generated, []

    def failing(self: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("[broadcast_shapes] Shapes cannot be broadcast.")
        return real(self)

    monkeypatch.setattr(BatchGenerator, "next_generated", failing)
    assert together(model, asked, 6) == expected
    assert len(calls) == 3


def test_half_precision_is_told_from_single() -> None:
    import mlx.core as mx

    model = build("llama")
    model.set_dtype(mx.bfloat16)
    assert not in_float32(model)
    assert [len(tokens) for tokens in together(model, prompts(5, 10), 6)]  # and answers all the same


def test_rows_that_rounding_could_decide_are_answered_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tie that takes in everything every row is doubtful; each is answered once, as alone."""
    model, asked = build("phi3"), prompts(6, 12)
    monkeypatch.setattr(generate, "TIE", 1e9)
    assert together(model, asked, 8) == one_by_one(model, asked, 8)


def test_the_common_beginning_is_computed_once() -> None:
    """Tokens that go through the model: with 40 in common, 8 rows take 7 times 40 fewer."""
    model, asked = build("llama"), prompts(8, 40)
    seen: list[int] = []
    real = type(model).__call__

    class Counting(type(model)):  # type: ignore[misc]
        def __call__(self, inputs: Any, *given: Any, **named: Any) -> Any:
            seen.append(int(inputs.size))
            return real(self, inputs, *given, **named)

    model.__class__ = Counting
    together(model, asked, 1, batch=8)
    assert 40 in seen
    assert sum(seen) < 40 + 8 * 33


def test_prompts_of_one_token_and_alike_can_share() -> None:
    model = build("llama")
    for asked in ([[9]] * 3, [[9] * 12] * 3, [[9] * 9, [9] * 10, [9] * 11]):
        assert common_prefix(asked) == min(map(len, asked)) - 1
        assert together(model, asked, 5) == one_by_one(model, asked, 5)


def test_drawn_answers_depend_on_their_seed_alone() -> None:
    import mlx.core as mx

    model, asked = build("llama"), prompts(6, 10)
    drawings = [Drawing(1.0, seed) for seed in range(6)]
    mx.random.seed(3)
    before = mx.random.state[0].tolist()
    first = together(model, asked, 12, drawings=drawings, batch=3)
    assert mx.random.state[0].tolist() == before
    assert together(model, asked, 12, drawings=drawings, batch=6) == first
    assert together(model, asked, 12, drawings=drawings, batch=1) == first
    assert together(model, asked, 12, drawings=[Drawing(1.0, seed + 9) for seed in range(6)]) != first
    mixed = together(model, asked, 12, drawings=[None, *drawings[1:]], batch=3)
    assert mixed[1:] == first[1:]
    assert mixed[:1] == one_by_one(model, asked[:1], 12)
