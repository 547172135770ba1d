"""Facts can be asked in words that training never used, and apart from them facts that training never showed.

The table is small on purpose: it is for the split, not for learning.
"""

from __future__ import annotations

import json
from pathlib import Path

from tui_tuner.config import DataSection
from tui_tuner.data.prepare import Row, prepare

TABLE = Path(__file__).parents[1] / "support" / "facts.json"
TAUGHT = ["How many yards did {name} make for the {team}?", "{name} ({team}): yards?"]
NEW_WORDS = ["Tell me the yards of {name}."]
ANSWER = "{name} made {yards} yards."


def rows_in(words: list[str], part: str) -> list[Row]:
    section = DataSection(source=str(TABLE), prompt=words, completion=[ANSWER], train=8, valid=1, test=3)
    return getattr(prepare(section, seed=4), part)  # type: ignore[no-any-return]


def answers(rows: list[Row]) -> set[str]:
    return {row["completion"] for row in rows}


def test_recall_asks_the_taught_facts_in_new_words() -> None:
    taught, recall = rows_in(TAUGHT, "train"), rows_in(NEW_WORDS, "train")
    assert len(taught) == 16 and len(recall) == 8
    assert answers(recall) == answers(taught)
    assert not {row["prompt"] for row in recall} & {row["prompt"] for row in taught}


def test_unseen_facts_are_unseen_in_any_words() -> None:
    taught, unseen = rows_in(TAUGHT, "train"), rows_in(TAUGHT, "test")
    assert len(unseen) == 6
    assert not answers(unseen) & answers(taught)
    assert answers(rows_in(NEW_WORDS, "test")) == answers(unseen)


def test_every_fact_has_one_place() -> None:
    parts = [answers(rows_in(TAUGHT, part)) for part in ("train", "valid", "test")]
    everyone = {ANSWER.format(**record) for record in json.loads(TABLE.read_text("utf-8"))}
    assert set.union(*parts) == everyone
    assert sum(map(len, parts)) == len(everyone) == 12
