"""Measuring from the benchmark screen: what is asked of the engine, how far it is, stopping it, and what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tests.ui.measured import CHECKPOINTS, measured
from tests.ui.test_benchmark_tabs import open_tab
from tests.ui.workshop import (
    SIZES,
    answer_row,
    app_with,
    experiment,
    finished,
    open_mode,
    place,
    posed,
    with_config,
    write_answers,
)
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import (
    Benchmark,
    Evaluating,
    PickCheckpoint,
    RunBehaviour,
    RunCanaries,
    RunExperiment,
)
from tui_tuner.errors import TunerError
from tui_tuner.ui.adddialog import AddDialog, Subject

__all__ = ["place"]


def asked(engine: FakeEngine) -> list[JobHandle]:
    """What was asked to be measured."""
    return [handle for handle in engine.handles() if isinstance(handle.request, Evaluating)]


async def test_a_run_without_a_benchmark_is_measured_with_one_key(
    drive: Drive, build: Callable[..., RunBuilder], engine: FakeEngine
) -> None:
    run = with_config(build()).begin().finish()
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=run)
        await until(pilot, lambda: "b measures it now" in shown(app))
        await pilot.press("b")
        await until(pilot, lambda: len(asked(engine)) == 2)
        first, second = (handle.request for handle in asked(engine))
        path = run.folder.path
        assert isinstance(first, Benchmark) and isinstance(second, Benchmark)
        assert (first.target, first.label, first.run) == (f"{path}:base", "base", path)
        assert (second.target, second.label, second.run) == (str(path), "adapter", path)
        await until(pilot, lambda: "Benchmark of base: loading the model, 1 more to come" in shown(app))
        first.progress(3, 12)
        rows = "".join(json.dumps({"index": at, "prediction": f"so far {at}"}) + "\n" for at in range(3))
        (run.folder.evaluation / "base.partial.jsonl").write_text(rows, encoding="utf-8")
        await until(pilot, lambda: "3 of 12 answers" in shown(app))
        await open_tab(pilot, run, "rows")
        await until(pilot, lambda: "3 rows, in order" in shown(app) and "so far 0" in shown(app))
        write_answers(run.folder.evaluation, "base", [answer_row(at, "The Herons won.", 0.3) for at in range(12)])
        engine.end(asked(engine)[0], {"label": "base"})
        write_answers(run.folder.evaluation, "adapter", [answer_row(at, "FT W | Herons 4-2", 1.0) for at in range(12)])
        engine.end(asked(engine)[1], {"label": "adapter"})
        await until(pilot, lambda: "Benchmark of adapter: done." in notices(app))
        await until(pilot, lambda: "base → adapter" in shown(app) and "▲ better" in shown(app))
        assert app.screen.check_action("measure", ()) is False


async def test_rows_of_a_run_that_goes_appear_as_they_finish(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = with_config(build()).begin()
    (run.folder.data / "test.jsonl").write_text('{"prompt": "Report game 0.", "completion": "FT"}\n', encoding="utf-8")
    partial = run.folder.evaluation / "before.partial.jsonl"
    partial.write_text('{"index": 0, "prediction": "The Herons", "tokens": 3, "finish": "stop"}\n', encoding="utf-8")
    engine = FakeEngine()
    async with drive(engine=engine) as (app, pilot):
        app.jobs.submit(run.folder)
        await open_tab(pilot, run, "rows")
        await until(pilot, lambda: "rows appear as they finish" in shown(app))
        assert "Report game 0." in shown(app) and "The Herons" in shown(app)
        assert app.screen.check_action("measure", ()) is False


async def test_an_interrupted_run_goes_on_with_its_own_benchmark(
    drive: Drive, build: Callable[..., RunBuilder], engine: FakeEngine
) -> None:
    run = with_config(build().prepared().train(1, 30))
    write_answers(run.folder.evaluation, "before", [answer_row(0, "The Herons won.", 0.3)])
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=run)
        await until(pilot, lambda: "b goes on with it" in shown(app))
        await pilot.press("b")
        await until(pilot, lambda: engine.submitted == [RunExperiment(run.folder.path)])
        await until(pilot, lambda: app.current_mode == "benchmark")
        # While the run goes it measures itself.
        assert app.screen.check_action("measure", ()) is False and app.screen.check_action("add", ()) is False


@pytest.mark.parametrize(("tab", "kind"), [("behaviour", RunBehaviour), ("canaries", RunCanaries)])
async def test_tests_are_asked_on_both_sides(
    drive: Drive, build: Callable[..., RunBuilder], engine: FakeEngine, tab: str, kind: type
) -> None:
    run = finished(build())
    async with drive() as (app, pilot):
        await open_tab(pilot, run, tab)
        await pilot.press("b")
        await until(pilot, lambda: len(asked(engine)) == 2)
        assert [(type(h.request), h.request.label) for h in asked(engine)] == [(kind, "before"), (kind, "after")]
        await pilot.press("b")
        assert len(asked(engine)) == 2
        await pilot.press("s")
        await until(pilot, lambda: all(handle.control.stop_requested for handle in asked(engine)))
        await until(pilot, lambda: "Stopping …" in shown(app))
        for handle in asked(engine):
            engine.end(handle, status=JobStatus.STOPPED)
        await until(pilot, lambda: any("stopped. What was answered is kept" in text for text in notices(app)))
        assert app.screen.check_action("halt", ()) is False


async def test_what_fails_is_told(drive: Drive, build: Callable[..., RunBuilder], engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_tab(pilot, finished(build()), "behaviour")
        await pilot.press("b")
        await until(pilot, lambda: len(asked(engine)) == 2)
        engine.end(asked(engine)[0], error=TunerError("the run's configuration has no behaviour cases"))
        await until(pilot, lambda: any("no behaviour cases" in text for text in notices(app)))
        line = app.screen.query_one("#benchmark-doing", Static)
        assert "s stops it" in str(line.visual), "the other one goes on"
        engine.end(asked(engine)[1])
        why = "✗ Behaviour tests, before: the run's configuration has no behaviour cases."
        await until(pilot, lambda: str(line.visual) == why, "it stands there until the next attempt")
        await pilot.press("b")
        await until(pilot, lambda: "s stops it" in str(line.visual))


async def test_a_checkpoint_is_used_after_a_question(
    drive: Drive, build: Callable[..., RunBuilder], engine: FakeEngine
) -> None:
    run = measured(build())
    async with drive() as (app, pilot):
        await open_tab(pilot, run, "checkpoints")
        await pilot.press("u")
        await until(pilot, lambda: "Use the checkpoint of step 90?" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Use the checkpoint" not in shown(app))
        assert asked(engine) == []
        await pilot.press("u")
        await until(pilot, lambda: "Use the checkpoint of step 90?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: [h.request for h in asked(engine)] and "Using step 90" in shown(app))
        request = asked(engine)[0].request
        assert isinstance(request, PickCheckpoint) and (request.run, request.use) == (run.folder.path, "90")
        document = {**CHECKPOINTS, "used": 90}
        (run.folder.evaluation / "checkpoints.json").write_text(json.dumps(document), encoding="utf-8")
        engine.end(asked(engine)[0], document)
        await until(pilot, lambda: "best, in use" in shown(app))


# -- adding a model -----------------------------------------------------------------------------------------------


async def test_a_checkpoint_or_a_model_is_added(
    drive: Drive, build: Callable[..., RunBuilder], engine: FakeEngine, tmp_path: Path
) -> None:
    run = finished(build())
    for step in (60, 120):
        (run.folder.adapters / f"{step:07d}_adapters.safetensors").write_bytes(b"weights")
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=run)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AddDialog))
        await pilot.press("down")
        model = app.screen.query_one("#add-model", Input)
        await until(pilot, lambda: model.value == f"{run.folder.name}:60")
        await pilot.press("enter")
        await until(pilot, lambda: len(asked(engine)) == 1)
        request = asked(engine)[0].request
        assert isinstance(request, Benchmark)
        assert (request.target, request.label, request.run) == (f"{run.folder.name}:60", "step-60", run.folder.path)
        engine.end(asked(engine)[0], {})
        await until(pilot, lambda: "Benchmark of step-60: done." in notices(app))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AddDialog))
        await pilot.press(*"owner/phi", "tab", *str(tmp_path / "lora").replace("/", "/"), "enter")
        await until(pilot, lambda: len(asked(engine)) == 2)
        request = asked(engine)[1].request
        assert isinstance(request, Benchmark)
        assert (request.target, request.adapter, request.label) == ("owner/phi", tmp_path / "lora", "lora")


async def test_names_of_the_run_itself_are_refused(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=measured(build()))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AddDialog))
        await pilot.press("enter")
        await until(pilot, lambda: "Name a model first." in shown(app))
        app.screen.query_one("#add-model", Input).value = "owner/model"
        label = app.screen.query_one("#add-label", Input)
        await until(pilot, lambda: label.value == "model")
        label.value = "after"
        await pilot.press("enter")
        await until(pilot, lambda: "“after” belongs to the run itself" in shown(app))
        label.value = "step-60"
        await until(pilot, lambda: "There is a result step-60 already" in " ".join(shown(app).split()))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, AddDialog))


async def test_a_name_that_was_typed_stays(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    found: list[Subject | None] = []
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=measured(build()))
        app.push_screen(AddDialog([], []), found.append)
        await until(pilot, lambda: isinstance(app.screen, AddDialog))
        app.screen.query_one("#add-label", Input).value = "mine"
        await pilot.pause()
        app.screen.query_one("#add-model", Input).value = "owner/model"
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: found == [Subject("owner/model", "", "mine")])


def doing(handle: JobHandle) -> None:
    if isinstance(handle.request, Benchmark):
        handle.request.progress(5, 12)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["add", "going", "unmeasured"])
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    builder = RunBuilder(place)
    run = with_config(builder).begin().finish() if pose != "add" else measured(builder)
    for step in (60, 120):
        (run.folder.adapters / f"{step:07d}_adapters.safetensors").write_bytes(b"weights")
    if pose == "going":
        rows: list[dict[str, Any]] = [answer_row(at, f"so far {at}", 0.5) for at in range(5)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (run.folder.evaluation / "base.partial.jsonl").write_text(text, encoding="utf-8")
    keys = {"add": ("a", "down"), "going": ("b", "v", "v"), "unmeasured": ()}[pose]
    told = {"add": "measures", "going": "5 of 12 answers", "unmeasured": "b measures it now"}[pose]
    app = app_with(place, FakeEngine(doing))

    async def prepare(pilot: Pilot[Any]) -> None:
        await posed("benchmark", told, run=run, keys=keys)(pilot)

    assert snap_compare(app, terminal_size=size, run_before=prepare)


async def test_an_added_model_answers_as_many_rows_as_the_run_did(
    drive: Drive, build: Callable[..., RunBuilder], engine: FakeEngine
) -> None:
    run = with_config(finished(build()), experiment(evaluation_rows=7))
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=run)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AddDialog))
        await pilot.press(*"owner/phi", "enter")
        await until(pilot, lambda: len(asked(engine)) == 1)
        assert asked(engine)[0].request.limit == 7


async def test_the_sides_of_a_chosen_comparison_are_those_of_the_judged_rows(
    drive: Drive, build: Callable[..., RunBuilder]
) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=measured(build()))
        await pilot.press("v", "end", "enter", "V")
        # step-60.json says 0.902 of all its rows; those that are judged have 0.8 each.
        await until(pilot, lambda: "ROUGE-1" in shown(app) and " 0.800 0.800–0.800" in shown(app))
        assert "Canaries ✗" in shown(app)  # it was not asked them: before and after stand
