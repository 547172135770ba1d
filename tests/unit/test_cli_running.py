"""`run`, `resume`, `quickstart` and the workbench as they are called: what is made, asked for, said, and refused."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.support.jobs import Jobs, jobs
from tests.ui.fakes import AFTER, BEFORE, VERDICT, FakeEngine, RunBuilder
from tui_tuner import __version__
from tui_tuner.__main__ import main
from tui_tuner.cli import app, headless, output, screen
from tui_tuner.config import load_experiment
from tui_tuner.engine.protocol import JobHandle
from tui_tuner.engine.requests import LoadLibraries, RunExperiment
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.catalogue import list_runs

__all__ = ["jobs", "tuner"]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path | None, dict[str, Any]]]:
    """What the workbench was opened with, on a terminal."""
    calls: list[tuple[Path | None, dict[str, Any]]] = []
    monkeypatch.setattr(output, "has_terminal", lambda: True)
    monkeypatch.setattr(screen, "open_workbench", lambda place, **options: calls.append((place, options)) or 0)
    return calls


def ends(jobs: Jobs, status: str = "finished", *, judged: bool = False) -> None:
    """The next run ends so, with its folder in the document."""
    document: dict[str, Any] = {"status": status, "steps": 20, "evaluation": {"before": {}, "after": {}}, "verdict": {}}
    if judged:
        document |= {"evaluation": {"before": BEFORE, "after": AFTER}, "verdict": VERDICT}
    jobs.on_the_way.append(lambda request: document.update(run=str(request.folder)))
    jobs.answer(document)


def made(jobs: Jobs) -> RunFolder:
    (request,) = jobs.asked
    assert isinstance(request, RunExperiment)
    return RunFolder.open(request.folder)


def test_a_run_is_made_of_its_preset_its_name_and_what_was_set(tuner: Tuner, jobs: Jobs, tmp_path: Path) -> None:
    ends(jobs)
    place = tmp_path / "elsewhere"
    said = tuner("run", "quickstart", "--set", "train.iters=20", "--set", "train.warmup=0", "--name", "Mine/..",
                 "--runs-dir", place, "--json")  # fmt: skip
    folder = made(jobs)
    assert (said.status, said.document["run"]) == (0, str(folder.path))
    assert folder.path.parent == place and folder.name.startswith("Mine-")
    assert said.err == f"run {folder.name}\n"
    experiment = load_experiment(folder.config)
    assert (experiment.train.iters, experiment.train.warmup) == (20, 0)


def test_a_run_that_was_judged_is_a_table_for_people(tuner: Tuner, jobs: Jobs) -> None:
    ends(jobs, judged=True)
    lines = tuner("run", "quickstart").out.splitlines()
    assert lines[1].split() == ["metric", "before", "after", "difference", "verdict"]
    assert set("".join(lines[2].split())) == {"-"}
    assert {line.split()[0] for line in lines[3:7]} == set(VERDICT)
    assert lines[3].endswith("better") and "+0.925 (" in lines[3]
    assert lines[-1] == f"run {made(jobs).path}"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_stopped_run_has_the_status_1_and_says_how_it_goes_on(
    tuner: Tuner, jobs: Jobs, options: tuple[str, ...]
) -> None:
    ends(jobs, "stopped")
    said = tuner("run", "quickstart", *options)
    told = f"stopped after step 20; `tui-tuner resume {made(jobs).name}` goes on from there"
    assert said.status == 1 and (told in said.err) is not bool(options)


def test_a_failed_run_is_one_error(tuner: Tuner, jobs: Jobs) -> None:
    jobs.answer(TunerError("the loss became no number", code="diverged", fix="lower train.learning_rate"))
    said = tuner("run", "quickstart", "--json")
    assert (said.status, said.document["error"]["code"]) == (1, "diverged")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "quikstart"), "no-preset"),
        (("run", "quickstart", "--set", "train.itres=3"), "unknown-key"),
        (("run", "quickstart", "--set", "train.iters"), "usage"),
        (("run", "quickstart", "-n", "0"), "usage"),
        (("run", "quickstart", "-n", "2", "--hosts", "h.json"), "usage"),
        (("resume", "nobody"), "run-not-found"),
        (("quickstart", "--set", "train.iters=no"), "bad-value"),
    ],
)
def test_what_cannot_be_run_leaves_no_run(
    tuner: Tuner, jobs: Jobs, tmp_path: Path, arguments: tuple[str, ...], code: str
) -> None:
    said = tuner(*arguments, "--json")
    assert said.status == 2 and said.document["error"]["code"]
    assert tuner(*arguments).err.count("\n") == 1
    assert jobs.asked == [] and not list(tmp_path.glob("*/events.jsonl")), code


def test_resume_goes_on_with_the_run_that_is_meant(tuner: Tuner, jobs: Jobs, tmp_path: Path) -> None:
    folder = RunBuilder(tmp_path).prepared().train(1, 10).folder
    for name in (folder.name, "players", "last", str(folder.path)):
        ends(jobs)
        said = tuner("resume", name, "--runs-dir", tmp_path)
        assert (said.status, said.err, said.out) == (0, f"run {folder.name}\n", f"run {folder.path}\n")
        assert jobs.asked.pop().folder == folder.path
        jobs.on_the_way.clear()


# -- quickstart and the workbench -------------------------------------------------------------------------------------
def test_quickstart_on_a_terminal_opens_the_workbench_and_begins(tuner: Tuner, opened: list[Any]) -> None:
    assert tuner("quickstart", "--set", "train.iters=20").status == 0
    assert opened == [(None, {"preset": "quickstart", "overrides": ["train.iters=20"], "autostart": True})]


@pytest.mark.parametrize("option", [("--json",), ("--headless",), ("--name", "mine")])
def test_quickstart_needs_no_screen_where_a_script_would_call_it(
    tuner: Tuner, jobs: Jobs, opened: list[Any], option: tuple[str, ...]
) -> None:
    ends(jobs)
    assert tuner("quickstart", *option).status == 0
    assert opened == [] and made(jobs).name.startswith(option[1] if len(option) > 1 else "quickstart")


def test_the_workbench_opens_with_what_was_named(tuner: Tuner, opened: list[Any], tmp_path: Path) -> None:
    assert tuner().status == 0
    options = ("--preset", "quickstart", "--set", "train.iters=20", "--start", "--runs-dir", tmp_path)
    assert tuner(*options).status == 0
    plain = {"preset": None, "overrides": (), "autostart": False}
    named = {"preset": "quickstart", "overrides": ["train.iters=20"], "autostart": True}
    assert opened == [(None, plain), (tmp_path, named)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--start",), "--start needs a preset; name one with --preset"),
        (("--set", "train.iters=20"), "--set needs a preset; name one with --preset"),
        (("--preset", "quikstart"), "did you mean"),
        (("--preset", "quickstart", "--set", "train.itres=5"), "did you mean train.iters?"),
        (("quikstart",), "quickstart"),
        (("--colour",), "--colour"),
        (("runs", "--colour"), "see `tui-tuner runs --help`"),
    ],
)
def test_a_mistake_is_said_before_a_screen_opens(
    tuner: Tuner, opened: list[Any], arguments: tuple[str, ...], said: str
) -> None:
    got = tuner(*arguments)
    assert (got.status, got.out, got.err.count("\n")) == (2, "", 1) and said in got.err
    assert opened == []


def test_the_version_and_nothing_else(tuner: Tuner) -> None:
    said = tuner("--version")
    assert (said.status, said.out, said.err) == (0, f"tui-tuner {__version__}\n", "")


def test_without_a_terminal_the_workbench_says_what_to_use_instead(tuner: Tuner) -> None:
    said = tuner("--debug")
    assert said.status == 2
    assert said.err.endswith("use `tui-tuner run PRESET` or `tui-tuner chat MODEL --prompt TEXT`, which need none.\n")
    assert said.err.startswith("Traceback")


# -- what any command does when something goes wrong ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("failure", "status", "error"),
    [
        (KeyboardInterrupt(), 1, {"code": "interrupted", "fix": "the same command begins it anew"}),
        (ZeroDivisionError("by 0"), 1, {"code": "internal", "fix": "run it again with --debug"}),
        (TunerError("no", code="c", usage=True), 2, {"code": "c"}),
    ],
)
def test_whatever_happens_is_one_sentence_and_a_status(
    tuner: Tuner, monkeypatch: pytest.MonkeyPatch, failure: BaseException, status: int, error: dict[str, str]
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise failure

    monkeypatch.setattr(app, "program", fails)
    said = tuner("runs", "--json")
    assert said.status == status
    assert said.document["error"].items() >= error.items()
    plain = tuner("runs")
    assert plain.err.startswith("tui-tuner: ") and plain.err.count("\n") == 1 and plain.out == ""
    assert "Traceback" in tuner("runs", "--debug").err


def test_an_interrupt_inside_a_command_is_told_and_is_a_failure(tuner: Tuner, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt  # which the library of the commands makes a silent 130 of

    monkeypatch.setattr("tui_tuner.runs.catalogue.list_runs", interrupted)
    said = tuner("runs")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("tui-tuner: stopped before it was done; nothing is left half-way; ")


@pytest.fixture
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born without
    for number in numbers[1:]:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("handlers")
def test_a_signal_while_the_program_loads_is_one_sentence(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "run", lambda arguments: signal.raise_signal(number))
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr() == ("", "tui-tuner: stopped.\n")


def test_the_status_is_ours_also_after_an_interrupt_inside_evaluated_text() -> None:
    lines = (
        "import signal",
        "from tui_tuner.__main__ import main",
        "from tui_tuner.cli import app",
        "signal.signal(signal.SIGINT, signal.default_int_handler)",
        "app.run = lambda _: eval('signal.raise_signal(signal.SIGINT)')",
        "main()",
    )
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, check=False, text=True)
    assert (ended.returncode, ended.stderr) == (1, "tui-tuner: stopped.\n")


@pytest.mark.usefixtures("handlers")
def test_nohup_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    heard: list[str] = []

    def run(arguments: Any) -> int:
        with headless.stopping(heard.append):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        return 0

    monkeypatch.setattr(app, "run", run)
    with pytest.raises(SystemExit, match="0"):
        main()
    assert heard == []


def test_a_run_that_is_interrupted_before_the_engine_is_there_is_a_stopped_one(
    tuner: Tuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(headless, "perform", interrupted)
    said = tuner("run", "quickstart")
    (listed,) = list_runs(tmp_path)
    assert (said.status, listed.state.value) == (1, "stopped")
    assert f"`tui-tuner resume {listed.run}` goes on" in said.err


# -- a job of this process --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_first_signal_asks_the_job_to_stop_and_its_result_still_counts(name: str) -> None:
    engine = FakeEngine()
    looks: list[JobHandle] = []

    def look() -> None:
        (handle,) = engine.handles()
        if not looks:
            signal.raise_signal(getattr(signal, name))
        looks.append(handle)
        if not handle.finished.is_set():
            engine.end(handle, {"status": "stopped"})

    before = signal.getsignal(getattr(signal, name))
    assert headless.attend(engine, LoadLibraries(), look) == {"status": "stopped"}  # type: ignore[arg-type]
    assert looks[0].control.stop_reason == name and signal.getsignal(getattr(signal, name)) == before


def test_a_second_signal_ends_the_process_at_once_with_the_shells_status(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):
        pass

    def leave(status: int) -> None:
        raise Ended(status)

    heard: list[str] = []
    monkeypatch.setattr(headless.os, "_exit", leave)
    with (
        pytest.raises(Ended, match=str(128 + signal.SIGTERM)),
        headless.stopping(heard.append, lambda: heard.append("at once")),
    ):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert heard == ["SIGINT", "at once"]


def test_a_signal_while_the_threads_start_ends_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    engines: list[LocalEngine] = []
    real = LocalEngine.start

    def start(self: LocalEngine) -> None:
        engines.append(self)
        signal.raise_signal(signal.SIGINT)
        real(self)

    monkeypatch.setattr(LocalEngine, "start", start)
    with pytest.raises(KeyboardInterrupt):
        headless.perform(LoadLibraries())
    assert engines[0]._threads and not any(thread.is_alive() for thread in engines[0]._threads)


def test_a_signal_while_a_request_is_made_is_heard_by_its_job() -> None:
    engine, seen = FakeEngine(), []

    def answer(handle: JobHandle) -> None:
        signal.raise_signal(signal.SIGTERM)
        seen.append(handle)
        engine.end(handle, None)

    engine.answer = answer
    headless.attend(engine, LoadLibraries())  # type: ignore[arg-type]
    assert seen[0].control.stop_reason == "SIGTERM"


def test_a_failed_job_raises_what_it_failed_of_after_a_last_look() -> None:
    engine, looks = FakeEngine(), []
    engine.answer = lambda handle: engine.end(handle, error=TunerError("no", code="c"))
    with pytest.raises(TunerError, match="no"):
        headless.attend(engine, LoadLibraries(), lambda: looks.append(1))  # type: ignore[arg-type]
    assert looks == [1]


def test_a_worker_that_cannot_be_joined_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(engine, "shutdown", lambda timeout: False)
    monkeypatch.setattr(headless, "LocalEngine", lambda: engine)
    left: list[int] = []
    monkeypatch.setattr(headless.os, "_exit", left.append)
    with headless.one_engine() as same:
        assert same is engine and engine.started  # type: ignore[comparison-overlap]
    assert left == [1]
