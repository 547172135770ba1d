"""What cannot work is said in one sentence, with the right status, and leaves nothing half-done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commands import Said
from tui_tuner.runs import read_events

pytestmark = pytest.mark.mlx


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
    "missing argument": Wrong(("run",), 2, "usage", ("'PRESET'",)),
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
    "unknown module": wrong_set('adapter.targets=["qvk_proj"]', 1, "target-not-found", "qvk_proj", "qkv_proj"),
    "too many layers": wrong_set("adapter.layers=9", 1, "too-many-layers", "adapter.layers", "3"),
    "no such data": wrong_set("data.source={here}/none.jsonl", 2, "no-such-data", "none.jsonl"),
    "empty data": wrong_set("data.source={here}/empty.jsonl", 1, "empty-file", "empty.jsonl"),
    "malformed data": wrong_set("data.source={here}/bad.jsonl", 1, "bad-json", "bad.jsonl", "line 2"),
    "bad row": wrong_set("data.source={here}/hole.jsonl", 1, "bad-row", "hole.jsonl", "2"),
    "too few rows": wrong_set("data.source={here}/few.jsonl", 1, "too-few-rows", "few.jsonl", "3"),
    "too short a limit": wrong_set("train.max_seq_length=4", 1, "no-trainable-tokens", "line 1"),
    "no place for runs": Wrong(
        ("run", "{workshop}/tiny.toml", "--runs-dir", "{here}/empty.jsonl/runs"), 1, "in-the-way", ("empty.jsonl",)
    ),
    "resume of nothing": Wrong(("resume", "nothing"), 2, "run-not-found", ("nothing",)),
    "resume of the last of none": Wrong(("resume", "last"), 2, "run-not-found", ("run",)),
    "attach to nothing": Wrong(("attach", "nothing"), 2, "run-not-found", ("nothing",)),
    "chat without prompt": Wrong(("chat", "{workshop}/model"), 2, "usage", ("--prompt",)),
    "chat with nobody": Wrong(("chat", "./none", "--prompt", "x"), 1, "model-not-found", ("none",)),
    "chat with no adapter": Wrong(
        ("chat", "{workshop}/model", "--adapter", "{here}", "--prompt", "x"), 1, "adapter-not-found", ("adapters",)
    ),
    "a token limit of none": Wrong(
        ("chat", "m", "--prompt", "x", "--max-tokens", "0"), 2, "bad-setting", ("max_tokens",)
    ),
}


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
