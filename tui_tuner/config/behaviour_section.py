"""The section `[behaviour]`: what a model must do and must not, told as cases that are asked before and after training.

As in the rest of the model, the text under a key is its help. How an answer is judged is `evaluation.rules`' matter.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from tui_tuner.config.types import (
    AS_LIST,
    ConflictError,
    Filled,
    Name,
    Names,
    Number,
    Section,
    Switch,
    Text,
    Whole,
    form,
)

PATTERN = "re:"
"""What a rule begins with that is a regular expression."""
NUMBER = "number:"
"""What a rule begins with that is a number."""
LONGEST_PATTERN = 500
_HUGE = re.compile(r"e[+-]?[0_]*[1-9][\d_]{3,}", re.IGNORECASE)
"""A power of ten that would be written out: with a thousand million digits it would take all memory."""


def _is_rule(value: str) -> str:
    """Refuses a rule that could never be judged."""
    if value.startswith(NUMBER):
        number = value.removeprefix(NUMBER).strip()
        if _HUGE.search(number):
            raise ConflictError("", "is a number beyond all measure", 'write it as "number:42"')
        try:
            Fraction(number)
        except (ValueError, ZeroDivisionError):
            raise ConflictError("", "is no number", 'write it as "number:42"') from None
    elif value.startswith(PATTERN):
        import regex  # the matcher with a time limit; it knows a little more than Python's own

        pattern = value.removeprefix(PATTERN)
        if len(pattern) > LONGEST_PATTERN:
            raise ConflictError("", f"is longer than {LONGEST_PATTERN} characters", "split it into several rules")
        try:
            regex.compile(pattern, regex.IGNORECASE)
        except (regex.error, RecursionError, OverflowError, ValueError) as error:
            reason = str(error).partition(" at position")[0]
            raise ConflictError("", f"is no regular expression ({reason})", "mend it, or leave re: out") from None
    return value


Rule = Annotated[Filled, AfterValidator(_is_rule)]
Rules = Annotated[list[Rule], AS_LIST]


class BehaviourCase(Section):
    """One thing that is asked, and what its answer must hold and must not."""

    name: Name
    """What the case is called; results are told by it."""
    prompt: Filled
    """The question, put to the model as the first turn of a conversation."""
    system: Text = ""
    """A system message before it; empty for none."""
    must: Rules = Field(default_factory=list)
    """What the answer must hold, each of them: words, "re:" with a regular expression, or "number:" with a number.
    Words count whole, in any case, and in the plural with s; "choc*" is any word that begins so."""
    must_not: Rules = Field(default_factory=list)
    """What the answer must not hold, none of them; written as in must."""
    negation: Switch = False
    """Whether words of must_not may stand in a negation: with true, "no chicken" and "dairy-free" are no
    violation."""
    equals: Text = ""
    """The whole answer, to the letter but for white space around it; empty for any."""
    valid_json: Switch = False
    """Whether the answer must be JSON and nothing else; a fence of three backticks around it is allowed."""
    keys: Names = Field(default_factory=list)
    """Keys that the JSON object must have."""
    min_words: Whole = Field(0, ge=0)
    """The fewest words that the answer may have."""
    max_words: Whole = Field(0, ge=0)
    """The most words that the answer may have; 0 for any number."""
    samples: Whole = Field(0, ge=0, le=1000)
    """How many answers are drawn; 0 takes behaviour.samples."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        rules = (self.must, self.must_not, self.equals, self.valid_json, self.keys, self.min_words, self.max_words)
        if not any(rules):
            raise ConflictError("name", "has no rule that its answers are judged by", "give must or must_not")
        if self.max_words and self.min_words > self.max_words:
            raise ConflictError("min_words", f"is more than max_words ({self.max_words})", "lower it")
        return self


class BehaviourSection(Section):
    """What the model must do and must not, asked before and after training."""

    samples: Whole = Field(5, ge=1, le=1000, json_schema_extra=form(unit="answers"))
    """How many answers are drawn for each case; more make the pass rate surer. With temperature 0 all would be the
    same, so one is taken."""
    temperature: Number = Field(0.7, ge=0, le=5)
    """How freely answers are drawn; 0 takes the likeliest token each time. Take what the model will be used with."""
    max_tokens: Whole = Field(0, ge=0, json_schema_extra=form(unit="tokens"))
    """The longest answer in tokens; 0 takes evaluation.max_tokens."""
    cases: list[BehaviourCase] = Field(default_factory=list, json_schema_extra=form(basic=True))
    """The cases, each a table [[behaviour.cases]] with name, prompt and rules. A case passes when all its answers do;
    its pass rate is told with an interval."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [case.name for case in self.cases]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConflictError("cases", f'has two cases called "{twice}"', "give each case a name of its own")
        return self
