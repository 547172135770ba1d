"""What is known of a data set before a step is trained, from the command and from the start of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import Experiment
from tui_tuner.data.inspect import preview_data
from tui_tuner.data.scan import scan
from tui_tuner.engine.dataset import data_facts
from tui_tuner.engine.preflight import preflight
from tui_tuner.errors import TunerError
from tui_tuner.models.load import load_tokenizer
from tui_tuner.paths import resolve_model

pytestmark = pytest.mark.mlx

MODEL = "embedded:phi3-tiny"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(Path(resolve_model(MODEL, None)))


def experiment(source: Path, **data: Any) -> Experiment:
    return Experiment.model_validate(
        {"model": {"path": MODEL}, "data": {"source": str(source), **data}, "train": {"max_seq_length": 256}}
    )


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"Say the word {n} times.", "completion": " ".join(["word"] * (1 + n % 7))} for n in range(count)
    ]


def test_every_row_is_measured_with_the_tokens_of_training(tmp_path: Path, tokenizer: Any) -> None:
    from tui_tuner.data.examples import tokenise
    from tui_tuner.data.prepare import prepare

    made = experiment(jsonl(tmp_path / "rows.jsonl", rows(60)))
    report = scan(made, tokenizer)
    prepared = prepare(made.data, made.run.seed)
    examples = [tokenise(row, tokenizer, mask_prompt=True) for row in prepared.train + prepared.valid + prepared.test]
    assert report.lengths.tolist() == [len(example.tokens) for example in examples]
    assert report.offsets.tolist() == [example.offset for example in examples]
    assert report.counts == {"train": 48, "valid": 6, "test": 6}
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(lines[line - 1]) for line in report.lines[:48]] == prepared.train


def test_figures_of_the_lengths_are_those_of_the_rows(tmp_path: Path) -> None:
    found = data_facts(experiment(jsonl(tmp_path / "rows.jsonl", rows(60))))
    lengths = found.report.lengths
    assert found.tokens["total"] == int(lengths.sum())
    assert (found.tokens["min"], found.tokens["max"]) == (int(lengths.min()), int(lengths.max()))
    assert sum(found.tokens["histogram"]["counts"]) == 60
    assert found.tokens["steps_per_epoch"] == 12
    assert 0 <= found.tokens["padding"]["fast"] <= found.tokens["padding"]["stock"] < 1
    kept = lengths - found.report.offsets
    assert found.tokens["trainable"] == int(kept[:48].sum())


def test_progress_is_told_and_the_pass_can_be_ended(tmp_path: Path, tokenizer: Any) -> None:
    made = experiment(jsonl(tmp_path / "rows.jsonl", rows(1_300)))
    told: list[tuple[int, int]] = []
    scan(made, tokenizer, tell=lambda done, total: told.append((done, total)))
    assert told[-1] == (1_300, 1_300) and len(told) == 3

    class Ended(Exception):
        pass

    def end() -> None:
        raise Ended

    with pytest.raises(Ended):
        scan(made, tokenizer, check=end)


def test_text_rows_are_measured_though_masking_is_asked_for(tmp_path: Path) -> None:
    found = data_facts(experiment(jsonl(tmp_path / "t.jsonl", [{"text": f"Some text {n}."} for n in range(30)])))
    (error,) = found.report.errors
    assert (error.code, error.change) == ("mask-text", (("data.mask_prompt", False),))
    assert found.tokens["rows"] == 30


def test_records_that_no_row_can_be_made_of_are_still_described(tmp_path: Path) -> None:
    facts = [{"name": f"n{n}", "yards": n, "team": "A", "won": True} for n in range(9)]
    found = data_facts(experiment(jsonl(tmp_path / "f.jsonl", facts))).as_json()
    assert (found["rows"], found["format"], found["tokens"]) == (9, "table", {})
    assert found["problems"][0]["code"] == "unknown-shape"
    assert found["columns"] == ["name", "yards", "team", "won"]


def test_too_few_rows_to_divide_are_looked_at_all_the_same(tmp_path: Path) -> None:
    found = data_facts(experiment(jsonl(tmp_path / "two.jsonl", rows(2))))
    assert {problem.code for problem in found.report.errors} == {"too-few-rows"}
    assert found.tokens["rows"] == 2


def test_a_preflight_names_what_would_fail(tmp_path: Path) -> None:
    good = experiment(jsonl(tmp_path / "rows.jsonl", rows(60)))
    fine = preflight(good)
    assert fine.ok and fine.forecast is not None and fine.forecast.disk.total > 0
    forecast = fine.as_json()["forecast"]
    assert forecast["disk"] == fine.forecast.disk.total
    assert fine.data is not None
    tokens = fine.data.tokens
    assert (forecast["steps"], forecast["epochs"]) == (100, 100 / tokens["steps_per_epoch"])
    assert forecast["tokens"] == round(forecast["epochs"] * tokens["trainable"])
    assert (forecast["padding"], forecast["truncated"]) == (tokens["padding"]["fast"], 0)
    twice = good.model_copy(update={"train": good.train.model_copy(update={"epochs": 2.0})})
    assert preflight(twice).training["steps"] == 2 * tokens["steps_per_epoch"]
    wrong = good.model_copy(update={"adapter": good.adapter.model_copy(update={"targets": ["nope"]})})
    found = preflight(wrong)
    assert not found.ok and found.problems[0].code == "target-not-found"
    lost = good.model_copy(update={"model": good.model.model_copy(update={"path": str(tmp_path / "no-model")})})
    (problem,) = (one for one in preflight(lost).problems if one.severity == "error")
    assert "no-model" in problem.message


def test_a_run_is_ended_by_what_blocks_training(tmp_path: Path) -> None:
    from tui_tuner.data.draft import draft
    from tui_tuner.engine.data_stage import lint_or_refuse

    for name, some in (("train", rows(40)), ("test", rows(20))):
        jsonl(tmp_path / f"{name}.jsonl", some)
    made = experiment(tmp_path)
    told: list[tuple[str, dict[str, Any]]] = []
    emit: Callable[..., Any] = lambda type, **fields: told.append((type, fields))  # noqa: E731
    loaded = load_tokenizer(Path(resolve_model(MODEL, None)))
    with pytest.raises(TunerError, match=r'allow it: data\.allow = \["leakage"\]'):
        lint_or_refuse(draft(made.data, 42), made, loaded, emit, lambda: None)
    allowed = experiment(tmp_path, allow=["leakage"])
    lint_or_refuse(draft(allowed.data, 42), allowed, loaded, emit, lambda: None)
    texts = [fields["text"] for kind, fields in told if kind == "log"]
    assert any("data (leakage)" in text and "allowed by data.allow" in text for text in texts)
    assert any(kind == "progress" and fields["done"] == fields["total"] for kind, fields in told)


def test_statistics_are_those_that_numpy_gives(tmp_path: Path) -> None:
    import numpy as np

    source = [{"prompt": f"Is {n} even?", "completion": "yes" if n % 3 else "no, it is not"} for n in range(90)]
    found = data_facts(experiment(jsonl(tmp_path / "rows.jsonl", source)))
    report, tokens = found.report, found.tokens
    for name, value in tokens["percentiles"].items():
        assert value == pytest.approx(float(np.percentile(report.lengths, int(name))))
    assert list(tokens["percentiles"]) == ["50", "75", "90", "95", "99", "100"]
    counts, edges = np.histogram(report.lengths, tokens["histogram"]["edges"])
    assert tokens["histogram"]["counts"] == counts.tolist() and len(counts) == 24
    assert edges[0] == 0 and edges[-1] >= report.lengths.max()
    kept = np.minimum(report.lengths, 256)
    assert tokens["prompt_share"] == pytest.approx(float(report.offsets.sum() / kept.sum()))
    answers = [source[line - 1]["completion"] for line in report.lines[report.of("train")]]
    assert tokens["labels"] == {
        "distinct": 2,
        "short": True,
        "top": [["yes", answers.count("yes")], ["no, it is not", answers.count("no, it is not")]],
    }


@pytest.mark.parametrize(("words", "short"), [([4, 6], True), ([5, 6], False), ([1, 1, 9], True), ([2, 9, 9], False)])
def test_answers_are_short_when_their_median_is(tmp_path: Path, words: list[int], short: bool) -> None:
    for name in ("train", "valid"):
        made = [{"prompt": f"{name} {n}", "completion": " ".join(["w"] * count)} for n, count in enumerate(words)]
        jsonl(tmp_path / f"{name}.jsonl", made)
    labels = data_facts(experiment(tmp_path)).tokens["labels"]
    assert (labels["short"], labels["distinct"]) == (short, len(set(words)))


def test_bare_texts_have_no_answers_to_count(tmp_path: Path) -> None:
    found = data_facts(experiment(jsonl(tmp_path / "t.jsonl", [{"text": f"Text {n}."} for n in range(30)])))
    assert found.tokens["labels"] == {}


# -- the engine's desk ------------------------------------------------------------------------------------------------


@pytest.fixture
def clerk() -> Any:
    from tui_tuner.engine.desk import DataClerk, DataDesk

    return DataClerk(DataDesk())


def test_a_window_deep_in_a_file_shows_the_tokens_of_training(tmp_path: Path, tokenizer: Any, clerk: Any) -> None:
    from tui_tuner.data.examples import tokenise
    from tui_tuner.data.prepare import prepare
    from tui_tuner.engine.requests import PreviewData

    made = experiment(jsonl(tmp_path / "rows.jsonl", rows(3000)))
    whole = clerk.answer(PreviewData(made, limit=5), lambda: None)
    assert (whole.complete, whole.counts) == (True, {"train": 2400, "valid": 300, "test": 300})
    wanted = (("valid", 299), ("train", 2399), ("train", 1000), ("train", 2400), ("nowhere", 0))
    window = clerk.answer(PreviewData(made, only=wanted), lambda: None)
    assert [(row.split, row.index) for row in window.rows] == list(wanted[:3])
    prepared = prepare(made.data, made.run.seed)
    for row, expected in zip(
        window.rows, (prepared.valid[299], prepared.train[2399], prepared.train[1000]), strict=True
    ):
        example = tokenise(expected, tokenizer, mask_prompt=True)
        assert row.row == expected and [token for token, _ in row.tokens] == example.tokens
        assert row.offset == example.offset


def test_what_was_read_serves_every_question(tmp_path: Path, clerk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_tuner.data import desk as module
    from tui_tuner.data.draft import draft
    from tui_tuner.engine.requests import FindRows, PreviewData, ScanData

    made: list[int] = []
    monkeypatch.setattr(module, "draft", lambda *arguments: made.append(1) or draft(*arguments))
    path = jsonl(tmp_path / "rows.jsonl", rows(60))
    asked = experiment(path)
    clerk.answer(PreviewData(asked), lambda: None)
    clerk.answer(PreviewData(asked, only=(("train", 3),)), lambda: None)
    assert clerk.answer(FindRows(asked, text="word 31 TIMES"), lambda: None)
    facts = clerk.answer(ScanData(asked), lambda: None)
    assert made == [1] and facts.report.records == 60
    jsonl(path, rows(61))
    assert clerk.answer(ScanData(asked), lambda: None).report.records == 61
    assert made == [1, 1]


def test_the_first_preview_waits_for_no_tokenizer_and_uses_one_that_is_there(tmp_path: Path, clerk: Any) -> None:
    from tui_tuner.engine.requests import PreviewData

    made = experiment(jsonl(tmp_path / "rows.jsonl", rows(60)))
    first = clerk.answer(PreviewData(made, first=True), lambda: None)
    assert not first.complete and len(first.rows) == 60 and not first.rows[0].tokens
    clerk.answer(PreviewData(made), lambda: None)
    again = clerk.answer(PreviewData(made, first=True), lambda: None)
    assert not again.complete and again.rows[0].tokens and again.rows[0].split == ""


def test_the_tokenizer_says_which_tokens_are_special(tmp_path: Path, tokenizer: Any) -> None:
    source = jsonl(
        tmp_path / "rows.jsonl", [{"prompt": "What is <|nothing|> for?", "completion": "<b>Nothing.</b>"}] * 12
    )
    row = preview_data(experiment(source), tokenizer).rows[0]
    assert row.special is not None
    texts = {text.strip() for token, text in row.tokens if token in row.special}
    assert {"<|user|>", "<|end|>", "<|assistant|>"} <= texts
    assert not any("nothing" in text or "b>" in text for text in texts)
    assert dict(row.tokens).keys() > row.special
