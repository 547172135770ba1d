"""`attach` without a terminal: a run or a log in lines, as a document, and followed to its end; and what opens."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Said
from tests.ui.fakes import RunBuilder
from tests.unit.test_log_watch import BEGIN, HEADER, OVERFIT, report, written

DONE = "Saved final weights to adapters/adapters.safetensors.\n"
KEYS = {
    "state", "model", "step", "steps", "train_loss", "validation_loss", "best_validation_loss", "best_validation_step",
    "tokens_per_second", "seconds", "seconds_left", "machine", "reason", "advice",
}  # fmt: skip


@pytest.fixture
def log(here: Path) -> Path:
    return here / "train.log"


def test_a_log_is_one_document(tuner: Callable[..., Said], log: Path) -> None:
    written(log, HEADER + BEGIN + OVERFIT)
    said = tuner("attach", "--log", "train.log", "--json")
    assert (said.status, said.err) == (0, "")
    document = said.document
    assert document.keys() == {"log", *KEYS}
    (advice,) = document.pop("advice")
    assert (advice["code"], advice["severity"]) == ("overfitting", "error")
    assert "learns the rows by heart" in advice["text"]
    assert document == {
        "log": str(log), "state": "quiet", "model": "", "step": 600, "steps": 600, "train_loss": 0.5,
        "validation_loss": 4.0, "best_validation_loss": 2.0, "best_validation_step": 199, "tokens_per_second": 300.0,
        "seconds": pytest.approx(630.0), "seconds_left": None, "machine": None, "reason": "",
    }  # fmt: skip


def test_a_log_is_a_few_lines(tuner: Callable[..., Said], log: Path) -> None:
    written(log, HEADER + BEGIN + OVERFIT[: OVERFIT.index("Iter 480")], time.time())
    said = tuner("attach", "--log", log)
    assert (said.status, said.err) == (0, "")
    first, *rest = said.out.splitlines()
    assert first.startswith("train.log: running, step 460 of 600, about 2:2")
    assert rest[:3] == [
        "train loss       0.850",
        "validation loss  3.300, best 2.000 at step 199",
        "speed            300 tokens/s",
    ]
    assert rest[3].startswith("error            Validation loss has risen from 2.000 at step 199")
    log.write_text(HEADER)
    assert tuner("attach", "--log", log).out == "train.log: waiting, nothing was reported yet\n"


def test_a_run_is_told_likewise(tuner: Callable[..., Said], here: Path) -> None:
    (here / "runs").mkdir()
    builder = RunBuilder(here / "runs").prepared().train(1, 60).finish("stopped", "asked to")
    document = tuner("attach", "players", "--json").document
    assert document.keys() == {"run", *KEYS}
    assert document["run"] == str(builder.folder.path)
    assert (document["state"], document["step"], document["steps"], document["reason"]) == (
        "stopped", 60, 120, "asked to",
    )  # fmt: skip
    assert document["best_validation_step"] == 60
    said = tuner("attach", "last")
    assert (said.status, said.out.splitlines()[0]) == (0, f"{builder.folder.name}: stopped, step 60 of 120 (asked to)")
    said = tuner("attach", "last", "--follow")
    assert (said.status, said.out.splitlines()[-1]) == (1, "stopped: asked to")


def test_a_log_is_followed_to_its_end(tuner: Callable[..., Said], log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_tuner.cli import watching

    written(log, HEADER + BEGIN + report(20, 2.0))
    more = [report(40, 1.9, 1.75), DONE]
    monkeypatch.setattr(watching.time, "sleep", lambda seconds: written(log, more.pop(0)))
    said = tuner("attach", "--log", log, "--follow")
    assert said.status == 0 and more == []
    lines = said.out.splitlines()
    assert "  step 20/600: loss 2.0000, 300 tokens/s, learning rate 1.00e-05, about 580 s left" in lines
    assert "  step 39: validation loss 1.7500" in lines
    assert lines[-2:] == ["train: done", "finished: saved adapters/adapters.safetensors"]


@pytest.mark.parametrize(
    ("ending", "status", "told"),
    [
        ("Traceback (most recent call last):\n  x\nValueError: no rows\n", 1, "failed: ValueError: no rows"),
        ("Traceback (most recent call last):\n  x\nKeyboardInterrupt\n", 1, "stopped: interrupted from the keyboard"),
        (DONE, 0, "finished: saved adapters/adapters.safetensors"),
    ],
)
def test_how_a_followed_run_ended_is_the_status(
    tuner: Callable[..., Said], log: Path, ending: str, status: int, told: str
) -> None:
    written(log, HEADER + BEGIN + report(20, 2.0) + ending)
    said = tuner("attach", "--log", log, "--follow", "--json")
    assert (said.status, said.document["log"]) == (status, str(log))
    assert told in said.err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "attach takes a run or a log, one of them; name a run, or a file with --log."),
        (("last", "--log", "x"), 2, "attach takes a run or a log, one of them"),
        (("--log", "none.log"), 1, "none.log: does not exist; check the path."),
        (("--log", "."), 1, "is a folder; name the file that the log is written to."),
        (("--log", "picture.png"), 1, "picture.png: holds no text"),
        (("--log", "prose.txt"), 1, "prose.txt: holds no training log of mlx-lm"),
    ],
)
@pytest.mark.parametrize("terminal", [True, False])
def test_what_cannot_be_watched_is_one_sentence(
    tuner: Callable[..., Said], here: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int,
    said: str, terminal: bool,
) -> None:  # fmt: skip
    from tui_tuner.cli import output, screen

    monkeypatch.setattr(output, "has_terminal", lambda: terminal)
    monkeypatch.setattr(screen, "open_workbench", lambda *args, **options: pytest.fail("opened"))
    (here / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    (here / "prose.txt").write_text("It was a dark and stormy night.\n" * 200)
    got = tuner("attach", *arguments)
    assert (got.status, got.out) == (status, "")
    assert said in got.err and got.err.count("\n") == 1


def test_on_a_terminal_a_log_opens_the_workbench(
    tuner: Callable[..., Said], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.cli import output, screen

    opened: list[Any] = []
    monkeypatch.setattr(output, "has_terminal", lambda: True)
    monkeypatch.setattr(screen, "open_workbench", lambda runs_dir, **options: opened.append(options) or 0)
    written(log, HEADER)
    assert tuner("attach", "--log", "train.log").status == 0
    assert opened == [{"log": log}]
