"""Runs are found by what they are, and a query that is not understood is refused in a sentence."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.runs.catalogue import RunSummary
from tui_tuner.runs.labels import Labels
from tui_tuner.runs.query import parse_query
from tui_tuner.runs.state import RunState

NOW = datetime(2026, 3, 10, 12).timestamp()
DAY = 86_400.0


def run(name: str, state: RunState = RunState.FINISHED, **more: object) -> RunSummary:
    facts = {"created": NOW, "model": "org/Phi-3-mini", "best": None, "verdict": None, **more}
    return RunSummary(name, name, state, 10, 20, path=Path(name), **facts)  # type: ignore[arg-type]


RUNS = [
    run("alpha", best=1.5, settings={"train.learning_rate": 1e-4, "adapter.targets": ["q_proj"]}, duration=30.0),
    run("beta", RunState.FAILED, created=NOW - 2 * DAY, best=0.5, settings={"train.learning_rate": 1e-5}),
    run("gamma", model="org/Llama", created=NOW - 9 * DAY, labels=Labels(("good",), "for Ann", True)),
    run("delta", RunState.STOPPED, labels=Labels(("bad",), archived=True), duration=4_000.0),
]


def found(query: str) -> list[str]:
    return [each.run for each in parse_query(query, NOW).find(RUNS)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["gamma", "alpha", "beta"]),
        ("state:finished lr>=1e-4 model:phi", ["alpha"]),
        ("lr<1e-4", ["beta"]),
        ("lr=0.0001", ["alpha"]),
        ("lr!=0.0001", ["gamma", "beta"]),
        ("train.learning_rate=1e-4", ["alpha"]),
        ("adapter.targets:q_", ["alpha"]),
        ("MODEL:PHI state=failed", ["beta"]),
        ("phi -state:failed", ["alpha"]),
        ("phi !state:failed", ["alpha"]),
        ("ann", ["gamma"]),
        ("failed", ["beta"]),
        ("-failed phi", ["alpha"]),
        ('note:"for ann"', ["gamma"]),
        ("is:archived", ["delta"]),
        ("-is:archived", ["gamma", "alpha", "beta"]),
        ("is:pinned", ["gamma"]),
        ("is:failed", ["beta"]),
        ("tag:good", ["gamma"]),
        ("tag=goo", []),
        ("created:today", ["alpha"]),
        ("created:2026-03-08", ["beta"]),
        ("created>=2026-03-08", ["alpha", "beta"]),
        ("created>2026-03-08", ["alpha"]),
        ("created<=2026-03-08", ["gamma", "beta"]),
        ("created<2026-03-08", ["gamma"]),
        ("created>2026-03-08T00:00", ["alpha", "beta"]),
        ("created<3d", ["alpha", "beta"]),
        ("created>3d", ["gamma"]),
        ("is:archived duration>1h", ["delta"]),
        ("duration<1m duration>10", ["alpha"]),
        ("best<1", ["beta"]),
        ("sort:best", ["beta", "alpha", "gamma"]),
        ("sort:-best", ["alpha", "beta", "gamma"]),
        ("-sort:created", ["alpha", "beta", "gamma"]),
        ("sort:lr", ["beta", "alpha", "gamma"]),
        ("sort:name", ["alpha", "beta", "gamma"]),
        ("sort:model sort:-run", ["gamma", "beta", "alpha"]),
    ],
)
def test_a_query_finds(query: str, names: list[str]) -> None:
    assert found(query) == names


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("stat:finished", "did you mean state?"),
        ("state:finisched", "did you mean finished?"),
        ("zzz:1", "the keys are run, name"),
        ("lr>=fast", ">= wants a number"),
        ("duration>soon", "a time such as 10m"),
        ("created:someday", "a day such as 2026-03-01"),
        ("created>9999-12-31", "a day such as 2026-03-01"),
        ("created:2026-03-08T00:30", "created>2026-03-08T00:30 for later"),
        ("state=fin", "did you mean finished?"),
        ("state!=fin", "did you mean finished?"),
        ("created:7d", "created<7d for younger"),
        ("is:nice", "it can be is:pinned"),
        ("sort:beast", "did you mean best?"),
        ("lr>=", "say what lr shall be"),
    ],
)
def test_what_is_not_understood_is_said(query: str, words: str) -> None:
    with pytest.raises(TunerError) as failure:
        parse_query(query, NOW)
    assert words in failure.value.sentence()
    assert failure.value.usage
