"""Whether an answer keeps to the rules of a case: what it must hold and must not, its form and its length.

Every rule that is broken is told in a sentence. Regular expressions come from presets, so from anybody: each match has
a time limit, and one that runs into it breaks its rule instead of holding up the program. Nothing here knows a model.
"""

from __future__ import annotations

import re
from fractions import Fraction

import regex

from tui_tuner.config.behaviour_section import NUMBER, PATTERN, BehaviourCase
from tui_tuner.evaluation.metrics.numbers import Number, numbers
from tui_tuner.evaluation.negation import negated
from tui_tuner.runs.files import strict_json
from tui_tuner.units import many

SECONDS = 0.5
"""How long a regular expression may search an answer. Sound ones take microseconds; ones that backtrack do not end."""

LONGEST_TEXT = 100_000
"""Characters of an answer that are searched; no cap on tokens lets one get there."""

_FENCE = re.compile(r"\s*```[\w-]*\n(.*?)\n?```\s*", re.DOTALL)


def broken(case: BehaviourCase, answer: str) -> list[str]:
    """A sentence for each rule of a case that an answer breaks; none when it passes."""
    text = answer[:LONGEST_TEXT]
    why = [f"it does not hold {_shown(rule)}{note}" for rule in case.must for note in _missing(rule, text)]
    why += [f"it holds {_shown(rule)}{note}" for rule in case.must_not for note in _present(rule, text, case.negation)]
    if case.equals and text.strip() != case.equals.strip():
        why.append(f'it is not "{case.equals.strip()}"')
    if case.valid_json or case.keys:
        why += _json_faults(text, case.keys)
    words = len(text.split())
    told = f"it has {many(words, 'word')}"
    if words < case.min_words:
        why.append(f"{told}, fewer than {case.min_words}")
    if case.max_words and words > case.max_words:
        why.append(f"{told}, more than {case.max_words}")
    return why


def mentions(words: str, text: str) -> list[tuple[int, int]]:
    """Where words stand in a text, as whole words in any case; the last one also with s or es.

    An asterisk at an end stands for the rest of a word. A rule of no letters or digits is looked for as it is.
    """
    core = words.strip("*").strip()
    if not core:
        return []
    pattern = r"\s+".join(map(re.escape, core.split()))
    if core[:1].isalnum() and not words.startswith("*"):
        pattern = rf"(?<!\w){pattern}"
    if core[-1:].isalnum() and not words.endswith("*"):
        pattern = rf"{pattern}(?:e?s)?(?!\w)"
    # Escaped words in a row: there is nothing here to backtrack over.
    return [found.span() for found in re.finditer(pattern, text, re.IGNORECASE)]


def _missing(rule: str, text: str) -> list[str]:
    """Nothing when a text holds what a rule asks for, else a note on why not."""
    if rule.startswith(PATTERN):
        found = _search(rule.removeprefix(PATTERN), text)
        return [] if found else [_TOO_LONG if found is None else ""]
    if rule.startswith(NUMBER):
        return [] if _holds_number(text, rule) else [""]
    return [] if mentions(rule, text) else [""]


def _present(rule: str, text: str, negation: bool) -> list[str]:
    """Nothing when a text is free of what a rule forbids, else a note on it."""
    if rule.startswith(PATTERN):
        found = _search(rule.removeprefix(PATTERN), text)
        return [_TOO_LONG] if found is None else [""] if found else []
    if rule.startswith(NUMBER):
        return [""] if _holds_number(text, rule) else []
    places = mentions(rule, text)
    return [""] if any(not (negation and negated(text, *place)) for place in places) else []


_TOO_LONG = f" (the expression took longer than {SECONDS:g} s)"


def _search(pattern: str, text: str) -> bool | None:
    """Whether a regular expression matches somewhere; None when that cannot be told in time."""
    try:
        return regex.search(pattern, text, regex.IGNORECASE, timeout=SECONDS) is not None
    except (TimeoutError, MemoryError):
        return None


def _holds_number(text: str, rule: str) -> bool:
    wanted = Number(Fraction(rule.removeprefix(NUMBER).strip()))
    return any(said.equals(wanted) for said in numbers(text))


def _json_faults(text: str, keys: list[str]) -> list[str]:
    fenced = _FENCE.fullmatch(text)
    try:
        value = strict_json(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return ["it is no valid JSON"]
    if not keys:
        return []
    if not isinstance(value, dict):
        return ["it is no JSON object"]
    return [f'its JSON has no key "{key}"' for key in keys if key not in value]


def _shown(rule: str) -> str:
    if rule.startswith(NUMBER):
        return f"the number {rule.removeprefix(NUMBER)}"
    return f"a match of {rule.removeprefix(PATTERN)}" if rule.startswith(PATTERN) else f'"{rule}"'
