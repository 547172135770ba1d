"""How many tokens each prompt of many has by itself, mostly without encoding it a second time.

A tokenizer cuts a text at its added tokens before anything else, and encodes the pieces apart. So up to the last added
token of a prompt its tokens are those of the whole conversation, and what follows it is a piece of its own: as a rule
the same few characters in every row, because the chat template writes them. Where any of that is not certain for a row,
the prompt is encoded. It must never give another number than encoding would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_FEWEST = 8
"""Prompts from which on it is worth looking for what they have in common."""


@dataclass(frozen=True)
class _Anchor:
    """The last added token of a prompt: its id and text, the prompt's end from it on, and the tokens behind it."""

    id: int
    content: str
    ending: str
    behind: int

    def length(self, prompt: str, full: str, tokens: Sequence[int]) -> int | None:
        """Tokens of a prompt, from those of the whole; None where that is not certain."""
        if not prompt.endswith(self.ending) or not full.startswith(prompt):
            return None
        # Where every occurrence of the text is the token, the last one of the prompt is known by its count.
        if full.count(self.content) != tokens.count(self.id):
            return None
        at = -1
        for _ in range(prompt.count(self.content)):
            at = tokens.index(self.id, at + 1)
        return at + 1 + self.behind


def prompt_lengths(backend: Any, texts: Sequence[tuple[str, str]], tokens: Sequence[Sequence[int]]) -> list[int]:
    """Tokens of each prompt, encoded by itself.

    Args:
        backend: the library's tokenizer.
        texts: (the whole conversation, its prompt) as the template writes them.
        tokens: ids of each whole conversation.
    """
    prompts = [prompt for _, prompt in texts]
    if len(texts) < _FEWEST:
        return _encoded(backend, prompts)
    probes = (0, len(texts) - 1)
    exact = [backend.encode(prompts[number], add_special_tokens=False).ids for number in probes]
    anchor = _anchor(backend, prompts[0], exact[0])
    if anchor is None:
        return _encoded(backend, prompts)
    found = [anchor.length(prompt, full, ids) for (full, prompt), ids in zip(texts, tokens, strict=True)]
    for number, ids in zip(probes, exact, strict=True):
        if found[number] not in (None, len(ids)):
            return _encoded(backend, prompts)
    open_ones = [number for number, length in enumerate(found) if length is None]
    for number, length in zip(open_ones, _encoded(backend, [prompts[n] for n in open_ones]), strict=True):
        found[number] = length
    return [length for length in found if length is not None]


def _encoded(backend: Any, prompts: list[str]) -> list[int]:
    return list(map(len, backend.encode_batch_fast(prompts, add_special_tokens=False))) if prompts else []


def _anchor(backend: Any, prompt: str, ids: Sequence[int]) -> _Anchor | None:
    """The last added token of a prompt, if it is one that is found in the text as it is."""
    added = backend.get_added_tokens_decoder()
    at = next((number for number in reversed(range(len(ids))) if ids[number] in added), None)
    if at is None:
        return None
    token = added[ids[at]]
    start = prompt.rfind(token.content)
    if start < 0 or token.normalized or token.single_word:
        return None
    ending, behind = prompt[start:], len(ids) - at - 1
    # A token that takes the blanks behind it takes more of them in the whole, where the answer may begin with some.
    if token.rstrip and (behind or ending[len(token.content) :].strip()):
        return None
    return _Anchor(ids[at], token.content, ending, behind)
