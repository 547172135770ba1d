"""Runs all rules over a data set, row by row, and sums up what they found.

A linter only looks: what is mended, left out or blocked is decided by who asked. Rows come one at a time and are not
kept; damaged and refused records come by their own ways, and are problems of severity error under their own codes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

from tui_tuner.data.findings import MOST_LINES, SEVERITIES, Problem
from tui_tuner.data.lint.facts import LintContext, RowFacts, Tally
from tui_tuner.data.lint.forms import FOLD, change_to, choose, of_form
from tui_tuner.data.lint.rows import ROW_RULES
from tui_tuner.data.lint.sets import SET_RULES, Collected, answers_of, near_duplicates
from tui_tuner.data.table import Fault, Place
from tui_tuner.errors import TunerError
from tui_tuner.units import many

ALLOWABLE = ("leakage", "lost-words")
"""Errors that can be trained in spite of; with any other there would be no row, or no number, to train on."""
_MOST_EXAMPLES = 3


class Linter:
    """Takes the rows of a set one by one, then lists its problems.

    Args:
        context: what is true of the whole set.
    """

    def __init__(self, context: LintContext) -> None:
        self.context = context
        self._tallies = {rule.code: Tally() for rule in ROW_RULES}
        self._collected = Collected()
        self._refused: dict[str, list[tuple[Place, TunerError]]] = defaultdict(list)
        self._rows = 0

    def take(self, facts: RowFacts) -> list[str]:
        """Looks at one row; the codes of the row rules that hit it."""
        self._rows += 1
        hits = []
        for rule in ROW_RULES:
            hit = rule.find(facts, self.context)
            if hit is None:
                continue
            hits.append(rule.code)
            tally = self._tallies[rule.code]
            tally.count += 1
            tally.amount += hit.amount
            if hit.example and len(tally.examples) < _MOST_EXAMPLES and hit.example not in tally.examples:
                tally.examples.append(hit.example)
            if len(tally.places) < MOST_LINES:
                tally.places.append((facts.split, facts.number, facts.line))
        self._collected.take(facts)
        return hits

    def fault(self, fault: Fault) -> None:
        """Takes note of a record that could not be read."""
        self.refusal(fault.place, fault.error())

    def refusal(self, place: Place, error: TunerError) -> None:
        """Takes note of a record that no row could be made of, or that could not be rendered."""
        self._refused[error.code].append((place, error))

    def finish(self) -> list[Problem]:
        """All problems, errors first, then by how many rows they hit."""
        problems = [self._refusals(code) for code in self._refused]
        for rule in ROW_RULES:
            tally = self._tallies[rule.code]
            tally.total = self._rows
            if tally.count:
                problems.append(
                    Problem(
                        code=rule.code,
                        severity=rule.severity,
                        count=tally.count,
                        message=rule.say(tally, self.context),
                        fix=rule.fix,
                        step=rule.step,
                        rows=tuple((split, number) for split, number, _ in tally.places),
                        lines=tuple(sorted({line for _, _, line in tally.places if line})),
                    )
                )
        found = [rule(self._collected, self.context) for rule in SET_RULES]
        found += near_duplicates(self._collected, self.context)
        problems += [problem for problem in found if problem is not None]
        problems += of_form(self._collected, self.context)
        return sorted(problems, key=lambda problem: (SEVERITIES.index(problem.severity), -problem.count))

    def answers(self) -> dict[str, Any]:
        """The training answers at a glance, as `Report.answers` has it."""
        return answers_of(self._collected)

    def _refusals(self, code: str) -> Problem:
        refused = self._refused[code]
        first = refused[0][1]
        count = len(refused)
        message = f"{many(count, 'record', 'records')} can't be used: {first.message}"
        if count > 1:
            message += f" (the first at {first.where or refused[0][0]})"
        places = [place for place, _ in refused[:MOST_LINES]]
        form = self.context.form
        # Records that no row is made of can be left out; rows that the template refuses want another template.
        fix, step, change = first.fix, "drop-unusable", tuple[tuple[str, object], ...]()
        if code == "system-role":
            step = FOLD
        elif code == "no-chat-template" or (code == "chat-template" and form.refusal):
            fix, step, change = choose(form.suggested), "", change_to(form.suggested)
        elif code == "chat-template":
            step = "merge-turns" if "alternat" in first.message else ""
        return Problem(
            code=code,
            severity="error",
            count=count,
            message=message,
            fix=fix,
            step=step,
            rows=(),
            lines=tuple(sorted({place.line for place in places if place.line})),
            change=change,
        )


def allowed(problems: list[Problem], codes: list[str]) -> list[Problem]:
    """The same problems with errors that a person allows by their codes turned into warnings.

    A code that cannot be allowed, of a problem that is there, is one more problem: nobody shall think it was heeded.
    """
    found = [
        replace(problem, severity="warning", message=f"{problem.message} (allowed by data.allow)")
        if problem.severity == "error" and problem.code in codes and problem.code in ALLOWABLE
        else problem
        for problem in problems
    ]
    blocking = {problem.code for problem in found if problem.severity == "error"}
    for code in dict.fromkeys(code for code in codes if code in blocking):
        message = f'data.allow names "{code}", which cannot be trained in spite of'
        fix = "mend it instead; " + ", ".join(ALLOWABLE) + " can be allowed"
        found.append(Problem("not-allowable", "warning", 1, message, fix))
    return found
