"""The timeline of probes as a run's events tell it, and the command that prints it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.ui.fakes import RunBuilder
from tui_tuner.runs.probes import timeline
from tui_tuner.runs.view import RunView
from tui_tuner.ui import probetext
from tui_tuner.ui.worddiff import changes

__all__ = ["tuner"]
Event = dict[str, Any]


def sample(step: int, prompt: str, text: str) -> Event:
    return {"t": float(step), "type": "sample", "step": step, "prompt": prompt, "text": text}


def view(*events: Event) -> RunView:
    made = RunView()
    made.extend([{"t": 0.0, "type": "run_started", "steps": 60, "resumed": False, "from_step": 0}])
    made.extend(events)
    return made


def test_prompts_keep_their_order_and_steps_ascend() -> None:
    found = timeline(
        view(
            sample(0, "two", "zwei"),
            sample(20, "one", "eins"),
            {"t": 21.0, "type": "control", "what": "probe", "value": "three", "step": 20, "by": "user"},
            {"t": 21.0, "type": "validation", "step": 20, "loss": 0.5, "tokens": 1, "seconds": 0.1},
            {"t": 21.5, "type": "validation", "step": 40, "loss": 0.75, "tokens": 1, "seconds": 0.1},
            {"t": 22.0, "type": "checkpoint", "step": 20, "path": "a.safetensors", "best": True},
            {"t": 23.0, "type": "checkpoint", "step": 40, "path": "b.safetensors", "best": False},
            sample(40, "two", "deux"),
        ),
        ["one", "two"],
    )
    assert found.prompts == ["one", "two", "three"]
    assert found.steps == [0, 20, 40]
    assert found.answers == {("two", 0): "zwei", ("one", 20): "eins", ("two", 40): "deux"}
    assert found.losses == {20: 0.5, 40: 0.75}
    assert found.best == 20
    assert found.before("two", 40) == 0
    assert found.before("one", 20) is None


def test_what_a_resumption_overtook_is_gone() -> None:
    resumed = {"t": 50.0, "type": "run_started", "steps": 60, "resumed": True, "from_step": 20}
    found = timeline(view(sample(20, "one", "kept"), sample(40, "one", "overtaken"), resumed), ["one"])
    assert found.steps == [20]


def test_without_probes_there_is_nothing() -> None:
    found = timeline(view())
    assert (found.prompts, found.steps, found.best) == ([], [], None)


@pytest.mark.parametrize(
    ("first", "second"),
    [("a b c", "a x c"), ("", "new"), ("old", ""), ("same", "same"), ("one two", "two three  four\n"), ("á é", "é á")],
)
def test_changes_hold_both_texts(first: str, second: str) -> None:
    found = changes(first, second)
    assert found is not None
    assert "".join(text for text, kind in found if kind != "gained") == first
    assert "".join(text for text, kind in found if kind != "lost") == second


def test_an_answer_shows_what_it_lost_and_gained_without_colour() -> None:
    content, much = probetext.merged("the cat sat", "the dog sat")
    assert content.plain == "the catdog sat"
    styles = {content.plain[span.start : span.end]: str(span.style) for span in content.spans}
    assert "strike" in styles["cat"]
    assert "underline" in styles["dog"]
    assert much == "−1 +1 words"
    assert probetext.merged("same", "same")[1] == "= the same"
    assert probetext.merged("", "")[0].plain == "(an empty answer)"
    assert "not compared" in probetext.merged("x " * 2000, "y")[1]
    left, right, much = probetext.sides("the cat sat", "the dog sat")
    assert (left.plain, right.plain, much) == ("the cat sat", "the dog sat", "−1 +1 words")


def test_the_track_keeps_the_chosen_step_in_sight() -> None:
    steps = list(range(0, 2000, 10))
    found = timeline(view(*(sample(step, "one", "x") for step in steps)), ["one"])
    for step in (0, 500, 1990):
        line = probetext.track(found, "one", step, 40)
        assert "◉" in line.plain
        assert line.cell_length <= 40
    assert probetext.track(found, "one", 500, 40).plain.startswith("◂")
    assert probetext.track(found, "one", 0, 40).plain.endswith("▸")
    assert probetext.track(found, "one", 0, 5).plain.strip(" ▸◂") == "◉"


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_tells_every_answer(tuner: Tuner, tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path).prepared()
    builder.add("sample", step=0, prompt="Say hello.", text="No.").train(1, 60)
    builder.add("sample", step=60, prompt="Say hello.", text="Hello.\nAgain.")
    said = tuner("probes", "last")
    assert said.status == 0
    assert said.out.splitlines()[:6] == [
        "» Say hello.",
        "  untrained",
        "    No.",
        "  step 60, validation loss 0.466, best",
        "    Hello.",
        "    Again.",
    ]
    document = json.loads(tuner("probes", "last", "--json").out)
    assert document["steps"] == [0, 60]
    assert document["best"] == 60
    assert {"prompt": "Say hello.", "step": 0, "text": "No."} in document["answers"]
    assert [entry["step"] for entry in document["validation"]] == [60]


def test_the_command_says_how_to_get_some(tuner: Tuner, tmp_path: Path) -> None:
    RunBuilder(tmp_path).prepared()
    assert "has no probes; probes.prompts names some" in tuner("probes", "last").out
    assert tuner("probes", "nothing-there").status != 0
