"""The base model's exam: questions of every skill about players that pre-training never saw.

An answer counts when it is the right one to the letter and the model stopped by itself. mlx is imported inside the
functions only; the players of the table are never examined here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from .skills import SKILLS, draw_conversation
from .tokenizer import encode_conversation
from .world import EXAM

__all__ = ["Figure", "examine"]

_LONGEST_ANSWER = 64


@dataclass(frozen=True)
class Figure:
    """How many of the questions of one skill were answered exactly, and one that was not."""

    skill: str
    right: int
    asked: int
    mistake: tuple[str, str, str] | None

    @property
    def share(self) -> float:
        return self.right / self.asked


def examine(model: Any, tokenizer: Any, seed: int, each: int = 200) -> list[Figure]:
    """The figures of every skill, greedy, on `each` conversations per skill; what is judged is the last turn."""
    from mlx_lm.generate import batch_generate

    figures = []
    for skill in SKILLS:
        rng = random.Random(f"exam-{seed}-{skill}")
        asked, prompts = [], []
        for _ in range(each):
            turns = draw_conversation(rng, EXAM, skill)
            asked.append(turns[-1])
            ids, _ = encode_conversation(tokenizer._tokenizer.backend_tokenizer, [*turns[:-1], (turns[-1][0], "")])
            prompts.append(ids[:-1])
        texts = batch_generate(model, tokenizer, prompts, max_tokens=_LONGEST_ANSWER, completion_batch_size=64).texts
        wrong = [(q, a, t) for (q, a), t in zip(asked, texts, strict=True) if t != a]
        figures.append(Figure(skill, each - len(wrong), each, wrong[0] if wrong else None))
    return figures
