"""What was found wrong, or worth knowing, about a data set. Plain data, for screens, commands and events alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
MOST_LINES = 1000
"""How many rows a problem lists at most; its count tells of all."""


@dataclass(frozen=True)
class Problem:
    """One kind of problem and all the rows it hits.

    Attributes:
        code: of the rule, such as "no-trainable-tokens".
        severity: "error" blocks training unless it is allowed by name, "warning" should be looked at, "info" is good
            to know.
        count: how many rows (or other things, as the message says) it hits.
        message: one sentence with its numbers: what it is and why it matters.
        fix: one clause: what a person can do.
        step: name of the fix that the program can make, to be put into `data.fixes`; empty where there is none.
        rows: (split, number) of the rows hit, from 0 in the source's own order within its split; the first thousand.
        lines: the lines of the file of these rows, as far as the format has lines.
        change: configuration that would mend it, such as {"train.max_seq_length": 4096}; empty where none would.
    """

    code: str
    severity: Severity
    count: int
    message: str
    fix: str = ""
    step: str = ""
    rows: tuple[tuple[str, int], ...] = ()
    lines: tuple[int, ...] = ()
    change: tuple[tuple[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As `tui-tuner data --json` lists it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "count": self.count,
            "lines": list(self.lines),
            "rows": [[split, number] for split, number in self.rows],
            "message": self.message,
            "fix": self.fix,
            "step": self.step,
            "change": dict(self.change),
        }
