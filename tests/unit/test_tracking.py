"""What trackers are told of a run, that it is sent once, and that nothing of theirs is felt by the run."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.support.commands import tuner
from tests.support.tracked import SECRET, WHOLE, experiment, fake, folder, steps, write
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.tracking.sending import MOST, Sender, Watchdog, alone, place_of, progress_of
from tui_tuner.tracking.settings import settings_to_tell
from tui_tuner.tracking.story import Answer, Figures, Story, Told, Word
from tui_tuner.tracking.trackers import Place

__all__ = ["fake", "folder", "tuner"]


def told(events: list[tuple[str, dict[str, Any]]], samples: bool = False) -> list[Told]:
    story = Story(samples)
    return [each for kind, fields in events for each in story.fold({"t": 1.0, "type": kind, **fields})]


def test_what_is_told_of_a_run() -> None:
    def ends(name: str) -> dict[str, float]:
        return {name: 0.5, f"{name}_low": 0.4, f"{name}_high": 0.6}

    verdict = {"verdict/rougeL": 0.1, "verdict/rougeL_low": 0.0, "verdict/rougeL_high": 0.2, "verdict/rougeL_p": 0.04}
    assert told(WHOLE) == [
        Figures(0, ends("before/rougeL")),
        *(Figures(step, {"train/loss": 1 / step, "train/learning_rate": 1e-4}, often=True) for step in (1, 2, 3)),
        Figures(3, {"validation/loss": 0.25}),
        Figures(3, ends("after/canaries")),
        Figures(3, ends("after/rougeL")),
        Figures(3, verdict),
        Word(3, "verdict", "Better."),
    ]
    assert [each for each in told(WHOLE, samples=True) if isinstance(each, Answer)] == [Answer(0, 1, SECRET, SECRET)]


def test_only_numbers_that_are_finite_are_told() -> None:
    odd = {
        "step": 4,
        "loss": None,
        "nonfinite": ["loss"],
        "grad_norm": True,
        "tokens_per_second": "9",
        "peak_memory": 7,
    }
    assert told([("train", odd)]) == [Figures(4, {"train/peak_memory": 7.0}, often=True)]
    for step in (None, "3", -1, True, 10**400):
        assert told([("train", {"step": step, "loss": 1.0})]) == []
    assert told([("train", {"step": 1, "loss": 10**400}), ("evaluation", {"label": "x", "metrics": [1]})]) == []


def test_steps_that_a_resumed_run_repeats_are_told_once_and_what_is_new_again() -> None:
    again = [*steps(1, 6), ("run_started", {"resumed": True, "from_step": 3}), *steps(4, 8)]
    assert [each.step for each in told(again)] == list(range(1, 9))
    other = [*steps(1, 6), ("train", {"step": 5, "loss": 9.0})]
    assert told(other)[-1] == Figures(5, {"train/loss": 9.0}, often=True)


def test_no_text_of_the_configuration_and_no_place_on_the_machine_is_told() -> None:
    token = "hf_" + "a1B2c3D4" * 4
    private = experiment(
        run={"name": "n", "notes": SECRET},
        data={
            "source": "/home/ann/secret place/rows.jsonl",
            "system": SECRET,
            "prompt": [SECRET],
            "completion": ["{a}"],
            "subset": token,
        },
        probes={"prompts": [SECRET]},
        behaviour={"cases": [{"name": "c", "prompt": SECRET, "must": ["x"]}]},
        adapter={"start_from": "/home/ann/runs/old/adapters"},
    )
    settings = settings_to_tell(private)
    text = json.dumps(settings)
    assert SECRET not in text and token not in text and "ann" not in text and "secret place" not in text
    assert settings["train"]["learning_rate"] == 1e-5 and settings["data"]["source"] == "rows.jsonl"
    assert "tracking" not in settings
    asked = settings_to_tell(private, samples=True)
    assert asked["probes"]["prompts"] == [SECRET] and asked["behaviour"]["cases"][0]["prompt"] == SECRET
    assert token not in json.dumps(asked) and "ann" not in json.dumps(asked)


class Recorder:
    """A tracker that keeps what it is told, and fails at the figure of a step."""

    def __init__(self, fails_at: int = -1) -> None:
        self.told: list[Told] = []
        self.status = ""
        self.fails_at = fails_at

    def begin(self, place: Place) -> str:
        return "there"

    def figures(self, told: Figures) -> None:
        if told.step == self.fails_at:
            raise SystemExit("the server said no\nand more")
        self.told.append(told)

    def word(self, told: Word) -> None:
        self.told.append(told)

    def answer(self, told: Answer) -> None:
        self.told.append(told)

    def finish(self, status: str) -> None:
        self.status = status


def sender(folder: RunFolder, tracker: Recorder, said: list[str], **section: Any) -> Sender:
    made = experiment(tracking={"to": ["wandb"], **section})

    def say(text: str, *, trouble: bool = False) -> None:
        said.append(text)

    return Sender(folder, "wandb", place_of(folder, made, made.tracking), say, tracker)


def send(folder: RunFolder, tracker: Recorder, said: list[str] | None = None, **section: Any) -> None:
    sender(folder, tracker, [] if said is None else said, **section).run(lambda: True, live=False)


def test_a_later_session_goes_on_and_another_project_gets_everything(folder: RunFolder) -> None:
    write(folder, ("run_started", {}), *steps(1, 3))
    first, second, third, other = Recorder(), Recorder(), Recorder(), Recorder()
    send(folder, first)
    assert [each.step for each in first.told] == [1, 2, 3] and first.status == "interrupted"
    write(folder, ("run_started", {"resumed": True}), *steps(3, 5), ("run_finished", {"status": "stopped"}))
    send(folder, second)
    assert [each.step for each in second.told] == [4, 5] and second.status == "stopped"
    send(folder, third)
    assert third.told == []
    send(folder, other, project="elsewhere")
    assert [each.step for each in other.told] == [1, 2, 3, 4, 5]


def test_a_tracker_that_raises_in_the_middle_is_one_sentence_and_the_rest_is_sent_later(folder: RunFolder) -> None:
    write(folder, *steps(1, 5))
    broken, mended = Recorder(fails_at=4), Recorder()
    with pytest.raises(TunerError) as caught:
        send(folder, broken)
    assert caught.value.code == "tracker-failed" and "\n" not in caught.value.sentence()
    assert "the server said no" in caught.value.sentence() and "tui-tuner track" in caught.value.fix
    assert "the server said no" in json.loads((folder.path / "tracking" / "wandb.json").read_text())["problem"]
    send(folder, mended)
    assert [each.step for each in mended.told] == [4, 5]
    assert json.loads((folder.path / "tracking" / "wandb.json").read_text())["problem"] == ""


def test_what_comes_while_it_follows_is_sent_and_a_slow_tracker_gets_fewer_figures(folder: RunFolder) -> None:
    write(folder, *steps(1, 2 * MOST))  # from before it came: all of it
    tracker, said, looks = Recorder(), list[str](), list[float]()

    def wait(seconds: float) -> None:
        looks.append(seconds)
        first = 2 * MOST * len(looks) + 1
        write(
            folder, *steps(first, first + 3 * MOST - 1) if len(looks) < 3 else [("validation", {"step": 1, "loss": 2})]
        )

    sender(folder, tracker, said).run(lambda: len(looks) == 3, wait, live=True)
    assert [each.step for each in tracker.told[: 2 * MOST]] == list(range(1, 2 * MOST + 1))
    assert len(tracker.told) <= 2 * MOST + 2 * (MOST + 1) + 1 and tracker.told[-1] == Figures(1, {"validation/loss": 2})
    last = 2 * MOST + 3 * MOST
    assert any(each.step == last for each in tracker.told)  # the newest is always there
    assert len(said) == 1 and "slower than the run" in said[0] and progress_of(folder, "wandb").left_out >= 3 * MOST


def test_a_folder_that_vanishes_is_not_brought_back(folder: RunFolder) -> None:
    import shutil

    write(folder, *steps(1, 3))
    tracker = Recorder()
    sender(folder, tracker, []).run(lambda: not folder.path.exists(), lambda _: shutil.rmtree(folder.path), live=True)
    assert len(tracker.told) == 3 and tracker.status == "interrupted" and not folder.path.exists()


def test_one_process_at_a_time_sends(folder: RunFolder) -> None:
    with alone(folder, "wandb"):
        with pytest.raises(TunerError, match="another process is sending"), alone(folder, "wandb"):
            pass
        with alone(folder, "trackio"):
            pass
    with alone(folder, "wandb"):
        pass


@pytest.mark.parametrize("text", ["", "[]", '{"sent": "x"}', '{"place": {}, "where": "", "sent": 1}'])
def test_damaged_notes_are_none(folder: RunFolder, text: str) -> None:
    (folder.path / "tracking").mkdir()
    (folder.path / "tracking" / "wandb.json").write_text(text)
    assert progress_of(folder, "wandb").sent == 0


def test_a_session_that_does_not_end_is_ended() -> None:
    late, over = threading.Event(), threading.Event()
    with Watchdog(over.is_set, late.set, seconds=0.0, look=0.01):
        assert not late.is_set()
        over.set()
        assert late.wait(30)
    late.clear()
    with Watchdog(lambda: True, late.set, seconds=600.0):
        pass
    assert not late.is_set()


def test_a_run_is_known_by_its_name_and_a_name_of_ones_own_gets_its_moment(folder: RunFolder) -> None:
    made = experiment(tracking={"name": "idea"})
    named = place_of(folder, made, made.tracking)
    assert named.name == folder.name.replace("players", "idea")
    plain = place_of(folder, experiment(), experiment().tracking)
    assert plain.name == folder.name and plain.group == "lr" and plain.config["versions"]["mlx"] == "0.32"
    assert plain.identity.startswith("players-") and plain.identity.replace("-", "").isalnum()
