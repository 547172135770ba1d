"""What a run's events add up to: right for any cutting of the log, after any resumption, and with any rubbish in it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.runs import Columns, RunView
from tui_tuner.runs.vocabulary import EVENT_FIELDS

Event = dict[str, Any]


def event(kind: str, t: float = 0.0, **fields: Any) -> Event:
    return {"t": t, "type": kind, **fields}


def started(t: float = 0.0, **fields: Any) -> Event:
    defaults = {"name": "a", "steps": 100, "seed": 1, "model": "m", "data": "d", "method": "lora"}
    return event("run_started", t, **{**defaults, "resumed": False, "from_step": 0, **fields})


def train(step: float, t: float = 0.0, **fields: Any) -> Event:
    return event("train", t, step=step, **{"loss": 1.0 / (step + 1), **fields})


def view_of(*events: Event) -> RunView:
    view = RunView()
    view.extend(events)
    return view


def picture(view: RunView) -> Any:
    """All that a view shows, comparable (NaN equals NaN)."""

    def table(columns: Columns) -> dict[str, list[str]]:
        return {name: [repr(value) for value in columns.column(name).tolist()] for name in columns.names}

    return repr(
        (
            table(view.train),
            table(view.validation),
            [(name, vars(stage)) for name, stage in view.stages.items()],
            (view.samples, view.checkpoints, view.advice, view.controls, view.skipped, view.logs, view.interventions),
            (view.evaluations, view.evaluation_rows, view.verdict, view.started, view.finished),
            (view.step, view.steps, view.from_step, view.elapsed, view.eta_seconds(), view.unknown),
            (view.state(True), view.state(False), view.best_validation, view.name, view.model),
        )
    )


# -- the fold ---------------------------------------------------------------------------------------------------------
def test_an_empty_view() -> None:
    view = RunView()
    assert (view.version, view.step, view.steps, view.elapsed, view.name, view.model) == (0, 0, 0, 0.0, "", "")
    assert view.eta_seconds() is None
    assert view.best_validation is None
    assert view.running_stage is None
    assert not view.extend([])
    assert view.version == 0


def test_the_story_of_a_run() -> None:
    view = view_of(
        started(10.0, steps=20, model="phi"),
        event("stage", 10.0, name="check", status="running"),
        event("stage", 11.5, name="check", status="done", seconds=1.5),
        event("stage", 11.5, name="train", status="running"),
        train(10, 12.0, loss=2.0, learning_rate=1e-5),
        event("validation", 12.5, step=10, loss=2.5, tokens=100, seconds=0.5),
        event("sample", 12.5, step=10, prompt="p", text="t"),
        event("checkpoint", 13.0, step=10, path="0000010_adapters.safetensors", best=True),
        event("advice", 13.0, code="x", severity="hint", text="lower it", change={"train.learning_rate": 1e-6}),
        event("control", 13.0, what="learning_rate", by="user", value=1e-6),
        event("skipped_step", 13.0, step=11, reason="loss is not finite"),
        train(20, 14.0, loss=1.0),
        event("validation", 14.5, step=20, loss=1.5, tokens=100, seconds=0.5),
        event("stage", 14.5, name="train", status="done", seconds=3.0),
        event("evaluation", 15.0, label="after", n=4, metrics={"rouge1": {"value": 0.5, "low": None, "high": 0.6}}),
        event("verdict", 15.0, sentence="better", metrics={"rouge1": {"p": 0.01, "verdict": "better"}}),
        event("log", 15.0, level="info", text="done"),
        event("run_finished", 16.0, status="finished", reason=""),
    )
    assert (view.name, view.model, view.step, view.steps) == ("a", "phi", 20, 20)
    np.testing.assert_array_equal(view.train.column("loss"), [2.0, 1.0])
    np.testing.assert_array_equal(view.train.column("learning_rate"), [1e-5, np.nan])
    np.testing.assert_array_equal(view.validation.column("step"), [10, 20])
    assert [(name, stage.status, stage.seconds) for name, stage in view.stages.items()] == [
        ("check", "done", 1.5),
        ("train", "done", 3.0),
    ]
    assert [sample["text"] for sample in view.samples] == ["t"]
    assert view.checkpoints[0]["best"] is True
    assert view.advice[0]["code"] == "x"
    assert view.controls[0]["value"] == 1e-6
    assert view.skipped[0]["step"] == 11
    assert view.evaluation_rows == {"after": 4}
    assert view.evaluations["after"]["rouge1"]["value"] == 0.5
    assert math.isnan(view.evaluations["after"]["rouge1"]["low"])
    assert view.verdict == {"sentence": "better", "metrics": {"rouge1": {"p": 0.01, "verdict": "better"}}}
    assert view.finished is not None
    assert view.best_validation == 1.5
    assert view.elapsed == 6.0
    assert view.elapsed_at(1_000.0) == 6.0


@pytest.mark.parametrize(("told", "ranks"), [(2, 2), (1, 1), (0, 1), (None, 1), ("many", 1)])
def test_how_many_train_it(told: Any, ranks: int) -> None:
    """A log from before there were ranks tells nothing, which is one."""
    assert view_of(started(ranks=told)).ranks == ranks
    assert view_of(started()).ranks == RunView().ranks == 1


def test_the_version_rises_with_changes_only() -> None:
    view = RunView()
    assert view.extend([started()])
    assert not view.extend([event("of the future")])
    assert view.extend([train(1), event("of the future")])
    assert view.version == 2
    assert view.unknown == 2


def test_a_loss_that_was_not_finite_is_nan() -> None:
    view = view_of(train(1, loss=None, nonfinite=["loss"]), train(2, loss=math.inf), train(3, loss=0.5))
    np.testing.assert_array_equal(view.train.column("loss"), [np.nan, np.nan, 0.5])


def test_logs_are_bounded() -> None:
    view = view_of(*(event("log", level="info", text=str(number)) for number in range(5_000)))
    assert [entry["text"] for entry in view.logs] == [str(number) for number in range(3_000, 5_000)]


# -- resuming ---------------------------------------------------------------------------------------------------------
def trained(last: int, every: int = 10, mark: str = "old") -> list[Event]:
    events: list[Event] = []
    for step in range(every, last + 1, every):
        events += [
            train(step, float(step), mark=1.0 if mark == "old" else 2.0),
            event("validation", float(step), step=step, loss=1.0, seconds=0.1, tokens=9),
            event("sample", float(step), step=step, prompt="p", text=f"{mark} {step}"),
            event("checkpoint", float(step), step=step, path=f"{step}", best=False),
            event("skipped_step", float(step), step=step + 1, reason="x"),
        ]
    return events


def test_a_resumption_drops_what_lies_beyond_it() -> None:
    view = view_of(started(), *trained(50), started(60.0, resumed=True, from_step=30))
    np.testing.assert_array_equal(view.train.column("step"), [10, 20, 30])
    np.testing.assert_array_equal(view.validation.column("step"), [10, 20, 30])
    assert [sample["step"] for sample in view.samples] == [10, 20, 30]
    assert [checkpoint["step"] for checkpoint in view.checkpoints] == [10, 20, 30]
    assert [skipped["step"] for skipped in view.skipped] == [11, 21]
    assert (view.step, view.from_step) == (30, 30)


def test_steps_that_come_again_replace_what_they_overtake() -> None:
    """Also when no `run_started` announces it: a guard that goes back to a checkpoint."""
    view = view_of(started(), *trained(50), *[train(step, 60.0 + step, mark=2.0) for step in (30, 40)])
    np.testing.assert_array_equal(view.train.column("step"), [10, 20, 30, 40])
    np.testing.assert_array_equal(view.train.column("mark"), [1, 1, 2, 2])
    np.testing.assert_array_equal(view.validation.column("step"), [10, 20, 30])
    assert [sample["step"] for sample in view.samples] == [10, 20, 30]
    view.extend([event("sample", step=30, prompt="p", text="new"), event("checkpoint", step=30, path="30", best=True)])
    assert [sample["text"] for sample in view.samples] == ["old 10", "old 20", "new"]
    assert [(entry["step"], entry["best"]) for entry in view.checkpoints] == [(10, False), (20, False), (30, True)]


def test_what_steered_a_run_is_kept_as_long_as_it_holds() -> None:
    def control(step: int, what: str, t: float = 0.0, **fields: Any) -> Event:
        return event("control", t, what=what, by="user", step=step, **fields)

    def steered(view: RunView) -> list[tuple[str, float]]:
        return [(e.get("what", "resumed"), e.get("step", e.get("from_step"))) for e in view.interventions]

    view = view_of(started(), control(5, "pause"), control(15, "learning_rate", value=1.0), control(25, "evaluate"))
    view.extend([started(60.0, resumed=True, from_step=20), control(25, "checkpoint")])
    assert steered(view) == [("pause", 5), ("learning_rate", 15), ("resumed", 20), ("checkpoint", 25)]
    assert len(view.controls) == 4, "what was overtaken did happen all the same"
    # Taken after the checkpoint of step 15, it is taken again when the run goes on from there.
    view.extend([started(90.0, resumed=True, from_step=15), control(15, "learning_rate", 91.0, value=1.0)])
    assert steered(view) == [("pause", 5), ("resumed", 15), ("learning_rate", 15)]
    assert view.interventions[-1]["t"] == 91.0
    view.extend([control(22, "pause"), control(10, "rollback", value=0.5)])
    assert steered(view) == [("pause", 5), ("rollback", 10)]
    view.extend([control(12, "pause"), train(10), train(20), train(11)])
    assert steered(view) == [("pause", 5), ("rollback", 10)]
    view.extend([started()])
    assert steered(view) == []


def test_a_resumption_between_reports_counts_from_its_step() -> None:
    view = view_of(started(), *trained(50), started(60.0, resumed=True, from_step=35))
    assert view.step == 35
    view.extend([train(40)])
    assert view.step == 40
    view.extend([train(20)])
    assert view.step == 20


def test_a_resumed_run_equals_one_that_was_never_interrupted() -> None:
    whole = view_of(started(), *trained(60, mark="new"))
    resumed = view_of(
        started(),
        *trained(20, mark="new"),
        *[entry for entry in trained(50) if entry["step"] > 20],
        started(70.0, resumed=True, from_step=20),
        *[entry for entry in trained(60, mark="new") if entry["step"] > 21],
        *[event("skipped_step", 20.0, step=21, reason="x")],
    )
    for name in ("step", "loss", "mark"):
        np.testing.assert_array_equal(resumed.train.column(name), whole.train.column(name))
    np.testing.assert_array_equal(resumed.validation.column("step"), whole.validation.column("step"))
    assert resumed.samples == whole.samples
    assert resumed.checkpoints == whole.checkpoints
    assert sorted(entry["step"] for entry in resumed.skipped) == [entry["step"] for entry in whole.skipped]


FINAL = [
    event("stage", name="train", status="done", seconds=1.0),
    event("stage", name="evaluate", status="done", seconds=1.0),
    event("evaluation", label="before", n=2, metrics={"rouge1": {"value": 0.1}}),
    event("evaluation", label="after", n=2, metrics={"rouge1": {"value": 0.2}}),
    event("verdict", sentence="better", metrics={}),
]


def test_results_of_overtaken_training_are_dropped_and_others_kept() -> None:
    view = view_of(started(steps=50), *trained(50), *FINAL, started(resumed=True, from_step=30, steps=50))
    assert set(view.evaluations) == {"before"}
    assert view.verdict is None
    assert set(view.stages) == {"train"}
    view = view_of(started(steps=50), *trained(50), *FINAL, started(resumed=True, from_step=50, steps=50))
    assert set(view.evaluations) == {"before", "after"}
    assert view.verdict is not None


def test_a_run_begun_anew_forgets_the_old_one() -> None:
    view = view_of(started(), *trained(50), *FINAL, event("log", text="kept"), started(60.0))
    assert len(view.train) == 0
    assert (view.samples, view.checkpoints, view.evaluations, view.stages, view.verdict) == ([], [], {}, {}, None)
    assert len(view.logs) == 1
    assert view.step == 0


def test_a_stage_that_was_broken_off_is_at_work_no_longer() -> None:
    view = view_of(
        started(),
        event("stage", name="check", status="done", seconds=1.0),
        event("stage", name="train", status="running"),
        started(resumed=True, from_step=0),
        event("stage", name="check", status="running"),
    )
    assert view.running_stage is not None
    assert view.running_stage.name == "check"


def test_the_gap_before_a_resumption_is_no_work() -> None:
    view = view_of(started(100.0), train(1, 110.0), started(500.0, resumed=True, from_step=1))
    assert view.elapsed == 10.0
    assert view.elapsed_at(507.0) == 17.0
    view.extend([train(2, 520.0), event("run_finished", 521.0, status="finished"), event("log", 900.0, text="later")])
    assert view.elapsed == 31.0
    assert view.elapsed_at(900.0) == 31.0
    view.extend([started(1000.0, resumed=True, from_step=2), train(3, 1002.0)])
    assert view.elapsed == 33.0


def test_a_clock_that_is_set_back_takes_no_time_away_and_goes_on_at_once() -> None:
    view = view_of(started(100.0), train(1, 110.0), train(2, 50.0))
    assert view.elapsed == 10.0
    view.extend([train(3, 55.0)])
    assert view.elapsed == 15.0 and view.elapsed_at(57.0) == 17.0
    assert view.elapsed_at(40.0) == 15.0  # set back again


def test_a_clock_that_jumps_ahead_and_a_machine_that_slept_count_an_hour_at_most() -> None:
    year = 365 * 86400.0
    view = view_of(started(100.0), train(1, 110.0), train(2, 110.0 + year), train(3, 120.0 + year), train(4, 125.0))
    assert view.elapsed == 10.0 + 3600.0 + 10.0
    assert view.elapsed_at(125.0 + year) == view.elapsed + 3600.0
    view.extend(
        [event("run_finished", 130.0, status="stopped"), started(20.0, resumed=True, from_step=4), train(5, 24.0)]
    )
    assert view.elapsed == 3620.0 + 5.0 + 4.0
    across = view.clock.at(view.train.column("t"))
    assert (np.diff(across) >= 0).all() and (across >= 0).all() and across[-1] <= view.elapsed


# -- the time that is left --------------------------------------------------------------------------------------------
def test_training_time_left_is_the_median_step_and_the_validations_due() -> None:
    events = [started(steps=100), event("stage", name="train", status="running")]
    view = view_of(*events)
    assert view.eta_seconds() is None
    for step in (10, 20, 30, 40):
        # One slow report must not move the estimate.
        view.extend([train(step, steps_per_second=0.01 if step == 20 else 2.0)])
        if step % 20 == 0:
            view.extend([event("validation", step=step, loss=1.0, seconds=3.0)])
    assert view.eta_seconds() == pytest.approx(60 / 2.0 + 3 * 3.0)


def test_the_last_validation_is_counted_when_the_steps_are_no_multiple() -> None:
    view = view_of(
        started(steps=50),
        *(event("validation", step=step, loss=1.0, seconds=3.0) for step in (20, 40)),
        train(40, steps_per_second=2.0),
    )
    assert view.eta_seconds() == pytest.approx(10 / 2.0 + 3.0)


def test_without_reported_rates_the_times_of_the_reports_serve() -> None:
    view = view_of(started(steps=50), *(train(step, 100.0 + 3.0 * step) for step in (10, 20, 30)))
    assert view.eta_seconds() == pytest.approx(20 * 3.0)
    assert view_of(started(steps=50), train(10, 1.0)).eta_seconds() is None
    assert view_of(started(steps=50), train(10, 1.0), train(20, 1.0)).eta_seconds() is None


def test_a_stage_that_counts_rows_tells_what_is_left() -> None:
    view = view_of(started(), event("stage", 10.0, name="baseline", status="running"))
    assert view.eta_seconds() is None
    view.extend([event("progress", 12.0, stage="baseline", done=0, total=40, text="")])
    assert view.eta_seconds() is None
    view.extend([event("progress", 20.0, stage="baseline", done=10, total=40, text="answering")])
    assert view.eta_seconds() == pytest.approx(30.0)
    stage = view.stages["baseline"]
    assert (stage.done, stage.total, stage.text, stage.seconds) == (10, 40, "answering", 10.0)


def test_nothing_is_left_after_the_end() -> None:
    events = [started(steps=20), train(10, steps_per_second=1.0)]
    assert view_of(*events).eta_seconds() == 10.0
    assert view_of(*events, train(20)).eta_seconds() == 0.0
    assert view_of(*events, event("run_finished", status="stopped")).eta_seconds() is None


# -- any cutting, any rubbish -----------------------------------------------------------------------------------------
rubbish = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 60),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.just(10**400),
    st.sampled_from(["train", "check", "running", "done", "pause", "finished", "after"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.one_of(st.none(), st.integers(), st.dictionaries(st.text(), st.none()))),
)


@st.composite
def odd_events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from([*EVENT_FIELDS, "of the future", 7, None]))
    names = [*EVENT_FIELDS.get(kind, ("x",)), "t"] if isinstance(kind, str) else ["t"]
    fields = draw(st.dictionaries(st.sampled_from(names), rubbish))
    return {"t": draw(st.floats(0, 100)), **fields, "type": kind}


def sensible_events() -> st.SearchStrategy[Event]:
    step = st.integers(0, 50)
    moment = st.floats(0, 1000)
    return st.one_of(
        st.builds(lambda s, t: train(s, t, steps_per_second=2.0), step, moment),
        st.builds(lambda s, t: event("validation", t, step=s, loss=1.0, seconds=0.5), step, moment),
        st.builds(lambda s, p: event("sample", step=s, prompt=p, text="t"), step, st.sampled_from("ab")),
        st.builds(lambda s: event("checkpoint", step=s, path=str(s), best=False), step),
        st.builds(lambda t, r, s: started(t, resumed=r, from_step=s), moment, st.booleans(), step),
        st.builds(
            lambda t, n, s: event("stage", t, name=n, status=s),
            moment,
            st.sampled_from(["check", "train", "evaluate"]),
            st.sampled_from(["running", "done"]),
        ),
        st.sampled_from(FINAL),
        st.builds(lambda t: event("run_finished", t, status="stopped"), moment),
    )


@settings(max_examples=150, deadline=None)
@given(events=st.lists(st.one_of(sensible_events(), odd_events()), max_size=30), data=st.data())
def test_any_cutting_of_any_log_gives_the_same_picture(events: list[Event], data: Any) -> None:
    whole = view_of(*events)
    pieces = RunView()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=5)))
    for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
        before = pieces.version
        assert pieces.extend(events[start:end]) == (pieces.version > before)
        pieces.eta_seconds()
    assert picture(pieces) == picture(whole)
    steps = whole.train.column("step")
    assert (np.diff(steps) > 0).all()
    left = whole.eta_seconds()
    assert left is None or left >= 0.0
    assert whole.step >= 0 or (steps < 0).any()
