"""How values are stepped and typed: handy steps, never past what the model takes, and lists to the letter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.config.describe import field, value_of
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import with_overrides
from tui_tuner.config.toml import experiment_from_text
from tui_tuner.errors import TunerError
from tui_tuner.ui.widgets import config_edit as edit


def made(*overrides: str) -> Experiment:
    plain = experiment_from_text('model.path = "embedded:phi3-tiny"\ndata.source = "embedded:players"\n', "")
    return with_overrides(plain, overrides)


def after(key: str, value: Any, by: int, *others: str) -> Any:
    info = field(key)
    assert info is not None
    found = edit.stepped(made(*others, f"{key}={value}"), info, by)
    return None if found is None else value_of(found, info)


@pytest.mark.parametrize(
    ("key", "value", "up", "down"),
    [
        ("adapter.rank", 8, 16, 4),
        ("adapter.rank", 1, 2, None),
        ("adapter.rank", 12, 20, 10),
        ("train.learning_rate", 1e-5, 2e-5, 5e-6),
        ("train.learning_rate", 0.003, 0.005, 0.002),
        ("train.iters", 100, 200, 50),
        ("train.epochs", 0.0, 1.0, None),
        ("train.max_seq_length", 2048, 4096, 1024),
        ("train.eval_batches", -1, 1, None),
        ("model.bits", 4, 8, 2),
        ("model.bits", 0, 2, None),
        ("adapter.layers", 1, 2, 0),
        ("adapter.dropout", 0.0, 0.01, None),
    ],
)
def test_numbers_take_the_steps_a_person_would(key: str, value: float, up: float | None, down: float | None) -> None:
    assert after(key, value, 1) == (pytest.approx(up) if up is not None else None)
    assert after(key, value, -1) == (pytest.approx(down) if down is not None else None)


def test_a_step_passes_over_what_does_not_go_with_the_rest() -> None:
    words = [after("train.optimizer", word, 1, "train.weight_decay=0.1") for word in ("adamw", "muon", "sgd")]
    assert words == ["muon", "sgd", "adamw"]


def test_nothing_typed_is_the_default_and_text_is_taken_as_it_is() -> None:
    rank, name, notes = field("adapter.rank"), field("run.name"), field("run.notes")
    assert rank is not None and name is not None and notes is not None
    assert edit.with_typed(made("adapter.rank=32"), rank, " ").adapter.rank == 8
    assert edit.with_typed(made(), notes, '"quoted" = [x]').run.notes == '"quoted" = [x]'
    with pytest.raises(TunerError, match="is empty"):
        edit.with_typed(made(), name, "  ")


@given(st.lists(st.text(), max_size=4))
def test_lists_are_written_and_read_to_the_letter(items: list[str]) -> None:
    info = field("probes.prompts")
    assert info is not None
    try:
        before = edit.with_value(made(), info, items)
    except TunerError:
        return
    value = value_of(before, info)
    assert value_of(edit.from_toml(made(), info, edit.as_toml(info, value)), info) == value
    if edit.can_be_lines(info, value) and all(item.strip() for item in value):
        assert value_of(edit.from_lines(made(), info, edit.as_lines(info, value)), info) == value
