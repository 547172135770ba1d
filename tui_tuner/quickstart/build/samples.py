"""Small data sets with the shape of large ones, so that every preset can be tried as a whole on any machine.

Each has the columns, the gaps and the kinds of answers of the set that it stands for, and is invented from the words of
the closed world. `python -m tui_tuner.quickstart.build.samples --to DIR` writes them; the same files every time.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .names import FIRST_NAMES, SURNAMES, TEAMS
from .world import TABLE, Game, draw_game, reserved_pairs

__all__ = ["SAMPLES", "articles", "instructions", "recipes", "statistics", "write_samples"]

Row = dict[str, Any]

_WEATHER = ("in heavy rain", "under a clear sky", "on a cold evening", "in front of a full house", "on a wet field")
_REASONS = ("a late mistake", "a quick break", "a long throw", "a fine pass", "a lucky bounce")
_TASKS = (
    "Write the word in capital letters.",
    "Count the words.",
    "Put the words in alphabetical order.",
    "Give the first letter of each word.",
    "Repeat the sentence twice.",
    "Give the last word.",
)
_ASKED = (
    "Name {n} teams of the league.",
    "Name {n} first names.",
    "Count from 1 to {n}.",
    "Write the word {w} {n} times.",
)
_PLANTS = ("rice", "beans", "tomato", "onion", "garlic", "pasta", "spinach", "carrot", "potato", "lentils", "tofu")
_ANIMALS = {"chicken": "meat", "beef": "meat", "salmon": "fish", "shrimp": "fish", "cheese": "dairy", "butter": "dairy"}
_FORBIDDEN = {"vegetarian": {"meat", "fish"}, "vegan": {"meat", "fish", "dairy"}, "pescatarian": {"meat"}}
_DISHES = ("stew", "bowl", "soup", "salad", "pie")


def articles(seed: int, count: int) -> list[Row]:
    """Reports of several sentences with a summary of one, in the columns of XSum: document, summary, id."""
    rng = random.Random(f"articles-{seed}")
    rows = []
    for number, name in enumerate(rng.sample(reserved_pairs(TABLE), count)):
        game = draw_game(rng, TABLE, name)
        rows.append({"document": _report(rng, game), "summary": _summary(game), "id": f"{40_000_000 + 17 * number}"})
    return rows


def _report(rng: random.Random, game: Game) -> str:
    won = {"W": "won", "D": "drew", "L": "lost"}[game.result]
    ending = f"The {game.team} {won} {game.score}."
    middle = [
        f"The game was played {rng.choice(_WEATHER)}.",
        f"The first goal came after {rng.randint(2, 40)} minutes from {rng.choice(_REASONS)}.",
        f"{game.last} scored {game.goals} and made {game.assists} assists.",
        f"The next game of the {game.opponent} is against the {rng.choice(TEAMS)}.",
        f"The coach of the {game.team} said that the team can do better.",
    ]
    rng.shuffle(middle)
    # Whom the summary names must stand in every report.
    told = [f"{game.name} played {game.minutes} minutes.", *middle[: rng.randint(2, 5)]]
    rng.shuffle(told)
    return " ".join([f"The {game.team} met the {game.opponent}.", *told, ending])


def _summary(game: Game) -> str:
    verb = {"W": "beat", "D": "drew with", "L": "lost to"}[game.result]
    return f"{game.name} played as the {game.team} {verb} the {game.opponent} {game.score}."


def statistics(seed: int, count: int) -> list[Row]:
    """One week of players: everything is text, what did not happen is empty, yards can be negative."""
    rng = random.Random(f"statistics-{seed}")
    rows = []
    for rank, (first, last) in enumerate(rng.sample(reserved_pairs(TABLE), count), start=1):
        team, opponent = rng.sample(TEAMS, 2)
        played = rng.random() < 0.6
        passing = rng.randint(40, 420) if played else 0
        rows.append(
            {
                "PlayerName": f"{first} {last}",
                "PlayerId": str(2_500_000 + rank * 137),
                "Pos": "QB",
                "Team": team,
                "PlayerOpponent": f"{rng.choice(('', '@'))}{opponent}",
                "PassingYDS": str(passing) if played else "",
                "PassingTD": str(rng.randint(1, 4)) if played and rng.random() < 0.7 else "",
                "PassingInt": str(rng.randint(1, 3)) if played and rng.random() < 0.4 else "",
                "RushingYDS": str(rng.randint(-6, 60)) if played and rng.random() < 0.8 else "",
                "Rank": rank,
                "TotalPoints": f"{passing / 25:.2f}",
            }
        )
    return rows


def instructions(seed: int, count: int) -> list[Row]:
    """Tasks with one right answer, in the columns of Alpaca: instruction, input (empty in more than half), output."""
    rng = random.Random(f"instructions-{seed}")
    rows: list[Row] = []
    seen: set[tuple[str, str]] = set()
    while len(rows) < count:
        row = _asked(rng) if rng.random() < 0.55 else _worked(rng)
        if (row["instruction"], row["input"]) not in seen:
            seen.add((row["instruction"], row["input"]))
            rows.append(row)
    return rows


def _asked(rng: random.Random) -> Row:
    at, number, word = rng.randrange(len(_ASKED)), rng.randint(2, 9), rng.choice(TEAMS)
    # What is named follows from the question, or it could only be guessed.
    answer = (
        ", ".join(sorted(TEAMS)[:number]),
        ", ".join(sorted(FIRST_NAMES)[:number]),
        ", ".join(str(each) for each in range(1, number + 1)),
        " ".join([word] * number),
    )[at]
    ending = rng.choice(("", " Use commas.", " Be short.")) if at != 3 else ""
    return {"instruction": _ASKED[at].format(n=number, w=word) + ending, "input": "", "output": answer}


def _worked(rng: random.Random) -> Row:
    words = rng.sample([*TEAMS, *SURNAMES], rng.randint(2, 4))
    task = rng.choice(_TASKS)
    given = words[0] if task == _TASKS[0] else " ".join(words)
    output = {
        _TASKS[0]: given.upper(),
        _TASKS[1]: str(len(words)),
        _TASKS[2]: " ".join(sorted(words)),
        _TASKS[3]: " ".join(word[0] for word in words),
        _TASKS[4]: f"{given} {given}",
        _TASKS[5]: words[-1],
    }[task]
    return {"instruction": task, "input": given, "output": output}


def recipes(seed: int, count: int) -> list[Row]:
    """Whole conversations as Phi-3 writes them, in one column `text`; the answers are JSON and keep to a diet."""
    rng = random.Random(f"recipes-{seed}")
    rows: dict[str, Row] = {}
    while len(rows) < count:
        diet = rng.choice(list(_FORBIDDEN))
        pantry = rng.sample(_PLANTS, 3) + rng.sample(list(_ANIMALS), 2)
        rng.shuffle(pantry)
        used = [food for food in pantry if _ANIMALS.get(food, "") not in _FORBIDDEN[diet]]
        name = f"{used[0]} {rng.choice(_DISHES)}"
        answer = {"name": name, "diet": diet, "ingredients": used, "steps": f"Cook the {used[0]}. Add the {used[-1]}."}
        text = (
            f"<|system|>\nYou write recipes from what is in the pantry.<|end|>\n"
            f"<|user|>\nI have {', '.join(pantry)}. Make me something {diet}.<|end|>\n"
            f"<|assistant|>\n{json.dumps(answer)}<|end|>\n"
        )
        rows.setdefault(text, {"text": text})
    return list(rows.values())


SAMPLES: dict[str, tuple[Callable[[int, int], list[Row]], int]] = {
    "articles.jsonl": (articles, 180),
    "statistics.json": (statistics, 90),
    "instructions.json": (instructions, 260),
    "recipes.jsonl": (recipes, 240),
}
"""File → who makes its rows, and how many."""


def write_samples(folder: Path, seed: int = 42) -> None:
    """All of them into a folder that is there."""
    for name, (make, count) in SAMPLES.items():
        lines = [json.dumps(row) for row in make(seed, count)]
        text = "\n".join(lines) + "\n" if name.endswith(".jsonl") else "[\n  " + ",\n  ".join(lines) + "\n]\n"
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tui_tuner.quickstart.build.samples", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="folder that gets the files")
    write_samples(parser.parse_args(arguments).to)
    return 0


if __name__ == "__main__":
    sys.exit(main())
