"""Probes are answered by the base and at every look, on request too, and training never notices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_steering import at_step, bad_losses
from tests.support.exactness import curve, events, run_watched, same, stop_after
from tests.support.models import make_rows
from tests.support.twins import twins
from tui_tuner.config import load_experiment
from tui_tuner.data.examples import opening_tokens
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.probes import probe_tokens
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.generate import greedy_answers
from tui_tuner.models.load import load_base, load_tokenizer
from tui_tuner.runs import RunFolder, RunView, read_events
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.requests import ask

pytestmark = pytest.mark.mlx

PROMPTS = ["what is the red fox?", "who runs?"]
PROBES = {"probes": {"prompts": PROMPTS}}
QUICK = {"evaluation": {"enabled": False, "max_tokens": 6}}


def samples(folder: RunFolder) -> list[tuple[int, str]]:
    """Step and prompt of each sample in the log, in its order."""
    return [(event["step"], event["prompt"]) for event in events(folder, "sample")]


def answers(folder: RunFolder) -> dict[tuple[int, str], str]:
    """What the view keeps, by step and prompt."""
    view = RunView()
    view.extend(read_events(folder.events))
    return {(event["step"], event["prompt"]): event["text"] for event in view.samples}


def of_base(folder: RunFolder, prompts: list[str], max_tokens: int = 6) -> dict[str, str]:
    """What the model says without any adapter, asked apart from every run."""
    base = load_base(Path(load_experiment(folder.config).model.path))
    ids = [opening_tokens(prompt, base.tokenizer) for prompt in prompts]
    found = greedy_answers(
        base.model, base.tokenizer, ids, max_tokens=max_tokens, batch_size=len(ids), control=JobControl()
    )
    return {prompts[answer.index]: answer.text for answer in found}


@pytest.fixture
def only_train(tmp_path: Path) -> str:
    """A folder of data without rows to validate on."""
    folder = tmp_path / "only-train"
    folder.mkdir()
    for seed, (name, count) in enumerate({"train": 26, "test": 4}.items()):
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in make_rows(count, seed)))
    return str(folder)


CASES: dict[str, dict[str, dict[str, Any]]] = {
    "fast, dropout": {"adapter": {"dropout": 0.2}},
    "stock, dropout": {"adapter": {"dropout": 0.2}, "train": {"mode": "stock"}},
    "dora": {"adapter": {"method": "dora", "dropout": 0.1}},
    "full": {"adapter": {"method": "full"}, "train": {"optimizer": "sgd", "learning_rate": 1e-2}},
    "frozen layers reused": {"adapter": {"layers": 1}, "train": {"reuse_frozen": True, "iters": 20}},
}


@pytest.mark.parametrize("name", twins(CASES, ("fast, dropout", "full")))
def test_training_does_not_notice_the_probes(name: str, new_run: Callable[..., RunFolder]) -> None:
    """Losses and weights are bit-equal with and without them, and the first answers are those of the base."""
    shelf = ModelShelf()
    plain, probed = new_run(**CASES[name], **QUICK), new_run(**CASES[name], **QUICK, **PROBES)
    for folder in (plain, probed):
        run_experiment(folder, JobControl(), shelf)
    same(plain, probed)
    assert samples(plain) == []
    said = answers(probed)
    assert {prompt: said[0, prompt] for prompt in PROMPTS} == of_base(probed, PROMPTS)
    looks = [event["step"] for event in events(probed, "validation")]
    assert sorted(samples(probed)) == sorted((step, prompt) for step in looks for prompt in PROMPTS)


@pytest.mark.parametrize(("mode", "steps"), [("fast", [0, 5, 10, 14]), ("stock", [0, 4, 9, 13, 14])])
def test_probes_need_no_rows_to_validate_on(
    mode: str, steps: list[int], new_run: Callable[..., RunFolder], only_train: str
) -> None:
    settings = {"data": {"source": only_train, "valid": 0, "test": 0}, "train": {"mode": mode}, **QUICK}
    plain, probed = new_run(**settings), new_run(**settings, **PROBES)
    shelf = ModelShelf()
    for folder in (plain, probed):
        run_experiment(folder, JobControl(), shelf)
    assert events(probed, "validation") == []
    assert sorted({step for step, _ in samples(probed)}) == steps
    assert len(samples(probed)) == 2 * len(steps)
    same(plain, probed)


@pytest.mark.parametrize("mode", twins(["fast", "stock"], ["fast"]))
@pytest.mark.parametrize("step", [0, 4])
def test_a_stop_between_two_answers_keeps_the_first_and_resumes_exactly(
    mode: str, step: int, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = {"mode": mode, "eval_every": 5 if mode == "stock" else 4, "save_every": 100}
    settings: dict[str, Any] = {"adapter": {"dropout": 0.1}, "train": every}
    settings |= {"evaluation": {"enabled": False, "max_tokens": 6, "batch_size": 1}} | PROBES
    whole, broken = new_run(**settings), new_run(**settings)
    run_experiment(whole, JobControl(), ModelShelf())
    stop_after(broken, "sample", step, monkeypatch)
    kept = samples(broken)
    assert kept[-1][0] == step
    assert [at for at, _ in kept].count(step) == 1
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)
    assert answers(broken) == answers(whole)
    assert sorted(samples(broken)) == sorted(samples(whole))  # none was asked twice


def test_a_stop_is_heard_within_one_token(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    from tui_tuner.engine import probes

    control, made = JobControl(), list[int]()

    class Counting(probes.Throttle):
        def __call__(self, done: int, text: str = "") -> None:
            if text:
                made.append(int(text.split()[2].replace(",", "")))
                if made[-1] >= 6:
                    control.stop("test")
            super().__call__(done, text)

    monkeypatch.setattr(probes, "Throttle", Counting)
    longest = of_base(new_run(), ["what is the red fox?"], 40)
    assert len(longest["what is the red fox?"]) > 20  # else nothing could be stopped
    folder = new_run(probes={"prompts": PROMPTS[:1], "max_tokens": 40}, **QUICK)
    assert run_experiment(folder, control, ModelShelf())["status"] == "stopped"
    assert made == [1, 2, 3, 4, 5, 6]
    assert samples(folder) == []


def test_a_killed_run_asks_again_only_what_was_not_answered(new_run: Callable[..., RunFolder]) -> None:
    """Killed while the second answer after step 5 is written, in a process of its own."""
    whole, killed = new_run(**PROBES, **QUICK), new_run(**PROBES, **QUICK)
    run_experiment(whole, JobControl(), ModelShelf())
    command = [sys.executable, "-m", "tests.support.doomed", str(killed.path), "half event sample", "4"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(samples(killed)) == 3
    run_experiment(killed, JobControl(), ModelShelf())
    same(whole, killed)
    assert answers(killed) == answers(whole)
    assert [pair for pair in samples(killed) if not pair[0]] == [pair for pair in samples(whole) if not pair[0]]


def test_the_cap_on_answers_is_a_key_of_its_own(new_run: Callable[..., RunFolder]) -> None:
    short = new_run(probes={"prompts": PROMPTS, "max_tokens": 2}, **QUICK)
    run_experiment(short, JobControl(), ModelShelf())
    assert {prompt: answers(short)[0, prompt] for prompt in PROMPTS} == of_base(short, PROMPTS, 2)
    assert of_base(short, PROMPTS, 2) != of_base(short, PROMPTS, 6)


NEW = "who sees the owl?"


@pytest.mark.parametrize("method", twins(["lora", "dora", "full"], ["dora"]))
def test_a_probe_that_is_added_is_answered_by_the_base_too(
    method: str, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked from another process, while the weights are no longer those of the base."""
    settings = {"adapter": {"method": method}, "train": {"learning_rate": 1e-2, "report_every": 1}, **QUICK, **PROBES}
    whole, asked = new_run(**settings), new_run(**settings)
    run_experiment(whole, JobControl(), ModelShelf())
    control = JobControl()

    def wait_for_it(kind: str, fields: dict[str, Any]) -> None:
        """Holds the run at step 6 until the watch has handed over what was asked."""
        if kind == "train" and fields["step"] == 6:
            ask(asked, "probe", NEW)
            ask(asked, "probe")
            with control._changed:
                assert control._changed.wait_for(lambda: len(control._requests) == 2, 20)

    run_watched(asked, control, wait_for_it, monkeypatch)
    same(whole, asked)
    said = answers(asked)
    assert said[0, NEW] == of_base(asked, [NEW])[NEW]
    assert said[6, NEW] != said[0, NEW]  # else a wrong model could have been asked without notice
    assert {step for step, prompt in said if prompt == NEW} == {0, 6, 10, 14}
    assert {step for step, prompt in said if prompt == PROMPTS[0]} == {0, 5, 6, 10, 14}
    told = [(e["value"], e["by"], e["step"]) for e in events(asked, "control")]
    assert told == [(NEW, "user", 6), (None, "user", 6)]
    assert len(samples(asked)) == len(set(samples(asked)))


def test_an_added_probe_is_taken_again_by_a_resumed_run(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after the last checkpoint (step 4), so it is in none; the run dies three times."""
    settings = {"train": {"save_every": 4, "eval_every": 100}, **QUICK}
    whole, broken = new_run(**settings), new_run(**settings)
    first = JobControl()
    run_watched(whole, first, at_step(6, lambda: first.request("probe", NEW)), monkeypatch)

    def die(kind: str, fields: dict[str, Any]) -> None:
        if kind == "train" and fields["step"] == 8:
            raise RuntimeError("as if killed")

    for attempt in range(3):
        control = JobControl()
        asking = at_step(6, lambda: control.request("probe", NEW))  # noqa: B023 - called within this turn

        def watch(kind: str, fields: dict[str, Any], asking: Any = asking if not attempt else None) -> None:
            if asking is not None:
                asking(kind, fields)
            die(kind, fields)

        with pytest.raises(TunerError):
            run_watched(broken, control, watch, monkeypatch)
        assert len([e for e in events(broken, "control") if e["what"] == "probe"]) == attempt + 1
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)
    said = answers(whole)
    assert set(said) == {(0, NEW), (6, NEW), (14, NEW)}
    # Known from the log, it is asked at once: the resumed run has an answer more, at no other price.
    assert {key: text for key, text in answers(broken).items() if key in said} == said


def test_a_probe_that_was_added_before_the_last_checkpoint_stays_one(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, control = new_run(**QUICK), JobControl()

    def watch(kind: str, fields: dict[str, Any]) -> None:
        if kind == "train" and fields["step"] == 6:
            control.request("probe", NEW)
        if kind == "checkpoint" and fields["step"] == 8:
            control.stop("test")

    run_watched(folder, control, watch, monkeypatch)
    assert {step for step, _ in samples(folder)} == {0, 6}
    run_experiment(folder, JobControl(), ModelShelf())
    assert {step for step, _ in samples(folder)} == {0, 6, 10, 14}


def test_a_run_that_starts_from_an_adapter_begins_with_what_that_says(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for a probe that is added later; when the weights are gone by then, only that answer is missing."""
    rate = {"train": {"learning_rate": 1e-2, "report_every": 1}}
    first = new_run(**QUICK, **rate, probes={"prompts": [*PROMPTS, NEW]})
    run_experiment(first, JobControl(), ModelShelf())
    ended = {prompt: text for (step, prompt), text in answers(first).items() if step == 14}
    start = {"start_from": str(first.adapters / "0000014_adapters.safetensors")}
    settings = {"adapter": start, **QUICK, **rate, **PROBES}
    plain, second, third = new_run(**settings), new_run(**settings), new_run(**settings)
    for folder in (plain, second, third):
        control = JobControl()

        def ask_for_more(folder: RunFolder = folder, control: JobControl = control) -> None:
            if folder is third:
                Path(start["start_from"]).unlink()
            if folder is not plain:
                control.request("probe", NEW)

        run_watched(folder, control, at_step(7, ask_for_more), monkeypatch)
        same(plain, folder)
    said = answers(second)
    assert {prompt: said[0, prompt] for prompt in [*PROMPTS, NEW]} == ended
    assert ended != of_base(first, list(ended))
    assert (0, NEW) not in answers(third) and (7, NEW) in answers(third)
    (warning,) = [e["text"] for e in events(third, "log") if "before training" in e["text"]]
    assert "no such adapter" in warning


def test_a_paused_run_answers(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, control = new_run(**PROBES, **QUICK), JobControl()

    def watch(kind: str, fields: dict[str, Any]) -> None:
        if kind == "train" and fields["step"] == 2:
            control.pause()
        if kind == "control" and fields["what"] == "pause":
            control.request("probe")
        if kind == "sample" and fields["step"] == 2 and fields["prompt"] == PROMPTS[1]:
            assert control.paused
            control.proceed()

    run_watched(folder, control, watch, monkeypatch)
    assert (2, PROMPTS[1]) in samples(folder)


def test_what_was_said_after_a_rollback_takes_the_place_of_what_was_said_before(
    new_run: Callable[..., RunFolder], only_train: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_losses(monkeypatch, {7, 8, 9})
    data = {"source": only_train, "valid": 0, "test": 0}  # so that no best checkpoint is saved at step 5
    folder = new_run(data=data, train={"max_skipped": 3, "report_every": 1}, **PROBES, **QUICK)
    run_experiment(folder, JobControl(), ModelShelf())
    (rollback,) = [e for e in events(folder, "control") if e["what"] == "rollback"]
    assert rollback["step"] == 4
    asked = samples(folder)
    assert {step for step, prompt in asked if asked.count((step, prompt)) > 1} == {5}
    assert answers(folder).keys() == set(asked)


@pytest.mark.parametrize(
    ("value", "words"),
    twins(
        [
            (7, "none"),
            ("  ", "none"),
            ("x" * 30_000, "characters"),
            ("the red fox " * 100, "max_seq_length"),
            (None, "no"),
        ],
        [(7, "none"), ("the red fox " * 100, "max_seq_length")],
    ),
)
def test_what_cannot_be_asked_does_a_run_no_harm(
    value: Any, words: str, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, asked = new_run(**QUICK), new_run(**QUICK)
    run_experiment(whole, JobControl(), ModelShelf())
    control = JobControl()
    run_watched(asked, control, at_step(6, lambda: control.request("probe", value)), monkeypatch)
    same(whole, asked)
    assert samples(asked) == [] and events(asked, "control") == []
    (warning,) = [e["text"] for e in events(asked, "log") if e["level"] == "warning" and "probe" in e["text"]]
    assert words in warning


def test_a_prompt_that_the_template_refuses_is_found_before_a_step_is_trained(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.engine import probes

    def refuse(text: str, tokenizer: Any) -> list[int]:
        raise TunerError("the model's chat template refuses this conversation", code="chat-template")

    folder = new_run(**PROBES, **QUICK)
    monkeypatch.setattr(probes, "opening_tokens", refuse)
    with pytest.raises(TunerError) as caught:
        run_experiment(folder, JobControl(), ModelShelf())
    assert "probes.prompts, item 1" in caught.value.sentence()
    assert [e["name"] for e in events(folder, "stage") if e["status"] == "failed"] == ["check"]


def test_a_model_without_a_chat_template_goes_on_from_the_text(
    tmp_path: Path, new_run: Callable[..., RunFolder]
) -> None:
    from tests.support.models import make_tokenizer

    make_tokenizer(tmp_path / "plain", "plain")
    (tmp_path / "plain" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    from mlx_lm.utils import load_tokenizer as theirs

    tokenizer = theirs(tmp_path / "plain")
    assert opening_tokens("the red fox", tokenizer) == list(tokenizer.encode("the red fox"))
    with pytest.raises(TunerError, match="no tokens"):
        opening_tokens("", tokenizer)
    experiment = load_experiment(new_run(**PROBES).config)
    folder = Path(experiment.model.path)
    ids = probe_tokens(experiment, load_tokenizer(folder))
    assert list(ids) == PROMPTS
    text = load_tokenizer(folder).decode(ids[PROMPTS[0]])
    assert PROMPTS[0] in text and text != PROMPTS[0]  # in the template's frame


def test_the_curve_is_that_of_a_run_that_was_never_asked(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking at every step, with sampling that draws nothing, leaves dropout's stream alone."""
    settings = {"adapter": {"dropout": 0.3}, "train": {"report_every": 1}, **QUICK}
    whole, asked = new_run(**settings), new_run(**settings, **PROBES)
    run_experiment(whole, JobControl(), ModelShelf())
    control = JobControl()

    def watch(kind: str, fields: dict[str, Any]) -> None:
        if kind == "train":
            control.request("probe")

    run_watched(asked, control, watch, monkeypatch)
    assert curve(asked) == curve(whole)
    assert {step for step, _ in samples(asked)} == set(range(14)) | {14}
