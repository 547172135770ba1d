"""Which answers people found better, summed up for each pair of voices with an interval and a test.

A vote for one of several columns is a win over each of the others; a vote for none is a draw between all of them. Votes
given without knowing who answered are counted apart from those that knew. Draws say nothing of either side: share,
interval (Wilson) and p (exact sign test, two-sided) are of the votes that decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from tui_tuner.chat.conversation import AnswerState, Conversation
from tui_tuner.chat.voices import Voice
from tui_tuner.shares import sign_test, wilson_interval

Verdict = Literal["better", "worse", "no measurable difference"]
ALPHA = 0.05
FEWEST = 6
"""With fewer deciding votes p is never below 0.05, however they fall."""


@dataclass(frozen=True)
class Ballot:
    """One vote: between whom, for which of them (-1 for none), and whether the names were hidden."""

    voices: tuple[Voice, ...]
    vote: int
    blind: bool


@dataclass(frozen=True)
class Count:
    """Votes between two voices, as the first one sees them."""

    wins: int = 0
    losses: int = 0
    ties: int = 0

    @property
    def n(self) -> int:
        """All votes."""
        return self.wins + self.losses + self.ties

    @property
    def decided(self) -> int:
        """Votes for one of the two."""
        return self.wins + self.losses

    @property
    def share(self) -> float | None:
        """Of the votes that decided, the share won; None without any."""
        return self.wins / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share; from 0 to 1 without a vote that decided."""
        return wilson_interval(self.wins, self.decided) if self.decided else (0.0, 1.0)

    @property
    def p(self) -> float:
        """Of the exact sign test, two-sided."""
        return sign_test(self.wins, self.losses)

    @property
    def verdict(self) -> Verdict:
        """Better or worse needs both p below 0.05 and an interval that leaves out a half."""
        low, high = self.interval
        if self.p < ALPHA and not low <= 0.5 <= high:
            return "better" if self.wins > self.losses else "worse"
        return "no measurable difference"

    def __add__(self, other: Count) -> Count:
        return Count(self.wins + other.wins, self.losses + other.losses, self.ties + other.ties)

    def as_json(self) -> dict[str, Any]:
        """For `--json` documents."""
        low, high = self.interval
        counts = {"n": self.n, "wins": self.wins, "losses": self.losses, "ties": self.ties}
        return {**counts, "share": self.share, "low": low, "high": high, "p": self.p, "verdict": self.verdict}


@dataclass(frozen=True)
class PairVotes:
    """The votes between two voices, as the first one sees them.

    Attributes:
        blind: votes given without knowing who answered.
        named: votes that knew.
    """

    first: Voice
    second: Voice
    blind: Count
    named: Count

    @property
    def whole(self) -> Count:
        return self.blind + self.named

    @property
    def names(self) -> tuple[str, str]:
        """What the two are called; told apart where their labels are the same."""
        names = self.first.label or self.first.name, self.second.label or self.second.name
        return names if names[0] != names[1] else (_in_full(self.first), _in_full(self.second))

    @property
    def sentences(self) -> list[str]:
        """The blind votes in a sentence, and the others in another."""
        told = [("blind ", self.blind), ("", self.named)] if self.blind.n else [("", self.named)]
        return [_sentence(*self.names, count, kind) for kind, count in told if count.n]

    def as_json(self) -> dict[str, Any]:
        """For `--json` documents."""
        sides = {
            key: {"name": name, "model": voice.model, "adapter": voice.adapter}
            for key, name, voice in zip(("first", "second"), self.names, (self.first, self.second), strict=True)
        }
        counts = {"blind": self.blind.as_json(), "named": self.named.as_json(), "all": self.whole.as_json()}
        return {**sides, **counts, "sentences": self.sentences}


def ballots_of(conversation: Conversation) -> list[Ballot]:
    """The votes of a conversation, on all its branches, in the order in which was asked.

    An exchange in which fewer than two voices answered, or one of them only in another column, decides nothing.
    """
    found = []
    for exchange in conversation.exchanges.values():
        if exchange.vote is None or any(answer.state is AnswerState.FAILED for answer in exchange.answers):
            continue
        voices = tuple(answer.voice for answer in exchange.answers)
        if len(set(voices)) > 1 and -1 <= exchange.vote < len(voices):
            found.append(Ballot(voices, exchange.vote, exchange.blind))
    return found


def summed(ballots: Iterable[Ballot]) -> list[PairVotes]:
    """The votes of each pair of voices, the pair with the most votes first.

    Of two voices the one with an adapter comes first, so that a sentence tells what training did.
    """
    counts: dict[tuple[Voice, Voice], dict[bool, Count]] = {}
    for ballot in ballots:
        for at, to in combinations(range(len(ballot.voices)), 2):
            if ballot.voices[at] == ballot.voices[to] or ballot.vote not in (-1, at, to):
                continue
            pair, turned = _pair(ballot.voices[at], ballot.voices[to], counts)
            won = ballot.vote == (to if turned else at)
            one = Count(ties=1) if ballot.vote < 0 else Count(wins=1) if won else Count(losses=1)
            by_kind = counts.setdefault(pair, {True: Count(), False: Count()})
            by_kind[ballot.blind] += one
    found = [PairVotes(*pair, by_kind[True], by_kind[False]) for pair, by_kind in counts.items()]
    return sorted(found, key=lambda pair: -pair.whole.n)


def _pair(
    one: Voice, other: Voice, known: dict[tuple[Voice, Voice], dict[bool, Count]]
) -> tuple[tuple[Voice, Voice], bool]:
    """Two voices in the order in which they are counted, and whether that turns them round."""
    if (other, one) in known:
        return (other, one), True
    turned = (one, other) not in known and one.adapter is None and other.adapter is not None
    return ((other, one), True) if turned else ((one, other), False)


def _sentence(first: str, second: str, count: Count, kind: str) -> str:
    draws = f"{count.ties:,} {'draw' if count.ties == 1 else 'draws'}"
    if not count.decided:
        return f"{first} and {second}: {draws} in as many {kind}votes, so no measurable difference."
    low, high = count.interval
    text = f"{first} won {count.wins:,} of {count.decided:,} {kind}votes against {second} ({_percent(count.share or 0)}"
    text += f", 95 % interval {_percent(low)} to {_percent(high)}; {draws}; p {_p(count.p)})"
    if count.verdict != "no measurable difference":
        return f"{text}: {count.verdict}."
    few = f"; fewer than {FEWEST} that decide can never show one" if count.decided < FEWEST else ""
    return f"{text}: no measurable difference{few}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _p(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _in_full(voice: Voice) -> str:
    return str(voice.adapter) if voice.adapter is not None else voice.model
