"""From what a person names to what a job works on: models, runs, checkpoints, rows to prove on, rows to learn from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.models import make_rows
from tui_tuner.config import Experiment
from tui_tuner.data.chatforms import RECORDED
from tui_tuner.data.draft import draft
from tui_tuner.data.prepare import Prepared, write_prepared
from tui_tuner.engine.calibration import calibration_of
from tui_tuner.engine.evaluate_stage import TestRows as Answered
from tui_tuner.engine.evaluate_stage import test_rows as rows_to_answer
from tui_tuner.engine.fetching import logged, watch_of
from tui_tuner.engine.pick import _best
from tui_tuner.engine.proofrows import drafted, passages, rows_of_draft, rows_of_run, rows_of_source
from tui_tuner.engine.subject import adapted_target, target_of
from tui_tuner.engine.train_stage import requests_to_replay, settled
from tui_tuner.engine.voices import checkpoint_of, checkpoints_of, run_of, voice_of, voices_there
from tui_tuner.engine.work import Work
from tui_tuner.errors import TunerError
from tui_tuner.models.load import load_tokenizer
from tui_tuner.runs import RunFolder


@pytest.fixture
def trained(new_run: Callable[..., RunFolder]) -> RunFolder:
    """A run with files where weights would be."""
    run = new_run()
    for file in ("adapters", "best_adapters", "0000004_adapters", "0000012_adapters"):
        (run.adapters / f"{file}.safetensors").touch()
    return run


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


# -- who is meant ------------------------------------------------------------------------------------------------------
def test_a_run_brings_model_configuration_and_adapter(trained: RunFolder, tiny_model: Path) -> None:
    target = target_of(trained.name, None, trained.path.parent)
    assert (target.model, target.run, target.adapter) == (str(tiny_model), trained, trained.adapters)
    assert target.experiment is not None
    assert not target.untrained
    base = target_of(f"{trained.name}:base", None, trained.path.parent)
    assert (base.adapter, base.untrained) == (None, True)
    four = target_of(f"{trained.name}:4", None, trained.path.parent)
    assert four.adapter == trained.adapters / "0000004_adapters.safetensors"


def test_a_model_takes_the_adapter_that_is_given_with_it(tiny_model: Path, trained: RunFolder) -> None:
    target = target_of(str(tiny_model), trained.adapters, trained.path.parent)
    assert (target.model, target.run, target.adapter) == (str(tiny_model), None, trained.adapters)
    assert adapted_target(str(tiny_model), trained.adapters, trained.path.parent, "merge")[1] == trained.adapters


def test_a_run_and_an_adapter_beside_it_are_one_too_many(trained: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(TunerError, match="a run brings its own adapter") as caught:
        target_of(trained.name, tmp_path, trained.path.parent)
    assert caught.value.usage
    assert "--adapter" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "code"), [("embedded:quickstart", "usage"), ("owner/name", "usage"), ("tinny", "run-not-found")]
)
def test_what_has_no_adapter_is_said_and_a_run_s_name_that_is_none_is_told_as_one(
    text: str, code: str, trained: RunFolder
) -> None:
    with pytest.raises(TunerError) as caught:
        adapted_target(text, None, trained.path.parent, "merge")
    assert caught.value.code == code
    if code == "usage":
        assert caught.value.message == "there is no adapter to merge"


def test_checkpoints_stand_in_the_order_of_their_steps(trained: RunFolder) -> None:
    (trained.adapters / "0000100_adapters.safetensors").touch()
    (trained.adapters / "former-1_adapters.safetensors").touch()
    (trained.adapters / "0000012-copy_adapters.safetensors").touch()
    assert list(checkpoints_of(trained)) == [4, 12, 100]
    assert checkpoint_of(trained, "last").name == "0000100_adapters.safetensors"
    assert checkpoint_of(trained, "best").name == "best_adapters.safetensors"
    (trained.adapters / "best_adapters.safetensors").unlink()
    for which in ("best", "7", "-4", "4.0", ""):
        with pytest.raises(TunerError) as caught:
            checkpoint_of(trained, which)
        assert caught.value.code == "no-checkpoint"
        assert caught.value.fix == "its checkpoints are 4, 12, 100, best and last"


def test_a_run_without_checkpoints_names_none(new_run: Callable[..., RunFolder]) -> None:
    with pytest.raises(TunerError) as caught:
        checkpoint_of(new_run(), "last")
    assert caught.value.fix == "its checkpoints are none"


def test_a_text_is_a_run_before_it_is_a_model(trained: RunFolder, tiny_model: Path) -> None:
    runs = trained.path.parent
    assert run_of(trained.name, runs) == (trained, "")
    assert run_of(f"{trained.name}:best", runs) == (trained, "best")
    assert run_of(str(tiny_model), runs) == (None, "")
    assert run_of("embedded:quickstart", runs) == (None, "")
    assert run_of("owner/name", runs) == (None, "")


def test_an_adapter_that_names_its_model_is_a_voice_and_one_that_does_not_is_told_so(
    tmp_path: Path, tiny_model: Path
) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    config = folder / "adapter_config.json"
    for content in ("", "{", "[]", '{"model": 3}', "{}"):
        config.write_text(content)
        with pytest.raises(TunerError) as caught:
            voice_of(str(folder), tmp_path / "runs")
        assert (caught.value.code, caught.value.where) == ("no-model", str(folder))
    config.write_text(json.dumps({"model": str(tiny_model)}))
    voice = voice_of(str(folder), tmp_path / "runs")
    assert (voice.model, voice.adapter) == (str(tiny_model), folder)
    here = voice_of(str(tiny_model), tmp_path / "runs")
    config.write_text("{}")
    assert voice_of(str(folder), tmp_path / "runs", here).model == str(tiny_model)


def test_runs_that_cannot_be_read_are_no_voices(trained: RunFolder, new_run: Callable[..., RunFolder]) -> None:
    broken = new_run(run={"name": "broken"})
    (broken.adapters / "adapters.safetensors").touch()
    for content in ("not toml [", "model = 3", ""):
        broken.config.write_text(content)
        assert [voice.label for voice in voices_there(trained.path.parent)] == [trained.name]
        assert voices_there(trained.path.parent, broken)[0].label == trained.name
    (trained.adapters / RECORDED).write_text("{{ messages }}")
    assert voices_there(trained.path.parent)[0].template == str(trained.adapters / RECORDED)


# -- rows to prove on --------------------------------------------------------------------------------------------------
def experiment(source: str, **data: Any) -> Experiment:
    return Experiment.model_validate({"model": {"path": "m"}, "data": {"source": source, **data}})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_rows(60)))
    return path


def test_a_source_is_measured_on_rows_it_holds_out(source: Path, tokenizer: Any) -> None:
    found = rows_of_source(str(source), "some/model", tokenizer, 3)
    assert len(found.rows) == len(found.examples) == 3
    assert found.source == f"3 rows of {source}"
    assert all(0 < example.offset < len(example.tokens) for example in found.examples)  # answers count, prompts do not
    assert len(found.prompts(tokenizer, 2)) == 2


def test_without_a_source_passages_serve_and_have_no_prompts(tokenizer: Any) -> None:
    assert drafted("", "some/model") == (None, "")
    found = rows_of_source("", "some/model", tokenizer, 2)
    assert found.source == "2 passages of plain text that come with the program"
    assert found.prompts(tokenizer, 5) == []
    assert passages(tokenizer, 10_000).examples[0].offset == 0


def test_the_embedded_model_is_measured_on_its_own_data() -> None:
    made, named = drafted("", "embedded:quickstart")
    assert made is not None
    assert named.startswith("embedded:")


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"test": 2, "valid": 2, "train": 2}, "2 held-out rows (test) of"),
        ({"valid": 2, "train": 2}, "2 held-out rows (valid) of"),
        ({"train": 3}, "3 rows it was trained on of"),
    ],
)
def test_a_run_is_measured_on_what_it_has_not_seen_where_there_is_any(
    parts: dict[str, int], says: str, new_run: Callable[..., RunFolder], tokenizer: Any
) -> None:
    run, rows = new_run(), make_rows(8)
    lists = {name: rows[: parts.get(name, 0)] for name in ("train", "valid", "test")}
    write_prepared(Prepared(**lists, notes=[]), run.data)
    found = rows_of_run(run, tokenizer, 5)
    assert found.source == f"{says} {run.name}"


def test_a_run_that_was_never_prepared_names_the_file_that_is_missing(
    new_run: Callable[..., RunFolder], tokenizer: Any
) -> None:
    run = new_run()
    with pytest.raises(TunerError) as caught:
        rows_of_run(run, tokenizer, 5)
    assert (caught.value.code, caught.value.where) == ("not-found", str(run.data / "train.jsonl"))


# -- rows to learn from ------------------------------------------------------------------------------------------------
def test_rows_to_learn_from_are_training_rows_and_none_that_is_measured(source: Path, tokenizer: Any) -> None:
    made = draft(experiment(str(source), valid=4, test=4).data, 0)
    measured = rows_of_draft(made, "it", tokenizer, 4).rows
    found = calibration_of(made, "it", tokenizer, 5, measured, seed=0)
    assert len(found.rows) == 5
    assert found.source == "5 train rows of it, none of which it is measured on"
    assert found == calibration_of(made, "it", tokenizer, 5, measured, seed=0)
    assert found.rows != calibration_of(made, "it", tokenizer, 5, measured, seed=1).rows


def test_copies_of_measured_rows_are_not_learned_from(tmp_path: Path, tokenizer: Any) -> None:
    row = make_rows(1)[0]
    path = tmp_path / "same.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for _ in range(12)))
    made = draft(experiment(str(path), valid=2, test=2).data, 0)
    with pytest.raises(TunerError) as caught:
        calibration_of(made, "it", tokenizer, 3, [row], seed=0)
    assert (caught.value.code, caught.value.where) == ("no-calibration", "it")
    assert calibration_of(made, "it", tokenizer, 3, [], seed=0).source == "3 train rows of it"


def test_a_method_that_learns_needs_rows_of_the_person_s_own(tokenizer: Any) -> None:
    with pytest.raises(TunerError) as caught:
        calibration_of(None, "", tokenizer, 3, [], seed=0)
    assert (caught.value.code, caught.value.usage) == ("no-calibration", True)


# -- rows to answer ----------------------------------------------------------------------------------------------------
def test_what_is_answered_is_what_the_configuration_says() -> None:
    said: list[str] = []

    def emit(type: str, **fields: Any) -> None:
        said.append(fields["text"])

    rows = make_rows(6)
    prepared = Prepared([], [], rows[:4], unseen=rows[4:], notes=[])
    plain = {"data": {"source": "d"}, "model": {"path": "m"}}
    every = rows_to_answer(Experiment.model_validate(plain), prepared, emit)
    assert (len(every), every.splits, every.judged) == (4, [], 4)
    few = rows_to_answer(Experiment.model_validate({**plain, "evaluation": {"rows": 2}}), prepared, emit)
    assert few.rows == rows[:2]
    off = Experiment.model_validate({**plain, "evaluation": {"enabled": False}})
    assert rows_to_answer(off, prepared, emit) == Answered()
    assert said == []
    texts = Prepared([], [], [{"text": "a"}], notes=[])
    assert not rows_to_answer(Experiment.model_validate(plain), texts, emit)
    assert said == ["rows with only `text` have no prompt to answer: not benchmarked"]


# -- the best checkpoint -----------------------------------------------------------------------------------------------
points = st.lists(st.tuples(st.none() | st.integers(0, 3), st.none() | st.integers(0, 3)), min_size=0, max_size=8).map(
    lambda pairs: [
        {"step": step, "value": value, "validation_loss": loss} for step, (value, loss) in enumerate(pairs, 1)
    ]
)


@given(points, st.booleans())
def test_the_best_checkpoint_is_that_with_the_best_figure_then_loss_then_step(
    given_: list[dict[str, Any]], higher: bool
) -> None:
    step = _best(given_, higher)
    measured = [point for point in given_ if point["value"] is not None]
    if not measured:
        assert step is None
        return
    chosen = next(point for point in given_ if point["step"] == step)
    best = (max if higher else min)(point["value"] for point in measured)
    alike = [point for point in measured if point["value"] == best]
    assert chosen in alike
    known = [point["validation_loss"] for point in alike if point["validation_loss"] is not None]
    if known:
        assert chosen["validation_loss"] == min(known)
    rivals = [p for p in alike if p["validation_loss"] == chosen["validation_loss"]]
    assert step == min(point["step"] for point in rivals)


# -- what is taken again -----------------------------------------------------------------------------------------------
def wish(step: Any, what: str, value: Any = None, by: str = "user") -> dict[str, Any]:
    return {"type": "control", "what": what, "step": step, "value": value, "by": by}


def saved(step: int) -> dict[str, Any]:
    return {"type": "checkpoint", "step": step}


def test_only_what_came_after_the_checkpoint_is_taken_again() -> None:
    events = [
        wish(2, "evaluate"),
        wish(4, "learning_rate", 1.0),
        saved(4),
        wish(4, "finish_epoch"),
        wish(6, "evaluate"),
    ]
    assert requests_to_replay(events, 4) == [(4, "finish_epoch", None), (6, "evaluate", None)]
    assert requests_to_replay(events, 0) == [
        (4, "learning_rate", 1.0),
        (4, "finish_epoch", None),
        (2, "evaluate", None),
        (6, "evaluate", None),
    ]  # of one step a validation comes last: a stop may end it
    assert requests_to_replay([], 3) == []


def test_wishes_that_train_nothing_else_and_steps_that_are_none_are_passed_over() -> None:
    events = [wish(5, "pause"), wish(5, "checkpoint"), wish(None, "evaluate"), wish("5", "evaluate"), saved(2)]
    assert requests_to_replay(events, 0) == []


def test_a_wish_that_was_taken_again_in_the_next_session_is_one_wish() -> None:
    events = [wish(6, "evaluate"), wish(6, "evaluate", by="replay"), wish(6, "evaluate", by="replay")]
    assert requests_to_replay(events, 4) == [(6, "evaluate", None)]


@pytest.mark.parametrize(
    ("train", "steps"),
    [
        ({"epochs": 0, "iters": 7}, 7),
        ({"epochs": 2}, 10),
        ({"epochs": 0.5}, 3),
        ({"epochs": 0.1, "grad_accumulation": 4}, 4),
    ],
)
def test_epochs_become_steps_rounded_up_and_one_update_at_least(train: dict[str, Any], steps: int) -> None:
    section = Experiment.model_validate({"model": {"path": "m"}, "data": {"source": "d"}, "train": train}).train
    made = settled(section, SimpleNamespace(batches_per_epoch=5))  # type: ignore[arg-type]
    assert (made.iters, made.epochs) == (steps, 0.0)
    assert settled(made, SimpleNamespace(batches_per_epoch=99)) == made  # type: ignore[arg-type]


# -- downloads in a run's log ------------------------------------------------------------------------------------------
def plan(missing: int) -> Any:
    return SimpleNamespace(missing=missing, sentence=lambda: "owner/name is fetched")


def test_a_download_is_told_in_tenths_and_anew_for_the_next_model() -> None:
    said: list[str] = []
    watch = logged(lambda type, **fields: said.append(fields["text"]), lambda: None)
    for _ in range(2):
        watch.begin(plan(3))
        for done in range(0, 101, 5):
            watch.tell(done, 100)
        watch.tell(100, 100)
    tenths = [f"{10 * tenth} % of the model is downloaded" for tenth in range(1, 11)]
    assert said == ["owner/name is fetched", *tenths] * 2


def test_what_is_there_already_is_not_told() -> None:
    said: list[str] = []
    watch = logged(lambda type, **fields: said.append(fields["text"]), lambda: None)
    watch.begin(plan(0))
    watch.tell(0, 0)
    assert said == []


def test_a_job_that_fetches_tells_bytes_and_hears_a_stop() -> None:
    work, checked = Work(), list[int]()
    watch = watch_of(work, lambda: checked.append(1))
    watch.begin(plan(0))
    watch.begin(plan(2))
    watch.tell(5, 10)
    watch.check()
    assert work.notes == ["owner/name is fetched"]
    assert (work.what, work.done, work.total, work.bytes) == ("downloaded", 5, 10, True)
    assert checked == [1]
