"""Rules that look at the whole set: copies, leaks, answers that say nothing, tests that can tell nothing.

They work on what was collected row by row (hashes, lengths, counts), so that the rows themselves need not be kept.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tui_tuner.data.findings import MOST_LINES, Problem, Severity
from tui_tuner.data.formprobe import CALLS, EARLIER
from tui_tuner.data.lint import patterns
from tui_tuner.data.lint.facts import LintContext, RowFacts
from tui_tuner.data.lint.near import NearDuplicates
from tui_tuner.data.shapes import SURE
from tui_tuner.units import many

HELD_OUT = ("valid", "test", "unseen")
_LONGEST_LABEL = 80  # characters of an answer that is counted as a whole
_FEW_WORDS, _TOP = 5, 10
_DOMINANT, _FEWEST_DOMINANT = 0.4, 12
_BLOCKING_LEAK = 0.05
_FACT = re.compile(r"\d+(?:\.\d+)?|[^\W\d]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SAME_NUMBER, _FEWEST_NUMBERS = 0.9, 8
_TELLING = 0.1  # the difference that a test should be able to tell


@dataclass
class Collected:
    """What is kept of every row.

    Attributes:
        places: (split, number, line) of each.
        whole, question: hashes of the row and of its prompt (of a text row of its text), blanks and case aside.
        answer: hash of its answer.
        labels: how often each short answer occurs in training, as written.
        given: hashes of the training answers, as written.
        words: how many training answers have so many words.
        untold: rows by split whose short answer has a number, or without numbers a word, that the question lacks.
        roles: how many conversations each role speaks in; EARLIER counts those with several answers, CALLS
            those that call tools.
        near: texts for the search of near duplicates; of questions, with the answers of text rows.
        counts: rows by split.
        kinds: rows by kind.
        marks: of text rows, how often each special token is the first; "" counts those without any.
        last_numbers: how often each number is the last of a test answer.
    """

    places: list[tuple[str, int, int]] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    question: list[int] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    given: set[int] = field(default_factory=set)
    words: Counter[int] = field(default_factory=Counter)
    near: NearDuplicates = field(default_factory=NearDuplicates)
    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    untold: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    last_numbers: Counter[str] = field(default_factory=Counter)

    def take(self, facts: RowFacts) -> None:
        """Keeps what the rules need of a row."""
        self.places.append((facts.split, facts.number, facts.line))
        question = _folded(facts.prompt or facts.answer)
        answer = _folded(facts.answer)
        self.question.append(hash(question))
        self.answer.append(hash(answer))
        self.whole.append(hash((question, answer)))
        self.near.add(f"{question} {answer}" if facts.prompt else answer)
        self.counts[facts.split] += 1
        self.kinds[facts.kind] += 1
        if facts.kind == "chat":
            said = [str(message["role"]) for message in facts.row["messages"]]
            self.roles.update(set(said))
            self.roles[EARLIER] += said.count("assistant") > 1
            self.roles[CALLS] += any(message.get("tool_calls") for message in facts.row["messages"])
        if facts.kind == "text":
            token = patterns.FOREIGN_TOKENS.search(facts.text) if patterns.may_hold_tokens(facts.text) else None
            self.marks[token.group() if token else ""] += 1
            return
        if facts.split == "test" and (numbers := _NUMBER.findall(facts.answer)):
            self.last_numbers[numbers[-1]] += 1
        if facts.split == "train":
            self.given.add(hash(facts.answer.strip()))
            self.words[answer.count(" ") + 1] += 1
        if len(facts.answer) > _LONGEST_LABEL:
            return
        self.untold[facts.split] += _tells_more(facts)
        if facts.split == "train":
            self.labels[facts.answer.strip()] += 1


def answers_of(found: Collected) -> dict[str, Any]:
    """The training answers: how many different ones, whether their median is short, and the most frequent."""
    if not found.words:
        return {}
    median = float(np.median(np.repeat(list(found.words), list(found.words.values()))))
    top = sorted(found.labels.items(), key=lambda item: (-item[1], item[0]))[:_TOP]
    return {"distinct": len(found.given), "short": median <= _FEW_WORDS, "top": [list(item) for item in top]}


def _tells_more(facts: RowFacts) -> bool:
    """Whether an answer holds facts that its question does not state: it cannot be worked out, only known."""
    said = _FACT.findall(facts.answer)
    numbers = [fact for fact in said if fact[0].isdigit()]
    stated = set(_FACT.findall(facts.prompt))
    return any(fact not in stated for fact in numbers or said)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


SetRule = Callable[[Collected, LintContext], Problem | None]


def _problem(
    code: str, severity: Severity, places: Iterable[tuple[str, int, int]], message: str, fix: str,
    *, step: str = "", count: int | None = None, change: tuple[tuple[str, object], ...] = (),
) -> Problem:  # fmt: skip
    listed = list(places)
    shown = listed[:MOST_LINES]
    return Problem(
        code=code,
        severity=severity,
        count=len(listed) if count is None else count,
        message=message,
        fix=fix,
        step=step,
        rows=tuple((split, number) for split, number, _ in shown),
        lines=tuple(sorted({line for _, _, line in shown if line})),
        change=change,
    )


def duplicates(found: Collected, _context: LintContext) -> Problem | None:
    """Training rows that are copies of earlier ones: they count twice, and are learned by heart first."""
    seen: set[int] = set()
    copies = []
    for place, whole in zip(found.places, found.whole, strict=True):
        if place[0] != "train":
            continue
        if whole in seen:
            copies.append(place)
        seen.add(whole)
    if not copies:
        return None
    total = found.counts["train"]
    what = f"{many(len(copies), 'training row is a copy', 'training rows are copies')} of others ({total:,} in all)"
    severity: Severity = "warning" if len(copies) >= 0.01 * total else "info"
    return _problem("duplicates", severity, copies, what, "keep one of each", step="drop-duplicates")


def leakage(found: Collected, context: LintContext) -> Problem | None:
    """Held-out rows that training holds too, answer and all: their scores measure memory."""
    trained = {w for place, w in zip(found.places, found.whole, strict=True) if place[0] == "train"}
    leaked = [
        place for place, w in zip(found.places, found.whole, strict=True) if place[0] in HELD_OUT and w in trained
    ]
    if not leaked:
        return None
    held = sum(found.counts[name] for name in HELD_OUT)
    share = len(leaked) / held
    message = (
        f"{many(len(leaked), 'held-out row stands', 'held-out rows stand')} in training too ({share:.0%} of {held:,}), "
        "so validation and benchmark measure memory"
    )
    severity: Severity = "error" if share >= _BLOCKING_LEAK else "warning"
    return _problem("leakage", severity, leaked, message, "take them out of training", step="drop-leaks")


def leaked_questions(found: Collected, context: LintContext) -> Problem | None:
    """Held-out rows whose question training asks too, with another answer."""
    if context.split == "facts":
        return None
    trained = {q for place, q in zip(found.places, found.question, strict=True) if place[0] == "train"}
    whole = {w for place, w in zip(found.places, found.whole, strict=True) if place[0] == "train"}
    leaked = [
        place
        for place, q, w in zip(found.places, found.question, found.whole, strict=True)
        if place[0] in HELD_OUT and q in trained and w not in whole
    ]
    if not leaked:
        return None
    message = (
        f"{many(len(leaked), 'held-out row asks', 'held-out rows ask')} what training asks too, with other answers"
    )
    return _problem(
        "leaked-questions", "warning", leaked, message, 'keep the same question on one side: data.split = "grouped"'
    )


def near_duplicates(found: Collected, context: LintContext) -> tuple[Problem | None, Problem | None]:
    """Rows that nearly repeat others, within training and across the splits."""
    within, across = [], []
    for number, earlier in found.near.pairs():
        if found.whole[number] == found.whole[earlier]:
            continue
        first, second = found.places[earlier], found.places[number]
        if first[0] == second[0] == "train":
            within.append(second)
        elif "train" in (first[0], second[0]) and context.split != "facts":
            across.append(second if second[0] != "train" else first)
    inside = outside = None
    if within:
        total = found.counts["train"]
        rows = many(len(within), "training row nearly repeats another", "training rows nearly repeat others")
        severity: Severity = "warning" if len(within) >= 0.05 * total else "info"
        inside = _problem(
            "near-duplicates", severity, within, f"{rows} ({total:,} in all)", "look whether they add anything"
        )
    if across:
        rows = many(len(across), "held-out row nearly repeats", "held-out rows nearly repeat")
        outside = _problem(
            "near-leakage", "warning", across, f"{rows} a training row, so the benchmark may measure memory",
            "keep rows about the same thing on one side: data.split = \"grouped\"",
        )  # fmt: skip
    return inside, outside


def contradictions(found: Collected, context: LintContext) -> Problem | None:
    """The same question with different answers in training: the loss cannot fall below their disagreement."""
    answers: dict[int, set[int]] = defaultdict(set)
    for place, question, answer in zip(found.places, found.question, found.answer, strict=True):
        if place[0] == "train":
            answers[question].add(answer)
    torn = {question for question, given in answers.items() if len(given) > 1}
    if not torn or context.shape == "text":
        return None
    hit = [place for place, q in zip(found.places, found.question, strict=True) if place[0] == "train" and q in torn]
    rows = many(len(hit), "row")
    message = f"{many(len(torn), 'question has', 'questions have')} different answers in training ({rows})"
    return _problem("contradictions", "warning", hit, message, "settle on one answer, or ask more precisely")


def dominant_answer(found: Collected, context: LintContext) -> Problem | None:
    """One answer makes up most of training: always giving it is nearly right, and says nothing."""
    total = found.counts["train"]
    if not found.labels or total < _FEWEST_DOMINANT:
        return None
    answer, count = found.labels.most_common(1)[0]
    if count < max(_DOMINANT * total, _FEWEST_DOMINANT):
        return None
    shown = answer if len(answer) <= 40 else answer[:39] + "…"
    message = (
        f'{count:,} of {total:,} training answers are the same ("{shown}"): a model that always says it is right '
        f"{count / total:.0%} of the time"
    )
    return _problem(
        "dominant-answer", "warning", [], message, "leave out what is not worth asking (data.filter), or balance it",
        count=count,
    )  # fmt: skip


def unseen_facts(found: Collected, context: LintContext) -> Problem | None:
    """Rows made of a table of facts, with whole records held out: nobody can know an answer that was never shown."""
    if context.shape != "table" or not context.templated or context.split != "records":
        return None
    held = sum(found.counts[name] for name in HELD_OUT)
    if not held or found.untold["train"] < 0.5 * found.counts["train"]:
        return None
    wordings = "" if context.wordings > 2 else "write three wordings or more, and "
    message = (
        f"{many(held, 'held-out row asks', 'held-out rows ask')} facts that training never shows, so their loss and "
        "score tell of guessing, not of recall"
    )
    fix = f'{wordings}set data.split = "facts" if the model shall know these facts; keep it if it shall learn the form'
    return _problem("unseen-facts", "warning", [], message, fix, count=held)


def fewer_than_a_batch(found: Collected, context: LintContext) -> Problem | None:
    """Fewer training rows than one batch; mlx-lm fails on it."""
    total = found.counts["train"]
    if not 0 < total < context.batch_size:
        return None
    message = f"{many(total, 'training row is', 'training rows are')} fewer than one batch of {context.batch_size}"
    severity: Severity = "error" if context.drops_remainder else "warning"
    return _problem(
        "fewer-rows-than-batch", severity, [], message, "lower train.batch_size, or add rows", count=total,
        change=(("train.batch_size", total),),
    )  # fmt: skip


def smallest_difference(rows: int) -> float:
    """The smallest difference of a share that so many paired rows can tell from chance, 0..1.

    At 5 % significance with 80 % power: (1.96 + 0.84)² · d / n with d the share of rows that change, taken as half of
    those that could (McNemar's test, Connor 1987). For n rows that is about 2.8 · √(0.25 / n), at most 1.
    """
    return min(2.8 * math.sqrt(0.25 / rows), 1.0)


def small_test(found: Collected, context: LintContext) -> Problem | None:
    """A test with which an improvement of ten points cannot be told from chance."""
    rows = found.counts["test"]
    if not context.benchmark or not rows or smallest_difference(rows) <= _TELLING:
        return None
    needed = math.ceil(0.25 * (2.8 / _TELLING) ** 2)
    message = (
        f"with {many(rows, 'test row', 'test rows')} a difference below about {smallest_difference(rows):.0%} cannot "
        f"be told from chance; {needed:,} rows would tell {_TELLING:.0%}"
    )
    return _problem("small-test", "info", [], message, "raise data.test or data.test_share", count=rows)


def same_number(found: Collected, context: LintContext) -> Problem | None:
    """The number that numeric accuracy looks at, the last of an answer, is nearly always the same one."""
    ends = sum(found.last_numbers.values())
    if not context.numeric or ends < _FEWEST_NUMBERS:
        return None
    number, times = found.last_numbers.most_common(1)[0]
    if times < _SAME_NUMBER * ends:
        return None
    message = (
        f"numeric_accuracy looks at the last number of an answer, and that is {number} in {times:,} of {ends:,} "
        "test rows: it would be right whatever else the answer says"
    )
    fix = "write the answers so that the number that matters comes last, or leave numeric_accuracy out"
    return _problem("same-number", "warning", [], message, fix, count=times)


def no_validation(found: Collected, context: LintContext) -> Problem | None:
    """Nothing is held back for validation: overfitting would go unseen."""
    if found.counts["valid"] or not found.counts["train"]:
        return None
    return _problem(
        "no-validation", "warning", [], "no rows are held back for validation, so overfitting would go unseen",
        "set data.valid, or bring a valid file", count=1,
    )  # fmt: skip


def template_mismatch(found: Collected, context: LintContext) -> Problem | None:
    """Trained on bare text, asked through a chat template: the model meets a form that it was not trained on."""
    # Texts with the model's own turn tokens are in the form that it is asked in.
    bare = sum(count for token, count in found.marks.items() if token not in context.specials)
    if not bare or not context.has_template:
        return None
    message = (
        "the rows are bare texts, while chat and benchmark ask through the model's chat template: what is learned may "
        "not show there, and answers may not stop"
    )
    fix = "make prompt and answer of the texts (templates), or use the model for completing text only"
    return _problem("template-mismatch", "warning", [], message, fix, count=bare)


def unsure_shape(found: Collected, context: LintContext) -> Problem | None:
    """What the records are was guessed, and not surely."""
    if context.templated or context.confidence >= SURE:
        return None
    message = f"the records were taken for {context.shape} with {context.confidence:.0%} confidence only"
    return _problem("unsure-shape", "warning", [], message, "look at a row, and set data.shape or templates", count=1)


SET_RULES: tuple[SetRule, ...] = (
    leakage,
    leaked_questions,
    duplicates,
    contradictions,
    dominant_answer,
    unseen_facts,
    template_mismatch,
    unsure_shape,
    fewer_than_a_batch,
    no_validation,
    small_test,
    same_number,
)
"""Every rule about the whole set but that of near duplicates, which gives two problems at once."""
