"""The experiment as a text that a person edits, kept in step with the form in both directions.

What was written stays: a change in the form touches only the value that changed. While the text is wrong it is kept as
it is, and the experiment stays what the text said last when it was right. Nothing here may write a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui_tuner.config.locate import key_lines
from tui_tuner.config.model import Experiment
from tui_tuner.config.patch import brief, patched, says
from tui_tuner.config.toml import experiment_from_text
from tui_tuner.errors import TunerError

_LINE = re.compile(r"\bline (\d+)")
_MOST = 100
"""Texts that are remembered, so that taking a change back takes the text back too."""


@dataclass(frozen=True)
class Wrong:
    """What is wrong with the text.

    Attributes:
        text: one sentence.
        lines: the lines that it is about, from 0; empty where it is about none.
    """

    text: str
    lines: tuple[int, ...]


class Document:
    """A text and the experiment that it says.

    Attributes:
        text: as it stands, right or wrong.
        experiment: what it says, or said when it was last right; None before anything was shown.
        wrong: what is wrong with it, or None.
        lost: whether remarks of the text before could not be kept.
    """

    def __init__(self) -> None:
        self.text = ""
        self.experiment: Experiment | None = None
        self.wrong: Wrong | None = None
        self.lost = False
        self._right = ""
        self._seen: list[tuple[Experiment, str]] = []

    def begin(self, experiment: Experiment, written: str = "") -> None:
        """Starts with an experiment.

        Args:
            written: the text that it, or what it was made of, was written as; used as far as it says the same.
        """
        self._seen.clear()
        self.lost = False
        self._take(experiment, self._as_written(experiment, written) or brief(experiment))

    def _as_written(self, experiment: Experiment, written: str) -> str:
        if not written or says(written, experiment):
            return written
        try:
            before = experiment_from_text(written, "")
        except TunerError:
            return ""
        return patched(written, before, experiment) or ""

    def follow(self, experiment: Experiment) -> bool:
        """Brings the text to an experiment that was changed elsewhere; whether anything changed.

        A text that is wrong just now is given up for it.
        """
        if experiment == self.experiment and self.wrong is None:
            return False
        known = next((text for said, text in reversed(self._seen) if said == experiment), None)
        if known is None and self.experiment is not None:
            known = patched(self._right, self.experiment, experiment)
        self.lost = known is None and "#" in self._right
        self._take(experiment, known if known is not None else brief(experiment))
        return True

    def write(self, text: str) -> bool:
        """Takes over what a person typed; whether it says another experiment now."""
        if text == self.text:
            return False
        self.text = text
        try:
            experiment = experiment_from_text(text, "the text")
        except TunerError as error:
            self.wrong = Wrong(error.sentence(), lines_of(error, text))
            return False
        changed = experiment != self.experiment
        self._take(experiment, text)
        return changed

    def give_up(self) -> None:
        """Goes back to the text that was right last."""
        self.text, self.wrong = self._right, None

    def line_of(self, key: str) -> int | None:
        """The line, from 0, that a dotted key stands on, or its section; None where it is not written."""
        lines = key_lines(self.text)
        section, _, name = key.partition(".")
        found = lines.get((section, name), lines.get((section,)))
        return found - 1 if found is not None else None

    def has(self, key: str) -> bool:
        """Whether a dotted key is written."""
        return tuple(key.split(".")) in key_lines(self.text)

    def _take(self, experiment: Experiment, text: str) -> None:
        self.experiment, self.text, self._right, self.wrong = experiment, text, text, None
        self._seen.append((experiment, text))
        del self._seen[:-_MOST]


def lines_of(error: TunerError, text: str) -> tuple[int, ...]:
    """The lines of a text, from 0, that a failure is about."""
    found = tuple(int(number) - 1 for number in _LINE.findall(f"{error.where} {error.message}"))
    last = text.count("\n")
    return tuple(sorted({min(line, last) for line in found}))
