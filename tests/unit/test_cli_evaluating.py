"""The commands that measure: every option of `evaluate` and `checkpoints`, what they say, and what they refuse."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.support.jobs import Jobs, jobs
from tests.ui.fakes import RunBuilder
from tui_tuner.engine.requests import Benchmark, PickCheckpoint, RunBehaviour, RunCanaries, RunTasks
from tui_tuner.errors import TunerError

__all__ = ["jobs", "tuner"]


def metric(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


RESULT: dict[str, Any] = {
    "label": "after", "n": 40, "metrics": {"exact_match": metric(0.925, 0.801, 0.974)}, "rows": "rows.jsonl",
    "splits": {"easy": {"n": 30, "metrics": {"exact_match": metric(1.0, 0.886, 1.0)}}}, "document": "after.json",
}  # fmt: skip
POINT: dict[str, Any] = {"step": 60, "value": 0.5, "low": 0.25, "high": 0.75, "validation_loss": 1.2345}
POINTS: dict[str, Any] = {
    "metric": "rouge1", "n": 8, "best_step": 60, "used": 120,
    "points": [POINT, {**POINT, "step": 120, "value": 0.25, "low": 0.0, "high": 0.5, "validation_loss": None}],
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> str:
    return RunBuilder(tmp_path).prepared().train(1, 120).folder.name


def asked(jobs: Jobs, kind: type) -> Any:
    (request,) = jobs.asked
    assert isinstance(request, kind)
    return request


def test_every_option_of_evaluate_reaches_the_engine(tuner: Tuner, jobs: Jobs, run: str, tmp_path: Path) -> None:
    jobs.answer(RESULT)
    said = tuner(
        "evaluate", "org/model", "--adapter", "adapters", "--data", "q.jsonl", "--split", "valid", "--metrics",
        "rouge1, bleu,", "--max-tokens", "9", "--batch-size", "3", "--limit", "7", "--label", "mine", "--into", run,
        "--raw-prompt", "--set", "data.prompt={q}", "--set", "data.completion={a}", "--runs-dir", tmp_path, "--json",
    )  # fmt: skip
    assert (said.status, said.err, said.document) == (0, "", RESULT)
    fields = asdict(asked(jobs, Benchmark))
    del fields["progress"]
    assert fields == {
        "target": "org/model", "adapter": Path("adapters"), "data": "q.jsonl", "split": "valid",
        "metrics": ("rouge1", "bleu"), "max_tokens": 9, "batch_size": 3, "limit": 7, "label": "mine",
        "run": tmp_path / run, "runs_dir": tmp_path, "overrides": ("data.prompt={q}", "data.completion={a}"),
        "raw_prompt": True,
    }  # fmt: skip


def test_scores_are_told_with_their_intervals_and_each_part_apart(tuner: Tuner, jobs: Jobs) -> None:
    jobs.answer(RESULT)
    assert tuner("evaluate", "org/model", "--data", "q.jsonl").out.splitlines() == [
        "40 rows of org/model",
        "  exact_match        0.9250 (0.8010 to 0.9740)",
        "  easy (30): exact_match 1.0000 (0.8860 to 1.0000)",
        "rows: rows.jsonl",
    ]


def test_rows_are_counted_on_stderr_each_tenth(tuner: Tuner, jobs: Jobs) -> None:
    jobs.on_the_way = [lambda request, done=done: request.progress(done, 40) for done in (0, 1, 4, 5, 40)]
    jobs.answer(RESULT)
    assert tuner("evaluate", "org/model", "--data", "q.jsonl", "--json").err.splitlines() == [
        "0 of 40 rows answered", "4 of 40 rows answered", "40 of 40 rows answered",
    ]  # fmt: skip


def test_an_interrupted_benchmark_says_that_it_goes_on(tuner: Tuner, jobs: Jobs) -> None:
    jobs.answer(None)
    said = tuner("evaluate", "org/model", "--data", "q.jsonl")
    assert said.status == 1
    assert said.err == "tui-tuner: stopped before all rows were answered; the same command goes on from there.\n"


def test_a_label_needs_a_run_to_keep_the_result_in(tuner: Tuner, jobs: Jobs, run: str, tmp_path: Path) -> None:
    said = tuner("evaluate", "embedded:phi3-tiny", "--data", "q.jsonl", "--label", "mine")
    assert said.status == 2 and "this is a model; name the run with --into, or leave --label out" in said.err
    jobs.answer(RESULT, RESULT)
    assert tuner("evaluate", "last:60", "--label", "step-60").status == 0
    assert asked(jobs, Benchmark).run == tmp_path / run
    said = tuner("evaluate", "org/model", "--into", "nobody", "--json")
    assert (said.status, said.document["error"]["code"]) == (2, "run-not-found")
    assert len(jobs.asked) == 1


@pytest.mark.parametrize("wrong", [("--limit", "-1"), ("--max-tokens", "-1"), ("--batch-size", "x")])
def test_a_number_that_is_none_is_wrong_usage(tuner: Tuner, jobs: Jobs, wrong: tuple[str, str]) -> None:
    said = tuner("evaluate", "org/model", *wrong, "--json")
    assert (said.status, said.document["error"]["code"]) == (2, "usage")
    assert wrong[0] in said.document["error"]["message"] and jobs.asked == []


def test_tasks_of_the_harness_are_asked_for_by_name(tuner: Tuner, jobs: Jobs, tmp_path: Path) -> None:
    figures = {"acc": {"value": 0.25, "stderr": 0.0312}, "acc_norm": {"value": 0.5, "stderr": None}}
    document = {"tasks": {"arc_easy": figures}}
    jobs.answer(document, document, None)
    options = ("--tasks", "arc_easy, piqa", "--adapter", "a", "--limit", "5", "--max-tokens", "4", "--runs-dir")
    said = tuner("evaluate", "org/model", *options, tmp_path)
    assert said.out.splitlines() == [
        "arc_easy: acc 0.2500  (standard error 0.0312)", "arc_easy: acc_norm 0.5000",
    ]  # fmt: skip
    request = asked(jobs, RunTasks)
    assert (request.target, request.tasks, request.adapter, request.limit) == (
        "org/model", ("arc_easy", "piqa"), Path("a"), 5,
    )  # fmt: skip
    assert (request.max_tokens, request.batch_size, request.runs_dir) == (4, 8, tmp_path)
    assert tuner("evaluate", "org/model", "--tasks", "arc_easy", "--json").document == document
    assert "stopped before the tasks began" in tuner("evaluate", "org/model", "--tasks", "arc_easy").err


CASES: dict[str, Any] = {
    "cases": [{"name": "short", "passed": 3, "samples": 4, "low": 0.301, "high": 0.954}], "passed": 3, "n": 4,
}  # fmt: skip
GROUPS: dict[str, Any] = {
    "groups": [{"name": "json", "passed": 0, "n": 5, "low": 0.0, "high": 0.434, "status": "died"}],
    "passed": 0, "n": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("suite", "kind", "document", "lines"),
    [
        (
            "behaviour",
            RunBehaviour,
            CASES,
            ["  short                    3 of 4 (30% to 95%)", "3 of 4 cases passed"],
        ),
        (
            "canaries",
            RunCanaries,
            GROUPS,
            ["  json                     0 of 5 (0% to 43%)  died", "0 of 5 answered well"],
        ),
    ],
)
def test_suites_are_asked_anew_of_a_run(
    suite: str,
    kind: type,
    document: dict[str, Any],
    lines: list[str],
    tuner: Tuner,
    jobs: Jobs,
    run: str,
    tmp_path: Path,
) -> None:
    jobs.answer(document, document)
    assert tuner("evaluate", "last", "--suite", suite).out.splitlines() == lines
    request = asked(jobs, kind)
    assert (request.run, request.label) == (tmp_path / run, "after")
    assert tuner("evaluate", "last", "--suite", suite, "--json").document == document


@pytest.mark.parametrize(("which", "label"), [("last:base", "before"), ("last:60", "step-60")])
def test_a_suite_of_the_base_or_a_checkpoint_has_its_label(
    tuner: Tuner, jobs: Jobs, run: str, which: str, label: str
) -> None:
    jobs.answer(CASES)
    tuner("evaluate", which, "--suite", "behaviour")
    assert asked(jobs, RunBehaviour).label == label


def test_suites_are_asked_of_runs_only(tuner: Tuner, jobs: Jobs) -> None:
    said = tuner("evaluate", "embedded:phi3-tiny", "--suite", "canaries", "--json")
    assert said.status == 2 and said.document["error"]["where"] == "embedded:phi3-tiny"
    said = tuner("evaluate", "last", "--suite", "birds")
    assert said.status == 2 and "behaviour" in said.err and "canaries" in said.err and jobs.asked == []


def test_checkpoints_are_told_with_what_they_are_worth(tuner: Tuner, jobs: Jobs, run: str, tmp_path: Path) -> None:
    jobs.answer(POINTS)
    said = tuner("checkpoints", "last")
    assert said.out.splitlines() == [
        "rouge1 on 8 validation rows",
        "  step     60  0.5000 (0.2500 to 0.7500)  validation loss 1.2345  best",
        "  step    120  0.2500 (0.0000 to 0.5000)  in use",
        f"`tui-tuner checkpoints {run} --use best` makes step 60 the adapter",
    ]
    request = asked(jobs, PickCheckpoint)
    assert (request.run, request.metric, request.use) == (tmp_path / run, "", "")


def test_a_checkpoint_is_put_to_use(tuner: Tuner, jobs: Jobs, run: str, tmp_path: Path) -> None:
    used = {**POINTS, "used": 60}
    jobs.answer(used, used)
    options = ("--metric", "rouge1", "--use", "best", "--runs-dir", tmp_path)
    lines = tuner("checkpoints", run, *options).out.splitlines()
    assert lines[1].endswith("validation loss 1.2345  best, in use")
    assert lines[-1] == "the run's adapter has the weights of step 60; the former ones are kept"
    assert (asked(jobs, PickCheckpoint).metric, jobs.asked[0].use) == ("rouge1", "best")
    assert tuner("checkpoints", run, "--json").document == used


def test_by_losses_alone_there_are_no_intervals_and_nothing_to_advise(tuner: Tuner, jobs: Jobs, run: str) -> None:
    plain = {"step": 60, "value": 1.2345, "low": None, "high": None, "validation_loss": 1.2345}
    jobs.answer({"metric": "loss", "n": 0, "best_step": 60, "used": 60, "points": [plain]})
    assert tuner("checkpoints", run, "--metric", "loss").out.splitlines() == [
        "validation loss", "  step     60    validation loss 1.2345  best, in use",
    ]  # fmt: skip


def test_what_the_engine_refuses_is_said_as_it_is(tuner: Tuner, jobs: Jobs, run: str) -> None:
    jobs.answer(TunerError("has no checkpoints", code="no-checkpoints", where=run, fix="train with train.save_every"))
    said = tuner("checkpoints", run, "--json")
    assert (said.status, said.document["error"]["code"]) == (1, "no-checkpoints")
    assert tuner("checkpoints", "nobody").status == 2
    jobs.answer(None)
    assert "the same command goes on from there" in tuner("checkpoints", run).err
