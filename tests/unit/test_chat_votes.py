"""Votes are summed for each pair of voices, blind ones apart, with an interval and an exact test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.voices import Voice
from tui_tuner.chat.votes import Ballot, Count, ballots_of, summed
from tui_tuner.shares import sign_test

BASE = Voice("m", None, "base")
TUNED = Voice("m", Path("a"), "adapter")
OTHER = Voice("m", Path("b"), "other")


# Two-sided p of Conover, "Practical Nonparametric Statistics", 3rd ed. (1999), table A3: binomial with p 1/2.
@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(8, 1, 2 * 0.0195), (9, 1, 2 * 0.0107), (5, 5, 1.0), (0, 0, 1.0), (1, 4, 2 * 0.1875), (0, 6, 2 * 0.0156)],
)
def test_the_sign_test_agrees_with_the_table(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p, abs=2e-4)


def test_thousands_of_votes_are_no_trouble() -> None:
    assert sign_test(6000, 0) < 1e-300
    assert sign_test(3000, 3000) == 1.0


def test_better_needs_interval_and_test() -> None:
    """6 of 6: p 0.03; 5 of 5: 0.06. 14 of 18 is 0.031, its interval (Wilson) 0.55 to 0.91."""
    assert (Count(wins=5).verdict, Count(wins=6).verdict) == ("no measurable difference", "better")
    assert Count(losses=6).verdict == "worse"
    count = Count(14, 4, 3)
    assert (count.n, count.decided, count.verdict) == (21, 18, "better")
    assert count.interval == pytest.approx((0.548, 0.910), abs=5e-4)
    assert count.p == pytest.approx(0.0309, abs=5e-5)
    assert (Count(ties=4).share, Count(ties=4).interval, Count(ties=4).p) == (None, (0.0, 1.0), 1.0)


def test_a_vote_among_three_is_a_win_over_each_of_the_others() -> None:
    votes = summed([Ballot((BASE, TUNED, OTHER), 1, False), Ballot((BASE, TUNED, OTHER), -1, True)])
    found = {(pair.first.label, pair.second.label): (pair.named, pair.blind) for pair in votes}
    assert found == {
        ("adapter", "base"): (Count(wins=1), Count(ties=1)),
        ("other", "base"): (Count(), Count(ties=1)),
        ("adapter", "other"): (Count(wins=1), Count(ties=1)),
    }


def test_columns_may_be_in_any_order() -> None:
    """Blind votes shuffle them."""
    ballots = [Ballot((BASE, TUNED), 1, True), Ballot((TUNED, BASE), 0, True), Ballot((TUNED, BASE), 1, True)]
    (pair,) = summed(ballots)
    assert (pair.first, pair.second, pair.blind) == (TUNED, BASE, Count(2, 1))
    ballots = [Ballot((OTHER, TUNED), 0, False), Ballot((TUNED, OTHER), 1, False)]
    (pair,) = summed(ballots)
    assert (pair.first, pair.named) == (OTHER, Count(2))


@given(
    st.lists(
        st.tuples(st.permutations([BASE, TUNED, OTHER]), st.integers(-1, 2), st.booleans()).map(
            lambda drawn: Ballot(tuple(drawn[0]), drawn[1], drawn[2])
        ),
        max_size=20,
    )
)
def test_every_vote_is_counted_once_for_each_pair_it_concerns(ballots: list[Ballot]) -> None:
    pairs = summed(ballots)
    draws = sum(ballot.vote < 0 for ballot in ballots)
    assert sum(pair.whole.ties for pair in pairs) == 3 * draws
    assert sum(pair.whole.decided for pair in pairs) == 2 * (len(ballots) - draws)
    assert sum(pair.blind.n for pair in pairs) == sum(3 if b.vote < 0 else 2 for b in ballots if b.blind)
    wins = sum(pair.whole.wins for pair in pairs if pair.first == TUNED)
    wins += sum(pair.whole.losses for pair in pairs if pair.second == TUNED)
    assert wins == 2 * sum(ballot.vote >= 0 and ballot.voices[ballot.vote] == TUNED for ballot in ballots)


def test_what_decides_nothing_is_left_out() -> None:
    done = [AnswerState.DONE, AnswerState.DONE]
    cases = [
        (0, [BASE, TUNED], done),
        (None, [BASE, TUNED], done),
        (0, [BASE], [AnswerState.DONE]),
        (0, [TUNED, TUNED], done),
        (5, [BASE, TUNED], done),
        (1, [BASE, TUNED], [AnswerState.FAILED, AnswerState.DONE]),
    ]
    talk = Conversation()
    for number, (vote, voices, states) in enumerate(cases, 1):
        answers = [Answer(voice, "x", state) for voice, state in zip(voices, states, strict=True)]
        talk.add(Exchange(number, 0, "?", answers, vote=vote, blind=True))
    assert ballots_of(talk) == [Ballot((BASE, TUNED), 0, True)]


def test_sentences_say_what_was_shown() -> None:
    (pair,) = summed([Ballot((BASE, TUNED), 1, True)] * 14 + [Ballot((BASE, TUNED), 0, True)] * 4)
    assert pair.sentences == [
        "adapter won 14 of 18 blind votes against base (78 %, 95 % interval 55 % to 91 %; 0 draws; p 0.031): better."
    ]
    (pair,) = summed([Ballot((BASE, TUNED), 1, False)] * 3 + [Ballot((BASE, TUNED), -1, True)])
    assert pair.sentences == [
        "adapter and base: 1 draw in as many blind votes, so no measurable difference.",
        "adapter won 3 of 3 votes against base (100 %, 95 % interval 44 % to 100 %; 0 draws; p 0.25):"
        " no measurable difference; fewer than 6 that decide can never show one.",
    ]
    document = pair.as_json()
    assert (document["first"]["name"], document["all"]["wins"], document["all"]["ties"]) == ("adapter", 3, 1)


def test_voices_of_one_name_are_told_apart() -> None:
    (pair,) = summed([Ballot((Voice("m", Path("a"), "x"), Voice("m", Path("b"), "x")), 0, False)])
    assert pair.names == ("a", "b")
