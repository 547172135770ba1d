"""Two ranks on this machine train what one process trains: the same losses and weights but for rounding.

Sums are made in another order and matrix products of other sizes, so figures agree to 1e-5 of their size (measured: a
few 1e-7 for losses). What ranks agree on among themselves is equal to the last bit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import ROOT
from tests.support.models import make_model
from tui_tuner.engine.ranks.hosts import RankPlan

pytestmark = pytest.mark.mlx

QUICK = ["lora", "steered", "poisoned"]
SLOW = ["accumulated", "all weights", "frozen layers reused", "dropout", "stock"]
CLOSE = 1e-5
TWO = RankPlan(("127.0.0.1", "127.0.0.1"))


def launched(folder: Path, plan: RankPlan | None, names: list[str]) -> None:
    program = [sys.executable, "-m", "tests.support.rank_program", str(folder), str(plan.size if plan else 1), *names]
    launcher = [
        sys.executable,
        "-m",
        "tui_tuner.engine.ranks.launcher",
        *(plan.launcher_options() if plan else ()),
        "--",
    ]
    # As many threads on one rank as on each of two, which here is one: they would only get in each other's way.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*(launcher if plan else ()), *program],
        env=environment,
        stdin=subprocess.PIPE,  # the launcher keeps looking into it
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
    for rank in range(plan.size if plan else 1):  # the launcher's exit status tells nothing
        assert (folder / f"{plan.size if plan else 1}-{rank}-{names[-1]}.json").is_file(), said


Runs = Callable[[str], "Run"]


class Run:
    """One way of training, by one process and by two ranks."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self.alone, *self.ranks = (self._events(*place) for place in ((1, 0), (2, 0), (2, 1)))

    def _events(self, size: int, rank: int) -> list[dict[str, Any]]:
        return list(json.loads(self._path(size, rank, "json").read_text())["events"])

    def _path(self, size: int, rank: int, kind: str) -> Path:
        return self._folder / f"{size}-{rank}-{self._name}.{kind}"

    def weights(self, size: int, rank: int) -> dict[str, Any]:
        return dict(np.load(self._path(size, rank, "npz")))

    def key(self, size: int, rank: int) -> list[int]:
        return list(json.loads(self._path(size, rank, "json").read_text())["key"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ranks")
    make_model(place / "model")
    return place


@pytest.fixture(scope="module")
def quick(folder: Path) -> Path:
    for plan in (None, TWO):
        launched(folder, plan, QUICK)
    return folder


@pytest.fixture(scope="module")
def slow(folder: Path) -> Path:
    for plan in (None, TWO):
        launched(folder, plan, SLOW)
    return folder


def column(events: list[dict[str, Any]], kind: str, field: str) -> list[float]:
    return [event[field] for event in events if event["type"] == kind]


def alike(run: Run) -> None:
    """All ranks have the same figures to the last bit, and one process has them but for rounding."""
    without_time = [
        [
            {k: v for k, v in e.items() if "second" not in k and k != "peak_memory"}
            for e in events
            if e["type"] != "progress"
        ]
        for events in run.ranks
    ]
    assert without_time[0] == without_time[1]
    for kind, field in (("train", "loss"), ("validation", "loss"), ("train", "learning_rate")):
        one, two = column(run.alone, kind, field), column(run.ranks[0], kind, field)
        assert two == pytest.approx(one, rel=CLOSE), (kind, field)
    assert column(run.ranks[0], "train", "grad_norm") == pytest.approx(
        column(run.alone, "train", "grad_norm"), rel=1e-4
    )
    for kind, field in (("train", "tokens"), ("train", "step"), ("validation", "tokens"), ("validation", "step")):
        assert column(run.ranks[0], kind, field) == column(run.alone, kind, field)
    one, *two = (run.weights(*place) for place in ((1, 0), (2, 0), (2, 1)))
    for name, value in one.items():
        assert np.array_equal(two[0][name], two[1][name]), name
        apart, size = np.abs(two[0][name] - value), max(np.abs(value).max(), 1.0)
        # Adam makes whole steps of gradients that are next to nothing, so rounding may move a few numbers farther than
        # the rest, and which ones it does depends on the processor: never by more than a tenth of one step of 1e-3.
        assert np.sqrt(np.mean(apart**2)) <= CLOSE * size and apart.max() <= 10 * CLOSE * size, name


def test_two_ranks_train_what_one_process_trains(quick: Path) -> None:
    run = Run(quick, "lora")
    alike(run)
    assert len(column(run.alone, "train", "loss")) == 24
    validations = column(run.alone, "validation", "loss")
    assert validations[0] - validations[-1] > 0.1  # it learned something


def test_wishes_are_taken_at_the_same_step_by_all(quick: Path) -> None:
    run = Run(quick, "steered")
    alike(run)
    wishes = [(e["what"], e["step"]) for e in run.ranks[1] if e["type"] == "control"]
    assert wishes == [("learning_rate", 3), ("evaluate", 5), ("pause", 7), ("proceed", 7), ("finish_epoch", 17)]
    assert 5 in column(run.ranks[0], "validation", "step")
    assert column(run.ranks[0], "train", "step")[-1] == 20  # 17 rows in batches of 4: five steps an epoch


def test_a_bad_step_of_one_rank_is_undone_by_all(quick: Path) -> None:
    run = Run(quick, "poisoned")
    alike(run)
    for events in (run.alone, *run.ranks):
        assert [e["step"] for e in events if e["type"] == "skipped_step"] == [5]
    assert len({tuple(e["rows"]) for events in run.ranks for e in events if e["type"] == "skipped_step"}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accumulated", "all weights", "frozen layers reused"])
def test_two_ranks_train_what_one_process_trains_in_other_ways_too(name: str, slow: Path) -> None:
    alike(Run(slow, name))


@pytest.mark.slow
def test_each_rank_drops_other_values_and_all_go_on_with_the_same_weights(slow: Path) -> None:
    run = Run(slow, "dropout")
    first, second = (run.weights(2, rank) for rank in (0, 1))
    assert all(np.array_equal(value, second[name]) for name, value in first.items())
    assert run.key(2, 0) != run.key(2, 1)
    assert run.key(2, 0) == run.key(1, 0)  # rank 0 draws as one process does


@pytest.mark.slow
def test_in_stock_mode_two_ranks_train_what_two_of_mlx_lm_train(slow: Path) -> None:
    """Bit for bit: halving commutes with adding."""
    for rank in (0, 1):
        found = json.loads((slow / f"2-{rank}-stock.json").read_text())
        ours, theirs = found["ours"], found["theirs"]
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-6)
        assert ours["validations"][:-1] == pytest.approx(theirs["validations"], rel=1e-6)
        one, two = (dict(np.load(slow / f"2-{rank}-{who}.npz")) for who in ("ours", "theirs"))
        assert one.keys() == two.keys()
        assert all(np.array_equal(value, two[name]) for name, value in one.items())
