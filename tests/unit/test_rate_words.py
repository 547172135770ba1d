"""The dialog of the learning rate in words: what is in force, what the schedule says, what a wish would come to."""

from __future__ import annotations

from typing import Any

import pytest

from tui_tuner.config import Experiment
from tui_tuner.errors import TunerError
from tui_tuner.runs.rates import RateWish
from tui_tuner.runs.view import RunView
from tui_tuner.ui.rates import QUICK, now_content, preview, rate_facts


def experiment(**train: Any) -> Experiment:
    section = {"iters": 100, "learning_rate": 1e-4, **train}
    return Experiment.model_validate({"model": {"path": "m"}, "data": {"source": "d"}, "train": section})


def view(*reports: tuple[int, float | None], steps: int = 100) -> RunView:
    made = RunView()
    made.extend([{"t": 0.0, "type": "run_started", "steps": steps, "resumed": False, "from_step": 0}])
    made.extend({"t": float(s), "type": "train", "step": s, "loss": 1.0, "learning_rate": r} for s, r in reports)
    return made


def told(made: RunView, setup: Experiment | None, wish: str = "x2") -> tuple[list[str], list[str]]:
    facts = rate_facts(made, setup)
    return now_content(facts).plain.split("\n"), preview(facts, RateWish.parse(wish)).plain.split("\n")


def test_a_constant_rate_is_one_line_now_and_after() -> None:
    now, after = told(view((20, 1e-4)), experiment())
    assert now == ["Now       1e-4  at step 20 of 100", "Schedule  none: the rate stays as it is set"]
    assert [line.split() for line in after] == [["from", "the", "next", "update", "on", "1e-4", "→", "2e-4"]]


def test_a_schedule_is_told_at_its_moments_all_multiplied() -> None:
    """Linear over 100 updates: half of the rate is left at step 51 (update 50), a hundredth at the last."""
    now, after = told(view((51, 5e-5)), experiment(schedule="linear"), "x0.5")
    assert now[1] == "Schedule  linear, 5e-5 there"
    assert after[0] == "The whole rest of the schedule is multiplied:"
    assert [line.split() for line in after[1:]] == [
        ["now", "5e-5", "→", "2.5e-5"], ["step", "75", "2.6e-5", "→", "1.3e-5"], ["step", "100", "1e-6", "→", "5e-7"],
    ]  # fmt: skip


def test_a_warm_up_shows_the_peak_that_is_to_come_and_only_then() -> None:
    setup = experiment(schedule="cosine", warmup=10)
    now, after = told(view((6, 5e-5)), setup)
    assert now[1].startswith("Schedule  warm-up of 10, then cosine, 5e-5 there")
    assert after[2].split() == ["step", "11", "(peak)", "1e-4", "→", "2e-4"]
    assert not any("peak" in line for line in told(view((60, 5e-5)), setup)[1])


def test_a_rate_that_somebody_changed_is_told_as_a_factor_of_the_schedule() -> None:
    now, after = told(view((51, 1e-4)), experiment(schedule="linear"), "/2")
    assert now[1].endswith("linear, 5e-5 there, multiplied by 2")
    assert after[1].split() == ["now", "1e-4", "→", "5e-5"]


@pytest.mark.parametrize(
    ("wish", "warned"),
    [("x2", ""), ("x3", "▲ 3 times the configured 1e-4"), ("1e-3", "▲ 10 times the configured 1e-4")],
)
def test_much_more_than_was_configured_is_said(wish: str, warned: str) -> None:
    _, after = told(view((20, 1e-4)), experiment(), wish)
    assert (after[-1] if len(after) > 1 else "") == warned


def test_without_a_configuration_or_reports_what_is_known_is_told() -> None:
    now, after = told(view((20, 1e-4), steps=0), None)
    assert now[0] == "Now       1e-4  at step 20" and now[1].startswith("Schedule  none")
    assert after[0].split()[-3:] == ["1e-4", "→", "2e-4"]
    facts = rate_facts(view(), None)
    assert (facts.present, facts.factor, facts.planned(3)) == (None, 1.0, None)
    assert now_content(facts).plain.startswith("Now       –  at step 0 of 100")
    assert preview(facts, RateWish.parse("2e-5")).plain.split()[-3:] == ["–", "→", "2e-5"]
    with pytest.raises(TunerError):
        preview(facts, RateWish.parse("x2"))  # twice of what nobody knows


def test_a_rate_of_zero_at_a_schedules_end_divides_by_nothing() -> None:
    facts = rate_facts(view((100, 0.0)), experiment(schedule="cosine"))
    assert facts.factor == 1.0
    assert preview(facts, RateWish.parse("1e-5")).plain.split()[-3:] == ["0", "→", "1e-5"]


def test_what_is_offered_without_typing_is_understood() -> None:
    assert [RateWish.parse(wish).rate(1e-4) for wish, _ in QUICK] == pytest.approx([5e-5, 2e-4, 1e-5])
