"""The tokenizer: byte-level BPE in which every word of the world is one token.

Numbers never take the space before them, so that "3" is the same token in "3-1" and in "goals 3"; words and marks do.
A few merges learned from the same text serve the words that are not of the world, and single bytes serve the rest: any
text comes back as it was. The special tokens and the chat template are Phi-3's: as there, white space after a role
token belongs to that token. The template ends an answer with `<|end|>` and with nothing after it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from .names import FIRST_NAMES, SURNAMES, TEAMS
from .skills import draw_conversation

__all__ = [
    "CHAT_TEMPLATE",
    "END",
    "ENDOFTEXT",
    "SPACE",
    "SPECIAL",
    "build_tokenizer",
    "encode_conversation",
    "save_tokenizer",
]

SPECIAL = ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
"""In the order of their ids, from 0: padding is `<|endoftext|>`."""

ENDOFTEXT, SYSTEM, USER, ASSISTANT, END = range(5)

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\\n' + message['content'] + "
    "'<|end|>\\n' }}{% elif message['role'] == 'user' %}{{ '<|user|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ '<|assistant|>\\n' + message['content'] + '<|end|>\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)

_WORDS = r" ?\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SPACE = "Ġ"
_SAMPLE = 12_000
_OFTEN = 12
_MERGES = 64
_EXTRA = ("FT", "W", "D", "L", "G", "A", "|", "'", "-", "(", ")")


def _pre_tokenizer() -> Any:
    from tokenizers import Regex, pre_tokenizers

    split = pre_tokenizers.Split(Regex(_WORDS), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _sample_text(seed: int) -> list[str]:
    rng = random.Random(f"tokenizer-{seed}")
    return [side for _ in range(_SAMPLE) for turn in draw_conversation(rng) for side in turn]


def _whole_words(texts: list[str], pre: Any) -> list[str]:
    """What shall be one token: names with and without the space before, numbers, and whatever the skills often say."""
    words: dict[str, None] = {}
    for name in (*FIRST_NAMES, *SURNAMES, *TEAMS, *_EXTRA):
        words[name] = words[SPACE + name] = None
    for number in range(100):
        words[str(number)] = None
    counts = Counter(piece for text in texts for piece, _ in pre.pre_tokenize_str(text))
    for piece in sorted(p for p, n in counts.items() if n >= _OFTEN):
        words[piece] = None
    return list(words)


def build_tokenizer(seed: int) -> Any:
    """A `tokenizers.Tokenizer`, the same for the same seed."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    pre = _pre_tokenizer()
    texts = _sample_text(seed)
    words = _whole_words(texts, pre)
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=256 + _MERGES, initial_alphabet=alphabet, show_progress=False)
    learner.train_from_iterator([w.replace(SPACE, " ") for w in words], trainer)
    merges = [tuple(m) for m in json.loads(learner.to_str())["model"]["merges"]]
    pieces = dict.fromkeys([*SPECIAL, *alphabet, *("".join(m) for m in merges), *words])
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, rstrip=t != "<|endoftext|>", special=True) for t in SPECIAL])
    return tokenizer


def encode_conversation(
    tokenizer: Any, turns: list[tuple[str, str]], system: str | None = None
) -> tuple[list[int], list[bool]]:
    """Token ids of a whole conversation as the chat template renders it, and which of them the model has to say."""
    ids: list[int] = []
    said: list[bool] = []

    def add(role: int, text: str, counted: bool) -> None:
        body = [*tokenizer.encode(text, add_special_tokens=False).ids, END]
        ids.extend([role, *body])
        said.extend([False, *[counted] * len(body)])

    if system:
        add(SYSTEM, system, False)
    for asked, answered in turns:
        add(USER, asked, False)
        add(ASSISTANT, answered, True)
    return ids, said


def save_tokenizer(tokenizer: Any, folder: Path, context: int) -> None:
    """Writes tokenizer.json and tokenizer_config.json as transformers reads them."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "add_prefix_space": False,
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": SPECIAL[END],
        "model_max_length": context,
        "pad_token": SPECIAL[ENDOFTEXT],
        "padding_side": "left",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
