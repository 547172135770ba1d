"""The command that sends a run to trackers, the process beside a run, and the fakes against the real libraries."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import json
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.support.tracked import FAKES, SECRET, WHOLE, experiment, fake, folder, steps, write
from tui_tuner.config import dump_experiment
from tui_tuner.engine import tracked
from tui_tuner.runs import EventLog, RunFolder, RunLock
from tui_tuner.tracking.trackers import _SETTINGS

__all__ = ["fake", "folder", "tuner"]


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


def test_a_stop_sends_what_is_there_and_says_how_to_go_on(
    folder: RunFolder, fake: Callable[[], list[dict[str, Any]]], tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_: RunFolder) -> Callable[[], bool]:
        return lambda: signal.raise_signal(signal.SIGINT) is None

    monkeypatch.setattr("tui_tuner.tracking.__main__.gone", stopped)
    write(folder, *WHOLE)
    said = tuner("track", "last", "--follow")
    assert (said.status, said.out.partition(" ")[0]) == (1, "9")
    assert said.err == "tui-tuner: stopped; what the run had written is sent; the same command sends what comes.\n"
    assert fake()[-1]["what"] == "finish"


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
