"""Rows become the very tokens and offsets that mlx-lm's own data sets make of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_rows, make_tokenizer, sentence
from tui_tuner.config import Experiment
from tui_tuner.data.examples import (
    _rendered_together,
    conversation_tokens,
    prompt_tokens,
    tokenise,
    tokenise_all,
    tokenise_many,
)
from tui_tuner.data.inspect import preview_data
from tui_tuner.errors import TunerError

pytestmark = pytest.mark.mlx

FAMILIES = ("phi3", "llama", "qwen2", "gemma")
TOOLS = [{"type": "function", "function": {"name": "score", "parameters": {"team": {"type": "string"}}}}]


@pytest.fixture(scope="module")
def tokenizer_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    from mlx_lm.tokenizer_utils import load

    place, made = tmp_path_factory.mktemp("tokenizers"), dict[str, Any]()

    def get(kind: str) -> Any:
        if kind not in made:
            make_tokenizer(place / kind, kind)
            made[kind] = load(place / kind)
        return made[kind]

    return get


def turns(*contents: str, system: str = "") -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]
    return {"messages": [{"role": "system", "content": system}, *messages] if system else messages}


def conversations(family: str) -> list[dict[str, Any]]:
    rng = random.Random(3)
    rows = [turns(*(sentence(rng, 1, 9) for _ in range(2 * rng.randint(1, 4)))) for _ in range(20)]
    rows += [
        turns("who was last to answer?", "one", "and now?"),  # the last turn is the user's
        turns("é ß 日本 🦊 \u202e \u200b", "  spaces \n\n and lines  "),
        turns("special <|end|> tokens <|im_end|> in <end_of_turn> text", "<|eot_id|> and <|assistant|>"),
        {**turns("what is the score?", "two"), "tools": TOOLS},
        {
            "messages": [
                {"role": "user", "content": "with a name", "name": "Ada"},
                {"role": "assistant", "content": "yes"},
            ]
        },
    ]
    if family != "gemma":
        rows += [turns("hello", "hi", system="be short"), turns("a", "b", "c", "d", system="be kind")]
        tool = [
            {"role": "user", "content": "score?"},
            {"role": "tool", "content": "2"},
            {"role": "assistant", "content": "2"},
        ]
        rows.append({"messages": tool})
    return rows


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_conversations_become_the_tokens_of_chat_dataset(
    family: str, mask: bool, tokenizer_of: Callable[[str], Any]
) -> None:
    from mlx_lm.tuner.datasets import ChatDataset

    tokenizer, rows = tokenizer_of(family), conversations(family)
    stock = ChatDataset(rows, tokenizer, mask_prompt=mask)
    for row in rows:
        example = tokenise(row, tokenizer, mask_prompt=mask)
        assert (example.tokens, example.offset) == stock.process(row), row


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_and_answers_become_the_tokens_of_completions_dataset(
    family: str, mask: bool, tokenizer_of: Callable[[str], Any]
) -> None:
    from mlx_lm.tuner.datasets import CompletionsDataset

    tokenizer = tokenizer_of(family)
    rows = [*make_rows(20), {"prompt": " <|user|> é🦊\n", "completion": "\n two\n\nlines <|end|>"}]
    rows.append({"prompt": "score?", "completion": "two", "tools": TOOLS})
    stock = CompletionsDataset(rows, tokenizer, "prompt", "completion", mask)
    for row in rows:
        example = tokenise(row, tokenizer, mask_prompt=mask)
        assert (example.tokens, example.offset) == stock.process(row), row


@pytest.mark.parametrize("family", [*FAMILIES, "plain"])
def test_texts_become_the_tokens_of_text_dataset(family: str, tokenizer_of: Callable[[str], Any]) -> None:
    from mlx_lm.tuner.datasets import TextDataset

    tokenizer = tokenizer_of(family)
    end = tokenizer.eos_token
    rows = [{"text": text} for text in ("the red fox", f"ends itself{end}", f"{end}", "é 🦊\n", f"inner {end} one")]
    stock = TextDataset(rows, tokenizer)
    for row in rows:
        example = tokenise(row, tokenizer, mask_prompt=False)
        assert (example.tokens, example.offset) == stock.process(row), row


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_to_answer_is_what_training_masked(family: str, tokenizer_of: Callable[[str], Any]) -> None:
    tokenizer = tokenizer_of(family)
    for row in [*make_rows(10), turns("first", "answer", "second", "last")]:
        example = tokenise(row, tokenizer, mask_prompt=True)
        assert prompt_tokens(row, tokenizer) == example.tokens[: example.offset]
        answer = tokenizer.decode(example.tokens[example.offset :])
        assert answer.startswith(row.get("completion", "last"))


def test_a_chat_is_rendered_as_a_training_prompt(tokenizer_of: Callable[[str], Any]) -> None:
    tokenizer = tokenizer_of("llama")
    row = turns("first", "answer", "second", "last")
    assert conversation_tokens(row["messages"][:-1], tokenizer) == prompt_tokens(row, tokenizer)
    assert conversation_tokens(row["messages"][:-1], tokenizer).count(tokenizer.bos_token_id) == 1


def test_a_refusal_of_the_template_names_the_row(tokenizer_of: Callable[[str], Any]) -> None:
    rows = [turns("a", "b"), turns("a", "b", system="be short"), turns("a", "b")]
    with pytest.raises(TunerError) as caught:
        tokenise_all(rows, tokenizer_of("gemma"), mask_prompt=True, max_length=64, where="train")
    assert caught.value.code == "system-role"
    assert caught.value.where == "train, row 2"
    assert "System role not supported" in caught.value.message


def test_a_tokenizer_without_template_is_said_to_be_one(tokenizer_of: Callable[[str], Any]) -> None:
    tokenizer = tokenizer_of("plain")
    for call in (
        lambda: tokenise_all(make_rows(2), tokenizer, mask_prompt=True, max_length=64, where="valid"),
        lambda: prompt_tokens(make_rows(1)[0], tokenizer),
        lambda: conversation_tokens([{"role": "user", "content": "hi"}], tokenizer),
    ):
        with pytest.raises(TunerError) as caught:
            call()
        assert caught.value.code == "no-chat-template"


def test_texts_cannot_be_masked_or_asked(tokenizer_of: Callable[[str], Any]) -> None:
    with pytest.raises(TunerError) as masked:
        tokenise_all([{"text": "the fox"}], tokenizer_of("phi3"), mask_prompt=True, max_length=64, where="train")
    assert (masked.value.code, masked.value.where) == ("mask-text", "train, row 1")
    with pytest.raises(TunerError) as asked:
        prompt_tokens({"text": "the fox"}, tokenizer_of("phi3"))
    assert asked.value.code == "no-prompt"


@pytest.mark.parametrize("short_by", [0, 1])
def test_a_row_needs_one_token_that_the_loss_counts(short_by: int, tokenizer_of: Callable[[str], Any]) -> None:
    """At a limit of `prompt + 1` exactly one target counts, by mlx-lm's own mask; one less, and the row is refused."""
    import mlx.core as mx
    from mlx_lm.tuner.trainer import default_loss, iterate_batches

    tokenizer = tokenizer_of("phi3")
    row = make_rows(1)[0]
    offset = tokenise(row, tokenizer, mask_prompt=True).offset
    limit = offset + 1 - short_by
    if short_by:
        with pytest.raises(TunerError) as caught:
            tokenise_all([row], tokenizer, mask_prompt=True, max_length=limit, where="train")
        assert caught.value.code == "no-trainable-tokens"
        assert caught.value.where == "train, row 1"
        return
    (example,) = tokenise_all([row], tokenizer, mask_prompt=True, max_length=limit, where="train")
    batch, lengths = next(iter(iterate_batches([(example.tokens, example.offset)], 1, limit)))
    _, counted = default_loss(lambda tokens: mx.zeros((*tokens.shape, 400)), batch, lengths)
    assert counted.item() == 1


def test_a_text_of_a_single_token_has_nothing_to_train(tokenizer_of: Callable[[str], Any]) -> None:
    tokenizer = tokenizer_of("phi3")
    with pytest.raises(TunerError) as caught:
        tokenise_all([{"text": tokenizer.eos_token}], tokenizer, mask_prompt=False, max_length=64, where="train")
    assert caught.value.code == "no-trainable-tokens"


def test_a_preview_shows_what_is_trained(tokenizer_of: Callable[[str], Any], tmp_path: Path) -> None:
    tokenizer, rows = tokenizer_of("phi3"), make_rows(9, low=1, high=20)
    for name, part in (("train", rows[:6]), ("valid", rows[6:8]), ("test", rows[8:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    experiment = Experiment.model_validate(
        {"model": {"path": "m"}, "data": {"source": str(tmp_path)}, "train": {"max_seq_length": 40}}
    )
    preview = preview_data(experiment, tokenizer, limit=4)
    assert preview.counts == {"train": 6, "valid": 2, "test": 1}
    assert [(row.split, row.index) for row in preview.rows] == [
        *(("train", i) for i in range(4)), ("valid", 0), ("valid", 1), ("test", 0)
    ]  # fmt: skip
    examples = [tokenise(row, tokenizer, mask_prompt=True) for row in rows]
    assert preview.trainable_tokens == sum(max(min(len(e.tokens), 40) - e.offset, 0) for e in examples[:6])
    lengths = sorted(len(e.tokens) for e in examples)
    assert (preview.token_lengths["min"], preview.token_lengths["max"]) == (lengths[0], lengths[-1])
    for shown, example in zip(preview.rows[:4], examples, strict=False):
        assert [token for token, _ in shown.tokens] == example.tokens[:40]
        assert (shown.offset, shown.truncated) == (example.offset, max(len(example.tokens) - 40, 0))
        assert shown.rendered == tokenizer.decode(example.tokens)
    assert any(row.truncated for row in preview.rows)


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_many_together_become_what_they_become_one_by_one(
    family: str, mask: bool, tokenizer_of: Callable[[str], Any]
) -> None:
    tokenizer = tokenizer_of(family)
    rows = [*conversations(family), *make_rows(30), {"messages": [{"role": "system", "content": "only this"}]}]
    together = tokenise_many(rows, tokenizer, mask_prompt=mask)
    for row, found in zip(rows, together, strict=True):
        try:
            alone: Any = tokenise(row, tokenizer, mask_prompt=mask)
        except TunerError as error:
            assert isinstance(found, TunerError) and str(found) == str(error)
        else:
            assert found == alone


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_rows_that_are_rendered_in_one_call_are_no_others(
    family: str, mask: bool, tokenizer_of: Callable[[str], Any]
) -> None:
    tokenizer, rows = tokenizer_of(family), make_rows(30)
    assert _rendered_together(rows, tokenizer, mask_prompt=mask) is not None
    alone = [tokenise(row, tokenizer, mask_prompt=mask) for row in rows]
    assert tokenise_many(rows, tokenizer, mask_prompt=mask) == alone


@pytest.mark.parametrize("form", ["truncation", "padding"])
def test_a_tokenizer_s_own_cutting_and_filling_is_not_applied(form: str, tmp_path: Path) -> None:
    """A `tokenizer.json` may bring both, as sentence encoders do; transformers takes them off before it encodes."""
    from mlx_lm.tokenizer_utils import load

    make_tokenizer(tmp_path / "phi3", "phi3")
    tokenizer, plain, rows = load(tmp_path / "phi3"), load(tmp_path / "phi3"), make_rows(9)
    expected = [tokenise(row, plain, mask_prompt=True) for row in rows]
    backend = tokenizer._tokenizer.backend_tokenizer
    if form == "truncation":
        backend.enable_truncation(6)
    else:
        backend.enable_padding(length=200)
    assert tokenise_many(rows, tokenizer, mask_prompt=True) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_are_as_long_as_if_they_were_encoded_whatever_stands_in_them(
    family: str, tokenizer_of: Callable[[str], Any]
) -> None:
    """Users write special tokens, their halves, and what the template writes; answers begin with what ends a prompt."""
    tokenizer = tokenizer_of(family)
    specials = [
        "<|assistant|>",
        "<|end|>",
        "<|im_start|>assistant\n",
        "<|eot_id|>",
        "<start_of_turn>model\n",
        "<|",
        "\n",
    ]
    odd = [f"{one}{word}{other}" for one in specials for other in specials for word in ("", " so ", "é🦊")]
    rows = make_rows(40, low=1, high=12)
    rows += [{"prompt": f"x{text}", "completion": "fine"} for text in odd]
    rows += [{"prompt": "fine", "completion": f"{text}x"} for text in odd]
    for start in range(0, len(rows), 29):  # so that the rows that tell what prompts have in common are others each time
        some = rows[start : start + 29]
        for row, found in zip(some, tokenise_many(some, tokenizer, mask_prompt=True), strict=True):
            assert found == tokenise(row, tokenizer, mask_prompt=True), row


def test_most_prompts_are_not_encoded_a_second_time(tokenizer_of: Callable[[str], Any]) -> None:
    from tui_tuner.data import promptlength
    from tui_tuner.data.examples import render_many

    made = render_many(make_rows(60), tokenizer_of("phi3"), mask_prompt=True)
    pairs = [(full, str(prompt)) for _, full, prompt in made.texts]
    whole = made.backend.encode_batch_fast([full for full, _ in pairs], add_special_tokens=False)

    class Counting:
        encoded = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(made.backend, name)

        def encode_batch_fast(self, texts: list[str], **options: Any) -> Any:
            self.encoded += len(texts)
            return made.backend.encode_batch_fast(texts, **options)

    backend = Counting()
    lengths = promptlength.prompt_lengths(backend, pairs, [encoding.ids for encoding in whole])
    expected = [len(made.backend.encode(prompt, add_special_tokens=False)) for _, prompt in pairs]
    assert lengths == expected and backend.encoded == 0
