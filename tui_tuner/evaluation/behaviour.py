"""Cases with rules, asked of a model: what it must do and must not, as shares of answers with their uncertainty.

A sampled answer is drawn by a seed that follows from the case's name and its number, so that before and after, and a
run that was killed and goes on, draw alike. Called on the MLX thread only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.config.behaviour_section import BehaviourCase, BehaviourSection
from tui_tuner.data.examples import conversation_tokens, opening_tokens
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.answers import AnswerStore
from tui_tuner.evaluation.generate import Drawing, greedy_answers, text_of
from tui_tuner.evaluation.rules import broken
from tui_tuner.runs.control import JobControl
from tui_tuner.shares import wilson_interval


@dataclass(frozen=True)
class Manner:
    """How cases are asked.

    Attributes:
        samples: answers to a case that names no number of its own.
        temperature: 0 is greedy, and takes one answer.
        max_tokens: cap on the tokens of one answer.
        batch_size: prompts answered at once.
        store: key of the answers that are kept, None for none.
    """

    samples: int
    temperature: float
    max_tokens: int
    batch_size: int
    store: str | None = None


def manner_of(section: BehaviourSection, max_tokens: int, batch_size: int) -> Manner:
    """How a configuration's cases are asked; `max_tokens` and `batch_size` are the benchmark's."""
    return Manner(section.samples, section.temperature, section.max_tokens or max_tokens, batch_size)


def case_prompt(case: BehaviourCase, tokenizer: Any) -> list[int]:
    """Token ids of a case's question, as the model gets them.

    Raises:
        TunerError: the model's chat template refuses it; names the case.
    """
    try:
        if not case.system:
            return opening_tokens(case.prompt, tokenizer)
        messages = [{"role": "system", "content": case.system}, {"role": "user", "content": case.prompt}]
        return conversation_tokens(messages, tokenizer)
    except TunerError as error:
        where = f'the case "{case.name}"'
        raise TunerError(error.message, code=error.code, where=where, fix=error.fix) from error


def answers_to(
    model: Any,
    tokenizer: Any,
    cases: Sequence[BehaviourCase],
    manner: Manner,
    *,
    control: JobControl,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[str]]:
    """The answers to each case, in the order of their numbers.

    Args:
        tell: hears how many answers are there, and how many there will be.

    Raises:
        StopRequested: when asked to stop.
        TunerError: as `case_prompt`.
    """
    prompts, drawings, owners = list[list[int]](), list[Drawing | None](), list[tuple[int, int]]()
    for number, case in enumerate(cases):
        ids = case_prompt(case, tokenizer)
        for sample in range((case.samples or manner.samples) if manner.temperature else 1):
            prompts.append(ids)
            drawings.append(Drawing(manner.temperature, _seed(case.name, sample)) if manner.temperature else None)
            owners.append((number, sample))
    texts: dict[int, str] = {}
    with AnswerStore(manner.store) as store:
        marks = [_marked(ids, drawing) for ids, drawing in zip(prompts, drawings, strict=True)]
        for index, mark in enumerate(marks):
            if known := store.get(mark):
                texts[index] = text_of(tokenizer, known[0])
        tell(len(texts), len(prompts))
        missing = [index for index in range(len(prompts)) if index not in texts]
        for answer in greedy_answers(
            model,
            tokenizer,
            [prompts[index] for index in missing],
            max_tokens=manner.max_tokens,
            batch_size=manner.batch_size,
            control=control,
            drawings=[drawings[index] for index in missing],
        ):
            index = missing[answer.index]
            texts[index] = answer.text
            store.put(marks[index], answer.tokens, answer.finish)
            tell(len(texts), len(prompts))
    found: list[list[str]] = [[] for _ in cases]
    for index, (number, _) in enumerate(owners):
        found[number].append(texts[index])
    return found


def behaviour_document(label: str, cases: Sequence[BehaviourCase], answers: Sequence[Sequence[str]]) -> dict[str, Any]:
    """What `behaviour-<label>.json` holds: every answer with what is wrong with it, and pass rates with intervals.

    A case's rate is over its answers. The whole's is the share of cases all of whose answers passed: answers to one
    case are alike, and counting each for itself would make the interval too narrow.
    """
    told = []
    for case, texts in zip(cases, answers, strict=True):
        judged = [{"text": text, "why": broken(case, text)} for text in texts]
        passed = sum(not each["why"] for each in judged)
        told.append(
            {
                "name": case.name,
                "prompt": case.prompt,
                "passed": passed,
                "samples": len(texts),
                **rate(passed, len(texts)),
                "answers": [{**each, "passed": not each["why"]} for each in judged],
            }
        )
    whole = sum(case["passed"] == case["samples"] for case in told)
    return {"label": label, "cases": told, "n": len(told), "passed": whole, **rate(whole, len(told))}


def rate(passed: int, n: int) -> dict[str, float]:
    """A share with its 95 % interval (Wilson)."""
    low, high = wilson_interval(passed, n)
    return {"rate": passed / n, "low": low, "high": high}


def _seed(name: str, sample: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{name}\0{sample}".encode()).digest()[:4], "big")


def _marked(ids: list[int], drawing: Drawing | None) -> list[int]:
    """What an answer is kept under: the prompt, and how it was drawn, behind a number that is no token."""
    return ids if drawing is None else [*ids, -1, drawing.seed, round(drawing.temperature * 1_000_000)]
