"""Ranks in threads of one process, with collectives played by a barrier: the loop of several ranks without a launcher.

What one process trains is the reference, as in `test_ranks_training`, where the ranks are processes. A step is not
compiled here, because a barrier cannot be traced; what it computes is the same.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.exactness import curve, events, weights
from tests.support.models import make_model, make_rows
from tests.support.rank_program import WAYS, trained
from tests.support.ranks import FakeGroup, on_ranks
from tui_tuner.config import Experiment
from tui_tuner.engine import pipeline
from tui_tuner.engine.new_run import create_run
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.ranks import member
from tui_tuner.engine.ranks.member import join_run
from tui_tuner.engine.requests import RankPlace
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.control import JobControl
from tui_tuner.training.ranks import ALONE

pytestmark = pytest.mark.mlx
CLOSE = 1e-5
"""Sums of two shares are rounded in another order than the sum of the whole."""


@pytest.fixture(autouse=True)
def steps_as_they_are() -> Iterator[None]:
    import mlx.core as mx

    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("small") / "model", hidden=16, intermediate=32, layers=2)


def numbers(tree: dict[str, Any]) -> dict[str, Any]:
    """Arrays as numpy's: mlx's belong to the thread that made them."""
    return {name: np.array(value) for name, value in tree.items()}


def ran(small: Path, way: dict[str, Any], group: Any) -> tuple[list[dict[str, Any]], dict[str, Any], list[int]]:
    happened, arrays, key = trained(small, way, group)
    return happened, numbers(arrays), key


def figures(happened: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events without what no two runs share: times and memory."""
    return [
        {name: value for name, value in event.items() if "second" not in name and name != "peak_memory"}
        for event in happened
        if event["type"] != "progress"
    ]


def compared(small: Path, way: dict[str, Any]) -> list[dict[str, Any]]:
    """Asserts that two ranks are equal to the bit and one process close to them; gives rank 0's events."""
    alone, own, _ = ran(small, way, ALONE)
    (first, mine, _), (second, others, _) = on_ranks(2, lambda group: ran(small, way, group))
    assert figures(first) == figures(second)
    for name, value in own.items():
        assert np.array_equal(mine[name], others[name]), name
        assert np.allclose(mine[name], value, rtol=0, atol=CLOSE * max(np.abs(value).max(), 1.0)), name
    for kind in ("train", "validation"):
        losses = [[event["loss"] for event in each if event["type"] == kind] for each in (alone, first)]
        assert losses[1] == pytest.approx(losses[0], rel=CLOSE)
        assert len(losses[0]) > 1
    return first


def shorter(name: str, **train: Any) -> dict[str, Any]:
    """One of the ways of the launched test in as many steps as show the same."""
    way = WAYS[name]
    return {**way, "train": {**way.get("train", {}), "iters": 5, "eval_every": 4, **train}}


# -- the loop ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "train"),
    [
        ("lora", {}),
        ("accumulated", {"grad_checkpoint": False}),  # it patches the layers' class, which threads share
        ("frozen layers reused", {}),
    ],
)
def test_two_shares_train_what_the_whole_batch_trains(name: str, train: dict[str, Any], small: Path) -> None:
    compared(small, shorter(name, **train))


def test_a_step_that_is_bad_on_one_rank_is_undone_on_both(small: Path) -> None:
    happened = compared(small, {**shorter("poisoned", eval_every=100), "poison": 3})
    assert [event["step"] for event in happened if event["type"] == "skipped_step"] == [3]
    assert "not a number" in next(event for event in happened if event["type"] == "skipped_step")["reason"]


def test_wishes_of_rank_0_are_taken_by_both(small: Path) -> None:
    happened = compared(small, shorter("steered", iters=9))
    taken = [(event["what"], event["step"]) for event in happened if event["type"] == "control"]
    assert taken == [("learning_rate", 3), ("evaluate", 5), ("pause", 7), ("proceed", 7)]
    rates = {event["step"]: event["learning_rate"] for event in happened if event["type"] == "train"}
    assert rates[4] < rates[3] / 2  # from 1e-3 of a cosine to 2e-4


def test_dropout_is_drawn_by_each_rank_for_itself_and_rank_0_draws_as_one_process(small: Path) -> None:
    way = shorter("dropout", eval_every=100)
    _, _, alone = ran(small, way, ALONE)
    (_, mine, key), (_, others, other) = on_ranks(2, lambda group: ran(small, way, group))
    assert key == alone
    assert other != key
    assert all(np.array_equal(value, others[name]) for name, value in mine.items())


# -- a whole run -------------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Callable[..., RunFolder]:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps(row) for row in make_rows(24)))

    def make(dropout: float = 0.0, **train: Any) -> RunFolder:
        settings = {"iters": 6, "batch_size": 4, "report_every": 2, "eval_every": 3, "save_every": 3}
        values = {
            "run": {"name": "shared", "seed": 5},
            "model": {"path": str(small)},
            "data": {"source": str(rows), "valid": 4, "test": 0},
            "adapter": {"rank": 2, "dropout": dropout},
            "train": {**settings, "max_seq_length": 96, "learning_rate": 1e-3, **train},
            "evaluation": {"enabled": False},
        }
        return create_run(Experiment.model_validate(values), tmp_path / "runs")

    return make


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to a process is done once: a rank's log stays where it stands, and mlx's limits are left alone."""
    monkeypatch.setattr(member, "printing_to", lambda path: contextlib.nullcontext())
    for module in (member, pipeline):
        monkeypatch.setattr(module, "working_memory", contextlib.nullcontext)
    monkeypatch.setattr(member, "_LOOK", 0.01)


def both(folder: RunFolder, monkeypatch: pytest.MonkeyPatch, control: JobControl) -> list[Any]:
    """Has rank 0 run a folder and rank 1 join it; what each gave, or the error it ended with."""
    groups: dict[int, FakeGroup] = {}

    def connected(place: RankPlace) -> FakeGroup:
        return groups[place.rank]

    for module in (member, pipeline):
        monkeypatch.setattr(module, "connect", connected)
    joined = threading.Event()  # it passes over what earlier sessions wrote, so it must look before rank 0 begins
    poll = member.EventTail.poll

    def polled(tail: Any) -> Any:
        found = poll(tail)
        joined.set()
        return found

    monkeypatch.setattr(member.EventTail, "poll", polled)

    def act(group: FakeGroup) -> Any:
        groups[group.rank] = group
        place = RankPlace(group.rank, group.size, "ring")
        try:
            if group.rank == 0:
                assert joined.wait(60)
                return run_experiment(folder, control, ModelShelf(), place)
            return join_run(folder, JobControl(), ModelShelf(), place)
        except TunerError as error:
            return error

    return on_ranks(2, act)


@pytest.mark.usefixtures("one_process")
def test_a_run_of_two_ranks_is_the_run_of_one(
    folder: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = folder()
    run_experiment(alone, JobControl(), ModelShelf())
    shared = folder()
    document, joined = both(shared, monkeypatch, JobControl())
    assert (document["status"], joined) == ("finished", {"status": "finished"})
    assert events(shared, "run_started")[0]["ranks"] == 2
    assert "2 ranks train together over ring" in [event["text"] for event in events(shared, "log")]
    for mine, other in zip(curve(shared), curve(alone), strict=True):
        assert mine == pytest.approx(other, rel=CLOSE)
    one, two = weights(alone), weights(shared)
    assert one.keys() == two.keys()
    assert all(np.allclose(two[name], one[name], atol=CLOSE) for name in one)


@pytest.mark.usefixtures("one_process")
def test_a_run_that_two_ranks_began_is_resumed_by_two_and_says_so_to_one(
    folder: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other rank reads the checkpoint that rank 0 goes on from; alone, the run goes on with a word on it."""
    whole = folder()
    both(whole, monkeypatch, JobControl())
    halved = folder()
    append = pipeline.EventLog.append
    control = JobControl()

    def stopping(log: Any, type: str, **fields: Any) -> Any:
        event = append(log, type, **fields)
        if type == "checkpoint" and fields["step"] == 3:
            control.stop("test")
        return event

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.EventLog, "append", stopping)
        document, joined = both(halved, monkeypatch, control)
    assert (document["status"], joined) == ("stopped", {"status": "stopped"})
    document, joined = both(halved, monkeypatch, JobControl())
    assert (document["status"], joined) == ("finished", {"status": "finished"})
    assert events(halved, "run_started")[-1]["from_step"] == 3
    one, two = weights(whole), weights(halved)
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize(
    ("dropout", "level", "says"),
    [(0.0, "info", "losses may differ in their last digits"), (0.3, "warning", "no longer bit for bit")],
)
def test_one_process_that_goes_on_with_what_two_trained_says_what_that_means(
    dropout: float, level: str, says: str, folder: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = folder(dropout, iters=3)
    both(shared, monkeypatch, JobControl())
    again = folder(dropout, iters=6)
    for part in (again.state, again.adapters):
        if part.exists():
            part.rmdir()
        (shared.path / part.name).rename(part)
    monkeypatch.undo()
    run_experiment(again, JobControl(), ModelShelf())
    told = [event for event in events(again, "log") if "trained by 2 ranks so far" in event["text"]]
    assert [event["level"] for event in told] == [level]
    assert says in told[0]["text"]
    assert "by one rank from here on" in told[0]["text"]
