"""What is measured of models and runs besides training: figures that are right, kept, and never paid for twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_rows
from tui_tuner.engine.evaluating import run_benchmark, run_suite
from tui_tuner.engine.pick import pick_checkpoint
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.requests import Benchmark, PickCheckpoint, RunBehaviour, RunCanaries
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.evaluation import benchmark as benchmarking
from tui_tuner.runs import RunFolder, read_events
from tui_tuner.runs.catalogue import summarise
from tui_tuner.runs.control import JobControl, StopRequested
from tui_tuner.runs.lock import RunLock

pytestmark = pytest.mark.mlx

ROOT = Path(__file__).parents[2]
CASES = [
    {"name": "words", "prompt": "what is red?", "must": ["the*", "re:."], "samples": 2},
    {"name": "silence", "prompt": "what is blue?", "must_not": ["re:."], "system": "be quiet"},
]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many prompts each call of the generator was given."""
    counts: list[int] = []
    real = benchmarking.greedy_answers

    def counting(model: Any, tokenizer: Any, prompts: Any, **options: Any) -> Iterator[Any]:
        counts.append(len(prompts))
        return real(model, tokenizer, prompts, **options)

    monkeypatch.setattr(benchmarking, "greedy_answers", counting)
    return counts


@pytest.fixture
def finished(new_run: Callable[..., RunFolder], cache: Path) -> RunFolder:
    """A run of 8 steps with four checkpoints, behaviour cases and canaries."""
    folder = new_run(
        train={"iters": 8, "save_every": 2, "eval_every": 2, "learning_rate": 1e-2},
        data={"test": 4, "valid": 4},
        evaluation={"max_tokens": 6, "canaries": True},
        behaviour={"cases": CASES, "samples": 3},
    )
    run_experiment(folder, JobControl(), ModelShelf())
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def benchmark(target: str, **options: Any) -> dict[str, Any]:
    return run_benchmark(Benchmark(target, **options), JobControl(), ModelShelf())


def test_a_run_keeps_rows_figures_cases_and_canaries(finished: RunFolder) -> None:
    for label in ("before", "after"):
        document = read(finished.evaluation / f"{label}.json")
        assert (document["label"], document["n"]) == (label, 4)
        assert {"exact_match", "rouge1", "loss", "perplexity", "truncated"} <= document["metrics"].keys()
        assert all("definition" in metric for metric in document["metrics"].values())
        rows = [json.loads(line) for line in (finished.evaluation / f"{label}.jsonl").read_text().splitlines()]
        assert all(row["nll"] > 0 and row["trained_tokens"] > 0 for row in rows)
        behaviour = read(finished.evaluation / f"behaviour-{label}.json")
        assert [(case["name"], case["samples"]) for case in behaviour["cases"]] == [("words", 2), ("silence", 3)]
        assert read(finished.evaluation / f"canaries-{label}.json")["n"] == 40
    verdict = read(finished.evaluation / "verdict.json")
    assert (verdict["a"], verdict["b"], verdict["n"]) == ("before", "after", 4)
    assert "truncated" not in verdict["metrics"]
    told = [(event["type"], event["label"]) for event in read_events(finished.events) if "label" in event]
    kinds = ("evaluation", "behaviour", "canaries")
    assert told == [(kind, label) for label in ("before", "after") for kind in kinds]


def test_the_baseline_of_a_second_run_is_there_at_once(
    finished: RunFolder, new_run: Callable[..., RunFolder], answered: list[int]
) -> None:
    settings: dict[str, Any] = {"train": {"iters": 2}, "data": {"test": 4, "valid": 4}}
    again = new_run(**settings, evaluation={"max_tokens": 6})
    run_experiment(again, JobControl(), ModelShelf())
    assert answered[0] == 0
    assert (again.evaluation / "before.jsonl").read_bytes() == (finished.evaluation / "before.jsonl").read_bytes()
    anew = new_run(**settings, evaluation={"max_tokens": 6, "reuse_answers": False})
    answered.clear()
    run_experiment(anew, JobControl(), ModelShelf())
    assert answered == [4, 4]
    assert (anew.evaluation / "before.jsonl").read_bytes() == (finished.evaluation / "before.jsonl").read_bytes()
    other = new_run(**settings, evaluation={"max_tokens": 5})
    answered.clear()
    run_experiment(other, JobControl(), ModelShelf())
    assert answered[0] == 4


def test_a_run_a_checkpoint_and_a_model_are_measured_alike(finished: RunFolder, answered: list[int]) -> None:
    run, runs = str(finished.path), finished.path.parent
    after, before = benchmark(run, runs_dir=runs), benchmark(f"{run}:base", runs_dir=runs)
    assert answered == [0, 0]  # the run gave these answers
    for label, document in (("after", after), ("before", before)):
        assert document.keys() >= {"label", "n", "metrics", "rows"}
        kept = read(finished.evaluation / f"{label}.json")["metrics"]
        figures = {name: {bound: one[bound] for bound in ("value", "low", "high")} for name, one in kept.items()}
        assert document["metrics"] == figures
    last = benchmark(f"{run}:8", runs_dir=runs)
    best = benchmark(f"{run}:best", runs_dir=runs)
    assert after["metrics"] in (last["metrics"], best["metrics"])
    assert summarise(finished).state == "finished"


def test_a_further_result_lands_in_the_run(finished: RunFolder, tiny_model: Path) -> None:
    document = benchmark(str(tiny_model), run=finished.path, label="the model", runs_dir=finished.path.parent)
    assert Path(document["rows"]) == finished.evaluation / "the-model.jsonl"
    assert read(finished.evaluation / "the-model.json")["label"] == "the-model"
    event = read_events(finished.events)[-1]
    assert (event["type"], event["label"], event["n"]) == ("evaluation", "the-model", 4)
    assert not finished.lock.exists()
    assert benchmark(str(tiny_model), run=finished.path, label="the model", runs_dir=finished.path.parent) == document
    with pytest.raises(TunerError) as caught:
        benchmark(str(finished.path), run=finished.path, label="the model", metrics=("rouge1",))
    assert caught.value.code == "label-taken"
    for label, code in (("after", "label-taken"), ("", "usage")):
        with pytest.raises(TunerError) as caught:
            benchmark(str(tiny_model), run=finished.path, label=label)
        assert caught.value.code == code
    with RunLock(finished), pytest.raises(TunerError) as caught:
        benchmark(str(tiny_model), run=finished.path, label="other")
    assert caught.value.code == "run-locked"


@pytest.mark.parametrize(
    ("options", "code"),
    [({}, "usage"), ({"data": "rows"}, "no-rows"), ({"data": "rows", "split": "odd"}, "usage")],
)
def test_rows_that_cannot_be_had_are_one_sentence(
    options: dict[str, Any], code: str, tiny_model: Path, tmp_path: Path
) -> None:
    place = tmp_path / "rows"
    place.mkdir()
    for split in ("train", "valid"):
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in make_rows(3)))
    given = {key: str(place) if value == "rows" else value for key, value in options.items()}
    with pytest.raises(TunerError) as caught:
        benchmark(str(tiny_model), runs_dir=tmp_path / "runs", **given)
    assert caught.value.code == code


def test_all_rows_of_a_file_are_taken_in_order(tiny_model: Path, tmp_path: Path, cache: Path) -> None:
    rows = make_rows(7, seed=5)
    place = tmp_path / "rows.jsonl"
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options: dict[str, Any] = {"data": str(place), "runs_dir": tmp_path / "runs", "max_tokens": 4}
    document = benchmark(str(tiny_model), **options)
    told = [json.loads(line) for line in Path(document["rows"]).read_text().splitlines()]
    assert [row["reference"] for row in told] == [row["completion"] for row in rows]
    few = benchmark(str(tiny_model), limit=2, **options)
    assert (few["n"], document["n"]) == (2, 7)
    assert few["rows"] != document["rows"]
    raw = benchmark(str(tiny_model), raw_prompt=True, **options)
    settings = read(Path(raw["document"]))["settings"]
    assert "chat template" in settings["mismatch"]
    first = json.loads(Path(raw["rows"]).read_text().splitlines()[0])
    assert first["prompt"] == rows[0]["prompt"]
    whole = benchmark(
        str(tiny_model), overrides=("data.mask_prompt=false",), **options
    )  # another loss, so another result
    assert whole["metrics"]["loss"] != document["metrics"]["loss"]
    assert benchmark(str(tiny_model), **options) == document


def test_a_killed_evaluation_goes_on_where_it_was(tiny_model: Path, tmp_path: Path, cache: Path) -> None:
    place, runs = tmp_path / "rows.jsonl", tmp_path / "runs"
    place.write_text("".join(json.dumps(row) + "\n" for row in make_rows(60, seed=5)))
    command = [sys.executable, "-m", "tui_tuner", "evaluate", str(tiny_model), "--data", str(place), "--json"]
    command += ["--max-tokens", "60", "--batch-size", "2", "--set", "evaluation.reuse_answers=false"]
    command += ["--runs-dir", str(runs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def rows() -> list[bytes]:
        found = list(runs.glob("evaluations/*/result.partial.jsonl"))
        return found[0].read_bytes().split(b"\n")[:-1] if found else []

    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240
        while len(rows()) < 3 and process.poll() is None and time.monotonic() < deadline:
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL
    finally:
        process.kill()
    kept = rows()
    assert 3 <= len(kept) < 60
    given = [json.loads(line) for line in kept]
    # What stands there is taken as it is: a mark in an answer shows that it was not given again.
    path = next(runs.glob("evaluations/*/result.partial.jsonl"))
    marked = {**given[0], "prediction": "kept"}
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in [marked, *given[1:]]) + b'{"index": 5')
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    document = json.loads(done.stdout)
    told = [json.loads(line) for line in Path(document["rows"]).read_text().splitlines()]
    assert [row["index"] for row in told] == list(range(60))
    assert told[given[0]["index"]]["prediction"] == "kept"
    assert all(told[row["index"]]["prediction"] == row["prediction"] for row in given[1:])
    assert not path.exists()


def test_suites_are_asked_anew_for_any_state(finished: RunFolder) -> None:
    def ask(request: Any) -> dict[str, Any]:
        return run_suite(request, JobControl(), ModelShelf())

    before = read(finished.evaluation / "behaviour-before.json")
    assert ask(RunBehaviour(finished.path, "before")) == before
    request = RunCanaries(finished.path, "step-2")
    document = ask(request)
    assert (request.progress.done, request.progress.total) == (40, 40)
    assert read(finished.evaluation / "canaries-step-2.json") == document
    assert {group["status"] for group in document["groups"]} == {"not known before"}  # random weights know nothing
    assert document["died"] == []


def test_a_run_without_cases_has_no_behaviour(new_run: Callable[..., RunFolder]) -> None:
    with pytest.raises(TunerError) as caught:
        run_suite(RunBehaviour(new_run().path), JobControl(), ModelShelf())
    assert caught.value.code == "no-cases"


def test_the_best_checkpoint_is_found_and_used_and_nothing_is_lost(
    finished: RunFolder, answered: list[int], cache: Path
) -> None:
    request = PickCheckpoint(finished.path, "rouge1")
    document = pick_checkpoint(request, JobControl(), ModelShelf())
    assert answered == [4, 4, 4, 4]
    assert (request.progress.done, request.progress.total) == (16, 16)
    points = document["points"]
    assert [point["step"] for point in points] == [2, 4, 6, 8]
    assert all(point["low"] <= point["value"] <= point["high"] for point in points)
    best = min(points, key=lambda point: (-point["value"], point["validation_loss"], point["step"]))
    assert document["best_step"] == best["step"]
    pick_checkpoint(PickCheckpoint(finished.path, "exact_match"), JobControl(), ModelShelf())
    assert answered == [4, 4, 4, 4]  # another metric of the same answers
    by_loss = pick_checkpoint(PickCheckpoint(finished.path, "loss"), JobControl(), ModelShelf())
    assert by_loss["best_step"] == min(by_loss["points"], key=lambda point: point["value"])["step"]
    assert by_loss["higher_is_better"] is False

    former, rows = document["used"], (finished.evaluation / "after.jsonl").read_bytes()
    assert former is not None
    other = next(step for step in (2, 4, 6, 8) if step != former)
    used = pick_checkpoint(PickCheckpoint(finished.path, "rouge1", str(other)), JobControl(), ModelShelf())
    assert used["used"] == other
    weights = (finished.adapters / "adapters.safetensors").read_bytes()
    assert weights == (finished.adapters / f"{other:07d}_adapters.safetensors").read_bytes()
    assert (finished.evaluation / f"step-{former}.jsonl").read_bytes() == rows
    assert read(finished.evaluation / f"step-{former}.json")["label"] == f"step-{former}"
    assert (finished.evaluation / f"behaviour-step-{former}.json").is_file()
    events = read_events(finished.events)
    told = next(event for event in events if event.get("what") == "use_checkpoint")
    assert (told["step"], told["before"]) == (other, f"{former:07d}_adapters.safetensors")
    after = [event["type"] for event in events[events.index(told) + 1 :]]
    assert after == ["evaluation", "behaviour", "canaries", "verdict"]
    assert summarise(finished).state == "finished"
    # And back, whatever was measured in between; a stop before it is measured costs nothing but asking again.
    shutil.rmtree(cache)  # or its answers would be known already
    stopped = JobControl()
    stopped.stop()
    with pytest.raises(StopRequested):
        pick_checkpoint(PickCheckpoint(finished.path, "loss", str(former)), stopped, ModelShelf())
    assert not (finished.evaluation / "after.json").exists()
    for _ in range(2):
        pick_checkpoint(PickCheckpoint(finished.path, "rouge1", str(former)), JobControl(), ModelShelf())
    assert (finished.evaluation / "after.jsonl").read_bytes() == rows
    told_again = [event.get("what", event["type"]) for event in read_events(finished.events)[len(events) :]]
    assert told_again == ["use_checkpoint", "evaluation", "behaviour", "canaries", "verdict"]


def test_weights_of_no_checkpoint_are_kept_under_a_name_of_their_own(finished: RunFolder) -> None:
    place = finished.adapters / "adapters.safetensors"
    import mlx.core as mx

    mean = {name: value * 0.5 for name, value in mx.load(str(place)).items()}
    mx.save_safetensors(str(place), mean)
    weights = place.read_bytes()
    document = pick_checkpoint(PickCheckpoint(finished.path, "loss", "best"), JobControl(), ModelShelf())
    assert document["used"] == document["best_step"]
    assert (finished.adapters / "former-1_adapters.safetensors").read_bytes() == weights


def test_what_cannot_be_used_is_one_sentence(finished: RunFolder) -> None:
    for use, code in (("99", "no-checkpoint"), ("last", "usage")):
        with pytest.raises(TunerError) as caught:
            pick_checkpoint(PickCheckpoint(finished.path, "loss", use), JobControl(), ModelShelf())
        assert caught.value.code == code
    with pytest.raises(TunerError, match="no reference of the validation rows holds a number"):
        pick_checkpoint(PickCheckpoint(finished.path, "numeric_accuracy"), JobControl(), ModelShelf())
    with RunLock(finished), pytest.raises(TunerError) as caught:
        pick_checkpoint(PickCheckpoint(finished.path), JobControl(), ModelShelf())
    assert caught.value.code == "run-locked"


def test_a_case_that_the_template_refuses_ends_the_run_before_it_trains(
    new_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    form = tmp_path / "form.jinja"
    form.write_text(
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    )
    folder = new_run(model={"chat_template": str(form)}, behaviour={"cases": CASES})
    with pytest.raises(TunerError) as caught:
        run_experiment(folder, JobControl(), ModelShelf())
    assert "silence" in caught.value.where
    failed = [event for event in read_events(folder.events) if event.get("status") == "failed"]
    assert failed[0]["name"] == "check"
