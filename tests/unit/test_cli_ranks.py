"""A run of several ranks as its command sees it: what is refused, when it has failed, and what each rank does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.ui.fakes import AFTER, SENTENCE, VERDICT, RunBuilder
from tui_tuner.cli import ranks
from tui_tuner.config import Experiment, dump_experiment
from tui_tuner.engine.ranks.hosts import HERE, RankPlan
from tui_tuner.engine.requests import JoinRun, RankPlace, RunExperiment
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder, RunLock, read_events
from tui_tuner.runs.requests import FILE

__all__ = ["tuner"]

TWO = RankPlan((HERE, HERE))


class FakeLaunch:
    """Ranks that do what a test says, a step each time they are looked at."""

    steps: list[Callable[[FakeLaunch], None]]
    failure: TunerError | None = None

    def __init__(self, folder: RunFolder, plan: RankPlan) -> None:
        self.folder, self.plan, self.calls = folder, plan, list[str]()
        FakeLaunch.last = self  # type: ignore[attr-defined]

    def start(self) -> None:
        self.calls.append("start")

    def look(self) -> bool:
        if FakeLaunch.steps:
            FakeLaunch.steps.pop(0)(self)
        return bool(FakeLaunch.steps)

    def kill(self) -> None:
        self.calls.append("kill")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunBuilder:
    built = RunBuilder(tmp_path)
    write(built)
    FakeLaunch.steps = []
    monkeypatch.setattr(ranks, "Launch", FakeLaunch)
    monkeypatch.setattr(ranks.time, "sleep", lambda seconds: None)
    return built


def write(builder: RunBuilder, **model: Any) -> None:
    experiment = Experiment.model_validate(
        {"model": {"path": "embedded:phi3-tiny", **model}, "data": {"source": "embedded:players"}}
    )
    builder.folder.config.write_text(dump_experiment(experiment))


def ends(builder: RunBuilder, status: str = "finished", reason: str = "") -> None:
    """A run in three looks: it trains, is judged, and ends so."""
    FakeLaunch.steps = [
        lambda launch: builder.prepared().train(1, 10) and None,
        lambda launch: builder.add("evaluation", label="after", n=40, metrics=AFTER) and None,
        lambda launch: builder.add("verdict", metrics=VERDICT, sentence=SENTENCE).finish(status, reason) and None,
    ]


def test_a_run_of_several_ranks_is_told_and_judged_as_any_other(tuner: Tuner, builder: RunBuilder) -> None:
    ends(builder)
    said = tuner("resume", "last", "-n", "2")
    assert said.status == 0, said.err
    assert "  step 10/120: loss " in said.err
    lines = said.out.splitlines()
    assert {line.split()[0] for line in lines[3:7]} == set(AFTER) and lines[-1] == f"run {builder.folder.path}"
    assert FakeLaunch.last.calls == ["start", "close"]  # type: ignore[attr-defined]
    assert FakeLaunch.last.plan.size == 2  # type: ignore[attr-defined]


def test_a_stopped_run_says_with_how_many_it_goes_on(tuner: Tuner, builder: RunBuilder) -> None:
    ends(builder, "stopped", "stopped by user")
    said = tuner("resume", "last", "--ranks", "2")
    assert said.status == 1 and f"`tui-tuner resume {builder.folder.name} -n 2` goes on from there" in said.err


def test_ranks_that_end_without_a_word_are_a_failure_that_is_noted_in_the_run(
    tuner: Tuner, builder: RunBuilder
) -> None:
    FakeLaunch.steps = [lambda launch: builder.prepared() and None]
    said = tuner("resume", "last", "-n", "2", "--json")
    assert (said.status, said.document["error"]["code"]) == (1, "rank-died")
    ending = read_events(builder.folder.events)[-1]
    assert (ending["type"], ending["status"]) == ("run_finished", "failed")
    assert FakeLaunch.last.calls[-1] == "close"  # type: ignore[attr-defined]


def failing(launch: FakeLaunch) -> None:
    launch.failure = TunerError("rank 1 is gone", code="rank-died", where="studio")


def test_what_a_rank_died_of_is_what_the_command_says(tuner: Tuner, builder: RunBuilder) -> None:
    FakeLaunch.steps = [lambda launch: builder.prepared() and None, failing]
    said = tuner("resume", "last", "-n", "2")
    assert (said.status, said.err.splitlines()[-1]) == (1, "tui-tuner: studio: rank 1 is gone.")


def test_what_goes_wrong_after_the_end_is_of_no_interest(tuner: Tuner, builder: RunBuilder) -> None:
    ends(builder)
    FakeLaunch.steps.append(failing)
    assert tuner("resume", "last", "-n", "2").status == 0
    failed = [event for event in read_events(builder.folder.events) if event.get("status") == "failed"]
    assert failed == []


def test_a_failure_that_the_run_told_itself_is_not_noted_twice(tuner: Tuner, builder: RunBuilder) -> None:
    ends(builder, "failed", "no rows")
    FakeLaunch.steps.append(failing)
    assert tuner("resume", "last", "-n", "2").status == 1
    assert len([event for event in read_events(builder.folder.events) if event["type"] == "run_finished"]) == 1


def test_a_run_that_somebody_writes_or_that_wants_another_base_is_refused(tuner: Tuner, builder: RunBuilder) -> None:
    with RunLock(builder.folder):
        said = tuner("resume", "last", "-n", "2", "--json")
        assert (said.status, said.document["error"]["code"]) == (1, "run-locked")
    write(builder, bits=4)
    said = tuner("resume", "last", "-n", "2", "--json").document["error"]
    assert said["code"] == "ranks-and-bits"
    assert "tui-tuner convert embedded:phi3-tiny --bits 4 --to FOLDER" in said["fix"]


def test_a_stop_is_asked_for_again_until_somebody_hears_it(
    builder: RunBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(ranks.time, "monotonic", lambda: clock[0])
    stop = ranks._Stop(builder.folder)
    requests = builder.folder.path / FILE
    stop.ask()
    with RunLock(builder.folder):
        stop.ask()
        assert not requests.exists(), "nobody wanted it yet"
    stop.want("SIGINT")
    stop.ask()
    assert not requests.exists(), "nobody is there to hear it, and that is no failure"
    with RunLock(builder.folder):
        for moment, asked in ((1.0, 0), (2.5, 1), (3.0, 1), (5.0, 2)):
            clock[0] = moment
            stop.ask()
            lines = requests.read_text().splitlines() if requests.exists() else []
            assert len(lines) == asked


# -- one rank ---------------------------------------------------------------------------------------------------------
class FakePost:
    """What a rank tells its launcher."""

    def __init__(self, rank: int, out: Any) -> None:
        self.said: list[Any] = [("rank", rank)]
        self.all_there = True
        FakePost.last = self  # type: ignore[attr-defined]

    def begin(self, config: Path) -> None:
        self.said.append(("begin", config.name))

    def wait_for_all(self) -> bool:
        return self.all_there

    def when_lost(self, call: Callable[[], None]) -> None:
        self.said.append("listens")

    def failed(self, error: TunerError) -> None:
        self.said.append(("failed", error.code))

    def ended(self, status: str) -> None:
        self.said.append(("ended", status))


@pytest.fixture
def rank(builder: RunBuilder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, list[Any]]]:
    """Does what a rank does, and gives its status and the requests that were made."""

    def be(number: int, result: Any, *, all_there: bool = True) -> tuple[int, list[Any]]:
        asked: list[Any] = []

        def perform(request: Any, begun: Any = None) -> Any:
            asked.append(request)
            if isinstance(result, TunerError):
                raise result
            return result

        monkeypatch.setenv("MLX_RANK", str(number))
        monkeypatch.setattr(ranks, "Post", FakePost)
        monkeypatch.setattr(FakePost, "wait_for_all", lambda self: all_there)
        monkeypatch.setattr(ranks, "perform", perform)
        monkeypatch.setattr("tui_tuner.models.blas.share_processors", lambda count: None)
        monkeypatch.setattr("tui_tuner.models.libraries.ready", lambda: None)
        return ranks.be_rank(builder.folder.path, 2, "ring", 2, ranks.Output(None, None)), asked  # type: ignore[arg-type]

    return be


def test_rank_0_does_the_run_and_the_others_train_along(rank: Any, builder: RunBuilder) -> None:
    status, asked = rank(0, {"status": "finished"})
    assert (status, asked) == (0, [RunExperiment(builder.folder.path, RankPlace(0, 2, "ring"))])
    assert FakePost.last.said[-1] == ("ended", "finished")  # type: ignore[attr-defined]
    status, asked = rank(1, None)
    assert (status, asked) == (0, [JoinRun(builder.folder.path, RankPlace(1, 2, "ring"))])
    assert FakePost.last.said[-1] == ("ended", "stopped")  # type: ignore[attr-defined]


def test_a_rank_that_fails_tells_the_launcher_why(rank: Any) -> None:
    status, _ = rank(1, TunerError("no rows", code="no-rows"))
    assert status == 1 and FakePost.last.said[-1] == ("failed", "no-rows")  # type: ignore[attr-defined]


def test_a_rank_whose_fellows_never_come_does_nothing(rank: Any) -> None:
    status, asked = rank(1, {"status": "finished"}, all_there=False)
    assert (status, asked) == (1, [])


@pytest.mark.parametrize("number", [None, "", "first"])
def test_the_ranks_command_is_not_for_people(
    tuner: Tuner, builder: RunBuilder, number: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLX_RANK", raising=False)
    if number is not None:
        monkeypatch.setenv("MLX_RANK", number)
    monkeypatch.setattr("tui_tuner.models.blas.share_processors", lambda count: None)
    said = tuner("rank", builder.folder.path, "--of", "2", "--backend", "ring", "--beside", "2")
    assert said.status == 2 and said.err.endswith("what mlx's launcher starts; use `tui-tuner run -n`.\n")
    assert os.environ.get("MLX_RANK") == number


def test_ranks_that_cannot_share_a_batch_are_refused_before_there_is_a_run(tuner: Tuner, tmp_path: Path) -> None:
    said = tuner("run", "quickstart", "-n", "3", "--set", "train.batch_size=2", "--json")
    assert said.status != 0 and "3" in said.document["error"]["message"]
    assert not list(tmp_path.glob("*/events.jsonl"))
