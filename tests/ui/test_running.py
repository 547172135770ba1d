"""Starting, watching, steering, stopping and resuming runs, on an engine that moves only when told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import DataTable, OptionList

from tests.ui.conftest import Drive
from tests.ui.fakes import SENTENCE, FakeEngine, RunBuilder, going
from tests.ui.looking import notices, shown, until
from tests.ui.workshop import with_config
from tui_tuner.engine.protocol import JobStatus
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.errors import TunerError
from tui_tuner.runs.state import RunState
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.widgets.losschart import LossChart
from tui_tuner.ui.widgets.story import Story

Build = Callable[..., RunBuilder]
HOSTILE = "\x1b]0;owned\x07 [bold red]x[/] \u202egnitser [@click=app.quit]quit[/]"


async def test_quickstart_is_the_first_thing_and_starts_a_run(drive: Drive, engine: FakeEngine, runs_dir: Path) -> None:
    async with drive() as (app, pilot):
        choices = app.screen.query_one(OptionList)
        await until(pilot, lambda: app.focused is choices and choices.highlighted is not None)
        assert choices.get_option_at_index(choices.highlighted or 0).id == "quickstart"
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "train")
        assert [type(request) for request in engine.submitted] == [RunExperiment]
        folder = engine.submitted[0].folder
        assert folder.parent == runs_dir
        assert app.state.run is not None and app.state.run.path == folder
        assert (folder / "config.toml").is_file()
        await until(pilot, lambda: "starting …" in shown(app))


async def test_autostart_starts_once_after_the_first_frame(drive: Drive, engine: FakeEngine) -> None:
    async with drive(preset="quickstart", overrides=["train.iters=17"], autostart=True) as (app, pilot):
        await until(pilot, lambda: app.current_mode == "train" and len(engine.submitted) == 1)
        assert engine.started
        text = (engine.submitted[0].folder / "config.toml").read_text(encoding="utf-8")
        assert "iters = 17" in text


async def test_a_second_run_is_queued(drive: Drive, engine: FakeEngine) -> None:
    async with drive(preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        await pilot.press("f5")
        await pilot.press("f5")
        await until(pilot, lambda: len(engine.submitted) == 2)
        assert [handle.status for handle in engine.handles()] == [JobStatus.RUNNING, JobStatus.QUEUED]
        assert any("Queued" in text for text in notices(app))
        await until(pilot, lambda: "waiting for its turn" in shown(app))
        engine.end(engine.handles()[0])
        await until(pilot, lambda: "starting …" in shown(app), "the second begins when the first has ended")


async def test_starting_nothing_says_what_to_do(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await pilot.press("4")
        await pilot.press("f5")
        await until(pilot, lambda: any("nothing to start" in text for text in notices(app)))
        assert engine.submitted == []


async def test_the_train_screen_follows_the_events(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build().prepared())
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "training" in shown(app))
        chart = app.screen.query_one(LossChart)
        assert not chart.series or not len(chart.series[0].x)
        builder.train(1, 40)
        await until(pilot, lambda: chart.series and list(chart.series[0].x[-1:]) == [40.0], "the curve reaches step 40")
        await until(pilot, lambda: "40/120" in shown(app))
        builder.train(41, 120).evaluated().finish()
        await until(pilot, lambda: "Finished." in shown(app))
        await until(pilot, lambda: "+92.5" in shown(app) and "better" in shown(app))
        assert app.state.follower is not None and app.state.follower.state is RunState.FINISHED


async def test_a_resumed_run_replaces_the_end_of_its_curve(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build().prepared().train(1, 90))
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        chart_of = lambda: app.screen.query_one(LossChart)  # noqa: E731
        await until(pilot, lambda: app.screen.query(LossChart) and chart_of().series)
        assert chart_of().series[0].x[-1] == 90.0
        builder.begin(resumed=True, from_step=60).stage("train", "running").train(61, 70)
        await until(pilot, lambda: list(chart_of().series[0].x[-1:]) == [70.0])


async def test_pause_and_proceed(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build().prepared().train(1, 40))
    control = engine.handles()[0].control
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "training" in shown(app))
        await pilot.press("space")
        assert control.paused
        await until(pilot, lambda: "pausing" in shown(app))
        builder.add("control", what="pause", by="user")
        await until(pilot, lambda: "Paused between two steps" in shown(app))
        await pilot.press("p")
        assert not control.paused


async def test_stop_asks_and_then_stops(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build().prepared().train(1, 40))
    control = engine.handles()[0].control
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "training" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        assert not control.stop_requested
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("enter")
        await until(pilot, lambda: control.stop_requested)
        await until(pilot, lambda: "stopping, saving" in shown(app))
        builder.finish("stopped")
        engine.end(engine.handles()[0], status=JobStatus.STOPPED)
        await until(pilot, lambda: "Stopped and saved at step 40" in shown(app))


async def test_requests_go_to_the_running_job(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build().prepared().train(1, 40))
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "training" in shown(app))
        await pilot.press("e", "c")
        assert [what for what, _ in engine.handles()[0].control.take_requests()] == ["evaluate", "checkpoint"]


async def test_chart_keys(drive: Drive, build: Build) -> None:
    builder = build().prepared().train(1, 40)
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: app.screen.query(LossChart) and app.screen.query_one(LossChart).series)
        chart = app.screen.query_one(LossChart)
        before = chart.smoothing
        await pilot.press("l", "m")
        assert chart.log_y and chart.smoothing != before
        await pilot.press("v")
        assert app.screen.query_one("#story", Story).current == "samples"


async def test_a_failed_run_says_why_and_what_to_do(drive: Drive, build: Build) -> None:
    builder = build().prepared().train(1, 40).finish("failed", "the loss became NaN; lower train.learning_rate")
    async with drive(size=(80, 24)) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "the loss became NaN; lower train.learning_rate" in shown(app))
        assert "r tries again" in shown(app)


async def test_an_interrupted_run_is_resumed_with_one_key(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = build().prepared().train(1, 90)
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "r resumes from its checkpoint at step 60" in shown(app))
        await pilot.press("r")
        await until(pilot, lambda: engine.submitted == [RunExperiment(builder.folder.path)])
        await pilot.press("r")
        await pilot.pause()
        assert len(engine.submitted) == 1, "a run that is going is not queued again"


async def test_runs_lists_opens_and_resumes(drive: Drive, engine: FakeEngine, build: Build) -> None:
    build("done", "20251001-000000").prepared().train(1, 120).evaluated().finish()
    broken = build("cut-off", "20251002-000000").prepared().train(1, 90)
    async with drive(size=(160, 50)) as (app, pilot):
        app.go("runs")
        await until(pilot, lambda: "cut-off-20251002" in shown(app) and "done-20251001" in shown(app))
        text = shown(app)
        assert "↯ interrupted" in text and "✓ finished" in text and "0.240" in text
        table = app.screen.query_one(DataTable)
        table.move_cursor(row=table.get_row_index(broken.folder.name))
        await pilot.pause()
        await pilot.press("r")
        await until(pilot, lambda: app.current_mode == "train")
        assert engine.submitted == [RunExperiment(broken.folder.path)]
        assert app.state.run is not None and app.state.run.path == broken.folder.path


async def test_what_is_too_long_for_the_lines_below_the_runs_is_cut_with_an_ellipsis(
    drive: Drive, build: Build
) -> None:
    build("a-name-of-many-letters-that-is-longer-than-others", "20251001-000000").prepared().train(1, 90)
    with_config(build("done", "20251002-000000").prepared().train(1, 120).evaluated().finish())
    async with drive(size=(80, 24)) as (app, pilot):
        app.go("runs")
        await until(pilot, lambda: "done-20251002" in shown(app) and SENTENCE[:60] in shown(app))
        *_, first, second, _keys = (line.strip() for line in shown(app).splitlines())
        assert first == "done-20251002-000000  enter shows the result · b its rows · c chats"
        assert second.endswith("…") and second[:-1] in SENTENCE
        await pilot.press("down")
        await until(pilot, lambda: "r resumes it" in shown(app))
        *_, first, second, _keys = (line.strip() for line in shown(app).splitlines())
        assert first.startswith("a-name-of-many-let") and "…" in first
        assert first.endswith("1001-000000  ended without saying so · r resumes it")
        await pilot.resize_terminal(120, 40)
        await until(
            pilot, lambda: "a-name-of-many-letters-that-is-longer-than-others-20251001-000000  ended" in shown(app)
        )


async def test_runs_shows_new_runs_by_itself(drive: Drive, build: Build) -> None:
    async with drive() as (app, pilot):
        app.go("runs")
        await until(pilot, lambda: "No runs yet" in shown(app))
        build("fresh").prepared()
        await until(pilot, lambda: "fresh-20251009-085320" in shown(app))


async def test_a_failing_job_is_one_sentence_told_once(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build())
    async with drive() as (app, pilot):
        engine.end(
            engine.handles()[0], error=TunerError("the model is not there", where="models/x", fix="check the path")
        )
        await until(pilot, lambda: notices(app) == ["models/x: the model is not there; check the path."])
        engine.tell()
        await pilot.pause()
        assert len(notices(app)) == 1
        assert builder.folder.path.is_dir()


async def test_hostile_text_is_inert_everywhere(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build("[red]bad[blink]").prepared().train(1, 60))
    builder.add("log", level="warning", text=HOSTILE)
    builder.add("sample", step=60, prompt=HOSTILE, text=HOSTILE)
    builder.add("advice", code="x", severity="warning", text=HOSTILE, change=HOSTILE)
    async with drive(size=(200, 60)) as (app, pilot):
        app.select_run(builder.folder)
        for mode in ("train", "runs", "home"):
            app.go(mode)
            await until(pilot, lambda: "[red]bad[blink]" in shown(app), f"the name as it is on {mode}")
            assert "\x1b" not in shown(app) and "\u202e" not in shown(app)
        app.go("train")
        story = app.screen_stack[0].query_one("#story", Story)
        for view in ("log", "samples", "advice"):
            story.choose(story.views, view)
            await until(pilot, lambda: "␛]0;owned␇ [bold red]x[/] ‹rlo›gnitser [@click=app.quit]" in shown(app), view)
        builder.finish("failed", HOSTILE)
        await until(pilot, lambda: "✗ ␛]0;owned␇ [bold red]x[/]" in shown(app))


async def test_a_long_event_file_is_read_without_blocking(
    drive: Drive, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_tuner.ui.follower.LARGE", 100)
    builder = build().prepared().train(1, 120).evaluated().finish()
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: SENTENCE.split(":")[0] in shown(app))


async def test_reuse_loads_the_configuration_of_a_run(drive: Drive, build: Build) -> None:
    from tui_tuner.config import dump_experiment
    from tui_tuner.config.presets import load_preset

    builder = build("mine").prepared()
    experiment, _ = load_preset("quickstart", ["train.iters=33"])
    builder.folder.config.write_text(dump_experiment(experiment), encoding="utf-8")
    async with drive() as (app, pilot):
        app.go("runs")
        await until(pilot, lambda: "mine-2025" in shown(app))
        await pilot.press("u")
        await until(pilot, lambda: app.state.experiment is not None)
        assert app.state.experiment is not None and app.state.experiment.train.iters == 33
        assert app.state.origin == app.state.experiment and not app.state.edited
