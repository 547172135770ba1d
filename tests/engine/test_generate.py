"""Answers in batches are the answers that mlx-lm gives one by one."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_rows
from tui_tuner.config import AdapterSection
from tui_tuner.data.examples import prompt_tokens
from tui_tuner.data.prepare import prepare
from tui_tuner.evaluation.generate import Answer, greedy_answers
from tui_tuner.models.adapters import attach
from tui_tuner.models.folder import locate
from tui_tuner.models.load import fresh_tree, load_base, load_tokenizer
from tui_tuner.runs.control import JobControl, StopRequested

pytestmark = pytest.mark.mlx


def with_adapter(base: Any, method: str) -> Any:
    """The base, or a tree on it with an adapter whose weights are strong enough to change what it says."""
    import mlx.core as mx

    if method == "none":
        return base.model
    tree = fresh_tree(base)
    mx.random.seed(11)
    attach(tree, AdapterSection(method=method, rank=4, scale=8.0))
    for _, module in tree.named_modules():
        if "lora_b" in module:
            module.lora_b = mx.random.normal(module.lora_b.shape) * 0.1
    tree.eval()
    mx.eval(tree.parameters())
    return tree


def one_by_one(model: Any, tokenizer: Any, prompts: list[list[int]], max_tokens: int) -> list[Answer]:
    from mlx_lm.generate import stream_generate

    answers = []
    for index, prompt in enumerate(prompts):
        tokens, finish, text = [], "", ""
        for response in stream_generate(model, tokenizer, prompt, max_tokens=max_tokens):
            finish, text = response.finish_reason, text + response.text
            if finish != "stop":
                tokens.append(response.token)
        answers.append(Answer(index, text, tokens, finish))
    return answers


def in_batches(model: Any, tokenizer: Any, prompts: list[list[int]], max_tokens: int, batch_size: int) -> list[Answer]:
    found = greedy_answers(
        model, tokenizer, prompts, max_tokens=max_tokens, batch_size=batch_size, control=JobControl()
    )
    return sorted(found, key=lambda answer: answer.index)


def some_prompts(tokenizer: Any, count: int) -> list[list[int]]:
    rng = random.Random(4)
    rows = make_rows(count, seed=9, low=1, high=20)
    rng.shuffle(rows)
    return [prompt_tokens(row, tokenizer) for row in rows]


@pytest.mark.parametrize("method", ["none", "lora", "dora"])
@pytest.mark.parametrize("bits", [None, 4])
def test_batches_answer_as_one_by_one(bits: int | None, method: str, model_of: Callable[..., Path]) -> None:
    """Ten prompts of unlike length in batches of four, with a token that ends some answers early and some never."""
    base = load_base(model_of("phi3", bits))
    model, tokenizer = with_adapter(base, method), load_tokenizer(base.path)
    prompts = some_prompts(tokenizer, 10)
    frequent = [token for answer in one_by_one(model, tokenizer, prompts, 12) for token in answer.tokens[3:]]
    tokenizer.add_eos_token(str(max(set(frequent), key=frequent.count)))
    expected = one_by_one(model, tokenizer, prompts, 16)
    assert {answer.finish for answer in expected} == {"stop", "length"}
    assert in_batches(model, tokenizer, prompts, 16, 4) == expected


def test_an_adapter_changes_the_answers(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("phi3"))
    prompts = some_prompts(base.tokenizer, 3)
    said = [in_batches(with_adapter(base, m), base.tokenizer, prompts, 8, 3) for m in ("none", "lora", "dora", "none")]
    assert said[0] != said[1] != said[2] != said[0]
    assert said[0] == said[3]


def test_the_embedded_model_stops_where_it_stops_one_by_one() -> None:
    from tui_tuner.config import load_preset

    experiment, preset = load_preset("quickstart")
    rows = prepare(experiment.data, experiment.run.seed, preset.path.parent).test[:6]
    base = load_base(locate("embedded:phi3-tiny"))
    prompts = [prompt_tokens(row, base.tokenizer) for row in rows]
    expected = one_by_one(base.model, base.tokenizer, prompts, 48)
    assert any(answer.finish == "stop" for answer in expected)
    assert in_batches(base.model, base.tokenizer, prompts, 48, 4) == expected


@pytest.mark.parametrize(("count", "batch"), [(1, 8), (3, 3), (7, 2), (5, 1)])
def test_every_prompt_is_answered_once_up_to_the_cap(count: int, batch: int, model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("llama"))
    base.tokenizer.eos_token_ids.clear()
    answers = in_batches(base.model, base.tokenizer, some_prompts(base.tokenizer, count), 5, batch)
    assert [answer.index for answer in answers] == list(range(count))
    assert {(len(answer.tokens), answer.finish) for answer in answers} == {(5, "length")}


def test_no_prompts_have_no_answers(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("llama"))
    assert in_batches(base.model, base.tokenizer, [], 5, 4) == []


class Watched(JobControl):
    """Counts how often it was looked at, and stops at the third time."""

    looks = 0

    def check(self) -> None:
        self.looks += 1
        if self.looks == 3:
            self.stop("test")
        super().check()


def test_a_stop_is_heard_between_tokens(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("llama"))
    control = Watched()
    answers = greedy_answers(
        base.model,
        base.tokenizer,
        some_prompts(base.tokenizer, 4),
        max_tokens=200,
        batch_size=4,
        control=control,
    )
    with pytest.raises(StopRequested):
        list(answers)
    assert control.looks == 3
    # The thread and the model are as good as before.
    assert len(in_batches(base.model, base.tokenizer, some_prompts(base.tokenizer, 2), 3, 2)) == 2


def test_stop_tokens_of_the_generation_config_count(model_of: Callable[..., Path], tmp_path: Path) -> None:
    """Many models name the token that ends a turn in generation_config.json only; mlx-lm reads it, and so do we."""
    import json
    import shutil

    from mlx_lm.utils import load

    folder = shutil.copytree(model_of("phi3"), tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [3, 5]}))
    _, stock = load(str(folder))
    assert load_base(folder).tokenizer.eos_token_ids == stock.eos_token_ids
    assert {3, 5} <= set(stock.eos_token_ids)
