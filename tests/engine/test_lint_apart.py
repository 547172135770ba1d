"""A large set is linted in a process of its own: it finds the same, and nothing is lost when it ends too early."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_tuner.config import Experiment
from tui_tuner.data.lint import portions
from tui_tuner.data.lint.facts import LintContext
from tui_tuner.data.lint.portions import LintApart, LintHere, lint_of
from tui_tuner.data.scan import Report, scan
from tui_tuner.data.table import Fault, Place
from tui_tuner.errors import TunerError
from tui_tuner.models.load import load_tokenizer
from tui_tuner.paths import resolve_model


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(Path(resolve_model("embedded:phi3-tiny", None)))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six hundred rows with every kind of trouble among them."""
    generator = random.Random(5)
    words = [f"word{number}" for number in range(50)]
    rows: list[Any] = []
    for number in range(600):
        text = " ".join(generator.choices(words, k=generator.randrange(4, 40)))
        rows.append(
            {"prompt": f"{text} {number % 90}?", "completion": generator.choice([text, "yes", "yes", "ünï 12"])}
        )
    rows[7] = {"prompt": "", "completion": "x"}
    rows[11] = {"prompt": "mail a.b@example.org", "completion": "<|im_start|>hi"}
    rows[13] = {"prompt": "only"}
    lines = [json.dumps(row) for row in rows]
    lines[17] = '{"prompt": "broken'
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def scanned(source: Path, tokenizer: Any) -> Report:
    return scan(
        Experiment.model_validate({"model": {"path": "embedded:phi3-tiny"}, "data": {"source": str(source)}}), tokenizer
    )


def test_it_finds_the_same(source: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = scanned(source, tokenizer)
    assert {"bad-json", "foreign-special-tokens", "dominant-answer"} <= {problem.code for problem in here.problems}
    started = []

    class Counted(LintApart):
        def __init__(self, context: LintContext) -> None:
            started.append(context)
            super().__init__(context)

    monkeypatch.setattr(portions, "MANY", 1)
    monkeypatch.setattr(portions, "LintApart", Counted)
    apart = scanned(source, tokenizer)
    assert len(started) == 1
    assert apart.problems == here.problems
    assert apart.answers == here.answers
    assert apart.hits.keys() == here.hits.keys()
    for code, numbers in here.hits.items():
        assert np.array_equal(apart.hits[code], numbers), code
    for name in ("lengths", "offsets", "lines", "split", "number"):
        assert np.array_equal(getattr(apart, name), getattr(here, name)), name


def test_a_process_that_ends_too_early_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lint = LintApart(LintContext())
    os.kill(lint._process.pid, signal.SIGKILL)
    lint._process.wait()
    with pytest.raises(TunerError, match="ended too early") as caught:
        lint.faults([Fault(Place(Path("a.jsonl"), 1, 0), "bad-json", "not JSON", "mend it")] * 10_000)
        lint.finish()
    assert caught.value.code == "linter-lost"
    lint.close()


def test_a_pass_that_is_given_up_leaves_no_process() -> None:
    lint = LintApart(LintContext())
    lint.close()
    lint.close()
    assert lint._process.poll() is not None


def test_where_no_process_can_be_started_this_one_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise OSError("no more processes")

    monkeypatch.setattr(portions.subprocess, "Popen", refuse)
    assert isinstance(lint_of(LintContext(), 10**6), LintHere)
    assert isinstance(lint_of(LintContext(), 10), LintHere)


def test_what_goes_wrong_there_is_raised_here() -> None:
    lint = LintApart(LintContext())
    lint._tell("rows", [("not", "facts")])
    with pytest.raises(RuntimeError, match="the linter failed"):
        lint.finish()
