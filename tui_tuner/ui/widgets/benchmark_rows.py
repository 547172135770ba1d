"""The answers before and after, row by row: read from a run's evaluation folder, paired, and put in order.

Reading may take long, so `read_pairs` is meant for a thread. A row that cannot be read is counted, never fatal, and
nothing is shown as measured that was not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Order = Literal["index", "worst", "best"]
ORDERS: tuple[Order, ...] = ("index", "worst", "best")
ORDER_NAMES: dict[Order, str] = {"index": "in order", "worst": "most lost first", "best": "most gained first"}

LARGE = 256 * 1024
"""Bytes of result files above which they are not read on the event loop."""


@dataclass(frozen=True)
class Answer:
    """What was said to one row."""

    prediction: str
    scores: dict[str, float]
    tokens: int = 0
    finish: str = ""


@dataclass
class Pair:
    """One test row with the answers of both sides, as far as they are there."""

    index: int
    prompt: str
    reference: str
    before: Answer | None = None
    after: Answer | None = None

    def difference(self, metric: str) -> float | None:
        """After minus before on one metric; None unless both were scored by it."""
        if self.before is None or self.after is None:
            return None
        first, second = self.before.scores.get(metric), self.after.scores.get(metric)
        return None if first is None or second is None else second - first


@dataclass
class Pairs:
    """All rows of a run's evaluation; `damaged` lines could not be read."""

    rows: list[Pair] = field(default_factory=list)
    damaged: int = 0

    @property
    def metrics(self) -> list[str]:
        """The metrics that any row was scored by, in their order."""
        seen: dict[str, None] = {}
        for row in self.rows:
            for answer in (row.before, row.after):
                if answer is not None:
                    seen.update(dict.fromkeys(answer.scores))
        return list(seen)


def files(folder: Path) -> tuple[Path, Path]:
    """The result files of both sides."""
    return folder / "before.jsonl", folder / "after.jsonl"


def fingerprint(folder: Path) -> tuple[tuple[int, int], ...]:
    """What changes when a result file changes: size and time of each, zeros where there is none."""
    found = []
    for path in files(folder):
        try:
            stat = path.stat()
            found.append((stat.st_size, stat.st_mtime_ns))
        except OSError:
            found.append((0, 0))
    return tuple(found)


def read_pairs(folder: Path) -> Pairs:
    """Reads both sides and joins them by row index.

    Raises:
        OSError: a file is there but cannot be read.
    """
    pairs = Pairs()
    by_index: dict[int, Pair] = {}
    for side, path in zip(("before", "after"), files(folder), strict=True):
        if not path.exists():
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if not line.strip():
                continue
            parsed = _parse(line)
            if parsed is None:
                pairs.damaged += 1
                continue
            index, row, answer = parsed
            pair = by_index.setdefault(index, Pair(index, _text(row.get("prompt")), _text(row.get("reference"))))
            setattr(pair, side, answer)
    pairs.rows = [by_index[index] for index in sorted(by_index)]
    return pairs


def _parse(line: str) -> tuple[int, dict[str, Any], Answer] | None:
    try:
        row = json.loads(line)
        index = int(row["index"])
        scores = row.get("scores") or {}
        numbers = {str(name): float(value) for name, value in scores.items() if isinstance(value, (int, float))}
        answer = Answer(_text(row["prediction"]), numbers, int(row.get("tokens") or 0), str(row.get("finish") or ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return index, row, answer


def _text(value: object) -> str:
    """Prompts are usually strings; conversations are shown as role and text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return "\n".join(f"{item.get('role', '')}: {item.get('content', '')}" for item in value)
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def ordered(rows: Sequence[Pair], order: Order, metric: str) -> list[Pair]:
    """The rows in an order; those without a difference come last, and ties keep the order of the rows."""
    if order == "index":
        return list(rows)
    sign = 1 if order == "worst" else -1

    def key(row: Pair) -> tuple[bool, float, int]:
        difference = row.difference(metric)
        return (difference is None, sign * (difference or 0.0), row.index)

    return sorted(rows, key=key)
