"""Settings of an answer as a person writes them, and what a voice is sent of a conversation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.sampling import SETS, Sampling, dropped_set, kept_set, named_set, set_names
from tui_tuner.chat.voices import Voice
from tui_tuner.errors import TunerError

BASE, TUNED = Voice("m"), Voice("m", Path("a"))


def test_settings_are_taken_as_they_are_written() -> None:
    found = Sampling().changed("Top-P", "0.9").changed("max-tokens", "40").changed("stop", "\\n\\n|END")
    assert (found.top_p, found.max_tokens, found.stop) == (0.9, 40, ("\n\n", "END"))
    assert found.changed("stop", "").stop == ()
    assert found.told() == ["top p 0.9", "max tokens 40", "stop texts"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("temprature", "1", "did you mean temperature"),
        ("nonsense", "1", "the settings are temperature"),
        ("temperature", "hot", "a number from 0 to 5, not hot"),
        ("temperature", "nan", "a number from 0 to 5, not nan"),
        ("top_k", "1.5", "a whole number"),
        ("max_tokens", "0", "a whole number of at least 1"),
        ("seed", "", "not nothing"),
    ],
)
def test_what_is_no_setting_is_refused_in_a_sentence(name: str, value: str, words: str) -> None:
    with pytest.raises(TunerError) as failure:
        Sampling().changed(name, value)
    assert words in failure.value.sentence()


def test_a_set_leaves_cap_seed_and_stop_texts() -> None:
    now = Sampling(max_tokens=9, seed=4, stop=("x",))
    found = named_set("Lively", now)
    assert (found.temperature, found.max_tokens, found.seed, found.stop) == (SETS["lively"].temperature, 9, 4, ("x",))
    with pytest.raises(TunerError, match="no set"):
        named_set("wild", now)


def test_a_set_of_ones_own_is_kept_named_and_dropped() -> None:
    now = Sampling(temperature=0.6, top_k=40, max_tokens=9, stop=("x",))
    own = kept_set(" Mine ", now, {"older": {"top_p": 0.5}})
    assert own == {"older": {"top_p": 0.5}, "mine": {"temperature": 0.6, "top_k": 40.0}}
    assert set_names(own) == [*SETS, "older", "mine"]
    assert named_set("MINE", Sampling(seed=3), own) == Sampling(temperature=0.6, top_k=40, seed=3)
    assert named_set("older", now, own).temperature == 0, "what a set does not hold is greedy's"
    assert dropped_set("Mine", own) == {"older": {"top_p": 0.5}}


@pytest.mark.parametrize("name", ["greedy", "top_p", "save", "two words", "1st", "", "a" * 25, "../x"])
def test_what_is_no_name_for_a_set_is_refused(name: str) -> None:
    with pytest.raises(TunerError, match=r"taken already|no name"):
        kept_set(name, Sampling(), {})


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"heat": 1.0}, 'holds "heat"'), ({"temperature": 9.0}, "from 0 to 5, not 9"), ({"top_k": 1.5}, "a whole number")],
)
def test_a_set_that_was_written_wrong_says_what_is_wrong(settings: dict[str, float], words: str) -> None:
    with pytest.raises(TunerError) as failure:
        named_set("mine", Sampling(), {"mine": settings})
    assert words in failure.value.sentence()


def test_a_set_that_is_not_there_cannot_be_dropped() -> None:
    with pytest.raises(TunerError, match='no set of your own called "lively"') as failure:
        dropped_set("lively", {"mine": {}})
    assert "yours are mine" in failure.value.sentence()


def exchange(number: int, parent: int, question: str, *said: tuple[Voice, str]) -> Exchange:
    answers = [Answer(voice, text, AnswerState.DONE) for voice, text in said]
    return Exchange(number, parent, question, answers)


def test_who_comes_in_later_knows_what_was_said() -> None:
    talk = Conversation()
    talk.add(exchange(1, 0, "one", (BASE, "b1"), (TUNED, "a1")))
    talk.add(exchange(2, 1, "two", (BASE, "b2")))
    talk.add(exchange(3, 2, "three", (BASE, " ")))
    of_tuned = [message["content"] for message in talk.messages(TUNED, "four", system="be brief")]
    assert of_tuned == ["be brief", "one", "a1", "two", "b2", "four"]
    assert [message["content"] for message in talk.messages(BASE, "x", after=1)] == ["one", "b1", "x"]
    assert len(talk.messages(BASE, "x", memory=False)) == 1


def test_branches_stay() -> None:
    talk = Conversation()
    talk.add(exchange(1, 0, "one", (BASE, "b1")))
    talk.add(exchange(2, 1, "two", (BASE, "b2")))
    talk.go(1)
    talk.add(exchange(3, 1, "two, edited", (BASE, "b3")))
    assert [each.question for each in talk.path()] == ["one", "two, edited"]
    assert [each.number for each in talk.children(1)] == [2, 3]
    assert [each.question for each in talk.path(2)] == ["one", "two"]
    with pytest.raises(TunerError, match="no exchange 9"):
        talk.go(9)
    with pytest.raises(TunerError, match="already"):
        talk.add(exchange(3, 0, "again"))
    with pytest.raises(TunerError, match="to follow"):
        talk.add(exchange(4, 8, "lost"))
