"""What trackers are told of a run, that it is sent once, and that nothing of theirs is felt by the run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import ROOT, Tuner, tuner
from tui_tuner.config import Experiment, dump_experiment
from tui_tuner.engine import tracked
from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, RunFolder, RunLock
from tui_tuner.tracking.sending import MOST, Sender, Watchdog, alone, place_of, progress_of
from tui_tuner.tracking.settings import settings_to_tell
from tui_tuner.tracking.story import Answer, Figures, Story, Told, Word
from tui_tuner.tracking.trackers import _SETTINGS, Place

__all__ = ["tuner"]
FAKES = ROOT / "tests" / "support" / "trackers"
SECRET = "the colour of the vault is puce"
INTERVAL = {"value": 0.5, "low": 0.4, "high": 0.6}


def experiment(**sections: dict[str, Any]) -> Experiment:
    values: dict[str, Any] = {"model": {"path": "org/model"}, "data": {"source": "/home/ann/secret place/rows.jsonl"}}
    return Experiment.model_validate({**values, **sections})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "players")
    made.config.write_text(dump_experiment(experiment(tracking={"to": ["wandb"], "project": "mine", "tags": ["a"]})))
    made.meta.write_text('{"created": 5.0, "libraries": {"mlx": "0.32"}, "sweep": {"id": "lr"}}')
    return made


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The fakes in place of the libraries, here and in processes of ours; gives what they were told."""
    log = tmp_path / "told.jsonl"
    log.touch()
    monkeypatch.setenv("FAKE_TRACKER_LOG", str(log))
    monkeypatch.setenv("PYTHONPATH", f"{FAKES}{os.pathsep}{ROOT}")
    for name in ("HF_HUB_OFFLINE", "WANDB_ERROR_REPORTING", "WANDB_SILENT", "WANDB_MODE", "TRACKIO_SPACE_ID"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(str(FAKES))
    for name in ("trackio", "wandb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield lambda: [json.loads(line) for line in log.read_text().splitlines()]
    for name in ("trackio", "wandb"):
        sys.modules.pop(name, None)


def write(folder: RunFolder, *events: tuple[str, dict[str, Any]]) -> None:
    with EventLog(folder.events) as log:
        for kind, fields in events:
            log.append(kind, **fields)


def steps(first: int, last: int) -> list[tuple[str, dict[str, Any]]]:
    return [("train", {"step": step, "loss": 1 / step, "learning_rate": 1e-4}) for step in range(first, last + 1)]


WHOLE = [
    ("run_started", {"name": "players", "model": "/home/ann/models/x"}),
    ("evaluation", {"label": "before", "metrics": {"rougeL": INTERVAL}, "n": 3}),
    ("sample", {"step": 0, "prompt": SECRET, "text": SECRET}),
    *steps(1, 3),
    ("validation", {"step": 3, "loss": 0.25, "tokens": 9, "seconds": 1.0}),
    ("log", {"level": "info", "text": SECRET}),
    ("advice", {"code": "x", "severity": "info", "text": SECRET, "change": None, "evidence": {}, "step": 3}),
    ("canaries", {"label": "after", "rate": 0.5, "low": 0.4, "high": 0.6, "n": 40, "died": []}),
    ("evaluation", {"label": "after", "metrics": {"rougeL": INTERVAL}, "n": 3}),
    ("verdict", {"metrics": {"rougeL": {"difference": 0.1, "low": 0.0, "high": 0.2, "p": 0.04, "sentence": SECRET}},
                 "sentence": "Better."}),
    ("run_finished", {"status": "finished", "reason": SECRET}),
]  # fmt: skip


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


def test_the_command_sends_a_run_to_each_and_once(
    folder: RunFolder, fake: Callable[[], list[dict[str, Any]]], tuner: Tuner
) -> None:
    write(folder, *WHOLE)
    said = tuner("track", "last", "--json")
    assert said.status == 0, said.err
    assert said.document["sent"] == [
        {"to": "wandb", "project": "mine", "sent": 9, "where": "https://tracker.example/me/run"}
    ]
    lines = fake()
    begun = lines[0]
    assert begun["project"] == "mine" and begun["tags"] == ["a"] and begun["mode"] == "online"
    assert begun["group"] == "lr" and begun["resume"] == "allow" and begun["name"] == folder.name
    assert {key: begun["settings"][key] for key in _SETTINGS} == _SETTINGS
    assert lines[2]["values"] == {"train/loss": 1.0, "train/learning_rate": 1e-4, "step": 1}
    assert lines[-1] == {"what": "finish", "exit_code": 0} and SECRET not in json.dumps(lines)
    assert {"what": "summary", "key": "verdict", "value": "Better."} in lines
    assert tuner("track", "last").out.startswith("0 figures sent to Weights & Biases")
    (folder.path.parent / "told.jsonl").write_text("")
    said = tuner("track", "last", "--to", "trackio", "--samples", "--project", "other")
    assert said.out.startswith("10 figures sent to Trackio, project other") and "trackio show" in said.out
    lines = fake()
    assert lines[0]["offline"] == "1" and lines[0]["watches"] == [False, False] and lines[0]["space_id"] is None
    assert {
        "what": "log",
        "values": {"answers/1": [["step", "prompt", "answer"], [0, SECRET, SECRET]]},
        "step": 0,
    } in lines
    assert {"what": "alert", "title": "verdict", "text": "Better.", "step": 3} in lines and lines[-1][
        "what"
    ] == "finish"


def test_a_space_and_offline(
    folder: RunFolder, fake: Callable[[], list[dict[str, Any]]], tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_SPACE_ID", "somebody/else")
    write(folder, *steps(1, 1))
    assert tuner("track", "last", "--to", "trackio", "--space", "me/it").status == 0
    assert fake()[0]["space_id"] == "me/it" and fake()[0]["private"] is True and fake()[0]["offline"] is None
    assert tuner("track", "last", "--to", "trackio", "--space", "me/it", "--offline").status == 0
    assert fake()[-3]["space_id"] is None and fake()[-3]["offline"] == "1"
    assert tuner("track", "last", "--offline").status == 0 and fake()[-4]["mode"] == "offline"
    made = experiment(tracking={"to": ["wandb"], "offline": True})
    folder.config.write_text(dump_experiment(made))
    assert tuner("track", "last").status == 0 and fake()[-4]["mode"] == "offline"
    assert tuner("track", "last", "--online").status == 0 and fake()[-4]["mode"] == "online"
    assert tuner("track", "last", "--online", "--offline").status == 2


def test_wrong_usage_and_what_is_not_installed_are_one_sentence(
    folder: RunFolder, tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = tuner("track", "last")
    assert (
        said.status == 1 and "Weights & Biases is not installed" in said.err and "install the package wandb" in said.err
    )
    assert tuner("track", "last", "--to", "mlflow").status == 2
    assert tuner("track", "last", "--project", "a\nb").status == 2
    folder.config.write_text(dump_experiment(experiment()))
    said = tuner("track", "last")
    assert said.status == 2 and "--to trackio or wandb" in said.err


def test_a_refused_login_is_one_sentence(
    folder: RunFolder, fake: Callable[[], object], tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TRACKER", "refuses")
    said = tuner("track", "last")
    assert said.status == 1 and said.err.count("\n") == 1 and "Use `wandb login`" in said.err


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("", "figures go to Weights & Biases, project mine: https://tracker.example/me/run"),
        ("breaks", "it stopped taking figures (RuntimeError: connection reset)"),
        pytest.param("refuses", "could not be begun (UsageError: No API key configured", marks=pytest.mark.slow),
        pytest.param(
            "dies", "Weights & Biases ended with status 9; the run goes on without it", marks=pytest.mark.slow
        ),
    ],
)
def test_a_process_beside_the_run_sends_what_the_run_writes_and_tells_what_is_wrong(
    how: str, said: str, folder: RunFolder, fake: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the pipeline does it: the lock is held, the log grows, and the process ends by itself after the run."""
    monkeypatch.setenv("FAKE_TRACKER", how)
    heard = threading.Event()
    with RunLock(folder), EventLog(folder.events) as log:

        def emit(type: str, **fields: Any) -> None:
            log.append(type, **fields)
            if said in fields["text"]:
                heard.set()

        for kind, fields in [("run_started", {}), *steps(1, 4)]:
            log.append(kind, **fields)
        tracked.send_along(folder, ["wandb"], emit)
        assert heard.wait(60)
        log.append("run_finished", status="finished", reason="")
    tracked.settle(60)
    lines = [json.loads(line) for line in folder.events.read_text().splitlines()]
    sentences = [line["text"] for line in lines if line["type"] == "log"]
    assert len(sentences) <= 2 and said in sentences[-1]
    if not how:
        losses = [line["values"]["train/loss"] for line in fake() if line["what"] == "log"]
        assert losses == [1.0, 1 / 2, 1 / 3, 1 / 4] and fake()[-1] == {"what": "finish", "exit_code": 0}


def test_what_is_not_installed_is_a_warning_in_the_log(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said: list[dict[str, Any]] = []
    tracked.send_along(folder, ["trackio", "wandb"], lambda type, **fields: said.append({"type": type, **fields}))
    assert [(each["type"], each["level"]) for each in said] == [("log", "warning")] * 2
    assert "Trackio is not installed" in said[0]["text"] and not (folder.path / "tracking").exists()

    def closed(type: str, **fields: Any) -> None:
        raise ValueError("the log is closed")

    tracked.send_along(folder, ["wandb"], closed)


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_the_fakes_have_the_interface_of_the_libraries(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    real = importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"fake_{name}", FAKES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    pairs = [(made.init, real.init), (made.Table.__init__, real.Table.__init__)]
    methods = [
        method for method in vars(made.Run) if not method.startswith("_") and callable(getattr(made.Run, method))
    ]
    pairs += [(getattr(made.Run, method), getattr(real.Run, method)) for method in methods]
    for ours, theirs in pairs:
        assert set(inspect.signature(ours).parameters) <= set(inspect.signature(theirs).parameters), theirs
    if name == "wandb":
        assert set(_SETTINGS) <= set(real.Settings.model_fields) and "summary" in inspect.get_annotations(real.Run)
    else:
        assert real.AlertLevel.INFO and not inspect.signature(real.finish).parameters
