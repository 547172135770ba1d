"""What is refused, in the very sentence that a person reads: what is wrong, where, and what to do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.chat.conversation import Conversation, Exchange
from tui_tuner.chat.sampling import GREEDY, named_set
from tui_tuner.config import DataSection
from tui_tuner.config.overrides import parse_override
from tui_tuner.config.scales import no_scale
from tui_tuner.data.prepare import messages_of, prepare
from tui_tuner.engine.ranks import hosts
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics import metric_spec, score_rows
from tui_tuner.evaluation.outputs import read_lines
from tui_tuner.evaluation.score import verdict
from tui_tuner.evaluation.significance import paired
from tui_tuner.models.hub import cache
from tui_tuner.models.write import check_target
from tui_tuner.runs.labels import Labels
from tui_tuner.runs.probes import PROMPT_LIMIT, prompt_of
from tui_tuner.runs.queue import QUEUE_FOLDER, RunQueue

BARE_LIST = (
    "--set adapter.targets=[a b, c]: the list cannot be read; put it in single quotes for the shell, and each text in "
    'double quotes: \'key=["a", "b"]\'.'
)
SCALES = {"tiny": {}, "small": {}}


def raised(error: TunerError) -> None:
    raise error


def refused(act: Callable[[], object]) -> TunerError:
    with pytest.raises(TunerError) as caught:
        act()
    return caught.value


REFUSALS: list[tuple[str, Callable[[], object], str]] = [
        # Changes on the command line.
        (
            "bad-override",
            lambda: parse_override("train.iters"),
            "--set train.iters: a change needs the form key=value; write it like train.iters=50.",
        ),
        (
            "bad-override",
            lambda: parse_override("=5"),
            "--set =5: a change needs the form key=value; write it like train.iters=50.",
        ),
        (
            "bad-override",
            lambda: parse_override("train.iters= "),
            "--set train.iters= : train.iters has no value; give it a whole number, 1 or more.",
        ),
        ("bad-override", lambda: parse_override("adapter.targets=[a b, c]"), BARE_LIST),
        (
            "no-scale",
            lambda: raised(no_scale("tinny", SCALES, "mine.toml")),
            '--set scale=tinny: mine.toml has no scale "tinny"; did you mean "tiny"?',
        ),
        (
            "no-scale",
            lambda: raised(no_scale("xxl", SCALES, "")),
            '--set scale=xxl: it has no scale "xxl"; it has tiny, small; the factor of the adapter is adapter.scale.',
        ),
        (
            "no-scale",
            lambda: raised(no_scale("0.5", {}, "mine.toml")),
            "--set scale=0.5: mine.toml has no scales; leave it out; the factor of the adapter is adapter.scale.",
        ),
        # Settings of a chat.
        (
            "unknown-setting",
            lambda: GREEDY.changed("temprature", "1"),
            'there is no setting "temprature"; did you mean temperature?',
        ),
        (
            "unknown-setting",
            lambda: named_set("wild", GREEDY),
            'there is no set of settings "wild"; the sets are greedy, careful, balanced, lively.',
        ),
        # Figures that belong to different rows.
        (
            "length-mismatch",
            lambda: score_rows("exact_match", ["a"], ["a", "b"]),
            "there are 1 prediction and 2 references; give one prediction for each reference.",
        ),
        (
            "length-mismatch",
            lambda: paired([1.0, 0.0], [1.0], name="exact_match"),
            "exact_match has 2 rows before and 1 after; compare results over the same rows.",
        ),
        (
            "unknown-option",
            lambda: metric_spec("rouge1").with_options({"stem": True, "beta": 2}),
            'rouge1 has no option "beta"; leave it out.',
        ),
        (
            "unknown-option",
            lambda: score_rows("bleu", ["a b"], ["a b"], smooth_method="floor"),
            "bleu smooths by exp or none; choose one of them.",
        ),
        (
            "no-metric",
            lambda: verdict({}, {}),
            "the two results have no metric in common that can be judged; score both with the same metrics.",
        ),
        # Probes, notes, questions.
        ("bad-probe", lambda: prompt_of(" \n"), "a probe is a text, and this is none; write the prompt that shall be "
         "answered."),
        ("bad-probe", lambda: prompt_of(7), "a probe is a text, and this is none; write the prompt that shall be "
         "answered."),
        (
            "bad-probe",
            lambda: prompt_of("x" * (PROMPT_LIMIT + 1)),
            f"the probe has {PROMPT_LIMIT + 1:,} characters; keep it to {PROMPT_LIMIT:,} or fewer.",
        ),
        ("bad-probe", lambda: prompt_of("\ud800"), "the probe holds what is no UTF-8 text; write it as UTF-8."),
        (
            "bad-note",
            lambda: Labels().noted("x" * 2_001),
            "the note has 2,001 characters, and a run keeps 2,000; shorten it, or keep it in a file of your own in the "
            "run's folder.",
        ),
        (
            "no-answer",
            lambda: messages_of({"text": "a"}),
            "a text row has no prompt and no answer, so it can't be asked as a question; use prompt/completion or "
            "messages rows to benchmark answers.",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(("code", "act", "sentence"), REFUSALS, ids=[code for code, _, _ in REFUSALS])
def test_a_refusal_is_one_sentence(code: str, act: Callable[[], object], sentence: str) -> None:
    error = refused(act)
    assert (error.code, error.sentence()) == (code, sentence)


def test_what_is_at_its_limit_is_taken() -> None:
    assert prompt_of("x" * PROMPT_LIMIT) == "x" * PROMPT_LIMIT
    assert Labels().noted(" " + "x" * 2_000 + "\n").note == "x" * 2_000


def test_an_exchange_needs_a_number_of_its_own_and_a_parent() -> None:
    talk = Conversation()
    talk.add(Exchange(1, 0, "Hi", []))
    for exchange, sentence in (
        (Exchange(1, 0, "Again", []), "there is an exchange 1 already."),
        (Exchange(0, 0, "None", []), "there is an exchange 0 already."),
        (Exchange(2, 7, "Lost", []), "there is no exchange 7 to follow."),
    ):
        error = refused(lambda exchange=exchange: talk.add(exchange))
        assert (error.code, error.sentence()) == ("transcript-damaged", sentence)
    assert (list(talk.exchanges), talk.at) == ([1], 1)  # nothing of what was refused is kept


def test_files_of_lines_must_be_as_long_as_each_other(tmp_path: Path) -> None:
    said, right = tmp_path / "said.txt", tmp_path / "right.txt"
    said.write_text("a\nb\n")
    right.write_text("a\n")
    error = refused(lambda: read_lines(said, [right]))
    assert error.code == "length-mismatch"
    assert error.sentence() == f"{right}: has 1 line, and {said} has 2; give one reference for each prediction."


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"valid_share": 0.1}, "data.valid_share and data.test_share"),
        ({"test_share": 0.1}, "data.valid_share and data.test_share"),
        ({"split": "grouped", "group": ["n"]}, "data.split"),
    ],
)
def test_nothing_is_held_back_from_a_source_with_splits(tmp_path: Path, keys: dict[str, Any], where: str) -> None:
    for name in ("train", "valid"):
        rows = [{"prompt": f"{name} {n}", "completion": "c", "n": n} for n in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    error = refused(lambda: prepare(DataSection(source=str(tmp_path), **keys), 1, tmp_path))
    assert (error.code, error.sentence()) == (
        "own-splits",
        f"{where}: the source brings its own splits, so nothing can be held back from it; name its train file as "
        "data.source, or take these keys out.",
    )


def test_a_model_is_never_written_over_itself(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (tmp_path / "link").symlink_to(model)
    for target in (model, tmp_path / "link"):
        error = refused(lambda target=target: check_target(target, force=True, source=model))
        assert (error.code, error.message, error.usage) == ("target-is-source", "the target is the model itself", True)
    assert check_target(tmp_path / "new", source=model) == tmp_path / "new"


def test_what_is_no_model_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-ann.txt").write_text("Dear Ann")
    (tmp_path / "file").write_text("x")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for name in ("letters", "file", "nowhere"):
        error = refused(lambda name=name: check_target(tmp_path / name))
        assert error.sentence().endswith("there is something already; name another folder, or add --force.")
        error = refused(lambda name=name: check_target(tmp_path / name, force=True))
        assert error.sentence().endswith("what is there is no model folder, and is not replaced; name another folder.")
    assert (tmp_path / "letters" / "to-ann.txt").read_text() == "Dear Ann"
    (tmp_path / "empty").mkdir()
    assert check_target(tmp_path / "empty", force=True) == tmp_path / "empty"


def test_a_run_that_is_not_queued_cannot_be_moved(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    for act in (lambda: queue.move("lost", 1), lambda: queue.remove("lost")):
        assert refused(act).sentence() == "lost: is not in the queue; list it with `tui-tuner queue list`."
    assert queue.read().entries == ()


def test_a_cached_model_that_may_not_be_deleted_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path))
    place = cache.storage("org/model")
    (place / "blobs").mkdir(parents=True)
    (place / "blobs" / "a").write_bytes(b"12345")
    (place / "blobs" / "b").symlink_to(place / "blobs" / "a")

    def rmtree(path: Path) -> None:
        raise PermissionError(13, os.strerror(13))

    with monkeypatch.context() as patch:
        patch.setattr("tui_tuner.models.hub.cache.shutil.rmtree", rmtree)
        error = refused(lambda: cache.delete_cached("org/model"))
    assert (error.code, error.sentence()) == (
        "not-deletable",
        f"{place}: the model could not be deleted from the hub's cache (Permission denied); look whether its folder "
        "may be written.",
    )
    assert cache.delete_cached("org/model") == 5  # what a link leads to is counted once
    assert refused(lambda: cache.delete_cached("org/model")).code == "model-not-found"


def test_a_machine_without_free_ports_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_is_free", lambda port: False)
    plan = hosts.plan_ranks(2, None)
    assert plan is not None and plan.here
    error = refused(plan.launcher_options)
    assert (error.code, error.message) == ("ranks-not-connected", "no ports are free for the ranks to talk over")


@pytest.mark.parametrize("status", [0, 3])
def test_a_background_process_that_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """It may have been done already; else the log says why."""
    from tui_tuner.engine import handover
    from tui_tuner.runs.folder import RunFolder

    monkeypatch.setattr(sys, "executable", "/bin/false" if status else "/bin/true")
    (tmp_path / "run").mkdir()
    folder = RunFolder(tmp_path / "run")
    if not status:
        assert handover.continue_in_background(folder) > 0
        return
    error = refused(lambda: handover.continue_in_background(folder))
    assert (error.code, error.sentence()) == (
        "handover-failed",
        f"{folder.log}: the background process ended before it took the run over; look there, then `tui-tuner resume` "
        "the run.",
    )
    error = refused(lambda: handover.continue_in_background(folder, timeout=0.0))
    assert error.message == "the background process did not take the run over within 0 s"
    (tmp_path / QUEUE_FOLDER).mkdir()
    error = refused(lambda: handover.work_off_in_background(tmp_path))
    assert error.message == "the background process did not take the queue over"
