"""The answers that a benchmark stored, row by row: read from a folder of results, paired, and never judged here.

Reading may take long, so whoever has a screen does it in a thread. A row that cannot be read is counted, never fatal;
what a row does not tell is left out, and nothing is shown as measured that was not.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_tuner.data.rows import messages_of, row_kind
from tui_tuner.errors import TunerError

BEFORE, AFTER = "before", "after"
PAIR = ("base", "adapter")
"""What the two sides are called of a run that was not measured as it went: before and after are its own to write."""
DEFAULT_SPLIT = "test"
"""The part that rows belong to which do not say otherwise."""
UNSEEN = "unseen"
"""The part of facts that were never trained."""
_PARTIAL = ".partial.jsonl"


@dataclass(frozen=True)
class Answer:
    """What was said to one row.

    Attributes:
        scores: metric → value of this row.
        tokens: how many were generated; 0 when untold.
        finish: `stop`, `length` (the cap was reached), or empty when untold.
        counted: cross-entropy of the reference's tokens, added up, and their number; 0 of them when untold.
    """

    prediction: str
    scores: dict[str, float]
    tokens: int = 0
    finish: str = ""
    counted: tuple[float, int] = (0.0, 0)


@dataclass
class Pair:
    """One test row with the answers of two sides, `a` and `b`, as far as they are there."""

    index: int
    prompt: str
    reference: str
    a: Answer | None = None
    b: Answer | None = None
    split: str = DEFAULT_SPLIT

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Those there are."""
        return tuple(answer for answer in (self.a, self.b) if answer is not None)

    def difference(self, metric: str) -> float | None:
        """b minus a on one metric; None unless both were scored by it."""
        if self.a is None or self.b is None:
            return None
        first, second = self.a.scores.get(metric), self.b.scores.get(metric)
        return None if first is None or second is None else second - first

    @property
    def changed(self) -> bool:
        """Whether the two sides said something else."""
        return self.a is not None and self.b is not None and self.a.prediction != self.b.prediction

    @property
    def capped(self) -> bool:
        """Whether an answer ran into the cap on its tokens."""
        return any(answer.finish == "length" for answer in self.answers)

    @property
    def empty(self) -> bool:
        """Whether an answer says nothing."""
        return any(not answer.prediction.strip() for answer in self.answers)

    @property
    def length(self) -> int:
        """Tokens of the longer answer; its words where tokens were not counted."""
        return max((answer.tokens or len(answer.prediction.split()) for answer in self.answers), default=0)


@dataclass
class Pairs:
    """The rows of two results.

    Attributes:
        rows: by their index.
        damaged: lines that could not be read.
        strangers: rows that have the same index and another reference on both sides; they are no pair and left out.
    """

    rows: list[Pair] = field(default_factory=list)
    damaged: int = 0
    strangers: int = 0

    @property
    def metrics(self) -> list[str]:
        """The metrics that any row was scored by, in their order."""
        seen: dict[str, None] = {}
        for row in self.rows:
            for answer in row.answers:
                seen.update(dict.fromkeys(answer.scores))
        return list(seen)

    @property
    def splits(self) -> list[str]:
        """The parts that rows belong to, in their order."""
        return list(dict.fromkeys(row.split for row in self.rows))


def labels(folder: Path) -> list[str]:
    """The results in a folder by their labels: before, after, base, adapter, then the others, numbers by their size."""
    try:
        names = [path.name for path in folder.iterdir() if path.name.endswith(".jsonl")]
    except OSError:
        return []
    found = {name.removesuffix(_PARTIAL).removesuffix(".jsonl") for name in names}
    first = [label for label in (BEFORE, AFTER, *PAIR) if label in found]
    return first + sorted(found - set(first), key=_natural)


def _natural(label: str) -> list[tuple[int, str]]:
    """Sorts `step-60` before `step-120`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", label)]


def rows_file(folder: Path, label: str) -> Path:
    """The rows of a result: the finished file, or the one that still grows while there is no other."""
    whole, partial = folder / f"{label}.jsonl", folder / f"{label}{_PARTIAL}"
    return partial if not whole.exists() and partial.exists() else whole


def grows(path: Path) -> bool:
    """Whether a file of rows is that of a benchmark which is not finished."""
    return path.name.endswith(_PARTIAL)


def fingerprint(paths: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    """What changes when one of the files does: size and time of each, zeros where there is none."""
    found = []
    for path in paths:
        try:
            state = path.stat()
            found.append((state.st_size, state.st_mtime_ns))
        except OSError:
            found.append((0, 0))
    return tuple(found)


def read_pairs(first: Path | None, second: Path | None) -> Pairs:
    """Reads two files of rows and joins them by index; either may be missing.

    Raises:
        OSError: a file is there but cannot be read.
    """
    pairs = Pairs()
    by_index: dict[int, Pair] = {}
    strangers: set[int] = set()
    for side, path in (("a", first), ("b", second)):
        if path is None or not path.exists():
            continue
        for index, row, answer in _rows(path, pairs):
            reference = _text(row.get("reference"))
            pair = by_index.get(index)
            if pair is None:
                split = row.get("split")
                split = split if isinstance(split, str) and split else DEFAULT_SPLIT
                pair = by_index[index] = Pair(index, _text(row.get("prompt")), reference, split=split)
            elif reference and pair.reference and reference != pair.reference:
                strangers.add(index)
            setattr(pair, side, answer)
    pairs.rows = [by_index[index] for index in sorted(by_index) if index not in strangers]
    pairs.strangers = len(strangers)
    return pairs


def fill_in(pairs: Pairs, test: Path) -> None:
    """Gives rows that were answered just now, which are stored without their prompts, those of the run's test rows.

    Args:
        test: `data/test.jsonl` of the run; rows that it does not have stay as they are.
    """
    bare = {row.index: row for row in pairs.rows if not row.prompt and not row.reference}
    if not bare or not test.is_file():
        return
    for at, line in enumerate(test.read_text(encoding="utf-8", errors="replace").split("\n")):
        if at not in bare:
            continue
        try:
            row = json.loads(line)
            *asked, answer = messages_of(row)
        except (ValueError, TypeError, KeyError, TunerError, RecursionError):
            continue
        bare[at].prompt = _text(row["prompt"] if row_kind(row) == "completion" else asked)
        bare[at].reference = _text(answer.get("content"))


def _rows(path: Path, pairs: Pairs) -> Iterator[tuple[int, dict[str, Any], Answer]]:
    text = path.read_text(encoding="utf-8", errors="replace")
    growing = grows(path)
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if not line.strip():
            continue
        parsed = _parse(line)
        if parsed is not None:
            yield parsed
        elif not (growing and at == len(lines) - 1):  # the end of a file that grows may be half a line
            pairs.damaged += 1


def _parse(line: str) -> tuple[int, dict[str, Any], Answer] | None:
    try:
        row = json.loads(line)
        index = int(row["index"])
        scores = numbers(row.get("scores") or {})
        loss, counted = row.get("nll"), row.get("trained_tokens")
        known = isinstance(loss, (int, float)) and isinstance(counted, int) and counted > 0
        if known:
            scores.setdefault("loss", loss / counted)
        finish, weighed = str(row.get("finish") or ""), (float(loss), int(counted)) if known else (0.0, 0)
        answer = Answer(_text(row["prediction"]), scores, int(row.get("tokens") or 0), finish, weighed)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    return index, row, answer


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Those of the values that are finite numbers."""
    found = {str(name): value for name, value in values.items() if isinstance(value, (int, float))}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _text(value: object) -> str:
    """Prompts are usually strings; conversations are shown as role and text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return "\n".join(f"{item.get('role', '')}: {item.get('content', '')}" for item in value)
    return "" if value is None else json.dumps(value, ensure_ascii=False)
