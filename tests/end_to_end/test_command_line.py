"""Every command as a person or a script meets it: documents, exit statuses, sentences, signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.support.models import make_model, make_rows
from tui_tuner import __version__
from tui_tuner.cli.app import run
from tui_tuner.cli.output import Output
from tui_tuner.runs import EventTail, RunFolder, RunView, read_events

pytestmark = pytest.mark.mlx

ROOT = Path(__file__).parents[2]
METRICS = {"exact_match", "rouge1", "rouge2", "rougeL"}


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, rows, and a preset `tiny.toml` that names both by relative paths."""
    place = tmp_path_factory.mktemp("workshop")
    make_model(place / "model")
    (place / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in make_rows(40)))
    preset = {
        "run": {"name": "tiny", "seed": 3},
        "model": {"path": "model"},
        "data": {"source": "rows.jsonl", "valid": 8, "test": 4},
        "adapter": {"rank": 4},
        "train": {
            "iters": 6,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "report_every": 1,
            "eval_every": 3,
            "save_every": 2,
            "max_seq_length": 128,
        },
        "evaluation": {"max_tokens": 5},
    }
    (place / "tiny.toml").write_text(tomli_w.dumps(preset))
    return place


@pytest.fixture
def here(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder a person stands in: away from the workshop, with settings of its own and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "settings"))
    monkeypatch.setenv("TUI_TUNER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


@pytest.fixture
def tuner(here: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command in this process, as `main` does; what it writes is read from the descriptors."""

    def call(*arguments: str | Path) -> Said:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Said(status, out, err)

    return call


def process(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tui_tuner", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def the_run(here: Path) -> RunFolder:
    (path,) = (here / "runs").iterdir()
    return RunFolder.open(path)


# -- what works -----------------------------------------------------------------------------------------------------


def test_run_in_a_process_gives_one_document_and_tells_its_progress_apart(workshop: Path, here: Path) -> None:
    running = process("run", workshop / "tiny.toml", "--json", "--name", "my name/..")
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    document = Said(0, out, err).document
    assert document.keys() >= {"run", "status", "steps", "evaluation", "verdict"}
    assert (document["status"], document["steps"]) == ("finished", 6)
    assert document["evaluation"].keys() == {"before", "after"}
    for metrics in document["evaluation"].values():
        assert metrics.keys() == METRICS
        for metric in metrics.values():
            assert metric.keys() == {"value", "low", "high"}
            assert metric["low"] <= metric["value"] <= metric["high"]
    assert document["verdict"].keys() == METRICS
    for judged in document["verdict"].values():
        assert judged.keys() >= {"difference", "low", "high", "p", "wins", "ties", "losses", "verdict", "sentence"}
        assert judged["verdict"] in ("better", "worse", "no measurable change")
    for line in ("check: done", "step 6/6: loss", "validation loss", "verdict: done"):
        assert line in err
    folder = the_run(here)
    assert str(folder.path) == document["run"]
    assert folder.name.startswith("my-name-")
    assert folder.report.is_file()
    assert not list(folder.path.rglob(".tmp-*"))
    assert not folder.lock.exists()


def test_run_without_json_prints_a_table_that_holds_the_document(
    tuner: Callable[..., Said], workshop: Path, here: Path
) -> None:
    said = tuner("run", workshop / "tiny.toml", "--set", "train.iters=2", "--runs-dir", here / "elsewhere")
    assert said.status == 0, said.err
    lines = said.out.splitlines()
    assert lines[1].split() == ["metric", "before", "after", "difference", "verdict"]
    assert {line.split()[0] for line in lines[3:7]} == METRICS
    (folder,) = (here / "elsewhere").iterdir()
    assert lines[-1] == f"run {folder}"
    assert "step 2/2: loss" in said.err
    assert "step" not in said.out


def test_the_configuration_of_a_run_repeats_it(tuner: Callable[..., Said], workshop: Path, here: Path) -> None:
    first = tuner("run", workshop / "tiny.toml", "--json").document
    again = tuner("run", Path(first["run"]) / "config.toml", "--json").document
    assert again["run"] != first["run"]
    assert {**again, "run": ""} == {**first, "run": ""}
    curves = []
    for document in (first, again):
        view = RunView()
        view.extend(read_events(Path(document["run"]) / "events.jsonl"))
        curves.append((view.train.column("loss").tolist(), view.validation.column("loss").tolist()))
    assert curves[0] == curves[1]
    assert len(curves[0][0]) == 6


def test_quickstart_without_a_terminal_runs_headless(tuner: Callable[..., Said], here: Path) -> None:
    small = [
        f"--set={key}"
        for key in ("train.iters=2", "train.warmup=0", "data.valid=4", "data.test=2", "evaluation.max_tokens=4")
    ]
    said = tuner("quickstart", "--json", "--name", "first", *small)
    assert said.status == 0, said.err
    assert said.document["steps"] == 2
    assert the_run(here).name.startswith("first-")


def test_runs_lists_and_resume_of_a_finished_run_repeats_its_document(
    tuner: Callable[..., Said], workshop: Path, here: Path
) -> None:
    assert tuner("runs", "--json").document == []
    assert "no runs yet" in tuner("runs").out
    document = tuner("run", workshop / "tiny.toml", "--json", "--set", "train.iters=2").document
    (listed,) = tuner("runs", "--json").document
    assert listed.keys() >= {"run", "name", "state", "step", "steps", "created"}
    assert (listed["name"], listed["state"], listed["step"], listed["steps"]) == ("tiny", "finished", 2, 2)
    assert listed["run"] in tuner("runs").out
    for name in ("last", "tiny", listed["run"], document["run"]):
        said = tuner("resume", name, "--json")
        assert said.status == 0, said.err
        assert said.document == document
    adapter = Path(document["run"]) / "adapters"
    answer = tuner("chat", workshop / "model", "--adapter", adapter, "--prompt", "who?", "--max-tokens", 6, "--json")
    assert answer.document.keys() >= {"text", "prompt_tokens", "tokens", "tokens_per_second"}
    assert answer.document["tokens"] <= 6


def test_chat_answers_on_stdout(tuner: Callable[..., Said], workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    ask = ("chat", workshop / "model", "--max-tokens", "5", "--prompt")
    text = tuner(*ask, "what is the fox?", "--json").document["text"]
    plain = tuner(*ask, "what is the fox?")
    assert (plain.status, plain.out, plain.err) == (0, f"{text}\n", "")
    monkeypatch.setattr(sys, "stdin", io.StringIO("what is the fox?"))
    assert tuner(*ask, "-").out == plain.out
    system = tuner(*ask, "what is the fox?", "--system", "be short", "--json").document
    assert system["prompt_tokens"] > tuner(*ask, "what is the fox?", "--json").document["prompt_tokens"]


def test_chat_without_a_prompt_opens_the_workbench(
    tuner: Callable[..., Said], mishaps: Path, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.cli import output, screen
    from tui_tuner.ui.state import ChatTarget

    opened: list[Any] = []
    monkeypatch.setattr(output, "has_terminal", lambda: True)
    monkeypatch.setattr(screen, "open_workbench", lambda runs_dir, **options: opened.append(options["chat"]) or 0)
    assert tuner("chat", workshop / "model").status == 0
    assert tuner("chat", "some/name").status == 0  # fetched when the chat needs it
    assert opened == [ChatTarget(str(workshop / "model")), ChatTarget("some/name")]
    for wrong, code in (("./none", "no such model folder"), (mishaps / "weightless", "no weights")):
        said = tuner("chat", wrong)
        assert said.status == 1
        assert code in said.err
    said = tuner("chat", workshop / "model", "--adapter", mishaps)
    assert (said.status, "no adapter" in said.err) == (1, True)
    assert len(opened) == 2


def test_version_and_help(tuner: Callable[..., Said]) -> None:
    assert tuner("--version").out == f"tui-tuner {__version__}\n"
    for command in ("run", "resume", "chat", "runs", "attach", "quickstart"):
        assert command in tuner("--help").out
        said = tuner(command, "--help")
        assert said.status == 0
        assert "--debug" in said.out


def test_a_terminal_is_shown_control_characters_and_a_pipe_gets_them(tmp_path: Path) -> None:
    evil = "a\x1b[2Jb\x07\r\x7f\x9b\tc\n"
    with (tmp_path / "out").open("w+", encoding="utf-8", newline="") as stream:
        Output(stream, stream).stream(evil)
        stream.seek(0)
        assert stream.read() == evil
        stream.seek(0)
        stream.truncate()
        stream.isatty = lambda: True  # type: ignore[method-assign]
        Output(stream, stream).stream(evil)
        stream.seek(0)
        assert stream.read() == "a␛[2Jb␇␍␡\ufffd\tc\n"


# -- what goes wrong ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """A command that cannot work: its arguments, exit status, error code, and what its sentence must name."""

    arguments: tuple[str, ...]
    status: int
    code: str
    names: tuple[str, ...] = ()
    makes_a_run: bool = False


def wrong_set(key: str, status: int, code: str, *names: str, makes_a_run: bool = True) -> Wrong:
    return Wrong(("run", "{workshop}/tiny.toml", "--set", key), status, code, names, makes_a_run)


WRONG = {
    "no command": Wrong((), 2, "no-terminal"),
    "unknown command": Wrong(("trian",), 2, "usage", ("trian",)),
    "unknown option": Wrong(("run", "quickstart", "--jsn"), 2, "usage", ("--jsn",)),
    "missing argument": Wrong(("run",), 2, "usage", ("preset",)),
    "missing preset": Wrong(("run", "quickstrat"), 2, "no-preset", ("quickstrat", "quickstart")),
    "missing file": Wrong(("run", "nowhere/x.toml"), 2, "no-preset", ("nowhere/x.toml",)),
    "bad toml": Wrong(("run", "{here}/bad.toml"), 1, "bad-toml", ("bad.toml", "line 2")),
    "misspelt key": wrong_set("train.itrs=3", 2, "unknown-key", "train.itrs", "train.iters", makes_a_run=False),
    "wrong type": wrong_set('train.iters="many"', 2, "bad-config", "train.iters", "many", makes_a_run=False),
    "out of range": wrong_set("adapter.dropout=1.5", 2, "bad-config", "adapter.dropout", "1.5", makes_a_run=False),
    "start without preset": Wrong(("--start",), 2, "usage", ("--preset",)),
    "set without preset": Wrong(("--set", "train.iters=3"), 2, "usage", ("--preset",)),
    "preset on screen misspelt": Wrong(("--preset", "quickstrat"), 2, "no-preset", ("quickstart",)),
    "no such model": wrong_set("model.path=./none", 1, "model-not-found", "none"),
    "model on no hub": wrong_set("model.path=some/thing", 1, "model-unreachable", "some/thing"),
    "model without weights": wrong_set("model.path={here}/weightless", 1, "model-no-weights", "weightless"),
    "model is a pointer": wrong_set("model.path={here}/pointer", 1, "lfs-pointer", "git lfs pull"),
    "broken tokenizer": wrong_set("model.path={here}/mute", 1, "model-bad-tokenizer", "mute"),
    "unknown module": wrong_set('adapter.targets=["q_proj"]', 1, "target-not-found", "q_proj", "qkv_proj"),
    "too many layers": wrong_set("adapter.layers=9", 1, "too-many-layers", "adapter.layers", "3"),
    "no such data": wrong_set("data.source={here}/none.jsonl", 2, "no-such-data", "none.jsonl"),
    "empty data": wrong_set("data.source={here}/empty.jsonl", 1, "empty-file", "empty.jsonl"),
    "malformed data": wrong_set("data.source={here}/bad.jsonl", 1, "bad-json", "bad.jsonl", "line 2"),
    "bad row": wrong_set("data.source={here}/hole.jsonl", 1, "bad-row", "hole.jsonl", "2"),
    "too few rows": wrong_set("data.source={here}/few.jsonl", 1, "too-few-rows", "few.jsonl", "3"),
    "a batch larger than the data": wrong_set("train.batch_size=32", 1, "fewer-rows-than-batch", "batch"),
    "too short a limit": wrong_set("train.max_seq_length=4", 1, "no-trainable-tokens", "row 1"),
    "no place for runs": Wrong(
        ("run", "{workshop}/tiny.toml", "--runs-dir", "{here}/empty.jsonl/runs"), 1, "not-found", ("empty.jsonl",)
    ),
    "resume of nothing": Wrong(("resume", "nothing"), 2, "run-not-found", ("nothing",)),
    "resume of the last of none": Wrong(("resume", "last"), 2, "run-not-found", ("run",)),
    "attach to nothing": Wrong(("attach", "nothing"), 2, "run-not-found", ("nothing",)),
    "chat without prompt": Wrong(("chat", "{workshop}/model"), 2, "usage", ("--prompt",)),
    "chat with nobody": Wrong(("chat", "./none", "--prompt", "x"), 1, "model-not-found", ("none",)),
    "chat with no adapter": Wrong(
        ("chat", "{workshop}/model", "--adapter", "{here}", "--prompt", "x"), 1, "adapter-not-found", ("adapters",)
    ),
    "a token limit of none": Wrong(("chat", "m", "--prompt", "x", "--max-tokens", "0"), 2, "usage", ("--max-tokens",)),
}


@pytest.fixture
def mishaps(here: Path, workshop: Path) -> Path:
    """Files that somebody may well have."""
    good = json.dumps(make_rows(1)[0])
    (here / "bad.toml").write_text('[model]\npath = "x\n')
    (here / "empty.jsonl").touch()
    (here / "bad.jsonl").write_text(f"{good}\n{{bad\n{good}\n")
    (here / "hole.jsonl").write_text(f'{good}\n{{"prompt": "x", "completion": ""}}\n{good}\n')
    (here / "few.jsonl").write_text(f"{good}\n" * 3)
    for name in ("weightless", "pointer", "mute"):
        shutil.copytree(workshop / "model", here / name)
    (here / "weightless" / "model.safetensors").unlink()
    (here / "pointer" / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    (here / "mute" / "tokenizer.json").write_text('{"version": "1.0"}')
    return here


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_work_is_one_sentence(name: str, tuner: Callable[..., Said], mishaps: Path, workshop: Path) -> None:
    wrong = WRONG[name]
    arguments = [a.replace("{workshop}", str(workshop)).replace("{here}", str(mishaps)) for a in wrong.arguments]
    said = tuner(*arguments)
    assert said.status == wrong.status, said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    lines = said.err.splitlines()
    sentences = [line for line in lines if line.startswith("tui-tuner: ")]
    assert sentences == lines[-1:]
    for part in wrong.names:
        assert part in sentences[0]
    assert sum(sentences[0].removeprefix("tui-tuner: ") in line for line in lines) == 1, "said twice"
    runs = list((mishaps / "runs").iterdir()) if (mishaps / "runs").exists() else []
    assert len(runs) == wrong.makes_a_run
    for path in runs:
        events = read_events(path / "events.jsonl")
        assert (events[-1]["type"], events[-1]["status"]) == ("run_finished", "failed")
        assert f"tui-tuner: {events[-1]['reason']}" == sentences[0]
        assert not (path / "lock").exists()
    assert not list(mishaps.rglob(".tmp-*")) and not list(mishaps.rglob(".new-*"))
    if name in ("no command", "start without preset", "set without preset", "preset on screen misspelt"):
        return  # the workbench has no --json
    with_json = tuner(*arguments, "--json") if arguments[0] != "attach" else said
    if arguments[0] != "attach":
        assert with_json.status == wrong.status
        error = with_json.document["error"]
        assert error.keys() == {"code", "message", "where", "fix"}
        assert error["code"] == wrong.code
        assert error["fix"]


def test_debug_shows_the_traceback(tuner: Callable[..., Said]) -> None:
    said = tuner("resume", "nothing", "--debug")
    assert said.status == 2
    assert "Traceback" in said.err


# -- signals --------------------------------------------------------------------------------------------------------


@pytest.fixture
def training(workshop: Path, here: Path) -> Iterator[tuple[subprocess.Popen[str], RunFolder]]:
    """A run in a process of its own that has trained a few of its 150 steps."""
    folders = [f"--set={key}" for key in ("train.iters=150", "train.eval_every=1000", "data.test=2")]
    running = process("run", workshop / "tiny.toml", "--json", *folders)
    try:
        assert running.stderr is not None
        first = running.stderr.readline()
        folder = RunFolder.open(here / "runs" / first.split()[1])
        tail = EventTail(folder.events)
        step = 0
        while step < 3:
            assert running.poll() is None
            step = max([step, *(e["step"] for e in tail.poll() if e["type"] == "train")])
        yield running, folder
    finally:
        running.kill()
        running.communicate()


def test_a_termination_stops_and_saves_and_resume_finishes(
    training: tuple[subprocess.Popen[str], RunFolder], tuner: Callable[..., Said]
) -> None:
    running, folder = training
    # Meanwhile nobody else may write the run, and the list knows that it is going.
    refused = tuner("resume", folder.path, "--json")
    assert refused.status == 1
    assert refused.document["error"]["code"] == "run-locked"
    assert str(running.pid) in refused.document["error"]["message"]
    assert tuner("runs", "--json").document[0]["state"] == "running"
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=300)
    assert running.returncode == 1, err
    document = json.loads(out)
    assert document["status"] == "stopped"
    assert 0 < document["steps"] < 150
    assert "Traceback" not in err
    assert "terminate called" not in err
    (listed,) = tuner("runs", "--json").document
    assert (listed["state"], listed["step"]) == ("stopped", document["steps"])
    finished = tuner("resume", "last", "--json")
    assert finished.status == 0, finished.err
    assert (finished.document["status"], finished.document["steps"]) == ("finished", 150)
    started = [e for e in read_events(folder.events) if e["type"] == "run_started"]
    assert [e["from_step"] for e in started] == [0, document["steps"]]


def test_a_kill_leaves_an_interrupted_run_whose_every_line_can_be_read(
    training: tuple[subprocess.Popen[str], RunFolder], tuner: Callable[..., Said]
) -> None:
    running, folder = training
    running.kill()
    running.communicate(timeout=300)
    assert running.returncode == -signal.SIGKILL
    (listed,) = tuner("runs", "--json").document
    assert listed["state"] == "interrupted"
    assert listed["step"] >= 3
    for line in folder.events.read_text(encoding="utf-8").split("\n")[:-1]:
        assert {"t", "type"} <= json.loads(line).keys()
    finished = tuner("resume", folder.name, "--json")
    assert finished.status == 0, finished.err
    assert finished.document["steps"] == 150
    for line in folder.events.read_text(encoding="utf-8").splitlines():
        json.loads(line)
