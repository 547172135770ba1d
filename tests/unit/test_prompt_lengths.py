"""Where a prompt ends in tokens decides what is trained: the quick way must give what encoding each prompt gives."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from tui_tuner.data import promptlength
from tui_tuner.data.promptlength import prompt_lengths

WORDS = ["hi", "you", "there", "yes", "no", "end", "[", "]", "<", ">", "|", "?", "."]


def tokenizer(*added: AddedToken) -> Tokenizer:
    made = Tokenizer(WordLevel({word: at for at, word in enumerate([*WORDS, "[UNK]"])}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = Lowercase(), Whitespace()
    made.add_special_tokens(list(added))
    return made


class Counting:
    """A tokenizer, and how many texts it was given to encode."""

    def __init__(self, backend: Tokenizer) -> None:
        self._backend, self.encoded = backend, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def encode_batch_fast(self, texts: list[str], **how: Any) -> Any:
        self.encoded += len(texts)
        return self._backend.encode_batch_fast(texts, **how)


MARK = AddedToken("<|end|>", normalized=False)
TURN = "<|end|> you "
PROMPTS = [f"hi {'there ' * (number % 3)}{TURN if number % 4 else ''}yes <|end|> no " for number in range(40)]


def asked(backend: Any, prompts: list[str], answer: str = "yes yes") -> tuple[list[int], list[int]]:
    """The lengths, and those of the prompts encoded one by one."""
    texts = [(prompt + answer, prompt) for prompt in prompts]
    tokens = [backend.encode(full, add_special_tokens=False).ids for full, _ in texts]
    exact = [len(backend.encode(prompt, add_special_tokens=False).ids) for prompt in prompts]
    return prompt_lengths(backend, texts, tokens), exact


def test_a_mark_that_ends_every_prompt_spares_the_encoding() -> None:
    backend = Counting(tokenizer(MARK))
    found, exact = asked(backend, PROMPTS)
    assert found == exact
    assert backend.encoded == 0


def test_few_prompts_are_simply_encoded() -> None:
    backend = Counting(tokenizer(MARK))
    few = PROMPTS[: promptlength._FEWEST - 1]
    found, exact = asked(backend, few)
    assert found == exact and backend.encoded == len(few)


@pytest.mark.parametrize(
    ("mark", "why"),
    [
        (AddedToken("<|end|>", normalized=True), "it is looked for in the text as normalised"),
        (AddedToken("<|end|>", normalized=False, single_word=True), "what stands beside it decides whether it is one"),
        (AddedToken("<|end|>", normalized=False, rstrip=True), "it takes the blanks behind it"),
        (AddedToken("<|other|>", normalized=False), "no prompt has it"),
    ],
)
def test_marks_that_cannot_be_counted_on_are_not(mark: AddedToken, why: str) -> None:
    backend = Counting(tokenizer(mark))
    found, exact = asked(backend, PROMPTS)
    assert found == exact
    assert backend.encoded == len(PROMPTS), why


def test_a_prompt_that_says_the_mark_itself_is_encoded() -> None:
    """The text of the mark in an answer is the token, too; a prompt that ends otherwise than the first one is asked."""
    backend = Counting(tokenizer(MARK))
    prompts = [*PROMPTS[:20], "hi there yes no ", *PROMPTS[20:]]
    found, exact = asked(backend, prompts, answer="yes <|end|> yes")
    assert found == exact
    assert backend.encoded == 1


def test_a_whole_that_does_not_begin_with_its_prompt_is_encoded() -> None:
    backend = Counting(tokenizer(MARK))
    texts = [(prompt + "yes", prompt) for prompt in PROMPTS]
    texts[7] = ("no " + texts[7][0], texts[7][1])  # as a template that writes an earlier turn otherwise
    tokens = [backend.encode(full, add_special_tokens=False).ids for full, _ in texts]
    exact = [len(backend.encode(prompt, add_special_tokens=False).ids) for prompt in PROMPTS]
    assert prompt_lengths(backend, texts, tokens) == exact
    assert backend.encoded == 1
