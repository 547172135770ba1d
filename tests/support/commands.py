"""Running the program's commands in processes of their own, and what a command said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.cli.app import run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


def process(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tui_tuner", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


Tuner = Callable[..., Said]


@pytest.fixture
def tuner(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tuner:
    """Calls a command in this process, with runs in `tmp_path`."""
    monkeypatch.setenv("TUI_TUNER_RUNS", str(tmp_path))
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "settings"))

    def call(*arguments: str | Path) -> Said:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        return Said(status, *capfd.readouterr())

    return call
