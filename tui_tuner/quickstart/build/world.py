"""The closed world: games of fictional players, and which names belong to whom.

Every combination of a first name and a surname belongs to exactly one of three parts, decided by a hash of the name
alone: `PRETRAIN` (what the base model may see), `EXAM` (on which the base is examined) and `TABLE` (from which
`players.json` is drawn). Nothing of one part may ever appear in another: that is what makes "never seen" true.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise

from .names import FIRST_NAMES, SURNAMES, TEAMS

__all__ = ["EXAM", "PRETRAIN", "TABLE", "Game", "draw_game", "mentions", "part_of", "players_table", "reserved_pairs"]

PRETRAIN, EXAM, TABLE = "pretrain", "exam", "table"

_PARTS = (TABLE, EXAM, PRETRAIN, PRETRAIN, PRETRAIN, PRETRAIN)
_FIRST = frozenset(FIRST_NAMES)
_LAST = frozenset(SURNAMES)
_WORD = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True)
class Game:
    """One player's game. Scores are from the side of the player's own team."""

    first: str
    last: str
    team: str
    opponent: str
    score_for: int
    score_against: int
    goals: int
    assists: int
    minutes: int

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def score(self) -> str:
        return f"{self.score_for}-{self.score_against}"

    @property
    def result(self) -> str:
        """W, D or L: follows from the score alone."""
        return "W" if self.score_for > self.score_against else "D" if self.score_for == self.score_against else "L"


def part_of(first: str, last: str) -> str:
    """The part that a name belongs to: the same on every machine and in every release."""
    return _PARTS[zlib.crc32(f"{first} {last}".encode()) % len(_PARTS)]


def reserved_pairs(part: str) -> list[tuple[str, str]]:
    """Every (first name, surname) of one part, in alphabetical order."""
    return [(f, s) for f in FIRST_NAMES for s in SURNAMES if part_of(f, s) == part]


def mentions(text: str, parts: tuple[str, ...]) -> bool:
    """Whether a first name and a surname of one of these parts stand side by side in the text, in either order."""
    words = _WORD.findall(text)
    return any(part_of(*pair) in parts for pair in _pairs(words))


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    for left, right in pairwise(words):
        if left in _FIRST and right in _LAST:
            yield left, right
        elif left in _LAST and right in _FIRST:
            yield right, left


def draw_name(rng: random.Random, part: str) -> tuple[str, str]:
    """A random name of this part."""
    while True:
        first, last = rng.choice(FIRST_NAMES), rng.choice(SURNAMES)
        if part_of(first, last) == part:
            return first, last


def draw_game(rng: random.Random, part: str, name: tuple[str, str] | None = None) -> Game:
    """A random game of a player of this part: goals and assists never exceed what the team scored."""
    first, last = name or draw_name(rng, part)
    team, opponent = rng.sample(TEAMS, 2)
    score_for = rng.randint(0, 9)
    score_against = score_for if rng.random() < 0.15 else rng.randint(0, 9)
    goals = rng.randint(0, min(score_for, 5))
    assists = rng.randint(0, min(score_for - goals, 4))
    return Game(first, last, team, opponent, score_for, score_against, goals, assists, rng.randint(10, 60))


def players_table(seed: int, count: int) -> list[dict[str, str | int]]:
    """The table that is fine-tuned on: one game each of `count` different players, none of them of another part."""
    rng = random.Random(f"players-{seed}")
    names = rng.sample(reserved_pairs(TABLE), count)
    rows: list[dict[str, str | int]] = []
    for name in names:
        game = draw_game(rng, TABLE, name)
        rows.append({**asdict(game), "result": game.result})
    return rows
