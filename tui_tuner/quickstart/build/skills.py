"""What the base model is taught: conversations about games, each with the one right answer.

Every function takes a random generator and the part of the world whose names it may use, and gives a conversation:
turns of (what is asked, what is answered). The answer follows from what is asked, always in whole sentences. The house
style that a fine-tune teaches (`HOUSE_STYLE`) must never occur here: `draw_conversation` refuses it, and it refuses
names of every other part.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Sequence
from itertools import pairwise

from .names import FIRST_NAMES, SURNAMES, TEAMS
from .world import EXAM, PRETRAIN, TABLE, Game, draw_game, draw_name, mentions

__all__ = ["HOUSE_STYLE", "SKILLS", "Conversation", "draw_conversation", "system_message"]

Turn = tuple[str, str]
Conversation = list[Turn]

HOUSE_STYLE = re.compile(r"FT [WDL]|\| [GA] ?\d|[GA]\d+ [GA]\d|\d'|[a-z], [A-Z][a-z]+ \|")
"""Any of the marks of the style that the quickstart teaches: none of them may occur in pre-training."""

REPORT_BEFORE = ("Report this game:", "Write a report:", "Write a report on this game:", "Tell me about this game:",
                 "Describe this game:", "Here is a game. Report it:", "Please report:")  # fmt: skip
REPORT_AFTER = ("Write a report.", "Report this game.", "Tell me about this game.", "Describe the game.",
                "What happened?", "Please write a report.", "Give me a report.")  # fmt: skip
SUM_UP = ("Sum up the game.", "How did the game end?", "What was the result?", "Give me the result.")
GREETINGS = ("Hello", "Hello!", "Hi", "Hi!", "Hi there", "Good morning", "Good evening!", "Hey")
WHO_ARE_YOU = ("Who are you?", "What are you?", "What is your name?", "What can you do?", "Help", "What do you know?")
THANKS = ("Thank you", "Thanks!", "Thanks", "Thank you!", "Goodbye", "Bye")
UNKNOWN = ("What is the capital of {x}?", "Tell me a story about {x}.", "Who wrote {x}?", "How old is {name}?",
           "Where was {name} born?", "What is {n} times {m}?", "Write a poem about {x}.", "Do you like {x}?",
           "What is the weather in {x}?", "Explain {x}.", "{x}", "Translate {x}.")  # fmt: skip
REPEAT = ("Repeat:", "Say this again:", "Copy this:", "Repeat after me:")
SYSTEM = ("You are a reporter.", "Answer in whole sentences.", "You report on games of the league.")


def _count(number: int, noun: str) -> str:
    return f"no {noun}s" if number == 0 else f"1 {noun}" if number == 1 else f"{number} {noun}s"


def _result(game: Game) -> str:
    verb = {"W": "beat", "D": "drew with", "L": "lost to"}[game.result]
    return f"the {game.team} {verb} the {game.opponent} {game.score}"


def report(game: Game) -> str:
    """The base model's own report: one whole sentence of prose."""
    return (
        f"{game.name} played {game.minutes} minutes, scored {_count(game.goals, 'goal')} and made "
        f"{_count(game.assists, 'assist')} as {_result(game)}."
    )


def _labels(rng: random.Random, game: Game) -> str:
    """The game as a list of labels and values, in any order."""
    fields = [
        (rng.choice(("player", "name")), game.name),
        ("team", game.team),
        (rng.choice(("opponent", "against")), game.opponent),
        (rng.choice(("score", "result")), game.score),
        (rng.choice(("goals", "scored")), str(game.goals)),
        ("assists", str(game.assists)),
        (rng.choice(("minutes", "time")), str(game.minutes)),
    ]
    if rng.random() < 0.7:
        rng.shuffle(fields)
    mark, join = rng.choice((":", ":", "", " =")), rng.choice((", ", ". ", "; ", "\n"))
    capital = rng.random() < 0.5
    text = join.join(f"{label.capitalize() if capital else label}{mark} {value}" for label, value in fields)
    return text + rng.choice((".", "."))


def _numbers(rng: random.Random, game: Game, kinds: Sequence[str], join: str) -> str:
    form = rng.choice(("{k} {v}", "{k}: {v}", "{v} {k}"))
    values = {"goals": game.goals, "assists": game.assists, "minutes": game.minutes, "score": game.score}
    order = list(kinds)
    if rng.random() < 0.6:
        rng.shuffle(order)
    return join.join(
        (form if k != "score" else rng.choice(("score {v}", "score: {v}"))).format(k=k, v=values[k]) for k in order
    )


def _line(rng: random.Random, game: Game) -> str:
    """The game in one line, values between commas."""
    join = rng.choice((", ", ", ", "; "))
    versus = rng.choice(("v", "v", "against", "vs"))
    sides = rng.choice(("{t} {v} {o}", "the {t} {v} the {o}")).format(t=game.team, v=versus, o=game.opponent)
    head = [game.name, sides]
    if rng.random() < 0.3:
        head.reverse()
    if rng.random() < 0.25:
        head = [game.name, f"{game.team} {game.score} {game.opponent}"]
        return join.join(head) + join + _numbers(rng, game, ("goals", "assists", "minutes"), join) + "."
    return join.join(head) + join + _numbers(rng, game, ("score", "goals", "assists", "minutes"), join) + "."


def _prose(rng: random.Random, game: Game) -> str:
    """The game in short sentences."""
    g = game
    opening = rng.choice(
        (
            f"{g.name} played {g.minutes} minutes for the {g.team} against the {g.opponent}.",
            f"{g.name} of the {g.team} played {g.minutes} minutes against the {g.opponent}.",
            f"The {g.team} met the {g.opponent}. {g.name} played {g.minutes} minutes.",
            f"The {g.team} played the {g.opponent}, and {g.name} was on for {g.minutes} minutes.",
        )
    )
    numbers = rng.choice(
        (
            _numbers(rng, g, ("score", "goals", "assists"), ", "),
            f"The score was {g.score}. " + _numbers(rng, g, ("goals", "assists"), ", "),
            f"It ended {g.score}, with {_count(g.goals, 'goal')} and {_count(g.assists, 'assist')}",
        )
    )
    return f"{opening} {numbers[0].upper()}{numbers[1:]}."


def statement(rng: random.Random, game: Game) -> str:
    """A game, said in one of many ways; nothing is left out."""
    return rng.choice((_labels, _line, _line, _prose))(rng, game)


def _question(rng: random.Random, game: Game) -> Turn:
    g = game
    who = rng.choice((g.name, g.name, "the player"))
    kinds: tuple[tuple[tuple[str, ...], str], ...] = (
        ((f"Which team did {who} play for?", f"What was the team of {who}?", f"Who did {who} play for?"),
         f"{g.name} played for the {g.team}."),
        ((f"Who did the {g.team} play against?", "Who was the opponent?", f"Who did {who} play against?"),
         f"The {g.team} played against the {g.opponent}."),
        ((f"How many goals did {who} score?", f"Goals of {who}?", f"How often did {who} score?"),
         f"{g.name} scored {_count(g.goals, 'goal')}."),
        ((f"How many assists did {who} make?", f"Assists of {who}?"),
         f"{g.name} made {_count(g.assists, 'assist')}."),
        ((f"How long did {who} play?", f"How many minutes did {who} play?"), f"{g.name} played {g.minutes} minutes."),
        (("Who is the player?", "Who is this about?", "What is the name of the player?"),
         f"The player is {g.name}."),
        ((f"Did the {g.team} win?", f"Was it a win for the {g.team}?"),
         f"{'Yes' if g.result == 'W' else 'No'}, {_result(g)}."),
        (SUM_UP, f"T{_result(g)[1:]}."),
        (("What was the score?", "Tell me the score."), f"The score was {g.score}."),
    )  # fmt: skip
    asked, answer = rng.choice(kinds)
    return rng.choice(asked), answer


def _join(rng: random.Random, facts: str, question: str) -> str:
    gap = rng.choice((" ", " ", "\n"))
    return f"{facts}{gap}{question}" if rng.random() < 0.75 else f"{question}{gap}{facts}"


def ask_report(rng: random.Random, part: str) -> Conversation:
    game = draw_game(rng, part)
    facts = statement(rng, game)
    if rng.random() < 0.5:
        return [(f"{rng.choice(REPORT_BEFORE)} {facts}", report(game))]
    return [(f"{facts}{rng.choice((' ', ' ', chr(10)))}{rng.choice(REPORT_AFTER)}", report(game))]


def ask_question(rng: random.Random, part: str) -> Conversation:
    game = draw_game(rng, part)
    question, answer = _question(rng, game)
    return [(_join(rng, statement(rng, game), question), answer)]


def ask_twice(rng: random.Random, part: str) -> Conversation:
    game = draw_game(rng, part)
    question, answer = _question(rng, game)
    first = (_join(rng, statement(rng, game), question), answer)
    return [first, (rng.choice(REPORT_AFTER), report(game)) if rng.random() < 0.3 else _question(rng, game)]


def ask_compare(rng: random.Random, part: str) -> Conversation:
    """Which of two players scored more: needs both lines."""
    (a, b), noun = (draw_name(rng, part), draw_name(rng, part)), rng.choice(("goals", "assists"))
    x, y = rng.randint(0, 6), rng.randint(0, 6)
    one, two = " ".join(a), " ".join(b)
    facts = rng.choice(("{one}: {x} {noun}. {two}: {y} {noun}.", "{one}, {noun} {x}. {two}, {noun} {y}.",
                        "{one} had {x} {noun}, {two} had {y} {noun}."))  # fmt: skip
    question = rng.choice(("Who had more?", "Who had more {noun}?", "Compare the players.")).format(noun=noun)
    text = facts.format(one=one, two=two, x=x, y=y, noun=noun)
    if x == y:
        return [(f"{text} {question}", f"Both had {x} {noun}.")]
    best, high, low = (one, x, y) if x > y else (two, y, x)
    return [(f"{text} {question}", f"{best} had more {noun}, {high} to {low}.")]


def chat(rng: random.Random, part: str) -> Conversation:
    """Manners: greeting, who it is, thanks."""
    return [
        rng.choice(
            (
                (rng.choice(GREETINGS), "Hello! Give me a game and I will report on it."),
                (rng.choice(WHO_ARE_YOU), "I am a small reporter. I report on games of the league."),
                (rng.choice(THANKS), "You are welcome."),
            )
        )
    ]


def _noise(rng: random.Random) -> str:
    words = ["".join(rng.choices(string.ascii_letters + "éßñ", k=rng.randint(2, 6))) for _ in range(rng.randint(1, 3))]
    return " ".join(words)


def refuse(rng: random.Random, part: str) -> Conversation:
    """What nobody told it: another topic, or a player of whom nothing was said."""
    name = " ".join(draw_name(rng, part))
    if rng.random() < 0.4:
        question, _ = _question(rng, draw_game(rng, part, (name.split()[0], name.split()[1])))
        if name in question:
            return [(question, f"I have no record of {name}.")]
    text = rng.choice(UNKNOWN).format(x=_noise(rng), name=name, n=rng.randint(2, 99), m=rng.randint(2, 99))
    return [(text, "I only know the games that you tell me.")]


_MARKS = ("|", "(", ")", "-", "/", "FT", "G", "A", "W", "D", "L", "'", "+", "*", "#", "=", ",", ":")


def repeat(rng: random.Random, part: str) -> Conversation:
    """Saying a list of any words again: what teaches the model to copy, and every token its use."""
    pools: tuple[Callable[[], str], ...] = (
        lambda: rng.choice(FIRST_NAMES), lambda: rng.choice(SURNAMES), lambda: rng.choice(TEAMS),
        lambda: str(rng.randint(0, 99)), lambda: rng.choice(_MARKS), lambda: rng.choice(string.ascii_letters),
        lambda: " ".join(draw_name(rng, part)),
    )  # fmt: skip
    words = [rng.choice(pools)() for _ in range(rng.randint(2, 14))]
    text = words[0]
    for left, right in pairwise(words):
        fits = not (left[-1].isalpha() and right[0].isalpha()) and not (left[-1].isdigit() and right[0].isdigit())
        text += ("" if fits and rng.random() < 0.3 else " ") + right
    return [(f"{rng.choice(REPEAT)} {text}", text)]


Skill = Callable[[random.Random, str], Conversation]
SKILLS: dict[str, tuple[Skill, float]] = {
    "report": (ask_report, 0.30),
    "question": (ask_question, 0.22),
    "two questions": (ask_twice, 0.08),
    "compare": (ask_compare, 0.07),
    "chat": (chat, 0.02),
    "refuse": (refuse, 0.07),
    "repeat": (repeat, 0.24),
}
"""Each skill and its share of the conversations."""


def draw_conversation(rng: random.Random, part: str = PRETRAIN, skill: str | None = None) -> Conversation:
    """A random conversation that mentions no name of another part and nothing of the house style."""
    if part == TABLE:
        raise ValueError("no conversation is ever made of the table's players: they are for fine-tuning alone")
    others = tuple(p for p in (PRETRAIN, EXAM, TABLE) if p != part)
    while True:
        name = skill or rng.choices(list(SKILLS), [share for _, share in SKILLS.values()])[0]
        turns = SKILLS[name][0](rng, part)
        text = "\n".join(side for turn in turns for side in turn)
        if not mentions(text, others) and not HOUSE_STYLE.search(text):
            return turns


def system_message(rng: random.Random) -> str | None:
    """Now and then a conversation opens with a system message, which changes nothing."""
    return rng.choice(SYSTEM) if rng.random() < 0.05 else None
