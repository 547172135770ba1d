"""What a person asked of a run after its last checkpoint is asked again when the run is taken up, once, at its step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.exactness import curve, events, run_watched, same, stop_after
from tests.support.twins import twins
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.train_stage import requests_to_replay
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx

Asks = dict[int, list[tuple[str, Any]]]
QUICK: dict[str, dict[str, Any]] = {
    "train": {"report_every": 1, "save_every": 4, "eval_every": 100},
    "evaluation": {"enabled": False},
}


def quick(**train: Any) -> dict[str, dict[str, Any]]:
    return {**QUICK, "train": {**QUICK["train"], **train}}


def run_asking(
    folder: RunFolder, asks: Asks, monkeypatch: pytest.MonkeyPatch, die: tuple[str, int] | None = None
) -> None:
    """Runs a folder, asks for things when a step is first reported, and may fail at an event, as if it were killed."""
    control, asked = JobControl(), set[int]()

    def watch(kind: str, fields: dict[str, Any]) -> None:
        step = fields.get("step")
        if kind == "train" and step in asks and step not in asked:
            asked.add(step)
            for what, value in asks[step]:
                control.request(what, value)
        if die is not None and kind == die[0] and (step or 0) >= die[1]:
            raise RuntimeError("as if killed")

    if die is None:
        run_watched(folder, control, watch, monkeypatch)
        return
    with pytest.raises(TunerError):
        run_watched(folder, control, watch, monkeypatch)


def killed_equals_whole(
    sections: dict[str, dict[str, Any]],
    asks: Asks,
    die: tuple[str, int],
    new_run: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[RunFolder, RunFolder]:
    whole, broken = new_run(**sections), new_run(**sections)
    run_asking(whole, asks, monkeypatch)
    run_asking(broken, asks, monkeypatch, die)
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)
    return whole, broken


def rates(folder: RunFolder) -> dict[int, float]:
    return {e["step"]: e["learning_rate"] for e in events(folder, "train")}


@pytest.mark.parametrize("accumulation", twins([1, 3], [1]))
@pytest.mark.parametrize("schedule", twins(["constant", "cosine", "warm-up and cosine"], ["warm-up and cosine"]))
def test_a_rate_that_was_changed_after_the_last_checkpoint(
    schedule: str, accumulation: int, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes at step 6, after the checkpoint of step 4, so it is in none."""
    train: dict[str, Any] = {"grad_accumulation": accumulation, "schedule": schedule.split()[-1]}
    if schedule.startswith("warm-up"):
        train["warmup"] = 1
    asks: Asks = {6: [("learning_rate", 5e-4)]}
    whole, broken = killed_equals_whole(quick(**train), asks, ("train", 8), new_run, monkeypatch)
    taken = [(e["by"], e["step"], e["value"]) for e in events(broken, "control")]
    assert taken == [("user", 6, 5e-4), ("replay", 6, 5e-4)]
    assert rates(whole)[9] < rates(whole)[6] * 0.8
    # Killed once more before the next checkpoint, it is still one wish, not two.
    assert [r for r in requests_to_replay(events(broken, "control"), 4) if r[1] == "learning_rate"] == [
        (6, "learning_rate", 5e-4)
    ]


@pytest.mark.parametrize("schedule", twins(["constant", "cosine"], ["cosine"]))
def test_of_two_rates_asked_for_between_two_updates_the_last_counts(
    schedule: str, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who thinks again before the next update must not get the product of both wishes."""
    once: Asks = {6: [("learning_rate", 5e-4)]}
    twice: Asks = {6: [("learning_rate", 7e-2), ("learning_rate", 5e-4)]}
    sections = quick(schedule=schedule, grad_accumulation=2)
    first, second = new_run(**sections), new_run(**sections)
    run_asking(first, once, monkeypatch)
    run_asking(second, twice, monkeypatch, ("train", 8))
    run_experiment(second, JobControl(), ModelShelf())
    same(first, second)
    assert 0.5 * 5e-4 < rates(first)[8] < 5.01e-4


def test_halving_twice_between_two_updates_is_a_quarter(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    half = ("learning_rate", "x0.5")
    sections = quick(schedule="linear", grad_accumulation=2, iters=40)
    plain, halved = new_run(**sections), new_run(**sections)
    run_experiment(plain, JobControl(), ModelShelf())
    run_asking(halved, {6: [half, half]}, monkeypatch, ("train", 8))
    run_experiment(halved, JobControl(), ModelShelf())
    assert rates(halved)[9] == pytest.approx(rates(plain)[9] / 4)


def test_a_finish_that_was_asked_for_after_the_last_checkpoint(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {**quick(save_every=5), "data": {"train": 24}}  # six batches an epoch
    whole, _ = killed_equals_whole(sections, {8: [("finish_epoch", None)]}, ("train", 9), new_run, monkeypatch)
    assert max(rates(whole)) == 12


def test_a_validation_that_was_asked_for_may_find_the_best(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before that validation is saved, the resumed run makes it again, and ends with the same weights."""
    sections = quick(save_every=4, learning_rate=3e-2)
    asks: Asks = {5: [("evaluate", None)], 6: [("evaluate", None)]}
    whole, broken = killed_equals_whole(sections, asks, ("validation", 6), new_run, monkeypatch)
    assert {e["step"] for e in events(broken, "validation")} == {0, 5, 6, 14}
    assert curve(whole) == curve(broken)


def test_a_newer_wish_makes_an_older_one_void(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first session asks at step 7 and is killed; the second asks at step 5, and again after a kill at step 6."""
    folder = new_run(**quick())
    run_asking(folder, {7: [("learning_rate", 5e-4)]}, monkeypatch, ("train", 8))
    run_asking(folder, {5: [("learning_rate", 2e-4)]}, monkeypatch, ("train", 6))
    run_experiment(folder, JobControl(), ModelShelf())
    newest = rates(folder)  # of several sessions the last one's
    assert newest[4] == pytest.approx(1e-3)
    assert newest[6] == newest[7] == newest[8] == newest[14] == pytest.approx(2e-4)


def bad_while_fast(monkeypatch: pytest.MonkeyPatch, limit: float, updates: set[int]) -> None:
    """Makes the loss no number at these updates as long as the rate is above a limit: as a rate that is too high does,
    and whichever process computes."""
    from tui_tuner.training import loop

    compile_step = loop.compile_step

    def compiling(model: Any, optimizer: Any, *arguments: Any, **options: Any) -> Any:
        step = compile_step(model, optimizer, *arguments, **options)

        def poisoned(*inputs: Any) -> Any:
            import mlx.core as mx

            bad = int(optimizer.step.item()) in updates and float(optimizer.learning_rate.item()) > limit
            result = step(*inputs)
            return dataclasses.replace(result, loss=mx.array(math.nan)) if bad else result

        return poisoned

    monkeypatch.setattr(loop, "compile_step", compiling)


@pytest.mark.parametrize(
    ("where", "at"), twins([("control", 4), ("checkpoint", 4), ("train", 5), ("train", 7)], [("checkpoint", 4)])
)
@pytest.mark.parametrize("ask", twins([None, 6], [6]), ids=["nothing asked", "a rate asked for"])
def test_a_kill_after_a_rollback(
    ask: int | None, where: str, at: int, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 8 to 10 are bad, the run rolls back to step 4 at half the rate; there, or a little later, it is killed.

    What was asked for at step 6 was taken before the rollback, and is not taken again when step 6 comes by again.
    """
    bad_while_fast(monkeypatch, 6e-4, {7})
    sections = quick(max_skipped=3)
    asks: Asks = {} if ask is None else {ask: [("learning_rate", 9e-4)]}
    whole, broken = new_run(**sections), new_run(**sections)
    run_asking(whole, asks, monkeypatch)
    (rollback,) = [e for e in events(whole, "control") if e["what"] == "rollback"]
    assert rollback["step"] == 4
    rolled: list[bool] = []

    def watch(kind: str, fields: dict[str, Any]) -> None:
        rolled.extend([True] * (kind == "control" and fields["what"] == "rollback"))
        if rolled and kind == where and fields["step"] >= at:
            raise RuntimeError("as if killed")
        if kind == "train" and fields["step"] == ask and not rolled:
            control.request("learning_rate", 9e-4)

    control = JobControl()
    with pytest.raises(TunerError):
        run_watched(broken, control, watch, monkeypatch)
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)
    assert rates(whole)[14] == rates(broken)[14]


def test_what_is_replayed() -> None:
    def asked(step: int, what: str, value: Any = None, by: str = "user") -> dict[str, Any]:
        return {"type": "control", "step": step, "what": what, "value": value, "by": by}

    def saved(step: int) -> dict[str, Any]:
        return {"type": "checkpoint", "step": step}

    rate = "learning_rate"
    assert requests_to_replay([], 0) == []
    assert requests_to_replay([asked(3, rate, 1.0), saved(4), asked(4, rate, 2.0)], 4) == [(4, rate, 2.0)]
    # Taken at the checkpoint's own step, before it was written: part of it.
    assert requests_to_replay([saved(4), asked(4, rate, 2.0), saved(4)], 4) == []
    # An older checkpoint is used because the newest is damaged.
    assert requests_to_replay([saved(4), asked(6, rate, 2.0), saved(8), asked(9, rate, 3.0)], 4) == [
        (6, rate, 2.0),
        (9, rate, 3.0),
    ]
    # A replay is the same wish, and a pause none that trains anything else.
    assert requests_to_replay([asked(6, rate, 2.0), asked(6, rate, 2.0, "replay"), asked(7, "pause")], 4) == [
        (6, rate, 2.0)
    ]
    # Replayed after the checkpoint of its step was written anew, it is in no checkpoint still.
    assert requests_to_replay([asked(6, rate, 2.0), saved(6), asked(6, rate, 2.0, "replay")], 6) == [(6, rate, 2.0)]
    # What a stop may cut short comes last.
    assert requests_to_replay([asked(6, "probe", "who?"), asked(6, rate, 2.0)], 4) == [
        (6, rate, 2.0),
        (6, "probe", "who?"),
    ]
    # Two wishes at one step stay in their order; a newer wish at an earlier step makes the later ones void.
    both = [asked(6, rate, 2.0), asked(6, rate, 3.0), asked(7, "finish_epoch")]
    assert requests_to_replay(both, 4) == [(6, rate, 2.0), (6, rate, 3.0), (7, "finish_epoch", None)]
    assert requests_to_replay([*both, asked(5, rate, 9.0)], 4) == [(7, "finish_epoch", None), (5, rate, 9.0)]


def test_a_stop_right_after_a_wish_keeps_it(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    """The wish is taken at the step of a checkpoint that was written before; the stop then writes no other one."""
    whole, broken = new_run(**quick()), new_run(**quick())
    run_asking(whole, {4: [("learning_rate", 5e-4)]}, monkeypatch)
    control = JobControl()

    def watch(kind: str, fields: dict[str, Any]) -> None:
        if kind == "checkpoint" and fields["step"] == 4:
            control.request("learning_rate", 5e-4)
            control.stop("test")

    assert run_watched(broken, control, watch, monkeypatch)["status"] == "stopped"
    assert max(e["step"] for e in events(broken, "checkpoint")) == 4
    assert [e["step"] for e in events(broken, "control") if e["what"] == "learning_rate"] == [4]
    stop_after(broken, "train", 5, monkeypatch)
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)
