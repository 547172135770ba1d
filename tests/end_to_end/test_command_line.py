"""Every command as a person or a script meets it: documents, lines, and where they go."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Said, process
from tui_tuner import __version__
from tui_tuner.cli.output import Output
from tui_tuner.runs import RunFolder, RunView, read_events

pytestmark = pytest.mark.mlx

METRICS = {"exact_match", "rouge1", "rouge2", "rougeL"}


def the_run(here: Path) -> RunFolder:
    (path,) = (here / "runs").iterdir()
    return RunFolder.open(path)


def test_run_in_a_process_gives_one_document_and_tells_its_progress_apart(workshop: Path, here: Path) -> None:
    running = process("run", workshop / "tiny.toml", "--json", "--name", "my name/..")
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    document = Said(0, out, err).document
    assert document.keys() >= {"run", "status", "steps", "evaluation", "verdict"}
    assert (document["status"], document["steps"]) == ("finished", 6)
    assert document["evaluation"].keys() == {"before", "after"}
    for metrics in document["evaluation"].values():
        assert metrics.keys() == METRICS | {"loss", "perplexity", "length", "truncated", "empty", "repetition"}
        for metric in metrics.values():
            assert metric.keys() == {"value", "low", "high"}
            assert metric["low"] <= metric["value"] <= metric["high"]
    assert document["verdict"].keys() == METRICS | {"loss", "perplexity"}
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
    ask = ("chat", workshop / "model", "--max-tokens", "5", "--prompt")
    text = tuner(*ask, "what is the fox?", "--json").document["text"]
    plain = tuner(*ask, "what is the fox?")
    assert (plain.status, plain.out, plain.err) == (0, f"{text}\n", "")
    monkeypatch.setattr(sys, "stdin", io.StringIO("what is the fox?"))
    assert tuner(*ask, "-").out == plain.out
    system = tuner(*ask, "what is the fox?", "--system", "be short", "--json").document
    assert system["prompt_tokens"] > tuner(*ask, "what is the fox?", "--json").document["prompt_tokens"]


def test_chat_says_how_it_answers_and_what_is_inside(tuner: Callable[..., Said], workshop: Path) -> None:
    ask = ("chat", workshop / "model", "--max-tokens", "12", "--prompt", "what is the fox?", "--json")
    greedy = tuner(*ask).document
    lively = (
        "--sampling",
        "lively",
        "--top-p",
        "0.9",
        "--top-k",
        "50",
        "--min-p",
        "0.01",
        "--repetition-penalty",
        "1.1",
    )
    drawn = [tuner(*ask, *lively, "--seed", seed).document["text"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    middle = greedy["text"][3:6]
    cut = tuner(*ask, "--stop", "never", "--stop", middle).document
    assert (cut["text"], cut["finish"]) == (greedy["text"][: greedy["text"].index(middle)], "stop")
    plain = tuner(*ask, "--plain").document
    assert (plain["plain"], greedy["plain"]) == (True, False)
    assert plain["prompt_tokens"] < greedy["prompt_tokens"]
    seen = tuner(*ask, "--logprobs", "--reference", "it is red").document
    assert "".join(token["text"] for token in seen["logprobs"]) == greedy["text"]
    first = seen["logprobs"][0]
    assert first["rank"] == 0 and first["probability"] == pytest.approx(first["alternatives"][0]["probability"])
    assert seen["reference"]["tokens"] == len(seen["reference"]["logprobs"]) > 0
    told = tuner(*ask[:-1], "--reference", "it is red").out
    assert f"the reference: {seen['reference']['loss']:.4f} nats a token" in told
    for wrong, words in (
        (("--top-p", "7"), "top_p must be a number from 0.01 to 1"),
        (("--sampling", "wild"), "greedy, careful"),
        (("--compare", "base"), "name two to 4"),
    ):
        said = tuner(*ask[:-1], *wrong)
        assert (said.status, words in said.err) == (2, True), said.err
    assert tuner(*ask[:-1], "--logprobs").status == 2


def test_chat_compares(tuner: Callable[..., Said], workshop: Path, here: Path) -> None:
    document = tuner("run", workshop / "tiny.toml", "--json", "--set", "train.iters=2").document
    run = Path(document["run"]).name
    ask = ("chat", workshop / "model", "--max-tokens", "6", "--prompt", "what is the fox?")
    alone = [tuner("chat", who, *ask[2:], "--json").document["text"] for who in (workshop / "model", run)]
    answers = tuner(*ask, "--compare", f"base,{run},{run}:last", "--json").document["answers"]
    assert [answer["label"] for answer in answers] == ["base", run, f"{run}:last"]
    assert [answer["text"] for answer in answers[:2]] == alone
    said = tuner(*ask, "--compare", f"base,{run}")
    assert said.out == f"── base\n{alone[0]}\n\n── {run}\n{alone[1]}\n"
    (here / "foreign").mkdir()
    (here / "foreign" / "adapter_config.json").write_text("{}")
    broken = tuner(*ask, "--compare", "foreign,base", "--json")
    assert broken.status == 1
    assert broken.document["answers"][0]["error"]["code"] == "adapter-format"
    assert broken.document["answers"][1]["text"] == alone[0]


def test_chat_without_a_prompt_opens_the_workbench(
    tuner: Callable[..., Said], mishaps: Path, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.chat.sampling import Sampling
    from tui_tuner.chat.voices import Voice
    from tui_tuner.cli import output, screen
    from tui_tuner.ui.state import ChatTarget

    opened: list[Any] = []
    monkeypatch.setattr(output, "has_terminal", lambda: True)
    monkeypatch.setattr(screen, "open_workbench", lambda runs_dir, **options: opened.append(options["chat"]) or 0)
    assert tuner("chat", workshop / "model").status == 0
    assert tuner("chat", "some/name").status == 0  # fetched when the chat needs it
    manner = ("--system", "Be short.", "--max-tokens", "7", "--temperature", "0.5", "--seed", "3")
    assert tuner("chat", "some/name", *manner).status == 0
    asked = ChatTarget("some/name", None, "Be short.", Sampling(max_tokens=7, temperature=0.5, seed=3))
    assert opened == [ChatTarget(str(workshop / "model")), ChatTarget("some/name"), asked]
    assert tuner("chat", workshop / "model", "--compare", f"base,{workshop / 'model'}", "--plain").status == 0
    side_by_side = opened.pop()
    assert side_by_side.plain
    assert side_by_side.columns == (Voice(str(workshop / "model")),) * 2
    for wrong, code in (("./none", "no such model folder"), (mishaps / "weightless", "no weights")):
        said = tuner("chat", wrong)
        assert said.status == 1
        assert code in said.err
    said = tuner("chat", workshop / "model", "--adapter", mishaps)
    assert (said.status, "no adapter" in said.err) == (1, True)
    assert len(opened) == 3


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


def test_data_tells_what_a_file_holds(tuner: Callable[..., Said], here: Path) -> None:
    rows = [f'{{"question": "What is {n}?", "answer": "The number {n}\\\\nIndeed."}}' for n in range(40)]
    (here / "qa.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    said = tuner("data", "qa.jsonl", "--json")
    assert said.status == 0, said.err
    document = said.document
    assert document.keys() >= {"rows", "format", "confidence", "mapping", "columns", "splits", "problems", "tokens"}
    assert (document["rows"], document["format"]) == (40, "question-answer")
    assert document["mapping"] == {"prompt": "{question}", "completion": "{answer}"}
    assert document["tokens"]["rows"] == sum(document["splits"].values()) == 40
    for problem in document["problems"]:
        assert problem.keys() >= {"code", "severity", "count", "lines", "message", "fix"}
    said = tuner("data", "qa.jsonl")
    assert "40 records (jsonl), question-answer, 95% sure" in said.out
    assert "literal-newlines" in said.out and 'data.fixes = ["unescape-newlines"]' in said.out


def test_data_of_a_file_that_is_none_is_one_sentence(tuner: Callable[..., Said], here: Path) -> None:
    (here / "page.jsonl").write_text("<!doctype html><p>404</p>", encoding="utf-8")
    said = tuner("data", "page.jsonl", "--json")
    assert said.status == 1
    assert said.document["error"]["code"] == "web-page"


def test_check_says_whether_a_preset_can_run(tuner: Callable[..., Said], workshop: Path, here: Path) -> None:
    said = tuner("check", workshop / "tiny.toml", "--json")
    assert said.status == 0, said.err
    assert said.document["ok"] is True and said.document["forecast"]["disk"] > 0
    said = tuner("check", workshop / "tiny.toml", "--set", "adapter.targets=nope")
    assert said.status == 1
    assert "target-not-found" in said.out and "cannot run yet: 1 error" in said.out
    assert not (here / "runs").exists()
